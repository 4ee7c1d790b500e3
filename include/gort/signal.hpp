// SPDX-License-Identifier: Apache-2.0
// Signals as values on a channel, or as the end of a context.                                     (Go: package os/signal)
//
//   auto ctx = gort::signal::notify_context(gort::background(), {SIGINT, SIGTERM});    // ends at ^C or kill
//
//   auto hups = gort::make_chan<int>(1);
//   auto sub = gort::signal::notify(hups, {SIGHUP});
//   for (int s : hups) reload(s);
//
// A signal that is asked for no longer does what it did before; with the last subscription its old disposition comes back
// (a handler, SIG_IGN or the default that was there). Two of the same kind close together may arrive as one, as everywhere.
// The handler runs none of your code: all goroutines and threads may be anywhere, the channel is served by a goroutine.
// Works in a library too (no gort::run): handlers are then installed only for what is asked for.
// May be called from any goroutine or thread.
#pragma once
#include <gort/chan.hpp>
#include <gort/context.hpp>

#include <csignal>
#include <initializer_list>
#include <span>

namespace gort {
inline namespace GORT_ABI {
namespace signal {

namespace detail {
struct subscriber;  // src/api/signal.cpp
}

// subscription keeps signals coming; it ends when it goes away. Move-only.
class [[nodiscard]] GORT_API subscription {
 public:
  subscription(subscription&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  subscription& operator=(subscription&& o) noexcept {
    if (this != &o) {
      stop();
      p_ = std::exchange(o.p_, nullptr);
    }
    return *this;
  }
  ~subscription() { stop(); }
  // stop: when it returns, nothing more is sent; what came before has been. Again: nothing.
  void stop() noexcept;

 private:
  explicit subscription(detail::subscriber* p) noexcept : p_(p) {}
  detail::subscriber* p_;
  friend struct detail::subscriber;
};

// notify sends each of the signals that arrives to c, without waiting: what finds no room is dropped, so c wants a capacity
// of one for each kind that must not be missed. An empty list means all that can be had. Asking for one that cannot be
// (SIGKILL, SIGSTOP, SIGURG, 32, 33, or no signal at all) and a nil channel panic; a closed channel panics when a signal
// comes, so end the subscription first.
GORT_API subscription notify(chan<int> c, std::span<const int> signals);
inline subscription notify(chan<int> c, std::initializer_list<int> signals) {
  return notify(std::move(c), std::span<const int>(signals.begin(), signals.size()));
}

// signal_context is a scoped_context with its subscription.
class [[nodiscard]] GORT_API signal_context : public scoped_context {
 public:
  signal_context(signal_context&&) noexcept = default;
  ~signal_context() = default;
  // stop gives the signals back (a second ^C then kills); the context goes on.
  void stop() noexcept { sub_.stop(); }

 private:
  signal_context(scoped_context c, subscription s) noexcept
      : scoped_context(std::move(c)), sub_(std::move(s)) {}
  subscription sub_;
  friend struct detail::subscriber;
};

// notify_context makes a child of parent that also ends when one of the signals arrives; its cause() names the signal
// ("interrupt signal received"). The signals stay taken until it goes away or stop().
GORT_API signal_context notify_context(const context& parent, std::span<const int> signals);
inline signal_context notify_context(const context& parent, std::initializer_list<int> signals) {
  return notify_context(parent, std::span<const int>(signals.begin(), signals.size()));
}

// ignore drops the signals from now on, whoever subscribed to them; children started later inherit that.
GORT_API void ignore(std::span<const int> signals);
inline void ignore(std::initializer_list<int> signals) {
  ignore(std::span<const int>(signals.begin(), signals.size()));
}
// ignored: does the process ignore this signal (by ignore, or from the start)?
[[nodiscard]] GORT_API bool ignored(int sig);
// reset ends what notify, notify_context and ignore have done to the signals, for all subscribers.
GORT_API void reset(std::span<const int> signals);
inline void reset(std::initializer_list<int> signals) {
  reset(std::span<const int>(signals.begin(), signals.size()));
}

}  // namespace signal
}  // namespace GORT_ABI
}  // namespace gort

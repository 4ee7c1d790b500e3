// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/signal.hpp: who wants which signal. The way from the handler to us is sched/sigqueue.cpp. (Go: os/signal)
//
// Ownership:  one list of subscribers and a count for each signal, by `mu`. The receiver, a goroutine of the runtime that
//             the first subscription of a run starts, takes bits and serves the list under mu: sends do not wait, so it
//             holds mu for moments. ~subscription takes what is pending first: what arrived before it is delivered.
// Lifetime:   a subscriber belongs to its subscription. An empty list of signals is all of them. `reset` and `ignore` take
//             signals out of the masks; the subscriber stays, with what is left.
#include <gort/go.hpp>
#include <gort/signal.hpp>
#include <gort/sync.hpp>

#include <memory>
#include <string>

#include "api/context_internal.hpp"
#include "sched/proc.hpp"
#include "sched/sigqueue.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace signal {

namespace detail {

struct subscriber {
  subscriber* next = nullptr;
  subscriber* prev = nullptr;
  rt::uint64 mask = 0;
  chan<int> c = nullptr;
  context ctx;  // set: no channel

  static subscription handle(subscriber* p) { return subscription(p); }
  static signal_context context_of(scoped_context c, subscriber* p) {
    return signal_context(std::move(c), subscription(p));
  }
};

}  // namespace detail

namespace {

using detail::subscriber;
using rt::signalBit;

struct {
  mutex mu;
  subscriber* first = nullptr;
  int wanted[rt::kMaxSignal + 1] = {};  // subscribers of each
} constinit all;

template <class F>
void for_each_bit(rt::uint64 bits, F f) {
  for (; bits != 0; bits &= bits - 1) f(__builtin_ctzll(bits) + 1);
}

std::string name_of(int sig) {
  static constexpr const char* kNames[] = {"",
                                           "hangup",
                                           "interrupt",
                                           "quit",
                                           "illegal instruction",
                                           "trace/breakpoint trap",
                                           "aborted",
                                           "bus error",
                                           "floating point exception",
                                           "killed",
                                           "user defined signal 1",
                                           "segmentation fault",
                                           "user defined signal 2",
                                           "broken pipe",
                                           "alarm clock",
                                           "terminated"};
  if (sig < static_cast<int>(std::size(kNames))) return kNames[sig];
  return "signal " + std::to_string(sig);
}

// deliver serves the subscribers.   Requires: all.mu.
void deliver(rt::uint64 bits) {
  for_each_bit(bits, [](int sig) {
    for (subscriber* s = all.first; s != nullptr; s = s->next) {
      if ((s->mask & signalBit(sig)) == 0) continue;
      if (s->c) {
        (void)s->c.try_send(sig);
      } else {
        gort::detail::ctx_access::again(s->ctx).cancel(error(name_of(sig) + " signal received"));
      }
    }
  });
}

void receive(void*) {
  for (;;) {
    rt::signalWait();
    all.mu.lock();
    deliver(rt::signalTake());
    all.mu.unlock();
  }
}

// take_back ends s's interest in the signals of `bits`.   Requires: all.mu.
void take_back(subscriber& s, rt::uint64 bits) {
  for_each_bit(s.mask & bits, [](int sig) {
    if (--all.wanted[sig] == 0) rt::signalDisable(sig);
  });
  s.mask &= ~bits;
}

rt::uint64 mask_of(const char* what, std::span<const int> signals) {
  rt::uint64 mask = 0;
  for (const int sig : signals) {
    if (!rt::signalAvailable(sig)) {
      panic("gort: signal::" + std::string(what) + ": signal " + std::to_string(sig) + " cannot be had");
    }
    mask |= signalBit(sig);
  }
  if (!signals.empty()) return mask;
  for (int sig = 1; sig <= rt::kMaxSignal; ++sig) {
    if (rt::signalAvailable(sig)) mask |= signalBit(sig);
  }
  return mask;
}

void add(subscriber* s) {
  const rt::Entry e;
  const std::lock_guard l(all.mu);
  if (rt::signalStart()) {
    rt::NewprocOptions o;
    o.systemGoroutine = true;
    o.name = "signals";
    o.startpc = reinterpret_cast<rt::uintptr>(&receive);
    const rt::NewG n = rt::newprocBegin(o, 1, 1);
    rt::newprocStart(n.g, receive, n.closure);
  }
  s->next = all.first;
  if (s->next != nullptr) s->next->prev = s;
  all.first = s;
  for_each_bit(s->mask, [](int sig) {
    if (all.wanted[sig]++ == 0) rt::signalEnable(sig);
  });
}

void remove(subscriber* s) {
  const rt::Entry e;
  const std::lock_guard l(all.mu);
  deliver(rt::signalTake());
  const rt::uint64 mine = s->mask;
  take_back(*s, ~rt::uint64{0});
  s->mask = mine;
  deliver(rt::signalTake());  // the last ones
  s->mask = 0;
  (s->prev != nullptr ? s->prev->next : all.first) = s->next;
  if (s->next != nullptr) s->next->prev = s->prev;
}

// give_up takes the signals from all subscribers.   Requires: all.mu.
void give_up(rt::uint64 bits) {
  deliver(rt::signalTake());
  for (subscriber* s = all.first; s != nullptr; s = s->next) take_back(*s, bits);
  for_each_bit(bits, [](int sig) { rt::signalDisable(sig); });
}

}  // namespace

void subscription::stop() noexcept {
  if (p_ == nullptr) return;
  remove(p_);
  delete std::exchange(p_, nullptr);
}

subscription notify(chan<int> c, std::span<const int> signals) {
  if (!c) panic("gort: signal::notify with a nil channel");
  auto s = std::make_unique<subscriber>();
  s->mask = mask_of("notify", signals);
  s->c = std::move(c);
  add(s.get());
  return subscriber::handle(s.release());
}

signal_context notify_context(const context& parent, std::span<const int> signals) {
  auto s = std::make_unique<subscriber>();
  s->mask = mask_of("notify_context", signals);
  scoped_context mine = with_cancel(parent);
  s->ctx = mine;
  add(s.get());
  return subscriber::context_of(std::move(mine), s.release());
}

void ignore(std::span<const int> signals) {
  const rt::uint64 mask = mask_of("ignore", signals);
  const rt::Entry e;
  const std::lock_guard l(all.mu);
  give_up(mask);
  for_each_bit(mask, [](int sig) { rt::signalIgnore(sig); });
}

bool ignored(int sig) { return rt::signalAvailable(sig) && rt::signalIgnored(sig); }

void reset(std::span<const int> signals) {
  const rt::uint64 mask = mask_of("reset", signals);
  const rt::Entry e;
  const std::lock_guard l(all.mu);
  give_up(mask);
}

}  // namespace signal
}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// Timers: timer, ticker, after, after_func.                                      (Go: time.Timer, Ticker,
// After, AfterFunc)
//
//   gort::timer t{50ms};                                gort::ticker tick{1s};
//   t.c().recv();                                       for (auto now : tick.c()) report(now);
//
// As in Go 1.23 and later, no value from before a stop() or reset() is received after it. All may be used by
// several goroutines at once. A timer whose channel nobody has asked for costs nothing but its object: it is
// no entry anywhere. To bound one wait use timeout_case, recv_for or a context: they are cheaper still.
#pragma once
#include <gort/chan.hpp>

#include <concepts>
#include <utility>

namespace gort {
inline namespace GORT_ABI {

// slack: how much later than asked a timer may fire, so that several can share one wake-up. 0: the default of
// the process (none, see set_timer_slack); negative: none.
struct timer_options {
  clock::duration slack{};
};

// set_timer_slack sets the slack of all timers that do not name their own. Sleeps and deadlines stay precise.
GORT_API void set_timer_slack(clock::duration slack) noexcept;

namespace detail {

struct timer_box;  // src/api/timer.cpp
using timer_call = void (*)(void*);

// What timer and ticker share. when_ is the deadline while there is no box, 0: not armed; the box, once there
// is one, has the channel or the function and the entry in the scheduler's heap.
class GORT_API timer_core {
 public:
  timer_core() = default;
  timer_core(std::int64_t when, std::int64_t period, std::int64_t slack) noexcept
      : when_(when), period_(period), slack_(slack) {}
  timer_core(timer_core&& o) noexcept
      : when_(std::exchange(o.when_, 0)),
        period_(o.period_),
        slack_(o.slack_),
        box_(std::exchange(o.box_, nullptr)) {}
  timer_core& operator=(timer_core&&) = delete;
  ~timer_core() {
    if (box_ != nullptr) drop();
  }
  recv_chan<clock::time_point> channel() const;
  bool stop() noexcept {
    if (__atomic_load_n(&box_, __ATOMIC_ACQUIRE) == nullptr) {
      if (__atomic_exchange_n(&when_, 0, __ATOMIC_ACQ_REL) != 0) return true;
      if (__atomic_load_n(&box_, __ATOMIC_ACQUIRE) == nullptr) return false;
    }
    return stop_box();
  }
  bool rearm(std::int64_t when, std::int64_t period);
  void detach() noexcept;
  void call(std::int64_t when, timer_call f, timer_call destroy, void* arg);
  static std::int64_t time_in(clock::duration d) noexcept;
  [[noreturn]] static void bad_interval(const char* text);

 private:
  bool stop_box() noexcept;
  void drop() noexcept;

  mutable std::int64_t when_ = 0;  // atomic
  mutable std::int64_t period_ = 0;
  std::int64_t slack_ = 0;
  mutable timer_box* box_ = nullptr;  // atomic; set once
};

}  // namespace detail

class timer;
template <class R, class P, std::invocable F>
timer after_func(std::chrono::duration<R, P> d, F f, timer_options o = {});

// timer fires once, at least d after its making or last reset: a value appears in c(), or after_func's
// function runs. Move-only; the destructor stops it.
class [[nodiscard]] timer {
 public:
  template <class R, class P>
  explicit timer(std::chrono::duration<R, P> d, timer_options o = {})
      : t_(detail::timer_core::time_in(detail::to_ns(d)), 0, o.slack.count()) {}
  timer(timer&&) noexcept = default;
  timer& operator=(timer&&) = delete;

  // c is the channel that gets the time when the timer fires; the nil channel for after_func.
  [[nodiscard]] recv_chan<clock::time_point> c() const { return t_.channel(); }
  // stop: true if the timer had not fired, or its value had not been received. A function that runs is not
  // waited for.
  bool stop() noexcept { return t_.stop(); }
  // reset arms it anew; the result is stop's.
  template <class R, class P>
  bool reset(std::chrono::duration<R, P> d) {
    return t_.rearm(detail::timer_core::time_in(detail::to_ns(d)), 0);
  }
  // detach lets it fire without this object.
  void detach() && noexcept { t_.detach(); }

 private:
  explicit timer(detail::timer_core t) noexcept : t_(std::move(t)) {}
  template <class R, class P, std::invocable F>
  friend timer after_func(std::chrono::duration<R, P>, F, timer_options);

  detail::timer_core t_;
};

// ticker fires every d. A receiver that is too slow loses ticks; they keep to multiples of d. Not positive:
// panics.
class [[nodiscard]] ticker {
 public:
  template <class R, class P>
  explicit ticker(std::chrono::duration<R, P> d, timer_options o = {})
      : t_(detail::timer_core::time_in(checked(d, "non-positive interval for NewTicker")),
           detail::to_ns(d).count(), o.slack.count()) {}
  ticker(ticker&&) noexcept = default;
  ticker& operator=(ticker&&) = delete;

  [[nodiscard]] recv_chan<clock::time_point> c() const { return t_.channel(); }
  // stop ends the ticks; the channel is not closed.
  void stop() noexcept { (void)t_.stop(); }
  template <class R, class P>
  void reset(std::chrono::duration<R, P> d) {
    const clock::duration ns = checked(d, "non-positive interval for Ticker.Reset");
    (void)t_.rearm(detail::timer_core::time_in(ns), ns.count());
  }

 private:
  template <class R, class P>
  static clock::duration checked(std::chrono::duration<R, P> d, const char* text) {
    const clock::duration ns = detail::to_ns(d);
    if (ns <= clock::duration::zero()) detail::timer_core::bad_interval(text);
    return ns;
  }
  detail::timer_core t_;
};

// after gives a channel that gets the time once, d from now.
template <class R, class P>
[[nodiscard]] recv_chan<clock::time_point> after(std::chrono::duration<R, P> d) {
  timer t(d);
  auto c = t.c();
  std::move(t).detach();
  return c;
}

// after_func runs f on a goroutine of its own, d from now, unless the timer is stopped before; reset runs it
// again. Keep the timer, or detach it: dropping it stops it.
template <class R, class P, std::invocable F>
timer after_func(std::chrono::duration<R, P> d, F f, timer_options o) {
  timer t(detail::timer_core(0, 0, o.slack.count()));
  t.t_.call(
      detail::timer_core::time_in(detail::to_ns(d)), [](void* p) { (void)(*static_cast<F*>(p))(); },
      [](void* p) { delete static_cast<F*>(p); }, new F(std::move(f)));
  return t;
}

}  // namespace GORT_ABI
}  // namespace gort

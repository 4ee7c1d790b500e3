// SPDX-License-Identifier: Apache-2.0
// Clocks and sleeping.                                                         (Go: package time)
//
// clock is monotonic, wall_clock tells the date; both count nanoseconds, meet the Clock requirements, and
// become virtual under GODEBUG=sim=SEED. Every std duration and every clock's time_point fits everywhere:
// conversions saturate and round up, so that nothing ever waits shorter than asked.
#pragma once
#include <gort/config.hpp>

#include <chrono>
#include <limits>

namespace gort {
inline namespace GORT_ABI {

struct clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<clock>;
  static constexpr bool is_steady = true;
  GORT_API static time_point now() noexcept;
};

struct wall_clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<std::chrono::system_clock, duration>;
  static constexpr bool is_steady = false;
  GORT_API static time_point now() noexcept;
};

namespace detail {

// to_ns converts any duration to nanoseconds: saturating, rounded up.
template <class R, class P>
constexpr clock::duration to_ns(std::chrono::duration<R, P> d) noexcept {
  using ratio = std::ratio_divide<P, std::nano>;  // nanoseconds per tick
  if constexpr (std::is_integral_v<R> && ratio::den == 1) {
    std::int64_t n = 0;
    if (!__builtin_mul_overflow(d.count(), static_cast<std::int64_t>(ratio::num), &n))
      return clock::duration(n);
    return d.count() < 0 ? clock::duration::min() : clock::duration::max();
  } else if constexpr (std::is_integral_v<R> && ratio::num == 1) {
    const auto n = static_cast<std::int64_t>(d.count() / ratio::den);
    return clock::duration(d.count() % ratio::den > 0 ? n + 1 : n);
  } else {
    const auto ns = static_cast<long double>(d.count()) * ratio::num / ratio::den;
    if (!(ns < 9.2e18L)) return clock::duration::max();  // not-a-number waits forever
    if (ns <= -9.2e18L) return clock::duration::min();
    const auto n = static_cast<std::int64_t>(ns);
    return clock::duration(static_cast<long double>(n) < ns ? n + 1 : n);
  }
}

// deadline_after is the time d from now, saturating: never() for a duration beyond the end of time.
inline clock::time_point deadline_after(clock::duration d) noexcept {
  const clock::time_point now = clock::now();
  return d > clock::time_point::max() - now ? clock::time_point::max() : now + d;
}

// to_tp converts any clock's time_point to ours; the clock is read once, a later adjustment does not follow.
template <class C, class D>
clock::time_point to_tp(std::chrono::time_point<C, D> t) noexcept {
  if constexpr (std::same_as<C, clock>) {
    return clock::time_point(to_ns(t.time_since_epoch()));
  } else {
    const clock::duration at = to_ns(t.time_since_epoch());
    clock::duration from{};
    if constexpr (std::same_as<C, std::chrono::system_clock>) {
      from = wall_clock::now().time_since_epoch();  // virtual under sim
    } else {
      from = to_ns(C::now().time_since_epoch());
    }
    std::int64_t left = 0;
    if (__builtin_sub_overflow(at.count(), from.count(), &left))
      left = at.count() < 0 ? INT64_MIN : INT64_MAX;
    if (at == clock::duration::max()) left = INT64_MAX;
    return deadline_after(clock::duration(left));
  }
}

GORT_API void sleep_for(clock::duration);
GORT_API void sleep_until(clock::time_point);

}  // namespace detail

// sleep pauses the goroutine for at least d; the thread does other work. d <= 0 returns at once. May park.
template <class R, class P>
void sleep(std::chrono::duration<R, P> d) {
  detail::sleep_for(detail::to_ns(d));
}

// sleep_until is sleep to a point in time. May park.
template <class C, class D>
void sleep_until(std::chrono::time_point<C, D> t) {
  detail::sleep_until(detail::to_tp(t));
}

}  // namespace GORT_ABI
}  // namespace gort

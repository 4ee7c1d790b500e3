// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/time.hpp.
#include <gort/time.hpp>

#include "sched/proc.hpp"
#include "sched/time.hpp"

namespace gort {
inline namespace GORT_ABI {

clock::time_point clock::now() noexcept { return time_point(duration(rt::nanotime())); }
wall_clock::time_point wall_clock::now() noexcept { return time_point(duration(rt::walltime())); }

namespace detail {

void sleep_for(clock::duration d) {
  if (d.count() <= 0) return;
  rt::Entry e;
  rt::timeSleep(d.count());
}

void sleep_until(clock::time_point t) {
  const auto when = t.time_since_epoch().count();
  if (when <= rt::nanotime()) return;
  rt::Entry e;
  rt::timeSleepUntil(when);
}

}  // namespace detail
}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// Timers: per-P heaps that move with their P.     (Go: time.go)   Behaviour and essay in time.cpp.
#pragma once
#include "schema/runtime2.hpp"

namespace gort::rt {

inline constexpr int64 kTimeNever = INT64_MAX;

// nanotime is the clock of everything in the runtime: monotonic ns; virtual under sim. walltime: ns since
// 1970.
int64 nanotime();
int64 walltime();
// whenAfter is the time ns from now, saturating; never 0, which means "none" everywhere.
int64 whenAfter(int64 ns);

// ---- For users of timers. Runs on: a stack of a thread that has a P (Entry).
void timeSleep(int64 ns);         // parks for ns; <= 0: returns at once
void timeSleepUntil(int64 when);  // kTimeNever: forever
void timerInit(Timer& t, TimerFunc f, void* arg);
// timerModify (re)arms; returns whether the timer was pending. Waits until f of an earlier expiry has
// returned.
bool timerModify(Timer& t, int64 when, int64 period);
// timerStop returns whether the timer was pending; afterwards f does not run and is not running.
// Requires (both): not called from f, nor with a lock held that f takes.
bool timerStop(Timer& t);
void timerSetSlack(Timer& t, int64 slackNs);  // before it is armed
void timerSetDefaultSlack(int64 slackNs);     // for all timers without their own; sleeps stay precise

// ---- For the scheduler.
struct CheckTimersResult {
  int64 now;        // 0: the clock was not read
  int64 pollUntil;  // next due time of this P, 0: none
  bool ran;
};
CheckTimersResult checkTimersSlow(P* pp, int64 now, int64 next);
// timerPollUntil is the next due time of pp, 0: none. No lock.
inline int64 timerPollUntil(P* pp) { return pp->timers.minWhen.load(Order::acquire); }
// checkTimers runs what is due on pp; now: the time, or 0 if the caller did not look.
// Requires: the caller has a P (not necessarily pp) and may make goroutines runnable.
inline CheckTimersResult checkTimers(P* pp, int64 now) {
  const int64 next = timerPollUntil(pp);
  if (GORT_LIKELY(next == 0)) return {now, 0, false};
  return checkTimersSlow(pp, now, next);
}
int64 timersSleepUntil();         // earliest over all Ps, INT64_MAX: none (sysmon, deadlock detection)
void timersMove(P* dst, P* src);  // procresize: src dies. Requires: world stopped
// timersAbandon takes every timer and sleeper out of every heap: a run() has ended. Requires: world stopped
void timersAbandon();
bool timersEmpty();  // no timer on any P, as far as one glance tells

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Where the scheduler waits for time and, later, for I/O.      (Go: netpoll.go, netpoll_epoll.go)
#pragma once
#include "schema/runtime2.hpp"

namespace gort::rt {

void netpollinit();
bool netpollinited();
// netpoll waits for delay ns (< 0: until woken, 0: only looks) and returns the goroutines that became runnable.
// Runs on: g0. With delay != 0: requires no P.
GQueue netpoll(int64 delay);
bool netpollBroken();      // a netpollBreak waits to be noticed
void netpollBreak();       // ends a waiting netpoll; safe from any thread, wakes coalesce
bool netpollAnyWaiters();  // somebody waits for I/O
// wakeNetPoller: a timer at `when` was added; sees to it that somebody wakes for it.
void wakeNetPoller(int64 when);

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Threads facade: the only place that calls pthread_create and prctl.
// Rule R1: createThread may take libc locks, so it is called only by the template thread (sched/proc.cpp), which never
// holds a P, and by start-up.
#pragma once
#include "base/types.hpp"

namespace gort::rt::os {

// createThread starts fn(arg) on a new detached thread with all signals blocked until fn unblocks them.
// stackBytes: size of its stack (the M's g0). Returns 0 or an errno value (EAGAIN: the thread limit).
int createThread(void (*fn)(void*), void* arg, std::size_t stackBytes);

struct StackBounds {
  uintptr lo, hi;
};
// threadStackBounds returns the calling thread's stack. Uses pthread_getattr_np: start-up and foreign attach only.
StackBounds threadStackBounds();

int threadCount();                     // of this process; 0 where /proc is not mounted
void setTimerSlack(uint64 ns);         // prctl(PR_SET_TIMERSLACK); errors ignored: only precision is lost
void setThreadName(const char* name);  // at most 15 characters
std::size_t minSignalStack();          // AT_MINSIGSTKSZ, at least 2 KiB
// atThreadExit calls fn(arg) when the calling thread ends, once; arg nullptr forgets the request.
void atThreadExit(void (*fn)(void*), void* arg);

// atForkInChild has libc call fn in the child of each fork(); 0 or an errno. For good: it cannot be taken back.
int atForkInChild(void (*fn)());

}  // namespace gort::rt::os

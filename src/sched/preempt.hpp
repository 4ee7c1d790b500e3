// SPDX-License-Identifier: Apache-2.0
// Asynchronous preemption.      (Go: preempt.go, signal_unix.go; essay in preempt.cpp)
#pragma once
#include "schema/runtime2.hpp"

namespace gort::rt {

// What a SIGURG on its way asks its thread for; bits of M::signalPending.
inline constexpr uint32 kAskYield = 1;   // let others have the P
inline constexpr uint32 kAskReport = 2;  // print the stack (GODEBUG=stall)

// preemptM sends the thread of mp the preemption signal, unless one is on its way. since: the thread has slept in its system
// call since then (ns), if it sleeps; 0: unknown.   Runs on: any stack.
void preemptM(M* mp, uint32 why, int64 since);

}  // namespace gort::rt

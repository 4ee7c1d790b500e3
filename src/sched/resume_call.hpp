// SPDX-License-Identifier: Apache-2.0
// Hides SIGURG from the system call that it has interrupted.                                                  (ours)
#pragma once
#include <ucontext.h>

#include "schema/runtime2.hpp"

namespace gort::rt {

// wasInCall: the thread slept in the system call that preemptM saw, and will make it again or has just left it.
// Runs on: the signal stack.
bool wasInCall(const M* mp, const ucontext_t* u);

// resumeCall makes a system call of mp's thread that our signal has ended with EINTR go on: the last thing in the handler.
// giveUp: takes the P of its goroutine away, if somebody is there to take it; nullptr: it must keep what it has.
// Runs on: the signal stack; the signal's mask blocks all that may be blocked; may sleep as long as the call would.
void resumeCall(M* mp, ucontext_t* u, void (*giveUp)(G* gp, M* mp));

}  // namespace gort::rt

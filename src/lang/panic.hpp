// SPDX-License-Identifier: Apache-2.0
// panic, defer, recover, goexit: the language-independent half.      (Go: panic.go, runtime2.go _panic and _defer)
// The C++ half (values, throwing, catching) is src/api/panic.cpp, reached through UnwindHooks.
//
// Every goroutine has a chain of deferred calls (G::defer_, innermost first) and a chain of panics (G::panic_). Both live
// on its stack; only the goroutine itself touches them. Two kinds of Defer are on the chain:
//   block   gort::defer: one call, its object is the Defer
//   marker  gort::func: `fn` is deferMarker, `arg` the FuncFrame, which has its own list of calls and recover handlers
// A panic walks the chain from the top and calls *on top of the panicking stack*; a Defer leaves the chain before its call
// begins, a marker when its list is empty. So whatever a call does (panics, throws, exits), nothing runs twice.
// A handler that recovers names the frame where the goroutine goes on; gopanic returns and its caller unwinds to there.
//
// Note [Aborted panics]: a panic raised by a deferred call continues with what is left of the chain. If it is recovered in
// a frame that is older than the first panic's, the unwinding passes the first one's gopanic, which is thereby over:
// FuncFrame::panicAtEntry says which panics survive. A goexit among the dropped ones goes on after the frame has ended.
#pragma once
#include "schema/runtime2.hpp"

namespace gort::rt {

// ---- raising, for the floors above. Never return. Requires: no locks held, on a goroutine's stack.
// panicText is a run-time panic whose text is printed as it is ("send on closed channel"; Go: plainError, a runtime.Error).
[[noreturn]] void panicText(const char* text);
// panicString is panic(text) raised by library code ("sync: negative WaitGroup counter"): not a runtime error.
[[noreturn]] void panicString(const char* text);
[[noreturn]] void goexit();

}  // namespace gort::rt

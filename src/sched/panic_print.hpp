// SPDX-License-Identifier: Apache-2.0
// How the process dies in words: fatal reports, goroutine headers, stack dumps.    (Go: panic.go
// startpanic_m, dopanic_m; traceback.go goroutineheader, tracebackothers, showframe)
//
// A report is: startpanic, the caller's own lines, dopanic. startpanic takes the print lock, so that two
// dying threads write one after the other; the last one ends the process. A thread that dies again while it
// reports gets one line and exit status 2 (`M::dying`, or a process-wide level for threads without an M).
// Everything here runs on any stack; the deep part (unwinding, symbol tables) moves to g0, or stays on the
// signal stack. Nothing allocates, takes a runtime lock, or trusts a foreign stack.
#pragma once
#include "base/fatal_port.hpp"
#include "base/print.hpp"
#include "schema/runtime2.hpp"
#include "unwind/traceback.hpp"

namespace gort::rt {

enum class Throwing : int32 { none = 0, user = 1, runtime = 2 };  // M::throwing

// What GOTRACEBACK and the kind of failure ask for.
struct TraceLevel {
  int32 level = 1;     // 0 nothing, 1 user frames, 2 all frames and system goroutines
  bool all = false;    // every goroutine, not just the dying one
  bool crash = false;  // end with SIGABRT
};
TraceLevel traceLevel();

// startpanic opens the report of a dying thread. False: it was dying already; the caller must go on to
// dopanic at once.
[[nodiscard]] bool startpanic();
// dopanic prints the stack that begins at `start`, the others as the level asks, and ends the process with
// status 2. gp is the goroutine that `start` belongs to; nullptr: no goroutine (a foreign thread, before
// boot).
[[noreturn]] void dopanic(const Regs& start, const G* gp);
// printStacks is dopanic without the end; printAllStacks does not ask whether all are wanted.
void printStacks(const Regs& start, const G* gp);
void printAllStacks(const Regs& start, const G* gp);
// donepanic closes the report of a thread that will die otherwise.
void donepanic();
// endpanic ends the process without any more output, waiting for other threads that are just reporting.
[[noreturn]] void endpanic(bool crash);
// currentG is the goroutine to blame: the running one, also when called on g0 or the signal stack. May be
// nullptr.
G* currentG();
// onDeepStack runs fn(arg) where there is room: on g0 unless already there, on the signal stack or without a
// G.
void onDeepStack(void (*fn)(void*), void* arg);

// The parts, for dumps of living processes too.
void goroutineheader(Printer& w, const G* gp, const TraceLevel& t);
// traceback prints frames from `start`; returns how many. Frames of the runtime are left out below level 2;
// of more than 100 frames the first 50, "...N frames elided..." and the last 50 are printed.
unsigned traceback(Printer& w, const Regs& start, const StackBounds& stack, const TraceLevel& t);
void printcreatedby(Printer& w, const G* gp);
// tracebackG prints header, frames and creation site of a goroutine that is not running.
void tracebackG(Printer& w, const G* gp, const TraceLevel& t);
// tracebackothers prints every goroutine but `me`.
void tracebackothers(Printer& w, const G* me, const TraceLevel& t);
// printindented prints text; what follows a newline gets one tab.
void printindented(Printer& w, const char* s, std::size_t n);

// frameHidden says whether a function is the runtime's or a library's own plumbing (readable name).
bool frameHidden(const char* name);
// callSite finds the first frame from `start` that is not hidden, for messages that name a place. False:
// none.
struct CallSite {
  char function[200];
  const char* file;
  uint32 line;
};
bool callSite(Regs start, const StackBounds& stack, CallSite& out);
StackBounds boundsOf(const G* gp);

}  // namespace gort::rt

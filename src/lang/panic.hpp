// SPDX-License-Identifier: Apache-2.0
// panic, defer, recover, goexit: the language-independent half.   (Go: panic.go; runtime2.go _panic, _defer)
// The C++ half (values, throwing, catching) is src/api/panic.cpp, reached through UnwindHooks.
//
// Every goroutine has a chain of deferred calls (G::defer_, innermost first) and a chain of panics
// (G::panic_). Both live on its stack; only the goroutine itself touches them. Two kinds of Defer are on it:
//   block   gort::defer: one call, its object is the Defer
//   marker  gort::func: `fn` is deferMarker, `arg` the FuncFrame with its own list of calls and handlers
// A panic walks the chain from the top and calls *on top of the panicking stack*; a Defer leaves the chain
// before its call begins, a marker when its list is empty. So whatever a call does (panics, throws, exits),
// nothing runs twice.
// A handler that recovers names the frame where the goroutine goes on; gopanic returns and its caller unwinds
// to there.
//
//      panic --> gopanic --> deferred call --> ... --> recover handler of frame F        (stack grows ->)
//        |          `- returns: p.target == F <-------------'
//        `- throwUnwind(F): destructors between here and F run; F runs what is left of its list and returns
//
// Note [Aborted panics]: a panic raised by a deferred call continues with what is left of the chain. If it is
// recovered in a frame that is older than the first panic's, the unwinding passes the first one's deferred
// call, and with it the first one is over: UnwindHooks::call has a destructor that takes it off G::panic_. The
// same holds for a C++ exception that leaves a deferred call: it replaces the panic. Nothing else may look at a
// Panic whose raiser may be gone.
// Note [Interrupted goexit]: the frames that are live when a goexit begins cannot end normally any more. They
// are marked (goexitAfter); one that goes on all the same, because a panic or an exception in a deferred call
// was recovered there, starts the goexit again at its end.
#pragma once
#include "schema/runtime2.hpp"
#include "unwind/traceback.hpp"

namespace gort::rt {

class Printer;
struct FuncFrame;

// ---- raising, for the floors above. Never return. Requires: no locks held, on a goroutine's stack.
// panicText is a run-time panic whose text is printed as it is ("send on closed channel"; Go: plainError, a
// runtime.Error).
[[noreturn]] void panicText(const char* text);
// panicString is panic(text) raised by library code ("sync: negative WaitGroup counter"): not a runtime
// error.
[[noreturn]] void panicString(const char* text);
// goexit runs all deferred calls, then unwinds the goroutine to its root, where it ends.
[[noreturn]] void goexit();

// ---- data
// Defer is one deferred call of a block, or the marker of a frame. Layout is public
// (gort::detail::defer_node).
struct Defer {
  Defer* link = nullptr;
  void (*fn)(void*) = nullptr;  // nullptr: has run, or is running
  void* arg = nullptr;
};

// FrameCall is one fn.defer or fn.recover. Layout is public (gort::detail::frame_call); owned by whoever runs
// `op`.
struct FrameCall {
  FrameCall* link;
  void (*op)(FrameCall*, const void* info, bool run);  // calls (or not) and destroys itself
  bool recovers;
  bool heap;  // op's own
};

// FuncFrame is a live gort::func. Layout is public (gort::detail::frame_core).
struct FuncFrame {
  Defer marker;
  FrameCall* top = nullptr;
  G* g = nullptr;            // owner; nullptr: not begun or over
  bool goexitAfter = false;  // Note [Interrupted goexit]
  bool closed = false;       // has begun to end: takes no more calls
  // for the short way of unwinding (src/api/panic_fast.cpp)
  bool inBody = false;    // run_frame is in its call of the body
  bool jumped = false;    // that call was ended from outside
  uintptr bodyFrame = 0;  // frame address of run_frame
};

// Panic is one panic (or goexit) in progress, on the stack of who raised it.
struct Panic {
  const void* self = this;  // what gort::panic_info points to; it is handed out as the address of this field
  Panic* link = nullptr;    // the panic that was going on before
  // the value: text, or `value` with its type's tag and operations
  const char* text = nullptr;
  std::size_t textLen = 0;
  const void* value = nullptr;
  const void* tag = nullptr;                        // type identity; nullptr for text
  void (*print)(const Panic&, Printer&) = nullptr;  // nullptr: print text
  const void* exception = nullptr;  // std::exception_ptr*, if a C++ exception stands behind it
  Location where{};
  Regs regs;  // of the raising function, for stack(); valid if haveRegs
  bool haveRegs = false;
  bool runtimeError = false;
  bool nil = false;
  bool goexit = false;
  bool recovered = false;
  bool repanicked = false;
  FuncFrame* target = nullptr;  // recovered: where to; nullptr = the goroutine's root
  uintptr callFrame = 0;        // frame address of the runtime function that runs the deferred call just now

  Panic() = default;
  Panic(const Panic&) = delete;
  Panic& operator=(const Panic&) = delete;
};

// ---- for the api floor
// UnwindHooks is how the core reaches the C++ unwinder. Installed at boot; without them no panic can be
// recovered.
struct UnwindHooks {
  // throwUnwind never returns.
  void (*throwUnwind)(FuncFrame* target, const Panic& p) = nullptr;
  // call runs fn(arg), or c if fn is nullptr, with p going on. It sets p.callFrame to its own frame address for
  // the time, and ends p if the call is left by unwinding.
  void (*call)(Panic* p, void (*fn)(void*), void* arg, FrameCall* c) = nullptr;
};
extern UnwindHooks unwindHooks;

void deferMarker(void*);  // only its address is used

// pushDefer/popDefer: the block form. popDefer runs the call unless a panic has; it may panic.
void pushDefer(Defer* d);
void popDefer(Defer* d);

void frameBegin(FuncFrame& f);  // Requires: getg() != nullptr
void frameEnd(FuncFrame& f);    // continues a goexit that the frame interrupted
// framePush adds a call. False: the frame has begun to end, or is another goroutine's; c is still the
// caller's.
bool framePush(FuncFrame& f, FrameCall* c);
// frameCalls runs what is left of the list as at a normal return: handlers are dropped unused. Calls may
// panic.
void frameCalls(FuncFrame& f);
// framePanics does the same with p going on (a C++ exception that has reached the frame). True: recovered.
bool framePanics(FuncFrame& f, Panic& p);
// frameAbandon is frameEnd for a frame that an exception leaves.
void frameAbandon(FuncFrame& f);

// gopanic runs deferred calls until one recovers, then returns: the caller must unwind to p.target at once.
// If none does, it prints the panics and ends the process with status 2.
void gopanic(Panic& p);
// runDefers is gopanic without the end: false = nobody recovered.
bool runDefers(Panic& p);
// fatalpanic prints all panics of the goroutine and ends the process. `start`: where the trace begins.
[[noreturn]] void fatalpanic(const Regs& start);
// gorecover is Go's recover(): the current panic if `caller` (registers of the function that called recover)
// was called directly by a deferred call that this panic runs; marks it recovered. nullptr otherwise.
const Panic* gorecover(Regs caller);
// insideFrame says whether a gort::func is live on this goroutine.
bool insideFrame(const G* gp);

void printpanicval(const Panic& p, Printer& w);
// Values in Go's form: +1.500000e+000
void printfloat(Printer& w, double v);

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Stack unwinding by call frame information, with our own reader of .eh_frame.
//                                                                              (Go: traceback.go, symtab.go)
//
// The platform's unwinder is for exceptions; this one is for looking: it never runs user code, never takes a
// lock, allocates only at the first frame of a module, and believes nothing: every load is checked against
// the stack's bounds, the frame address must rise, a program of DWARF bytes cannot read outside its section.
//
// Convention for program counters (Go's): a pc in a result is a *return address*; the call is at pc-1. For a
// frame that was interrupted (the leaf of a signal context, the frame below a signal handler) the value is
// therefore pc+1.
//
// Cost:       a frame takes 17 ns with a warm rule table, 125 to 275 ns cold, 2.6 ns along frame pointers
//             (platform's unwinder: 185 ns). 64 frames, g++ 12 -O2, 2-CPU Xeon VM, best of 200 rounds;
//             tests/unwind/cost_test.cpp.
// Fallback:   where there is no unwind table the frame pointer is followed if it points into the stack above
//             sp.
// Rejected:   _Unwind_Backtrace (ten times slower, and traces the calling thread only).
#pragma once
#include <cstddef>

#include "base/types.hpp"

namespace gort::rt {

// Regs holds the machine state of a frame in DWARF's register order, so that a rule names its register by
// index. For a parked goroutine pc, sp, bp, rbx, r12-r15 are enough (`valid` as initialised says just that).
struct Regs {
  uintptr rax = 0, rdx = 0, rcx = 0, rbx = 0, rsi = 0, rdi = 0, bp = 0, sp = 0;
  uintptr r8 = 0, r9 = 0, r10 = 0, r11 = 0, r12 = 0, r13 = 0, r14 = 0, r15 = 0, pc = 0;
  uint32 valid = kCalleeSaved;  // bit i: register i is known
  bool exact = false;           // pc is the next instruction of an interrupted frame, not a return address

  static constexpr unsigned kCount = 17, kRbx = 3, kBp = 6, kSp = 7, kPc = 16;
  static constexpr uint32 kCalleeSaved = 1u << kRbx | 1u << kBp | 1u << kSp | 0xfu << 12 | 1u << kPc;
  static constexpr uint32 kAll = (1u << kCount) - 1;

  uintptr& at(unsigned i) { return (&rax)[i]; }
  uintptr at(unsigned i) const { return (&rax)[i]; }
  // returnPc is the frame's pc in the convention above.
  uintptr returnPc() const { return exact ? pc + 1 : pc; }
};
static_assert(offsetof(Regs, rbx) == Regs::kRbx * 8 && offsetof(Regs, bp) == Regs::kBp * 8 &&
              offsetof(Regs, sp) == Regs::kSp * 8 && offsetof(Regs, r12) == 12 * 8 &&
              offsetof(Regs, pc) == Regs::kPc * 8);

// StackBounds are the addresses that may be read: the goroutine's stack, and optionally the stack on which
// the trace starts (a signal stack, g0). Loads outside both end the trace.
struct StackBounds {
  uintptr lo = 0, hi = 0;
  uintptr altLo = 0, altHi = 0;
};

// step replaces regs by those of the caller. False: end of the stack (regs are then unspecified), which is a
// frame with undefined return address (the goroutine entry, _start, clone), pc 0, or a frame that makes no
// sense. Runs on: any stack, in signal handlers; about 1.2 KiB of it, 3 KiB the first time in a module.
bool step(Regs& regs, const StackBounds& stack);

// unwindStack writes the return pcs of start and its callers, innermost first, and returns how many.
// Ensures: no more than max; the first is start.returnPc().
unsigned unwindStack(Regs start, const StackBounds& stack, uintptr* pcs, unsigned max, unsigned skip = 0);

// fpTraceback is the same along frame pointers only: a few ns a frame, and right only where every frame has
// one.
unsigned fpTraceback(uintptr pc, uintptr bp, const StackBounds& stack, uintptr* pcs, unsigned max);

// callerRegs gives the state of the function that calls it, as its caller will see it when it returns.
// The first pc of a trace from it is in the calling function.
__attribute__((always_inline)) inline Regs callerRegs() {
  Regs r;
  __asm__ volatile(
      "leaq 0(%%rip), %[pc]\n\t"
      "movq %%rsp, %[sp]\n\t"
      "movq %%rbp, %[bp]\n\t"
      "movq %%rbx, %[bx]\n\t"
      "movq %%r12, %[r12]\n\t"
      "movq %%r13, %[r13]\n\t"
      "movq %%r14, %[r14]\n\t"
      "movq %%r15, %[r15]"
      : [pc] "=&r"(r.pc), [sp] "=m"(r.sp), [bp] "=m"(r.bp), [bx] "=m"(r.rbx), [r12] "=m"(r.r12),
        [r13] "=m"(r.r13), [r14] "=m"(r.r14), [r15] "=m"(r.r15));
  r.exact = true;
  return r;
}

// regsFromUcontext takes the registers of an interrupted thread (third argument of an SA_SIGINFO handler).
Regs regsFromUcontext(const void* ucontext);

// forgetUnwindRules empties the rule table. For tests and benchmarks; entries of unloaded libraries are
// noticed anyway.
void forgetUnwindRules();

}  // namespace gort::rt

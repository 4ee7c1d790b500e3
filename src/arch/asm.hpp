// SPDX-License-Identifier: Apache-2.0
// What asm_amd64.S defines. Contracts stand at the definitions there.
#pragma once
#include "base/dialect.hpp"
#include "base/types.hpp"

namespace gort::rt {

struct G;
struct M;

// The frame that a switched-out goroutine leaves at sched.sp; the red zone of the interrupted function is above it.
struct SwitchFrame {
  uint32 mxcsr;
  uint32 x87cw;
  uintptr rbp;
  uintptr pc;
};
inline constexpr std::size_t kRedZone = 128;
inline constexpr uint32 kDefaultMxcsr = 0x1f80, kDefaultX87cw = 0x37f;

extern "C" {
void gort_mcall();    // reached by jmp only, from switchToG0
void gort_gostart();  // first pc of every goroutine
void gort_systemstack(void (*fn)(void*), void* arg);
void gort_enterg0(M* mp, G* (*first)(G*));  // runs goroutines on this thread until gort_leaveg0
[[noreturn]] void gort_leaveg0(M* mp);
}

// switchToG0 is the one switch away from a goroutine: saves where it is and jumps to gort_mcall, which runs fn(gp) on g0
// and continues the goroutine that fn returned. Everything callee-saved is a clobber: the compiler saves what is live.
// A jmp, not a call: the return-address predictor of the CPU stays balanced (2 ns a switch against 10).
GORT_ALWAYS_INLINE void switchToG0(G* (*fn)(G*)) {
  __asm__ volatile(
      "leaq 1f(%%rip), %%rax\n\t"
      "jmp gort_mcall\n"
      "1:"
      : "+D"(fn)
      :
      : "rax", "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0",
        "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
        "xmm13", "xmm14", "xmm15", "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7", "st", "st(1)",
        "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "cc", "memory");
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// The five markers of the runtime's dialect (Go: //go:nosplit, nowritebarrier, systemstack, linkname, notinheap).
// tools/dialect.py reads the linked core, finds the NOSPLIT and SYSTEMSTACK functions by their section and follows their
// call edges; GORT_ON_G0() at the head of each SYSTEMSTACK function repeats the claim at run time in debug builds
// (sched/proc_internal.hpp). The others are the collector's and the Go surface's: no code carries them yet.
#pragma once

#define GORT_NOSPLIT __attribute__((section(".text.gort_nosplit")))
#define GORT_SYSTEMSTACK __attribute__((section(".text.gort_sysstack")))
#define GORT_NOWRITEBARRIER
#define GORT_NOWRITEBARRIERREC
#define GORT_LINKNAME(name) __asm__(name)
#define GORT_NOTINHEAP                               \
  static void* operator new(std::size_t) = delete;   \
  static void* operator new[](std::size_t) = delete; \
  static void* operator new(std::size_t, void* p) noexcept { return p; }

#define GORT_NOINLINE __attribute__((noinline))
#define GORT_COLD __attribute__((noinline, cold))
#define GORT_ALWAYS_INLINE inline __attribute__((always_inline))

// GORT_JUMP_RETURN: the function returns by an indirect jump. After a switch of stacks the CPU's return-address predictor
// holds the other goroutine's callers, so every `ret` on the way out is mispredicted (6 to 10 ns); the predictor of
// indirect jumps learns the pattern. For the functions between a switch and the user's code.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define GORT_JUMP_RETURN __attribute__((function_return("thunk-extern")))
#else
#define GORT_JUMP_RETURN
#endif

// GORT_UNINSTRUMENTED: no sanitizer sees the function. For functions that are entered and never left: TSan's shadow stack
// of a reused fiber would grow by one frame at each life of the goroutine.  With GORT_NOINLINE where the caller may be
// instrumented.
#if defined(__clang__)
#define GORT_UNINSTRUMENTED __attribute__((disable_sanitizer_instrumentation))
#else
#define GORT_UNINSTRUMENTED
#endif

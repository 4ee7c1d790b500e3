// SPDX-License-Identifier: Apache-2.0
// What the sanitizers must be told at a switch of stacks: one fiber of theirs per goroutine and per g0. Without a
// sanitizer everything here is empty. Called by the one wrapper around the switch (sched/proc.cpp, asm_amd64.S).
#pragma once
#include "base/sanitizer.hpp"

namespace gort::rt {

struct G;

constexpr int kSanitizerThreads = GORT_TSAN;  // TSan has a thread of its own

// No-ops without a sanitizer. A G keeps its TSan fiber over lives, as it keeps its stack.
#if GORT_SANITIZED
void fiberCreate(G* gp);    // before its first run; its stack is set
void fiberOfThread(G* gp);  // gp is what the calling thread runs now (g0, foreign goroutines)
void fiberDestroy(G* gp);   // after its end, on another stack: its frames' poison goes
#else
inline void fiberCreate(G*) {}
inline void fiberOfThread(G*) {}
inline void fiberDestroy(G*) {}
#endif

#if GORT_ASAN
// leakRoot tells LeakSanitizer to look for pointers in memory it does not know: stacks, G records. What a parked
// goroutine owns is no leak.
void leakRoot(unsigned long at, unsigned long bytes);
#else
inline void leakRoot(unsigned long, unsigned long) {}
#endif

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Goroutine stacks: slots of a reserved address range, committed as touched.     (essay in stackalloc.cpp)
#pragma once
#include "schema/runtime2.hpp"

namespace gort::rt {

inline constexpr std::size_t kMinStack = std::size_t{16} << 10;
inline constexpr std::size_t kMaxStack = std::size_t{1} << 30;
inline constexpr std::size_t kDefaultStack = std::size_t{256} << 10;
inline constexpr uint8 kStackClasses = 17;  // 16 KiB << class

enum class GuardMode : uint8 { install, protect, canary };

void stackinit();
// stackSetDefault changes the process default (clamped to kMinStack..kMaxStack, rounded up to a power of two).
void stackSetDefault(std::size_t bytes);
// stackClassOf: 0 means the default. Sizes are rounded up to a power of two and clamped.
uint8 stackClassSlow(std::size_t bytes);
extern uint8 stackDefaultClass_;
inline uint8 stackDefaultClass() { return stackDefaultClass_; }
inline uint8 stackClassOf(std::size_t bytes) {
  return bytes == 0 ? stackDefaultClass_ : stackClassSlow(bytes);
}
std::size_t stackSlotBytes(uint8 cls);
std::size_t stackGuardBytes(uint8 cls);
// stackalloc gives gp a slot: stack.lo..hi usable, the guard below lo. False: the kernel refused (out of memory).
// Runs on: any stack.  May: mmap.
bool stackalloc(G* gp, uint8 cls);
void stackfree(G* gp);          // to the class's free list, pages stay
void stackUnused(G* gp);        // gives all pages of gp's slot back; gp must be dead
void stackReleaseBelow(G* gp);  // gives the pages below a parked goroutine's sp back; world stopped
bool stackCanarySlow(const G* gp);
inline bool stackCanaryIntact(const G* gp) {  // true where there is a real guard
  return GORT_LIKELY(!gp->stackCanary) || stackCanarySlow(gp);
}
bool stackGuardHit(const G* gp, uintptr addr);  // addr is in gp's guard (or just below lo)
struct StackStats {
  uint64 slots, inUse, guardInstalled, guardProtected, canaryOnly, reservedBytes, readyBytes;
};
StackStats stackStats();
void stackForceGuardMode(GuardMode m);  // tests, GODEBUG=stackguard=

}  // namespace gort::rt

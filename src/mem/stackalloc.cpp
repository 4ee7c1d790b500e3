// SPDX-License-Identifier: Apache-2.0
// Stacks of goroutines.                                     (Go: stackalloc in stack.go; the layout is our own)
//
//   range    reserved PROT_NONE (nothing is charged; `ulimit -v` and core files see only what is ready)
//   chunk    16 MiB of a range, or one slot if that is larger: made readable and writable, never a huge page
//   slot     16 KiB << class:  [ guard | usable stack ........ ]  hi
//                              slot    lo
//
// Guard: a quarter of the slot, at most 64 KiB: an 8 KiB frame that is not compiled with -fstack-clash-protection cannot
// jump over it in slots of 64 KiB and more. It is put before the first touch, and it is one of
//   install  MADV_GUARD_INSTALL (Linux 6.13): no mapping, ~600 ns once per slot, survives MADV_DONTNEED.
//   protect  mprotect(PROT_NONE): two mappings each, while the budget (half of vm.max_map_count) lasts. Also used when
//            the kernel refuses the first one (EINVAL in mlock'ed memory).
//   canary   64 known bytes at lo, looked at whenever the goroutine parks or ends: late, but not silent unless the goroutine
//            never does either again, or its overflow leaves these bytes alone; counted in StackStats::canaryOnly.
// Ownership: `pool.lock` protects ranges and free lists; a slot belongs to its G. Free lists are linked through the G's
// (slots of the default size stay with their dead G, see gfput in sched/proc.cpp; others come here).
// A million slots of 256 KiB need 256 GiB of addresses: ranges are reserved 64 GiB at a time, less when the kernel says
// no, down to one chunk.
#include "mem/stackalloc.hpp"

#include "arch/sanitizer_fiber.hpp"
#include "base/bits.hpp"
#include "base/check.hpp"
#include "mem/persistentalloc.hpp"
#include "os/mem_linux.hpp"
#include "os/os_linux.hpp"

namespace gort::rt {

namespace {

constexpr std::size_t kRange = std::size_t{64} << 30;
constexpr std::size_t kChunk = std::size_t{16} << 20;
constexpr std::size_t kGuardMax = std::size_t{64} << 10;
constexpr std::size_t kCanaryBytes = 64;
constexpr uint64 kCanary = 0x600752544b434154ULL;
static_assert((kMinStack << (kStackClasses - 1)) == kMaxStack);

// FreeSlot is a node of a class's free list; the nodes are persistent records, reused.
struct FreeSlot {
  FreeSlot* link;
  uintptr slot;
  bool canary;
};

struct ClassPool {
  uintptr next = 0, end = 0;  // unused part of the current chunk
  FreeSlot* free = nullptr;
};

struct {
  Mutex lock{LockRank::stackpool};
  uintptr rangeNext = 0, rangeEnd = 0;
  ClassPool cls[kStackClasses];
  FreeSlot* spareNodes = nullptr;
  StackStats stats{};
  uint64 mapBudget = 0;
} constinit pool;

constinit GuardMode guardMode = GuardMode::install;
static_assert(kMinStack << 4 == kDefaultStack);

uint64 readMaxMapCount() {
  char buf[32];
  const long fd = os::openRead("/proc/sys/vm/max_map_count");
  if (fd < 0) return 65530;
  const long n = os::read(static_cast<int>(fd), buf, sizeof buf);
  os::close(static_cast<int>(fd));
  uint64 v = 0;
  for (long i = 0; i < n && buf[i] >= '0' && buf[i] <= '9'; ++i)
    v = v * 10 + static_cast<uint64>(buf[i] - '0');
  return v;
}

// newRange reserves addresses for at least n bytes.  Requires: pool.lock.
bool newRange_locked(std::size_t n) {
  for (std::size_t want = kRange; want >= n; want /= 2) {
    void* p = os::sysReserve(want);
    if (p == nullptr) continue;
    pool.rangeNext = alignUp(reinterpret_cast<uintptr>(p), kPageSize);
    pool.rangeEnd = reinterpret_cast<uintptr>(p) + want;
    pool.stats.reservedBytes += want;
    return true;
  }
  return false;
}

// newChunk makes the next chunk of the range ready for class c.   Requires: pool.lock.
bool newChunk_locked(uint8 c) {
  const std::size_t slot = stackSlotBytes(c);
  const std::size_t n = slot > kChunk ? slot : kChunk;
  if (pool.rangeEnd - pool.rangeNext < n && !newRange_locked(n)) return false;
  void* p = reinterpret_cast<void*>(pool.rangeNext);
  if (os::sysMap(p, n) != 0) return false;
  if (os::sysNoHugePage(p, n) != 0) return false;
  pool.cls[c].next = pool.rangeNext;
  pool.cls[c].end = pool.rangeNext + n;
  pool.rangeNext += n;
  pool.stats.readyBytes += n;
  return true;
}

void writeCanary(uintptr lo) {
  auto* w = reinterpret_cast<uint64*>(lo);
  for (std::size_t i = 0; i < kCanaryBytes / sizeof(uint64); ++i) w[i] = kCanary;
}

// putGuard protects [slot, slot+n); returns how.
GuardMode putGuard(uintptr slot, std::size_t n) {
  void* p = reinterpret_cast<void*>(slot);
  if (guardMode == GuardMode::install && os::sysGuardInstall(p, n) == 0) return GuardMode::install;
  if (guardMode != GuardMode::canary) {
    lock(pool.lock);
    const bool may = pool.mapBudget >= 2;
    if (may) pool.mapBudget -= 2;
    unlock(pool.lock);
    if (may && os::sysProtectNone(p, n) == 0) return GuardMode::protect;
  }
  writeCanary(slot + n);
  return GuardMode::canary;
}

}  // namespace

constinit uint8 stackDefaultClass_ = 4;

void stackinit() {
  pool.mapBudget = readMaxMapCount() / 2;
  if (!os::features.guardInstall && guardMode == GuardMode::install) guardMode = GuardMode::protect;
}

std::size_t stackSlotBytes(uint8 cls) { return kMinStack << cls; }

std::size_t stackGuardBytes(uint8 cls) {
  const std::size_t n = stackSlotBytes(cls) / 4;
  return n < kGuardMax ? n : kGuardMax;
}

uint8 stackClassSlow(std::size_t bytes) {
  if (bytes <= kMinStack) return 0;
  if (bytes >= kMaxStack) return kStackClasses - 1;
  return static_cast<uint8>(len64((bytes - 1) / kMinStack));
}

void stackSetDefault(std::size_t bytes) { stackDefaultClass_ = stackClassOf(bytes); }

bool stackalloc(G* gp, uint8 cls) {
  lock(pool.lock);
  ClassPool& c = pool.cls[cls];
  uintptr slot;
  bool canary = false;
  const bool fresh = c.free == nullptr;
  if (!fresh) {
    FreeSlot* n = c.free;
    c.free = n->link;
    slot = n->slot;
    canary = n->canary;
    n->link = pool.spareNodes;
    pool.spareNodes = n;
  } else {
    if (c.next == c.end && !newChunk_locked(cls)) {
      unlock(pool.lock);
      return false;
    }
    slot = c.next;
    c.next += stackSlotBytes(cls);
    ++pool.stats.slots;
  }
  ++pool.stats.inUse;
  unlock(pool.lock);
  const std::size_t guard = stackGuardBytes(cls);
  if (fresh) {
    const GuardMode how = putGuard(slot, guard);
    canary = how == GuardMode::canary;
    leakRoot(slot + guard, stackSlotBytes(cls) - guard);
    lock(pool.lock);
    ++(how == GuardMode::install   ? pool.stats.guardInstalled
       : how == GuardMode::protect ? pool.stats.guardProtected
                                   : pool.stats.canaryOnly);
    unlock(pool.lock);
  }
  gp->stack = {slot + guard, slot + stackSlotBytes(cls)};
  gp->stackClass = cls;
  gp->stackCanary = canary;
  return true;
}

void stackfree(G* gp) {
  const uintptr slot = gp->stack.lo - stackGuardBytes(gp->stackClass);
  lock(pool.lock);
  FreeSlot* n = pool.spareNodes;
  if (n != nullptr) pool.spareNodes = n->link;
  unlock(pool.lock);
  if (n == nullptr) n = static_cast<FreeSlot*>(persistentalloc(sizeof(FreeSlot), alignof(FreeSlot)));
  stackUnused(gp);
  lock(pool.lock);
  n->slot = slot;
  n->canary = gp->stackCanary;
  n->link = pool.cls[gp->stackClass].free;
  pool.cls[gp->stackClass].free = n;
  --pool.stats.inUse;
  unlock(pool.lock);
  gp->stack = {};
  gp->stackClass = kNoSlot;
  gp->stackCanary = false;
}

void stackUnused(G* gp) {
  os::sysUnused(reinterpret_cast<void*>(gp->stack.lo), gp->stack.hi - gp->stack.lo);
  if (gp->stackCanary) writeCanary(gp->stack.lo);
}

void stackReleaseBelow(G* gp) {
  const uintptr end = alignDown(gp->sched.sp, kPageSize);
  uintptr from = gp->stack.lo;
  if (gp->stackCanary) from += kPageSize;  // the canary's page stays
  if (end > from) os::sysUnused(reinterpret_cast<void*>(from), end - from);
}

bool stackCanarySlow(const G* gp) {
  const auto* w = reinterpret_cast<const uint64*>(gp->stack.lo);
  for (std::size_t i = 0; i < kCanaryBytes / sizeof(uint64); ++i) {
    if (w[i] != kCanary) return false;
  }
  return true;
}

bool stackGuardHit(const G* gp, uintptr addr) {
  if (gp->stackClass == kNoSlot) return false;
  return addr < gp->stack.lo && addr >= gp->stack.lo - stackGuardBytes(gp->stackClass);
}

StackStats stackStats() {
  lock(pool.lock);
  const StackStats s = pool.stats;
  unlock(pool.lock);
  return s;
}

void stackForceGuardMode(GuardMode m) { guardMode = m; }

}  // namespace gort::rt

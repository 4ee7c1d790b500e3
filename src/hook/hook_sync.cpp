// SPDX-License-Identifier: Apache-2.0
// pthread_mutex_* and pthread_cond_*: waiting parks, and what belongs to a thread in libc belongs to the goroutine.
//
// Mutexes.  libc's own lock word stays the lock, so goroutines and plain threads exclude each other. A goroutine takes it by
//   trylock; busy: it parks in the runtime's lot at the mutex's address, and whoever unlocks through us wakes one.
//   normal, adaptive   libc lets any thread unlock them: a goroutine that has migrated too.
//   recursive,         libc's owner is a thread number; two goroutines of one thread would both come in, and the owner that
//   error-checking     has migrated could not unlock. So a goroutine that has got the lock writes its own mark over the
//                      owner: -1 - (goid mod 2^31), which is no thread's number. Only the holder writes owner and count,
//                      so "the owner is my mark" is stable for who reads it, and means: I hold it. Plain threads see an
//                      owner that is not themselves: they wait, or get EPERM. To unlock, the mark becomes the number of
//                      the thread that runs the goroutine now, and libc unlocks. (Marks repeat after 2^31 goroutines.)
//   shared between processes, robust, priority inheriting or protecting   left to libc, whose kernel side knows threads:
//                      the goroutine is locked to its thread while it holds one, and waiting blocks the thread, without
//                      its P.
//
// No lost wake-up (Dekker): the waiter counts itself in the cell of the address (seq_cst), then tries once more under the
//   lot's lock; unlock frees the word (a locked instruction), then reads the cell. One unlock does not come through us: the
//   one inside libc's pthread_cond_wait, on a plain thread. That thread first counts itself in cell.inWait (seq_cst), then
//   reads the waiters and wakes them; a waiter that sees inWait looks again every millisecond instead of sleeping on.
//   Destroyed after unlock: the address is only compared, the cell is ours.
//
// Conditions.  A goroutine never waits in libc's condition: it reads the cell's number, unlocks the mutex, and parks at the
//   condition's address unless the number has changed. signal and broadcast call libc's for the plain threads, then raise
//   the number and wake the lot. Conditions that share a cell may wake each other's waiters before they sleep: spurious
//   wake-ups, which POSIX allows. signal wakes one goroutine and one plain thread: "at least one". The condition is not
//   touched after a goroutine was woken: it may be gone. Times are taken relative to now: a jump of the wall clock does not
//   move them.
//
// glibc's layout is its ABI (bits/struct_mutex.h): __kind, __owner; of a condition, two bits of __wrefs (since 2.25).
#include "hook/hook.hpp"

#include <pthread.h>
#include <time.h>

namespace gort::hook {

namespace {

constexpr int64 kNsPerSec = 1000000000, kLookAgainNs = 1000000;

struct alignas(rt::kCacheLineSize) Cell {
  Atomic<uint32> waiters{0};   // goroutines that wait for a mutex, or are about to
  Atomic<uint32> inWait{0};    // plain threads in libc's pthread_cond_wait, or about to
  Atomic<uint32> sleepers{0};  // goroutines that wait for a condition
  Atomic<uint32> number{0};    // of signals
};
constexpr std::size_t kCells = 256;
constinit Cell cells[kCells];
Cell& cellOf(const void* p) {
  const auto a = reinterpret_cast<rt::uintptr>(p);
  return cells[(a >> 3 ^ a >> 11) % kCells];
}

enum class Kind { plain, owned, libcs };
constexpr int kTypeBits = 3, kLibcsBits = 16 | 32 | 64 | 128;  // robust, inherit, protect, shared

Kind kindOf(const pthread_mutex_t* m) {
  const int kind = rt::loadRelaxed(&m->__data.__kind);
  if ((kind & kLibcsBits) != 0) return Kind::libcs;
  const int type = kind & kTypeBits;
  return type == PTHREAD_MUTEX_RECURSIVE_NP || type == PTHREAD_MUTEX_ERRORCHECK_NP ? Kind::owned
                                                                                   : Kind::plain;
}
bool recursive(const pthread_mutex_t* m) {
  return (rt::loadRelaxed(&m->__data.__kind) & kTypeBits) == PTHREAD_MUTEX_RECURSIVE_NP;
}

int markOf(uint64 goid) { return -1 - static_cast<int>(goid & 0x7fffffff); }
bool holds(const pthread_mutex_t* m, uint64 goid) {
  return rt::loadRelaxed(&m->__data.__owner) == markOf(goid);
}
void setOwner(pthread_mutex_t* m, int owner) { rt::storeRelaxed(&m->__data.__owner, owner); }

// take is trylock for the goroutine that does not hold m.
int take(pthread_mutex_t* m, Kind kind, uint64 goid) {
  if (kind == Kind::owned && rt::loadRelaxed(&m->__data.__owner) < 0) return EBUSY;  // another goroutine's
  const int r = GORT_NEXT(pthread_mutex_trylock)(m);
  if (r == 0 && kind == Kind::owned) setOwner(m, markOf(goid));
  return r;
}

// again answers lock by who holds m already; -1: go on. An owner's mark makes it more than once.
int again(pthread_mutex_t* m, uint64 goid, bool tries) {
  if (!holds(m, goid)) return -1;
  if (!recursive(m)) return tries ? EBUSY : EDEADLK;
  if (m->__data.__count == UINT32_MAX) return EAGAIN;
  ++m->__data.__count;
  return 0;
}

struct Attempt {
  pthread_mutex_t* m;
  Kind kind;
  uint64 goid;
  int result;
  static bool busy(void* arg) {
    auto* a = static_cast<Attempt*>(arg);
    a->result = take(a->m, a->kind, a->goid);
    return a->result == EBUSY;
  }
};

// lockParking waits for m. Requires: it is not the caller's.
int lockParking(const HookTable* t, pthread_mutex_t* m, Kind kind, uint64 goid, int64 until) {
  Cell& cell = cellOf(m);
  Attempt a{m, kind, goid, EBUSY};
  cell.waiters.fetchAdd(1);
  for (;;) {
    int64 end = until;
    if (cell.inWait.load() != 0) {
      const int64 soon = t->nanotime() + kLookAgainNs;
      if (soon < end) end = soon;
    }
    const rt::LotResult r = t->lotPark(m, Attempt::busy, &a, end, rt::WaitReason::syncMutexLock);
    if (r == rt::LotResult::refused || !Attempt::busy(&a)) break;
    if (r == rt::LotResult::timeout && until != kTimeNever && t->nanotime() >= until) {
      a.result = ETIMEDOUT;
      break;
    }
  }
  cell.waiters.fetchSub(1);
  return a.result;
}

// lockPinned locks one of libc's kind.
template <class F>
int lockPinned(const HookTable* t, pthread_mutex_t* m, F lock) {
  t->pin();
  int r = GORT_NEXT(pthread_mutex_trylock)(m);
  if (r == EBUSY) r = static_cast<int>(blocking(t, lock));
  if (r != 0 && r != EOWNERDEAD) t->unpin();
  return r;
}

// lockMutex: until in nanotime; libcs is the same call on libc, for those who may block.
template <class F>
int lockMutex(const HookTable* t, pthread_mutex_t* m, uint64 goid, int64 until, F libcs) {
  const Kind kind = kindOf(m);
  if (kind == Kind::libcs) return t->canPark() ? lockPinned(t, m, libcs) : libcs();
  if (kind == Kind::owned) {
    if (const int r = again(m, goid, false); r >= 0) return r;
  }
  const int r = take(m, kind, goid);
  if (r != EBUSY) return r;
  if (t->canPark()) return lockParking(t, m, kind, goid, until);
  const int blocked = libcs();  // a goroutine inside blocking()
  if (blocked == 0 && kind == Kind::owned) setOwner(m, markOf(goid));
  return blocked;
}

void wakeLockers(pthread_mutex_t* m, bool all) {
  if (cellOf(m).waiters.load() == 0) return;
  if (const HookTable* t = table(); t != nullptr) t->lotUnpark(m, all);
}

int unlockMutex(const HookTable* t, pthread_mutex_t* m) {
  const Kind kind = kindOf(m);
  if (kind == Kind::libcs) {
    const int r = GORT_NEXT(pthread_mutex_unlock)(m);
    if (r == 0 && t->canPark()) t->unpin();
    return r;
  }
  if (kind == Kind::owned) {
    if (const uint64 goid = t->goid(); goid != 0 && holds(m, goid)) {
      if (recursive(m) && m->__data.__count > 1) {
        --m->__data.__count;
        return 0;
      }
      setOwner(m, t->tid());
    }
  }
  const int r = GORT_NEXT(pthread_mutex_unlock)(m);
  if (r == 0) wakeLockers(m, false);
  return r;
}

bool badNs(const timespec* ts) { return ts->tv_nsec < 0 || ts->tv_nsec >= kNsPerSec; }

// untilOf turns a time of a clock into one of the runtime's; never 0.
int64 untilOf(const HookTable* t, clockid_t clock, const timespec* ts) {
  timespec now{};
  clock_gettime(clock, &now);
  const int64 sec = ts->tv_sec - now.tv_sec, start = t->nanotime();
  if (sec >= (kTimeNever - start) / kNsPerSec - 1) return kTimeNever;
  const int64 until = sec < -1 ? start : start + sec * kNsPerSec + ts->tv_nsec - now.tv_nsec;
  return until < 1 ? 1 : until;
}

// ---- conditions

bool isShared(const pthread_cond_t* c) { return (rt::loadRelaxed(&c->__data.__wrefs) & 1) != 0; }
clockid_t clockOf(const pthread_cond_t* c) {
  return (rt::loadRelaxed(&c->__data.__wrefs) & 2) != 0 ? CLOCK_MONOTONIC : CLOCK_REALTIME;
}

struct Sleep {
  Cell& cell;
  uint32 number;
  static bool still(void* arg) {
    const auto* s = static_cast<const Sleep*>(arg);
    return s->cell.number.load() == s->number;
  }
};

int relock(pthread_mutex_t* m) { return pthread_mutex_lock(m); }

// waitParking is pthread_cond_wait of a goroutine.
int waitParking(const HookTable* t, pthread_cond_t* c, pthread_mutex_t* m, int64 until) {
  Cell& cell = cellOf(c);
  cell.sleepers.fetchAdd(1);
  Sleep s{cell, cell.number.load()};
  if (const int r = unlockMutex(t, m); r != 0) {
    cell.sleepers.fetchSub(1);
    return r;
  }
  const rt::LotResult r = t->lotPark(c, Sleep::still, &s, until, rt::WaitReason::syncCondWait);
  cell.sleepers.fetchSub(1);
  const int locked = relock(m);
  if (locked != 0) return locked;
  return r == rt::LotResult::timeout ? ETIMEDOUT : 0;
}

// waitPlain is pthread_cond_wait of libc, on a plain thread or for a kind of mutex or condition that is libc's.
template <class F>
int waitPlain(pthread_mutex_t* m, F libcs) {
  Cell& cell = cellOf(m);
  cell.inWait.fetchAdd(1);
  wakeLockers(m, true);  // so that they see inWait
  const int r = libcs();
  cell.inWait.fetchSub(1);
  return r;
}

// waitBlocking blocks the thread of a goroutine. Its mark on the mutex goes and comes back.
template <class F>
int waitBlocking(const HookTable* t, pthread_mutex_t* m, F libcs) {
  const uint64 goid = t->goid();
  const bool marked = kindOf(m) == Kind::owned && holds(m, goid);
  if (marked) setOwner(m, t->tid());
  const auto wait = [&] {
    const int r = waitPlain(m, libcs);
    if (marked) setOwner(m, markOf(goid));
    return r;
  };
  return t->canPark() ? static_cast<int>(blocking(t, wait)) : wait();
}

template <class F>
int condWait(pthread_cond_t* c, pthread_mutex_t* m, clockid_t clock, const timespec* end, F libcs) {
  const HookTable* t = table();
  if (t == nullptr) return libcs();
  if (t->goid() == 0) return waitPlain(m, libcs);
  if (!t->canPark() || isShared(c) || kindOf(m) == Kind::libcs) return waitBlocking(t, m, libcs);
  if (end != nullptr && badNs(end)) return EINVAL;
  return waitParking(t, c, m, end != nullptr ? untilOf(t, clock, end) : kTimeNever);
}

int notify(pthread_cond_t* c, bool all, int (*libcs)(pthread_cond_t*)) {
  const HookTable* t = table();
  Cell& cell = cellOf(c);
  const int r = libcs(c);
  if (t == nullptr) return r;
  if (cell.sleepers.load() != 0) {
    cell.number.fetchAdd(1);
    t->lotUnpark(c, all);
  }
  return r;
}

// caller is the goroutine that calls, 0: none.
uint64 caller(const HookTable* t) { return t == nullptr ? 0 : t->goid(); }

}  // namespace

}  // namespace gort::hook

using namespace gort::hook;

GORT_HOOKED int pthread_mutex_lock(pthread_mutex_t* m) {
  const HookTable* t = table();
  const uint64 goid = caller(t);
  if (goid == 0) return GORT_NEXT(pthread_mutex_lock)(m);
  return lockMutex(t, m, goid, kTimeNever, [&] { return GORT_NEXT(pthread_mutex_lock)(m); });
}

GORT_HOOKED int pthread_mutex_trylock(pthread_mutex_t* m) {
  const HookTable* t = table();
  const uint64 goid = caller(t);
  const Kind kind = goid == 0 ? Kind::libcs : kindOf(m);
  if (goid == 0) return GORT_NEXT(pthread_mutex_trylock)(m);
  if (kind == Kind::libcs)
    return t->canPark() ? lockPinned(t, m, [] { return EBUSY; }) : GORT_NEXT(pthread_mutex_trylock)(m);
  if (kind == Kind::owned) {
    if (const int r = again(m, goid, true); r >= 0) return r;
  }
  return take(m, kind, goid);
}

GORT_HOOKED int pthread_mutex_timedlock(pthread_mutex_t* m, const timespec* end) {
  const HookTable* t = table();
  const uint64 goid = caller(t);
  const auto libcs = [&] { return GORT_NEXT(pthread_mutex_timedlock)(m, end); };
  if (goid == 0 || badNs(end)) return libcs();
  return lockMutex(t, m, goid, untilOf(t, CLOCK_REALTIME, end), libcs);
}

GORT_HOOKED int pthread_mutex_clocklock(pthread_mutex_t* m, clockid_t clock, const timespec* end) {
  const HookTable* t = table();
  const uint64 goid = caller(t);
  const auto libcs = [&] { return GORT_NEXT(pthread_mutex_clocklock)(m, clock, end); };
  if (goid == 0 || badNs(end) || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC)) return libcs();
  return lockMutex(t, m, goid, untilOf(t, clock, end), libcs);
}

GORT_HOOKED int pthread_mutex_unlock(pthread_mutex_t* m) {
  const HookTable* t = table();
  if (t == nullptr) return GORT_NEXT(pthread_mutex_unlock)(m);
  return unlockMutex(t, m);
}

// The oldest version of these has another layout: libc offers it to programs of before 2002.
#define GORT_NEXT_COND(name) GORT_NEXT_VERSION(name, "GLIBC_2.3.2")

GORT_HOOKED int pthread_cond_wait(pthread_cond_t* c, pthread_mutex_t* m) {
  return condWait(c, m, CLOCK_REALTIME, nullptr, [&] { return GORT_NEXT_COND(pthread_cond_wait)(c, m); });
}

GORT_HOOKED int pthread_cond_timedwait(pthread_cond_t* c, pthread_mutex_t* m, const timespec* end) {
  return condWait(c, m, clockOf(c), end, [&] { return GORT_NEXT_COND(pthread_cond_timedwait)(c, m, end); });
}

GORT_HOOKED int pthread_cond_clockwait(pthread_cond_t* c, pthread_mutex_t* m, clockid_t clock,
                                       const timespec* end) {
  const auto libcs = [&] { return GORT_NEXT(pthread_cond_clockwait)(c, m, clock, end); };
  if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return libcs();
  return condWait(c, m, clock, end, libcs);
}

GORT_HOOKED int pthread_cond_signal(pthread_cond_t* c) {
  return notify(c, false, GORT_NEXT_COND(pthread_cond_signal));
}

GORT_HOOKED int pthread_cond_broadcast(pthread_cond_t* c) {
  return notify(c, true, GORT_NEXT_COND(pthread_cond_broadcast));
}

// SPDX-License-Identifier: Apache-2.0
// The runtime's own lock and note on the real machine: lock_futex's templates over the os floor, plus lock ranks and the
// count that makes the holder non-preemptible (M::locks, kept by lock/unlock below).
#pragma once
#include "base/dialect.hpp"
#include "base/check.hpp"
#include "base/lock_futex.hpp"
#include "os/futex.hpp"
#include "os/os_linux.hpp"
#include "os/vdso.hpp"
#include "schema/lockrank.hpp"

namespace gort::rt {

struct RealEnv {
  template <class T>
  using Atomic = rt::Atomic<T>;
  static constexpr int kSpin = 40;
  static void futexsleep(Atomic<uint32>* a, uint32 v, int64 ns) { os::futexsleep(a, v, ns); }
  static void futexwakeup(Atomic<uint32>* a, uint32 n) { os::futexwakeup(a, n); }
  static void procyield() { os::procyield(10); }
  static int64 nanotime() { return os::nanotime(); }
  static void lightBarrier() {
    if (GORT_LIKELY(os::features.membarrier)) {
      compilerBarrier();
    } else {
      fence(Order::seqCst);
    }
  }
  // releaseAndLook stores 0 to *key, which is 1, and returns *waiters, in one step. SAFETY: the two are the halves of one
  // aligned word (BasicMutex); x86 and arm64 are little-endian and order mixed sizes within a word.
  static uint32 releaseAndLook(Atomic<uint32>* key, Atomic<uint32>*) {
    return static_cast<uint32>(fetchSubPair(reinterpret_cast<uint64*>(key), 1, Order::acqRel) >> 32);
  }
  static void heavyBarrier() {
    if (os::features.membarrier) {
      os::membarrierAll();
    } else {
      fence(Order::seqCst);
    }
  }
};

using Note = BasicNote<RealEnv>;

// Mutex carries its rank in debug builds; the checker reads it. Elsewhere it is 8 bytes.
class Mutex : public BasicMutex<RealEnv> {
 public:
#if GORT_DEBUG
  constexpr explicit Mutex(LockRank r = LockRank::unranked) : rank_(r) {}
  LockRank rank() const { return rank_; }
  void setRank(LockRank r) { rank_ = r; }

 private:
  LockRank rank_;
#else
  constexpr explicit Mutex(LockRank = LockRank::unranked) {}
  void setRank(LockRank) {}
#endif
};

// lock/unlock keep M::locks, so a holder is never preempted. Runs on: any stack of a thread that has an M (others: the
// count and the rank check are skipped).
GORT_NOSPLIT void lock(Mutex& l);
GORT_NOSPLIT void unlock(Mutex& l);
GORT_NOSPLIT void unlockLast(Mutex& l);  // the lock may be gone as soon as it is free

// GORT_HOLDS repeats a "Requires: l" at run time in debug builds.
#if GORT_DEBUG
bool lockHeld(const Mutex& l);  // by this thread, as far as is known
#define GORT_HOLDS(l) GORT_CHECK(::gort::rt::lockHeld(l), "runtime: the lock " #l " is not held")
#else
#define GORT_HOLDS(l) \
  do {                \
  } while (false)
#endif

inline void noteclear(Note& n) { n.clear(); }
inline void notewakeup(Note& n) { n.wakeup(); }
inline void notesleep(Note& n) { n.sleep(); }
inline bool notetsleep(Note& n, int64 ns) { return n.tsleep(ns); }

// LockGuard for scopes that have one exit discipline.
class LockGuard {
 public:
  explicit LockGuard(Mutex& l) : l_(l) { lock(l_); }
  ~LockGuard() { unlock(l_); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Mutex& l_;
};

}  // namespace gort::rt

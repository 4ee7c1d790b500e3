// SPDX-License-Identifier: Apache-2.0
// Mutex and Note: the two blocking primitives of the runtime itself.     (Go: lock_futex.go)
//
// Mutex    key: 0 free, 1 held.  waiters: how many threads are in the slow path.
// Ownership:  the thread whose exchange turned key from 0 to 1; only it stores 0.
// Note [Asymmetric unlock]
//   lock is one exchange; unlock is two plain instructions: key.store(0, release), then a load of `waiters`. On x86 that
//   load may overtake the store, so that an unlocker could see "nobody waits" while a waiter still sees key == 1 and goes
//   to sleep: a lost wake-up. The sleeper pays for the fence instead: after it has counted itself in `waiters` it calls
//   membarrierAll(), a full barrier on every running thread. Either the unlocker's load comes after that barrier and sees
//   the waiter, or its store of 0 was before the barrier and the waiter's next exchange sees it.
//   Where the kernel has no membarrier (Env::asymmetric() == false) unlock uses a seq_cst fence.
//   Model: tests/model/mutex_model.cpp, with and without the barrier.
//   Rejected: Go's three-state word (unlock needs a locked instruction: 5 ns of the 20 that a buffered channel may cost);
//   a single waiter flag cleared by the unlocker (erases the announcement of a waiter that came between).
//
// Note     one-shot event: clear -> (asleep ->) woken. One thread sleeps on it, one wakes it, exactly once between clears.
//          The waker pays for a system call only if the sleeper has announced itself; before that it may spin.
// Neither allocates; both are constant-initialised and may live anywhere. A Mutex may be freed once its last unlock
// returned *and* nobody is in lock(); Notes likewise.
#pragma once
#include "base/atomic.hpp"
#include "base/fatal_port.hpp"
#include "base/types.hpp"

namespace gort::rt {

template <class Env>
class BasicMutex {
 public:
  constexpr BasicMutex() = default;

  bool tryLock() { return key_.exchange(1, Order::acquire) == 0; }

  void lock() {
    if (GORT_LIKELY(key_.exchange(1, Order::acquire) == 0)) return;
    lockSlow();
  }

  void unlock() {
    key_.store(0, Order::release);
    Env::lightBarrier();
    if (GORT_UNLIKELY(waiters_.load(Order::relaxed) != 0)) Env::futexwakeup(&key_, 1);
  }

  // unlockLast is unlock for a holder who has no claim on the lock's memory: from the moment the key is 0 another thread
  // may free it (a parked goroutine's commit unlocks a channel; its peer readies it; it drops the last handle). One
  // read-modify-write releases and looks; the wake-up that may follow uses the address only as a name.
  void unlockLast() {
    if (GORT_UNLIKELY(Env::releaseAndLook(&key_, &waiters_) != 0)) Env::futexwakeup(&key_, 1);
  }

  bool heldNow() const { return key_.load(Order::relaxed) != 0; }

 private:
  __attribute__((noinline)) void lockSlow() {
    for (int i = 0; i < Env::kSpin; ++i) {
      if (key_.load(Order::relaxed) == 0 && key_.exchange(1, Order::acquire) == 0) return;
      Env::procyield();
    }
    waiters_.fetchAdd(1, Order::relaxed);
    // Once is enough: until we leave, every load of waiters_ after it sees at least our 1.
    Env::heavyBarrier();
    while (key_.exchange(1, Order::acquire) != 0) Env::futexsleep(&key_, 1, -1);
    waiters_.fetchSub(1, Order::relaxed);
  }

  alignas(8) typename Env::template Atomic<uint32> key_{
      0};  // waiters_ is the upper half of the same word: releaseAndLook
  typename Env::template Atomic<uint32> waiters_{0};
};

template <class Env>
class BasicNote {
 public:
  constexpr BasicNote() = default;

  void clear() { key_.store(kClear, Order::relaxed); }

  // wakeup ends the sleep of the one sleeper, or of the next one. Release: pairs with sleep's acquire.
  void wakeup() {
    const uint32 old = key_.exchange(kWoken, Order::release);
    if (GORT_UNLIKELY(old == kWoken)) throw_("runtime: notewakeup: double wakeup");
    if (old == kAsleep) Env::futexwakeup(&key_, 1);
  }

  // sleep returns when the note is woken: false, at once or within `spin` looks; true: the thread has slept.
  bool sleep(int spin = 0) {
    if (!announce(spin)) return false;
    while (key_.load(Order::acquire) != kWoken) Env::futexsleep(&key_, kAsleep, -1);
    return true;
  }

  // tsleep waits at most ns nanoseconds (ns < 0: no limit). Returns whether the note was woken.
  bool tsleep(int64 ns) {
    if (ns < 0) {
      sleep();
      return true;
    }
    if (!announce(0)) return true;
    const int64 deadline = Env::nanotime() + ns;
    while (key_.load(Order::acquire) != kWoken) {
      if (ns <= 0) {
        uint32 asleep = kAsleep;
        return !key_.compareExchange(asleep, kClear, Order::relaxed, Order::acquire);
      }
      Env::futexsleep(&key_, kAsleep, ns);
      ns = deadline - Env::nanotime();
    }
    return true;
  }

  bool woken() const { return key_.load(Order::acquire) == kWoken; }

 private:
  static constexpr uint32 kClear = 0, kWoken = 1, kAsleep = 2;

  // announce says that the thread is going to sleep. False: woken already.
  bool announce(int spin) {
    for (; spin > 0; --spin) {
      if (key_.load(Order::acquire) == kWoken) return false;
      Env::procyield();
    }
    uint32 clear = kClear;
    return key_.compareExchange(clear, kAsleep, Order::relaxed, Order::acquire);
  }

  typename Env::template Atomic<uint32> key_{kClear};
};

}  // namespace gort::rt

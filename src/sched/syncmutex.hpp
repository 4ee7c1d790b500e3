// SPDX-License-Identifier: Apache-2.0
// The slow paths of the users' mutex, over an environment that a model can replace.      (Go: sync/mutex.go)
//
//   state   bit 0 locked | bit 1 woken: somebody is awake and after the lock | bit 2 starving | waiters << 3
//
// Normal mode: waiters queue first in, first out, but one that is woken competes with new arrivals, who are
// running already and usually win: throughput. A waiter that has waited 1 ms turns on starvation mode: unlock
// hands the lock to the first waiter, new arrivals queue. The last waiter, or one that waited less than 1 ms,
// turns it off.
//
// Note [Tokens of a mutex]: an unlock that finds waiters takes one off the count and adds a token to the
// semaphore, in that order. So in normal mode   goroutines that wait == waiters + tokens,   and with waiters
// == 0 whoever still waits has a token on the way: it may not give up. In starvation mode the receiver itself
// takes the count down, so a free starving mutex with one waiter belongs to that waiter.
// No access after publish: one compare-and-swap both frees the lock and takes the waiter off the count. If
// there is one, it cannot leave before its token comes, so the object is still there when the token is added.
// Model:      tests/model/syncmutex_model.cpp
#pragma once
#include "base/atomic.hpp"
#include "base/types.hpp"

namespace gort::rt {

template <class Env>
class SyncMutex {
 public:
  using Word = typename Env::template Atomic<uint32>;
  using Waiter = typename Env::Waiter;  // names the wait, so that it may be given up; passed by value

  static constexpr uint32 kLocked = 1, kWoken = 2, kStarving = 4, kWaiter = 8;
  static constexpr int64 kStarvationNs = 1000000;

  // lockSlow locks; false: the waiter was aborted. Requires: the fast path failed.
  static bool lockSlow(Word& state, Word& sema, Waiter w) {
    int64 waitStart = 0;
    bool starving = false, awoke = false;
    int iter = 0;
    uint32 old = state.load(Order::relaxed);
    for (;;) {
      if ((old & (kLocked | kStarving)) == kLocked && Env::canSpin(iter)) {
        // Tell unlock not to wake others: somebody is awake.
        if (!awoke && (old & kWoken) == 0 && old >= kWaiter && state.cas(old, old | kWoken, Order::relaxed))
          awoke = true;
        Env::doSpin();
        ++iter;
        old = state.load(Order::relaxed);
        continue;
      }
      const bool wait = (old & (kLocked | kStarving)) != 0;
      uint32 now = wait ? old + kWaiter : old | kLocked;  // nobody takes a starving mutex past its queue
      if (starving && (old & kLocked) != 0) now |= kStarving;
      if (awoke) now &= ~kWoken;
      if (!state.compareExchange(old, now, Order::acquire)) continue;
      if (!wait) return true;
      const bool lifo = waitStart != 0;  // who waited before goes to the front
      if (waitStart == 0) waitStart = Env::nanotime();
      if (!Env::wait(sema, w, lifo)) return false;
      starving = starving || Env::nanotime() - waitStart > kStarvationNs;
      old = state.load(Order::relaxed);
      if ((old & kStarving) != 0) {
        takeHandedOver(state, old, starving);
        return true;
      }
      awoke = true;
      iter = 0;
    }
  }

  // unlock frees the lock and wakes a waiter if need be; false: it was not locked.
  static bool unlock(Word& state, Word& sema) {
    uint32 old = state.load(Order::relaxed);
    for (;;) {
      if ((old & kLocked) == 0) return false;
      uint32 now = old - kLocked;
      const bool handOff = (old & kStarving) != 0;
      const bool wake = !handOff && now >= kWaiter && (now & kWoken) == 0;
      if (wake) now = (now - kWaiter) | kWoken;
      if (!state.compareExchange(old, now, Order::release)) continue;
      if (wake || handOff) Env::wake(sema, handOff);
      return true;
    }
  }

  // giveUp takes a waiter that wants to leave off the count; false: its token is on the way. See Note [Tokens
  // of a mutex].
  static bool giveUp(Word& state) {
    uint32 old = state.load(Order::relaxed);
    for (;;) {
      if (old < kWaiter) return false;
      const bool last = old < 2 * kWaiter;
      if (last && (old & (kStarving | kLocked)) == kStarving) return false;
      uint32 now = old - kWaiter;
      if (last) now &= ~kStarving;
      if (state.compareExchange(old, now, Order::relaxed)) return true;
    }
  }

 private:
  // The unlocker left the mutex free and starving for us: nobody else takes it.
  static void takeHandedOver(Word& state, uint32 old, bool starving) {
    if ((old & (kLocked | kWoken)) != 0 || old < kWaiter) Env::inconsistent();
    uint32 delta = kLocked - kWaiter;
    // Leave starvation mode: it costs a switch for each lock. Two goroutines would otherwise alternate for
    // ever.
    if (!starving || old < 2 * kWaiter) delta -= kStarving;
    state.fetchAdd(delta, Order::relaxed);  // the token that was handed over carries the order
  }
};

}  // namespace gort::rt

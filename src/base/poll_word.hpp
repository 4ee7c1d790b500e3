// SPDX-License-Identifier: Apache-2.0
// PollWord: where one goroutine waits for one direction of a file descriptor.      (Go: netpoll.go, pollDesc.rg and .wg)
// Values:     nil     nobody waits, nothing happened        ready   the kernel said so, nobody has looked yet
//             wait    somebody is about to park             T*      he is parked
// Ownership:  reset, begin, commit, end - the one waiter of the direction (callers serialise; the commit runs on g0).
//             unblock - anyone.
// Invariants: a T* is handed out once, to the unblock whose CAS took it away: exactly one wake-up.
// Ordering:   A stop condition (closed, deadline passed) is stored, then a full fence, then unblock looks at the word; the
//             waiter moves the word to `wait`, then a full fence, then looks at the condition (begin): one of the two sees
//             the other's store (Dekker). commit.cas(release) <-> unblock.cas(acquire): the parked goroutine's state.
// Model:      tests/model/poll_model.cpp.
#pragma once
#include "base/atomic.hpp"
#include "base/types.hpp"

namespace gort::rt {

template <class Env, class T>
class PollWord {
  template <class V>
  using Atomic = typename Env::template Atomic<V>;
  static constexpr uintptr kNil = 0, kReady = 1, kWait = 2;

 public:
  // reset forgets a readiness that came before the attempt that is about to be made. Runs on: the waiter.
  void reset() { v_.store(kNil, Order::relaxed); }

  enum class Begin : uint8 { ready, wait, twice };
  // begin: ready - try again at once; wait - look at the stop conditions, then park with commit, then call end;
  // twice - somebody waits here already.
  Begin begin() {
    for (;;) {
      uintptr v = kReady;
      if (v_.compareExchange(v, kNil, Order::acquire)) return Begin::ready;
      v = kNil;
      if (v_.compareExchange(v, kWait, Order::relaxed)) {
        Env::fence(Order::seqCst);
        return Begin::wait;
      }
      if (v != kReady && v != kNil) return Begin::twice;
    }
  }
  // commit puts the parked t in. False: an unblock came first, do not park.
  bool commit(T* t) {
    uintptr v = kWait;
    return v_.compareExchange(v, reinterpret_cast<uintptr>(t), Order::release);
  }
  // end returns whether the wait ended because of I/O.
  bool end() { return v_.exchange(kNil, Order::acquire) == kReady; }

  // unblock wakes the waiter: because of I/O (io), or after a stop condition was stored and a full fence. Returns who must
  // be readied, or nullptr.
  T* unblock(bool io) {
    uintptr v = v_.load(Order::relaxed);
    for (;;) {
      if (v == kReady || (v == kNil && !io)) return nullptr;
      if (v_.compareExchange(v, io ? kReady : kNil, Order::acqRel)) {
        return v == kNil || v == kWait ? nullptr : reinterpret_cast<T*>(v);
      }
    }
  }

 private:
  Atomic<uintptr> v_{kNil};
};

}  // namespace gort::rt

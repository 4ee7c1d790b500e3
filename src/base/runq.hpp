// SPDX-License-Identifier: Apache-2.0
// Run queue of one P: a ring for its owner, stolen from by others.      (Go: proc.go, runqput..runqsteal)
// Ownership:  tail - owner P only.   head - anyone, by CAS.   slots - relaxed atomics: a thief copies first, owns if its
//             CAS wins.   runnext - anyone, by CAS; only the owner makes it non-null.
// Invariants: (1) tail - head <= kSize.  (2) runnext is never also in the ring.
// Ordering:   put: slot, then tail.store(release)  <-> steal: tail.load(acquire).
//             steal: slots read, head.cas(release) <-> put, get: head.load(acquire), before the slots are reused.
//             put: runnext.cas(release)            <-> steal: runnext.cas(acquire): publishes the element as the ring does.
//             get: tail of an earlier put, runnext.cas(release) to null <-> empty: runnext.load(acquire), tail again.
// Env::exclusive() says that there is only one P, hence no thief: the owner then uses plain stores (5 ns a switch).
//             It changes only while the world is stopped.
// Model:      tests/model/runq_model.cpp, ring of 4.
// Rejected:   one global locked queue (contention); Chase-Lev with growth (needs reclamation).
#pragma once
#include "base/atomic.hpp"
#include "base/types.hpp"

namespace gort::rt {

template <class Env, class T, uint32 kSize>
class RunQueue {
  static_assert(kSize >= 2 && (kSize & (kSize - 1)) == 0, "RunQueue: indices wrap at 2^32");

 public:
  static constexpr uint32 kBatch = kSize / 2 + 1;

  // tryPut adds gp at the tail, or as the next to run (the old next is then kicked to the tail). Returns nullptr, or the
  // element that found the ring full: the caller passes it to putSlow. *byRmw = true if a read-modify-write was the last
  // thing it did (never with Env::exclusive()).   Runs on: the owner.
  T* tryPut(T* gp, bool next, bool* byRmw = nullptr) {
    if (next) {
      T* old = swapNext(gp);
      if (old == nullptr) {
        if (byRmw != nullptr) *byRmw = true;
        return nullptr;
      }
      gp = old;
    }
    const uint32 h = head_.load(Order::acquire);
    const uint32 t = tail_.load(Order::relaxed);
    if (GORT_UNLIKELY(t - h >= Env::runqLimit(kSize))) return gp;
    slots_[t % kSize].store(gp, Order::relaxed);
    tail_.store(t + 1, Order::release);
    return nullptr;
  }

  // putSlow moves half of the full ring, then gp, to out[0..n) and returns n; 0: there is room again and gp is in it.
  // Runs on: the owner. Requires: out has room for kBatch.
  uint32 putSlow(T* gp, T** out) {
    for (;;) {
      const uint32 h = head_.load(Order::relaxed);
      const uint32 t = tail_.load(Order::relaxed);
      if (t - h >= Env::runqLimit(kSize)) {
        if (const uint32 n = takeHalf(gp, h, t, out); n != 0) return n;
      } else if (tryPut(gp, false) == nullptr) {
        return 0;
      }
    }
  }

  // put is both; what a test or model calls.
  uint32 put(T* gp, bool next, T** out) {
    T* left = tryPut(gp, next);
    return left == nullptr ? 0 : putSlow(left, out);
  }

  // get takes the next element to run; *inherit: it was runnext and continues the current time slice.
  // Runs on: the owner.
  T* get(bool* inherit) {
    T* next = runnext_.load(Order::relaxed);
    if (next != nullptr && takeNext(next)) {
      *inherit = true;
      return next;
    }
    *inherit = false;
    for (;;) {
      uint32 h = head_.load(Order::acquire);
      if (h == tail_.load(Order::relaxed)) return nullptr;
      T* gp = slots_[h % kSize].load(Order::relaxed);
      if (Env::exclusive()) {
        head_.store(h + 1, Order::relaxed);
        return gp;
      }
      if (head_.compareExchange(h, h + 1, Order::relaxed)) return gp;  // only we reuse slots
    }
  }

  // rotate puts gp at the tail and takes the head: a yield in one step. nullptr: not possible here, nothing was changed.
  // Runs on: the owner, the only P (Env::exclusive()); thieves come only after the world was stopped, so nothing is ordered.
  T* rotate(T* gp) {
    const uint32 h = head_.load(Order::relaxed);
    const uint32 t = tail_.load(Order::relaxed);
    if (GORT_UNLIKELY(runnext_.load(Order::relaxed) != nullptr || h == t || t - h >= kSize)) return nullptr;
    T* next = slots_[h % kSize].load(Order::relaxed);
    slots_[t % kSize].store(gp, Order::relaxed);
    tail_.store(t + 1, Order::relaxed);
    head_.store(h + 1, Order::relaxed);
    return next;
  }

  // steal moves half of the ring to the thief's own ring and returns one element of it, nullptr if there was nothing.
  // takeRunnext: also take the victim's next. Runs on: the owner of `thief`.
  T* steal(RunQueue& thief, bool takeRunnext) {
    const uint32 t = thief.tail_.load(Order::relaxed);
    uint32 n = grab(thief.slots_, t, takeRunnext);
    if (n == 0) return nullptr;
    --n;
    T* gp = thief.slots_[(t + n) % kSize].load(Order::relaxed);
    if (n == 0) return gp;
    thief.tail_.store(t + n, Order::release);
    return gp;
  }

  // empty may be called by anyone; a put that moves an element from runnext to the ring is never seen as empty.
  bool empty() const {
    for (;;) {
      const uint32 h = head_.load(Order::relaxed);
      const uint32 t = tail_.load(Order::relaxed);
      T* next = runnext_.load(Order::acquire);  // null: sees the tail of the put before
      if (t == tail_.load(Order::relaxed)) return h == t && next == nullptr;
    }
  }
  uint32 size() const {
    const uint32 n = tail_.load(Order::relaxed) - head_.load(Order::relaxed);
    return n + (runnext_.load(Order::relaxed) != nullptr ? 1 : 0);
  }
  bool hasNext() const { return runnext_.load(Order::relaxed) != nullptr; }
  // inRing counts the elements behind runnext. Runs on: the owner.
  uint32 inRing() const { return tail_.load(Order::relaxed) - head_.load(Order::relaxed); }

 private:
  T* swapNext(T* gp) {
    T* old = runnext_.load(Order::relaxed);
    if (Env::exclusive()) {
      runnext_.store(gp, Order::relaxed);
      return old;
    }
    while (!runnext_.compareExchange(old, gp, Order::release)) {
    }
    return old;
  }
  bool takeNext(T* next) {
    if (Env::exclusive()) {
      runnext_.store(nullptr, Order::release);
      return true;
    }
    return runnext_.compareExchange(next, nullptr, Order::release);
  }

  uint32 takeHalf(T* gp, uint32 h, uint32 t, T** out) {
    const uint32 n = (t - h) / 2;
    if (n == 0) {  // a limit of 1 (chaos): everything overflows
      out[0] = gp;
      return 1;
    }
    for (uint32 i = 0; i < n; ++i) out[i] = slots_[(h + i) % kSize].load(Order::relaxed);
    if (!head_.compareExchange(h, h + n, Order::relaxed)) return 0;
    out[n] = gp;
    return n + 1;
  }

  template <class Slots>
  uint32 grab(Slots& batch, uint32 batchHead, bool takeRunnext) {
    for (;;) {
      uint32 h = head_.load(Order::relaxed);
      const uint32 t = tail_.load(Order::acquire);
      uint32 n = t - h;
      n = n - n / 2;
      if (n == 0) {
        if (!takeRunnext) return 0;
        T* next = runnext_.load(Order::relaxed);
        if (next == nullptr) return 0;
        if (!runnext_.compareExchange(next, nullptr, Order::acquire)) continue;
        batch[batchHead % kSize].store(next, Order::relaxed);
        return 1;
      }
      if (n > kSize / 2) continue;  // h and t were read at different times, t may even be the older
      for (uint32 i = 0; i < n; ++i) {
        batch[(batchHead + i) % kSize].store(slots_[(h + i) % kSize].load(Order::relaxed), Order::relaxed);
      }
      if (head_.compareExchange(h, h + n, Order::release)) return n;
    }
  }

  typename Env::template Atomic<uint32> head_{0};
  typename Env::template Atomic<uint32> tail_{0};
  typename Env::template Atomic<T*> runnext_{nullptr};
  typename Env::template Atomic<T*> slots_[kSize]{};
};

}  // namespace gort::rt

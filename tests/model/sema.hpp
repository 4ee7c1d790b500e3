// SPDX-License-Identifier: Apache-2.0
// Transcription of semaphores (src/sched/sema.cpp: cansemacquire, semacquireAs, semrelease1, semaAbort), for
// sema_model and for the protocols that stand on them. One root, one address; the treap is a plain list; the
// root's lock is abstract. Mutation numbers from 101, so that a user's own do not clash.
#pragma once
#include "model/explorer.hpp"

namespace model {

struct SemaWaiter {
  Parker parker;
  bool parked = false, granted = false, aborted = false, wantAbort = false;  // by the root's lock
  bool (*giveUp)(SemaWaiter& w) = nullptr;
  void* arg = nullptr;
};

class SemaRoot {
 public:
  SemaRoot() { nwait.named("nwait"); }

  static bool cansemacquire(Atomic<uint32_t>& addr) {
    uint32_t v = addr.load(GORT_MUT(101) ? Order::acquire : Order::seqCst);
    while (v != 0) {
      if (addr.compareExchange(v, v - 1, GORT_ORD(102, acquire))) return true;
    }
    return false;
  }

  // acquire returns false if it was aborted.
  bool acquire(SemaWaiter& w, Atomic<uint32_t>& addr, bool lifo = false) {
    if (cansemacquire(addr)) return true;
    for (;;) {
      lock.lock();
      if (!GORT_MUT(103)) nwait.fetchAdd(1, GORT_MUT(104) ? Order::acqRel : Order::seqCst);
      const bool got = !GORT_MUT(105) && cansemacquire(addr);
      if (got || (w.wantAbort && (w.giveUp == nullptr || w.giveUp(w)))) {
        if (!GORT_MUT(106)) nwait.fetchSub(1, Order::relaxed);
        lock.unlock();
        return got;
      }
      push(w, lifo);
      w.parked = true;
      w.granted = w.aborted = false;
      w.parker.announce();  // goparkunlock
      lock.unlock();
      w.parker.block();
      if (w.aborted) return false;
      if (w.granted) return true;
      if (GORT_MUT(107)) return true;  // woken means granted: but a newcomer may have taken the token
      if (cansemacquire(addr)) return true;
    }
  }
  bool acquire(Atomic<uint32_t>& addr, bool lifo = false) {
    if (cansemacquire(addr)) return true;
    SemaWaiter w;
    return acquire(w, addr, lifo);
  }

  void release(Atomic<uint32_t>& addr, bool handoff = false) {
    if (handoff) return handOff(addr);
    addr.fetchAdd(1, GORT_MUT(108) ? Order::release : Order::seqCst);
    if (nwait.load(GORT_MUT(109) ? Order::acquire : Order::seqCst) == 0) return;
    lock.lock();
    SemaWaiter* w = takeFront(false);
    lock.unlock();
    if (w != nullptr) w->parker.ready();
  }

  void abort(SemaWaiter& w) {
    bool wake = false;
    lock.lock();
    if (!w.parked) {
      w.wantAbort = true;
    } else if (w.giveUp == nullptr || w.giveUp(w)) {
      remove(w);
      nwait.fetchSub(1, Order::relaxed);
      w.aborted = wake = true;
    } else {
      w.wantAbort = true;
    }
    lock.unlock();
    if (wake) w.parker.ready();
  }

  bool quiet() { return n_ == 0 && nwait.load(Order::relaxed) == 0; }

  Lock lock{"root.lock"};
  Atomic<uint32_t> nwait{0};

 private:
  void handOff(Atomic<uint32_t>& addr) {
    lock.lock();
    SemaWaiter* w = takeFront(true);
    if (w == nullptr) addr.fetchAdd(1, Order::seqCst);
    lock.unlock();
    if (w != nullptr) w->parker.ready();
  }
  void push(SemaWaiter& w, bool lifo) {
    int i = n_++;
    for (; lifo && i > 0; --i) queue_[i] = queue_[i - 1];
    queue_[i] = &w;
  }
  void remove(SemaWaiter& w) {
    int i = 0;
    while (queue_[i] != &w) ++i;
    for (--n_; i < n_; ++i) queue_[i] = queue_[i + 1];
    w.parked = false;
  }
  SemaWaiter* takeFront(bool granted) {
    if (n_ == 0) return nullptr;
    SemaWaiter* w = queue_[0];
    remove(*w);
    nwait.fetchSub(1, Order::relaxed);
    w->granted = granted;
    return w;
  }
  SemaWaiter* queue_[kMaxThreads] = {};
  int n_ = 0;
};

}  // namespace model

// SPDX-License-Identifier: Apache-2.0
// Sleeping semaphores, notify lists, and the parking lot below them: what sync is made of.     (Go: sema.go)
// The essay is in sema.cpp.
#pragma once
#include "schema/runtime2.hpp"
#include "sched/time.hpp"

namespace gort::rt {

class SemaRoot;

// SemaWaiter is one goroutine waiting at one address. It lives on the stack of that goroutine, is immovable,
// and may be used for several waits in a row. All fields by the lock of the root of `addr`, except that the
// waiter itself reads the results after it was woken.
struct SemaWaiter {
  G* g = nullptr;
  const void* addr = nullptr;
  // queue: the head of a list is the node of the treap
  SemaWaiter* next = nullptr;
  SemaWaiter* prev = nullptr;
  SemaWaiter* tail = nullptr;
  SemaWaiter* parent = nullptr;
  SemaWaiter* child[2] = {nullptr, nullptr};
  uint32 priority = 0;
  bool queued = false;
  bool parked = false;     // queued and asleep (or on the way): whoever dequeues it must ready g
  bool counted = false;    // in root.nwait: a semaphore's waiter
  bool wantAbort = false;  // semaAbort came while it was not parked
  // results
  bool granted = false;  // woken with what it waited for
  bool aborted = false;  // woken by semaAbort
  // for the primitive
  int64 aux = 0;
  void* arg = nullptr;
  // giveUp: may this waiter leave its semaphore empty-handed? false: a token is under way and must be
  // awaited.
  bool (*giveUp)(SemaWaiter& w) = nullptr;
  // leave takes w, which is queued, out of a primitive of the lot; adds whom that lets in to `ready`.
  void (*leave)(SemaRoot& root, SemaWaiter& w, GQueue& ready) = nullptr;

  SemaWaiter() = default;
  SemaWaiter(const SemaWaiter&) = delete;
  SemaWaiter& operator=(const SemaWaiter&) = delete;
};

// SemaRoot: one of 251 treaps of waiting addresses, each with a first-in, first-out list. All but nwait by
// lock.
class SemaRoot {
 public:
  Mutex lock{LockRank::sudogSema};
  Atomic<uint32> nwait{0};  // semaphore waiters; read without the lock, see Ordering in sema.cpp

  void push(SemaWaiter& w, bool lifo);        // Requires: w.addr set
  SemaWaiter* front(const void* addr) const;  // nullptr: nobody waits there
  void remove(SemaWaiter& w);
  // park lets the current goroutine wait as w, which it has pushed. Releases the lock.
  void park(SemaWaiter& w, WaitReason reason);
  bool isValid() const { return validBelow(treap_, nullptr); }

 private:
  void link(SemaWaiter* parent, SemaWaiter* old, SemaWaiter* now);
  void rotateUp(SemaWaiter& w);
  void takeOut(SemaWaiter& w);
  static bool validBelow(const SemaWaiter* w, const SemaWaiter* parent);

  SemaWaiter* treap_ = nullptr;
};
SemaRoot& semrootOf(const void* addr);

// semaAbort ends the wait of w, now or, if it does not wait yet, at its next attempt. Any goroutine, g0,
// timers. Requires: w lives until this returns.
void semaAbort(SemaWaiter& w);
// readyAll makes the collected goroutines runnable. Requires: no root locked.
void readyAll(GQueue& list);

// SemaTimeout aborts w at a point in time, as long as it lives; kTimeNever: never.
class SemaTimeout {
 public:
  SemaTimeout(SemaWaiter& w, int64 until);
  ~SemaTimeout();
  SemaTimeout(const SemaTimeout&) = delete;
  SemaTimeout& operator=(const SemaTimeout&) = delete;

 private:
  Timer timer_;
  bool armed_ = false;
};

// ---- semaphores. Runs on: a goroutine, or a foreign thread inside Entry.
struct SemaOptions {
  bool lifo = false;
  WaitReason reason = WaitReason::semacquire;
  int64 until = kTimeNever;  // give up at this time
};
// semacquire1 waits until *addr > 0 and takes one. Returns false when `until` passed first. Parks.
bool semacquire1(Atomic<uint32>* addr, const SemaOptions& o);
inline void semacquire(Atomic<uint32>* addr) { semacquire1(addr, {}); }
// semacquireAs is semacquire1 with a waiter that somebody may abort. Returns false when it was.
bool semacquireAs(SemaWaiter& w, Atomic<uint32>* addr, bool lifo, WaitReason reason);
// semrelease adds one and wakes one waiter; handoff: that waiter gets it for sure and runs at once on this P.
// Touches *addr for the last time when it adds.
void semrelease1(Atomic<uint32>* addr, bool handoff);
inline void semrelease(Atomic<uint32>* addr) { semrelease1(addr, false); }

// ---- notify lists: a condition's waiters in the order of notifyListAdd.
struct NotifyList {
  Atomic<uint32> nwait{0};
};
// notifyListAdd enters w; from here on, notifications reach it. notifyListWait waits for one; false: aborted.
// notifyListCancel leaves without waiting, and passes on a notification that came in between.
void notifyListAdd(NotifyList& l, SemaWaiter& w);
bool notifyListWait(NotifyList& l, SemaWaiter& w, WaitReason reason);
void notifyListCancel(NotifyList& l, SemaWaiter& w);
void notifyListNotifyAll(NotifyList& l);
void notifyListNotifyOne(NotifyList& l);

}  // namespace gort::rt

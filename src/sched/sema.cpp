// SPDX-License-Identifier: Apache-2.0
// Sleeping semaphores, notify lists, and the parking lot below them.      (Go: sema.go)
//
//   semaphore    acquire: *addr > 0 ? take one : sleep at addr     release: add one, wake one who sleeps at addr
//   notify list  add: enter the list     wait: sleep until notified     notify: wake the first
//   lot          a primitive (rw_mutex, semaphore) decides under the root's lock who sleeps and who is let in
//
// The lot: 251 roots, chosen by address. A root holds a treap (a binary tree by address and a heap by random
// priority) of the addresses where somebody waits; each node is the head of the list of those who wait there,
// in order.
//
//        root.treap_ -> [addr 40, head] --child--> [addr 88, head] ...
//                            |next
//                       [second] <-> [third]        head->tail is the last
//
// Ownership:  a waiter lies on its goroutine's stack. Queued, it belongs to the root's lock; who dequeues a
//             parked one readies its goroutine, exactly once, after the unlock.
// No access after publish: a woken goroutine may destroy the object at once. So the queues live in the eternal
//             roots, addr is only compared, and a release touches *addr for the last time when it adds the
//             token; a handed over token is never added at all.
// Ordering:   release: *addr + 1 (seq_cst), then nwait.load (seq_cst)   <->   acquire: nwait + 1, then *addr
//             (both seq_cst, under the lock). One of the two sees the other: no wake-up is lost. (Store
//             buffering.) notify: nwait.load <-> notifyListAdd: nwait + 1, ordered by the lock of the
//             condition's user.
// Giving up:  timers and contexts abort a waiter. Under the root's lock a queued one leaves only if its
//             primitive agrees (giveUp): a mutex whose unlock has already counted on this waiter must let it
//             have the token.
// Model:      tests/model/sema_model.cpp
// Rejected:   Go's notify tickets: a waiter that times out leaves a hole in the sequence, which swallows a
//             notification; here a waiter enters the list when Go draws the ticket. A lock in each object:
//             the last unlock would touch it after publishing.
#include "sched/sema.hpp"

#include "base/check.hpp"
#include "sched/proc.hpp"

namespace gort::rt {
namespace {

constexpr uintptr kSemTabSize = 251;  // prime: addresses are multiples of powers of two

struct alignas(kCacheLineSize) PaddedRoot {
  SemaRoot root;
};
static_assert(sizeof(PaddedRoot) % kCacheLineSize == 0);

constinit PaddedRoot semtable[kSemTabSize];

// cansemacquire takes a token if there is one. Acquire: pairs with the release that added it.
bool cansemacquire(Atomic<uint32>* addr) {
  uint32 v = addr->load(Order::seqCst);
  while (v != 0) {
    if (addr->compareExchange(v, v - 1, Order::acqRel)) return true;
  }
  return false;
}

bool below(const void* a, const void* b) {
  return reinterpret_cast<uintptr>(a) < reinterpret_cast<uintptr>(b);
}

}  // namespace

SemaRoot& semrootOf(const void* addr) {
  return semtable[(reinterpret_cast<uintptr>(addr) >> 3) % kSemTabSize].root;
}

// ---- the treap of lists

// link makes `now` stand where `old` stood below parent.
void SemaRoot::link(SemaWaiter* parent, SemaWaiter* old, SemaWaiter* now) {
  if (parent == nullptr) {
    treap_ = now;
  } else {
    parent->child[parent->child[1] == old ? 1 : 0] = now;
  }
  if (now != nullptr) now->parent = parent;
}

// rotateUp exchanges w with its parent and keeps the order of addresses.
void SemaRoot::rotateUp(SemaWaiter& w) {
  SemaWaiter* p = w.parent;
  const int side = p->child[1] == &w ? 1 : 0;
  SemaWaiter* inner = w.child[1 - side];
  link(p->parent, p, &w);
  p->child[side] = inner;
  if (inner != nullptr) inner->parent = p;
  w.child[1 - side] = p;
  p->parent = &w;
}

SemaWaiter* SemaRoot::front(const void* addr) const {
  SemaWaiter* w = treap_;
  while (w != nullptr && w->addr != addr) w = w->child[below(w->addr, addr) ? 1 : 0];
  return w;
}

void SemaRoot::push(SemaWaiter& w, bool lifo) {
  GORT_DCHECK(!w.queued, "runtime: semaphore waiter queued twice");
  w.queued = true;
  w.parked = true;
  w.granted = w.aborted = false;
  w.next = w.prev = w.parent = w.child[0] = w.child[1] = nullptr;
  w.tail = &w;
  SemaWaiter* parent = nullptr;
  SemaWaiter* head = treap_;
  while (head != nullptr && head->addr != w.addr) {
    parent = head;
    head = head->child[below(head->addr, w.addr) ? 1 : 0];
  }
  if (head == nullptr) {  // a new address: a leaf, rotated up to its priority
    w.priority = cheaprandn(UINT32_MAX) | 1;
    w.parent = parent;
    if (parent == nullptr) {
      treap_ = &w;
    } else {
      parent->child[below(parent->addr, w.addr) ? 1 : 0] = &w;
    }
    while (w.parent != nullptr && w.parent->priority > w.priority) rotateUp(w);
    return;
  }
  if (!lifo) {
    w.prev = head->tail;
    head->tail->next = &w;
    head->tail = &w;
    return;
  }
  w.next = head;  // last in, first out: w becomes the node
  head->prev = &w;
  w.tail = head->tail;
  w.priority = head->priority;
  link(head->parent, head, &w);
  for (int i = 0; i < 2; ++i) {
    w.child[i] = head->child[i];
    if (w.child[i] != nullptr) w.child[i]->parent = &w;
  }
}

// takeOut removes the node w, whose list is empty but for w, from the treap.
void SemaRoot::takeOut(SemaWaiter& w) {
  while (w.child[0] != nullptr || w.child[1] != nullptr) {
    SemaWaiter* up = w.child[0];
    if (up == nullptr || (w.child[1] != nullptr && w.child[1]->priority < up->priority)) up = w.child[1];
    rotateUp(*up);
  }
  link(w.parent, &w, nullptr);
}

void SemaRoot::remove(SemaWaiter& w) {
  GORT_DCHECK(w.queued, "runtime: semaphore waiter is not queued");
  w.queued = w.parked = false;
  if (w.prev != nullptr) {  // not the head
    w.prev->next = w.next;
    if (w.next != nullptr) {
      w.next->prev = w.prev;
    } else {
      front(w.addr)->tail = w.prev;
    }
    return;
  }
  SemaWaiter* second = w.next;
  if (second == nullptr) {
    takeOut(w);
    return;
  }
  second->prev = nullptr;
  second->tail = w.tail;
  second->priority = w.priority;
  link(w.parent, &w, second);
  for (int i = 0; i < 2; ++i) {
    second->child[i] = w.child[i];
    if (second->child[i] != nullptr) second->child[i]->parent = second;
  }
}

bool SemaRoot::validBelow(const SemaWaiter* w, const SemaWaiter* parent) {
  if (w == nullptr) return true;
  if (w->parent != parent || w->prev != nullptr || !w->queued) return false;
  if (parent != nullptr && parent->priority > w->priority) return false;
  const SemaWaiter* last = w;
  for (const SemaWaiter* s = w->next; s != nullptr; last = s, s = s->next) {
    if (s->prev != last || s->addr != w->addr || !s->queued) return false;
  }
  if (w->tail != last) return false;
  if (w->child[0] != nullptr && !below(w->child[0]->addr, w->addr)) return false;
  if (w->child[1] != nullptr && !below(w->addr, w->child[1]->addr)) return false;
  return validBelow(w->child[0], w) && validBelow(w->child[1], w);
}

// ---- sleeping and waking

void SemaRoot::park(SemaWaiter& w, WaitReason reason) {
  GORT_XCHECK(isValid(), "runtime: semaphore treap corrupted");
  GORT_DCHECK(w.g == getg() && w.parked, "runtime: parking as somebody else");
  goparkunlock(lock, reason);
}

void readyAll(GQueue& list) {
  bool next = true;  // the first runs next on this P, the others queue behind what is runnable
  while (G* gp = list.pop()) {
    readyWithNext(gp, next);
    next = false;
  }
}

void semaAbort(SemaWaiter& w) {
  GQueue ready;
  SemaRoot& root = semrootOf(w.addr);
  lock(root.lock);
  if (!w.parked) {
    w.wantAbort = true;
  } else if (w.giveUp == nullptr || w.giveUp(w)) {
    if (w.leave != nullptr) {
      w.leave(root, w, ready);
    } else {
      root.remove(w);
      if (w.counted) root.nwait.fetchSub(1, Order::relaxed);
    }
    w.aborted = true;
    ready.push(w.g);
  } else {
    w.wantAbort = true;
  }
  unlock(root.lock);
  readyAll(ready);
}

SemaTimeout::SemaTimeout(SemaWaiter& w, int64 until) {
  if (until == kTimeNever) return;
  armed_ = true;
  timerInit(
      timer_, [](void* arg, uint64, int64) { semaAbort(*static_cast<SemaWaiter*>(arg)); }, &w);
  timerSetSlack(timer_, -1);
  timerModify(timer_, until < 1 ? 1 : until, 0);
}

SemaTimeout::~SemaTimeout() {
  if (armed_) timerStop(timer_);
}

// ---- semaphores

bool semacquireAs(SemaWaiter& w, Atomic<uint32>* addr, bool lifo, WaitReason reason) {
  if (cansemacquire(addr)) return true;
  GORT_DCHECK(w.addr == nullptr || w.addr == addr, "runtime: semaphore waiter used for two addresses");
  w.g = getg();
  if (w.addr == nullptr) w.addr = addr;  // else an aborter may be reading it
  w.counted = true;
  SemaRoot& root = semrootOf(addr);
  for (;;) {
    lock(root.lock);
    root.nwait.fetchAdd(1, Order::seqCst);
    const bool got = cansemacquire(addr);
    if (got || (w.wantAbort && (w.giveUp == nullptr || w.giveUp(w)))) {
      root.nwait.fetchSub(1, Order::relaxed);
      unlock(root.lock);
      return got;
    }
    if (GORT_UNLIKELY(chaosMode) && cheaprandn(4) == 0) {  // a spurious wake-up
      root.nwait.fetchSub(1, Order::relaxed);
      unlock(root.lock);
      Gosched();
      continue;
    }
    root.push(w, lifo);
    root.park(w, reason);
    if (w.aborted) return false;
    if (w.granted || cansemacquire(addr)) return true;
  }
}

bool semacquire1(Atomic<uint32>* addr, const SemaOptions& o) {
  if (cansemacquire(addr)) return true;
  SemaWaiter w;
  w.addr = addr;
  SemaTimeout timeout(w, o.until);
  return semacquireAs(w, addr, o.lifo, o.reason);
}

namespace {

// takeFront dequeues the first waiter at addr. Requires: the root's lock.
G* takeFront(SemaRoot& root, Atomic<uint32>* addr, bool granted) {
  SemaWaiter* w = root.front(addr);
  if (w == nullptr) return nullptr;
  root.remove(*w);
  root.nwait.fetchSub(1, Order::relaxed);
  w->granted = granted;
  return w->g;
}

// handOff gives the token to the first waiter without adding it, so that nobody else can take it.
void handOff(Atomic<uint32>* addr) {
  SemaRoot& root = semrootOf(addr);
  lock(root.lock);
  G* gp = takeFront(root, addr, true);
  if (gp == nullptr) addr->fetchAdd(1, Order::seqCst);
  unlock(root.lock);
  if (gp == nullptr) return;
  goready(gp);
  G* me = getg();
  if (me->m->locks == 0 && me != me->m->g0 && !me->foreign) goyield();  // gp runs next, in our time slice
}

}  // namespace

void semrelease1(Atomic<uint32>* addr, bool handoff) {
  if (handoff) return handOff(addr);
  SemaRoot& root = semrootOf(addr);
  addr->fetchAdd(1, Order::seqCst);
  if (root.nwait.load(Order::seqCst) == 0) return;
  lock(root.lock);
  G* gp = root.nwait.load(Order::relaxed) == 0 ? nullptr : takeFront(root, addr, false);
  unlock(root.lock);
  if (gp != nullptr) goready(gp);
}

// ---- notify lists

void notifyListAdd(NotifyList& l, SemaWaiter& w) {
  w.g = getg();
  w.addr = &l;
  w.leave = [](SemaRoot& root, SemaWaiter& me, GQueue&) {
    root.remove(me);
    // SAFETY: me.addr was set from a NotifyList, which lives as long as somebody waits on it.
    const_cast<NotifyList*>(static_cast<const NotifyList*>(me.addr))->nwait.fetchSub(1, Order::relaxed);
  };
  SemaRoot& root = semrootOf(&l);
  lock(root.lock);
  l.nwait.fetchAdd(1, Order::seqCst);
  root.push(w, false);
  w.parked = false;
  unlock(root.lock);
}

bool notifyListWait(NotifyList& l, SemaWaiter& w, WaitReason reason) {
  SemaRoot& root = semrootOf(&l);
  lock(root.lock);
  if (w.granted) {
    unlock(root.lock);
    return true;
  }
  if (w.wantAbort) {
    root.remove(w);
    l.nwait.fetchSub(1, Order::relaxed);
    unlock(root.lock);
    return false;
  }
  w.parked = true;
  root.park(w, reason);
  return !w.aborted;
}

void notifyListCancel(NotifyList& l, SemaWaiter& w) {
  SemaRoot& root = semrootOf(&l);
  lock(root.lock);
  const bool passOn = w.granted;
  if (w.queued) {
    root.remove(w);
    l.nwait.fetchSub(1, Order::relaxed);
  }
  unlock(root.lock);
  if (passOn) notifyListNotifyOne(l);
}

namespace {

// notify dequeues the first waiter of l, or all, and collects whom to ready. Requires: the root's lock.
void notify(NotifyList& l, SemaRoot& root, bool all, GQueue& ready) {
  while (SemaWaiter* w = root.front(&l)) {
    const bool asleep = w->parked;
    root.remove(*w);
    l.nwait.fetchSub(1, Order::relaxed);
    w->granted = true;
    if (asleep) ready.push(w->g);
    if (!all) return;
  }
}

void notifyListNotify(NotifyList& l, bool all) {
  if (l.nwait.load(Order::seqCst) == 0) return;
  GQueue ready;
  SemaRoot& root = semrootOf(&l);
  lock(root.lock);
  notify(l, root, all, ready);
  unlock(root.lock);
  readyAll(ready);
}

}  // namespace

void notifyListNotifyAll(NotifyList& l) { notifyListNotify(l, true); }
void notifyListNotifyOne(NotifyList& l) { notifyListNotify(l, false); }

}  // namespace gort::rt

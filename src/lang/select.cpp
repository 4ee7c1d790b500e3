// SPDX-License-Identifier: Apache-2.0
// select.     (Go: select.go)
//
// A select goes through up to five phases; each may end it.
//   look     without locks: is a case ready? Choose uniformly among those, lock that one channel, do it. With a
//            default case and nothing ready: proof that there was one moment at which nothing was (chan.hpp,
//            Note [Looking without the lock]), then default.
//   choose   with all channels locked, in address order: the same again, now exact.
//   enqueue  a sudog on each channel; arm the timer; park. The locks are released on g0, after we are off our
//            stack.
//   woken    by a peer, by close or by the timer: whoever wins G::selectDone. Leave the other queues, one lock
//            at a time.
//   retry    a peer's move threw: from the start, the deadline stays.
// Go locks all channels for every select and walks a random permutation; we draw a random number only if two
// cases are ready, and take one lock if there is no need to wait.
//
// Nothing is allocated: wait nodes and lock order live in the case objects. Cases of one channel stand in
// random order in the lock order and so in its queue: a peer that comes later finds each of them first
// equally often.
//
// Note [selectDone]
//   0 open -> 1 won: by the peer or timer that will ready us; the losers pass over our sudogs.
//   2 arming -> 0: on g0, once we are parked. 2 -> 3: the timer fired before that; then we do not park at all.
//   Peers cannot come before the channels are unlocked, the timer can: therefore 2. A select without timer
//   starts at 0.
//
// Note [The parked frame]
//   selparkcommit walks the case objects while it unlocks. After the first unlock a peer may already have
//   readied us. Our frame stays valid all the same: before leaving it we lock every channel on which a case
//   has not fired, and the last channel that selparkcommit unlocks is one of those, or the one whose peer
//   could only come after that unlock.
#include "lang/select.hpp"

#include "base/check.hpp"

namespace gort::rt {

namespace {

constexpr uint32 kDoneOpen = 0, kDoneWon = 1, kDoneArming = 2, kDoneFiredEarly = 3;

struct Select {
  SelectCase* list;
  WaitReason reason;
  void* exc;
  SelectCase* ready = nullptr;      // the chosen one
  SelectCase* fallback = nullptr;   // the default case
  SelectCase* timer = nullptr;      // the earliest timer case
  SelectCase* lockOrder = nullptr;  // sorted by (channel, tie)
  int64 deadline = kForever;
};

inline bool takesPart(const SelectCase* sc) {
  return sc->c != nullptr && sc->enabled && sc->kind <= CaseKind::send;
}

inline bool ready(const SelectCase* sc) {
  return sc->kind == CaseKind::recv ? recvReady(*sc->c) : sendReady(*sc->c);
}

void noteTimer(Select& s, SelectCase* sc) {
  int64 when = sc->when;
  if (sc->relative) {
    const int64 now = nanotime();
    when = sc->when > kForever - now ? kForever : now + sc->when;
  }
  if (s.timer == nullptr || when < s.deadline) {
    s.timer = sc;
    s.deadline = when;
  }
}

// versionsOf sums the versions of all channels that take part: equal sums, no change (a version only grows).
inline uint64 versionsOf(const SelectCase* list) {
  uint64 sum = 0;
  for (const SelectCase* sc = list; sc != nullptr; sc = sc->listNext) {
    if (takesPart(sc)) sum += sc->c->version.load(Order::relaxed);
  }
  return sum;
}

inline ChanResult attempt(SelectCase* sc, void* exc, Sudog** wake) {
  return sc->kind == CaseKind::recv ? recvLocked(*sc->c, sc->elem(), exc, wake)
                                    : sendLocked(*sc->c, sc->elem(), exc, wake);
}

// finish gives the verdict on a case whose operation has ended. Requires: no locks held.
SelectCase* finish(SelectCase* sc, ChanResult r) {
  if (r == ChanResult::threw) return nullptr;
  if (r == ChanResult::ok) {
    sc->state = CaseState::done;
    return sc;
  }
  if (sc->kind == CaseKind::send) panicText("send on closed channel");
  sc->state = CaseState::closed;
  return sc;
}

bool before(const SelectCase* a, const SelectCase* b) {
  if (a->c != b->c) return reinterpret_cast<uintptr>(a->c) < reinterpret_cast<uintptr>(b->c);
  return a->tie < b->tie;
}

SelectCase* mergeSorted(SelectCase* a, SelectCase* b) {
  SelectCase* head = nullptr;
  SelectCase** tail = &head;
  while (a != nullptr && b != nullptr) {
    SelectCase*& least = before(b, a) ? b : a;
    *tail = least;
    tail = &least->lockNext;
    least = least->lockNext;
  }
  *tail = a != nullptr ? a : b;
  return head;
}

// sortMany: n log n without recursion or memory. bins[k] holds a sorted run of 2^k cases.
GORT_NOINLINE SelectCase* sortMany(SelectCase* list) {
  SelectCase* bins[32] = {};
  const uint32 seed = cheaprandn(UINT32_MAX);
  uint32 i = 0;
  for (SelectCase* sc = list; sc != nullptr; sc = sc->listNext) {
    if (!takesPart(sc)) continue;
    uint64 mix = seed + (uint64{++i} << 32);
    sc->tie = static_cast<uint32>(splitmix64(mix));
    sc->lockNext = nullptr;
    SelectCase* run = sc;
    uint32 k = 0;
    for (; k < 31 && bins[k] != nullptr; ++k) {
      run = mergeSorted(bins[k], run);
      bins[k] = nullptr;
    }
    bins[k] = mergeSorted(bins[k], run);
  }
  SelectCase* all = nullptr;
  for (SelectCase* run : bins) all = mergeSorted(run, all);
  return all;
}

// sortCases returns the lock order: by insertion if there are few, each at a random place among its
// channel's.
SelectCase* sortCases(SelectCase* list) {
  constexpr uint32 kFew = 8;
  SelectCase* head = nullptr;
  uint32 n = 0;
  for (SelectCase* sc = list; sc != nullptr; sc = sc->listNext) {
    if (!takesPart(sc)) continue;
    if (++n > kFew) return sortMany(list);
    SelectCase** at = &head;
    while (*at != nullptr && reinterpret_cast<uintptr>((*at)->c) < reinterpret_cast<uintptr>(sc->c)) {
      at = &(*at)->lockNext;
    }
    uint32 same = 0;
    for (SelectCase* x = *at; GORT_UNLIKELY(x != nullptr && x->c == sc->c); x = x->lockNext) ++same;
    if (GORT_UNLIKELY(same > 0)) {
      for (uint32 k = cheaprandn(same + 1); k > 0; --k) at = &(*at)->lockNext;
    }
    sc->lockNext = *at;
    *at = sc;
  }
  return head;
}

void sellock(const Select& s) {
  const Hchan* last = nullptr;
  for (SelectCase* sc = s.lockOrder; sc != nullptr; sc = sc->lockNext) {
    if (sc->c != last) lock(sc->c->lock);
    last = sc->c;
  }
}

// selunlock releases each channel only after the last look at a case of it: see Note [The parked frame].
// release is unlock, or unlockLast when the goroutine that holds the channels may run again meanwhile.
void selunlock(SelectCase* lockOrder, void (*release)(Mutex&) = unlock) {
  Hchan* last = nullptr;
  for (SelectCase* sc = lockOrder; sc != nullptr; sc = sc->lockNext) {
    if (last != nullptr && sc->c != last) release(last->lock);
    last = sc->c;
  }
  if (last != nullptr) release(last->lock);
}

// chooseLocked does a ready case under all locks. wouldBlock: none is ready; s.ready is the case otherwise.
ChanResult chooseLocked(Select& s, Sudog** wake) {
  for (;;) {
    s.ready = nullptr;
    uint32 nready = 0;
    for (SelectCase* sc = s.list; sc != nullptr; sc = sc->listNext) {
      if (takesPart(sc) && ready(sc) && (++nready == 1 || cheaprandn(nready) == 0)) s.ready = sc;
    }
    if (s.ready == nullptr) return ChanResult::wouldBlock;
    // wouldBlock here: only dead sudogs were queued; they are gone now, look again.
    const ChanResult r = attempt(s.ready, s.exc, wake);
    if (r != ChanResult::wouldBlock) return r;
  }
}

struct Commit {
  SelectCase* lockOrder;
  bool hasTimer;
};

bool selparkcommit(G* gp, void* arg) {
  const Commit commit = *static_cast<Commit*>(arg);
  bool park = true;
  if (commit.hasTimer && !gp->selectDone.cas(kDoneArming, kDoneOpen)) {
    park = false;  // fired early; kDoneFiredEarly keeps peers from winning
  }
  selunlock(commit.lockOrder, unlockLast);
  return park;
}

// timedOut is the timer's function. Runs on: any stack with a P; must not park.
void timedOut(void* arg, uint64, int64) {
  G* gp = static_cast<G*>(arg);
  for (;;) {
    const uint32 done = gp->selectDone.load();
    if (done == kDoneArming && gp->selectDone.cas(kDoneArming, kDoneFiredEarly)) return;
    if (done == kDoneOpen && gp->selectDone.cas(kDoneOpen, kDoneWon)) return goready(gp);
    if (done == kDoneWon || done == kDoneFiredEarly) return;
  }
}

void enqueueAll(const Select& s, G* gp) {
  Sudog** link = &gp->waiting;
  for (SelectCase* sc = s.lockOrder; sc != nullptr; sc = sc->lockNext) {
    Sudog* sg = new (&sc->sg) Sudog;
    sg->g = gp;
    sg->isSelect = true;
    sg->elem = sc->elem();
    sg->c = sc->c;
    *link = sg;
    link = &sg->waitlink;
    beginChange(*sc->c);
    enqueue(sc->kind == CaseKind::recv ? sc->c->recvq : sc->c->sendq, sg);
  }
}

// leaveQueues takes us out of the queues of the cases that have not fired. Returns the one that has.
SelectCase* leaveQueues(const Select& s, const Sudog* fired) {
  SelectCase* hit = nullptr;
  for (SelectCase* sc = s.lockOrder; sc != nullptr; sc = sc->lockNext) {
    if (&sc->sg == fired) {
      hit = sc;
      continue;
    }
    lock(sc->c->lock);
    beginChange(*sc->c);
    dequeueSudog(sc->kind == CaseKind::recv ? sc->c->recvq : sc->c->sendq, &sc->sg);
    unlock(sc->c->lock);
  }
  return hit;
}

// parkUntilFired parks with all locks held (selparkcommit releases them). Returns the sudog that fired;
// nullptr: the timer.
GORT_ALWAYS_INLINE Sudog* parkUntilFired(const Select& s, G* gp, bool hasTimer) {
  Commit commit{s.lockOrder, hasTimer};
  gp->param = nullptr;
  gopark(selparkcommit, &commit, s.lockOrder == nullptr && !hasTimer ? WaitReason::selectNoCases : s.reason);
  auto* fired = static_cast<Sudog*>(gp->param);
  gp->param = nullptr;
  return fired;
}

GORT_NOINLINE Sudog* parkWithTimer(const Select& s, G* gp) {
  Timer t;
  timerInit(t, timedOut, gp);
  gp->selectDone.store(kDoneArming);
  timerModify(t, s.deadline, 0);
  Sudog* fired = parkUntilFired(s, gp, true);
  timerStop(t);
  return fired;
}

// waitAny: phases "enqueue" and "woken". *again: the peer's move threw, the select starts anew.
GORT_ALWAYS_INLINE SelectCase* waitAny(Select& s, bool* again) {
  G* gp = getg();
  enqueueAll(s, gp);
  Sudog* fired;
  if (s.deadline == kForever) {
    gp->selectDone.store(kDoneOpen, Order::relaxed);
    fired = parkUntilFired(s, gp, false);
  } else {
    fired = parkWithTimer(s, gp);
  }
  SelectCase* hit = leaveQueues(s, fired);
  gp->waiting = nullptr;
  gp->selectDone.store(kDoneOpen, Order::relaxed);
  if (fired == nullptr) {
    s.timer->state = CaseState::done;
    return s.timer;
  }
  GORT_CHECK(hit != nullptr, "selectgo: bad wakeup");
  if (fired->success) return finish(hit, ChanResult::ok);
  *again = fired->ticket == kRetry;
  return *again ? nullptr : finish(hit, ChanResult::closed);
}

// selectLocked: phases "choose" to "woken".
GORT_ALWAYS_INLINE SelectCase* selectLocked(Select& s, bool* again) {
  s.lockOrder = sortCases(s.list);
  sellock(s);
  Sudog* wake = nullptr;
  const ChanResult r = chooseLocked(s, &wake);
  if (r != ChanResult::wouldBlock) {
    selunlock(s.lockOrder);
    readyPeers(wake);
    return finish(s.ready, r);
  }
  SelectCase* now = s.fallback;
  if (now == nullptr && s.timer != nullptr && s.deadline <= nanotime()) now = s.timer;
  if (now != nullptr) {
    selunlock(s.lockOrder);
    now->state = CaseState::done;
    return now;
  }
  return waitAny(s, again);
}

// selectSlow: all phases after "look".
GORT_NOINLINE GORT_JUMP_RETURN SelectCase* selectSlow(SelectCase* list, WaitReason reason, void* exc) {
  Select s{list, reason, exc};
  for (SelectCase* sc = list; sc != nullptr; sc = sc->listNext) {
    if (sc->kind <= CaseKind::send || !sc->enabled) continue;
    if (sc->kind == CaseKind::def) {
      s.fallback = sc;
    } else {
      noteTimer(s, sc);
    }
  }
  for (;;) {
    bool again = false;
    SelectCase* hit = selectLocked(s, &again);
    if (GORT_LIKELY(!again)) return hit;
  }
}

// doReady does the case that the look has chosen, under its channel's lock alone, or goes the long way.
GORT_NOINLINE SelectCase* doReady(SelectCase* sc, SelectCase* list, WaitReason reason, void* exc) {
  Sudog* wake = nullptr;
  lock(sc->c->lock);
  const ChanResult r = attempt(sc, exc, &wake);
  unlock(sc->c->lock);
  if (wake != nullptr) readyPeers(wake);
  if (GORT_UNLIKELY(r == ChanResult::wouldBlock)) return selectSlow(list, reason, exc);
  return finish(sc, r);
}

// doAnyReady chooses among the n cases that the look has found ready. One that is not ready any more counts as not there.
GORT_NOINLINE SelectCase* doAnyReady(uint32 n, SelectCase* list, WaitReason reason, void* exc) {
  SelectCase* pick = nullptr;
  uint32 k = cheaprandn(n);
  for (SelectCase* sc = list; sc != nullptr; sc = sc->listNext) {
    if (!takesPart(sc) || !ready(sc)) continue;
    pick = sc;
    if (k-- == 0) break;
  }
  if (GORT_UNLIKELY(pick == nullptr)) return selectSlow(list, reason, exc);
  return doReady(pick, list, reason, exc);
}

GORT_NOINLINE SelectCase* selectChaos(SelectCase* list, WaitReason reason, void* exc) {
  chaosYield();
  SelectCase* hit = selectSlow(list, reason, exc);
  chaosYield();
  return hit;
}

}  // namespace

// selectgo itself is phase "look": a leaf, but for tail calls. A case beyond the first that is ready leads to doAnyReady.
SelectCase* selectgo(SelectCase* list, WaitReason reason, void* exc) {
  if (GORT_UNLIKELY(chaosMode)) return selectChaos(list, reason, exc);
  SelectCase* pick = nullptr;
  SelectCase* fallback = nullptr;
  uint32 nready = 0, channels = 0;
  uint64 versions = 0;
  bool busy = false;
  for (SelectCase* sc = list; sc != nullptr; sc = sc->listNext) {
    if (!sc->enabled) continue;
    if (GORT_LIKELY(sc->kind <= CaseKind::send)) {
      const Hchan* c = sc->c;
      if (c == nullptr) continue;
      ++channels;
      versions += c->version.load(Order::relaxed);
      fence(Order::acquire);
      busy |= c->lock.heldNow();
      fence(Order::acquire);
      if (!ready(sc)) continue;
      ++nready;
      pick = sc;
    } else if (sc->kind == CaseKind::def) {
      fallback = sc;
    }
  }
  if (nready == 1) return doReady(pick, list, reason, exc);
  if (nready > 1) return doAnyReady(nready, list, reason, exc);
  if (fallback != nullptr) {
    // Was there one moment at which nothing was ready? See Note [Looking without the lock].
    fence(Order::acquire);
    if (GORT_LIKELY(channels <= 1 || (!busy && versionsOf(list) == versions))) {
      fallback->state = CaseState::done;
      return fallback;
    }
  }
  return selectSlow(list, reason, exc);
}

void block() {
  gopark(nullptr, nullptr, WaitReason::selectNoCases);
  throw_("unreachable");
}

namespace {

SelectCase makeCase(CaseKind kind, Hchan* c, void* elem) {
  SelectCase sc;
  sc.c = c;
  sc.external = elem;
  sc.prepare = nullptr;
  sc.listNext = nullptr;
  sc.when = 0;
  sc.kind = kind;
  sc.enabled = true;
  sc.relative = false;
  sc.state = CaseState::idle;
  return sc;
}

}  // namespace

UntilResult chanUntil(const UntilOp& op, void* exc) {
  uint8 unit = 0;
  SelectCase main = makeCase(op.kind, op.c, op.elem);
  SelectCase cancel = makeCase(CaseKind::recv, op.cancel, &unit);
  SelectCase timer = makeCase(CaseKind::timer, nullptr, nullptr);
  timer.when = op.until;
  main.listNext = &cancel;
  cancel.listNext = &timer;
  const WaitReason reason = op.kind == CaseKind::recv ? WaitReason::chanReceive : WaitReason::chanSend;
  SelectCase* hit = selectgo(&main, reason, exc);
  if (hit == nullptr) return UntilResult::threw;
  if (hit == &timer) return UntilResult::timeout;
  if (hit == &cancel) return UntilResult::canceled;
  return main.state == CaseState::done ? UntilResult::ok : UntilResult::closed;
}

}  // namespace gort::rt

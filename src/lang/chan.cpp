// SPDX-License-Identifier: Apache-2.0
// Channels: send, receive, close.     (Go: chan.go)
//
// Invariants, under c.lock:
//   (1) One of c.sendq and c.recvq is empty, except for an unbuffered channel on which one goroutine waits to
//       send and to receive in one select.
//   (2) Buffered: qcount > 0 implies recvq empty of live waiters; qcount < dataqsiz implies sendq likewise.
//       "Live": a sudog of a select that another case has won stays queued until its owner removes it; dequeue
//       passes over it.
//   (3) closed implies both queues empty. closed never goes back.
//   (4) The ring's values are slots recvx .. recvx + qcount - 1 (mod dataqsiz); sendx is the slot behind them.
//
// A value goes straight from a sender to a waiting receiver, or from a waiting sender to a receiver, through
// the parked side's Sudog::elem; the parked side's stack is written while it stands still, under the
// channel's lock. Whoever is woken finds in its sudog: success (a value went over), or ticket == kRetry, or
// neither: the channel was closed.
//
// Note [Moves that throw]
//   The acting side runs every move. If one throws, the value stays where it was and the acting side gets the
//   exception (ChanResult::threw). A parked peer that was already dequeued is woken with kRetry and starts
//   again: its own value or place is untouched. One move belongs to the peer: refilling the ring from a
//   waiting sender after a receive. If that throws, the receive has still succeeded; the sender tries again
//   itself and gets its own exception. The next waiting sender takes the free slot, so that no sender sleeps
//   beside a ring with room. A sender that retries queues at the end: such a type gives up the order among
//   its waiting senders.
//
// Instructions (callgrind, GCC 12, 4-byte values, with locks): a send or a receive through the ring 55; a try on
// an empty channel 20; a round trip over two unbuffered channels 930, of which 330 here and the rest in the
// scheduler. A select of two costs 370 here on average if every second one waits, a select of two with default 145.
// Rejected: a lock-free ring for buffered channels (select and close need one point that orders everything;
// Vyukov's proposal for Go ended there too).
#include "lang/chan.hpp"

#include "base/check.hpp"

namespace gort::rt {

void chaninit(Hchan* c, void* buf, uint32 elemsize, uint32 cap, const ElemOps* ops) {
  GORT_CHECK(cap <= kMaxChanCap, "runtime: chaninit: capacity out of range");
  new (static_cast<void*>(c)) Hchan;
  c->buf = buf;
  c->elemsize = elemsize;
  c->dataqsiz = cap;
  c->ops = ops;
}

namespace {

template <class Word>
inline void copyWord(void* dst, const void* src) {
  __builtin_memcpy(dst, src, sizeof(Word));
}

// copySmall copies a value of one of the common sizes; false: it is of another size.
GORT_ALWAYS_INLINE bool copySmall(uint32 n, void* dst, const void* src) {
  if (GORT_LIKELY(n == 8)) return copyWord<uint64>(dst, src), true;
  if (GORT_LIKELY(n == 4)) return copyWord<uint32>(dst, src), true;
  if (n == 0) return true;
  if (n == 16) return copyWord<unsigned __int128>(dst, src), true;
  return false;
}

// copyElem copies a trivially copyable value.
GORT_ALWAYS_INLINE void copyElem(const Hchan& c, void* dst, const void* src) {
  if (!copySmall(c.elemsize, dst, src)) __builtin_memcpy(dst, src, c.elemsize);
}

// moveIn puts *src into the uninitialised slot; deliver puts it into a receiver's place. false: it threw.
GORT_ALWAYS_INLINE bool moveIn(const Hchan& c, void* slot, void* src, void* exc) {
  if (GORT_UNLIKELY(c.ops != nullptr)) return c.ops->moveIn(slot, src, exc);
  copyElem(c, slot, src);
  return true;
}

GORT_ALWAYS_INLINE bool deliver(const Hchan& c, void* result, void* src, void* exc) {
  if (GORT_UNLIKELY(c.ops != nullptr)) return c.ops->deliver(result, src, exc);
  copyElem(c, result, src);
  return true;
}

inline void* chanbuf(const Hchan& c, uint32 i) {
  return static_cast<uint8*>(c.buf) + std::size_t{i} * c.elemsize;
}

inline uint32 after(const Hchan& c, uint32 i) { return i + 1 == c.dataqsiz ? 0 : i + 1; }

// dequeue takes the oldest live waiter; nullptr: none. A select's sudog is live if we win its selectDone.
GORT_ALWAYS_INLINE Sudog* dequeue(WaitQ& q) {
  for (;;) {
    Sudog* sg = q.first.load(Order::relaxed);
    if (sg == nullptr) return nullptr;
    Sudog* next = sg->next;
    if (next == nullptr) {
      q.last = nullptr;
    } else {
      next->prev = nullptr;
      sg->next = nullptr;
    }
    q.first.store(next, Order::relaxed);
    if (sg->isSelect && !sg->g->selectDone.cas(0, 1)) continue;
    return sg;
  }
}

// refill moves values of waiting senders into the ring while there is room. Returns the senders to wake,
// linked by waittail: all have a verdict. See Note [Moves that throw] for why this is a loop.
Sudog* refill(Hchan& c) {
  Sudog* wake = nullptr;
  Sudog** tail = &wake;
  while (c.qcount.load(Order::relaxed) < c.dataqsiz) {
    Sudog* sg = dequeue(c.sendq);
    if (sg == nullptr) break;
    if (moveIn(c, chanbuf(c, c.sendx), sg->elem, nullptr)) {
      c.sendx = after(c, c.sendx);
      c.qcount.store(c.qcount.load(Order::relaxed) + 1, Order::relaxed);
      sg->success = true;
    } else {
      sg->ticket = kRetry;  // the exception is dropped: the sender will meet its own one
    }
    *tail = sg;
    tail = &sg->waittail;
  }
  return wake;
}

GORT_ALWAYS_INLINE ChanResult sendInline(Hchan& c, void* elem, void* exc, Sudog** wake) {
  if (GORT_UNLIKELY(c.closed.load(Order::relaxed) != 0)) return ChanResult::closed;
  if (c.recvq.first.load(Order::relaxed) != nullptr) {
    beginChange(c);
    if (Sudog* sg = dequeue(c.recvq)) {
      *wake = sg;
      if (GORT_LIKELY(deliver(c, sg->elem, elem, exc))) {
        sg->success = true;
        return ChanResult::ok;
      }
      sg->ticket = kRetry;
      return ChanResult::threw;
    }
  }
  const uint32 n = c.qcount.load(Order::relaxed);
  if (n >= c.dataqsiz) return ChanResult::wouldBlock;
  if (!moveIn(c, chanbuf(c, c.sendx), elem, exc)) return ChanResult::threw;
  beginChange(c);
  c.sendx = after(c, c.sendx);
  c.qcount.store(n + 1, Order::relaxed);
  return ChanResult::ok;
}

GORT_ALWAYS_INLINE ChanResult recvInline(Hchan& c, void* elem, void* exc, Sudog** wake) {
  const uint32 n = c.qcount.load(Order::relaxed);
  if (n > 0) {
    void* slot = chanbuf(c, c.recvx);
    if (GORT_UNLIKELY(!deliver(c, elem, slot, exc))) return ChanResult::threw;
    if (c.ops != nullptr) c.ops->destroy(slot);
    beginChange(c);
    c.recvx = after(c, c.recvx);
    c.qcount.store(n - 1, Order::relaxed);
    if (c.sendq.first.load(Order::relaxed) != nullptr) *wake = refill(c);
    return ChanResult::ok;
  }
  if (c.sendq.first.load(Order::relaxed) != nullptr) {  // unbuffered
    beginChange(c);
    if (Sudog* sg = dequeue(c.sendq)) {
      *wake = sg;
      if (GORT_LIKELY(deliver(c, elem, sg->elem, exc))) {
        sg->success = true;
        return ChanResult::ok;
      }
      sg->ticket = kRetry;
      return ChanResult::threw;
    }
  }
  return c.closed.load(Order::relaxed) != 0 ? ChanResult::closed : ChanResult::wouldBlock;
}

// wait parks the current goroutine on q until a peer or close ends the wait. wouldBlock means: try again.
// Requires: c.lock held; releases it.
GORT_ALWAYS_INLINE ChanResult wait(Hchan& c, WaitQ& q, void* elem, WaitReason reason) {
  G* gp = getg();
  Sudog sg;
  sg.g = gp;
  sg.elem = elem;
  sg.c = &c;
  gp->waiting = &sg;
  gp->param = nullptr;
  beginChange(c);
  enqueue(q, &sg);
  goparkunlock(c.lock, reason);
  GORT_CHECK(gp->waiting == &sg, "G waiting list is corrupted");
  gp->waiting = nullptr;
  if (GORT_LIKELY(sg.success)) return ChanResult::ok;
  return sg.ticket == kRetry ? ChanResult::wouldBlock : ChanResult::closed;
}

GORT_COLD ChanResult nilChannel(bool block, WaitReason reason) {
  if (!block) return ChanResult::wouldBlock;
  gopark(nullptr, nullptr, reason);
  throw_("unreachable");
}

// wakePeers readies a list linked by waittail; a sudog is gone once its goroutine is ready.
GORT_ALWAYS_INLINE void wakePeers(Sudog* sg) {
  while (sg != nullptr) {
    Sudog* next = sg->waittail;
    readyPeer(sg);
    sg = next;
  }
}

}  // namespace

void enqueue(WaitQ& q, Sudog* sg) {
  sg->next = nullptr;
  sg->prev = q.last;
  if (q.last == nullptr) {
    q.first.store(sg, Order::relaxed);
  } else {
    q.last->next = sg;
  }
  q.last = sg;
}

// dequeueSudog removes sg wherever it stands; a peer may have taken it out before (and lost the race for its
// select).
void dequeueSudog(WaitQ& q, Sudog* sg) {
  Sudog* x = sg->prev;
  Sudog* y = sg->next;
  if (x == nullptr && q.first.load(Order::relaxed) != sg) return;
  if (x == nullptr) {
    q.first.store(y, Order::relaxed);
  } else {
    x->next = y;
  }
  if (y == nullptr) {
    q.last = x;
  } else {
    y->prev = x;
  }
  sg->next = sg->prev = nullptr;
}

ChanResult sendLocked(Hchan& c, void* elem, void* exc, Sudog** wake) {
  return sendInline(c, elem, exc, wake);
}
ChanResult recvLocked(Hchan& c, void* elem, void* exc, Sudog** wake) {
  return recvInline(c, elem, exc, wake);
}

void readyPeers(Sudog* sg) { wakePeers(sg); }

GORT_COLD void chaosYield() {
  G* gp = getg();
  if (gp == gp->m->g0 || gp->m->locks != 0) return;
  if (cheaprandn(4) == 0) Gosched();
}

namespace {

// The long ways of an operation, up to its end. *Held: c.lock is held. *Contended: M::locks is already
// counted, the lock not yet taken. *Full: from the beginning.
GORT_NOINLINE GORT_JUMP_RETURN ChanResult sendHeld(Hchan* c, void* elem, bool block, void* exc) {
  for (;;) {
    Sudog* wake = nullptr;
    ChanResult r = sendInline(*c, elem, exc, &wake);
    if (r == ChanResult::wouldBlock && block) {
      r = wait(*c, c->sendq, elem, WaitReason::chanSend);
      if (GORT_UNLIKELY(r == ChanResult::wouldBlock)) {
        lock(c->lock);
        continue;
      }
    } else {
      unlock(c->lock);
      wakePeers(wake);
    }
    if (GORT_UNLIKELY(r == ChanResult::closed)) panicText("send on closed channel");
    if (GORT_UNLIKELY(chaosMode)) chaosYield();
    return r;
  }
}

GORT_NOINLINE GORT_JUMP_RETURN ChanResult sendContended(Hchan* c, void* elem, bool block, void* exc) {
  c->lock.lock();
  return sendHeld(c, elem, block, exc);
}

GORT_NOINLINE GORT_JUMP_RETURN ChanResult sendFull(Hchan* c, void* elem, bool block, void* exc) {
  if (c == nullptr) return nilChannel(block, WaitReason::chanSendNilChan);
  if (GORT_UNLIKELY(chaosMode)) chaosYield();
  lock(c->lock);
  return sendHeld(c, elem, block, exc);
}

GORT_NOINLINE GORT_JUMP_RETURN ChanResult recvHeld(Hchan* c, void* elem, bool block, void* exc) {
  for (;;) {
    Sudog* wake = nullptr;
    ChanResult r = recvInline(*c, elem, exc, &wake);
    if (r == ChanResult::wouldBlock && block) {
      r = wait(*c, c->recvq, elem, WaitReason::chanReceive);
      if (GORT_UNLIKELY(r == ChanResult::wouldBlock)) {
        lock(c->lock);
        continue;
      }
    } else {
      unlock(c->lock);
      wakePeers(wake);
    }
    if (GORT_UNLIKELY(chaosMode)) chaosYield();
    return r;
  }
}

GORT_NOINLINE GORT_JUMP_RETURN ChanResult recvContended(Hchan* c, void* elem, bool block, void* exc) {
  c->lock.lock();
  return recvHeld(c, elem, block, exc);
}

GORT_NOINLINE GORT_JUMP_RETURN ChanResult recvFull(Hchan* c, void* elem, bool block, void* exc) {
  if (c == nullptr) return nilChannel(block, WaitReason::chanReceiveNilChan);
  if (GORT_UNLIKELY(chaosMode)) chaosYield();
  lock(c->lock);
  return recvHeld(c, elem, block, exc);
}

// handOver ends a direct exchange with sg, whose value has been copied: unlocks and readies it.
GORT_ALWAYS_INLINE ChanResult handOver(Hchan* c, Sudog* sg) {
  sg->success = true;
  c->lock.unlock();
  --getg()->m->locks;
  readyPeer(sg);
  return ChanResult::ok;
}

// sendDirect hands *elem to the oldest waiting receiver. Requires: c.lock held, c open, plain values.
GORT_NOINLINE ChanResult sendDirect(Hchan* c, void* elem, bool block, void* exc) {
  beginChange(*c);
  Sudog* sg = dequeue(c->recvq);
  if (GORT_UNLIKELY(sg == nullptr)) return sendHeld(c, elem, block, exc);  // only dead ones: gone now
  copyElem(*c, sg->elem, elem);
  return handOver(c, sg);
}

// recvDirect takes the value of the oldest waiting sender. Requires: c.lock held, c unbuffered, plain values.
GORT_NOINLINE ChanResult recvDirect(Hchan* c, void* elem, bool block, void* exc) {
  beginChange(*c);
  Sudog* sg = dequeue(c->sendq);
  if (GORT_UNLIKELY(sg == nullptr)) return recvHeld(c, elem, block, exc);
  copyElem(*c, elem, sg->elem);
  return handOver(c, sg);
}

// sendPark waits for a receiver, recvPark for a sender. Requires: c.lock held, nothing can go ahead.
GORT_NOINLINE GORT_JUMP_RETURN ChanResult sendPark(Hchan* c, void* elem, void* exc) {
  const ChanResult r = wait(*c, c->sendq, elem, WaitReason::chanSend);
  if (GORT_LIKELY(r == ChanResult::ok)) return r;
  if (r == ChanResult::closed) panicText("send on closed channel");
  return sendFull(c, elem, true, exc);
}

GORT_NOINLINE GORT_JUMP_RETURN ChanResult recvPark(Hchan* c, void* elem, void* exc) {
  const ChanResult r = wait(*c, c->recvq, elem, WaitReason::chanReceive);
  if (GORT_LIKELY(r != ChanResult::wouldBlock)) return r;
  return recvFull(c, elem, true, exc);
}

}  // namespace

// chansend and chanrecv themselves are the shortest way: a plain value, the ring, nobody waiting, the lock
// free. They are leaves but for tail calls; what they find not to be so goes on in *Held or, without the
// lock, in *Full.
ChanResult chansend(Hchan* c, void* elem, bool block, void* exc) {
  if (GORT_UNLIKELY(c == nullptr || chaosMode || kDebug)) return sendFull(c, elem, block, exc);
  if (!block && !sendReady(*c)) return ChanResult::wouldBlock;
  M* mp = getg()->m;
  ++mp->locks;
  if (GORT_UNLIKELY(!c->lock.tryLock())) return sendContended(c, elem, block, exc);
  if (GORT_UNLIKELY(c->ops != nullptr || c->closed.load(Order::relaxed) != 0)) {
    return sendHeld(c, elem, block, exc);
  }
  if (c->recvq.first.load(Order::relaxed) != nullptr) return sendDirect(c, elem, block, exc);
  const uint32 n = c->qcount.load(Order::relaxed);
  if (n >= c->dataqsiz && block) return sendPark(c, elem, exc);
  if (n >= c->dataqsiz || !copySmall(c->elemsize, chanbuf(*c, c->sendx), elem)) {
    return sendHeld(c, elem, block, exc);
  }
  beginChange(*c);
  c->sendx = after(*c, c->sendx);
  c->qcount.store(n + 1, Order::relaxed);
  c->lock.unlock();
  --getg()->m->locks;
  return ChanResult::ok;
}

ChanResult chanrecv(Hchan* c, void* elem, bool block, void* exc) {
  if (GORT_UNLIKELY(c == nullptr || chaosMode || kDebug)) return recvFull(c, elem, block, exc);
  if (!block && !recvReady(*c)) return ChanResult::wouldBlock;
  M* mp = getg()->m;
  ++mp->locks;
  if (GORT_UNLIKELY(!c->lock.tryLock())) return recvContended(c, elem, block, exc);
  if (c->sendq.first.load(Order::relaxed) != nullptr) {
    const bool direct = c->dataqsiz == 0 && c->ops == nullptr;
    return direct ? recvDirect(c, elem, block, exc) : recvHeld(c, elem, block, exc);
  }
  const uint32 n = c->qcount.load(Order::relaxed);
  if (n == 0) {
    if (block && c->closed.load(Order::relaxed) == 0) return recvPark(c, elem, exc);
    return recvHeld(c, elem, block, exc);
  }
  if (GORT_UNLIKELY(c->ops != nullptr || !copySmall(c->elemsize, elem, chanbuf(*c, c->recvx)))) {
    return recvHeld(c, elem, block, exc);
  }
  beginChange(*c);
  c->recvx = after(*c, c->recvx);
  c->qcount.store(n - 1, Order::relaxed);
  c->lock.unlock();
  --getg()->m->locks;
  return ChanResult::ok;
}

void closechan(Hchan* c) {
  if (c == nullptr) panicText("close of nil channel");
  if (GORT_UNLIKELY(chaosMode)) chaosYield();
  lock(c->lock);
  if (c->closed.load(Order::relaxed) != 0) {
    unlock(c->lock);
    panicText("close of closed channel");
  }
  beginChange(*c);
  c->closed.store(1, Order::release);  // partner: sendReady, recvReady
  Sudog* wake = nullptr;
  Sudog** tail = &wake;
  while (Sudog* sg = dequeue(c->recvq)) {
    *tail = sg;
    tail = &sg->waittail;
  }
  while (Sudog* sg = dequeue(c->sendq)) {
    *tail = sg;
    tail = &sg->waittail;
  }
  unlock(c->lock);
  wakePeers(wake);
}

void chandrain(Hchan* c) {
  for (uint32 n = c->qcount.load(Order::relaxed); n > 0; --n) {
    if (c->ops != nullptr) c->ops->destroy(chanbuf(*c, c->recvx));
    c->recvx = after(*c, c->recvx);
  }
  c->qcount.store(0, Order::relaxed);
}

}  // namespace gort::rt

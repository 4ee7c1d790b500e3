// SPDX-License-Identifier: Apache-2.0
// Channels: what the api floor and select call, and the pieces they share.     (Go: chan.go; essay in
// chan.cpp)
//
// Note [Looking without the lock]
//   An operation that may not wait first looks whether it could go ahead. For one channel a single look
//   suffices: the channel was not ready at some moment between call and return, so "would block" is a true
//   answer (Go argues the same in chanrecv). A closed channel never opens again: seen empty, then not closed,
//   then it was empty and open at once. For several channels (select with default) there must be one moment
//   at which none was ready. selectgo reads version, then the lock word, then the state of every
//   channel, and afterwards every version again. A writer takes the lock, raises the version, changes the
//   state, releases. Lock free after the first version read: no change that this version announces is under
//   way. Same version at the end: none was begun. So between the two rounds all stood still.
#pragma once
#include "lang/panic.hpp"
#include "sched/proc.hpp"
#include "schema/chan2.hpp"

namespace gort::rt {

enum class ChanResult : uint8 {  // the first three as chan_status of the api floor
  ok,                            // the value went over
  closed,                        // receive: closed and drained. Send: never returned, it panics
  wouldBlock,                    // only if block == false
  threw,                         // the value's move constructor threw into *exc; the value stays where it was
};

// chaninit makes *c a channel of `cap` values of `elemsize` bytes in `buf`. Requires: cap <= kMaxChanCap.
void chaninit(Hchan* c, void* buf, uint32 elemsize, uint32 cap, const ElemOps* ops);

// chansend sends *elem, waiting if block. Panics if c is or becomes closed. c == nullptr: waits forever.
// elem: a T that is moved from only on ok (memcpy'd if c.ops == nullptr). exc may be nullptr if moves never
// throw. Runs on: a goroutine's stack inside the runtime; any stack with a P if !block.   May: park.
GORT_NOSPLIT ChanResult chansend(Hchan* c, void* elem, bool block, void* exc);

// chanrecv receives into elem: raw memory for a T if c.ops == nullptr, else a std::optional<T>. Otherwise as
// chansend.
GORT_NOSPLIT ChanResult chanrecv(Hchan* c, void* elem, bool block, void* exc);

// closechan closes c and wakes everybody who waits on it. Panics on nil and on a closed channel.
GORT_NOSPLIT void closechan(Hchan* c);

// chandrain destroys the buffered values: at the last handle, or a timer channel's on Stop and Reset.
// Requires: c.lock held, or nobody else uses c.
void chandrain(Hchan* c);

inline std::size_t chanlen(const Hchan* c) { return c == nullptr ? 0 : c->qcount.load(Order::relaxed); }
inline std::size_t chancap(const Hchan* c) { return c == nullptr ? 0 : c->dataqsiz; }

// ---- shared with select: the operations under the lock

inline bool sendReady(const Hchan& c) {
  return c.recvq.first.load(Order::relaxed) != nullptr || c.qcount.load(Order::relaxed) < c.dataqsiz ||
         c.closed.load(Order::acquire) != 0;
}

inline bool recvReady(const Hchan& c) {
  return c.qcount.load(Order::relaxed) != 0 || c.sendq.first.load(Order::relaxed) != nullptr ||
         c.closed.load(Order::acquire) != 0;
}

// beginChange announces a change to those who look without the lock. Requires: c.lock.
inline void beginChange(Hchan& c) {
  c.version.store(c.version.load(Order::relaxed) + 1, Order::release);  // who sees it sees the lock taken
  fence(Order::release);  // the version before the change; partner: selectgo's look
}

// A parked peer is told what happened through its sudog's ticket.
inline constexpr uint32 kRetry = 1;  // its value could not be moved: it tries again itself

// enqueue and dequeueSudog: the caller holds c.lock and has announced the change.
void enqueue(WaitQ& q, Sudog* sg);
void dequeueSudog(WaitQ& q, Sudog* sg);

// sendLocked and recvLocked do one operation without waiting. Requires: c.lock held; it stays held.
// *wake: the peers that the caller must ready after it has released all locks; untouched if there are none.
ChanResult sendLocked(Hchan& c, void* elem, void* exc, Sudog** wake);
ChanResult recvLocked(Hchan& c, void* elem, void* exc, Sudog** wake);

// readyPeer ends the wait of a dequeued sudog; readyPeers those of a list. Requires: no channel lock held.
inline void readyPeer(Sudog* sg) {
  G* gp = sg->g;
  gp->param = sg;
  goready(gp);
}
void readyPeers(Sudog* sg);

// chaosYield gives way at random, before and after operations of a chaos run.
void chaosYield();

}  // namespace gort::rt

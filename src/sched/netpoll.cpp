// SPDX-License-Identifier: Apache-2.0
// Waiting for files: descriptors, deadlines, closing.                                              (Go: netpoll.go)
//
// Note [An operation on a file that does not block]
//   pollReset; try; on EAGAIN pollWait; try again. The kernel reports edges, once for each change, and both directions are
//   registered once, when the file is opened: no system call for a wait. Whether an edge comes before, between or after
//   reset and wait, it is seen: before reset, the attempt itself succeeds; later, the word is `ready` and the wait returns.
//   An edge for a condition that an earlier attempt has already used up costs one attempt more.
//
// Note [A socket that was emptied]
//   A TCP socket that gave less than it was asked for is empty: the next reader may leave out the attempt that would say
//   EAGAIN, half of all its calls when messages come one at a time. He must not reset either: an edge that has come since
//   the short read is in the word, and there is no attempt to make up for it. So: no pollReset, no attempt, pollWaitEmptied.
//     bytes that come after the short read    make an edge after it: in the word, or it wakes the parked reader.
//     end, error, urgent byte after it        likewise.
//     end, error, urgent byte *before* it     make no edge any more, and the reader must go on reading. The kernel queued
//       an event when they came, and it shows them whenever it is fetched, for they stay. Whoever fetches it sets
//       `sticky`, then passes a full fence, then goes to the word; the reader brings the word to `wait`, passes a full
//       fence, then looks at `sticky`. Fetched before the short read or after, one of the two sees the other:
//         fetched, sticky, ready | short read | begin: ready                    an attempt more finds the end
//         fetched, sticky, ready | reset, short read | begin: wait, sticky      goes on; the word's ready was reset
//         short read | begin: wait, no sticky, parks | fetched, sticky, ready   woken
//         fetched | reset, short read | begin: wait | sticky, ready | commit    the commit fails: the word is ready
//     an edge from before the short read      costs one attempt more, as ever.
//   Nobody else takes edges of this word away: resets and waits are the reader's, under his mutex, and any other operation
//   that reads, or fails, makes the next one ordinary (net_fd::attempt_locked). Who reads the socket past us, by its number
//   or a copy of it, can make it emptier and nothing else: of what has come since our short read an edge has told. But
//   he could take the urgent byte away before its event is fetched, or change what a read means (kernel TLS): a conn that
//   has given its number away is sticky. Deadlines, closing, contexts: pollWaitEmptied looks at them first, as pollReset
//   does.
//   Rejected: TCP_INQ (recvmsg with control data for every read, and silent about errors); a bit in the word (every CAS
//   of the hot path would have to carry it).
//
// Note [Stop conditions]
//   closing (with its bit for cancelled), and the deadlines, are words of their own. Who changes one stores it, passes a
//   full fence and then takes the waiter out of the word (stopWaiter); the waiter announces itself in the word, passes
//   a full fence and then looks at the conditions (pollWait). base/poll_word.hpp has the proof, tests/model/poll_model.cpp
//   the search.
//
// Note [Deadlines without sequence numbers]
//   A timer that fires late may belong to a deadline that was changed meanwhile. Go numbers the deadlines. Here the timer
//   looks at the deadline that is valid now and moves it, by CAS, to "passed" if its time has come: a timer that fires too
//   early does nothing, one for an older deadline may do the newer one's work, which is due. So the timer's function takes
//   no lock, and timerModify may wait for it under pd->lock. One timer serves both directions while the deadlines are
//   equal.
#include "sched/netpoll.hpp"

#include "base/check.hpp"
#include "mem/persistentalloc.hpp"
#include "sched/netpoll_file.hpp"
#include "sched/proc.hpp"

namespace gort::rt {

namespace {

// How many wait for I/O: of the newest run(), as its epoch << 32 | count, and of foreign threads. Whom an ended run()
// has left behind in a poll word nobody waits for: an event may still take him out of it, long after his run was
// counted.
constinit Atomic<uint64> netpollWaiters{0};
constinit Atomic<int32> foreignWaiters{0};

struct {
  Mutex lock{LockRank::pollCache};
  PollDesc* free = nullptr;
} constinit pollcache;

constexpr int64 kPassed = -1;

PollError checkErr(PollDesc* pd, PollMode mode) {
  if (const uint32 bits = pd->closing.load(Order::acquire); GORT_UNLIKELY(bits != 0)) {
    return (bits & kPollClosing) != 0 ? PollError::closing : PollError::canceled;
  }
  const Atomic<int64>& d = mode == PollMode::read ? pd->rd : pd->wd;
  if (d.load(Order::acquire) == kPassed) return PollError::timeout;
  return PollError::none;
}

PollWord<PollEnv, G>& wordOf(PollDesc* pd, PollMode mode) {
  GORT_DCHECK(mode != PollMode::both, "a wait has one direction");
  return mode == PollMode::read ? pd->rg : pd->wg;
}

// stopWaiter wakes who waits in direction `mode`, so that it sees the condition that was stored before.
void stopWaiter(PollDesc* pd, PollMode mode) {
  if (G* gp = wordOf(pd, mode).unblock(false); gp != nullptr) {
    netpollCount(gp, -1);
    goready(gp);
  }
}

// expire moves the deadline d to "passed" if its time has come.
bool expire(Atomic<int64>& d, int64 now) {
  int64 when = d.load(Order::acquire);
  return when > 0 && when <= now && d.compareExchange(when, kPassed, Order::acqRel);
}

// deadlineTimer is the function of both timers.   Runs on: g0 of a P.
void deadlineTimer(void* arg, uint64, int64) {
  auto* pd = static_cast<PollDesc*>(arg);
  const int64 now = nanotime();
  const bool r = expire(pd->rd, now), w = expire(pd->wd, now);
  fence(Order::seqCst);
  if (r) stopWaiter(pd, PollMode::read);
  if (w) stopWaiter(pd, PollMode::write);
}

bool covers(PollMode a, PollMode b) { return (static_cast<int>(a) & static_cast<int>(b)) != 0; }

// arm sets one timer.   Requires: pd->lock.
void arm(PollDesc* pd, Timer& t, int64 when) {
  if (when > 0) {
    timerModify(t, when, 0);
  } else if (pd->timersReady) {
    timerStop(t);
  }
}

PollDesc* pollAlloc() {
  lock(pollcache.lock);
  PollDesc* pd = pollcache.free;
  if (pd != nullptr) pollcache.free = pd->link;
  unlock(pollcache.lock);
  if (pd == nullptr) pd = new (persistentalloc(sizeof(PollDesc), alignof(PollDesc))) PollDesc;
  pd->link = nullptr;
  return pd;
}

void pollFree(PollDesc* pd) {
  pd->seq.fetchAdd(1, Order::release);
  lock(pollcache.lock);
  pd->link = pollcache.free;
  pollcache.free = pd;
  unlock(pollcache.lock);
}

}  // namespace

bool netpollAnyWaiters() {
  const uint64 w = netpollWaiters.load(Order::relaxed);
  const bool ours = static_cast<int32>(w) > 0 && w >> 32 == sched.epoch.load(Order::relaxed);
  return ours || foreignWaiters.load(Order::relaxed) > 0;
}

void netpollCount(const G* gp, int32 delta) {
  if (gp->foreign) {
    foreignWaiters.fetchAdd(delta, Order::relaxed);
    return;
  }
  uint64 old = netpollWaiters.load(Order::relaxed), now = 0;
  do {
    const auto counted = static_cast<uint32>(old >> 32);
    if (static_cast<int32>(gp->epoch - counted) < 0) return;
    const int32 had = gp->epoch == counted ? static_cast<int32>(old) : 0;
    now = uint64{gp->epoch} << 32 | static_cast<uint32>(had + delta);
  } while (!netpollWaiters.compareExchange(old, now, Order::relaxed));
}

bool netpollblockcommit(G* gp, void* word) {
  netpollCount(gp, 1);
  if (static_cast<PollWord<PollEnv, G>*>(word)->commit(gp)) return true;
  netpollCount(gp, -1);
  return false;
}

int pollOpen(int fd, PollDesc** out) {
  PollDesc* pd = pollAlloc();
  pd->fd = fd;
  pd->closing.store(0, Order::relaxed);
  pd->rg.reset();
  pd->wg.reset();
  pd->sticky.store(0, Order::relaxed);
  pd->rd.store(0, Order::relaxed);
  pd->wd.store(0, Order::relaxed);
  pd->timersReady = false;
  const int err = netpollopen(fd, pd);
  if (err < 0) {
    pollFree(pd);
    return err;
  }
  *out = pd;
  return 0;
}

void pollClose(PollDesc* pd) {
  GORT_CHECK((pd->closing.load(Order::relaxed) & kPollClosing) != 0, "runtime: pollClose before pollUnblock");
  netpollclose(pd->fd);
  pd->fd = -1;
  pollFree(pd);
}

PollError pollReset(PollDesc* pd, PollMode mode) {
  const PollError err = checkErr(pd, mode);
  if (err == PollError::none) wordOf(pd, mode).reset();
  return err;
}

PollError pollStopped(PollDesc* pd, PollMode mode) { return checkErr(pd, mode); }

namespace {

// wait parks until the word of that direction is ready.   stays: a reason not to park that is looked for once `wait` stands
// in the word; nullptr: none.
PollError wait(PollDesc* pd, PollMode mode, const Atomic<uint32>* stays) {
  using Word = PollWord<PollEnv, G>;
  Word& word = wordOf(pd, mode);
  for (;;) {
    if (const PollError err = checkErr(pd, mode); err != PollError::none) return err;
    switch (word.begin()) {
      case Word::Begin::ready:
        return PollError::none;
      case Word::Begin::twice:
        throw_("runtime: double wait");
      case Word::Begin::wait:
        break;
    }
    const bool go = stays != nullptr && stays->load(Order::relaxed) != 0;  // after begin's fence
    if (!go && checkErr(pd, mode) == PollError::none) gopark(netpollblockcommit, &word, WaitReason::ioWait);
    if (word.end() || go) return PollError::none;
  }
}

}  // namespace

PollError pollWait(PollDesc* pd, PollMode mode) { return wait(pd, mode, nullptr); }

PollError pollWaitEmptied(PollDesc* pd) { return wait(pd, PollMode::read, &pd->sticky); }

void pollSticky(PollDesc* pd) {
  pd->sticky.store(1, Order::relaxed);
  fence(Order::seqCst);  // for each event: who set it first may not go to the word at all
}

void pollSetDeadline(PollDesc* pd, int64 when, PollMode mode) {
  Entry e;
  if (when > 0 && when <= nanotime()) when = kPassed;
  lock(pd->lock);
  if ((pd->closing.load(Order::relaxed) & kPollClosing) != 0) {
    unlock(pd->lock);
    return;
  }
  if (when > 0 && !pd->timersReady) {
    timerInit(pd->rt, deadlineTimer, pd);
    timerInit(pd->wt, deadlineTimer, pd);
    pd->timersReady = true;
  }
  if (covers(mode, PollMode::read)) pd->rd.store(when, Order::release);
  if (covers(mode, PollMode::write)) pd->wd.store(when, Order::release);
  const int64 rd = pd->rd.load(Order::relaxed), wd = pd->wd.load(Order::relaxed);
  if (covers(mode, PollMode::read)) arm(pd, pd->rt, rd);
  arm(pd, pd->wt, wd == rd ? 0 : wd);
  if (when == kPassed) {
    fence(Order::seqCst);
    if (covers(mode, PollMode::read)) stopWaiter(pd, PollMode::read);
    if (covers(mode, PollMode::write)) stopWaiter(pd, PollMode::write);
  }
  unlock(pd->lock);
}

void pollCancel(PollDesc* pd, bool on) {
  Entry e;
  lock(pd->lock);
  const uint32 others = pd->closing.load(Order::relaxed) & ~kPollCanceled;
  pd->closing.store(others | (on ? kPollCanceled : 0), Order::release);
  if (on) {
    fence(Order::seqCst);
    stopWaiter(pd, PollMode::read);
    stopWaiter(pd, PollMode::write);
  }
  unlock(pd->lock);
}

void pollUnblock(PollDesc* pd) {
  Entry e;
  lock(pd->lock);
  pd->closing.store(kPollClosing, Order::release);
  if (pd->timersReady) {
    timerStop(pd->rt);
    timerStop(pd->wt);
  }
  fence(Order::seqCst);
  stopWaiter(pd, PollMode::read);
  stopWaiter(pd, PollMode::write);
  unlock(pd->lock);
}

void netpollready(GQueue& list, PollDesc* pd, PollMode mode) {
  if (G* gp = wordOf(pd, mode).unblock(true); gp != nullptr) {
    netpollCount(gp, -1);
    list.push(gp);
  }
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Timers: a 4-ary heap of (what, when) per P, run by checkTimers on the scheduler's way.      (Go: time.go)
//
// Ownership:  a heap belongs to the P whose timers it holds and is guarded by Timers::mu: the P's own M adds
//             and runs, others stop, modify and, when they are idle, run it too. A Timer belongs to its user,
//             who serialises the calls about it; while it is armed its heap only borrows it. A sleeping
//             goroutine is an entry of its own, the G's address with the low bit set: nobody can stop or
//             change a sleep, so it needs no Timer.
// Invariants: (1) heap[i].when <= heap[c].when for the children c = 4i+1 .. 4i+4.
//             (2) for a Timer t at index i: t.ts is this heap, t.heapIndex == i, heap[i].when <= t.when.
//             (3) minWhen == heap[0].when, or 0 when the heap is empty: what others read without the lock.
// Lazy:       pushing a deadline further out, by far the most common change, only writes t.when; the entry
//             keeps its early key and is put right when it reaches the top (rekey). Pulling it in sifts at
//             once.
// Ordering:   minWhen.store(release) under mu <-> timerPollUntil's load(acquire). After it, wakeNetPoller
//             brings somebody who sleeps beyond the new time back; the sleeper announces itself before it
//             looks (proc.cpp). running + 1, then ts.store(nullptr, release) <-> timerStop's
//             ts.load(acquire): who sees the timer gone from its heap sees that f is running.    running - 1
//             (release) is the runner's last access to the timer.
// Model:      tests/model/timers_model.cpp
// Rejected:   Go 1.23's zombies (stop only marks, the heap forgets later): there the collector keeps a
//             stopped timer alive, here it may be gone with its stack frame. Stop removes at once: with an
//             index kept in the Timer that is O(1) for the usual case, the newest deadline being the latest.
//             A lock per Timer: every user has one of its own already. Go's timer-channel laziness lives a
//             floor up: api/timer.cpp.
#include "sched/time.hpp"

#include "base/check.hpp"
#include "os/mem_linux.hpp"
#include "os/os_linux.hpp"
#include "os/vdso.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc.hpp"
#include "sched/sim.hpp"

namespace gort::rt {
namespace {

constexpr uintptr kSleeperBit = 1;
constexpr uint32 kArity = 4;
constexpr uint32 kBatch = 32;  // sleepers readied per hold of the lock
static_assert(alignof(G) > kSleeperBit && alignof(Timer) > kSleeperBit);

constinit Atomic<int64> defaultSlackNs{0};

bool isSleeper(const TimerEntry& e) { return (e.what & kSleeperBit) != 0; }
// SAFETY: `what` was made by entryOf below from a live object of that type; the low bit tells which.
G* sleeperOf(const TimerEntry& e) { return reinterpret_cast<G*>(e.what & ~kSleeperBit); }
Timer* timerOf(const TimerEntry& e) { return reinterpret_cast<Timer*>(e.what); }
TimerEntry entryOf(G* gp, int64 when) { return {reinterpret_cast<uintptr>(gp) | kSleeperBit, when}; }
TimerEntry entryOf(Timer& t, int64 when) { return {reinterpret_cast<uintptr>(&t), when}; }

int64 roundUpTo(int64 when, int64 slack) {
  const int64 rest = when % slack;
  return rest == 0 || when > kTimeNever - slack ? when : when + (slack - rest);
}

// ---- the heap; all require ts.mu

void place(Timers& ts, uint32 i, TimerEntry e) {
  ts.heap[i] = e;
  if (!isSleeper(e)) timerOf(e)->heapIndex = i;
}

// goesFirst decides between two entries; under sim, those of one moment go in an order drawn from the seed.
bool goesFirst(const TimerEntry& a, const TimerEntry& b) {
  return a.when < b.when || (GORT_UNLIKELY(simMode) && a.when == b.when && cheaprandn(2) == 0);
}

void siftUp(Timers& ts, uint32 i, TimerEntry e) {
  while (i > 0) {
    const uint32 parent = (i - 1) / kArity;
    if (!goesFirst(e, ts.heap[parent])) break;
    place(ts, i, ts.heap[parent]);
    i = parent;
  }
  place(ts, i, e);
}

void siftDown(Timers& ts, uint32 i, TimerEntry e) {
  for (;;) {
    const uint32 first = i * kArity + 1;
    if (first >= ts.n) break;
    const uint32 end = first + kArity < ts.n ? first + kArity : ts.n;
    uint32 least = first;
    for (uint32 c = first + 1; c < end; ++c) {
      if (ts.heap[c].when < ts.heap[least].when) least = c;
    }
    if (ts.heap[least].when >= e.when) break;
    place(ts, i, ts.heap[least]);
    i = least;
  }
  place(ts, i, e);
}

void publishMin(Timers& ts) { ts.minWhen.store(ts.n == 0 ? 0 : ts.heap[0].when, Order::release); }

GORT_COLD void grow(Timers& ts) {
  const uint32 cap = ts.cap == 0 ? static_cast<uint32>(kPageSize / sizeof(TimerEntry)) : ts.cap * 2;
  auto* heap = static_cast<TimerEntry*>(os::sysAlloc(cap * sizeof(TimerEntry)));
  GORT_CHECK(heap != nullptr && cap > ts.cap, "runtime: out of memory: cannot grow the timer heap");
  for (uint32 i = 0; i < ts.n; ++i) heap[i] = ts.heap[i];
  if (ts.heap != nullptr) os::sysFree(ts.heap, ts.cap * sizeof(TimerEntry));
  ts.heap = heap;
  ts.cap = cap;
}

// push returns whether e became the earliest.
bool push(Timers& ts, TimerEntry e) {
  if (GORT_UNLIKELY(ts.n == ts.cap)) grow(ts);
  const bool earliest = ts.n == 0 || e.when < ts.heap[0].when;
  siftUp(ts, ts.n++, e);
  ts.len.store(ts.n, Order::relaxed);
  if (earliest) publishMin(ts);
  return earliest;
}

void removeAt(Timers& ts, uint32 i) {
  GORT_DCHECK(i < ts.n, "runtime: timer heap index out of range");
  const TimerEntry last = ts.heap[--ts.n];
  ts.len.store(ts.n, Order::relaxed);
  if (i != ts.n) {
    if (i > 0 && last.when < ts.heap[(i - 1) / kArity].when) {
      siftUp(ts, i, last);
    } else {
      siftDown(ts, i, last);
    }
  }
  if (i == 0) publishMin(ts);
}

[[maybe_unused]] bool isValid(const Timers& ts) {
  for (uint32 i = 0; i < ts.n; ++i) {
    if (i > 0 && ts.heap[(i - 1) / kArity].when > ts.heap[i].when) return false;
    if (isSleeper(ts.heap[i])) continue;
    const Timer* t = timerOf(ts.heap[i]);
    if (t->heapIndex != i || t->when < ts.heap[i].when || t->ts.load(Order::relaxed) != &ts) return false;
  }
  return ts.minWhen.load(Order::relaxed) == (ts.n == 0 ? 0 : ts.heap[0].when);
}

// ---- finding and locking the right heap

// lockLocal locks the heap of the P that this thread has.
Timers& lockLocal() {
  M* mp = getg()->m;
  ++mp->locks;  // no change of P between the look and the lock
  Timers& ts = mp->p->timers;
  lock(ts.mu);
  --mp->locks;
  return ts;
}

// lockHeapOf locks the heap that t is in; nullptr: in none.
Timers* lockHeapOf(Timer& t) {
  for (;;) {
    Timers* ts = t.ts.load(Order::acquire);
    if (ts == nullptr) return nullptr;
    lock(ts->mu);
    if (GORT_LIKELY(t.ts.load(Order::relaxed) == ts)) return ts;
    unlock(ts->mu);
  }
}

void waitNotRunning(Timer& t) {
  for (int i = 0; GORT_UNLIKELY(t.running.load(Order::acquire) != 0); ++i) {
    if (i < 64) {
      os::procyield(20);
    } else {
      os::osyield();
    }
  }
}

// ---- running

// Due is what one look at the heap found: some sleepers, or one timer to call.
struct Due {
  G* sleepers[kBatch];
  uint32 n = 0;
  Timer* timer = nullptr;
  TimerFunc f = nullptr;
  void* arg = nullptr;
  uint64 seq = 0;
  int64 delta = 0;
};

// takeTimer prepares the call of t, the due top of the heap. Periodic timers stay, at their next multiple.
void takeTimer(Timers& ts, Timer& t, int64 now, Due& due) {
  due.timer = &t;
  due.f = t.f;
  due.arg = t.arg;
  due.seq = t.seq;
  due.delta = now - t.when;
  t.running.fetchAdd(1, Order::relaxed);  // a count: a periodic timer may be due again before f returned
  if (t.period > 0) {
    const int64 next = t.when + t.period * (1 + due.delta / t.period);
    t.when = next < 0 ? kTimeNever : next;
    siftDown(ts, 0, entryOf(t, t.when));
    publishMin(ts);
    return;
  }
  removeAt(ts, 0);
  t.ts.store(nullptr, Order::release);
}

// takeDue collects what is due at the top: sleepers up to the first timer, or that timer. Requires: ts.mu.
void takeDue(Timers& ts, int64 now, Due& due) {
  while (ts.n > 0 && ts.heap[0].when <= now && due.n < kBatch) {
    const TimerEntry top = ts.heap[0];
    if (isSleeper(top)) {
      G* gp = sleeperOf(top);
      __builtin_prefetch(&gp->atomicstatus, 1);  // of 100 000 sleepers none is in the cache
      __builtin_prefetch(&gp->schedlink, 1);
      due.sleepers[due.n++] = gp;
      removeAt(ts, 0);
      continue;
    }
    Timer* t = timerOf(top);
    if (t->when > top.when) {  // lazy modify: put the key right
      siftDown(ts, 0, entryOf(*t, t->when));
      publishMin(ts);
      continue;
    }
    if (due.n == 0) takeTimer(ts, *t, now, due);
    return;
  }
}

void fire(Due& due) {
  if (due.timer != nullptr) {
    due.f(due.arg, due.seq, due.delta);
    due.timer->running.fetchSub(1, Order::release);
    return;
  }
  const bool next = due.n == 1;  // several: first due, first run, behind what is runnable already
  for (uint32 i = 0; i < due.n; ++i) readyWithNext(due.sleepers[i], next);
}

// What a goroutine that goes to sleep hands to its commit function.
struct SleepUntil {
  int64 when;
};

// Runs on g0 once gp is off its stack: from the unlock on, gp may run again elsewhere and *p is gone.
bool commitSleep(G* gp, void* p) {
  const int64 when = static_cast<SleepUntil*>(p)->when;
  Timers& ts = lockLocal();
  const bool earliest = push(ts, entryOf(gp, when));
  unlock(ts.mu);
  // This M is about to look for work. If it finds none it waits for this timer itself, and if it steals some
  // it wakes another M that will; only work at hand would keep it from both.
  const P* pp = getg()->m->p;
  if (earliest && !(pp->runq.empty() && sched.runqsize.load(Order::relaxed) == 0)) wakeNetPoller(when);
  return true;
}

}  // namespace

int64 nanotime() { return GORT_UNLIKELY(loadRelaxed(&simMode)) ? simNanotime() : os::nanotime(); }

int64 walltime() { return GORT_UNLIKELY(loadRelaxed(&simMode)) ? simWalltime() : os::walltime(); }

int64 whenAfter(int64 ns) {
  const int64 now = nanotime();
  if (ns > kTimeNever - now) return kTimeNever;
  return ns <= 0 ? (now > 0 ? now : 1) : now + ns;
}

void timeSleep(int64 ns) {
  if (ns > 0) timeSleepUntil(whenAfter(ns));
}

void timeSleepUntil(int64 when) {
  if (when <= 0) return;
  SleepUntil until{when};
  gopark(commitSleep, &until, WaitReason::sleep);
}

void timerInit(Timer& t, TimerFunc f, void* arg) {
  t.f = f;
  t.arg = arg;
}

void timerSetSlack(Timer& t, int64 slackNs) { t.slackNs = slackNs; }

void timerSetDefaultSlack(int64 slackNs) { defaultSlackNs.store(slackNs, Order::relaxed); }

bool timerModify(Timer& t, int64 when, int64 period) {
  GORT_CHECK(when > 0 && period >= 0, "runtime: timer armed for a time that is not positive");
  const int64 slack = t.slackNs != 0 ? t.slackNs : defaultSlackNs.load(Order::relaxed);
  if (slack > 0) when = roundUpTo(when, slack);
  bool earliest = false;
  Timers* ts = lockHeapOf(t);
  const bool pending = ts != nullptr;
  if (pending) {
    t.when = when;
    t.period = period;
    if (when < ts->heap[t.heapIndex].when) {
      siftUp(*ts, t.heapIndex, entryOf(t, when));
      earliest = t.heapIndex == 0;
      if (earliest) publishMin(*ts);
    }
  } else {
    waitNotRunning(t);
    ts = &lockLocal();
    t.when = when;
    t.period = period;
    t.ts.store(ts, Order::relaxed);
    earliest = push(*ts, entryOf(t, when));
  }
  GORT_XCHECK(isValid(*ts), "runtime: timer heap corrupted");
  unlock(ts->mu);
  if (earliest) wakeNetPoller(when);
  return pending;
}

bool timerStop(Timer& t) {
  Timers* ts = lockHeapOf(t);
  const bool pending = ts != nullptr;
  if (pending) {
    removeAt(*ts, t.heapIndex);
    t.ts.store(nullptr, Order::relaxed);
    GORT_XCHECK(isValid(*ts), "runtime: timer heap corrupted");
    unlock(ts->mu);
  }
  waitNotRunning(t);
  return pending;
}

CheckTimersResult checkTimersSlow(P* pp, int64 now, int64 next) {
  if (now == 0) now = nanotime();
  if (now < next) return {now, next, false};
  Timers& ts = pp->timers;
  bool ran = false;
  for (;;) {
    Due due;
    lock(ts.mu);
    takeDue(ts, now, due);
    unlock(ts.mu);
    if (due.n == 0 && due.timer == nullptr) break;
    ran = true;
    fire(due);
  }
  return {now, timerPollUntil(pp), ran};
}

int64 timersSleepUntil() {
  int64 earliest = INT64_MAX;
  for (int32 i = 0; i < gomaxprocs; ++i) {
    const int64 when = timerPollUntil(allp[i]);
    if (when != 0 && when < earliest) earliest = when;
  }
  return earliest;
}

// The world is stopped, at points where nobody holds a heap's lock; the caller holds sched.lock, which ranks
// higher.
void timersMove(P* dst, P* src) {
  Timers& to = dst->timers;
  Timers& from = src->timers;
  for (uint32 i = 0; i < from.n; ++i) {
    const TimerEntry e = from.heap[i];
    if (!isSleeper(e)) timerOf(e)->ts.store(&to, Order::release);
    push(to, e);
  }
  from.n = 0;
  from.len.store(0, Order::relaxed);
  publishMin(from);
  if (from.heap != nullptr) os::sysFree(from.heap, from.cap * sizeof(TimerEntry));
  from.heap = nullptr;
  from.cap = 0;
}

void timersAbandon() {
  for (int32 i = 0; i < gomaxprocs; ++i) {
    Timers& ts = allp[i]->timers;
    lock(ts.mu);
    for (uint32 k = 0; k < ts.n; ++k) {
      if (!isSleeper(ts.heap[k])) timerOf(ts.heap[k])->ts.store(nullptr, Order::release);
    }
    ts.n = 0;
    ts.len.store(0, Order::relaxed);
    publishMin(ts);
    unlock(ts.mu);
  }
}

bool timersEmpty() {
  for (int32 i = 0; i < gomaxprocs; ++i) {
    if (timerPollUntil(allp[i]) != 0) return false;
  }
  return true;
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// The monitor thread, deadlock detection, schedtrace.                                    (Go: proc.go: sysmon, checkdead)
//
// What it does in each round: the coarse clock; I/O that all Ps have been too busy to look for; retake
// (proc_world.cpp): Ps from long system calls, long slices; hogs that must be rescued (preempt.cpp); timers that
// nobody has run; stalls, if asked for; stacks of dead goroutines; the trace, if asked for.
//
// When. sysmon sleeps 20 us, doubling up to 10 ms while it finds nothing to do (5 ms while goroutines run, 2 ms while all Ps
// are busy and somebody waits for one), and when every P is idle and nothing has run since its last look until it is woken
// (0 % CPU; it looks once a minute all the same): by whoever makes a P busy again (pidleget, a system call's end, the end of
// a stop), or by a shorter time-out of its own when stacks of dead goroutines are still to be given back, when there is a
// trace to print, or when checkdead held its verdict back because of threads that are not ours: they may end without ever
// calling. A server has all its Ps idle for moments: going to sleep in each, to be woken after it, took 3 to 6 % of one.
//
// Where. A thread of its own, on its M's g0, never with a P: it is not preempted, and must not call what needs a P (goready,
// timers' functions): work goes to injectglist and startm. Its M is not counted by checkdead (nmsys).
// "Runs on: sysmon" below means that thread, with no lock held.
#include "arch/sanitizer_fiber.hpp"
#include "mem/stackalloc.hpp"
#include "os/thread.hpp"
#include "os/uring_raw.hpp"
#include "os/vdso.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc_internal.hpp"
#include "sched/signal_unix.hpp"

namespace gort::rt {

namespace {

constexpr uint32 kMinDelayUs = 20, kMaxDelayUs = 10 * 1000, kAfterSleepUs = 1000;
constexpr uint32 kWatchUs = 2000;      // while somebody waits for a P: a slice ends when its time is over
constexpr uint32 kBusyDelayUs = 5000;  // while goroutines run: somebody may come
constexpr int64 kScavengeNs = int64{250} * 1000 * 1000;
constexpr int64 kIdleWakeNs = int64{60} * 1000 * 1000 * 1000;
constexpr int64 kPollNs = int64{10} * 1000 * 1000;
constexpr int64 kLateTimerNs = int64{1000} * 1000;
constexpr int32 kScavengeMin = 256, kScavengeMax = 4096;  // some 2 us each
constexpr int64 kMinLookNs = 1000 * 1000,
                kMaxLookNs = int64{1000} * 1000 * 1000;  // between two looks at the threads of others
constinit Atomic<bool> sysmonStop{false};
constinit Atomic<int64> lookAgainNs{0};  // written under sched.lock; 0: no verdict is held back
constinit M* sysmonM = nullptr;

// scavengeStacks gives the pages of dead goroutines' stacks back to the kernel: a sixteenth of them at a time, so that a
// program that needs them again soon finds most of them warm.   Runs on: sysmon. A stack is out of all lists meanwhile.
void scavengeStacks() {
  int32 n = sched.gFree.nDirty.load(Order::relaxed) / 16;
  n = n < kScavengeMin ? kScavengeMin : n > kScavengeMax ? kScavengeMax : n;
  for (; n > 0; --n) {
    lock(sched.gFree.lock);
    G* gp = sched.gFree.dirty.pop();
    if (gp != nullptr) {
      sched.gFree.nDirty.fetchSub(1, Order::relaxed);
      sched.gFree.n.fetchSub(1, Order::relaxed);
    }
    unlock(sched.gFree.lock);
    if (gp == nullptr) return;
    stackUnused(gp);
    lock(sched.gFree.lock);
    sched.gFree.clean.push(gp);
    sched.gFree.n.fetchAdd(1, Order::relaxed);
    unlock(sched.gFree.lock);
  }
}

// deepSleep waits while nothing runs. False: something does.   Runs on: sysmon.
bool deepSleep() {
  if (!sched.gcwaiting.load(Order::relaxed) && sched.npidle.load(Order::relaxed) != gomaxprocs) return false;
  lock(sched.lock);
  if (!sched.gcwaiting.load(Order::relaxed) && sched.npidle.load(Order::relaxed) != gomaxprocs) {
    unlock(sched.lock);
    return false;
  }
  if (sysmonStop.load(Order::relaxed)) {  // stopSysmon sets it before it takes the lock
    unlock(sched.lock);
    return true;
  }
  sched.sysmonwait.store(true);
  const bool dirty = sched.gFree.nDirty.load(Order::relaxed) > 0;
  const int64 look = lookAgainNs.load(Order::relaxed);
  unlock(sched.lock);
  int64 ns = dirty ? kScavengeNs / 10 : kIdleWakeNs;
  if (look != 0 && look < ns) ns = look;
  const int64 traceNs = int64{loadRelaxed(&debug.schedtrace)} * 1000000;
  if (traceNs > 0 && ns > traceNs) ns = traceNs;
  const bool woken = notetsleep(sched.sysmonnote, ns);
  lock(sched.lock);
  sched.sysmonwait.store(false);
  noteclear(sched.sysmonnote);
  if (!woken && lookAgainNs.load(Order::relaxed) != 0) checkdead();
  unlock(sched.lock);
  return true;
}

// pollForBusyPs looks for I/O when all Ps have been too busy to do so for 10 ms.   Runs on: sysmon.
void pollForBusyPs(int64 now) {
  int64 last = sched.lastpoll.load(Order::relaxed);
  if (last == 0 || last + kPollNs >= now || !netpollAnyWaiters()) return;
  if (!sched.lastpoll.compareExchange(last, now)) return;
  GQueue ready = netpoll(0);
  injectglist(ready);
}

// slices is how many slices of time have begun on all Ps.
uint32 slices() {
  uint32 n = 0;
  for (int32 i = 0; i < gomaxprocs; ++i) n += allp[i]->schedtick.load(Order::relaxed);
  return n;
}

// sysmonLoop is rounds until stopSysmon.   Runs on: sysmon.
void sysmonLoop() {
  uint32 delay = 0, seen = 0;
  bool ran = true;
  int idle = 0;
  int64 lastTrace = 0, lastScavenge = os::nanotime();
  while (!sysmonStop.load(Order::acquire)) {
    if (idle == 0) {
      delay = kMinDelayUs;
    } else if (idle > 50) {
      delay *= 2;
    }
    if (delay > kMaxDelayUs) delay = kMaxDelayUs;
    if (delay > kWatchUs && sched.npidle.load(Order::relaxed) == 0)
      delay = workWaiting(os::nanotime()) ? kWatchUs : kBusyDelayUs;
    if (ran && delay > kBusyDelayUs) delay = kBusyDelayUs;
    if (const int64 stall = loadRelaxed(&debug.stallNs) / 4000; GORT_UNLIKELY(stall != 0) && delay > stall)
      delay = static_cast<uint32>(stall);
    os::usleep(delay);
    const uint32 begun = slices();
    ran = begun != seen;
    seen = begun;
    if (!ran && deepSleep()) {
      idle = 1;
      delay = kAfterSleepUs;  // not 20 us: programs that wake for a moment now and then pay for each look
    }
    const int64 now = os::nanotime();
    if (!loadRelaxed(&simMode)) {
      setCoarseNow(now);
      pollForBusyPs(now);
      idle = retake(now) != 0 ? 0 : idle + 1;
      if (GORT_UNLIKELY(loadRelaxed(&debug.stallNs) != 0)) lookForStalls(now);
      if (timersSleepUntil() < now - kLateTimerNs)
        startm(nullptr, false, false);  // nobody ran it: maybe a hog
    }
    if (now - lastScavenge > kScavengeNs ||
        (sched.gFree.nDirty.load(Order::relaxed) > 0 && sched.npidle.load() == gomaxprocs)) {
      lastScavenge = now;
      scavengeStacks();
    }
    const int64 traceNs = int64{loadRelaxed(&debug.schedtrace)} * 1000000;
    if (traceNs > 0 && lastTrace + traceNs <= now) {
      lastTrace = now;
      schedtrace(loadRelaxed(&debug.scheddetail) > 0);
    }
  }
}

// sysmonThread makes the new thread sysmonM's.   Runs on: that thread, its first function; there is no g before.
void sysmonThread(void* arg) {
  auto* mp = static_cast<M*>(arg);
  const auto sp = reinterpret_cast<uintptr>(__builtin_frame_address(0));
  mp->g0->stack = {sp - (512 << 10), sp + 1024};
  setg(mp->g0);
  bindThread(mp);
  os::setThreadName("gort-sysmon");
  sysmonLoop();
  unminitSignals(mp);
  setg(nullptr);
  helperThreadEnds();
}

}  // namespace

// Requires: it does not run; one caller at a time (boot, ensureThreads). Runs on: any thread; makes a thread, so no P
// of others may wait for this.
void startSysmon() {
  if (sysmonM == nullptr) {
    sysmonM = allocm(false);
    sysmonM->id = sched.mnext++;
    ++sched.nmsys;
    mcommoninit(sysmonM);
  }
  sysmonStop.store(false);
  helperThreadBegins();
  if (const int err = os::createThread(sysmonThread, sysmonM, std::size_t{1} << 20); err != 0) {
    fatal("runtime: cannot create the monitor thread (ulimit -u?)");
  }
}

// It asks and does not wait: helperThreadEnds tells the end.   Runs on: a foreign thread without an M (stopThreads).
void stopSysmon() {
  sysmonStop.store(true, Order::release);
  lock(sched.lock);
  if (sched.sysmonwait.load(Order::relaxed)) {
    sched.sysmonwait.store(false);
    notewakeup(sched.sysmonnote);
  }
  unlock(sched.lock);
}

// othersAlive tells whether the process has threads besides ours: any of them may call in and wake somebody. A thread that
// has been joined can be visible for a moment longer, and one that lives may end without a call: so sysmon looks again.
// Runs on: as checkdead.   Requires: sched.lock, every M of ours asleep (so that all their threads are there to be counted).
bool othersAlive() {
  GORT_HOLDS(sched.lock);
  if (os::threadCount() - os::uringWorkers() <= mcount() + 1 + kSanitizerThreads)
    return false;  // + 1: the template thread is no M
  const int64 last = lookAgainNs.load(Order::relaxed);
  const int64 next = last == 0 ? kMinLookNs : last * 2;
  lookAgainNs.store(next < kMaxLookNs ? next : kMaxLookNs, Order::relaxed);
  if (last == 0 && sched.sysmonwait.load(Order::relaxed)) {  // it was going to sleep for longer
    sched.sysmonwait.store(false);
    notewakeup(sched.sysmonnote);
  }
  return true;
}

// checkdead ends the process when no goroutine can ever run again. Only under gort::run, and only while no thread of others
// lives: a host program's threads may wake us.   Runs on: whoever goes to sleep as the last one: g0 of an M, or sysmon; the
// M that calls is counted as asleep already.   Requires: sched.lock. Keeps it, or does not return.
void checkdead() {
  GORT_HOLDS(sched.lock);
  if (!runMode || sched.nextra.load(Order::relaxed) > 0 || getg()->m->dying != 0) return;
  const int32 run = mcount() - sched.nmidle - sched.nmidlelocked - sched.nmsys;
  if (run > 0) {
    lookAgainNs.store(0, Order::relaxed);
    return;
  }
  GORT_CHECK(run == 0, "checkdead: inconsistent counts");
  struct Count {
    int waiting = 0, runnable = 0;
  } count;
  forEachG(
      [](G* gp, void* p) {
        auto* c = static_cast<Count*>(p);
        if (gp->systemGoroutine || gp->foreign || gp->epoch != sched.epoch.load(Order::relaxed)) return;
        const auto s = static_cast<GStatus>(readgstatus(gp) & ~static_cast<uint32>(GStatus::Gscan));
        if (s == GStatus::Gwaiting) ++c->waiting;
        if (s == GStatus::Grunnable || s == GStatus::Grunning || s == GStatus::Gsyscall) ++c->runnable;
      },
      &count);
  if (count.runnable > 0) return;  // between queues: somebody holds it and will look again
  for (int32 i = 0; i < gomaxprocs; ++i) {
    if (timerPollUntil(allp[i]) != 0) return;
  }
  if (netpollAnyWaiters() || othersAlive()) return;
  unlock(sched.lock);
  if (count.waiting == 0) fatal("no goroutines (main called runtime.Goexit) - deadlock!");
  fatal("all goroutines are asleep - deadlock!");
}

namespace {

constinit int64 traceStart = 0;

// The functions below glance at Ps, Ms and Gs that others run: a value may be out of date, never torn. They run on the
// thread of schedtrace, under sched.lock; the lists of Ms and Gs only grow.
GORT_UNINSTRUMENTED GORT_NOINLINE int64 lockedGoid(const G* gp) {
  return gp == nullptr ? -1 : static_cast<int64>(gp->goid);
}

Printer& idOrNil(Printer& p, int64 id) { return id < 0 ? p << "nil" : p << id; }

GORT_UNINSTRUMENTED GORT_NOINLINE void traceP(Printer& p, int32 i, const P* pp) {
  const M* mp = pp->m;
  p << "  P" << i << ": status=" << pp->status.load(Order::relaxed)
    << " schedtick=" << pp->schedtick.load(Order::relaxed)
    << " syscalltick=" << pp->syscalltick.load(Order::relaxed) << " m=";
  idOrNil(p, mp == nullptr ? -1 : mp->id)
      << " runqsize=" << pp->runq.size() << " gfreecnt=" << pp->gFreeN.get() << " timerslen=" << pp->timers.n
      << "\n";
}

GORT_UNINSTRUMENTED GORT_NOINLINE void traceM(Printer& p, const M* mp) {
  if (mp->exited) return;
  const P* pp = mp->p;
  p << "  M" << mp->id << ": p=";
  idOrNil(p, pp == nullptr ? -1 : pp->id) << " curg=";
  idOrNil(p, lockedGoid(mp->curg)) << " mallocing=" << mp->mallocing << " throwing=" << mp->throwing
                                   << " preemptoff=" << (mp->preemptoff == nullptr ? "" : mp->preemptoff)
                                   << " locks=" << mp->locks << " dying=" << mp->dying
                                   << " spinning=" << mp->spinning << " blocked=" << mp->blocked
                                   << " lockedg=";
  idOrNil(p, lockedGoid(mp->lockedg)) << "\n";
}

GORT_UNINSTRUMENTED GORT_NOINLINE void traceG(G* gp, void* arg) {
  auto& p = *static_cast<Printer*>(arg);
  const M* mp = gp->m;
  const M* locked = gp->lockedm;
  p << "  G" << gp->goid << ": status=" << readgstatus(gp) << "(" << waitReasonString(gp->waitreason)
    << ") m=";
  idOrNil(p, mp == nullptr ? -1 : mp->id) << " lockedm=";
  idOrNil(p, locked == nullptr ? -1 : locked->id) << "\n";
}

}  // namespace

// schedtrace prints one line about the scheduler, and a line for every P, M and G if detailed.   Runs on: sysmon; holds
// sched.lock while it writes, so that the lines belong together.
void schedtrace(bool detailed) {
  const int64 now = os::nanotime();
  if (traceStart == 0) traceStart = now;
  lock(sched.lock);
  Printer p;
  p << "SCHED " << (now - traceStart) / 1000000 << "ms: gomaxprocs=" << gomaxprocs.get()
    << " idleprocs=" << sched.npidle.load(Order::relaxed) << " threads=" << mcount()
    << " spinningthreads=" << sched.nmspinning.load(Order::relaxed)
    << " needspinning=0 idlethreads=" << sched.nmidle << " runqueue=" << sched.runqsize.load(Order::relaxed);
  if (detailed) {
    p << " gcwaiting=" << sched.gcwaiting.load(Order::relaxed) << " nmidlelocked=" << sched.nmidlelocked
      << " stopwait=" << sched.stopwait << " sysmonwait=" << sched.sysmonwait.load(Order::relaxed) << "\n";
    for (int32 i = 0; i < gomaxprocs; ++i) traceP(p, i, allp[i]);
    for (M* mp = allm.load(Order::acquire); mp != nullptr; mp = mp->alllink) traceM(p, mp);
    forEachG(traceG, &p);
  } else {
    p << " [";
    for (int32 i = 0; i < gomaxprocs; ++i) p << " " << allp[i]->runq.size();
    p << " ] schedticks=[";
    for (int32 i = 0; i < gomaxprocs; ++i) p << " " << allp[i]->schedtick.load(Order::relaxed);
    p << " ]\n";
  }
  p.flush();
  unlock(sched.lock);
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Stopping the world, changing GOMAXPROCS, system calls.                                          (Go: proc.go)
//
// Stop: gcwaiting is raised under sched.lock, then every P is brought to Pgcstop: idle ones and those in system calls at
// once, running ones when their goroutine passes a scheduler point (every public entry is one). stopwait counts what is
// missing; the last one wakes stopnote. One stop at a time: worldsema.
//
// System calls: entersyscall leaves the P in Psyscall, reserved for the M, and takes 2 stores; sysmon or a stop may take
// it (CAS Psyscall -> Pidle/Pgcstop). exitsyscall takes it back by the opposite CAS, or another idle P, or queues the
// goroutine and stops the M.  Exactly one CAS on P::status wins; the loser looks elsewhere.
#include "arch/asm.hpp"
#include "mem/persistentalloc.hpp"
#include "os/os_linux.hpp"
#include "os/vdso.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc_internal.hpp"
#include "sched/sema.hpp"

namespace gort::rt {

namespace {

constinit Atomic<uint32> worldsema{1};
constexpr int64 kPreemptRetryNs = 100 * 1000;
constexpr int64 kForever = INT64_MAX;
constexpr int32 kMaxProcs = 1024;
constinit P* allpStorage[kMaxProcs];

constexpr uint32 st(PStatus s) { return static_cast<uint32>(s); }

// stopAll brings every P but the caller's to Pgcstop.  Returns false, with the world running again, if ns pass first.
// Runs on: g0 with a P.
bool stopAll(int64 ns) {
  M* mp = getg()->m;
  lock(sched.lock);
  sched.stopwait = gomaxprocs;
  sched.gcwaiting.store(true);
  preemptall(false);
  mp->p->status.store(st(PStatus::Pgcstop));
  --sched.stopwait;
  for (int32 i = 0; i < gomaxprocs; ++i) {
    P* pp = allp[i];
    if (pp->status.load() == st(PStatus::Psyscall) &&
        pp->status.cas(st(PStatus::Psyscall), st(PStatus::Pgcstop))) {
      pp->syscalltick.fetchAdd(1, Order::relaxed);
      --sched.stopwait;
    }
  }
  while (P* pp = pidleget()) {
    pp->status.store(st(PStatus::Pgcstop));
    --sched.stopwait;
  }
  const bool wait = sched.stopwait > 0;
  unlock(sched.lock);
  if (!wait) return true;
  const int64 begin = os::nanotime();
  while (!notetsleep(sched.stopnote, kPreemptRetryNs)) {
    if (ns != kForever && os::nanotime() - begin > ns) {
      lock(sched.lock);
      const bool late = sched.stopwait != 0;
      if (late) sched.stopwait = INT32_MAX / 2;  // nobody wakes stopnote any more
      unlock(sched.lock);
      if (late) return false;
    }
    preemptall(true);
    rescueHogs(os::nanotime(), true);
  }
  noteclear(sched.stopnote);
  return true;
}

// startAll lets the world run again.   Runs on: g0; the caller keeps its P.
void startAll() {
  M* mp = getg()->m;
  lock(sched.lock);
  P* withWork = nullptr;
  for (int32 i = gomaxprocs - 1; i >= 0; --i) {
    P* pp = allp[i];
    if (pp == mp->p || pp->status.load() != st(PStatus::Pgcstop)) continue;
    pp->status.store(st(PStatus::Pidle));
    if (pp->runq.empty()) {
      pidleput(pp);
    } else {
      pp->link = withWork;
      withWork = pp;
    }
  }
  mp->p->status.store(st(PStatus::Prunning));
  sched.gcwaiting.store(false);
  if (sched.sysmonwait.load(Order::relaxed)) {
    sched.sysmonwait.store(false);
    notewakeup(sched.sysmonnote);
  }
  unlock(sched.lock);
  while (withWork != nullptr) {
    P* pp = withWork;
    withWork = pp->link;
    pp->link = nullptr;
    startm(pp, false, false);
  }
  fence(Order::seqCst);
  wakep();
}

}  // namespace

bool preemptone(P* pp, bool bySignal, int64 since) {
  M* mp = pp->m;
  if (mp == nullptr || mp == getg()->m) return false;
  G* gp = mp->curg;
  if (gp == nullptr || gp == mp->g0) return false;
  storeRelaxed(&pp->preempt, true);
  storeRelaxed(&gp->stackguard0, kStackPreempt);
  if (bySignal && !mp->isextra) preemptM(mp, kAskYield, since);
  return true;
}

bool preemptall(bool bySignal) {
  bool any = false;
  for (int32 i = 0; i < gomaxprocs; ++i) {
    if (allp[i]->status.load(Order::relaxed) == st(PStatus::Prunning))
      any |= preemptone(allp[i], bySignal, 0);
  }
  return any;
}

// gcstopm stops this M's P for a stop of the world and sleeps.   Runs on: g0.
void gcstopm() {
  GORT_ON_G0();
  notInForkedChild();
  M* mp = getg()->m;
  if (mp->spinning) {
    mp->spinning = false;
    GORT_CHECK(sched.nmspinning.fetchSub(1) >= 1, "gcstopm: negative nmspinning");
  }
  P* pp = releasep();
  lock(sched.lock);
  if (!sched.gcwaiting.load(Order::relaxed)) {  // the stop was over before we took the lock
    unlock(sched.lock);
    acquirep(pp);
    return;
  }
  pp->status.store(st(PStatus::Pgcstop));
  if (--sched.stopwait == 0) notewakeup(sched.stopnote);
  unlock(sched.lock);
  stopm();
}

void stopTheWorld(const char* reason) {
  notInForkedChild();
  semacquire(&worldsema);
  getg()->m->preemptoff = reason;
  systemstack([] { stopAll(kForever); });
}

bool stopTheWorldFor(int64 ns) {
  notInForkedChild();
  semacquire(&worldsema);
  getg()->m->preemptoff = "stopping the world";
  bool ok = false;
  systemstack([&] {
    ok = stopAll(ns);
    if (!ok) startAll();
  });
  if (!ok) {
    getg()->m->preemptoff = nullptr;
    semrelease(&worldsema);
  }
  return ok;
}

void startTheWorld() {
  systemstack([] { startAll(); });
  getg()->m->preemptoff = nullptr;
  semrelease(&worldsema);
}

// procresize makes n Ps. The caller keeps its P if it still exists, else gets allp[0].
// Requires: world stopped, or start-up (caller without P).
void procresize(int32 n) {
  M* mp = getg()->m;
  const int32 old = gomaxprocs;
  if (allp == nullptr) allp = allpStorage;  // once: sysmon reads it
  for (int32 i = 0; i < n; ++i) {
    if (allp[i] == nullptr) allp[i] = new (persistentalloc(sizeof(P), kCacheLineSize)) P;
    if (i >= old) {
      allp[i]->id = i;
      allp[i]->status.store(st(PStatus::Pgcstop));
    }
  }
  P* keep = mp->p;
  if (keep == nullptr || keep->id >= n) {
    if (keep != nullptr) {
      keep->m = nullptr;
      mp->p = nullptr;
    }
    P* first = allp[0];
    first->m = nullptr;
    first->status.store(st(PStatus::Pidle));
    acquirep(first);
    keep = first;
  }
  for (int32 i = n; i < old; ++i) {  // dying Ps give away what they have
    P* pp = allp[i];
    bool inherit;
    while (G* gp = pp->runq.get(&inherit)) globrunqput(gp);
    timersMove(keep, pp);
    while (G* gp = pp->gFree.pop()) {
      pp->gFreeN = pp->gFreeN - 1;
      lock(sched.gFree.lock);
      sched.gFree.dirty.push(gp);
      sched.gFree.n.fetchAdd(1, Order::relaxed);
      sched.gFree.nDirty.fetchAdd(1, Order::relaxed);
      unlock(sched.gFree.lock);
    }
    pp->status.store(st(PStatus::Pdead));
  }
  gomaxprocs = n;
  keep->status.store(st(PStatus::Prunning));
}

int32 setGomaxprocs(int32 n) {
  const int32 old = gomaxprocs;
  if (n > kMaxProcs) n = kMaxProcs;
  if (n <= 0 || n == old || simMode) return old;
  stopTheWorld("GOMAXPROCS");
  systemstack([n] {
    lock(sched.lock);
    procresize(n);
    unlock(sched.lock);
  });
  startTheWorld();
  return old;
}

// ---- system calls

namespace {

void rememberWhere(G* gp) {
  const auto frame = reinterpret_cast<uintptr>(__builtin_frame_address(0));
  gp->syscallbp = frame;
  gp->syscallsp = frame;
  gp->syscallpc = reinterpret_cast<uintptr>(__builtin_return_address(0));
}

}  // namespace

GORT_NOINLINE void entersyscall() {
  G* gp = getg();
  M* mp = gp->m;
  ++mp->locks;
  rememberWhere(gp);
  casgstatus(gp, GStatus::Grunning, GStatus::Gsyscall);
  if (GORT_UNLIKELY(sched.sysmonwait.load(Order::relaxed))) {
    lock(sched.lock);
    if (sched.sysmonwait.load(Order::relaxed)) {
      sched.sysmonwait.store(false);
      notewakeup(sched.sysmonnote);
    }
    unlock(sched.lock);
  }
  P* pp = mp->p;
  pp->m = nullptr;
  mp->oldp = pp;
  mp->p = nullptr;
  pp->status.store(st(PStatus::Psyscall));
  if (GORT_UNLIKELY(sched.gcwaiting.load())) {
    notInForkedChild();
    lock(sched.lock);
    if (sched.gcwaiting.load(Order::relaxed) && sched.stopwait > 0 &&
        pp->status.cas(st(PStatus::Psyscall), st(PStatus::Pgcstop))) {
      pp->syscalltick.fetchAdd(1, Order::relaxed);
      if (--sched.stopwait == 0) notewakeup(sched.stopnote);
    }
    unlock(sched.lock);
  }
  --mp->locks;
}

GORT_NOINLINE void entersyscallblock() {
  G* gp = getg();
  M* mp = gp->m;
  ++mp->locks;
  rememberWhere(gp);
  casgstatus(gp, GStatus::Grunning, GStatus::Gsyscall);
  mp->oldp = nullptr;
  mp->p->syscalltick.fetchAdd(1, Order::relaxed);
  systemstack([] { handoffp(releasep()); });
  --mp->locks;
}

namespace {

bool exitsyscallfast(M* mp, P* oldp) {
  if (oldp != nullptr && oldp->status.load(Order::relaxed) == st(PStatus::Psyscall) &&
      oldp->status.cas(st(PStatus::Psyscall), st(PStatus::Pidle))) {
    wirep(oldp);
    oldp->syscalltick.fetchAdd(1, Order::relaxed);
    return true;
  }
  if (sched.npidle.load(Order::relaxed) == 0) return false;
  notInForkedChild();
  bool ok = false;
  systemstack([&] {
    lock(sched.lock);
    P* pp = sched.gcwaiting.load(Order::relaxed) ? nullptr : pidleget();
    if (pp != nullptr && sched.sysmonwait.load(Order::relaxed)) {
      sched.sysmonwait.store(false);
      notewakeup(sched.sysmonnote);
    }
    unlock(sched.lock);
    if (pp != nullptr) {
      --mp->locks;
      acquirep(pp);
      ++mp->locks;
      ok = true;
    }
  });
  return ok;
}

// leftBehind: run() ended while gp was in the kernel. It gets no P any more (Note [Epochs] in proc.cpp).
bool leftBehind(const G* gp) { return gp->epoch != sched.epoch.load(Order::relaxed) && !gp->foreign; }

}  // namespace

// exitsyscall0 is the slow way back: no P was free, or there is none for gp.   Runs on: g0, through mcall, without a P.
G* exitsyscall0(G* gp) {
  GORT_ON_G0();
  M* mp = getg()->m;
  mp->lostP = false;
  casgstatus(gp, GStatus::Gsyscall, GStatus::Grunnable);
  mp->curg = nullptr;
  gp->m = nullptr;
  const bool locked = gp->lockedm != nullptr;
  P* pp = nullptr;
  if (GORT_LIKELY(!leftBehind(gp))) {
    lock(sched.lock);
    pp = sched.gcwaiting.load(Order::relaxed) ? nullptr : pidleget();
    if (pp == nullptr) globrunqput(gp);
    unlock(sched.lock);
  }
  if (pp != nullptr) {
    acquirep(pp);
    return execute(gp, false);
  }
  if (locked) {
    stoplockedm();
    return execute(gp, false);
  }
  stopm();
  return schedule();
}

GORT_NOINLINE void exitsyscall() {
  G* gp = getg();
  M* mp = gp->m;
  ++mp->locks;
  P* oldp = mp->oldp;
  mp->oldp = nullptr;
  const bool fast = GORT_LIKELY(!leftBehind(gp)) && exitsyscallfast(mp, oldp);
  --mp->locks;
  if (GORT_LIKELY(fast)) {
    casgstatus(gp, GStatus::Gsyscall, GStatus::Grunning);
    mp->curg = gp;
  } else {
    mcall(exitsyscall0);
  }
  gp->syscallsp = gp->syscallpc = gp->syscallbp = 0;
}

namespace {

constexpr int64 kForcePreemptNs = 10 * 1000 * 1000;

// sameSlice: pp has not switched since the last look. If it has, the look begins anew.
bool sameSlice(P* pp, int64 now) {
  auto& pd = pp->sysmontick;
  const uint32 t = pp->schedtick.load(Order::relaxed);
  if (pd.schedtick == t) return true;
  pd.schedtick = t;
  pd.schedwhen = pp->hogTick.load(Order::acquire) == t ? pp->hogStart.load(Order::relaxed) : now;
  pd.cpu = -1;
  pd.signalled = 0;
  return false;
}

// sliceOver: who has pp has had his time, which is 10 ms while others wait.
bool sliceOver(const P* pp, int64 now, bool wanted) {
  return wanted && now - pp->sysmontick.schedwhen >= kForcePreemptNs;
}

// retakeRunning looks at a P that runs, in the same slice as at the last look.
void retakeRunning(P* pp, int64 now, bool wanted) {
  auto& pd = pp->sysmontick;
  M* mp = pp->m;
  if (mp == nullptr || (!wanted && pd.cpu >= 0)) return;
  // A thread that stands still between two looks has slept since the first of them at the latest.
  const int64 cpu = os::threadCpu(mp->tid);
  const bool still = cpu == pd.cpu;
  if (!still) {
    pd.cpu = cpu;
    pd.cpuwhen = now;
  }
  if (!sliceOver(pp, now, wanted)) return;
  const bool bySignal = preemptsBySignal() && canPreempt();
  if (preemptone(pp, bySignal, still ? pd.cpuwhen : 0) && bySignal && pd.signalled == 0) pd.signalled = now;
}

}  // namespace

// retake takes Ps from long system calls and asks long running goroutines to yield.   Runs on: sysmon.
uint32 retake(int64 now) {
  uint32 n = 0;
  const bool wanted = workWaiting(now);
  for (int32 i = 0; i < gomaxprocs; ++i) {
    P* pp = allp[i];
    auto& pd = pp->sysmontick;
    const uint32 s = pp->status.load();
    const bool same = sameSlice(pp, now);
    if (s == st(PStatus::Prunning) && same) retakeRunning(pp, now, wanted);
    if (s != st(PStatus::Psyscall)) continue;
    const uint32 t = pp->syscalltick.load(Order::relaxed);
    if (pd.syscalltick != t) {
      pd.syscalltick = t;
      pd.syscallwhen = now;
      if (!same || !sliceOver(pp, now, wanted))
        continue;  // else: short calls, one after the other, in one slice
    }
    const bool quiet = pp->runq.empty() && sched.nmspinning.load() + sched.npidle.load() > 0;
    if (quiet && pd.syscallwhen + kForcePreemptNs > now) continue;
    incidlelocked(-1);
    if (pp->status.cas(s, st(PStatus::Pidle))) {
      ++n;
      pp->syscalltick.fetchAdd(1, Order::relaxed);
      handoffp(pp);
    }
    incidlelocked(1);
  }
  rescueHogs(now, false);
  return n;
}

}  // namespace gort::rt

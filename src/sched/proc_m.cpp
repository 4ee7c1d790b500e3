// SPDX-License-Identifier: Apache-2.0
// Threads: making, waking, stopping Ms; handing Ps from one to another; locked threads.            (Go: proc.go)
//
// An idle M sleeps in its Note and is on sched.midle. Whoever wakes it first gives it a P (nextp): an M that runs always
// has one. Exceptions: an M in a system call, the M in netpoll, m0 while it leaves run().
//
// Rule R1/R2: nothing here calls libc while it holds a P. Threads are made by the template thread, which is no M and never
// holds a P: newm puts the M on a list and wakes it.
//
// Locked goroutines (LockOSThread): the M sleeps in stoplockedm until somebody hands it a P: who readies its goroutine, an
// idle one (readyLocked); or who dequeued it, his own (startlockedm). The goroutine of a foreign thread is such a goroutine.
#include "arch/asm.hpp"
#include "arch/sanitizer_fiber.hpp"
#include "mem/persistentalloc.hpp"
#include "os/signal_raw.hpp"
#include "os/thread.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc_internal.hpp"
#include "sched/signal_unix.hpp"

extern "C" __attribute__((weak)) gort::rt::EhGlobals* gort_cxa_get_globals() __asm__("__cxa_get_globals");

namespace gort::rt {

namespace {

constexpr std::size_t kG0StackBytes = std::size_t{1} << 20;
constexpr int kParkSpin = 640,
              kParkLooks = 80;              // looks of one pause; after each kParkLooks the CPU is offered
constexpr std::size_t kG0Slack = 64 << 10;  // thread descriptor and TLS at the top of a thread's stack

// The template thread's work list.
struct {
  Mutex lock{LockRank::unranked};
  M* head = nullptr;
  Atomic<uint32> pending{0};
  Atomic<bool> stop{false};
} constinit newmHandoff;

constinit bool spareComing = false;        // by sched.lock
constinit Atomic<int32> helperThreads{0};  // template thread and sysmon
constinit Atomic<bool> threadsStopped{false};

[[noreturn]] void threadCreateFailed(int err) {
  {
    Printer p;
    p << "runtime: failed to create new OS thread (have " << mcount() << " already; errno=" << err << ")\n";
    if (err == 11) p << "runtime: may need to increase max user processes (ulimit -u)\n";
  }
  fatal("newosproc");
}

// mexit gives up what belongs to the thread of mp, which ends now (shutdown).
void mexit(M* mp) {
  unminitSignals(mp);
  setg(nullptr);  // before the M is offered: unlock must not touch it
  lock(sched.lock);
  ++sched.nmfreed;
  mp->exited = true;
  mp->schedlink = sched.freem;
  sched.freem = mp;
  unlock(sched.lock);
}

// mstart is the first function of every M's thread but m0's.
void mstart(void* arg) {
  auto* mp = static_cast<M*>(arg);
  const auto sp = reinterpret_cast<uintptr>(__builtin_frame_address(0));
  mp->g0->stack = {sp - kG0StackBytes + kG0Slack, sp + 1024};
  setg(mp->g0);
  bindThread(mp);
  os::setThreadName("gort-m");
  if (mp->mstartfn != nullptr) mp->mstartfn();
  if (mp->nextp != nullptr) {
    acquirep(mp->nextp);
    mp->nextp = nullptr;
    gort_enterg0(mp, [](G*) { return schedule(); });
  } else {  // a spare one
    gort_enterg0(mp, [](G*) {
      stopm();
      return schedule();
    });
  }
  mexit(mp);
}

// dropSpareM takes back a spare M that got no thread: who asked for it goes on without.
void dropSpareM(M* mp) {
  lock(sched.lock);
  spareComing = false;
  ++sched.nmfreed;
  mp->exited = true;
  mp->schedlink = sched.freem;
  sched.freem = mp;
  unlock(sched.lock);
}

// templateThread makes threads for others. It is no M: it has no G and takes no P.
void templateThread(void*) {
  os::setThreadName("gort-template");
  for (;;) {
    const uint32 seen = newmHandoff.pending.load(Order::acquire);
    lock(newmHandoff.lock);
    M* mp = newmHandoff.head;
    if (mp != nullptr) newmHandoff.head = mp->schedlink;
    unlock(newmHandoff.lock);
    if (mp == nullptr) {
      if (newmHandoff.stop.load(Order::acquire)) break;
      os::futexsleep(&newmHandoff.pending, seen, -1);
      continue;
    }
    mp->schedlink = nullptr;
    if (const int err = os::createThread(mstart, mp, kG0StackBytes); err != 0) {
      if (mp->nextp != nullptr) threadCreateFailed(err);
      dropSpareM(mp);
    }
  }
  helperThreads.fetchSub(1);
}

void wakeTemplateThread() {
  newmHandoff.pending.fetchAdd(1, Order::release);
  os::futexwakeup(&newmHandoff.pending, 1);
}

}  // namespace

void startTemplateThread() {
  newmHandoff.stop.store(false);
  helperThreads.fetchAdd(1);
  if (const int err = os::createThread(templateThread, nullptr, kG0StackBytes); err != 0)
    threadCreateFailed(err);
}

// stopThreads ends every thread of the runtime while there is nothing to run: idle Ms leave their loops, then the helpers.
// Returns false if they are not all gone after ns.   Runs on: a foreign thread without an M.
bool stopThreads(int64 ns) {
  notInForkedChild();
  const int64 begin = os::nanotime();
  threadsStopped.store(true);
  stopSysmon();
  for (;;) {
    lock(sched.lock);
    while (M* mp = mget()) {
      mp->leaving.store(true, Order::release);
      notewakeup(mp->park);
    }
    const bool workersGone = mcount() - sched.nmsys == 1;  // m0 has no thread of its own
    unlock(sched.lock);
    netpollBreak();
    if (workersGone) {
      newmHandoff.stop.store(true, Order::release);
      wakeTemplateThread();
      if (helperThreads.load() == 0) return true;
    }
    if (os::nanotime() - begin > ns) return false;
    os::usleep(100);
  }
}

void helperThreadBegins() { helperThreads.fetchAdd(1); }
void helperThreadEnds() { helperThreads.fetchSub(1); }

// ensureThreads undoes stopThreads at the next use.
void ensureThreads() {
  if (GORT_LIKELY(!threadsStopped.load(Order::relaxed)) || !threadsStopped.exchange(false)) return;
  startTemplateThread();
  if (!simMode) startSysmon();
}

// bindThread sets what belongs to the thread an M runs on.   Runs on: that thread.
void bindThread(M* mp) {
  mp->signalPending.store(0, Order::relaxed);  // one for an earlier thread may have met nobody
  mp->tid = os::gettid();
  mp->eh = gort_cxa_get_globals != nullptr ? gort_cxa_get_globals() : nullptr;
  if (mp->isextra) return;  // the thread is not ours: its signal stack and timer slack stay as they are
  fiberOfThread(mp->g0);
  minitSignals(mp);
  os::setTimerSlack(1);
}

void mcommoninit(M* mp) {
  const bool known = mp->exited;
  mp->exited = false;
  uint64 seed = debug.chaos ? debug.chaosSeed + static_cast<uint64>(mp->id) * 977 : os::randomSeed();
  mp->rand.state = splitmix64(seed);
  if (known) return;  // in allm already
  M* head = allm.load(Order::relaxed);
  do mp->alllink = head;
  while (!allm.compareExchange(head, mp, Order::release));
}

M* allocm(bool extra) {
  M* mp = new (persistentalloc(sizeof(M), kCacheLineSize)) M;
  mp->g0 = new (persistentalloc(sizeof(G), kCacheLineSize)) G;
  mp->g0->m = mp;
  mp->g0->stackClass = kNoSlot;
  mp->isextra = extra;
  return mp;
}

namespace {

int64 mReserveID() {
  const int64 id = sched.mnext++;
  if (sched.mnext - sched.nmfreed > sched.maxmcount) {
    unlock(sched.lock);
    {
      Printer p;
      p << "runtime: program exceeds " << sched.maxmcount << "-thread limit\n";
    }
    fatal("thread exhaustion");
  }
  return id;
}

}  // namespace

// newm makes an M that runs fn, then goroutines on pp.
void newm(void (*fn)(), P* pp, int64 id) {
  lock(sched.lock);
  M* mp = sched.freem;
  if (mp != nullptr) sched.freem = mp->schedlink;
  unlock(sched.lock);
  if (mp == nullptr) mp = allocm(false);
  mp->leaving.store(false, Order::relaxed);
  mp->id = id;
  mp->mstartfn = fn;
  mp->nextp = pp;
  mcommoninit(mp);
  lock(newmHandoff.lock);
  mp->schedlink = newmHandoff.head;
  newmHandoff.head = mp;
  unlock(newmHandoff.lock);
  wakeTemplateThread();
}

// newSpareM makes an M that waits for work, unless one is being made.   Runs on: any stack with an M; needs no P.
void newSpareM() {
  constexpr int32 kLeave = 16;  // of the limit, for those who must have one
  lock(sched.lock);
  if (spareComing || sched.midle != nullptr || mcount() >= sched.maxmcount - kLeave) {
    unlock(sched.lock);
    return;
  }
  spareComing = true;
  const int64 id = mReserveID();
  unlock(sched.lock);
  newm(
      [] {
        lock(sched.lock);
        spareComing = false;
        unlock(sched.lock);
      },
      nullptr, id);
}

namespace {
void mspinning() { getg()->m->spinning = true; }
}  // namespace

// startm has some M run pp (nullptr: an idle P, if there is one). spinning: the caller counted nmspinning for it.
// lockheld: the caller holds sched.lock.   Must not be preempted between taking the P and handing it over.
void startm(P* pp, bool spinning, bool lockheld) {
  notInForkedChild();
  if (!lockheld) lock(sched.lock);
  if (pp == nullptr) {
    GORT_CHECK(!spinning, "startm: P required for spinning=true");
    pp = pidleget();
    if (pp == nullptr) {
      if (!lockheld) unlock(sched.lock);
      return;
    }
  }
  M* nmp = mget();
  if (nmp == nullptr) {
    const int64 id = mReserveID();
    unlock(sched.lock);
    newm(spinning ? mspinning : nullptr, pp, id);
    if (lockheld) lock(sched.lock);
    return;
  }
  if (!lockheld) unlock(sched.lock);
  GORT_CHECK(!nmp->spinning, "startm: m is spinning");
  GORT_CHECK(nmp->nextp == nullptr, "startm: m has p");
  nmp->spinning = spinning;
  nmp->nextp = pp;
  notewakeup(nmp->park);
}

namespace {

// mPark sleeps until the M is woken. It first spins about as long as a sleep and a wake-up cost: hand-overs that come at
// once need no system call.
void mPark(M* mp) {
  mp->blocked = true;
  const bool worth = ncpu > 1 && gomaxprocs > 1;
  for (int i = worth ? kParkSpin : 0; i > 0 && !mp->park.woken(); --i) {
    os::procyield(1);
    if (i % kParkLooks == 1) os::osyield();  // the kernel may have put who wakes us behind us, on this CPU
  }
  const bool slept = mp->park.sleep();
  noteclear(mp->park);
  mp->blocked = false;
  if (slept && !loadRelaxed(&simMode)) setCoarseNow(os::nanotime());
}

}  // namespace

// stopm sleeps until the M is needed again and then has a P.   Requires: no P.
void stopm() {
  GORT_ON_G0();
  notInForkedChild();
  M* mp = getg()->m;
  GORT_CHECK(mp->locks == 0, "stopm holding locks");
  GORT_CHECK(mp->p == nullptr, "stopm holding p");
  GORT_CHECK(!mp->spinning, "stopm spinning");
  lock(sched.lock);
  if (mp->leaving.load(Order::acquire)) {
    unlock(sched.lock);
    leaveg0(mp);
  }
  mput(mp);
  unlock(sched.lock);
  mPark(mp);
  if (GORT_UNLIKELY(mp->leaving.load(Order::acquire)) && mp->nextp == nullptr) leaveg0(mp);
  acquirep(mp->nextp);
  mp->nextp = nullptr;
}

// anyWork: somebody's queue is not empty.
bool anyWork() {
  bool any = globalWork();
  for (int32 i = 0; i < gomaxprocs && !any; ++i) any = !allp[i]->runq.empty();
  return any;
}

bool workWaiting(int64 now) {
  return sched.npidle.load(Order::relaxed) == 0 && (anyWork() || timersSleepUntil() <= now);
}

namespace {

// keepPolling: a P, whose own earliest timer is `when`, went idle without its M going through idle(), which would have
// waited for I/O and for the timers of all Ps if nobody else does. Who gives this P up may be the one who waited before: he
// left with a goroutine that he found there.   Requires: a full barrier since pidleput.
void keepPolling(int64 when) {
  if (when != 0) wakeNetPoller(when);
  if (sched.lastpoll.load() == 0 || loadRelaxed(&simMode)) return;
  if (netpollAnyWaiters() || !timersEmpty()) wakep();
}

}  // namespace

// handoffp gives up pp, which has no M: to another M if there is work, else to the idle list.
void handoffp(P* pp) {
  notInForkedChild();
  if (!pp->runq.empty() || globalWork()) {
    startm(pp, false, false);
    return;
  }
  // No work: but if nobody else is awake, somebody must look (Go: no spinning and no idle Ps).
  if (sched.nmspinning.load() + sched.npidle.load() == 0 && sched.nmspinning.cas(0, 1)) {
    startm(pp, true, false);
    return;
  }
  lock(sched.lock);
  if (sched.gcwaiting.load(Order::relaxed)) {
    pp->status.store(static_cast<uint32>(PStatus::Pgcstop));
    if (--sched.stopwait == 0) notewakeup(sched.stopnote);
    unlock(sched.lock);
    return;
  }
  if (globalWork()) {
    startm(pp, false, true);
    unlock(sched.lock);
    return;
  }
  const int64 when = timerPollUntil(pp);
  pidleput(pp);
  unlock(sched.lock);
  fence(Order::seqCst);  // as in idle: npidle + 1 before the second look <-> submitted
  if (anyWork()) startm(nullptr, false, false);
  keepPolling(when);
}

// wakeNetPoller sees to it that somebody wakes for a timer at `when` that was just added (or whose P went idle).
void wakeNetPoller(int64 when) {
  fence(Order::seqCst);  // minWhen before the looks <-> idle, sleepInNetpoll
  if (sched.lastpoll.load() == 0) {
    const int64 until = sched.pollUntil.load();
    if (until == 0 || until > when) netpollBreak();
  } else if (!loadRelaxed(&simMode) && getg() != nullptr) {
    wakep();
  }
}

namespace {

// restP makes pp idle without waking anybody, unless there is work. The lock's holder parks next, and whoever readies it
// hands it an idle P (readyLocked): waking a searching M in between would only take that P away.
void restP(P* pp) {
  if (anyWork() || timerPollUntil(pp) != 0 || sched.gcwaiting.load()) return handoffp(pp);
  lock(sched.lock);
  if (sched.gcwaiting.load(Order::relaxed)) {
    unlock(sched.lock);
    return handoffp(pp);
  }
  pidleput(pp);
  unlock(sched.lock);
  fence(Order::seqCst);
  if (anyWork()) startm(nullptr, false, false);
  keepPolling(0);
}

}  // namespace

// stoplockedm sleeps until the locked goroutine of this M may run, then has a P.   Runs on: g0.
void stoplockedm() {
  GORT_ON_G0();
  notInForkedChild();
  M* mp = getg()->m;
  GORT_CHECK(mp->lockedg != nullptr && mp->lockedg->lockedm == mp, "stoplockedm: inconsistent locking");
  if (mp->spinning) {
    mp->spinning = false;
    sched.nmspinning.fetchSub(1);
  }
  P* pp = mp->p == nullptr ? nullptr : releasep();
  lock(sched.lock);
  if (mp->nextp == nullptr) {                               // else: readied and handed a P already
    if (GORT_UNLIKELY(mp->leaving.load(Order::acquire))) {  // asked to before it came here: nobody wakes it
      unlock(sched.lock);
      if (pp != nullptr) restP(pp);
      leaveg0(mp);
    }
    mp->lockedIdle = true;
    ++sched.nmidlelocked;
    if (pp == nullptr) checkdead();
  }
  unlock(sched.lock);
  if (pp != nullptr) restP(pp);
  mPark(mp);
  if (GORT_UNLIKELY(mp->leaving.load(Order::acquire)) && mp->nextp == nullptr) leaveg0(mp);
  GORT_CHECK(readgstatus(mp->lockedg) == static_cast<uint32>(GStatus::Grunnable),
             "stoplockedm: not runnable");
  acquirep(mp->nextp);
  mp->nextp = nullptr;
}

// readyLocked hands an idle P straight to the M that gp, just made runnable, is locked to. False: queue it.
bool readyLocked(G* gp) {
  M* mp = gp->lockedm;
  lock(sched.lock);
  P* pp = mp->lockedIdle && !sched.gcwaiting.load(Order::relaxed) ? pidleget() : nullptr;
  if (pp == nullptr) {
    unlock(sched.lock);
    return false;
  }
  mp->lockedIdle = false;
  --sched.nmidlelocked;
  mp->nextp = pp;
  unlock(sched.lock);
  notewakeup(mp->park);
  return true;
}

// startlockedm hands this M's P to the M that gp is locked to, and stops this M.   Runs on: g0.
void startlockedm(G* gp) {
  GORT_ON_G0();
  M* mp = gp->lockedm;
  GORT_CHECK(mp != getg()->m, "startlockedm: locked to me");
  P* pp = releasep();
  lock(sched.lock);
  GORT_CHECK(mp->nextp == nullptr, "startlockedm: m has p");
  if (mp->lockedIdle) {
    mp->lockedIdle = false;
    --sched.nmidlelocked;
  }
  mp->nextp = pp;
  unlock(sched.lock);
  notewakeup(mp->park);
  stopm();
}

void wirep(P* pp) {
  M* mp = getg()->m;
  GORT_CHECK(pp != nullptr && mp->p == nullptr, "acquirep: already in go, or no p");
  GORT_CHECK(pp->m == nullptr && pp->status.load(Order::relaxed) == static_cast<uint32>(PStatus::Pidle),
             "acquirep: invalid p state");
  mp->p = pp;
  pp->m = mp;
  pp->status.store(static_cast<uint32>(PStatus::Prunning));
}

// A new slice, also for a goroutine that will inherit the time of the one before it: this P has rested.
void acquirep(P* pp) {
  pp->schedtick.store(pp->schedtick.load(Order::relaxed) + 1, Order::relaxed);
  wirep(pp);
}

P* releasep() {
  M* mp = getg()->m;
  P* pp = mp->p;
  GORT_CHECK(pp != nullptr && pp->m == mp &&
                 pp->status.load(Order::relaxed) == static_cast<uint32>(PStatus::Prunning),
             "releasep: invalid p state");
  mp->p = nullptr;
  pp->m = nullptr;
  pp->status.store(static_cast<uint32>(PStatus::Pidle));
  return pp;
}

void pidleput(P* pp) {
  GORT_DCHECK(pp->runq.empty(), "pidleput: P has non-empty run queue");
  pp->link = sched.pidle;
  sched.pidle = pp;
  sched.npidle.fetchAdd(1);
}

P* pidleget() {
  P* pp = sched.pidle;
  if (pp == nullptr) return nullptr;
  sched.pidle = pp->link;
  pp->link = nullptr;
  sched.npidle.fetchSub(1);
  if (GORT_UNLIKELY(
          sched.sysmonwait.load(Order::relaxed))) {  // whoever gets it may keep it: somebody must watch
    sched.sysmonwait.store(false);
    notewakeup(sched.sysmonnote);
  }
  return pp;
}

void mput(M* mp) {
  mp->schedlink = sched.midle;
  sched.midle = mp;
  ++sched.nmidle;
  checkdead();
}

M* mget() {
  M* mp = sched.midle;
  if (mp == nullptr) return nullptr;
  sched.midle = mp->schedlink;
  mp->schedlink = nullptr;
  --sched.nmidle;
  return mp;
}

int32 mcount() { return static_cast<int32>(sched.mnext - sched.nmfreed); }

void incidlelocked(int32 v) {
  lock(sched.lock);
  sched.nmidlelocked += v;
  if (v > 0) checkdead();
  unlock(sched.lock);
}

void leaveg0(M* mp) {
  mp->leaving.store(false, Order::relaxed);
  mp->lockedg = nullptr;
  mp->lockedExt = mp->lockedInt = 0;
  if (mp == &m0) mainLeft();
  gort_leaveg0(mp);
}

// ---- LockOSThread

void lockOSThread() {
  G* gp = getg();
  M* mp = gp->m;
  ++mp->lockedExt;
  mp->lockedg = gp;
  gp->lockedm = mp;
}

void unlockOSThread() {
  G* gp = getg();
  M* mp = gp->m;
  if (mp->lockedExt == 0) return;
  if (--mp->lockedExt != 0 || mp->lockedInt != 0) return;
  mp->lockedg = nullptr;
  gp->lockedm = nullptr;
}

}  // namespace gort::rt

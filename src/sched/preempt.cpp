// SPDX-License-Identifier: Apache-2.0
// Asynchronous preemption: a goroutine that computes for long, or sleeps in the kernel behind our back, loses its P.
//                                                                                  (Go: preempt.go, signal_unix.go)
//
// Native code may hold libc's locks and addresses of its thread's variables, so what is stopped at an arbitrary
// instruction must not move to another thread. sysmon (or a stop of the world) sends SIGURG; its handler, on the
// thread itself, does one of three things:
//   refuse   the goroutine is inside the runtime (G::inside, M::locks, on g0, a switch half done). What preemptone left in
//            stackguard0 makes the next Entry a safe point.
//   freeze   the usual case, a *hog*: the goroutine becomes Grunnable and goes to sched.hogs; its P goes to somebody
//            else; the thread waits inside the handler, like that of a goroutine locked to it, until the scheduler
//            hands it a P.
//   go on    without a P ("blocked is not busy", rule R4): the thread was found asleep in a system call that the
//            user's code made, on a lock, say. Its goroutine becomes Gsyscall with lostP; the next Entry gets it a P.
//            So does a goroutine that its run() has left behind (Note [Epochs] in proc.cpp), asleep or not.
//
// Who gets a signal. preemptone (proc_world.cpp) marks the goroutine first and sends second: the mark alone stops who calls
//   the runtime, the signal whoever does not. sysmon's retake sends while work waits, a stop of the world when its mark was
//   not enough; lookForStalls sends for a report only.
// Where the handler stands. On the signal stack of its M, with SIGURG blocked. When it has not refused, the thread holds no
//   lock of ours and is not inside the runtime, so the handler may do what the scheduler does: it sets g to the M's g0 and
//   takes sched.lock. "As g0" below means that: g is g0, the stack is the signal stack, and nothing preempts it. It must not
//   switch stacks (mcall), as the goroutine's registers are in the signal frame below it.
//
// Ownership. A waiting hog belongs to sched.hogs; M::hog, hogRegs and lockedIdle of its M are written under sched.lock (the
//   thread takes hog and hogRegs back alone, when it has been woken). Who dequeues a hog hands its M a P (startlockedm,
//   handOn) or lets it go on without one (hogAbandon, releaseHog): one of the two, because only a dequeuer does either.
// Invariant. G::inside is set by the goroutine before it looks for its P and cleared when it leaves the runtime, and
//   read by a handler on the same thread: no ordering but the compiler's is needed. So a P is never taken from who is
//   inside. The places that look for a P without Entry (yield, the end of a goroutine) find out on g0 and get one there.
// Rules (docs/adr/0005): R1 nothing here calls libc. R2 a P is only handed to a thread that exists: without an idle one a
//   spare is asked for and the hog goes on for now, or the P goes straight to another hog, whose thread waits for it.
//   R3 rescueHogs: a goroutine inside the runtime may wait for a lock of libc that a frozen hog holds (a channel
//   element's copy calls malloc): when nobody has passed the scheduler for 10 ms after his signal, hogs are let go on
//   without a P, one every 10 ms; nothing in the process can then wait for a frozen hog for good.  R6 at the
//   end of run() all are let go.
// Interrupted system calls are made to go on by the handler (resume_call.cpp): user code does not see our signal.
#include "sched/preempt.hpp"

#include <signal.h>
#include <ucontext.h>

#include "base/sanitizer.hpp"
#include "mem/stackalloc.hpp"
#include "os/os_linux.hpp"
#include "os/signal_raw.hpp"
#include "os/vdso.hpp"
#include "sched/panic_print.hpp"
#include "sched/proc_internal.hpp"
#include "sched/resume_call.hpp"
#include "sched/signal_unix.hpp"

namespace gort::rt {

namespace {

constexpr bool kPossible = GORT_TSAN == 0;  // TSan delivers signals when it likes
constexpr int64 kRescueNs = 10 * 1000 * 1000;
constexpr uint32 kLate = 2;  // a rescue at the end of a stop: in units of kRescueNs

constinit bool bySignal = false;
constinit struct sigaction previous {};  // SIGURG's disposition before ours
constinit Atomic<int64> lastRescue{0};

// ---- Giving up the P.

// wantAsyncPreempt: gp is the user's code, on its own stack, and was asked.   Runs on: the signal stack, before anything is
// touched; what it reads belongs to this thread.
bool wantAsyncPreempt(const G* gp, const M* mp, uintptr sp) {
  return gp != mp->g0 && gp->inside == 0 && !gp->foreign && mp->locks == 0 && mp->mallocing == 0 &&
         mp->dying == 0 && mp->preemptoff == nullptr && mp->p != nullptr && mp->curg == gp &&
         sp > gp->stack.lo && sp <= gp->stack.hi && loadRelaxed(&gp->stackguard0) == kStackPreempt &&
         !loadRelaxed(&simMode);
}

// goOnWithoutP is the end of both ways to lose a P.   Runs on: the signal stack, as g0; with sched.lock or without.
// Requires: gp is of this thread, in no queue; mp has no P, or releases it next under the same hold of sched.lock.
void goOnWithoutP(G* gp, M* mp, GStatus from) {
  GORT_ON_G0();
  casgstatus(gp, from, GStatus::Gsyscall);
  mp->lostP = true;
  gp->syscallsp = gp->syscallpc = gp->syscallbp = 0;
  storeRelaxed(&gp->stackguard0, loadRelaxed(&debug.stallNs) != 0 ? kStackPreempt : gp->stack.lo);
  gp->m = mp;
  mp->curg = gp;
  mp->oldp = nullptr;
}

// enqueueHog makes gp a hog that waits for a P.   Runs on: the signal stack, as g0.   Requires: sched.lock; at lives
// until the thread has been woken.
void enqueueHog(G* gp, M* mp, const Regs& at) {
  GORT_ON_G0();
  GORT_HOLDS(sched.lock);
  casgstatus(gp, GStatus::Grunning, GStatus::Grunnable);
  mp->curg = nullptr;
  gp->m = nullptr;
  gp->lockedm = mp;
  mp->lockedg = gp;
  mp->hog = gp;
  mp->hogRegs = &at;
  mp->lockedIdle = true;
  ++sched.nmidlelocked;
  sched.hogs.push(gp);
  sched.nhogs.store(sched.nhogs.load(Order::relaxed) + 1, Order::relaxed);
  sched.npreempted.fetchAdd(1, Order::relaxed);
}

// canHandOn: a P that is given up now gets a thread at once (rule R2).   Requires: sched.lock, and that it is held
// until the P has been given.
bool canHandOn() {
  GORT_HOLDS(sched.lock);
  return sched.gcwaiting.load(Order::relaxed) || sched.midle != nullptr || !sched.hogs.empty();
}

// handOn gives a P to who waits for one.   Runs on: the signal stack, as g0.   Requires: sched.lock, canHandOn() before the
// hog was queued; pp is released.   Keeps the lock, but startm may have let it go for a moment.
void handOn(P* pp) {
  GORT_ON_G0();
  GORT_HOLDS(sched.lock);
  if (sched.gcwaiting.load(Order::relaxed)) {
    pp->status.store(static_cast<uint32>(PStatus::Pgcstop));
    if (--sched.stopwait == 0) notewakeup(sched.stopnote);
    return;
  }
  const bool others = !pp->runq.empty() || sched.runqsize.load(Order::relaxed) > 0 ||
                      timersSleepUntil() <= sched.coarseNow.load(Order::relaxed);
  G* gp = sched.midle != nullptr && others ? nullptr : hogget();
  if (gp == nullptr) return startm(pp, false, true);
  M* mp = gp->lockedm;
  mp->lockedIdle = false;
  --sched.nmidlelocked;
  mp->nextp = pp;
  notewakeup(mp->park);
}

// freeze: see the head of this file. False: there is nobody to give the P to just now. True: gp runs on, with a P or,
// if it was let go, without.   Runs on: the signal stack, as g0, for as long as the hog waits.   Requires: no lock
// held; mp has a P.
bool freeze(G* gp, M* mp, const Regs& at) {
  GORT_ON_G0();
  GORT_DCHECK(mp->locks == 0 && mp->p != nullptr, "freeze: inside the runtime");
  const bool wasLocked = gp->lockedm != nullptr;
  lock(sched.lock);
  if (!canHandOn()) {
    unlock(sched.lock);
    newSpareM();
    return false;
  }
  enqueueHog(gp, mp, at);
  handOn(releasep());
  const bool last = sched.midle == nullptr;
  unlock(sched.lock);
  if (last) newSpareM();
  mp->park.sleep();
  noteclear(mp->park);
  mp->hog = nullptr;
  mp->hogRegs = nullptr;
  if (!wasLocked) {
    gp->lockedm = nullptr;
    mp->lockedg = nullptr;
  }
  if (mp->nextp == nullptr) {
    goOnWithoutP(gp, mp, GStatus::Grunnable);
    return true;
  }
  acquirep(mp->nextp);
  mp->nextp = nullptr;
  (void)execute(gp, false);
  if (loadRelaxed(&debug.stallNs) != 0) storeRelaxed(&gp->stackguard0, kStackPreempt);  // it is one stretch
  P* pp = mp->p;
  pp->hogStart.store(os::nanotime(), Order::relaxed);
  pp->hogTick.store(pp->schedtick.load(Order::relaxed), Order::release);
  return true;
}

// loseP: see "go on" in the head of this file. False as freeze's.   Runs on, requires: as freeze, but it does not wait.
bool loseP(G* gp, M* mp) {
  GORT_ON_G0();
  GORT_DCHECK(mp->locks == 0 && mp->p != nullptr, "loseP: inside the runtime");
  lock(sched.lock);
  if (!canHandOn()) {
    unlock(sched.lock);
    newSpareM();
    return false;
  }
  mp->p->syscalltick.fetchAdd(1, Order::relaxed);
  goOnWithoutP(gp, mp, GStatus::Grunning);
  handOn(releasep());
  const bool last = sched.midle == nullptr;
  unlock(sched.lock);
  if (last) newSpareM();
  return true;
}

// giveUp is loseP from the handler's own context.   Runs on: the signal stack, g is gp.
void giveUp(G* gp, M* mp) {
  setg(mp->g0);
  (void)loseP(gp, mp);
  setg(gp);
}

// reportStall prints gp's stack.   Runs on: the signal stack, g is still gp; gp may hold locks of the runtime or of libc: it
// takes none but the printer's.
void reportStall(const G* gp, const M* mp, const Regs& at) {
  if (gp == mp->g0) return;  // the scheduler's own work
  TraceLevel t = traceLevel();
  StackBounds b = boundsOf(gp);
  Printer w;
  w << "runtime: goroutine " << gp->goid << " has kept a P for more than "
    << loadRelaxed(&debug.stallNs) / 1000 << "us (GODEBUG=stall)\n";
  goroutineheader(w, gp, t);
  (void)traceback(w, at, b, t);
  printcreatedby(w, gp);
  w << '\n';
}

// forward hands the signal to the handler that was there before ours.   Runs on: the handler's stack.
void forward(int sig, siginfo_t* info, void* uctx) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(sig, info, uctx);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(sig);
  }
}

// preemptHandler is SIGURG's.   Runs on: the signal stack of an M's thread, at any instruction of it, with any locks held;
// or any stack of a foreign thread, which it leaves alone.
void preemptHandler(int sig, siginfo_t* info, void* uctx) {
  G* gp = getg();
  M* mp = gp == nullptr ? nullptr : gp->m;
  const uint32 why = mp == nullptr ? 0 : mp->signalPending.exchange(0, Order::acquire);
  if (why == 0) return forward(sig, info, uctx);  // somebody else's: out-of-band data
  if (forkedChild.load(Order::relaxed)) return;
  auto* u = static_cast<ucontext_t*>(uctx);
  const Regs at = regsFromUcontext(uctx);
  if ((why & kAskReport) != 0) reportStall(gp, mp, at);
  const bool may = wantAsyncPreempt(gp, mp, at.sp);
  if (may && (why & kAskYield) != 0) {
    const bool old = gp->epoch != sched.epoch.load(Order::relaxed);  // Note [Epochs]: gets no P again
    if (old || wasInCall(mp, u)) {
      giveUp(gp, mp);
    } else {
      setg(mp->g0);
      (void)freeze(gp, mp, at);
      setg(gp);
    }
  }
  resumeCall(mp, u, may ? giveUp : nullptr);
}

}  // namespace

// Requires: one caller at a time (boot, and runMain before its goroutine starts).
void preemptinit(bool wanted) {
  wanted = wanted && kPossible && (debug.asyncpreemptoff == 0 || debug.stallNs != 0) && !simMode;
  if (wanted == bySignal) return;
  if (wanted) {
    bySignal = os::setHandler(SIGURG, preemptHandler, &previous, os::kAllButFaults) == 0;
  } else {
    bySignal = false;
    os::restoreAction(SIGURG, &previous);
  }
}

bool preemptsBySignal() { return bySignal && debug.asyncpreemptoff == 0; }

// It reads a file of /proc first, which takes microseconds: not for who holds sched.lock.   Runs on: any stack of an
// M, sysmon's too; mp may be ending, or run something else by the time the signal comes: its handler looks again.
void preemptM(M* mp, uint32 why, int64 since) {
  if (!bySignal || mp->tid == 0) return;
  const uint32 had = mp->signalPending.fetchOr(why, Order::release);
  if (had != 0) return;
  mp->blockedSince.store(since, Order::relaxed);
  uintptr pc = 0;
  const int nr = os::sleepingIn(mp->tid, &pc);
  mp->blockedIn.store(nr, Order::relaxed);
  mp->blockedPc.store(pc, Order::relaxed);
  mp->signalledAt.store(os::nanotime(), Order::relaxed);
  if (os::tgkill(mp->tid, SIGURG) < 0) mp->signalPending.store(0, Order::relaxed);  // the thread has ended
}

// A goroutine is stalling while M::curg is the same and the mark in its stackguard0 stays: every way through the
// scheduler and every Entry takes the mark away. It glances at what others change: a value may be out of date, never
// torn.
GORT_UNINSTRUMENTED GORT_NOINLINE void lookForStalls(int64 now) {
  const int64 limit = loadRelaxed(&debug.stallNs);
  for (M* mp = allm.load(Order::acquire); mp != nullptr; mp = mp->alllink) {
    G* gp = mp->curg;
    if (gp == nullptr && mp->hog != nullptr && mp->hog == mp->stallG) continue;
    const bool own =
        gp != nullptr && gp != mp->g0 && !gp->foreign &&
        (mp->lostP || gp->atomicstatus.load(Order::relaxed) == static_cast<uint32>(GStatus::Grunning));
    if (!own || gp != mp->stallG || loadRelaxed(&gp->stackguard0) != kStackPreempt) {
      mp->stallG = own ? gp : nullptr;
      mp->stallSince = now;
      mp->stallReported = false;
      if (own) storeRelaxed(&gp->stackguard0, kStackPreempt);
    } else if (!mp->stallReported && now - mp->stallSince >= limit) {
      mp->stallReported = true;
      preemptM(mp, kAskReport, 0);
    }
  }
}

// Runs on: sysmon.   Requires: sched.lock not held.
bool canPreempt() {
  lock(sched.lock);
  const bool yes = canHandOn();
  unlock(sched.lock);
  if (!yes) newSpareM();
  return yes;
}

G* hogget() {
  GORT_HOLDS(sched.lock);
  G* gp = sched.hogs.pop();
  if (gp != nullptr) sched.nhogs.store(sched.nhogs.load(Order::relaxed) - 1, Order::relaxed);
  return gp;
}

namespace {

// letGo wakes the thread of a hog that was dequeued, without a P.   Requires: sched.lock; the caller has dequeued gp.
void letGo(G* gp) {
  GORT_HOLDS(sched.lock);
  M* mp = gp->lockedm;
  mp->lockedIdle = false;
  --sched.nmidlelocked;
  notewakeup(mp->park);
}

}  // namespace

// Runs on: any stack with an M, sysmon's too; needs no P.   Requires: sched.lock not held.
bool releaseHog() {
  lock(sched.lock);
  G* gp = hogget();
  if (gp != nullptr) letGo(gp);
  unlock(sched.lock);
  return gp != nullptr;
}

// Runs on: g0.   Requires: sched.lock not held; the caller has dequeued gp.
void hogAbandon(G* gp) {
  GORT_ON_G0();
  lock(sched.lock);
  if (gp->lockedm != nullptr && gp->lockedm->hog == gp) letGo(gp);
  unlock(sched.lock);
}

namespace {

// stuck: no P has passed the scheduler for a while after its thread was asked to.   Runs on: sysmon, which owns sysmontick.
bool stuck(int64 now) {
  bool any = false;
  for (int32 i = 0; i < gomaxprocs; ++i) {
    const P* pp = allp[i];
    const auto& pd = pp->sysmontick;
    const uint32 s = pp->status.load(Order::relaxed);
    if (s == static_cast<uint32>(PStatus::Psyscall)) return false;  // retake's business
    if (s == static_cast<uint32>(PStatus::Pgcstop)) continue;
    if (pd.schedtick != pp->schedtick.load(Order::relaxed)) return false;
    // Pidle: on its way to a thread that is being made.
    const int64 since = s == static_cast<uint32>(PStatus::Prunning) ? pd.signalled : pd.schedwhen;
    if (since == 0 || now - since < kRescueNs) return false;
    any = true;
  }
  return any;
}

}  // namespace

// Runs on: sysmon, or (stopping) g0 of who stops the world.   Requires: sched.lock not held.
void rescueHogs(int64 now, bool stopping) {
  if (sched.nhogs.load(Order::relaxed) == 0 || (!stopping && sched.npidle.load(Order::relaxed) > 0)) return;
  int64 last = lastRescue.load(Order::relaxed);
  if (now - last < kRescueNs * (stopping ? kLate : 1) || (!stopping && !stuck(now))) return;
  if (!lastRescue.compareExchange(last, now)) return;
  if (releaseHog()) sched.nemergency.fetchAdd(1, Order::relaxed);
}

}  // namespace gort::rt

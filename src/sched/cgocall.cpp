// SPDX-License-Identifier: Apache-2.0
// Foreign threads: threads that Gort did not make and that call into it.            (Go: needm/dropm in proc.go, cgocall.go)
//
// A foreign thread gets an M on its first call and keeps it until it ends. The M's current goroutine stands for the thread
// itself: its stack is the thread's stack, it is locked to the M, and while the thread is outside of Gort it is in a
// system call without a P. So everything that works for a goroutine locked to its thread works here: parking puts the
// thread to sleep in its M's Note (stoplockedm), readying it hands it a P (startlockedm). Only g0 is extra: 256 KiB of
// stack slot. While a call is inside, it holds a P; Entry (sched/proc.hpp) takes and returns it.
// Ms of ended threads are kept for the next ones.
#include "arch/sanitizer_fiber.hpp"
#include "mem/persistentalloc.hpp"
#include "mem/stackalloc.hpp"
#include "os/thread.hpp"
#include "sched/boot.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc_internal.hpp"

namespace gort::rt {

namespace {

constexpr uint8 kG0Class = 4;  // 256 KiB

struct {
  Mutex lock{LockRank::unranked};
  M* head = nullptr;
} constinit extraM;

M* newextram() {
  M* mp = allocm(true);
  if (!stackalloc(mp->g0, kG0Class)) fatal("out of memory: no stack for a foreign thread");
  mp->g0->sched.sp = alignDown(mp->g0->stack.hi - 64, 16);
  fiberCreate(mp->g0);
  G* gp = new (persistentalloc(sizeof(G), kCacheLineSize)) G;
  gp->stackClass = kNoSlot;
  gp->foreign = true;
  casgstatus(gp, GStatus::Gidle, GStatus::Gdead);
  mp->foreignG = gp;
  return mp;
}

// dropReservedP gives away what exitSlow has kept for a call that will not come.
void dropReservedP(M* mp) {
  P* pp = mp->oldp;
  mp->oldp = nullptr;
  if (pp == nullptr || forkedChild.load(Order::relaxed)) return;
  if (pp->status.cas(static_cast<uint32>(PStatus::Psyscall), static_cast<uint32>(PStatus::Pidle)))
    handoffp(pp);
}

void detach(void* arg) {
  auto* mp = static_cast<M*>(arg);
  G* gp = mp->foreignG;
  dropReservedP(mp);
  casgstatus(gp, GStatus::Gsyscall, GStatus::Gdead);
  gp->m = nullptr;
  gp->lockedm = nullptr;
  mp->curg = nullptr;
  mp->lockedg = nullptr;
  setg(nullptr);
  lock(extraM.lock);
  mp->schedlink = extraM.head;
  extraM.head = mp;
  unlock(extraM.lock);
  sched.nextra.fetchSub(1);
}

// attach gives the calling thread an M; it is then in a system call.
void attach() {
  sched.nextra.fetchAdd(1);
  lock(extraM.lock);
  M* mp = extraM.head;
  if (mp != nullptr) extraM.head = mp->schedlink;
  unlock(extraM.lock);
  if (mp == nullptr) {
    mp = newextram();
    lock(sched.lock);
    mp->id = sched.mnext++;
    ++sched.nmsys;
    unlock(sched.lock);
    mcommoninit(mp);
  }
  mp->schedlink = nullptr;
  G* gp = mp->foreignG;
  const os::StackBounds b = os::threadStackBounds();
  gp->stack = {b.lo, b.hi};
  storeRelaxed(&gp->stackguard0, b.lo);  // sysmon may be about to ask the thread before to yield
  gp->goid = sched.goidgen.fetchAdd(1, Order::relaxed) + 1;
  gp->m = mp;
  gp->lockedm = mp;
  mp->lockedg = gp;
  mp->curg = gp;
  mp->oldp = nullptr;
  fiberOfThread(gp);
  bindThread(mp);
  casgstatus(gp, GStatus::Gdead, GStatus::Gsyscall);
  setg(gp);
  os::atThreadExit(detach, mp);
}

}  // namespace

void entrySlow(bool* leave) {
  notInForkedChild();
  G* gp = getg();
  if (gp == nullptr) {
    if (!booted.load(Order::acquire)) bootLibrary();
    attach();
    gp = getg();
  }
  if (gp == gp->m->g0) return;
  ensureThreads();
  const bool lost = gp->m->lostP;
  if (lost) {
    gp->m->lostP = false;
    storeRelaxed(&gp->stackguard0, gp->stack.lo);
  }
  exitsyscall();
  *leave = !lost;
}

// The P stays reserved for the thread's next call while there is nothing for it to do: taking it back is one CAS. Work, or a
// timer, goes to another M at once.
void exitSlow() {
  P* pp = getg()->m->p;
  if (!pp->runq.empty() || globalWork() || timerPollUntil(pp) != 0 || netpollAnyWaiters()) {
    entersyscallblock();
  } else {
    entersyscall();
  }
}

void detachThread() {
  G* gp = getg();
  if (gp == nullptr || !gp->foreign) return;
  os::atThreadExit(detach, nullptr);
  detach(gp->m);
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
#include "sched/hook_table.hpp"

#include "sched/proc_internal.hpp"
#include "sched/sema.hpp"

namespace gort::rt {

namespace {

bool onOwnStack(const G* gp) {
  const auto sp = reinterpret_cast<uintptr>(__builtin_frame_address(0));
  return sp >= gp->stack.lo && sp < gp->stack.hi;
}

uint64 hookGoid() {
  const G* gp = getg();
  return gp == nullptr || gp->foreign || gp == gp->m->g0 || !onOwnStack(gp) ? 0 : gp->goid;
}

bool hookCanPark() {
  const G* gp = getg();
  if (gp == nullptr || gp->foreign) return false;
  const M* mp = gp->m;
  if (gp == mp->g0 || mp->locks != 0 || mp->dying != 0 || !onOwnStack(gp)) return false;
  if (forkedChild.load(Order::relaxed)) return false;
  return mp->p != nullptr || mp->lostP;  // the next Entry finds it a P again
}

int hookTid() { return getg()->m->tid; }

void hookSleepUntil(int64 when) {
  const Entry e;
  timeSleepUntil(when);
}

LotResult lotPark(const void* addr, bool (*still)(void*), void* arg, int64 until, WaitReason reason) {
  const Entry e;
  SemaWaiter w;
  w.g = getg();
  w.addr = addr;
  const SemaTimeout timeout(w, until);
  SemaRoot& root = semrootOf(addr);
  lock(root.lock);
  if (w.wantAbort || !still(arg)) {
    const bool late = w.wantAbort;
    unlock(root.lock);
    return late ? LotResult::timeout : LotResult::refused;
  }
  root.push(w, false);
  root.park(w, reason);
  return w.aborted ? LotResult::timeout : LotResult::woken;
}

void lotUnpark(const void* addr, bool all) {
  const Entry e;
  GQueue ready;
  SemaRoot& root = semrootOf(addr);
  lock(root.lock);
  while (SemaWaiter* w = root.front(addr)) {
    root.remove(*w);
    ready.push(w->g);
    if (!all) break;
  }
  unlock(root.lock);
  readyAll(ready);
}

void hookPin() {
  const Entry e;
  lockOSThread();
}

void hookUnpin() {
  const Entry e;
  unlockOSThread();
}

// Inside says that no preemption may come between the look at the P and what follows.
class Inside {
 public:
  Inside() : was_(getg()->inside) {
    getg()->inside = 1;
    compilerBarrier();
  }
  ~Inside() {
    compilerBarrier();
    getg()->inside = was_;
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  uint8 was_;
};

bool enterSyscall(bool atOnce) {
  const Inside in;
  if (simMode || getg()->m->p == nullptr) return false;
  if (atOnce) {
    entersyscallblock();
  } else {
    entersyscall();
  }
  return true;
}

void leaveSyscall() {
  const Inside in;
  exitsyscall();
}

constexpr HookTable kTable = {hookCanPark,  hookGoid,    hookTid,  nanotime,  hookSleepUntil,
                              waitFiles,    lotPark,     hookPin,  hookUnpin, enterSyscall,
                              leaveSyscall, filesClosed, lotUnpark};

}  // namespace

bool offerToHook(uint32 version, const void* desc) {
  if (version != GORT_HOOK_VERSION) return false;
  int64 distance;
  __builtin_memcpy(&distance, desc, sizeof distance);
  // SAFETY: the note of a loaded object of ours; the slot is a word of the same object.
  auto* slot = reinterpret_cast<Atomic<const HookTable*>*>(reinterpret_cast<uintptr>(desc) +
                                                           static_cast<uintptr>(distance));
  slot->store(&kTable, Order::release);
  return true;
}

}  // namespace gort::rt

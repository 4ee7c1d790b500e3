// SPDX-License-Identifier: Apache-2.0
// The goroutine scheduler: which goroutine runs on which thread.                                  (Go: proc.go)
//
// G a goroutine, M a thread, P the right to run goroutines; see schema/runtime2.hpp for who owns what.
// Every P has a run queue (base/runq.hpp), timers and caches; there is one global queue behind sched.lock. An M without
// work looks, in this order, at: due timers of its P, the global queue every 61st time, its own queue, the global queue,
// the network, other Ps (stealing half, in random order), once more under the lock; then it sleeps.
//
// Note [Spinning handshake]
//   Too few awake threads lose time, too many burn CPU. An M that looks for work without having found any is *spinning*
//   (sched.nmspinning). Rules:
//     submit work:  (1) put it on a queue  (2) full barrier  (3) if some P is idle and nobody spins, wake one M spinning.
//     go idle:      (1) the P becomes idle (npidle++), nmspinning-- if this M was spinning  (2) full barrier
//                   (3) look at all queues and timers again; found: take an idle P and spin.
//     find work while spinning: stop spinning first, then (2) and (3) of submit: there may be more work.
//   Because both sides have a barrier between their write and their look, one of them sees the other: work is never left
//   with an idle P and nobody looking. (Go rechecks only after spinning and has `needspinning` for the other case; one
//   look over the Ps at every idling is simpler and lets a busy submitter return after one load of npidle.)
//   The barrier of the submitter (submitted): a put that only exchanged runnext is a locked instruction, which on x86 is a
//   full barrier. A put to the ring or the global queue ends in plain stores, an unlock included, and needs a fence; so
//   does a put that kicked the old runnext to the ring.  Model: tests/model/handoff_model.cpp, spin/spinning.pml.
//   Rejected: waking a thread for every ready goroutine (thrashing); handing the P to a thread directly at every ready
//   (loses locality), as Go's essay explains at length.
//
// Note [Who returns the next goroutine]
//   A switch away runs a function on g0 that *returns* the G to run next, and assembly continues it. Nothing on this path
//   is a call that never returns, so the CPU's return-address predictor stays right, and g0's frames end at each switch.
//
// Note [G status edges]
//   Gidle -> Gdead (malg), Gdead -> Grunnable (newproc), Grunnable -> Grunning (execute), Grunning -> Grunnable (yield),
//   Grunning -> Gwaiting (park), Gwaiting -> Grunnable (ready), Grunning <-> Gsyscall, Gsyscall -> Grunnable (lost its P),
//   Grunning -> Gdead (exit), Gdead -> Gsyscall -> Gdead (a foreign thread comes and goes), Grunnable -> Gsyscall (a hog
//   that waits for a P is let go on without one). Debug builds check every edge.
//   The writer is always the one owner of the G, so the word is written with a plain release store. The Gscan bits are
//   reserved: a collector that scans stacks would compete for the word and brings the exchange back (docs/adr/0003).
//
// Note [Epochs]
//   gort::run ends by raising sched.epoch: goroutines of older epochs are abandoned. Whoever dequeues one drops it. Their
//   stacks stay: other threads may still look at objects on them.
#include "sched/proc.hpp"

#include "arch/asm.hpp"
#include "arch/sanitizer_fiber.hpp"
#include "mem/persistentalloc.hpp"
#include "mem/stackalloc.hpp"
#include "os/vdso.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc_internal.hpp"

namespace gort::rt {

constinit Sched sched;
constinit M m0;
constinit G g0;
constinit Atomic<M*> allm{nullptr};
constinit P** allp = nullptr;
constinit Published<int32> gomaxprocs{0};
constinit int32 ncpu = 1;
// allgs: a directory of chunks, so that it grows without moving and is read without a lock.
constinit Atomic<G**> allgDir[8192];
constinit Atomic<uint64> allglen{0};

namespace {

constexpr uint64 kGoidCacheBatch = 16;
constexpr uint32 kGlobalQueueTick = 61;
constexpr int32 kGFreeLocalMax = 1024, kGFreeBatch = 256, kGFreeIdle = 32;
constexpr uint32 kStealTries = 4;
constexpr uint32 kTimerTick = 8;  // a busy P reads the clock for its timers every so many switches
constexpr std::size_t kMaxClosure = 8 << 10;

constexpr uint64 kAllgDir = sizeof allgDir / sizeof allgDir[0];
constinit Mutex allglock{LockRank::allg};
constinit Atomic<int64> abandonedCount{0};  // goroutines of older epochs that never end

[[maybe_unused]] bool legalEdge(GStatus from, GStatus to) {
  using enum GStatus;
  switch (from) {
    case Gidle:
      return to == Gdead;
    case Gdead:
      return to == Grunnable || to == Gsyscall;
    case Grunnable:
      return to == Grunning || to == Gdead || to == Gsyscall;
    case Grunning:
      return to == Grunnable || to == Gwaiting || to == Gsyscall || to == Gdead;
    case Gwaiting:
      return to == Grunnable;
    case Gsyscall:
      return to == Grunning || to == Grunnable || to == Gdead;
    default:
      return false;
  }
}

}  // namespace

// checkEdge is casgstatus's debug half.
void checkEdge([[maybe_unused]] const G* gp, [[maybe_unused]] GStatus oldval,
               [[maybe_unused]] GStatus newval) {
#if GORT_DEBUG
  GORT_CHECK(legalEdge(oldval, newval), "casgstatus: bad incoming values");
  GORT_CHECK(gp->atomicstatus.load(Order::relaxed) == static_cast<uint32>(oldval),
             "casgstatus: unexpected status");
#endif
}

uint32 readgstatus(const G* gp) { return gp->atomicstatus.load(Order::acquire); }

void setCoarseNow(int64 now) { sched.coarseNow.store(now, Order::relaxed); }

// ---- all goroutines

void allgadd(G* gp) {
  lock(allglock);
  const uint64 n = allglen.load(Order::relaxed);
  GORT_CHECK(n < kAllgChunk * kAllgDir, "runtime: too many goroutines");
  Atomic<G**>& chunk = allgDir[n / kAllgChunk];
  if (chunk.load(Order::relaxed) == nullptr) {
    chunk.store(static_cast<G**>(persistentalloc(kAllgChunk * sizeof(G*), alignof(G*))), Order::release);
  }
  chunk.load(Order::relaxed)[n % kAllgChunk] = gp;
  allglen.store(n + 1, Order::release);
  unlock(allglock);
}

void forEachG(void (*fn)(G*, void*), void* arg) {
  const uint64 n = allglen.load(Order::acquire);
  for (uint64 i = 0; i < n; ++i) fn(allgDir[i / kAllgChunk].load(Order::acquire)[i % kAllgChunk], arg);
}

uint64 gcountUser() {
  int64 n = static_cast<int64>(allglen.load(Order::acquire)) - sched.gFree.n.load(Order::relaxed) -
            sched.ngsys.load(Order::relaxed);
  for (int32 i = 0; i < gomaxprocs; ++i) n -= allp[i]->gFreeN;
  n -= abandonedCount.load(Order::relaxed);
  return n < 0 ? 0 : static_cast<uint64>(n);
}

uint64 gcount() {
  const uint64 n = gcountUser();
  return n == 0 ? 1 : n;
}

uint64 abandonedGoroutines() { return static_cast<uint64>(abandonedCount.load(Order::relaxed)); }

// abandonAll counts what a run() that ends leaves behind, so that gcount forgets it.   Requires: world stopped.
void abandonAll() {
  int64 n = 0;
  forEachG(
      [](G* gp, void* p) {
        if (readgstatus(gp) != static_cast<uint32>(GStatus::Gdead) && !gp->systemGoroutine &&
            gp != getg()->m->curg) {
          ++*static_cast<int64*>(p);
        }
      },
      &n);
  abandonedCount.store(n, Order::relaxed);
}

// ---- free goroutines

// malg makes a G of the given stack class.  Returns nullptr when there is no memory for the stack.
G* malg(uint8 stackClass) {
  void* mem = persistentalloc(sizeof(G), kCacheLineSize);
  G* gp = new (mem) G;
  gp->stackClass = kNoSlot;
  if (!stackalloc(gp, stackClass)) return nullptr;
  casgstatus(gp, GStatus::Gidle, GStatus::Gdead);
  allgadd(gp);
  return gp;
}

// gfflush leaves pp at most `keep` dead goroutines; the others go to the global list, where their stacks are given back.
void gfflush(P* pp, int32 keep) {
  lock(sched.gFree.lock);
  while (pp->gFreeN > keep) {
    G* gp = pp->gFree.pop();
    pp->gFreeN = pp->gFreeN - 1;
    sched.gFree.dirty.push(gp);
    sched.gFree.n.fetchAdd(1, Order::relaxed);
    sched.gFree.nDirty.fetchAdd(1, Order::relaxed);
  }
  unlock(sched.gFree.lock);
}

namespace {

// gfputSlow moves a batch of dead Gs to the global list, or gives up a stack of unusual size.
GORT_COLD void gfputSlow(P* pp) { gfflush(pp, kGFreeLocalMax - kGFreeBatch); }

void gfput(P* pp, G* gp) {
  if (GORT_UNLIKELY(gp->stackClass != stackDefaultClass())) {
    stackfree(gp);
    lock(sched.gFree.lock);
    sched.gFree.noStack.push(gp);
    sched.gFree.n.fetchAdd(1, Order::relaxed);
    unlock(sched.gFree.lock);
    return;
  }
  pp->gFree.push(gp);
  if (GORT_UNLIKELY((pp->gFreeN = pp->gFreeN + 1) >= kGFreeLocalMax)) gfputSlow(pp);
}

// gfgetSlow refills from the global list: touched stacks first, they are warm.
GORT_COLD void gfgetSlow(P* pp) {
  lock(sched.gFree.lock);
  while (pp->gFreeN < kGFreeBatch) {
    G* gp = sched.gFree.dirty.pop();
    if (gp != nullptr) {
      sched.gFree.nDirty.fetchSub(1, Order::relaxed);
    } else {
      gp = sched.gFree.clean.pop();
    }
    if (gp == nullptr) break;
    sched.gFree.n.fetchSub(1, Order::relaxed);
    pp->gFree.push(gp);
    pp->gFreeN = pp->gFreeN + 1;
  }
  unlock(sched.gFree.lock);
}

GORT_COLD G* gfgetSized(uint8 cls) {
  lock(sched.gFree.lock);
  G* gp = sched.gFree.noStack.pop();
  if (gp != nullptr) sched.gFree.n.fetchSub(1, Order::relaxed);
  unlock(sched.gFree.lock);
  if (gp == nullptr) return malg(cls);
  return stackalloc(gp, cls) ? gp : nullptr;
}

G* gfget(P* pp, uint8 cls) {
  if (GORT_UNLIKELY(cls != stackDefaultClass())) return gfgetSized(cls);
  if (GORT_UNLIKELY(pp->gFreeN == 0) && sched.gFree.n.load(Order::relaxed) > 0) gfgetSlow(pp);
  G* gp = pp->gFree.pop();
  if (GORT_UNLIKELY(gp == nullptr)) return malg(cls);
  pp->gFreeN = pp->gFreeN - 1;
  if (GORT_UNLIKELY(gp->stackClass != cls)) {  // the default size was changed
    stackfree(gp);
    if (!stackalloc(gp, cls)) return nullptr;
  }
  return gp;
}

[[noreturn]] GORT_COLD void outOfStacks(std::size_t bytes) {
  {
    Printer p;
    p << "runtime: out of memory: cannot allocate a goroutine stack of " << bytes << " bytes (" << gcount()
      << " goroutines; see ulimit -v, vm.overcommit_memory)\n";
  }
  fatal("out of memory");
}

// StartRecord is what gort_gostart pops: the entry function and its argument.
struct StartRecord {
  void (*fn)(void*);
  void* closure;
};

StartRecord* startRecord(G* gp) {
  return reinterpret_cast<StartRecord*>(gp->sched.sp + sizeof(SwitchFrame) + kRedZone);
}

}  // namespace

namespace {

// submitted is parts (2) and (3) of "submit work" in Note [Spinning handshake]. byRmw: as runqput returned.
GORT_ALWAYS_INLINE void submitted(bool byRmw) {
  if (RunqEnv::exclusive()) return;  // the caller has the only P
  if (byRmw) {
    fenceAfterRmw();
  } else {
    fence(Order::seqCst);
  }
  wakep();
}

}  // namespace

// ---- the hot path of every switch, on one screen; inlined into what runs on g0 after a switch away

namespace {

struct Found {
  G* gp;
  bool inheritTime;
};

G* scheduleSlow(Found f);
void runqputslow(P* pp, G* gp);

// executeOn makes gp the current goroutine of mp.
GORT_ALWAYS_INLINE G* executeOn(M* mp, G* gp, bool inheritTime) {
  mp->curg = gp;
  gp->m = mp;
  casgstatus(gp, GStatus::Grunnable, GStatus::Grunning);
  storeRelaxed(&gp->stackguard0, gp->stack.lo);
  if (!inheritTime) {
    P* pp = mp->p;
    pp->schedtick.store(pp->schedtick.load(Order::relaxed) + 1, Order::relaxed);
  }
  simTrace(4, gp->goid);
  return gp;
}

GORT_ALWAYS_INLINE bool timersDue(P* pp) {
  return timerPollUntil(pp) != 0 && ++pp->timerTick % kTimerTick == 0;
}

// localWork looks where a busy P finds its next goroutine without waiting.
GORT_ALWAYS_INLINE Found localWork(P* pp) {
  if (GORT_UNLIKELY(pp->schedtick.load(Order::relaxed) % kGlobalQueueTick == 0) && globalWork()) {
    lock(sched.lock);
    G* gp = GORT_UNLIKELY(sched.nhogs.load(Order::relaxed) > 0) && pp->schedtick.load(Order::relaxed) % 2 == 0
                ? hogget()
                : globrunqget(pp, 1);
    unlock(sched.lock);
    if (gp != nullptr) return {gp, false};
  }
  if (GORT_UNLIKELY(simMode)) simShuffle(pp);
  bool inherit;
  G* gp = pp->runq.get(&inherit);
  return {gp, inherit};
}

// scheduleOn is schedule() for mp: the common case here, everything else in scheduleSlow.
GORT_ALWAYS_INLINE G* scheduleOn(M* mp) {
  GORT_DCHECK(mp->locks == 0, "schedule: holding locks");
  P* pp = mp->p;
  Found f{nullptr, false};
  if (GORT_UNLIKELY(mp->lockedg != nullptr || mp->leaving.load(Order::relaxed) || mp->spinning ||
                    pp == nullptr || sched.gcwaiting.load(Order::relaxed))) {
    return scheduleSlow(f);
  }
  if (GORT_UNLIKELY(timersDue(pp))) checkTimers(pp, 0);
  f = localWork(pp);
  if (GORT_UNLIKELY(f.gp == nullptr || f.gp->epoch != sched.epoch.load(Order::relaxed) ||
                    f.gp->lockedm != nullptr)) {
    return scheduleSlow(f);
  }
  return executeOn(mp, f.gp, f.inheritTime);
}

// putLocal is runqput; returns whether it ended in a read-modify-write.
GORT_ALWAYS_INLINE bool putLocal(P* pp, G* gp, bool next) {
  if (GORT_UNLIKELY(chaosMode) && next && cheaprandn(2) == 0) next = false;
  bool byRmw = false;
  G* left = pp->runq.tryPut(gp, next, &byRmw);
  if (GORT_UNLIKELY(left != nullptr)) runqputslow(pp, left);
  return byRmw;
}

}  // namespace

// ---- creating goroutines

NewG newprocAlloc(std::size_t stack, std::size_t size, std::size_t align) {
  M* mp = acquirem();
  const uint8 cls = stackClassOf(stack);
  G* gp = gfget(mp->p, cls);
  if (GORT_UNLIKELY(gp == nullptr)) outOfStacks(stackSlotBytes(cls));
  GORT_CHECK(size <= kMaxClosure && size <= (gp->stack.hi - gp->stack.lo) / 4,
             "newproc: closure too large for the stack");
  if (align < alignof(StartRecord)) align = alignof(StartRecord);
  const uintptr closure = alignDown(gp->stack.hi - size, align);
  const uintptr record = alignDown(closure - sizeof(StartRecord), 16);
  const uintptr sp = record - kRedZone - sizeof(SwitchFrame);
  auto* frame = reinterpret_cast<SwitchFrame*>(sp);
  *frame = {kDefaultMxcsr, kDefaultX87cw, 0, reinterpret_cast<uintptr>(gort_gostart)};
  gp->sched = {sp, reinterpret_cast<uintptr>(gort_gostart)};
  storeRelaxed(&gp->stackguard0, gp->stack.lo);
  gp->systemGoroutine = false;
  gp->parentGoid = mp->curg != nullptr ? mp->curg->goid : 0;
  releasem(mp);
  return {gp, reinterpret_cast<void*>(closure)};
}

NewG newprocBegin(const NewprocOptions& o, std::size_t size, std::size_t align) {
  const NewG n = newprocAlloc(o.stack, size, align);
  n.g->name = o.name;
  n.g->where = o.where;
  n.g->startpc = o.startpc;
  n.g->gopc = o.gopc;
  n.g->systemGoroutine = o.systemGoroutine;
  if (o.systemGoroutine) sched.ngsys.fetchAdd(1, Order::relaxed);
  return n;
}

void newprocStart(G* gp, void (*fn)(void*), void* closure) {
  *startRecord(gp) = {fn, closure};
  fiberCreate(gp);
  M* mp = acquirem();
  P* pp = mp->p;
  gp->epoch = sched.epoch.load(Order::relaxed);
  if (GORT_UNLIKELY(pp->goidcache == pp->goidcacheend)) {
    pp->goidcache = sched.goidgen.fetchAdd(kGoidCacheBatch, Order::relaxed) + 1;
    pp->goidcacheend = pp->goidcache + kGoidCacheBatch;
  }
  gp->goid = pp->goidcache++;
  casgstatus(gp, GStatus::Gdead, GStatus::Grunnable);
  simTrace(1, gp->goid);
  const bool byRmw = putLocal(pp, gp, true);
  if (GORT_LIKELY(mainStarted.load(Order::relaxed))) {
    submitted(byRmw);
  } else {
    notInForkedChild();
  }
  releasem(mp);
}

void newprocAbort(G* gp) {
  M* mp = acquirem();
  gfput(mp->p, gp);
  releasem(mp);
}

const char* internName(const char* s, std::size_t n) {
  struct Name {
    Name* link;
    std::size_t n;
    char text[1];
  };
  static constinit Atomic<Name*> names{nullptr};
  const auto find = [&]() -> const char* {
    for (Name* p = names.load(Order::acquire); p != nullptr; p = p->link) {
      if (p->n == n && __builtin_memcmp(p->text, s, n) == 0) return p->text;
    }
    return nullptr;
  };
  if (const char* have = find(); have != nullptr) return have;
  auto* name = static_cast<Name*>(persistentalloc(sizeof(Name) + n, alignof(Name)));
  name->n = n;
  __builtin_memcpy(name->text, s, n);
  name->text[n] = 0;
  Name* head = names.load(Order::acquire);
  do name->link = head;
  while (!names.compareExchange(head, name, Order::release, Order::acquire));
  return name->text;
}

// ---- ending goroutines

namespace {

// goexit0 ends gp.  Runs on: g0, reached through mcall.
GORT_SYSTEMSTACK G* goexit0(G* gp) {
  GORT_ON_G0();
  M* mp = getg()->m;
  P* pp = mp->p;
  if (GORT_UNLIKELY(pp == nullptr))
    return exitsyscall0(gp);  // it ran without one: comes back here when it has one
  if (GORT_UNLIKELY(!stackCanaryIntact(gp)))
    throw_("runtime: stack overflow found at the end of a goroutine (canary)");
  casgstatus(gp, GStatus::Grunning, GStatus::Gdead);
  if (GORT_UNLIKELY(gp->systemGoroutine)) sched.ngsys.fetchSub(1, Order::relaxed);
  if (mp->eh != nullptr) *mp->eh = {};
  gp->m = nullptr;
  gp->waiting = nullptr;
  gp->param = nullptr;
  gp->panic_ = nullptr;
  gp->defer_ = nullptr;
  gp->locals = nullptr;
  gp->inside = 0;
  mp->curg = nullptr;
  if (GORT_UNLIKELY(gp->lockedm !=
                    nullptr)) {  // Go ends the thread; we only undo the lock, the thread's state is C++'s
    gp->lockedm = nullptr;
    mp->lockedg = nullptr;
    mp->lockedExt = mp->lockedInt = 0;
  }
  simTrace(2, gp->goid);
  fiberDestroy(gp);
  gfput(pp, gp);
  return scheduleOn(mp);
}

}  // namespace

GORT_UNINSTRUMENTED void goexit0m() {
  for (;;) switchToG0(goexit0);
}

// gort_goexit is where a goroutine's entry function returns to (asm: gort_gostart).
extern "C" GORT_UNINSTRUMENTED void gort_goexit() { goexit0m(); }

// ---- switching

namespace {

// switchAway is switchToG0 with the C++ exception state: it belongs to the goroutine, the thread's must be clean in between.
GORT_ALWAYS_INLINE void switchAway(G* (*fn)(G*)) {
  EhGlobals* eh = getg()->m->eh;
  if (GORT_LIKELY(eh == nullptr || (eh->caughtExceptions == nullptr && eh->uncaughtExceptions == 0))) {
    switchToG0(fn);
    return;
  }
  const EhGlobals saved = *eh;
  *eh = {};
  switchToG0(fn);
  *getg()->m->eh = saved;
}

GORT_SYSTEMSTACK G* park_m(G* gp) {
  GORT_ON_G0();
  M* mp = getg()->m;
  if (GORT_UNLIKELY(!stackCanaryIntact(gp)))
    throw_("runtime: stack overflow found when a goroutine parked (canary)");
  casgstatus(gp, GStatus::Grunning, GStatus::Gwaiting);
  mp->curg = nullptr;
  gp->m = nullptr;
  if (auto* unlockf = mp->waitunlockf; unlockf != nullptr) {
    mp->waitunlockf = nullptr;
    if (!unlockf(gp, mp->waitlock)) {
      casgstatus(gp, GStatus::Gwaiting, GStatus::Grunnable);
      return executeOn(mp, gp, true);
    }
  }
  return scheduleOn(mp);
}

// The parked goroutine may run again, and free what the lock is in, as soon as the lock is free.
bool parkunlock_c(G*, void* l) {
  unlockLast(*static_cast<Mutex*>(l));
  return true;
}

GORT_SYSTEMSTACK GORT_NOINLINE G* goschedSlow(G* gp) {
  GORT_ON_G0();
  M* mp = getg()->m;
  casgstatus(gp, GStatus::Grunning, GStatus::Grunnable);
  mp->curg = nullptr;
  gp->m = nullptr;
  putLocal(mp->p, gp, false);
  return scheduleOn(mp);
}

// gopreempt_m puts the goroutine behind everybody: on the global queue.
GORT_SYSTEMSTACK G* gopreempt_m(G* gp) {
  GORT_ON_G0();
  M* mp = getg()->m;
  casgstatus(gp, GStatus::Grunning, GStatus::Grunnable);
  mp->curg = nullptr;
  gp->m = nullptr;
  lock(sched.lock);
  globrunqput(gp);
  unlock(sched.lock);
  if (mainStarted.load(Order::relaxed)) submitted(false);
  return scheduleOn(mp);
}

}  // namespace

GORT_JUMP_RETURN void mcall(G* (*fn)(G*)) { switchAway(fn); }

void systemstack(void (*fn)(void*), void* arg) { gort_systemstack(fn, arg); }

GORT_JUMP_RETURN void gopark(bool (*unlockf)(G*, void*), void* lockp, WaitReason reason) {
  G* gp = getg();
  M* mp = gp->m;
  GORT_DCHECK(gp != mp->g0, "gopark on the system stack");
  mp->waitlock = lockp;
  mp->waitunlockf = unlockf;
  gp->waitreason = reason;
  gp->waitsince = sched.coarseNow.load(Order::relaxed);
  switchAway(park_m);
}

void goparkunlock(Mutex& l, WaitReason reason) { gopark(parkunlock_c, &l, reason); }

void readyWithNext(G* gp, bool next) {
  M* mp = acquirem();
  casgstatus(gp, GStatus::Gwaiting, GStatus::Grunnable);
  simTrace(3, gp->goid);
  if (GORT_UNLIKELY(gp->lockedm != nullptr) && readyLocked(gp)) {
    releasem(mp);
    return;
  }
  submitted(putLocal(mp->p, gp, next));
  releasem(mp);
}

void goready(G* gp) { readyWithNext(gp, true); }

// gosched_m: with one P a yield is a rotation of its queue; everything unusual goes the long way.
GORT_SYSTEMSTACK G* gosched_m(G* gp) {
  GORT_ON_G0();
  M* mp = gp->m;
  P* pp = mp->p;
  if (GORT_UNLIKELY(pp == nullptr)) return exitsyscall0(gp);  // a preemption took it just before the switch
  const uint32 tick = pp->schedtick.load(Order::relaxed);
  if (GORT_UNLIKELY(!RunqEnv::exclusive() || mp->lockedg != nullptr || mp->leaving.load(Order::relaxed) ||
                    mp->spinning || simMode || chaosMode || sched.gcwaiting.load(Order::relaxed) ||
                    timerPollUntil(pp) != 0 || tick % kGlobalQueueTick == 0)) {
    return goschedSlow(gp);
  }
  G* next = pp->runq.rotate(gp);
  if (GORT_UNLIKELY(next == nullptr)) return goschedSlow(gp);
  casgstatus(gp, GStatus::Grunning, GStatus::Grunnable);
  gp->m = nullptr;
  if (GORT_UNLIKELY(next->epoch != sched.epoch.load(Order::relaxed) || next->lockedm != nullptr)) {
    mp->curg = nullptr;
    return scheduleSlow({next, false});
  }
  return executeOn(mp, next, false);
}

// Gosched differs from Go's in one point: the goroutine goes to the end of this P's queue, not of the global one; the
// 1/61 tick keeps the global queue served, and a yield stays free of the global lock.
GORT_JUMP_RETURN void Gosched() { switchAway(gosched_m); }
GORT_JUMP_RETURN void goyield() { switchAway(gosched_m); }

void checkPreempt() {
  G* gp = getg();
  M* mp = gp->m;
  if (loadRelaxed(&gp->stackguard0) != kStackPreempt) return;
  if (mp->locks != 0 || mp->mallocing != 0 || mp->preemptoff != nullptr || gp == mp->g0 || mp->p == nullptr)
    return;
  storeRelaxed(&gp->stackguard0, gp->stack.lo);
  if (GORT_UNLIKELY(simMode)) return;  // asked before the simulated world began: by the real clock
  switchAway(gopreempt_m);
}

// ---- queues

namespace {

// runqputslow moves half of the full local queue to the global one.
GORT_COLD void runqputslow(P* pp, G* gp) {
  G* batch[Runq::kBatch];
  const uint32 n = pp->runq.putSlow(gp, batch);
  if (n == 0) return;
  if (simMode || chaosMode) {
    for (uint32 i = 1; i < n; ++i) {
      const uint32 j = cheaprandn(i + 1);
      G* t = batch[i];
      batch[i] = batch[j];
      batch[j] = t;
    }
  }
  GQueue q;
  for (uint32 i = 0; i < n; ++i) q.push(batch[i]);
  lock(sched.lock);
  globrunqputbatch(q, static_cast<int32>(n));
  unlock(sched.lock);
}

}  // namespace

bool runqput(P* pp, G* gp, bool next) { return putLocal(pp, gp, next); }

void globrunqput(G* gp) {
  sched.runq.push(gp);
  sched.runqsize.store(sched.runqsize.load(Order::relaxed) + 1, Order::relaxed);
}

void globrunqputbatch(GQueue& q, int32 n) {
  sched.runq.append(q);
  sched.runqsize.store(sched.runqsize.load(Order::relaxed) + n, Order::relaxed);
}

// globrunqget takes a fair share (at most max, 0: no limit) for pp's queue and returns one of it.
G* globrunqget(P* pp, int32 max) {
  const int32 size = sched.runqsize.load(Order::relaxed);
  if (size == 0) return hogget();
  int32 n = size / gomaxprocs + 1;
  if (n > size) n = size;
  if (max > 0 && n > max) n = max;
  if (n > static_cast<int32>(kRunqSize / 2)) n = static_cast<int32>(kRunqSize / 2);
  sched.runqsize.store(size - n, Order::relaxed);
  G* gp = sched.runq.pop();
  for (--n; n > 0; --n) {
    G* more = sched.runq.pop();
    if (G* left = pp->runq.tryPut(more, false); left != nullptr) {  // chaos: a tiny ring
      sched.runq.push(left);
      sched.runqsize.store(sched.runqsize.load(Order::relaxed) + 1, Order::relaxed);
    }
  }
  return gp;
}

// injectglist makes a list of Gwaiting goroutines runnable. Without a P: all go to the global queue.
void injectglist(GQueue& q) {
  int32 n = 0;
  for (G* gp = q.front(); gp != nullptr; gp = gp->schedlink) {
    casgstatus(gp, GStatus::Gwaiting, GStatus::Grunnable);
    ++n;
  }
  if (n == 0) return;
  lock(sched.lock);
  globrunqputbatch(q, n);
  unlock(sched.lock);
  for (int32 i = 0; i < n; ++i) {
    lock(sched.lock);
    P* pp = pidleget();
    unlock(sched.lock);
    if (pp == nullptr) break;
    startm(pp, false, false);
  }
}

// ---- the scheduler proper

// execute makes gp the M's current goroutine; assembly continues it.   Runs on: g0.
G* execute(G* gp, bool inheritTime) {
  GORT_ON_G0();
  return executeOn(getg()->m, gp, inheritTime);
}

void dropg() {
  M* mp = getg()->m;
  mp->curg->m = nullptr;
  mp->curg = nullptr;
}

void resetspinning() {
  M* mp = getg()->m;
  mp->spinning = false;
  GORT_CHECK(sched.nmspinning.fetchSub(1) >= 1, "findRunnable: negative nmspinning");
  wakep();
}

// wakep starts a spinning M if there is an idle P and nobody spins. See Note [Spinning handshake].
// Requires: a full barrier between what there is to find and this call.
void wakep() {
  if (sched.npidle.load(Order::relaxed) == 0) return;
  if (sched.nmspinning.load(Order::relaxed) != 0) return;
  if (!sched.nmspinning.cas(0, 1)) return;
  notInForkedChild();
  M* mp = acquirem();
  lock(sched.lock);
  P* pp = pidleget();
  if (pp == nullptr) {
    GORT_CHECK(sched.nmspinning.fetchSub(1) >= 1, "wakep: negative nmspinning");
    unlock(sched.lock);
  } else {
    unlock(sched.lock);
    startm(pp, true, false);
  }
  releasem(mp);
}

namespace {

// stealWork looks at every other P in random order; on the last round also takes runnext and runs their timers.
struct Stolen {
  G* gp;
  bool ranTimer;
  int64 now, pollUntil;
};

// randomOrder draws the order in which the Ps are visited.
RandomOrder randomOrder(uint32 n) {
  const uint32 start = cheaprandn(n);
  return {n, start, n == 1 ? 1 : 1 + cheaprandn(n - 1)};
}

Stolen stealWork(P* pp, int64 now) {
  Stolen s{nullptr, false, now, 0};
  for (uint32 i = 0; i < kStealTries; ++i) {
    const bool last = i == kStealTries - 1;
    RandomOrder order = randomOrder(static_cast<uint32>(gomaxprocs));
    for (uint32 k = 0; k < order.n; ++k) {
      if (sched.gcwaiting.load(Order::relaxed)) return s;
      P* p2 = allp[order.next()];
      if (p2 == pp) continue;
      if (last && timerPollUntil(p2) != 0) {
        const CheckTimersResult t = checkTimers(p2, s.now);
        s.now = t.now;
        if (t.pollUntil != 0 && (s.pollUntil == 0 || t.pollUntil < s.pollUntil)) s.pollUntil = t.pollUntil;
        if (t.ran) {
          bool inherit;
          s.gp = pp->runq.get(&inherit);
          if (s.gp != nullptr) return s;
          s.ranTimer = true;
        }
      }
      if (p2->runq.empty()) continue;
      // runnext is stolen only on the last round and not at once: its owner is probably about to run it.
      if (last && p2->runq.inRing() == 0 && !chaosMode) os::procyield(60);
      if ((s.gp = p2->runq.steal(pp->runq, last || chaosMode)) != nullptr) return s;
    }
  }
  return s;
}

// checkRunqsNoP looks whether any P has work; takes an idle P for it. Part (3) of stop spinning.
P* checkRunqsNoP() {
  bool found = globalWork();
  for (int32 i = 0; i < gomaxprocs && !found; ++i) found = !allp[i]->runq.empty();
  if (found) {
    lock(sched.lock);
    P* pp = pidleget();
    unlock(sched.lock);
    return pp;
  }
  return nullptr;
}

int64 checkTimersNoP(int64 pollUntil) {
  for (int32 i = 0; i < gomaxprocs; ++i) {
    const int64 w = timerPollUntil(allp[i]);
    if (w != 0 && (pollUntil == 0 || w < pollUntil)) pollUntil = w;
  }
  return pollUntil;
}

void startSpinning(M* mp) {
  mp->spinning = true;
  sched.nmspinning.fetchAdd(1);
}

[[noreturn]] GORT_COLD void leaveRun(M* mp) {
  if (mp->spinning) {
    mp->spinning = false;
    sched.nmspinning.fetchSub(1);
  }
  if (mp->p != nullptr) handoffp(releasep());
  leaveg0(mp);
}

// Note [Tail of a short sleep]
//   The kernel wakes a sleeper some 40 us late here. For a short wait the M asks for less and spins the rest, so that
//   sleep(50us) means it. The bill is bounded: no wait longer than kTailMaxWaitNs ends in a spin, and between two spins lies
//   more time than a spin takes, so a crowd of sleepers, one due every microsecond, is served in batches as before.
constexpr int64 kTailNs = 25 * 1000, kTailMaxWaitNs = 300 * 1000, kTailGapNs = 25 * 1000;
constinit int64 lastTailEnd = 0;  // owner: the M in netpoll

GQueue netpollUntil(int64 pollUntil) {
  if (pollUntil == 0) return netpoll(-1);
  const int64 delay = pollUntil - nanotime();
  if (delay <= 0) return netpoll(1);
  if (delay > kTailMaxWaitNs || pollUntil - kTailNs - lastTailEnd < kTailGapNs) return netpoll(delay);
  GQueue ready;
  if (delay > kTailNs) ready = netpoll(delay - kTailNs);
  while (ready.empty() && !netpollBroken() && nanotime() < pollUntil) os::procyield(10);
  lastTailEnd = nanotime();
  return ready;
}

// sleepInNetpoll is how one M waits for the next timer (and, with sockets, for I/O). Returns with a P if there is work.
// Requires: no P.
bool sleepInNetpoll(M* mp, int64 pollUntil, G** out) {
  if (!netpollAnyWaiters() && pollUntil == 0) return false;
  if (sched.lastpoll.exchange(0) == 0) return false;  // somebody else waits there
  sched.pollUntil.store(pollUntil);
  GQueue ready = netpollUntil(pollUntil);
  const int64 now = nanotime();
  setCoarseNow(now);
  sched.pollUntil.store(0);
  sched.lastpoll.store(now);
  lock(sched.lock);
  P* pp = pidleget();
  unlock(sched.lock);
  if (pp == nullptr) {
    injectglist(ready);
    return false;
  }
  acquirep(pp);
  *out = nullptr;
  if (!ready.empty()) {
    G* gp = ready.pop();
    injectglist(ready);
    casgstatus(gp, GStatus::Gwaiting, GStatus::Grunnable);
    *out = gp;
    return true;
  }
  startSpinning(mp);
  return true;
}

// pollNow looks for I/O without waiting, unless somebody waits in netpoll and will see it.   Requires: a P.
GORT_COLD G* pollNow() {
  if (sched.lastpoll.load(Order::relaxed) == 0) return nullptr;
  GQueue ready = netpoll(0);
  if (ready.empty()) return nullptr;
  G* gp = ready.pop();
  injectglist(ready);
  casgstatus(gp, GStatus::Gwaiting, GStatus::Grunnable);
  return gp;
}

// simIdle is findRunnable's end under sim: no waiting, time jumps. False: deadlock.
bool simIdle() {
  if (netpollAnyWaiters()) {  // the outside world goes on in its own time
    if (GQueue ready = netpoll(0); !ready.empty()) return injectglist(ready), true;
  }
  if (simAdvance()) return true;
  if (netpollAnyWaiters()) {
    GQueue ready = netpoll(-1);
    return injectglist(ready), true;
  }
  lock(sched.lock);
  const bool global = sched.runqsize.load(Order::relaxed) > 0;
  unlock(sched.lock);
  return global;
}

// idle gives up the P and waits. Returns a goroutine, or nullptr: look again from the top.
G* idle(M* mp, P* pp, int64 pollUntil) {
  if (pp->gFreeN > kGFreeIdle) gfflush(pp, kGFreeIdle);
  lock(sched.lock);
  if (sched.gcwaiting.load(Order::relaxed)) {
    unlock(sched.lock);
    return nullptr;
  }
  if (globalWork()) {
    G* gp = globrunqget(pp, 0);
    unlock(sched.lock);
    return gp;
  }
  GORT_CHECK(releasep() == pp, "findRunnable: wrong p");
  pidleput(pp);
  unlock(sched.lock);
  if (mp->spinning) {
    mp->spinning = false;
    GORT_CHECK(sched.nmspinning.fetchSub(1) >= 1, "findRunnable: negative nmspinning");
  }
  fence(Order::seqCst);
  if (P* p2 = checkRunqsNoP(); p2 != nullptr) {
    acquirep(p2);
    startSpinning(mp);
    return nullptr;
  }
  pollUntil = checkTimersNoP(pollUntil);
  G* gp = nullptr;
  if (sleepInNetpoll(mp, pollUntil, &gp)) return gp;
  if (pollUntil != 0) {  // another M waits in netpoll: it must know of our earlier timer
    const int64 pollerUntil = sched.pollUntil.load();
    if (pollerUntil == 0 || pollerUntil > pollUntil) netpollBreak();
  }
  stopm();
  return nullptr;
}

// findRunnable waits for a goroutine to run.   Runs on: g0 with a P; returns with a P (maybe another).
GORT_SYSTEMSTACK Found findRunnable() {
  GORT_ON_G0();
  M* mp = getg()->m;
  for (;;) {
    if (GORT_UNLIKELY(mp->leaving.load(Order::acquire))) leaveRun(mp);
    P* pp = mp->p;
    if (sched.gcwaiting.load(Order::relaxed)) {
      gcstopm();
      continue;
    }
    const CheckTimersResult due = checkTimers(pp, 0);
    int64 pollUntil = due.pollUntil;
    if (const Found f = localWork(pp); f.gp != nullptr) return f;
    if (sched.runqsize.load(Order::relaxed) > 0) {  // hogs come last, in idle: behind the others' timers too
      lock(sched.lock);
      G* gp = globrunqget(pp, 0);
      unlock(sched.lock);
      if (gp != nullptr) return {gp, false};
    }
    if (GORT_UNLIKELY(netpollAnyWaiters()) && !simMode) {
      if (G* gp = pollNow(); gp != nullptr) return {gp, false};
    }
    if (GORT_UNLIKELY(simMode)) {
      if (simIdle()) continue;
    } else if (mp->spinning ||
               2 * sched.nmspinning.load(Order::relaxed) < gomaxprocs - sched.npidle.load(Order::relaxed)) {
      if (!mp->spinning) startSpinning(mp);
      const Stolen s = stealWork(pp, due.now);
      if (s.gp != nullptr) return {s.gp, false};
      if (s.ranTimer) continue;
      if (s.pollUntil != 0 && (pollUntil == 0 || s.pollUntil < pollUntil)) pollUntil = s.pollUntil;
    }
    if (G* gp = idle(mp, pp, pollUntil); gp != nullptr) return {gp, false};
  }
}

// abandoned: gp belongs to a run() that has ended; dropped. See Note [Epochs].
bool abandoned(const G* gp) { return !gp->foreign && gp->epoch != sched.epoch.load(Order::relaxed); }

// scheduleSlow is schedule for everything but the common case.
GORT_SYSTEMSTACK GORT_COLD G* scheduleSlow(Found f) {
  GORT_ON_G0();
  M* mp = getg()->m;
  for (;; f = {nullptr, false}) {
    if (mp->lockedg != nullptr) {
      stoplockedm();
      return execute(mp->lockedg, false);
    }
    if (f.gp == nullptr) f = findRunnable();
    if (mp->spinning) resetspinning();
    if (f.gp->epoch != sched.epoch.load(Order::relaxed) && abandoned(f.gp)) {
      hogAbandon(f.gp);
      continue;
    }
    if (f.gp->lockedm != nullptr && f.gp->lockedm != mp) {
      startlockedm(f.gp);
      continue;
    }
    return execute(f.gp, f.inheritTime);
  }
}

}  // namespace

// schedule returns the next goroutine for this M, waiting as long as it takes.   Runs on: g0.
G* schedule() {
  GORT_ON_G0();
  return scheduleOn(getg()->m);
}

}  // namespace gort::rt

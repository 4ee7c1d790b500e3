// SPDX-License-Identifier: Apache-2.0
// The runtime's own data: G, M, P, Sched, Sudog.  No behaviour.       (Go: runtime2.go)
//
//   G  a goroutine: a stack and a place to resume.   M  a thread.   P  the right to run goroutines, with its caches.
//   A G runs only on an M that holds a P. GOMAXPROCS is the number of Ps.
//
// Who owns a G, by status (only casgstatus in sched/proc.cpp changes it; edges in Note [G status edges] there):
//   Gidle      just made, not initialised: its maker.
//   Grunnable  on a run queue: whoever dequeues it.
//   Grunning   its M; it owns its stack.
//   Gsyscall   its M, outside the runtime (blocking(), a foreign thread between calls); owns its stack, may have lost its P.
//   Gwaiting   nobody; recorded in a wait queue, from which one waker takes it and readies it. Its stack stands still,
//              except that a channel operation may write through a Sudog's elem while it holds the channel's lock.
//   Gdead      on a free list, or being made; its P's or sched.gFree's.
//   Gpreempted, Gcopystack: reserved for the collector.  Gscan is a bit on top: the scanner owns the stack.
//
// Fields are grouped by protector: "switch" fields belong to the M that runs or parks the G.
#pragma once
#include "base/atomic.hpp"
#include "base/dialect.hpp"
#include "base/list.hpp"
#include "base/rand.hpp"
#include "base/types.hpp"
#include "schema/mutex.hpp"
#include "base/runq.hpp"
#include "schema/timer2.hpp"
#include "schema/waitreason.hpp"

namespace gort::rt {

struct G;
struct M;
struct P;
struct Hchan;
struct Panic;
struct Defer;
struct SimBubble;

enum class GStatus : uint32 {
  Gidle = 0,
  Grunnable = 1,
  Grunning = 2,
  Gsyscall = 3,
  Gwaiting = 4,
  Gdead = 6,
  Gcopystack = 8,
  Gpreempted = 9,
  Gscan = 0x1000,
  Gscanrunnable = 0x1001,
  Gscanrunning = 0x1002,
  Gscansyscall = 0x1003,
  Gscanwaiting = 0x1004,
  Gscanpreempted = 0x1009,
};

enum class PStatus : uint32 { Pidle = 0, Prunning = 1, Psyscall = 2, Pgcstop = 3, Pdead = 4 };

struct StackRange {
  uintptr lo = 0;  // lowest usable byte (above the guard)
  uintptr hi = 0;
};

struct Gobuf {
  uintptr sp = 0;  // of the saved switch frame (see arch/amd64/asm_amd64.S)
  uintptr pc = 0;  // where it resumes
};

// Where and what a goroutine was created for; strings are static or live as long as the process.
struct Location {
  const char* file = nullptr;
  const char* function = nullptr;
  uint32 line = 0;
};

inline constexpr uintptr kStackPreempt =
    static_cast<uintptr>(-1314);  // stackguard0: yield at the next safe point

struct G {
  // switch: read by assembly, offsets in arch/asm_fields.tbl
  StackRange stack;
  uintptr stackguard0 = 0;  // kStackPreempt asks for a yield; written by anyone, atomically
  M* m = nullptr;           // nullptr unless running or in a system call
  Gobuf sched;
  Atomic<uint32> atomicstatus{0};
  WaitReason waitreason{};           // valid while Gwaiting
  uint8 stackClass = 0;              // size class of the slot, kNoSlot for g0 and foreign goroutines
  uint8 inside = 0;                  // in the runtime: Entry sets it, so that preemption leaves the P with it
  bool systemGoroutine : 1 = false;  // runtime's own: not counted, hidden in dumps; debuggers read this bit
  bool foreign : 1 = false;          // the goroutine that stands for a foreign thread
  bool stackCanary : 1 = false;      // its slot has no real guard, only known bytes at stack.lo
  uint64 goid = 0;
  // park and ready: the second line
  G* schedlink = nullptr;  // in exactly one list at a time
  struct Sudog* waiting =
      nullptr;  // sudogs this G waits on, in lock order; owner: this G, readers hold the channel lock
  void* param = nullptr;         // waker -> woken
  int64 waitsince = 0;           // sched.coarseNow when it parked
  Atomic<uint32> selectDone{0};  // select race: 0 -> 1 by the winner
  uint32 epoch = 0;  // of the run() it belongs to; older than sched.epoch: abandoned, never runs again
  M* lockedm = nullptr;
  // language
  Panic* panic_ = nullptr;  // innermost panic
  Defer* defer_ = nullptr;  // innermost deferred call
  // creation: the third line, the last one that the life of a goroutine that never blocks touches
  void* locals = nullptr;      // gort::local slots
  const char* name = nullptr;  // go_options.name, interned
  Location where{};            // the go statement
  uint64 parentGoid = 0;
  uintptr startpc = 0;  // the function it runs
  uintptr gopc = 0;     // return address in the creator
  // seldom
  void* labels = nullptr;  // pprof labels (diag)
  void* bubble = nullptr;  // synctest/sim bubble
  uintptr syscallsp = 0, syscallpc = 0, syscallbp = 0;
  // sanitizers
  void* fiber = nullptr;      // TSan
  void* fakeStack = nullptr;  // ASan
  Timer* sleepTimer = nullptr;
  GORT_NOTINHEAP
};
static_assert(sizeof(G) == 256 && __builtin_offsetof(G, schedlink) == 64 &&
                  __builtin_offsetof(G, locals) == 128,
              "a parked goroutine costs one page, its page tables and four cache lines");

inline constexpr uint8 kNoSlot = 0xff;

// Sudog: one G waiting on one channel or semaphore address. Lives on the waiting goroutine's stack or inside its case
// object: it never moves while queued. Protected by the lock of what it waits on, except where said.
struct Sudog {
  G* g = nullptr;
  Sudog* next = nullptr;
  Sudog* prev = nullptr;
  void* elem = nullptr;  // value to send, or where to receive; the peer writes or reads through it
  int64 acquiretime = 0, releasetime = 0;
  uint32 ticket = 0;          // treap priority / notify ticket
  bool isSelect = false;      // g.selectDone must be won before waking
  bool success = false;       // woken by a value (true) or by close (false)
  uint16 waiters = 0;         // semaRoot: saturating count of the list
  Sudog* parent = nullptr;    // semaRoot tree
  Sudog* waitlink = nullptr;  // g.waiting list / semaRoot list
  Sudog* waittail = nullptr;
  Hchan* c = nullptr;
  GORT_NOTINHEAP
};

extern Published<int32> gomaxprocs;  // also read by Ms without a P
extern bool chaosMode;               // see sched/sim.cpp

struct RunqEnv {
  template <class T>
  using Atomic = rt::Atomic<T>;
  static bool exclusive() { return gomaxprocs == 1; }
  static uint32 runqLimit(uint32 size) { return GORT_UNLIKELY(chaosMode) ? 4 : size; }
};
inline constexpr uint32 kRunqSize = 256;
using Runq = RunQueue<RunqEnv, G, kRunqSize>;
using GQueue = Queue<G, &G::schedlink>;
using GList = Stack<G, &G::schedlink>;

// EhGlobals mirrors the two words of the C++ ABI's __cxa_eh_globals.
struct EhGlobals {
  void* caughtExceptions = nullptr;
  unsigned uncaughtExceptions = 0;
};

struct M {
  // switch: read by assembly
  G* g0 = nullptr;              // scheduling stack: the thread's own
  uintptr exitsp = 0;           // m0 only: where enterg0 saved the caller of run()
  Published<G*> curg{nullptr};  // sysmon looks at it
  // owner M
  P* p = nullptr;      // nullptr while not running Go code
  P* nextp = nullptr;  // handed over by startm before the wake-up
  P* oldp = nullptr;   // the P it had before the system call
  int64 id = 0;
  int32 locks = 0;  // > 0: not preemptible
  int32 mallocing = 0;
  int32 throwing = 0;
  int32 dying = 0;
  const char* preemptoff = nullptr;
  bool spinning = false;                     // looking for work, counted in sched.nmspinning
  bool blocked = false;                      // asleep in park
  bool lockedIdle = false;                   // by sched.lock: in stoplockedm, wants a P
  bool isextra = false;                      // serves a foreign thread
  bool (*waitunlockf)(G*, void*) = nullptr;  // gopark's commit, run on g0
  void* waitlock = nullptr;
  WaitReason waitReasonNext{};
  EhGlobals* eh = nullptr;  // this thread's C++ exception state; nullptr without libstdc++
  CheapRand rand;
  void (*mstartfn)() = nullptr;
  G* lockedg = nullptr;
  uint32 lockedExt = 0;  // LockOSThread count by users
  uint32 lockedInt = 0;  // by the runtime
  Note park;
  M* alllink = nullptr;    // allm, written once
  M* schedlink = nullptr;  // sched.midle, newm queue
  Published<int> tid{0};
  uint64 procid = 0;
  void* gsignal = nullptr;  // alternate signal stack
  std::size_t gsignalSize = 0;
  Atomic<bool> leaving{false};  // end of run() (m0) or shutdown: leave g0's loop
  bool exited = false;          // its thread has ended; on sched.freem
  // preemption; see sched/preempt.cpp
  Atomic<uint32> signalPending{0};  // what a SIGURG on its way asks for
  Atomic<int32> blockedIn{-1};      // number of the system call that it sleeps in, -1: none
  Atomic<uintptr> blockedPc{0};     // where that one returns to
  Atomic<int64> blockedSince{0};    // no later than this
  Atomic<int64> signalledAt{0};     // when the last SIGURG was sent
  bool lostP = false;               // its goroutine runs without a P, which a preemption took; by its thread
  G* hog = nullptr;                 // its goroutine, waiting on this very thread for a P; by sched.lock
  const struct Regs* hogRegs = nullptr;  // where that one stands; on the signal stack
  G* stallG = nullptr;                   // GODEBUG=stall; owner: sysmon
  int64 stallSince = 0;
  bool stallReported = false;
  G* foreignG = nullptr;  // isextra: the goroutine that stands for the thread
  // debug builds: ranks held
  uint8 heldCount = 0;
  const Mutex* held[12]{};
  GORT_NOTINHEAP
};

struct P {
  int32 id = 0;
  Atomic<uint32> status{0};
  P* link = nullptr;            // sched.pidle
  Atomic<uint32> schedtick{0};  // +1 per schedule(); owner writes, sysmon reads
  Atomic<uint32> syscalltick{0};
  Published<M*> m{nullptr};  // back link, nullptr if idle; sysmon looks at it
  bool preempt = false;      // asked to enter the scheduler
  bool runSafePointFn = false;
  uint32 timerTick = 0;  // switches since the timers were looked at
  uint64 goidcache = 0, goidcacheend = 0;
  struct {
    uint32 schedtick = 0, syscalltick = 0;
    int64 schedwhen = 0, syscallwhen = 0;
    int64 cpu = -1, cpuwhen = 0;  // CPU time of its thread, and when that was read
    int64 signalled = 0;          // when its thread was last asked by signal; 0: not in this slice
  } sysmontick;                   // owner: sysmon
  Atomic<int64> hogStart{0};      // when a hog got this P
  Atomic<uint32> hogTick{~0u};    // schedtick of that slice; published after hogStart
  // dead Gs that keep a default-size stack: no lock, owner P
  GList gFree;
  Published<int32> gFreeN{0};  // others count with it
  Timers timers;
  struct {
    void* head = nullptr;
    uint32 n = 0;
  } chanFree[10];             // freed channel blocks by size, linked through their first word (api floor)
  void* poolLocal = nullptr;  // per-P slots of sync pools (api floor)
  alignas(kCacheLineSize) Runq runq;
  GORT_NOTINHEAP
};

struct Sched {
  Atomic<uint64> goidgen{0};
  Atomic<int64> lastpoll{0};   // time of the last network poll; 0 while somebody sleeps in it
  Atomic<int64> pollUntil{0};  // until when that one sleeps
  alignas(kCacheLineSize) Mutex lock{LockRank::sched};
  // by lock
  M* midle = nullptr;
  int32 nmidle = 0;
  int32 nmidlelocked = 0;  // locked Ms waiting for work
  int64 mnext = 0;         // Ms made so far
  int32 maxmcount = 10000;
  int32 nmsys = 0;  // Ms not counted for deadlock detection
  int64 nmfreed = 0;
  M* freem = nullptr;  // Ms whose threads have ended, for reuse
  Atomic<int32> ngsys{0};
  P* pidle = nullptr;
  Atomic<int32> npidle{0};
  Atomic<int32> nmspinning{0};
  Atomic<uint32> needspinning{0};
  GQueue runq;
  Atomic<int32> runqsize{0};  // written with lock held, read without
  GQueue hogs;                // preempted on their threads, in the order in which they get a P again
  Atomic<int32> nhogs{0};     // written with lock held, read without
  struct {
    Mutex lock{LockRank::gFree};
    GList dirty;                    // dead Gs with touched stacks
    GList clean;                    // dead Gs whose stack pages went back to the kernel
    Atomic<int32> n{0}, nDirty{0};  // written with lock held, read without
    GList noStack;                  // dead Gs without a stack
  } gFree;
  Atomic<bool> gcwaiting{false};  // stop the world is wanted
  int32 stopwait = 0;
  Note stopnote;
  Atomic<bool> sysmonwait{false};
  Note sysmonnote;
  Mutex sysmonlock{LockRank::sysmon};
  int64 procresizetime = 0;
  uint64 starttimeNs = 0;
  Atomic<uint32> epoch{0};     // +1 when a run() ends: goroutines of older epochs get no P any more
  Atomic<int64> coarseNow{0};  // ns; refreshed by sysmon and by Ms that wake: the clock of waitsince
  Atomic<uint64> npreempted{0}, nemergency{0};  // hogs that gave up a P; hogs that were let go on without
  Atomic<int32> nextra{0};  // foreign threads attached: they may wake us, so no deadlock report
};

extern Sched sched;
extern M m0;
extern G g0;
extern Atomic<M*> allm;
extern P** allp;  // length gomaxprocs; changes with the world stopped
extern int32 ncpu;
extern Atomic<uint64> gcount_;  // live user goroutines

}  // namespace gort::rt

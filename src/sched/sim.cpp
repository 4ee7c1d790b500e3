// SPDX-License-Identifier: Apache-2.0
// GODEBUG=sim=SEED: one run, one seed.
//   One P, so one running M at a time; no sysmon preemption, blocking() stays inline. Every choice - which runnable
//   goroutine is next, which ready select case, ties between timers - is drawn from one generator seeded by SEED.
//   Time is virtual: it stands still while goroutines run and jumps to the next timer when none can.
//   trace hash: every scheduling event (execute, ready, timer) mixed in order; same seed, same program: same hash.
// GODEBUG=chaos=SEED: the real scheduler made hostile: tiny run queues, steals first, random yields, spurious wake-ups.
//   The seed fixes the decisions of each M, not their interleaving.
// Owner of all of it: the one M that holds the P (sim); chaos only reads.
#include "sched/sim.hpp"

#include "os/futex.hpp"
#include "os/vdso.hpp"
#include "sched/proc_internal.hpp"

namespace gort::rt {

constinit bool simMode = false;
constinit bool chaosMode = false;
constinit Published<int64> simNow{0};

namespace {

constexpr int64 kSimStart = int64{3600} * 1000000000;
constexpr int64 kSimWall = int64{946684800} * 1000000000;
constexpr uint64 kFnvOffset = 0xcbf29ce484222325ULL, kFnvPrime = 0x100000001b3ULL;
constexpr uint32 kMaxRotate = 64;
constexpr int32 kSettleYields =
    1000;  // before the simulated world begins: what is on its way to a wait gets there

constinit CheapRand simRand{};
constinit uint64 simHash = kFnvOffset;
constinit int32 procsBefore = 0;
constinit uint64 simGoidBase = 0;  // goroutines up to here are older than the simulated world
constinit uint64 simMaker = 0;     // ... but for the one that made it

// settle lets others run until they are blocked, or have been seen runnable `tries` times.
void settle(int32 tries) {
  P* pp = getg()->m->p;
  while (tries-- > 0 && (!pp->runq.empty() || sched.runqsize.load(Order::relaxed) > 0)) {
    goyield();
    pp = getg()->m->p;
  }
}

void seedSim(uint64 seed, int64 start) {
  simRand.state = splitmix64(seed);
  simHash = kFnvOffset;
  simNow = start;
  setCoarseNow(start);
}

// restartWaits: the clock changes; who waits is taken to have begun now, by the new one.
void restartWaits(int64 now) {
  stopTheWorld("change of clock");
  setCoarseNow(now);
  forEachG(
      [](G* gp, void* p) {
        if (gp->waitsince != 0) gp->waitsince = *static_cast<int64*>(p);
      },
      &now);
  startTheWorld();
}

}  // namespace

void siminit() {
  simMode = debug.sim;
  chaosMode = debug.chaos;
  if (simMode) seedSim(debug.simSeed, kSimStart);
  if (chaosMode) os::futexChaos(debug.chaosSeed);
}

void simEnter(uint64 seed, bool alone) {
  procsBefore = setGomaxprocs(1);
  settle(kSettleYields);
  const int64 start = alone ? kSimStart : os::nanotime();
  restartWaits(start);
  seedSim(seed, start);
  P* pp = getg()->m->p;  // what an earlier life of the P left in it must not show
  pp->goidcache = pp->goidcacheend = 0;
  pp->schedtick.store(0, Order::relaxed);
  pp->timerTick = 0;
  simGoidBase = sched.goidgen.load(Order::relaxed);
  simMaker = getg()->goid;
  storeRelaxed(&simMode, true);
}

void simLeave() {
  storeRelaxed(&simMode, debug.sim);
  if (!debug.sim) restartWaits(os::nanotime());
  setGomaxprocs(procsBefore);
}

void simSettle() { settle(INT32_MAX); }

int64 simNanotime() { return simNow; }
int64 simWalltime() { return kSimWall + simNow - kSimStart; }

uint32 cheaprandn(uint32 n) {
  if (GORT_UNLIKELY(simMode)) return simRand.below(n);
  return getg()->m->rand.below(n);
}

// Goroutines count from the start of the simulated world; 0 stands for the one that made it. Older ones do not count.
void simTraceSlow(uint32 event, uint64 goid) {
  if (goid <= simGoidBase && goid != simMaker) return;
  simHash = (simHash ^ event) * kFnvPrime;
  simHash = (simHash ^ (goid > simGoidBase ? goid - simGoidBase : 0)) * kFnvPrime;
}

uint64 simTraceHash() { return simHash; }

bool simAdvance() {
  const int64 next = timersSleepUntil();
  if (next == INT64_MAX) return false;
  if (next > simNow) simNow = next;
  setCoarseNow(simNow);
  return true;
}

void simShuffle(P* pp) {
  const uint32 n = pp->runq.size();
  if (n < 2) return;
  for (uint32 r = cheaprandn(n < kMaxRotate ? n : kMaxRotate); r > 0; --r) {
    bool inherit;
    G* gp = pp->runq.get(&inherit);
    if (gp != nullptr) runqput(pp, gp, false);
  }
}

}  // namespace gort::rt

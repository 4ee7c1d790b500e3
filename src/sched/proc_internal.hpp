// SPDX-License-Identifier: Apache-2.0
// What the files of the scheduler share among themselves: proc.cpp (goroutines), proc_m.cpp (threads), proc_world.cpp
// (stop the world, system calls), sysmon.cpp (monitor, deadlock, schedtrace), boot.cpp (start and end), cgocall.cpp
// (foreign threads), copies.cpp and fork.cpp (what is refused), sim.cpp (seeded mode). Nobody else includes this.
#pragma once
#include "base/check.hpp"
#include "base/print.hpp"
#include "sched/preempt.hpp"
#include "sched/proc.hpp"
#include "sched/runtime1.hpp"

// GORT_ON_G0 checks GORT_SYSTEMSTACK at run time in debug builds.
#define GORT_ON_G0() GORT_DCHECK(getg() == getg()->m->g0, "runtime: not on the system stack")

namespace gort::rt {

// ---- proc.cpp
void checkEdge(const G* gp, GStatus oldval, GStatus newval);
// casgstatus moves gp along one edge of Note [G status edges] in proc.cpp.   Requires: the caller owns gp.
GORT_ALWAYS_INLINE void casgstatus(G* gp, GStatus oldval, GStatus newval) {
  if constexpr (kDebug) checkEdge(gp, oldval, newval);
  gp->atomicstatus.store(static_cast<uint32>(newval), Order::release);
}
G* malg(uint8 stackClass);  // a new G with a stack, in allgs, Gdead; nullptr: out of memory
void allgadd(G* gp);
inline constexpr uint64 kAllgChunk = 8192;  // Gs per chunk of allgs
bool runqput(P* pp, G* gp, bool next);      // returns whether it ended in a read-modify-write (fenceAfterRmw)
void globrunqput(G* gp);                    // Requires: sched.lock
void globrunqputbatch(GQueue& q, int32 n);  // Requires: sched.lock
G* globrunqget(P* pp, int32 max);           // Requires: sched.lock
void injectglist(GQueue& q);
GORT_SYSTEMSTACK G* execute(G* gp, bool inheritTime);
void dropg();
void resetspinning();
void wakep();
void setCoarseNow(int64 now);
void abandonAll();             // Requires: world stopped
uint64 abandonedGoroutines();  // what earlier runs left behind, dead or alive

// globalWork: there is something that belongs to no P.
inline bool globalWork() {
  return sched.runqsize.load(Order::relaxed) > 0 || GORT_UNLIKELY(sched.nhogs.load(Order::relaxed) > 0);
}

// ---- preempt.cpp
void preemptinit(bool wanted);  // installs the signal, or gives it back; at each run
void lookForStalls(int64 now);  // GODEBUG=stall.   Runs on: sysmon
bool preemptsBySignal();        // the signal is Gort's
G* hogget();                    // Requires: sched.lock
bool canPreempt();              // there is a thread for a P that is given up; else one is on its way
bool releaseHog();              // lets the oldest waiting hog go on without a P. False: there is none
void hogAbandon(G* gp);         // gp was dequeued and gets no P any more: if it is a hog, its thread goes on
void rescueHogs(int64 now, bool stopping);  // rule R3

// ---- proc_m.cpp
void newSpareM();
bool anyWork();
bool workWaiting(int64 now);  // somebody could run, or a timer is due, and no P is idle
M* allocm(bool extra);
void mcommoninit(M* mp);
void newm(void (*fn)(), P* pp, int64 id);
void startm(P* pp, bool spinning, bool lockheld);
GORT_SYSTEMSTACK void stopm();
void handoffp(P* pp);
GORT_SYSTEMSTACK void stoplockedm();
GORT_SYSTEMSTACK void startlockedm(G* gp);
bool readyLocked(G* gp);
void acquirep(P* pp);  // begins a slice
void wirep(P* pp);     // goes on with the slice that pp has
P* releasep();
void pidleput(P* pp);  // Requires: sched.lock
P* pidleget();         // Requires: sched.lock
void mput(M* mp);      // Requires: sched.lock
M* mget();             // Requires: sched.lock
int32 mcount();
void incidlelocked(int32 v);
void startTemplateThread();
bool stopThreads(int64 ns);  // Requires: no goroutine left, a foreign thread without an M
void ensureThreads();        // undoes it
void helperThreadBegins();
void helperThreadEnds();
void bindThread(M* mp);  // per-thread state of an M: tid, EH globals, fiber
[[noreturn]] void leaveg0(M* mp);

// ---- proc_world.cpp
GORT_SYSTEMSTACK void gcstopm();
void procresize(int32 n);                            // Requires: world stopped or start-up
bool preemptone(P* pp, bool bySignal, int64 since);  // since: as for preemptM
bool preemptall(bool bySignal);
GORT_SYSTEMSTACK G* exitsyscall0(G* gp);
bool stopTheWorldFor(int64 ns);  // as stopTheWorld, but gives up (world running again) after ns
uint32 retake(int64 now);

// ---- sysmon.cpp
void startSysmon();
void stopSysmon();
void checkdead();  // Requires: sched.lock
void schedtrace(bool detailed);

// ---- boot.cpp
extern Published<bool> runMode;  // gort::run owns the process: crash handlers, deadlock report
extern Atomic<bool> booted;
extern Atomic<bool> mainStarted;
void mainLeft();  // m0 is on its way out of run()

// ---- copies.cpp, fork.cpp
void refuseSecondCopy();
void watchForks();
extern Atomic<bool> forkedChild;
[[noreturn]] GORT_COLD void usedInForkedChild();
// notInForkedChild stands where the child of a fork would wait for a thread that it does not have.
inline void notInForkedChild() {
  if (GORT_UNLIKELY(forkedChild.load(Order::relaxed))) usedInForkedChild();
}

// ---- sim.cpp
void siminit();
bool simAdvance();               // nothing runnable: moves virtual time to the next timer; false: no timer
void simShuffle(P* pp);          // draws the next goroutine of the queue from the seed
extern Published<int64> simNow;  // an M that was asleep when sim began may still look

}  // namespace gort::rt

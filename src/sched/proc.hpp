// SPDX-License-Identifier: Apache-2.0
// The scheduler's face to the floors above it.       (Go: proc.go; essay in proc.cpp)
#pragma once
#include "arch/getg.hpp"
#include "schema/runtime2.hpp"
#include "sched/time.hpp"

namespace gort::rt {

// ---- switching. Note [Who returns the next goroutine] in proc.cpp.
// mcall saves the current goroutine and runs fn(gp) on g0; fn returns the goroutine to run next (usually schedule()).
// Returns when somebody has made gp runnable again and an M runs it. Runs on: a goroutine's stack.
void mcall(G* (*fn)(G*));
// systemstack runs fn(arg) on g0 and comes back. On g0 already: a plain call. Must not park.
void systemstack(void (*fn)(void*), void* arg);
template <class F>
void systemstack(F f) {
  systemstack([](void* p) { (*static_cast<F*>(p))(); }, &f);
}
GORT_SYSTEMSTACK G* schedule();

// ---- park and ready
// gopark parks the current goroutine. unlockf(gp, lock) runs on g0 after gp is off its stack; false: do not park.
// Parked is only who will be readied by exactly one goready. Runs on: a goroutine's stack. Requires: no locks held but
// those that unlockf releases.
GORT_NOSPLIT void gopark(bool (*unlockf)(G*, void*), void* lock, WaitReason reason);
void goparkunlock(Mutex& l, WaitReason reason);
// goready makes gp runnable, as the next to run on this P. Runs on: any stack with a P.
GORT_NOSPLIT void goready(G* gp);
GORT_NOSPLIT void readyWithNext(G* gp, bool next);

GORT_SYSTEMSTACK G* gosched_m(G* gp);  // what Gosched runs on g0; for yield()
GORT_NOSPLIT void Gosched();
GORT_NOSPLIT void goyield();   // as Gosched, but to the local queue
[[noreturn]] void goexit0m();  // end of the current goroutine (after its defers)
void checkPreempt();           // yields if somebody asked; at safe points of long running entries

// acquirem pins: no preemption, no change of thread, until releasem.
inline M* acquirem() {
  M* mp = getg()->m;
  ++mp->locks;
  return mp;
}
inline void releasem(M* mp) { --mp->locks; }

// ---- creating
struct NewprocOptions {
  std::size_t stack = 0;       // bytes, 0: default
  const char* name = nullptr;  // interned by internName, nullptr: none
  Location where{};
  uintptr startpc = 0;
  uintptr gopc = 0;
  bool systemGoroutine = false;
};
struct NewG {
  G* g;
  void* closure;  // on the new goroutine's stack, `align`ed
};
// newprocBegin makes a goroutine with room for a closure; newprocStart runs fn(closure) on it; newprocAbort gives it back.
// Runs on: any stack of a thread inside the runtime (Entry). Size limit: a quarter of the stack.
// newprocAlloc is newprocBegin for a caller that sets name, where, startpc and gopc of the G itself.
NewG newprocAlloc(std::size_t stack, std::size_t size, std::size_t align);
NewG newprocBegin(const NewprocOptions& o, std::size_t size, std::size_t align);
void newprocStart(G* gp, void (*fn)(void*), void* closure);
void newprocAbort(G* gp);
void gfflush(P* pp, int32 keep);  // Requires: the owner of pp, or the world stopped
const char* internName(const char* s, std::size_t n);

// ---- threads, world, system calls
void lockOSThread();
void unlockOSThread();
int32 setGomaxprocs(int32 n);  // n <= 0: only ask
void stopTheWorld(const char* reason);
void startTheWorld();
GORT_NOSPLIT void entersyscall();  // the P stays reserved until sysmon or a stop takes it
void entersyscallblock();          // the P is handed over at once
GORT_NOSPLIT void exitsyscall();
uint64 gcount();                                  // user goroutines, at least 1 (the caller's)
uint64 gcountUser();                              // the same without the floor: 0 when none is left
void forEachG(void (*fn)(G*, void*), void* arg);  // allgs in creation order. Requires: world stopped or dying
uint32 readgstatus(const G* gp);

// ---- entering from anywhere: the guard of every public entry point. Foreign threads get an M; outside of a call their
// goroutine is in a system call. Also the safe point where a goroutine that was asked to gives way. Cheap on a goroutine:
// four loads, two stores and two branches.
//
// Inside, the goroutine has a P and keeps it: `inside` is set before the P is looked at, and the signal that takes Ps away
// (preempt.cpp) leaves alone who is inside. A panic clears it: what it runs is the user's.
void entrySlow(bool* leave);
void exitSlow();
class Entry {
 public:
  Entry() {
    G* gp = getg();
    if (GORT_UNLIKELY(gp == nullptr)) {
      entrySlow(&leave_);
      getg()->inside = 1;
      return;
    }
    was_ = gp->inside;
    gp->inside = 1;
    compilerBarrier();  // against our own signal handler only
    if (GORT_UNLIKELY(gp->m->p == nullptr)) {
      entrySlow(&leave_);
    } else if (GORT_UNLIKELY(loadRelaxed(&gp->stackguard0) == kStackPreempt)) {
      checkPreempt();
    }
  }
  ~Entry() {
    if (GORT_UNLIKELY(leave_)) exitSlow();
    compilerBarrier();
    getg()->inside = was_;
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

 private:
  bool leave_ = false;
  uint8 was_ = 0;
};

// FastEntry is an Entry without slow forms and without a destructor (a panic may jump over its frame). False: take an Entry.
class FastEntry {
 public:
  FastEntry() : gp_(getg()) {
    if (GORT_UNLIKELY(gp_ == nullptr)) return;
    was_ = gp_->inside;
    gp_->inside = 1;
    compilerBarrier();
    if (GORT_LIKELY(gp_->m->p != nullptr && loadRelaxed(&gp_->stackguard0) != kStackPreempt)) return;
    gp_->inside = was_;
    gp_ = nullptr;
  }
  explicit operator bool() const { return GORT_LIKELY(gp_ != nullptr); }
  void leave() const {
    compilerBarrier();
    gp_->inside = was_;
  }

 private:
  G* gp_;
  uint8 was_ = 0;
};

// ---- seeded modes
extern bool simMode;    // GODEBUG=sim=SEED: one running M, every choice from the seed, virtual clock
extern bool chaosMode;  // GODEBUG=chaos=SEED: steal always, random yields, tiny queues, spurious wake-ups
uint32 cheaprandn(uint32 n);  // this M's random number below n; from the seed under sim
void simTraceSlow(uint32 event, uint64 goid);
// simTrace mixes one scheduling event into the sim trace hash.
inline void simTrace(uint32 event, uint64 goid) {
  if (GORT_UNLIKELY(simMode)) simTraceSlow(event, goid);
}
uint64 simTraceHash();
// simEnter makes the running world a simulated one (one P, virtual time, seed); alone: the caller is the only goroutine,
// and virtual time starts at its fixed origin. simLeave undoes it. simSettle returns when all others are blocked.
// Runs on: a goroutine.
void simEnter(uint64 seed, bool alone);
void simLeave();
void simSettle();

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Model of a P in a system call.      (entersyscall, exitsyscall, retake, stopAll of src/sched/proc_world.cpp and
// handoffp of proc_m.cpp transcribed; Go: proc.go) The goroutine leaves its P reserved and comes back for it; against
// it sysmon takes the P for another M, and a stop of the world takes it for itself. Claims: one thread at a time has a
// P; who loses the race looks elsewhere; a P or a goroutine is never lost; when a stop has all Ps nobody runs, and it
// gets them all.
#include "model/explorer.hpp"

namespace {
using model::Atomic;
using model::Order;
using model::Plain;

enum PStatus : uint32_t { Pidle, Prunning, Psyscall, Pgcstop };

struct World {
  Atomic<uint32_t> status{Prunning};
  Plain<int> cache{0};  // what belongs to who has the P
  Atomic<uint32_t> gcwaiting{0};
  model::Lock lock{"sched.lock"};
  bool idle = false;    // by lock: the P is on sched.pidle
  bool queued = false;  // by lock: the goroutine is on the global queue
  int stopwait = 0;     // by lock
  Atomic<uint32_t> stopnote{0};
  model::Parker g;  // the goroutine, or its M
  bool stopped = false;
  World() {
    status.named("p.status");
    cache.named("p.cache");
    gcwaiting.named("gcwaiting");
    stopnote.named("stopnote");
  }

  void useP() {
    MODEL_ASSERT(!stopped);
    cache.set(cache.get() + 1);
  }
  void acquirep() {
    MODEL_ASSERT(status.load(Order::relaxed) == Pidle);
    status.store(Prunning);
  }
  void stopCountDown() {
    if (--stopwait == 0) stopnote.store(1, Order::release);
  }

  void entersyscall() {
    if (GORT_MUT(1)) {
      const bool seen = gcwaiting.load() != 0;
      status.store(Psyscall);
      if (!seen) return;
    } else {
      status.store(Psyscall, GORT_ORD(2, seqCst));
      if (gcwaiting.load(GORT_ORD(3, seqCst)) == 0) return;
    }
    lock.lock();
    if (stopwait > 0 && status.cas(Psyscall, Pgcstop)) stopCountDown();
    lock.unlock();
  }

  // False: the goroutine waits on the global queue; whoever takes it off lets it run.
  void exitsyscall() {
    bool mine = status.load(Order::relaxed) == Psyscall;
    if (mine) {
      if (GORT_MUT(4)) {
        status.store(Pidle);
      } else {
        mine = status.cas(Psyscall, Pidle);
      }
    }
    if (!mine) {
      lock.lock();
      mine = gcwaiting.load(Order::relaxed) == 0 && idle;
      if (mine) {
        idle = false;
      } else {
        queued = true;
        g.announce();
      }
      lock.unlock();
      if (!mine) {
        g.block();  // who ran it has handed it the P
        return;
      }
    }
    acquirep();
  }

  // A safe point: the goroutine gives its P to a stop.
  bool safepoint() {
    if (gcwaiting.load(Order::relaxed) == 0) return true;
    lock.lock();
    if (gcwaiting.load(Order::relaxed) == 0) {
      lock.unlock();
      return true;
    }
    status.store(Pgcstop);
    stopCountDown();
    lock.unlock();
    return false;
  }

  // A P without work goes to a stop, or idle.   Requires: lock.
  void rest() {
    if (gcwaiting.load(Order::relaxed) != 0) {
      status.store(Pgcstop);
      stopCountDown();
    } else {
      status.store(Pidle);
      idle = true;
    }
  }

  // The M that a taken P was handed to runs what there is, then lets the P rest.
  void otherM() {
    acquirep();
    useP();
    if (!safepoint()) return;
    lock.lock();
    const bool work = queued;
    if (GORT_MUT(5)) {
      lock.unlock();
      lock.lock();
    }
    if (work) {
      queued = false;
      lock.unlock();
      g.ready();  // the goroutine goes on with this P
      return;
    }
    rest();
    lock.unlock();
  }

  void retake() {
    const uint32_t s = status.load();
    if (s != Psyscall) return;
    if (GORT_MUT(6)) {
      status.store(Pidle);
    } else if (!status.cas(s, Pidle)) {
      return;
    }
    otherM();
  }

  void stopTheWorld() {
    lock.lock();
    stopwait = 1;
    gcwaiting.store(1, GORT_ORD(7, seqCst));
    uint32_t s = status.load(GORT_ORD(8, seqCst));
    if (s == Psyscall && status.cas(Psyscall, Pgcstop)) --stopwait;
    if (idle) {
      idle = false;
      status.store(Pgcstop);
      --stopwait;
    }
    bool wait = stopwait > 0;
    lock.unlock();
    while (wait && stopnote.load(Order::acquire) == 0) model::yield();
    stopped = true;
    cache.set(100);  // the world is the stopper's
    stopped = false;
    lock.lock();
    gcwaiting.store(0);
    if (queued) {  // the P runs on for the goroutine that came back meanwhile
      queued = false;
      status.store(Prunning);
      lock.unlock();
      g.ready();
      return;
    }
    status.store(Pidle);
    idle = true;
    lock.unlock();
  }

  void goroutine(int calls) {
    for (int i = 0; i < calls; ++i) {
      useP();
      entersyscall();
      exitsyscall();
      useP();
      if (!safepoint()) return;
    }
    lock.lock();  // its end: the P goes idle
    rest();
    lock.unlock();
  }
};

MODEL(RetakeAgainstExit, .preemptions = 4) {
  World w;
  model::spawn("goroutine", [&] { w.goroutine(1); });
  model::spawn("sysmon", [&] { w.retake(); });
  model::joinAll();
}

MODEL(RetakeAgainstTwoCalls, .preemptions = 3) {
  World w;
  model::spawn("goroutine", [&] { w.goroutine(2); });
  model::spawn("sysmon", [&] {
    w.retake();
    w.retake();
  });
  model::joinAll();
}

MODEL(StopAgainstCall, .preemptions = 4) {
  World w;
  model::spawn("goroutine", [&] { w.goroutine(1); });
  model::spawn("stopper", [&] { w.stopTheWorld(); });
  model::joinAll();
}

// The call ends after the stop: whoever comes second, stop or entersyscall, must see the first.
MODEL(StopAgainstLongCall, .preemptions = 4) {
  World w;
  Atomic<uint32_t> returns{0};
  model::spawn("goroutine", [&] {
    w.useP();
    w.entersyscall();
    while (returns.load(Order::acquire) == 0) model::yield();
    w.exitsyscall();
    w.useP();
  });
  model::spawn("stopper", [&] {
    w.stopTheWorld();
    returns.store(1, Order::release);
  });
  model::joinAll();
}

MODEL(StopAndRetakeAgainstCall, .preemptions = 3) {
  World w;
  model::spawn("goroutine", [&] { w.goroutine(1); });
  model::spawn("sysmon", [&] { w.retake(); });
  model::spawn("stopper", [&] { w.stopTheWorld(); });
  model::joinAll();
}

}  // namespace

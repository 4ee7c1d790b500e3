// SPDX-License-Identifier: Apache-2.0
// Model of asynchronous preemption.      (Entry and FastEntry of src/sched/proc.hpp, preempt.cpp's handler, freeze,
// loseP, hogget, releaseHog, and executeOn's part in it, transcribed) The signal's handler runs on the thread itself
// between any two of its steps: point() is where it may. Claims: who is inside the runtime keeps his P; a P has one
// owner and is never lost; a frozen goroutine goes on, woken once, with a P or without; a request never hits the
// goroutine that came after.
#include "model/explorer.hpp"

namespace {
using model::Atomic;
using model::Order;
using model::Plain;

constexpr int kNone = 0, kHogM = 1, kOtherM = 2;

struct Machine {
  Plain<int> cache{0};  // what belongs to who has the P
  model::Lock lock{"sched.lock"};
  bool hogQueued = false;  // by lock: sched.hogs
  bool otherIdle = true;   // by lock: the other M is on sched.midle
  bool pIdle = false;      // by lock
  int nextp = kNone;       // by lock: the M that was handed the P before it was woken
  Atomic<uint32_t> pending{0};
  model::Parker hogNote, otherNote;
  bool over = false;  // by lock: the other M is not needed any more
  // the hog's thread only: its handler is no other thread
  bool inside = false, hasP = true, lost = false;
  int signals = 0;
  Machine() {
    cache.named("p.cache");
    pending.named("pending");
  }

  void useP() { cache.set(cache.get() + 1); }

  // handOn: sched.lock is held and canHandOn() was true.
  void handOn() {
    nextp = kOtherM;
    otherIdle = false;
    otherNote.ready();
  }

  void freeze() {
    lock.lock();
    if (!otherIdle && !GORT_MUT(5)) {
      lock.unlock();
      return;  // nobody to give it to
    }
    if (GORT_MUT(4)) {  // the P goes before the hog can be found
      hasP = false;
      if (otherIdle) handOn();
      lock.unlock();
      lock.lock();
      hogQueued = true;
      hogNote.announce();
      lock.unlock();
    } else {
      hogQueued = true;
      hogNote.announce();
      hasP = false;
      if (otherIdle) handOn();
      lock.unlock();
    }
    hogNote.block();
    if (nextp == kHogM) {
      nextp = kNone;
      hasP = true;
    } else {
      lost = true;
    }
  }

  void loseP() {
    lock.lock();
    if (!otherIdle) {
      lock.unlock();
      return;
    }
    hasP = false;
    lost = true;
    handOn();
    lock.unlock();
  }

  // point: here the handler may run, on the hog's thread.
  void point() {
    if (pending.load(Order::relaxed) == 0 || model::choose(2, "the signal comes") == 0) return;
    pending.store(0, Order::relaxed);
    if ((inside && !GORT_MUT(2)) || !hasP) return;
    if (model::choose(2, "asleep in a call") == 0) {
      freeze();
    } else {
      loseP();
    }
  }

  // exitsyscall of a goroutine that has lost its P.
  void getP() {
    lost = false;
    lock.lock();
    if (pIdle) {
      pIdle = false;
      hasP = true;
      lock.unlock();
      return;
    }
    hogQueued = true;  // the global queue; the same finders
    hogNote.announce();
    lock.unlock();
    hogNote.block();
    MODEL_ASSERT(nextp == kHogM);
    nextp = kNone;
    hasP = true;
  }

  // One call into the runtime.
  void entry() {
    point();
    if (GORT_MUT(1)) {
      const bool have = hasP;
      point();
      inside = true;
      if (!have) getP();
    } else {
      inside = true;
      point();
      if (!hasP) getP();
    }
    point();
    MODEL_ASSERT(hasP);
    useP();
    point();
    inside = false;
    point();
  }

  // The end of the goroutine: its M gives the P up, on g0.
  void goexit() {
    inside = true;
    if (!hasP) getP();
    useP();
    lock.lock();
    over = true;
    if (otherIdle) {
      otherIdle = false;
      otherNote.ready();
    }
    pIdle = true;
    hasP = false;
    lock.unlock();
  }

  // The other M: sleeps until it is handed the P, runs its own work, then looks for the hog.
  void otherM() {
    for (;;) {
      otherNote.block();
      lock.lock();
      const bool handed = nextp == kOtherM;
      if (handed) nextp = kNone;
      const bool done = over;
      lock.unlock();
      if (!handed) {
        MODEL_ASSERT(done);
        return;
      }
      useP();
      lock.lock();
      bool stop = false;
      if (hogQueued) {  // findRunnable, startlockedm
        hogQueued = false;
        nextp = kHogM;
        hogNote.ready();
      } else {
        pIdle = true;
      }
      stop = over;
      if (!stop) {
        otherIdle = true;
        otherNote.announce();
      }
      lock.unlock();
      if (stop) return;
    }
  }

  // Rule R3, R6.
  void releaseHog() {
    lock.lock();
    if (hogQueued && !lostAndWaiting()) {
      if (!GORT_MUT(3)) hogQueued = false;
      hogNote.ready();
    }
    lock.unlock();
  }
  // getP's queue is not sched.hogs: nobody is let go from there.
  bool lostAndWaiting() const { return inside; }
};

void start(Machine& m) { m.otherNote.announce(); }

MODEL(SignalAgainstEntry, .preemptions = 3) {
  Machine m;
  start(m);
  model::spawn("hog", [&] {
    m.entry();
    m.entry();
    m.goexit();
  });
  model::spawn("other M", [&] { m.otherM(); });
  model::spawn("sysmon", [&] {
    m.pending.store(1, Order::relaxed);
    model::yield();
    m.pending.store(1, Order::relaxed);
  });
  model::joinAll();
}

// Nobody can take the P: the hog keeps it.
MODEL(NobodyToGiveTo, .preemptions = 3) {
  Machine m;
  m.otherIdle = false;
  model::spawn("hog", [&] {
    m.point();
    m.entry();
    MODEL_ASSERT(m.hasP);
  });
  model::spawn("sysmon", [&] { m.pending.store(1, Order::relaxed); });
  model::joinAll();
}

MODEL(RescueAgainstSchedule, .preemptions = 3) {
  Machine m;
  start(m);
  model::spawn("hog", [&] {
    m.point();
    m.point();
    m.entry();
    m.goexit();
  });
  model::spawn("other M", [&] { m.otherM(); });
  model::spawn("sysmon", [&] {
    m.pending.store(1, Order::relaxed);
    m.releaseHog();
    m.releaseHog();
  });
  model::joinAll();
}

// The request is a mark in the goroutine, the signal goes to the thread: between the two the goroutine may have parked
// and another one run there. executeOn takes old marks away; the handler looks for the mark.
struct Marked {
  Atomic<uint32_t> guard[2];  // stackguard0
  Atomic<uint32_t> curg{0};
  Atomic<uint32_t> pending{0};
  int asked = -1;
  Marked() {
    curg.named("m.curg");
    pending.named("pending");
  }
  void request() {
    const uint32_t g = curg.load(Order::acquire);
    guard[g].store(1, Order::relaxed);
    asked = static_cast<int>(g);
    pending.store(1, Order::release);
  }
  // A request that comes between the two stores is lost; sysmon asks again.
  void execute(uint32_t g) {
    curg.store(g, Order::release);
    guard[g].store(0, Order::relaxed);
  }
  void point() {
    if (pending.load(Order::acquire) == 0) return;
    pending.store(0, Order::relaxed);
    const uint32_t g = curg.load(Order::relaxed);
    if (guard[g].load(Order::relaxed) == 0 && !GORT_MUT(6)) return;
    MODEL_ASSERT(asked == static_cast<int>(g));
  }
};

MODEL(RequestAgainstPark, .preemptions = 4) {
  Marked m;
  model::spawn("M", [&] {
    m.point();
    m.execute(1);  // goroutine 0 has parked
    m.point();
    m.execute(0);
    m.point();
  });
  model::spawn("sysmon", [&] { m.request(); });
  model::joinAll();
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// Model of the users' mutex over the real src/sched/syncmutex.hpp: normal and starvation mode, waits that are
// given up. (Go: internal/sync/mutex.go.)  Time is a choice: each waiter may or may not have waited longer
// than a millisecond. Claims: mutual exclusion with happens-before; nobody waits while the mutex is free (a
// deadlock otherwise); the state word is clean at the end; a wait that is given up leaves no trace, and one
// whose token is on the way is not given up.
#include "sched/syncmutex.hpp"

#include "model/sema.hpp"

namespace {
using model::Atomic;
using model::Order;
using model::Plain;
using model::SemaWaiter;

struct Setup;
Setup* now;  // the scenario that runs

struct Env {
  template <class T>
  using Atomic = model::Atomic<T>;
  using Waiter = SemaWaiter*;
  static bool spin;       // this scenario spins once
  static bool impatient;  // time passes
  static int64_t clock;
  static bool canSpin(int i) { return spin && i < 1; }
  static void doSpin() {}
  static int64_t nanotime() {  // every look at the clock may come two milliseconds after the one before
    if (impatient) clock += model::choose(2, "time passes") * 2000000;
    return clock;
  }
  static bool wait(Atomic<uint32_t>& sema, SemaWaiter* w, bool lifo);
  static void wake(Atomic<uint32_t>& sema, bool handOff);
  [[noreturn]] static void inconsistent() { model::fail("sync: inconsistent mutex state"); }
};
bool Env::spin, Env::impatient;
int64_t Env::clock;

using Mutex = gort::rt::SyncMutex<Env>;

struct Setup {
  model::SemaRoot root;
  Atomic<uint32_t> state{0}, sema{0};
  Plain<int> count{0};
  Setup(bool spin, bool impatient) {
    now = this;
    Env::spin = spin;
    Env::impatient = impatient;
    Env::clock = 1;
    state.named("state");
    sema.named("sema");
    count.named("count");
  }
  bool lock(SemaWaiter* w = nullptr) {
    if (state.cas(0, Mutex::kLocked, Order::acquire)) return true;
    return Mutex::lockSlow(state, sema, w);
  }
  bool tryLock() {
    uint32_t old = state.load(Order::relaxed);
    if ((old & (Mutex::kLocked | Mutex::kStarving)) != 0) return false;
    return state.cas(old, old | Mutex::kLocked, Order::acquire);
  }
  void unlock() {
    if (state.cas(Mutex::kLocked, 0, Order::release)) return;
    MODEL_ASSERT(Mutex::unlock(state, sema));
  }
  void section() {
    count.set(count.get() + 1);
    unlock();
  }
  void finish(int n) {
    model::joinAll();
    MODEL_ASSERT(count.get() == n);
    MODEL_ASSERT(state.load() == 0);
    MODEL_ASSERT(sema.load() == 0);
    MODEL_ASSERT(root.quiet());
  }
};

bool Env::wait(Atomic<uint32_t>& sema, SemaWaiter* w, bool lifo) {
  if (w != nullptr) return now->root.acquire(*w, sema, lifo);
  return now->root.acquire(sema, lifo);
}
void Env::wake(Atomic<uint32_t>& sema, bool handOff) { now->root.release(sema, handOff); }

void lockers(int threads, int rounds, bool spin, bool impatient) {
  Setup s(spin, impatient);
  for (int i = 0; i < threads; ++i) {
    model::spawn("locks", [&] {
      for (int r = 0; r < rounds; ++r) {
        s.lock();
        s.section();
      }
    });
  }
  s.finish(threads * rounds);
}

MODEL(NormalTwo, .preemptions = 4) { lockers(2, 2, false, false); }
MODEL(NormalThree, .preemptions = 2, .staleReads = 2) { lockers(3, 1, false, false); }
MODEL(SpinningTwo, .preemptions = 3) { lockers(2, 2, true, false); }
MODEL(StarvingTwo, .preemptions = 3) { lockers(2, 2, false, true); }
MODEL(StarvingThree, .preemptions = 2, .staleReads = 2) { lockers(3, 1, false, true); }
MODEL(StarvingThreeTwice, .preemptions = 1, .staleReads = 1) { lockers(3, 2, true, true); }

bool giveUp(SemaWaiter& w) { return Mutex::giveUp(*static_cast<Atomic<uint32_t>*>(w.arg)); }

// One waits with a timeout while another locks and unlocks.
void timedOut(int others, int rounds, bool impatient) {
  Setup s(false, impatient);
  SemaWaiter w;
  w.arg = &s.state;
  w.giveUp = giveUp;
  int expected = others * rounds;
  model::spawn("timed", [&] {
    if (!s.lock(&w)) return;
    ++expected;
    s.section();
  });
  for (int i = 0; i < others; ++i) {
    model::spawn("locks", [&] {
      for (int r = 0; r < rounds; ++r) {
        s.lock();
        s.section();
      }
    });
  }
  model::spawn("timer", [&] { s.root.abort(w); });
  model::joinAll();
  s.finish(expected);
}
MODEL(TimedOut, .preemptions = 3) { timedOut(1, 1, false); }
MODEL(TimedOutStarving, .preemptions = 3, .staleReads = 2) { timedOut(1, 2, true); }
MODEL(TimedOutAmongOthers, .preemptions = 2, .staleReads = 1) { timedOut(2, 1, true); }
// One starves while another locks twice; a third comes at the moment of the hand-over.
MODEL(NewcomerAtHandOver, .preemptions = 2, .staleReads = 1) {
  Setup s(false, true);
  for (int rounds : {2, 1, 1}) {
    model::spawn("locks", [&, rounds] {
      for (int r = 0; r < rounds; ++r) {
        s.lock();
        s.section();
      }
    });
  }
  s.finish(4);
}

MODEL(TryLock, .preemptions = 4) {
  Setup s(false, false);
  int expected = 1;
  model::spawn("tries", [&] {
    if (!s.tryLock()) return;
    ++expected;
    s.section();
  });
  model::spawn("locks", [&] {
    s.lock();
    s.section();
  });
  model::joinAll();
  s.finish(expected);
}
MODEL(UnlockOfUnlocked) {
  Setup s(false, false);
  MODEL_ASSERT(!Mutex::unlock(s.state, s.sema));
}

}  // namespace

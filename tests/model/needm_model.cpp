// SPDX-License-Identifier: Apache-2.0
// Model of foreign threads coming and going.      (attach and detach of src/sched/cgocall.cpp, checkdead's look at
// sched.nextra, transcribed; Go: needm, dropm) Threads take an M from the list of spare ones or make one, use it, and
// give it back when they end. Claims: an M serves one thread at a time, and what it was for the last one does not
// show; while a thread that can still wake somebody is attached, or alive, nobody reports a deadlock.
#include "model/explorer.hpp"

namespace {
using model::Atomic;
using model::Order;
using model::Plain;

enum GStatus { Gdead, Gsyscall, Grunning };

struct M {
  Plain<int> status{Gdead};
  Plain<int> lockedg{0};
  Plain<M*> schedlink{nullptr};
  Plain<int> user{0};
};

struct Extra {
  model::Lock lock{"extraM.lock"};
  Plain<M*> head{nullptr};  // by lock
  Atomic<int> nextra{0};
  M made[2];
  Atomic<int> nmade{0};
  Extra() {
    nextra.named("nextra");
    head.named("extraM.head");
  }

  M* attach(int me) {
    nextra.fetchAdd(1);
    if (!GORT_MUT(1)) lock.lock();
    M* mp = head.get();
    if (mp != nullptr) head.set(mp->schedlink.get());
    if (!GORT_MUT(1)) lock.unlock();
    if (mp == nullptr) mp = &made[nmade.fetchAdd(1)];
    mp->schedlink.set(nullptr);
    MODEL_ASSERT(mp->status.get() == Gdead && mp->lockedg.get() == 0);
    mp->lockedg.set(me);
    mp->status.set(Gsyscall);
    mp->user.set(me);
    return mp;
  }
  void detach(M* mp) {
    if (!GORT_MUT(2)) {
      mp->status.set(Gdead);
      mp->lockedg.set(0);
    }
    lock.lock();
    mp->schedlink.set(head.get());
    head.set(mp);
    lock.unlock();
    if (GORT_MUT(2)) {
      mp->status.set(Gdead);
      mp->lockedg.set(0);
    }
    nextra.fetchSub(1);
  }
};

MODEL(TwoThreadsComeAndGo, .preemptions = 3) {
  Extra x;
  const auto thread = [&](int me) {
    M* mp = x.attach(me);
    MODEL_ASSERT(mp->user.get() == me);
    mp->status.set(Grunning);
    mp->status.set(Gsyscall);
    MODEL_ASSERT(mp->user.get() == me);
    x.detach(mp);
  };
  model::spawn("a", [&] { thread(1); });
  model::spawn("b", [&] { thread(2); });
  model::joinAll();
  MODEL_ASSERT(x.nextra.load() == 0);
}

MODEL(OneAfterTheOther, .preemptions = 3) {
  Extra x;
  const auto thread = [&](int me) {
    M* mp = x.attach(me);
    MODEL_ASSERT(mp->user.get() == me);
    x.detach(mp);
  };
  model::spawn("a", [&] {
    thread(1);
    thread(2);
  });
  model::spawn("b", [&] { thread(3); });
  model::joinAll();
}

// A goroutine waits for what the thread will do. The last M of ours goes idle and asks: is this a deadlock? The kernel's
// count of threads (othersAlive) is looked at after nextra, and knows a thread until it has ended.
MODEL(DeadlockVerdictAgainstThread, .preemptions = 4) {
  Extra x;
  Atomic<int> alive{1};
  Atomic<int> readied{0};
  alive.named("threads of others");
  readied.named("goroutine is ready");
  model::spawn("thread", [&] {
    M* mp = x.attach(1);
    readied.store(1);
    x.detach(mp);
    alive.store(0);
  });
  model::spawn("idle M", [&] {
    if (x.nextra.load(Order::relaxed) > 0) return;
    if (!GORT_MUT(3) && alive.load() != 0) return;
    MODEL_ASSERT(readied.load() == 1);
  });
  model::joinAll();
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// Models of Mutex and Note over the real src/base/lock_futex.hpp.      (Go: lock_futex.go)
// Claims: mutual exclusion with happens-before (a Plain counter inside); no wake-up is lost (a deadlock
// otherwise), with membarrier as the heavy half and with fences on both sides; a Note wakes its sleeper once
// and hands over what was written before wakeup; clear makes it usable again.
#include "base/lock_futex.hpp"

#include <new>

#include "model/env.hpp"

namespace {
using gort::rt::BasicMutex;
using gort::rt::BasicNote;
using model::Atomic;
using model::Order;
using model::Plain;

template <class Env>
void contend(int threads, int rounds) {
  BasicMutex<Env> mu;
  Plain<int> count{0};
  count.named("count");
  for (int i = 0; i < threads; ++i) {
    model::spawn("locker", [&] {
      for (int r = 0; r < rounds; ++r) {
        mu.lock();
        count.set(count.get() + 1);
        mu.unlock();
      }
    });
  }
  model::joinAll();
  MODEL_ASSERT(count.get() == threads * rounds);
  MODEL_ASSERT(!mu.heldNow());
}

MODEL(MutexTwoThreads, .preemptions = 4) { contend<model::LockEnv<true>>(2, 1); }
MODEL(MutexTwoThreadsTwice, .preemptions = 3) { contend<model::LockEnv<true>>(2, 2); }
MODEL(MutexThreeThreads, .preemptions = 3, .staleReads = 2) { contend<model::LockEnv<true>>(3, 1); }
MODEL(MutexTwoThreadsFences, .preemptions = 4) { contend<model::LockEnv<false>>(2, 1); }
MODEL(MutexThreeThreadsFences, .preemptions = 2, .staleReads = 2) { contend<model::LockEnv<false>>(3, 1); }

MODEL(MutexTryLock, .preemptions = 4) {
  BasicMutex<model::LockEnv<true>> mu;
  Plain<int> count{0};
  model::spawn("tries", [&] {
    if (!mu.tryLock()) return;
    count.set(count.get() + 1);
    mu.unlock();
  });
  model::spawn("locks", [&] {
    mu.lock();
    count.set(count.get() + 1);
    mu.unlock();
  });
  model::joinAll();
}

// The defect that membarrier is there for: the explorer has to find the lost wake-up without it.
struct NoBarrierEnv : model::LockEnv<true> {
  static void heavyBarrier() {}
};
MODEL_FAILS(MutexWithoutMembarrierLosesWakeup, "deadlock", .preemptions = 3, .spurious = 0) {
  contend<NoBarrierEnv>(2, 1);
}
struct NoLightEnv : model::LockEnv<true> {  // the compiler may swap the store and the load
  static void lightBarrier() {}
};
MODEL_FAILS(MutexWithoutCompilerBarrierLosesWakeup, "deadlock", .preemptions = 3, .spurious = 0) {
  contend<NoLightEnv>(2, 1);
}

// What unlock does not promise: the next holder may not free the mutex, the unlocker still looks at `waiters`.
MODEL_FAILS(MutexFreedDuringUnlock, "after its end of life") {
  alignas(BasicMutex<model::LockEnv<true>>) unsigned char memory[sizeof(BasicMutex<model::LockEnv<true>>)];
  auto* mu = new (memory) BasicMutex<model::LockEnv<true>>;
  mu->lock();
  model::spawn("unlocks", [&] { mu->unlock(); });
  model::spawn("frees", [&] {
    mu->lock();
    mu->unlock();
    mu->~BasicMutex();
  });
  model::joinAll();
}

using Note = BasicNote<model::LockEnv<true>>;

MODEL(NoteHandsOver, .preemptions = 4) {
  Note note;
  Plain<int> data{0};
  data.named("data");
  model::spawn("sleeper", [&] {
    note.sleep();
    MODEL_ASSERT(data.get() == 1);
  });
  model::spawn("waker", [&] {
    data.set(1);
    note.wakeup();
  });
  model::joinAll();
}
MODEL(NoteClearedAndUsedAgain, .preemptions = 3) {
  Note there, back;
  Plain<int> data{0};
  data.named("data");
  model::spawn("sleeper", [&] {
    for (int i = 1; i <= 2; ++i) {
      there.sleep();
      there.clear();
      MODEL_ASSERT(data.get() == i);
      back.wakeup();
    }
  });
  model::spawn("waker", [&] {
    for (int i = 1; i <= 2; ++i) {
      data.set(i);
      there.wakeup();
      back.sleep();
      back.clear();
    }
  });
  model::joinAll();
}
// As stopm and startm use it: the sleeper is found through an atomic list head after it has cleared its note.
MODEL(NoteOfAnIdleThread, .preemptions = 4) {
  Note note;
  Plain<int> job{0};
  Atomic<int> idle{0};
  idle.named("idle");
  model::spawn("worker", [&] {
    idle.store(1, Order::release);
    note.sleep();
    note.clear();
    MODEL_ASSERT(job.get() == 7);
  });
  model::spawn("giver", [&] {
    while (idle.load(Order::acquire) == 0) model::yield();
    job.set(7);
    note.wakeup();
  });
  model::joinAll();
}
MODEL(NoteTimedSleep, .preemptions = 4) {
  Note note;
  Plain<int> data{0};
  model::spawn("sleeper", [&] {
    if (!note.tsleep(10)) note.sleep();  // in vain: the wake-up is still to come
    MODEL_ASSERT(data.get() == 1);
  });
  model::spawn("waker", [&] {
    data.set(1);
    note.wakeup();
  });
  model::joinAll();
}
MODEL(NoteSpinsFirst, .preemptions = 4) {
  Note note;
  Plain<int> data{0};
  model::spawn("sleeper", [&] {
    note.sleep(1);
    MODEL_ASSERT(data.get() == 1);
  });
  model::spawn("waker", [&] {
    data.set(1);
    note.wakeup();
  });
  model::joinAll();
}
MODEL(NotePolled) {
  Note note;
  Plain<int> data{0};
  model::spawn("poller", [&] {
    if (note.woken()) MODEL_ASSERT(data.get() == 1);
  });
  model::spawn("waker", [&] {
    data.set(1);
    note.wakeup();
  });
  model::joinAll();
}
MODEL_FAILS(NoteDoubleWakeup, "double wakeup") {
  Note note;
  for (int i = 0; i < 2; ++i) model::spawn("waker", [&] { note.wakeup(); });
  model::joinAll();
}

}  // namespace

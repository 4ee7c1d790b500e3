// SPDX-License-Identifier: Apache-2.0
// Model of park against a concurrent ready.      (src/sched/proc.cpp: gopark, park_m, readyWithNext, execute;
// Go: proc.go) A G parks on M1 with a commit function that makes it visible to wakers; a waker on M2 readies
// it; M1 or M3 takes it from a run queue and continues it, perhaps before M1 has left the commit function.
// Claim: the fields of a G need no atomics. Status, saved context, back pointer and param are Plain here: the
// commit function's unlock (or CAS) hands the G over to the waker, the run queue hands it on to whoever runs
// it. The run queue is one slot with the orders of runq.hpp.
#include "model/explorer.hpp"

namespace {
using model::Atomic;
using model::Order;
using model::Plain;

enum Status : uint32_t { Grunnable = 1, Grunning = 2, Gwaiting = 4 };

struct G {
  Plain<uint32_t> status{Grunning};
  Plain<int> sched{0};  // 0: on the CPU; n: saved for the n-th time
  Plain<int> m{1};
  Plain<int> param{0};
  int parked = 0, resumed = 0;
  G() {
    status.named("g.status");
    sched.named("g.sched");
    m.named("g.m");
    param.named("g.param");
  }
  void casgstatus(uint32_t from, uint32_t to) {
    MODEL_ASSERT(status.get() == from);
    status.set(to);
  }
};

struct Machine {
  G g;
  Atomic<uint32_t> runq{0};  // 1: g is on it
  model::Lock lock{"c.lock"};
  bool queued = false;          // by lock: g waits
  Plain<bool> value{false};     // by lock: what g waits for is there
  Plain<int>* event = nullptr;  // what the waker has done before; g reads it when it goes on
  int done = 0;
  Machine() { runq.named("runq"); }

  void runqput() { runq.store(1, GORT_ORD(1, release)); }
  bool runqget() {
    uint32_t one = 1;
    return runq.load(Order::relaxed) != 0 && runq.compareExchange(one, 0, GORT_ORD(2, acquire));
  }

  void goready() {
    if (!GORT_MUT(3)) g.casgstatus(Gwaiting, Grunnable);
    g.param.set(7);
    runqput();
    if (GORT_MUT(3)) g.casgstatus(Gwaiting, Grunnable);
  }
  void execute(int m) {
    g.casgstatus(Grunnable, Grunning);
    g.m.set(m);
    MODEL_ASSERT(g.sched.get() == g.parked);
    g.sched.set(0);
    ++g.resumed;
  }
  // gopark on M1 up to the point where the M is free again. False: the commit function said no.
  template <class Commit>
  bool gopark(Commit commit) {
    ++g.parked;
    if (!GORT_MUT(4)) g.sched.set(g.parked);
    if (!GORT_MUT(5)) g.casgstatus(Grunning, Gwaiting);
    if (!GORT_MUT(6)) g.m.set(0);
    const bool stays = commit();
    if (GORT_MUT(4)) g.sched.set(g.parked);
    if (GORT_MUT(5)) g.casgstatus(Grunning, Gwaiting);
    if (GORT_MUT(6)) g.m.set(0);
    if (stays) return true;
    g.casgstatus(Gwaiting, Grunnable);
    execute(1);
    return false;
  }
  // schedule runs g if it is on the queue; M1 looks until g has gone on, a thief once.
  bool schedule(int m) {
    while (!runqget()) {
      if (done != 0 || m != 1) return false;
      model::yield();
    }
    execute(m);
    MODEL_ASSERT(g.param.get() == 7);
    if (event != nullptr) MODEL_ASSERT(event->get() == 1);
    done = 1;
    return true;
  }
};

// As a channel operation does it: look and enqueue under the lock, which the commit function releases.
MODEL(ParkUnlocks, .preemptions = 4) {
  Machine s;
  model::spawn("M1", [&] {
    if (GORT_MUT(7) && s.value.get()) return;  // looks without the lock
    s.lock.lock();
    if (!GORT_MUT(7) && s.value.get()) {
      s.lock.unlock();
      s.done = 1;
      return;
    }
    s.queued = true;
    s.gopark([&] {
      s.lock.unlock();
      return true;
    });
    s.schedule(1);
  });
  model::spawn("M2", [&] {
    s.lock.lock();
    s.value.set(true);
    const bool wake = s.queued;
    s.queued = false;
    s.lock.unlock();
    if (wake) s.goready();
  });
  model::spawn("M3", [&] { s.schedule(3); });
  model::joinAll();
  MODEL_ASSERT(s.g.resumed == s.g.parked);
}

// As selparkcommit and Go's netpollblockcommit do it: one word, the commit function may find that the event
// came first.
MODEL(ParkCommitsByCas, .preemptions = 4) {
  Machine s;
  Atomic<uint32_t> word{0};  // 0 nobody, 1 parked, 2 the event has come
  word.named("word");
  Plain<int> event{0};
  s.event = &event;
  model::spawn("M1", [&] {
    const bool parked = s.gopark([&] {
      uint32_t none = 0;
      return word.compareExchange(none, 1, GORT_ORD(8, release), GORT_ORD(9, acquire));
    });
    if (parked) {
      s.schedule(1);
    } else {
      s.done = 1;
      MODEL_ASSERT(event.get() == 1);
    }
  });
  model::spawn("M2", [&] {
    event.set(1);
    if (word.exchange(2, GORT_MUT(10) ? Order::release : GORT_MUT(11) ? Order::acquire : Order::acqRel) == 1)
      s.goready();
  });
  model::spawn("M3", [&] { s.schedule(3); });
  model::joinAll();
  MODEL_ASSERT(s.g.resumed == s.g.parked);
}

// Twice in a row: the second park begins while M1 may still be on its way out of the first.
MODEL(ParkTwice, .preemptions = 2) {
  Machine s;
  auto park = [&] {
    s.lock.lock();
    s.queued = true;
    s.gopark([&] {
      s.lock.unlock();
      return true;
    });
  };
  auto again = [&](int m) {
    while (s.g.resumed < 2) {
      if (!s.schedule(m)) {
        if (m != 1) return;
        model::yield();
        continue;
      }
      if (s.g.resumed < 2) {
        s.done = 0;
        park();
      }
    }
  };
  model::spawn("M1", [&] {
    park();
    again(1);
  });
  model::spawn("M2", [&] {
    for (int n = 0; n < 2;) {
      s.lock.lock();
      const bool wake = s.queued;
      s.queued = false;
      s.lock.unlock();
      if (wake) {
        ++n;
        s.goready();
      } else {
        model::yield();
      }
    }
  });
  model::spawn("M3", [&] { again(3); });
  model::joinAll();
  MODEL_ASSERT(s.g.resumed == 2);
}

}  // namespace

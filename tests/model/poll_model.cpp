// SPDX-License-Identifier: Apache-2.0
// Model of a wait for I/O.      (src/base/poll_word.hpp, the product's own; pollReset, pollWait, stopWaiter and expire of
// src/sched/netpoll.cpp transcribed; Go: netpoll.go) A goroutine tries, finds nothing and waits; against it come the
// kernel's edge, a close, a deadline, in every order. Claims: nobody sleeps through an edge that came after his attempt, a
// close or a deadline; a parked goroutine is readied once; a timer of an older deadline ends nothing that is not due.
#include "base/poll_word.hpp"
#include "model/explorer.hpp"

namespace {
using model::Atomic;
using model::Order;

struct Env {
  template <class T>
  using Atomic = model::Atomic<T>;
  static void fence(Order o) { model::fence(o); }
};

struct File {
  gort::rt::PollWord<Env, model::Parker> rg;
  Atomic<uint32_t> data{0};  // what the kernel holds: bytes to read
  Atomic<uint32_t> closing{0};
  Atomic<int> deadline{0};  // 0 none, -1 passed, else the time
  model::Parker g;
  model::Plain<int> saved{0};   // the goroutine's state: written when it parks, read by who wakes it
  model::Plain<int> before{0};  // what happened before the edge
  File() {
    data.named("data");
    saved.named("saved");
    before.named("before");
    closing.named("closing");
    deadline.named("deadline");
  }

  bool stopped() { return closing.load(Order::acquire) != 0 || deadline.load(Order::acquire) == -1; }
  void wake(model::Parker* p) {
    if (p == nullptr) return;
    MODEL_ASSERT(saved.get() == 1);
    saved.set(0);
    p->ready();
  }
  // The kernel: bytes come, then the edge is reported.
  void arrive() {
    before.set(1);
    data.store(1, Order::seqCst);
    wake(rg.unblock(true));
  }
  void close() {
    closing.store(1, Order::release);
    if (!GORT_MUT(1)) model::fence(Order::seqCst);
    wake(rg.unblock(false));
  }
  // deadlineTimer at time `now`.
  void expire(int now) {
    int when = deadline.load(Order::acquire);
    if (GORT_MUT(2) ? when == 0 : when <= 0 || when > now) return;
    if (!deadline.compareExchange(when, -1, Order::acqRel)) return;
    if (!GORT_MUT(3)) model::fence(Order::seqCst);
    wake(rg.unblock(false));
  }

  // pollWait. True: try again.
  bool wait() {
    using Word = gort::rt::PollWord<Env, model::Parker>;
    for (;;) {
      if (stopped()) return false;
      const Word::Begin b = rg.begin();
      MODEL_ASSERT(b != Word::Begin::twice);
      if (b == Word::Begin::ready) return true;
      if (GORT_MUT(4) || !stopped()) {
        g.announce();
        saved.set(1);
        if (rg.commit(&g)) {
          g.block();
        } else {
          g.cancel();
        }
      }
      if (rg.end()) return true;
    }
  }
  // read: 1 got the byte, 0 stopped.
  int read() {
    if (stopped()) return 0;
    rg.reset();
    for (;;) {
      if (data.load(Order::seqCst) != 0) return 1;
      if (GORT_MUT(5)) rg.reset();
      if (!wait()) return 0;
      MODEL_ASSERT(before.get() == 1);
    }
  }
};

MODEL(ByteAgainstWait, .preemptions = 4) {
  File f;
  model::spawn("reader", [&] { MODEL_ASSERT(f.read() == 1); });
  model::spawn("kernel", [&] { f.arrive(); });
  model::joinAll();
}

MODEL(CloseAgainstWait, .preemptions = 4) {
  File f;
  model::spawn("reader", [&] { MODEL_ASSERT(f.read() == 0); });
  model::spawn("closer", [&] { f.close(); });
  model::joinAll();
}

MODEL(ByteAndCloseAgainstWait, .preemptions = 3) {
  File f;
  model::spawn("reader", [&] { f.read(); });
  model::spawn("kernel", [&] { f.arrive(); });
  model::spawn("closer", [&] { f.close(); });
  model::joinAll();
}

MODEL(DeadlineAgainstWait, .preemptions = 4) {
  File f;
  f.deadline.store(5, Order::relaxed);
  model::spawn("reader", [&] { MODEL_ASSERT(f.read() == 0); });
  model::spawn("timer", [&] { f.expire(7); });
  model::joinAll();
}

// The timer of a deadline that was moved fires late: the newer deadline is not due.
MODEL(OldTimerAgainstNewDeadline, .preemptions = 4) {
  File f;
  f.deadline.store(5, Order::relaxed);
  model::spawn("reader", [&] { MODEL_ASSERT(f.read() == 1); });
  model::spawn("mover", [&] {
    f.deadline.store(50, Order::release);
    f.expire(7);  // the timer, which was on its way
    f.arrive();
  });
  model::joinAll();
}

// An edge that an earlier attempt has used up costs one attempt, not a wrong answer.
MODEL(TwoReadsTwoEdges, .preemptions = 3) {
  File f;
  model::spawn("reader", [&] {
    if (f.read() == 0) return;
    f.data.store(0, Order::seqCst);
    f.read();
  });
  model::spawn("kernel", [&] {
    f.arrive();
    f.close();
  });
  model::joinAll();
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// Model of sleeping semaphores.      (src/sched/sema.cpp; Go: sema.go, semacquire1 and semrelease1)
// Claims: no token is lost and no waiter sleeps beside one; a wait that is given up leaves no trace; who
// acquires sees what the releaser wrote; a token handed over goes to the first waiter and to nobody else.
#include "model/sema.hpp"

namespace {
using model::Atomic;
using model::Order;
using model::Plain;
using model::SemaRoot;
using model::SemaWaiter;

struct Setup {
  SemaRoot root;
  Atomic<uint32_t> sema{0};
  Setup() { sema.named("sema"); }
};

MODEL(OneReleaseOneAcquire, .preemptions = 5) {
  Setup s;
  Plain<int> data{0};
  data.named("data");
  model::spawn("acquires", [&] {
    s.root.acquire(s.sema);
    MODEL_ASSERT(data.get() == 1);
  });
  model::spawn("releases", [&] {
    data.set(1);
    s.root.release(s.sema);
  });
  model::joinAll();
  MODEL_ASSERT(s.sema.load() == 0);
  MODEL_ASSERT(s.root.quiet());
}
MODEL(TwoAndTwo, .preemptions = 3, .staleReads = 2) {
  Setup s;
  for (int i = 0; i < 2; ++i) model::spawn("acquires", [&] { s.root.acquire(s.sema); });
  for (int i = 0; i < 2; ++i) model::spawn("releases", [&] { s.root.release(s.sema); });
  model::joinAll();
  MODEL_ASSERT(s.sema.load() == 0);
  MODEL_ASSERT(s.root.quiet());
}
// A mutex made of a semaphore: the newcomer may overtake the one that was woken.
MODEL(AsMutex, .preemptions = 3, .staleReads = 2) {
  Setup s;
  Plain<int> count{0};
  count.named("count");
  s.root.release(s.sema);
  for (int i = 0; i < 3; ++i) {
    model::spawn("locks", [&] {
      s.root.acquire(s.sema);
      count.set(count.get() + 1);
      s.root.release(s.sema);
    });
  }
  model::joinAll();
  MODEL_ASSERT(count.get() == 3);
  MODEL_ASSERT(s.sema.load() == 1);
  MODEL_ASSERT(s.root.quiet());
}
MODEL(HandedOver, .preemptions = 3, .staleReads = 2) {
  Setup s;
  Plain<int> data{0};
  for (int i = 0; i < 2; ++i) {
    model::spawn("acquires", [&] {
      s.root.acquire(s.sema);
      data.set(data.get() + 1);
      s.root.release(s.sema, true);
    });
  }
  model::spawn("starts", [&] { s.root.release(s.sema, true); });
  model::joinAll();
  MODEL_ASSERT(data.get() == 2);
  MODEL_ASSERT(s.sema.load() == 1);
  MODEL_ASSERT(s.root.quiet());
}
// A timer gives the wait up while the token comes: the waiter has it or it stays.
MODEL(GivenUp, .preemptions = 4) {
  Setup s;
  SemaWaiter w;
  bool got = false;
  model::spawn("acquires", [&] { got = s.root.acquire(w, s.sema); });
  model::spawn("releases", [&] { s.root.release(s.sema); });
  model::spawn("timer", [&] { s.root.abort(w); });
  model::joinAll();
  MODEL_ASSERT(s.sema.load() == (got ? 0u : 1u));
  MODEL_ASSERT(s.root.quiet());
}
MODEL(GivenUpAlone, .preemptions = 4) {
  Setup s;
  SemaWaiter w;
  model::spawn("acquires", [&] { MODEL_ASSERT(!s.root.acquire(w, s.sema)); });
  model::spawn("timer", [&] { s.root.abort(w); });
  model::joinAll();
  MODEL_ASSERT(s.root.quiet());
}

}  // namespace

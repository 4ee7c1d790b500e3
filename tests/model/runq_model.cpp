// SPDX-License-Identifier: Apache-2.0
// Model of a P's run queue over the real src/base/runq.hpp, rings of 2 and 4.      (Go: proc.go,
// runqput..runqsteal) Claims: every element is taken exactly once, by somebody to whom its maker's writes are
// visible (Plain fields: a data race otherwise); nothing is lost by overflow, stealing, or a kick from
// runnext; empty() never says so of a queue that holds an element throughout; a slot is not reused while a
// thief that wins may still read it (late reads).
#include "base/runq.hpp"

#include "model/explorer.hpp"

namespace {
using gort::rt::RunQueue;
using model::Order;
using model::Plain;

struct Item {
  Plain<int> payload{0};
  Plain<int> taken{0};
};

constexpr uint32_t kRing = 4;
int pointersMade;  // per queue: runnext first, then the slots
uint32_t ringOfScenario = kRing;

// The ring's indices decide whether what was read from slots counts; the slots are watched for late reads.
template <class T>
struct RunqAtomic : model::Atomic<T> {
  using Base = model::Atomic<T>;
  constexpr RunqAtomic() : RunqAtomic(T{}) {}
  constexpr explicit RunqAtomic(T v) : Base(v) {
    if constexpr (std::is_pointer_v<T>) {
      if (pointersMade++ % static_cast<int>(ringOfScenario + 1) != 0) {
        model::trackLate(*this);
        this->named("slot");
      } else {
        this->named("runnext");
      }
    }
  }
  bool compareExchange(T& expected, T desired, Order ok = Order::seqCst, Order fail = Order::relaxed,
                       model::Site at = model::Site::current()) {
    const bool good = Base::compareExchange(expected, desired, ok, fail, at);
    if constexpr (!std::is_pointer_v<T>) good ? model::keepReads(at) : model::dropReads();
    return good;
  }
};

bool exclusiveNow;  // one P, no thieves

struct Env {
  template <class T>
  using Atomic = RunqAtomic<T>;
  static bool exclusive() { return exclusiveNow; }
  static uint32_t runqLimit(uint32_t size) { return size; }
};

template <uint32_t kSize>
struct Setup {
  using Queue = RunQueue<Env, Item, kSize>;
  struct Reset {
    Reset() {
      pointersMade = 0;
      ringOfScenario = kSize;
      exclusiveNow = false;
    }
  } reset;
  Queue a, b, c;
  Item items[6];
  int made = 0;

  static void take(Item* it) {
    MODEL_ASSERT(it->payload.get() == 7);
    it->taken.set(it->taken.get() + 1);
  }
  // put makes element i and puts it; what overflows counts as taken (it goes to the global queue).
  void put(Queue& q, int i, bool next) {
    items[i].payload.set(7);
    Item* out[Queue::kBatch];
    const uint32_t n = q.put(&items[i], next, out);
    MODEL_ASSERT(n <= Queue::kBatch);
    for (uint32_t k = 0; k < n; ++k) take(out[k]);
  }
  bool get(Queue& q) {
    bool inherit = false;
    Item* it = q.get(&inherit);
    if (it != nullptr) take(it);
    return it != nullptr;
  }
  bool steal(Queue& victim, Queue& own, bool runnext) {
    Item* it = victim.steal(own, runnext);
    if (it != nullptr) take(it);
    return it != nullptr;
  }
  // finish drains every queue and checks that the first n elements were taken exactly once each.
  void finish(int n) {
    model::joinAll();
    for (Queue* q : {&a, &b, &c}) {
      while (get(*q)) {
      }
      MODEL_ASSERT(q->empty());
      MODEL_ASSERT(q->size() == 0);
    }
    for (int i = 0; i < n; ++i) MODEL_ASSERT(items[i].taken.get() == 1);
  }
};

MODEL(OneThiefHalf, .preemptions = 3) {
  Setup<4> s;
  model::spawn("owner", [&] {
    for (int i = 0; i < 3; ++i) s.put(s.a, i, false);
    s.get(s.a);
    s.get(s.a);
  });
  model::spawn("thief", [&] { s.steal(s.a, s.b, true); });
  s.finish(3);
}
// The owner reuses the slots that it and the thief have emptied: head has to be seen before a slot is
// written.
MODEL(SlotsAreReused, .preemptions = 3) {
  Setup<2> s;
  model::spawn("owner", [&] {
    for (int i = 0; i < 4; ++i) s.put(s.a, i, false);
    s.get(s.a);
    s.put(s.a, 4, false);
  });
  model::spawn("thief", [&] { s.steal(s.a, s.b, true); });
  s.finish(5);
}
MODEL(ThiefTakesTwice, .preemptions = 3) {
  Setup<2> s;
  s.put(s.a, 0, false);
  model::spawn("owner", [&] {
    s.put(s.a, 1, false);
    s.put(s.a, 2, false);
    s.get(s.a);
  });
  model::spawn("thief", [&] {
    s.steal(s.a, s.b, true);
    s.get(s.b);
    s.steal(s.a, s.b, true);
  });
  s.finish(3);
}
MODEL(RunnextAgainstThief, .preemptions = 4) {
  Setup<2> s;
  model::spawn("owner", [&] {
    s.put(s.a, 0, true);
    s.put(s.a, 1, true);
    s.get(s.a);
    s.get(s.a);
  });
  model::spawn("thief", [&] {
    s.steal(s.a, s.b, true);
    s.steal(s.a, s.b, true);
  });
  s.finish(2);
}
MODEL(RunnextLeftAlone, .preemptions = 3) {
  Setup<2> s;
  s.put(s.a, 0, true);
  model::spawn("owner", [&] { MODEL_ASSERT(s.get(s.a)); });
  model::spawn("thief", [&] { MODEL_ASSERT(!s.steal(s.a, s.b, false)); });
  s.finish(1);
}
MODEL(TwoThieves, .preemptions = 2, .staleReads = 2) {
  Setup<4> s;
  for (int i = 0; i < 2; ++i) s.put(s.a, i, false);
  model::spawn("owner", [&] {
    s.put(s.a, 2, true);
    s.get(s.a);
  });
  model::spawn("thief1", [&] { s.steal(s.a, s.b, true); });
  model::spawn("thief2", [&] { s.steal(s.a, s.c, true); });
  s.finish(3);
}
// What was stolen is stolen again from the thief's own ring: its tail has to publish the copied slots.
MODEL(StolenAgain, .preemptions = 2, .staleReads = 3) {
  Setup<4> s;
  for (int i = 0; i < 3; ++i) s.put(s.a, i, false);
  model::spawn("thief1", [&] { s.steal(s.a, s.b, true); });
  model::spawn("thief2", [&] {
    s.steal(s.b, s.c, true);
    s.steal(s.b, s.c, true);
  });
  s.finish(3);
}
// A thief's ring, emptied by another thief, takes a batch: that other thief's reads have to be over.
MODEL(EmptiedRingTakesBatch, .preemptions = 3, .staleReads = 3) {
  Setup<2> s;
  s.put(s.a, 0, false);
  s.put(s.b, 1, false);
  s.put(s.b, 2, false);
  model::spawn("owner", [&] {
    s.get(s.b);
    if (!s.get(s.b)) s.steal(s.a, s.b, true);
  });
  model::spawn("other", [&] { s.steal(s.b, s.c, true); });
  s.finish(3);
}
MODEL(Overflow, .preemptions = 3) {
  Setup<2> s;
  model::spawn("owner", [&] {
    for (int i = 0; i < 3; ++i) s.put(s.a, i, i == 1);
    s.put(s.a, 3, true);
  });
  model::spawn("thief", [&] {
    s.steal(s.a, s.b, true);
    s.steal(s.a, s.b, true);
  });
  s.finish(4);
}
// runnext is kicked to the ring and the new runnext is taken: at every moment there is an element.
MODEL(EmptyNeverLies, .preemptions = 4) {
  Setup<2> s;
  s.put(s.a, 0, true);
  model::spawn("owner", [&] {
    s.put(s.a, 1, true);
    MODEL_ASSERT(s.get(s.a));
  });
  model::spawn("looker", [&] { MODEL_ASSERT(!s.a.empty()); });
  s.finish(2);
}
MODEL(EmptyNeverLiesTwice, .preemptions = 3) {
  Setup<2> s;
  s.put(s.a, 0, true);
  model::spawn("owner", [&] {
    s.put(s.a, 1, true);
    s.get(s.a);
    s.put(s.a, 2, true);
    s.put(s.a, 3, true);
    s.get(s.a);
  });
  model::spawn("looker", [&] { MODEL_ASSERT(!s.a.empty()); });
  s.finish(4);
}
MODEL(EmptyNeverLiesExclusive, .preemptions = 4) {
  Setup<2> s;
  exclusiveNow = true;
  s.put(s.a, 0, true);
  model::spawn("owner", [&] {
    s.put(s.a, 1, true);
    MODEL_ASSERT(s.get(s.a));
  });
  model::spawn("looker", [&] { MODEL_ASSERT(!s.a.empty()); });
  s.finish(2);
}
MODEL(ExclusiveOwnerAlone) {
  Setup<2> s;
  exclusiveNow = true;
  for (int i = 0; i < 5; ++i) s.put(s.a, i, i % 2 == 0);
  while (s.get(s.a)) {
  }
  s.finish(5);
}
// After empty() was false, or after a flag said so, the element and its payload can be taken.
MODEL(EmptyThenSteal, .preemptions = 3) {
  Setup<2> s;
  model::spawn("owner", [&] { s.put(s.a, 0, false); });
  model::spawn("thief", [&] {
    if (!s.a.empty()) MODEL_ASSERT(s.steal(s.a, s.b, true));
  });
  s.finish(1);
}

}  // namespace

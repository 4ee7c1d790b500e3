// SPDX-License-Identifier: Apache-2.0
// Models of timers.      (src/sched/time.cpp; idle, sleepInNetpoll and wakeNetPoller in proc.cpp, proc_m.cpp,
// netpoll_epoll.cpp) First half: stop and modify against runners, the owner of the heap and thieves:
// lockHeapOf, takeDue, takeTimer, fire, waitNotRunning, commitSleep. Time is a number of the scenario; the
// heap is a short list. Claims: after timerStop the function does not run and is not running, and the timer
// may go away; it runs once per expiry; stop says truly whether it was pending; a sleeper is readied once,
// after it has parked. Second half: a timer is added while the last M goes to sleep. Claim: at rest somebody
// sleeps in netpoll no longer than until the earliest timer.
#include "model/explorer.hpp"

namespace {
using model::Atomic;
using model::Order;
using model::Plain;

struct Timers;

struct Timer {
  Plain<int> when{0};  // by the heap's lock while armed
  Atomic<uint32_t> running{0};
  Atomic<Timers*> ts{nullptr};
  int period = 0;
  Plain<int> ran{0};  // what f works on
  Timer() {
    when.named("t.when");
    running.named("t.running");
    ts.named("t.ts");
    ran.named("t.ran");
  }
  void f() { ran.set(ran.get() + 1); }
};

struct Entry {
  Timer* timer = nullptr;
  model::Parker* sleeper = nullptr;
  int when = 0;
};

struct Timers {
  model::Lock mu{"ts.mu"};
  Entry heap[4];  // sorted, by mu
  int n = 0;
  Atomic<int> minWhen{0};
  Timers() { minWhen.named("minWhen"); }

  void publishMin() { minWhen.store(n == 0 ? 0 : heap[0].when, Order::release); }
  void push(Entry e) {
    int i = n++;
    for (; i > 0 && heap[i - 1].when > e.when; --i) heap[i] = heap[i - 1];
    heap[i] = e;
    publishMin();
  }
  int indexOf(const Timer& t) {
    for (int i = 0; i < n; ++i) {
      if (heap[i].timer == &t) return i;
    }
    model::fail("the timer is not in the heap that its ts names");
  }
  void removeAt(int i) {
    for (--n; i < n; ++i) heap[i] = heap[i + 1];
    publishMin();
  }
};

Timers* lockHeapOf(Timer& t) {
  for (;;) {
    Timers* ts = t.ts.load(GORT_ORD(1, acquire));
    if (ts == nullptr) return nullptr;
    ts->mu.lock();
    if (GORT_MUT(2) || t.ts.load(Order::relaxed) == ts) return ts;
    ts->mu.unlock();
  }
}

void waitNotRunning(Timer& t) {
  while (t.running.load(GORT_ORD(3, acquire)) != 0) model::yield();
}

bool timerModify(Timer& t, Timers& local, int when, int period = 0) {
  Timers* ts = lockHeapOf(t);
  const bool pending = ts != nullptr;
  if (pending) {
    t.when.set(when);
    t.period = period;
    const int i = ts->indexOf(t);
    if (when < ts->heap[i].when) {  // later ones stay under their early key
      ts->removeAt(i);
      ts->push({&t, nullptr, when});
    }
  } else {
    if (!GORT_MUT(4)) waitNotRunning(t);
    ts = &local;
    ts->mu.lock();
    t.when.set(when);
    t.period = period;
    t.ts.store(ts, Order::relaxed);
    ts->push({&t, nullptr, when});
  }
  ts->mu.unlock();
  return pending;
}

bool timerStop(Timer& t) {
  Timers* ts = lockHeapOf(t);
  const bool pending = ts != nullptr;
  if (pending) {
    ts->removeAt(ts->indexOf(t));
    t.ts.store(nullptr, Order::relaxed);
    ts->mu.unlock();
  }
  if (!GORT_MUT(5)) waitNotRunning(t);
  return pending;
}

void takeTimer(Timers& ts, Timer& t, int now) {
  if (!GORT_MUT(6)) t.running.fetchAdd(1, Order::relaxed);
  ts.removeAt(0);
  if (t.period > 0) {
    t.when.set(now + t.period);
    ts.push({&t, nullptr, now + t.period});
  } else {
    t.ts.store(nullptr, GORT_ORD(7, release));
  }
  if (GORT_MUT(6)) t.running.fetchAdd(1, Order::relaxed);
}

// checkTimers runs what is due; by the owner of the heap or by a thief.
void checkTimers(Timers& ts, int now) {
  const int next = ts.minWhen.load(Order::acquire);
  if (next == 0 || now < next) return;
  for (;;) {
    Timer* fire = nullptr;
    model::Parker* sleeper = nullptr;
    ts.mu.lock();
    while (ts.n > 0 && ts.heap[0].when <= now) {
      const Entry top = ts.heap[0];
      if (top.sleeper != nullptr) {
        sleeper = top.sleeper;
        ts.removeAt(0);
        break;
      }
      if (!GORT_MUT(8) && top.timer->when.get() > top.when) {  // lazy modify: put the key right
        ts.removeAt(0);
        ts.push({top.timer, nullptr, top.timer->when.get()});
        continue;
      }
      fire = top.timer;
      takeTimer(ts, *fire, now);
      break;
    }
    ts.mu.unlock();
    if (sleeper != nullptr) sleeper->ready();
    if (fire != nullptr) {
      fire->f();
      fire->running.fetchSub(1, GORT_ORD(9, release));
    }
    if (sleeper == nullptr && fire == nullptr) return;
  }
}

// ---- stop and modify against runners

MODEL(StopAgainstRunner, .preemptions = 4) {
  Timers heap;
  model::spawn("owner", [&] {
    Timer t;
    timerModify(t, heap, 5);
    const bool pending = timerStop(t);
    MODEL_ASSERT(t.ran.get() == (pending ? 0 : 1));
  });  // the timer is gone here
  model::spawn("thief", [&] {
    checkTimers(heap, 10);
    checkTimers(heap, 10);
  });
  model::joinAll();
  MODEL_ASSERT(heap.n == 0);
}
MODEL(StopAgainstTwoRunners, .preemptions = 3, .staleReads = 2) {
  Timers heap;
  Timer t;
  timerModify(t, heap, 5);
  bool pending = false;
  model::spawn("owner", [&] {
    pending = timerStop(t);
    MODEL_ASSERT(t.ran.get() == (pending ? 0 : 1));
  });
  for (int i = 0; i < 2; ++i) model::spawn("runner", [&] { checkTimers(heap, 10); });
  model::joinAll();
  MODEL_ASSERT(t.ran.get() == (pending ? 0 : 1));
}
// The owner goroutine has come to another P: the timer is armed again on that one's heap.
MODEL(ResetOnAnotherP, .preemptions = 3) {
  Timers heap0, heap1;
  Timer t;
  timerModify(t, heap0, 5);
  bool pending = false;
  model::spawn("owner", [&] {
    pending = timerModify(t, heap1, 20);
    checkTimers(heap1, 10);
  });
  model::spawn("runner", [&] { checkTimers(heap0, 10); });
  model::spawn("thief", [&] { checkTimers(heap1, 30); });
  model::joinAll();
  checkTimers(heap0, 30);
  checkTimers(heap1, 30);
  MODEL_ASSERT(t.ran.get() == (pending ? 1 : 2));
  MODEL_ASSERT(heap0.n + heap1.n == 0);
}
MODEL(PushedOutIsNotEarly, .preemptions = 3) {
  Timers heap;
  Timer t;
  timerModify(t, heap, 5);
  bool pending = false;
  model::spawn("owner", [&] { pending = timerModify(t, heap, 20); });
  model::spawn("runner", [&] { checkTimers(heap, 10); });
  model::joinAll();
  MODEL_ASSERT(t.ran.get() == (pending ? 0 : 1));
  checkTimers(heap, 20);
  MODEL_ASSERT(t.ran.get() == (pending ? 1 : 2));
}
MODEL(PeriodicStopped, .preemptions = 3) {
  Timers heap;
  model::spawn("owner", [&] {
    Timer t;
    timerModify(t, heap, 5, 100);
    MODEL_ASSERT(timerStop(t));
    (void)t.ran.get();
  });
  model::spawn("runner", [&] { checkTimers(heap, 10); });
  model::joinAll();
  MODEL_ASSERT(heap.n == 0);
}
MODEL(SleeperAgainstTwoRunners, .preemptions = 3) {
  Timers heap;
  model::Parker g;
  model::spawn("sleeps", [&] {
    if (!GORT_MUT(10)) g.announce();  // commitSleep runs when the goroutine is off its stack
    heap.mu.lock();
    heap.push({nullptr, &g, 5});
    heap.mu.unlock();
    if (GORT_MUT(10)) g.announce();
    g.block();
  });
  for (int i = 0; i < 2; ++i) model::spawn("runner", [&] { checkTimers(heap, 10); });
  model::joinQuiescent();
  checkTimers(heap, 10);
  MODEL_ASSERT(!g.waiting());
}

// ---- a new timer against going to sleep

struct Poll {
  Atomic<int> minWhen[2];  // of P0, where timers are added, and of an idle P
  Atomic<int> lastpoll{1}, pollUntil{0}, npidle{0}, nmspinning{0};
  Atomic<uint32_t> wakeSig{0}, eventfd{0};
  int threads = 0;
  Poll() {
    minWhen[0].named("minWhen0");
    minWhen[1].named("minWhen1");
    lastpoll.named("lastpoll");
    pollUntil.named("pollUntil");
    npidle.named("npidle");
    nmspinning.named("nmspinning");
    wakeSig.named("wakeSig");
    eventfd.named("eventfd");
  }

  void netpollBreak() {
    uint32_t none = 0;
    if (!wakeSig.compareExchange(none, 1, Order::acqRel)) return;
    eventfd.fetchAdd(1, Order::relaxed);
    model::futexWake(eventfd, 1);
  }
  void netpoll() {
    while (eventfd.load(Order::relaxed) == 0) model::futexWait(eventfd, 0u);
    if (GORT_MUT(11)) wakeSig.store(0, Order::release);
    eventfd.exchange(0, Order::relaxed);
    if (!GORT_MUT(11)) wakeSig.store(0, Order::release);
  }
  void wakeNetPoller(int when) {
    if (!GORT_MUT(12)) model::fence();  // minWhen before the looks <-> idle
    if (lastpoll.load(Order::seqCst) == 0) {
      const int until = pollUntil.load(Order::seqCst);
      if (until == 0 || until > when) netpollBreak();
      return;
    }
    if (!GORT_MUT(13)) wakep();
  }
  // wakep starts an M that spins, finds nothing to run, and goes to sleep in its turn.
  void wakep() {
    if (npidle.load(Order::relaxed) == 0 || nmspinning.load(Order::relaxed) != 0) return;
    int none = 0;
    if (!nmspinning.compareExchange(none, 1, Order::relaxed)) return;
    npidle.fetchSub(1, Order::relaxed);
    spawnM();
  }
  // handoffp of a P without timers, by an M that will not come to idle(): its goroutine is in a system call.
  void handoffp() {
    npidle.fetchAdd(1, Order::relaxed);
    model::fence();
    if (lastpoll.load(Order::seqCst) == 0) return;  // keepPolling
    bool timers = false;
    for (const auto& m : minWhen) timers |= m.load(Order::acquire) != 0;
    if (timers && !GORT_MUT(16)) wakep();
  }
  void add(int when) {
    minWhen[0].store(when, Order::release);
    wakeNetPoller(when);
  }
  bool sleepInNetpoll(int until) {
    if (until == 0) return false;
    if (lastpoll.exchange(0, Order::seqCst) == 0) return false;
    pollUntil.store(until, Order::seqCst);
    netpoll();
    pollUntil.store(0, Order::seqCst);
    lastpoll.store(1, Order::seqCst);
    return true;
  }
  // idle of an M that spins.
  void idle() {
    for (;;) {
      npidle.fetchAdd(1, Order::relaxed);
      nmspinning.fetchSub(1, Order::relaxed);
      if (!GORT_MUT(14))
        model::fence();  // npidle + 1, nmspinning - 1, wakeSig = 0 before the look <-> wakeNetPoller
      int until = 0;
      for (const auto& m : minWhen) {
        const int w = m.load(Order::acquire);
        if (w != 0 && (until == 0 || w < until)) until = w;
      }
      if (!sleepInNetpoll(until)) {
        if (until != 0 && !GORT_MUT(15)) {  // another M waits there: it must know of our earlier timer
          const int poller = pollUntil.load(Order::seqCst);
          if (poller == 0 || poller > until) netpollBreak();
        }
        return;  // stopm
      }
      npidle.fetchSub(1, Order::relaxed);
      nmspinning.fetchAdd(1, Order::relaxed);
    }
  }
  void spawnM() {
    MODEL_ASSERT(++threads <= 4);
    model::spawn("M", [this] { idle(); });
  }
  void judge(int earliest) {
    model::joinQuiescent();
    const int until = pollUntil.load();
    model::note("at rest: %s until %d", lastpoll.load() == 0 ? "somebody sleeps" : "nobody sleeps", until);
    MODEL_ASSERT(lastpoll.load() == 0);
    MODEL_ASSERT(until != 0 && until <= earliest);
  }
};

MODEL(AddWhileGoingToSleep, .preemptions = 3, .staleReads = 3) {
  Poll s;
  s.minWhen[1].store(100);
  s.nmspinning.store(1);
  s.spawnM();
  model::spawn("adds", [&] { s.add(5); });
  s.judge(5);
}
MODEL(AddTheFirst, .preemptions = 3, .staleReads = 3) {
  Poll s;
  s.nmspinning.store(1);
  s.spawnM();
  model::spawn("adds", [&] { s.add(5); });
  s.judge(5);
}
MODEL(AddThree, .preemptions = 3, .staleReads = 1, .spurious = 0) {
  Poll s;
  s.minWhen[1].store(100);
  s.nmspinning.store(1);
  s.spawnM();
  model::spawn("adds", [&] {
    s.add(50);
    s.add(20);
    s.add(5);
  });
  s.judge(5);
}
// Who waits for the timer of an idle P comes out with a goroutine, which enters a system call.
MODEL(PollerBlocks, .preemptions = 3, .staleReads = 3) {
  Poll s;
  s.minWhen[1].store(5);
  s.npidle.store(2);
  model::spawn("polls", [&] {
    s.sleepInNetpoll(5);
    s.npidle.fetchSub(1, Order::relaxed);
    s.handoffp();
  });
  model::spawn("event", [&] { s.netpollBreak(); });
  s.judge(5);
}
// The same while somebody else gives up looking for work.
MODEL(PollerBlocksBesideASpinner, .preemptions = 3, .staleReads = 2, .spurious = 0) {
  Poll s;
  s.minWhen[1].store(5);
  s.npidle.store(1);
  s.nmspinning.store(1);
  model::spawn("polls", [&] {
    if (!s.sleepInNetpoll(5)) return;
    s.npidle.fetchSub(1, Order::relaxed);
    s.handoffp();
  });
  model::spawn("event", [&] { s.netpollBreak(); });
  s.spawnM();
  s.judge(5);
}

}  // namespace

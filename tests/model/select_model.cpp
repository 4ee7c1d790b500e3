// SPDX-License-Identifier: Apache-2.0
// Model of select against send, receive, close and its own timer.    (src/lang/chan.cpp, select.cpp; Go:
// chan.go, select.go) Transcribed with the same names: dequeue, enqueue, dequeueSudog, send, recv, closechan,
// sellock, selparkcommit, leaveQueues, timedOut, parkWithTimer. Channels are unbuffered; their locks are
// abstract; a goroutine is a thread with a Parker. Selects lock channels in the order of their numbers.
// Claims: every value is delivered once or its sender still waits; nobody is readied twice or while it is not
// parked; nobody sleeps beside a peer or a closed channel; a sudog is not touched after its select has
// returned.
#include "model/explorer.hpp"

namespace {
using model::Atomic;
using model::Order;
using model::Plain;

constexpr uint32_t kOpen = 0, kWon = 1, kArming = 2, kFiredEarly = 3;

struct Sudog;

struct G {
  model::Parker parker;
  Atomic<uint32_t> selectDone{0};
  Plain<Sudog*> param{nullptr};
  G() { selectDone.named("selectDone"); }
  void ready(Sudog* sg) {
    param.set(sg);
    parker.ready();
  }
};

struct Chan;

struct Sudog {
  G* g = nullptr;
  Chan* c = nullptr;
  Sudog* next = nullptr;
  Sudog* prev = nullptr;
  bool isSelect = false;
  bool send = false;
  Plain<int> elem{0};
  Plain<bool> success{false};
};

struct WaitQ {
  Plain<Sudog*> first{nullptr};  // by the channel's lock
  Sudog* last = nullptr;
};

struct Chan {
  explicit Chan(int i) : id(i), lock(i == 0 ? "a.lock" : i == 1 ? "b.lock" : "c.lock") {}
  int id;
  model::Lock lock;
  bool closed = false;
  WaitQ recvq, sendq;
  WaitQ& queue(bool send) { return send ? sendq : recvq; }
};

void enqueue(WaitQ& q, Sudog* sg) {
  sg->next = nullptr;
  sg->prev = q.last;
  if (q.last == nullptr) {
    q.first.set(sg);
  } else {
    q.last->next = sg;
  }
  q.last = sg;
}

void dequeueSudog(WaitQ& q, Sudog* sg) {
  Sudog* x = sg->prev;
  Sudog* y = sg->next;
  if (x == nullptr && q.first.get() != sg) return;
  if (x == nullptr) {
    q.first.set(y);
  } else {
    x->next = y;
  }
  if (y == nullptr) {
    q.last = x;
  } else {
    y->prev = x;
  }
  sg->next = sg->prev = nullptr;
}

// dequeue: selectDone decides who ends a select. Relaxed: the locks and ready carry the order.
Sudog* dequeue(WaitQ& q) {
  for (;;) {
    Sudog* sg = q.first.get();
    if (sg == nullptr) return nullptr;
    Sudog* next = sg->next;
    q.first.set(next);
    if (next == nullptr) {
      q.last = nullptr;
    } else {
      next->prev = nullptr;
      sg->next = nullptr;
    }
    if (sg->isSelect && !GORT_MUT(1) && !sg->g->selectDone.cas(kOpen, kWon, Order::relaxed)) continue;
    return sg;
  }
}

// park: announce, then the commit function releases the locks, then off.
template <class Commit>
bool park(G& g, Commit commit) {
  if (GORT_MUT(2)) {  // the locks are released before the goroutine counts as parked
    commit();
    g.parker.announce();
    g.parker.block();
    return true;
  }
  g.parker.announce();
  if (!commit()) {
    g.parker.cancel();
    return false;
  }
  g.parker.block();
  return true;
}

enum class Result { ok, closed, wouldBlock };

// tryLocked is sendLocked and recvLocked. Requires: c.lock.
Result tryLocked(Chan& c, bool send, int* v, Sudog** wake) {
  if (send && c.closed) return Result::closed;
  if (Sudog* sg = dequeue(c.queue(!send))) {
    if (send) {
      sg->elem.set(*v);
    } else {
      *v = sg->elem.get();
    }
    sg->success.set(true);
    *wake = sg;
    return Result::ok;
  }
  return c.closed ? Result::closed : Result::wouldBlock;
}

// chansend and chanrecv, blocking.
Result operation(G& g, Chan& c, bool send, int* v) {
  c.lock.lock();
  Sudog* wake = nullptr;
  const Result r = tryLocked(c, send, v, &wake);
  if (r != Result::wouldBlock) {
    c.lock.unlock();
    if (wake != nullptr) wake->g->ready(wake);
    return r;
  }
  Sudog sg;
  sg.g = &g;
  sg.c = &c;
  sg.send = send;
  if (send) sg.elem.set(*v);
  enqueue(c.queue(send), &sg);
  park(g, [&] {
    c.lock.unlock();
    return true;
  });
  if (!send) *v = sg.elem.get();
  return sg.success.get() ? Result::ok : Result::closed;
}

void closechan(Chan& c) {
  c.lock.lock();
  c.closed = true;
  Sudog* wake[8];
  int n = 0;
  for (bool send : {false, true}) {
    if (GORT_MUT(3) && !send) continue;
    if (GORT_MUT(4) && send) continue;
    while (Sudog* sg = dequeue(c.queue(send))) wake[n++] = sg;
  }
  c.lock.unlock();
  for (int i = 0; i < n; ++i) wake[i]->g->ready(wake[i]);
}

// ---- select

struct Case {
  Chan* c;
  bool send;
  int v = 0;
};

// Timer stands for one of the runtime's: run() is checkTimers, stop() is timerStop, which waits for a running
// function.
struct Timer {
  model::Lock mu{"timer.mu"};
  Atomic<uint32_t> running{0};
  bool armed = false;
  G* g = nullptr;
  void arm(G* gp) {
    mu.lock();
    armed = true;
    g = gp;
    mu.unlock();
  }
  void run() {
    mu.lock();
    const bool fire = armed;
    armed = false;
    if (fire) running.store(1, Order::relaxed);
    mu.unlock();
    if (!fire) return;
    timedOut(*g);
    running.store(0, Order::release);
  }
  void stop() {
    if (GORT_MUT(5)) return;
    mu.lock();
    armed = false;
    mu.unlock();
    while (running.load(Order::acquire) != 0) model::yield();
  }
  static void timedOut(G& gp) {
    for (;;) {
      const uint32_t done = gp.selectDone.load(Order::relaxed);
      if (done == kArming && gp.selectDone.cas(kArming, kFiredEarly, Order::relaxed)) return;
      if (done == kOpen && gp.selectDone.cas(kOpen, kWon, Order::relaxed)) return gp.ready(nullptr);
      if (done == kWon || done == kFiredEarly) return;
    }
  }
};

struct Select {
  G& g;
  Case* cases;  // in lock order
  int n;
  Timer* timer;
  Result result = Result::wouldBlock;
};

bool selparkcommit(Select& s, Chan* const* chans, int n) {
  bool stay = true;
  if (s.timer != nullptr && !GORT_MUT(6) && !s.g.selectDone.cas(kArming, kOpen, Order::relaxed)) {
    stay = GORT_MUT(7);  // fired early; kFiredEarly keeps peers from winning
  }
  for (int i = 0; i < n; ++i) {
    if (i + 1 == n || chans[i] != chans[i + 1]) chans[i]->lock.unlock();
  }
  return stay;
}

void sellock(const Select& s) {
  for (int i = 0; i < s.n; ++i) {
    if (i == 0 || s.cases[i].c != s.cases[i - 1].c) s.cases[i].c->lock.lock();
  }
}
void selunlock(const Select& s) {
  for (int i = 0; i < s.n; ++i) {
    if (i + 1 == s.n || s.cases[i].c != s.cases[i + 1].c) s.cases[i].c->lock.unlock();
  }
}

// selectgo returns the index of the case, or n: the timer.
int selectgo(Select& s) {
  Sudog* wake = nullptr;
  sellock(s);
  for (int i = 0; i < s.n; ++i) {
    if (GORT_MUT(8) && i > 0) break;  // looks at one case only before it waits on all
    s.result = tryLocked(*s.cases[i].c, s.cases[i].send, &s.cases[i].v, &wake);
    if (s.result == Result::wouldBlock) continue;
    selunlock(s);
    if (wake != nullptr) wake->g->ready(wake);
    return i;
  }
  if (GORT_MUT(9)) {  // the look and the wait are not one critical section
    selunlock(s);
    sellock(s);
  }
  Sudog sgs[3];
  Chan* chans[3];
  for (int i = 0; i < s.n; ++i) {
    Sudog& sg = sgs[i];
    sg.g = &s.g;
    sg.c = s.cases[i].c;
    sg.isSelect = true;
    sg.send = s.cases[i].send;
    if (sg.send) sg.elem.set(s.cases[i].v);
    enqueue(sg.c->queue(sg.send), &sg);
    chans[i] = sg.c;
  }
  s.g.selectDone.store(s.timer != nullptr && !GORT_MUT(6) ? kArming : kOpen, Order::relaxed);
  s.g.param.set(nullptr);
  if (s.timer != nullptr) s.timer->arm(&s.g);
  park(s.g, [&] { return selparkcommit(s, chans, s.n); });
  Sudog* fired = s.g.param.get();
  if (s.timer != nullptr) s.timer->stop();
  int hit = s.n;
  for (int i = 0; i < s.n; ++i) {
    if (&sgs[i] == fired) hit = i;
    if (&sgs[i] == fired || GORT_MUT(10)) continue;
    Chan& c = *s.cases[i].c;
    if (!GORT_MUT(11)) c.lock.lock();
    dequeueSudog(c.queue(sgs[i].send), &sgs[i]);
    if (!GORT_MUT(11)) c.lock.unlock();
  }
  if (hit == s.n) return s.n;
  if (!sgs[hit].send) s.cases[hit].v = sgs[hit].elem.get();
  s.result = sgs[hit].success.get() ? Result::ok : Result::closed;
  return hit;
}

// ---- scenarios

struct World {
  Chan a{0}, b{1};
  G gs[4];
  int got[4] = {};  // how often each value arrived
  int closedSeen = 0;
  void send(int g, Chan& c, int v) {
    if (operation(gs[g], c, true, &v) == Result::closed) ++closedSeen;
  }
  Result recv(int g, Chan& c) {
    int v = 0;
    const Result r = operation(gs[g], c, false, &v);
    if (r == Result::ok) ++got[v];
    return r;
  }
  // select2 receives from a or b.
  int select2(int g, Timer* t = nullptr, Result* r = nullptr) {
    Case cases[2] = {{&a, false}, {&b, false}};
    Select s{gs[g], cases, 2, t};
    const int i = selectgo(s);
    if (i < 2 && s.result == Result::ok) ++got[cases[i].v];
    if (i < 2 && s.result == Result::closed) ++closedSeen;
    if (r != nullptr) *r = s.result;
    return i;
  }
  void finish() {
    model::joinAll();
    MODEL_ASSERT(a.recvq.first.get() == nullptr && a.sendq.first.get() == nullptr);
    MODEL_ASSERT(b.recvq.first.get() == nullptr && b.sendq.first.get() == nullptr);
  }
};

// Two senders, one select, then a receive from the other channel: each value arrives once.
MODEL(SelectAgainstTwoSenders, .preemptions = 3) {
  World w;
  model::spawn("selects", [&] {
    const int i = w.select2(0);
    w.recv(0, i == 0 ? w.b : w.a);
  });
  model::spawn("sendsA", [&] { w.send(1, w.a, 1); });
  model::spawn("sendsB", [&] { w.send(2, w.b, 2); });
  w.finish();
  MODEL_ASSERT(w.got[1] == 1 && w.got[2] == 1);
}
MODEL(SelectAgainstCloseAndSend, .preemptions = 3) {
  World w;
  model::spawn("selects", [&] {
    const int i = w.select2(0);
    w.recv(0, i == 0 ? w.b : w.a);
  });
  model::spawn("closesA", [&] { closechan(w.a); });
  model::spawn("sendsB", [&] { w.send(2, w.b, 2); });
  w.finish();
  MODEL_ASSERT(w.got[2] == 1);
}
MODEL(SelectAgainstTwoCloses, .preemptions = 4) {
  World w;
  model::spawn("selects", [&] { w.select2(0); });
  model::spawn("closesA", [&] { closechan(w.a); });
  model::spawn("closesB", [&] { closechan(w.b); });
  w.finish();
  MODEL_ASSERT(w.closedSeen == 1);
}
MODEL(CloseWakesEverybody, .preemptions = 3) {
  World w;
  model::spawn("selects", [&] { w.select2(0); });
  model::spawn("receives", [&] { MODEL_ASSERT(w.recv(1, w.a) == Result::closed); });
  model::spawn("closesA", [&] { closechan(w.a); });
  w.finish();
  MODEL_ASSERT(w.closedSeen == 1);
}
MODEL(CloseWakesSenders, .preemptions = 3) {
  World w;
  model::spawn("sends", [&] { w.send(0, w.a, 1); });
  model::spawn("selects", [&] {
    Case cases[2] = {{&w.a, true, 2}, {&w.b, false}};
    Select s{w.gs[1], cases, 2, nullptr};
    if (selectgo(s) == 0 && s.result == Result::closed) ++w.closedSeen;
  });
  model::spawn("closesA", [&] { closechan(w.a); });
  w.finish();
  MODEL_ASSERT(w.closedSeen == 2);
}
MODEL(SelectAgainstSelect, .preemptions = 1) {
  World w;
  model::spawn("receives", [&] {
    const int i = w.select2(0);
    w.recv(0, i == 0 ? w.b : w.a);
  });
  for (int g : {1, 2}) {
    model::spawn("sends", [&, g] {
      Case cases[2] = {{&w.a, true, g}, {&w.b, true, g}};
      Select s{w.gs[g], cases, 2, nullptr};
      if (selectgo(s) == 1 && g == 2) w.closedSeen = 0;
    });
  }
  // The two may choose the same channel; the second value then needs another receiver on it.
  model::spawn("drains", [&] {
    closechan(w.a);
    closechan(w.b);
  });
  model::joinAll();
  MODEL_ASSERT(w.got[1] <= 1 && w.got[2] <= 1);
}
// The same channel twice in one select: one value, one wake-up.
MODEL(SameChannelTwice, .preemptions = 4) {
  World w;
  model::spawn("selects", [&] {
    Case cases[2] = {{&w.a, false}, {&w.a, false}};
    Select s{w.gs[0], cases, 2, nullptr};
    const int i = selectgo(s);
    ++w.got[cases[i].v];
    w.recv(0, w.a);
  });
  for (int g : {1, 2}) model::spawn("sends", [&, g] { w.send(g, w.a, g); });
  w.finish();
  MODEL_ASSERT(w.got[1] == 1 && w.got[2] == 1);
}
MODEL(TimerAgainstSend, .preemptions = 3) {
  World w;
  Timer t;
  model::spawn("selects", [&] {
    if (w.select2(0, &t) == 2) w.recv(0, w.a);
  });
  model::spawn("sendsA", [&] { w.send(1, w.a, 1); });
  model::spawn("timer", [&] { t.run(); });
  w.finish();
  MODEL_ASSERT(w.got[1] == 1);
}
// The timer of the first select must not end the second wait.
MODEL(LateTimer, .preemptions = 3) {
  World w;
  Timer t;
  model::spawn("selects", [&] {
    if (w.select2(0, &t) == 2) w.recv(0, w.a);
    MODEL_ASSERT(w.select2(0) < 2);
  });
  model::spawn("sends", [&] {
    w.send(1, w.a, 1);
    w.send(1, w.b, 2);
  });
  model::spawn("timer", [&] { t.run(); });
  w.finish();
  MODEL_ASSERT(w.got[1] == 1 && w.got[2] == 1);
}
MODEL(TimerAgainstClose, .preemptions = 3) {
  World w;
  Timer t;
  model::spawn("selects", [&] { w.select2(0, &t); });
  model::spawn("closesA", [&] { closechan(w.a); });
  model::spawn("timer", [&] { t.run(); });
  w.finish();
}

// ---- default without locks: Note [Looking without the lock] in lang/chan.hpp

struct Looked {
  Atomic<uint32_t> key{0}, version{0}, qcount;
  explicit Looked(uint32_t n) : qcount(n) {
    key.named("key");
    version.named("version");
    qcount.named("qcount");
  }
  // change is one operation under the lock, as Mutex and beginChange do it.
  void change(uint32_t n) {
    while (key.exchange(1, Order::acquire) != 0) model::yield();
    if (!GORT_MUT(12)) version.store(version.load(Order::relaxed) + 1, GORT_ORD(13, release));
    if (!GORT_MUT(14)) model::fence(Order::release);
    qcount.store(n, Order::relaxed);
    key.store(0, Order::release);
  }
};

// There is a value in `first` or in `second` at every moment; select with default must not miss it.
void lookAt(Looked& first, Looked& second) {
  Looked* list[2] = {&first, &second};
  bool busy = false, ready = false;
  uint32_t versions = 0, again = 0;
  for (Looked* c : list) {
    versions += c->version.load(Order::relaxed);
    if (!GORT_MUT(15)) model::fence(Order::acquire);
    if (!GORT_MUT(16)) busy |= c->key.load(Order::relaxed) != 0;
    if (!GORT_MUT(17)) model::fence(Order::acquire);
    ready |= c->qcount.load(Order::relaxed) != 0;
  }
  if (ready || busy) return;
  if (!GORT_MUT(18)) model::fence(Order::acquire);
  for (Looked* c : list) again += c->version.load(Order::relaxed);
  if (GORT_MUT(19)) again = versions;
  MODEL_ASSERT(again != versions);
}
void defaultScenario(bool reversed) {
  Looked from{1}, to{0};
  model::spawn("moves", [&] {
    to.change(1);
    from.change(0);
  });
  model::spawn("looks", [&] { reversed ? lookAt(to, from) : lookAt(from, to); });
  model::joinAll();
}
MODEL(DefaultSeesValueThatMoves, .preemptions = 4, .staleReads = 6) { defaultScenario(false); }
MODEL(DefaultSeesValueThatMovesReversed, .preemptions = 4, .staleReads = 6) { defaultScenario(true); }
MODEL(DefaultSeesValueThatComesBack, .preemptions = 3, .staleReads = 4) {
  Looked from{1}, to{0};
  model::spawn("moves", [&] {
    to.change(1);
    from.change(0);
    from.change(1);
    to.change(0);
  });
  model::spawn("looks", [&] { lookAt(to, from); });
  model::joinAll();
}

}  // namespace

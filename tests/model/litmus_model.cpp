// SPDX-License-Identifier: Apache-2.0
// Litmus tests of the explorer itself: the outcomes that C++20 allows have to be found, the forbidden ones
// must not. Names as in the literature: SB store buffering, MP message passing, LB load buffering, IRIW
// independent reads of independent writes, CoRR coherence of two reads, WRC write-to-read causality. The last
// group holds scenarios with a known defect: the explorer has to find it.
#include "model/explorer.hpp"

namespace {
using model::Atomic;
using model::Order;
using model::Plain;

// LITMUS is MODEL with the outcomes that must and must not be found.
struct Lists {
  Lists(model::Scenario& s, const char* const* must, const char* const* mustNot) {
    s.must = must;
    s.mustNot = mustNot;
  }
};
#define OUT(...) \
  { __VA_ARGS__ __VA_OPT__(, ) nullptr }
#define LITMUS(name, must_, mustNot_)                                                               \
  static void name##Body();                                                                         \
  static model::Scenario name##Scenario{                                                            \
      #name, name##Body, model::Options{.preemptions = 6, .staleReads = 8, .quickPreemptions = 4}}; \
  static const char* const name##Must[] = must_;                                                    \
  static const char* const name##MustNot[] = mustNot_;                                              \
  static const Lists name##Lists{name##Scenario, name##Must, name##MustNot};                        \
  static void name##Body()

// ---------------------------------------------------------------------------------------------- store
// buffering

struct Pair {
  Atomic<int> x{0}, y{0};
  int r1 = -1, r2 = -1;
  Pair() {
    x.named("x");
    y.named("y");
  }
  void report() {
    model::joinAll();
    model::outcome("%d%d", r1, r2);
  }
};

template <class Between1, class Between2>
void storeBuffering(Order st, Order ld, Between1 b1, Between2 b2) {
  Pair p;
  model::spawn("left", [&] {
    p.x.store(1, st);
    b1();
    p.r1 = p.y.load(ld);
  });
  model::spawn("right", [&] {
    p.y.store(1, st);
    b2();
    p.r2 = p.x.load(ld);
  });
  p.report();
}
void nothing() {}
void full() { model::fence(Order::seqCst); }
void acqRel() { model::fence(Order::acqRel); }

LITMUS(SbRelaxed, OUT("00", "01", "10", "11"), OUT()) {
  storeBuffering(Order::relaxed, Order::relaxed, nothing, nothing);
}
LITMUS(SbReleaseAcquire, OUT("00"), OUT()) {
  storeBuffering(Order::release, Order::acquire, nothing, nothing);
}
LITMUS(SbSeqCst, OUT("01", "10", "11"), OUT("00")) {
  storeBuffering(Order::seqCst, Order::seqCst, nothing, nothing);
}
LITMUS(SbSeqCstLoadsOnly, OUT("00"), OUT()) {
  storeBuffering(Order::release, Order::seqCst, nothing, nothing);
}
LITMUS(SbFences, OUT("01", "10", "11"), OUT("00")) {
  storeBuffering(Order::relaxed, Order::relaxed, full, full);
}
LITMUS(SbOneFence, OUT("00"), OUT()) { storeBuffering(Order::relaxed, Order::relaxed, full, nothing); }
LITMUS(SbAcqRelFences, OUT("00"), OUT()) { storeBuffering(Order::relaxed, Order::relaxed, acqRel, acqRel); }
LITMUS(SbHeavyLight, OUT("01", "10", "11"), OUT("00")) {
  storeBuffering(
      Order::relaxed, Order::relaxed, [] { model::heavyFence(); }, [] { model::lightFence(); });
}
LITMUS(SbHeavyAlone, OUT("00"), OUT()) {
  storeBuffering(
      Order::relaxed, Order::relaxed, [] { model::heavyFence(); }, nothing);
}
LITMUS(SbLightLight, OUT("00"), OUT()) {
  storeBuffering(
      Order::relaxed, Order::relaxed, [] { model::lightFence(); }, [] { model::lightFence(); });
}
LITMUS(SbHeavyFull, OUT("01", "10", "11"), OUT("00")) {
  storeBuffering(
      Order::relaxed, Order::relaxed, [] { model::heavyFence(); }, full);
}
LITMUS(SbMembarrier, OUT("01", "10", "11"), OUT("00")) {
  storeBuffering(
      Order::relaxed, Order::relaxed, [] { model::membarrier(); }, nothing);
}
// One side a seq_cst store and load, the other relaxed with a fence: C++20 orders these too.
LITMUS(SbFenceAgainstSeqCst, OUT("01", "10", "11"), OUT("00")) {
  Pair p;
  model::spawn("fence", [&] {
    p.x.store(1, Order::relaxed);
    model::fence(Order::seqCst);
    p.r1 = p.y.load(Order::relaxed);
  });
  model::spawn("seqCst", [&] {
    p.y.store(1, Order::seqCst);
    p.r2 = p.x.load(Order::seqCst);
  });
  p.report();
}
LITMUS(SbRmw, OUT("01", "10", "11"), OUT("00")) {  // read-modify-writes read the newest store
  Pair p;
  model::spawn("left", [&] {
    p.x.exchange(1, Order::seqCst);
    p.r1 = p.y.load(Order::seqCst);
  });
  model::spawn("right", [&] {
    p.y.exchange(1, Order::seqCst);
    p.r2 = p.x.load(Order::seqCst);
  });
  p.report();
}
LITMUS(SbRelaxedRmw, OUT("00"), OUT()) {  // but a relaxed one is no fence
  Pair p;
  model::spawn("left", [&] {
    p.x.exchange(1, Order::acqRel);
    p.r1 = p.y.load(Order::acquire);
  });
  model::spawn("right", [&] {
    p.y.exchange(1, Order::acqRel);
    p.r2 = p.x.load(Order::acquire);
  });
  p.report();
}

// ---------------------------------------------------------------------------------------------- message
// passing

template <class Send, class Receive>
void messagePassing(Send send, Receive receive) {
  Pair p;
  model::spawn("sender", [&] {
    p.x.store(1, Order::relaxed);
    send(p.y);
  });
  model::spawn("receiver", [&] {
    p.r1 = receive(p.y);
    p.r2 = p.x.load(Order::relaxed);
  });
  p.report();
}
int loadRelaxed(Atomic<int>& a) { return a.load(Order::relaxed); }
int loadAcquire(Atomic<int>& a) { return a.load(Order::acquire); }
void storeRelaxed(Atomic<int>& a) { a.store(1, Order::relaxed); }
void storeRelease(Atomic<int>& a) { a.store(1, Order::release); }
int loadThenFence(Atomic<int>& a) {
  const int v = a.load(Order::relaxed);
  model::fence(Order::acquire);
  return v;
}
void fenceThenStore(Atomic<int>& a) {
  model::fence(Order::release);
  a.store(1, Order::relaxed);
}

LITMUS(MpRelaxed, OUT("00", "01", "10", "11"), OUT()) { messagePassing(storeRelaxed, loadRelaxed); }
LITMUS(MpReleaseAcquire, OUT("00", "01", "11"), OUT("10")) { messagePassing(storeRelease, loadAcquire); }
LITMUS(MpReleaseOnly, OUT("10"), OUT()) { messagePassing(storeRelease, loadRelaxed); }
LITMUS(MpAcquireOnly, OUT("10"), OUT()) { messagePassing(storeRelaxed, loadAcquire); }
LITMUS(MpFences, OUT("00", "01", "11"), OUT("10")) { messagePassing(fenceThenStore, loadThenFence); }
LITMUS(MpReleaseFenceAcquireLoad, OUT("11"), OUT("10")) { messagePassing(fenceThenStore, loadAcquire); }
LITMUS(MpReleaseStoreAcquireFence, OUT("11"), OUT("10")) { messagePassing(storeRelease, loadThenFence); }
LITMUS(MpReleaseFenceOnly, OUT("10"), OUT()) { messagePassing(fenceThenStore, loadRelaxed); }
LITMUS(MpFenceOnWrongSide, OUT("10"), OUT()) {
  messagePassing(
      [](Atomic<int>& a) {
        a.store(1, Order::relaxed);
        model::fence(Order::release);
      },
      loadThenFence);
}

// ---------------------------------------------------------------------------------------------- other shapes

// A load never returns a store that is still to come: no load buffering (RC11; hardware needs independent
// stores).
LITMUS(LbRelaxed, OUT("00", "01", "10"), OUT("11")) {
  Pair p;
  model::spawn("left", [&] {
    p.r1 = p.x.load(Order::relaxed);
    p.y.store(1, Order::relaxed);
  });
  model::spawn("right", [&] {
    p.r2 = p.y.load(Order::relaxed);
    p.x.store(1, Order::relaxed);
  });
  p.report();
}

template <class Between>
void iriw(Order st, Order ld, Between between) {
  Pair p;
  int a1 = 0, a2 = 0, b1 = 0, b2 = 0;
  model::spawn("writeX", [&] { p.x.store(1, st); });
  model::spawn("writeY", [&] { p.y.store(1, st); });
  model::spawn("readXY", [&] {
    a1 = p.x.load(ld);
    between();
    a2 = p.y.load(ld);
  });
  model::spawn("readYX", [&] {
    b1 = p.y.load(ld);
    between();
    b2 = p.x.load(ld);
  });
  model::joinAll();
  model::outcome("%d%d%d%d", a1, a2, b1, b2);
}
LITMUS(IriwReleaseAcquire, OUT("1010"), OUT()) { iriw(Order::release, Order::acquire, nothing); }
LITMUS(IriwFences, OUT("1011", "1110", "0000"), OUT("1010")) { iriw(Order::relaxed, Order::relaxed, full); }
LITMUS(IriwSeqCst, OUT("1011", "1110", "0000"), OUT("1010")) { iriw(Order::seqCst, Order::seqCst, nothing); }
LITMUS(IriwAcqRelFences, OUT("1010"), OUT()) { iriw(Order::relaxed, Order::relaxed, acqRel); }

LITMUS(CoRR, OUT("00", "01", "02", "11", "12", "22"), OUT("10", "20", "21")) {
  Pair p;
  model::spawn("writer", [&] {
    p.x.store(1, Order::relaxed);
    p.x.store(2, Order::relaxed);
  });
  model::spawn("reader", [&] {
    p.r1 = p.x.load(Order::relaxed);
    p.r2 = p.x.load(Order::relaxed);
  });
  p.report();
}
LITMUS(CoWR, OUT("2", "1"), OUT("0")) {  // own store, or a later one; never an older one
  Pair p;
  model::spawn("writer", [&] { p.x.store(1, Order::relaxed); });
  model::spawn("both", [&] {
    p.x.store(2, Order::relaxed);
    p.r1 = p.x.load(Order::relaxed);
  });
  model::joinAll();
  model::outcome("%d", p.r1);
}
// Coherence across threads: what a happens-before predecessor has read cannot be un-read.
LITMUS(CoRRAcrossThreads, OUT("111", "110", "000", "001"), OUT("1x0")) {
  Pair p;
  int r3 = -1;
  model::spawn("writer", [&] { p.x.store(1, Order::relaxed); });
  model::spawn("first", [&] {
    p.r1 = p.x.load(Order::relaxed);
    p.y.store(1, Order::release);
  });
  model::spawn("second", [&] {
    p.r2 = p.y.load(Order::acquire);
    r3 = p.x.load(Order::relaxed);
  });
  model::joinAll();
  if (p.r1 == 1 && p.r2 == 1 && r3 == 0) {
    model::outcome("1x0");
  } else {
    model::outcome("%d%d%d", p.r1, r3, p.r2);
  }
}
template <class Order1>
void wrc(Order1 st, Order ld) {
  Pair p;
  int r3 = -1;
  model::spawn("writer", [&] { p.x.store(1, Order::relaxed); });
  model::spawn("middle", [&] {
    p.r1 = p.x.load(Order::relaxed);
    p.y.store(1, st);
  });
  model::spawn("reader", [&] {
    p.r2 = p.y.load(ld);
    r3 = p.x.load(Order::relaxed);
  });
  model::joinAll();
  model::outcome("%d%d%d", p.r1, p.r2, r3);
}
LITMUS(WrcRelaxed, OUT("110", "111"), OUT()) { wrc(Order::relaxed, Order::relaxed); }
LITMUS(WrcReleaseAcquire, OUT("111"), OUT("110")) { wrc(Order::release, Order::acquire); }

// ---------------------------------------------------------------------------------------------- release
// sequences

// A read-modify-write of another thread, even a relaxed one, continues the release sequence; a store breaks
// it.
LITMUS(ReleaseSequenceRmw, OUT("21"), OUT("20")) {
  Pair p;
  model::spawn("sender", [&] {
    p.x.store(1, Order::relaxed);
    p.y.store(1, Order::release);
  });
  model::spawn("rmw", [&] { p.y.fetchAdd(1, Order::relaxed); });
  model::spawn("receiver", [&] {
    p.r1 = p.y.load(Order::acquire);
    p.r2 = p.x.load(Order::relaxed);
  });
  p.report();
}
LITMUS(ReleaseSequenceBrokenByStore, OUT("20", "21"), OUT("10")) {
  Pair p;
  model::spawn("sender", [&] {
    p.x.store(1, Order::relaxed);
    p.y.store(1, Order::release);
    p.y.store(2, Order::relaxed);  // C++20: the same thread's stores are out as well
  });
  model::spawn("receiver", [&] {
    p.r1 = p.y.load(Order::acquire);
    p.r2 = p.x.load(Order::relaxed);
  });
  p.report();
}
LITMUS(CasFailureReadsStale, OUT("stale", "fresh"), OUT()) {
  Pair p;
  model::spawn("writer", [&] {
    p.x.store(1, Order::relaxed);
    p.x.store(2, Order::relaxed);
  });
  model::spawn("cas", [&] {
    int e = 7;
    p.r1 = p.x.load(Order::relaxed);
    p.x.compareExchange(e, 8, Order::acqRel, Order::relaxed);
    p.r2 = e;
  });
  model::joinAll();
  if (p.r1 == 1) model::outcome(p.r2 == 1 ? "stale" : "fresh");
}
LITMUS(RmwIsAtomic, OUT("2"), OUT("1", "0")) {
  Pair p;
  for (int i = 0; i < 2; ++i) model::spawn("adder", [&] { p.x.fetchAdd(1, Order::relaxed); });
  model::joinAll();
  model::outcome("%d", p.x.load(Order::relaxed));
}
LITMUS(LostUpdate, OUT("2", "1"), OUT("0")) {
  Pair p;
  for (int i = 0; i < 2; ++i) {
    model::spawn("adder", [&] { p.x.store(p.x.load(Order::relaxed) + 1, Order::relaxed); });
  }
  model::joinAll();
  model::outcome("%d", p.x.load(Order::relaxed));
}

// ---------------------------------------------------------------------------------------------- Dekker

template <class Fence>
void dekker(Fence f) {
  Pair p;
  Plain<int> count{0};
  count.named("count");
  auto enter = [&](Atomic<int>& mine, Atomic<int>& other) {
    mine.store(1, Order::relaxed);
    f();
    if (other.load(Order::acquire) == 0) count.set(count.get() + 1);
  };
  model::spawn("left", [&] { enter(p.x, p.y); });
  model::spawn("right", [&] { enter(p.y, p.x); });
  model::joinAll();
}
MODEL(DekkerWithFence) { dekker(full); }
MODEL_FAILS(DekkerWithoutFence, "data race on count") { dekker(nothing); }

// ---------------------------------------------------------------------------------------------- defects to
// be found

MODEL_FAILS(FindsRaceOnPlain, "data race on flagged") {
  Plain<int> data{0};
  data.named("flagged");
  Atomic<int> flag{0};
  model::spawn("writer", [&] {
    data.set(1);
    flag.store(1, Order::relaxed);
  });
  model::spawn("reader", [&] {
    if (flag.load(Order::acquire) == 1) (void)data.get();
  });
  model::joinAll();
}
MODEL_FAILS(FindsRaceAfterRelease, "data race on late") {
  Plain<int> data{0};
  data.named("late");
  Atomic<int> flag{0};
  model::spawn("writer", [&] {
    flag.store(1, Order::release);
    data.set(1);
  });
  model::spawn("reader", [&] {
    if (flag.load(Order::acquire) == 1) (void)data.get();
  });
  model::joinAll();
}
MODEL(NoRaceWithRelease) {
  Plain<int> data{0};
  Atomic<int> flag{0};
  model::spawn("writer", [&] {
    data.set(1);
    flag.store(1, Order::release);
  });
  model::spawn("reader", [&] {
    if (flag.load(Order::acquire) == 1) MODEL_ASSERT(data.get() == 1);
  });
  model::joinAll();
}
MODEL_FAILS(FindsDeadlock, "deadlock") {
  model::Lock a("a"), b("b");
  model::spawn("ab", [&] {
    a.lock();
    b.lock();
    b.unlock();
    a.unlock();
  });
  model::spawn("ba", [&] {
    b.lock();
    a.lock();
    a.unlock();
    b.unlock();
  });
  model::joinAll();
}
// The wake-up comes between the check and the sleep, and the value has not changed: lost.
MODEL_FAILS(FindsLostWakeup, "deadlock", .spurious = 0) {
  Atomic<uint32_t> word{0};
  Atomic<int> done{0};
  model::spawn("sleeper", [&] {
    if (done.load(Order::acquire) == 0) model::futexWait(word, 0u);
  });
  model::spawn("waker", [&] {
    done.store(1, Order::release);
    model::futexWake(word, 1);
  });
  model::joinAll();
}
MODEL_FAILS(FindsSpuriousWakeup, "assertion") {
  Atomic<uint32_t> word{0};
  model::spawn("sleeper", [&] {
    model::futexWait(word, 0u);
    MODEL_ASSERT(word.load(Order::acquire) == 1);
  });
  model::spawn("waker", [&] {
    word.store(1, Order::release);
    model::futexWake(word, 1);
  });
  model::joinAll();
}
MODEL(TimedWaitExpires) {
  Atomic<uint32_t> word{0};
  model::spawn("sleeper", [&] { MODEL_ASSERT(model::futexWait(word, 0u, true) == 2); });
  model::joinAll();
}
MODEL_FAILS(FindsLivelock, "livelock", .maxSteps = 200) {
  Atomic<int> flag{0};
  model::spawn("spinner", [&] {
    while (flag.load(Order::acquire) == 0) model::yield();
  });
  model::joinAll();
}
MODEL(SpinningIsFair) {
  Atomic<int> flag{0};
  model::spawn("spinner", [&] {
    while (flag.load(Order::acquire) == 0) model::yield();
  });
  model::spawn("setter", [&] { flag.store(1, Order::release); });
  model::joinAll();
}
MODEL_FAILS(FindsDoubleReady, "woken twice") {
  model::Parker p;
  model::spawn("parks", [&] {
    p.announce();
    p.block();
  });
  model::spawn("readies", [&] {
    while (!p.waiting()) model::yield();
    p.ready();
    p.ready();
  });
  model::joinAll();
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// The core's timers: rules of src/sched/time.cpp as sentences. Ideas carried over, in our own words, from
// Go's time/sleep_test.go and runtime/time_test.go.
#include "sched/time.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "lang/chan_util.hpp"
#include "sched/proc.hpp"

namespace {

namespace rt = gort::rt;
using rt::int64;
using rt::uint64;

constexpr int64 kMs = 1000000;

// Shot is a timer that counts its expiries.
struct Shot {
  rt::Timer t;
  std::atomic<int> fired{0};
  std::atomic<int64> when{0};
  std::atomic<int64> delta{-1};

  Shot() {
    rt::timerInit(
        t,
        [](void* arg, uint64, int64 late) {
          auto* s = static_cast<Shot*>(arg);
          s->when = rt::nanotime();
          s->delta = late;
          ++s->fired;
        },
        this);
  }
  ~Shot() { rt::timerStop(t); }
  bool in(int64 ns, int64 period = 0) { return rt::timerModify(t, rt::whenAfter(ns), period); }
  bool await(int n, int64 limitNs = 5000 * kMs) const {
    const int64 end = rt::nanotime() + limitNs;
    while (fired < n && rt::nanotime() < end) rt::timeSleep(kMs / 10);
    return fired >= n;
  }
};

GO_TEST(Time, SleepTakesAtLeastAsLongAsAsked) {
  for (const int64 ns : {int64{1}, int64{1000}, int64{50000}, kMs, 20 * kMs}) {
    const int64 begin = rt::nanotime();
    rt::timeSleep(ns);
    EXPECT_GE(rt::nanotime() - begin, ns);
  }
}

GO_TEST(Time, SleepOfNothingReturnsAtOnce) {
  rt::timeSleep(0);
  rt::timeSleep(-5);
  rt::timeSleep(INT64_MIN);
  rt::timeSleepUntil(1);
}

GO_TEST(Time, WhenAfterSaturatesAndIsNeverZero) {
  EXPECT_EQ(rt::whenAfter(INT64_MAX), rt::kTimeNever);
  EXPECT_EQ(rt::whenAfter(INT64_MAX - 1), rt::kTimeNever);
  EXPECT_GT(rt::whenAfter(0), 0);
  EXPECT_GT(rt::whenAfter(INT64_MIN), 0);
}

// One P, so that all are in one heap; however late it is looked at, the order holds.
GO_TEST(Time, TimersOfOnePFireInOrderOfTheirTimes) {
  const int before = gort::runtime::max_procs(1);
  struct Entry {
    rt::Timer t;
    std::vector<int>* order;
    int id;
  };
  std::vector<int> order;
  Entry entries[5];
  int id = 0;
  for (Entry& e : entries) {
    constexpr int kAfterMs[] = {6, 2, 10, 4, 8};
    e.order = &order;
    e.id = kAfterMs[id++];
    const auto f = [](void* arg, uint64, int64) {
      auto* me = static_cast<Entry*>(arg);
      me->order->push_back(me->id);
    };
    rt::timerInit(e.t, f, &e);
    rt::timerModify(e.t, rt::whenAfter(e.id * kMs), 0);
  }
  rt::timeSleep(15 * kMs);
  for (Entry& e : entries) EXPECT_FALSE(rt::timerStop(e.t));
  EXPECT_EQ(order, (std::vector<int>{2, 4, 6, 8, 10}));
  gort::runtime::max_procs(before);
}

GO_TEST(Time, TimerFiresOnceAndNotEarly) {
  Shot s;
  const int64 begin = rt::nanotime();
  s.in(5 * kMs);
  ASSERT_TRUE(s.await(1));
  EXPECT_GE(s.when - begin, 5 * kMs);
  EXPECT_GE(s.delta, 0);
  rt::timeSleep(10 * kMs);
  EXPECT_EQ(s.fired, 1);
}

GO_TEST(Time, StopTellsWhetherItWasPending) {
  Shot s;
  EXPECT_FALSE(rt::timerStop(s.t)) << "never armed";
  s.in(1000 * kMs);
  EXPECT_TRUE(rt::timerStop(s.t));
  EXPECT_FALSE(rt::timerStop(s.t));
  s.in(kMs / 100);
  ASSERT_TRUE(s.await(1));
  EXPECT_FALSE(rt::timerStop(s.t));
}

GO_TEST(Time, StoppedTimerDoesNotFire) {
  Shot s;
  s.in(3 * kMs);
  ASSERT_TRUE(rt::timerStop(s.t));
  rt::timeSleep(10 * kMs);
  EXPECT_EQ(s.fired, 0);
}

GO_TEST(Time, ModifyToLaterIsLazyButHonoured) {
  Shot s;
  const int64 begin = rt::nanotime();
  s.in(2 * kMs);
  EXPECT_TRUE(rt::timerModify(s.t, begin + 20 * kMs, 0));
  ASSERT_TRUE(s.await(1));
  EXPECT_GE(s.when - begin, 20 * kMs);
}

GO_TEST(Time, ModifyToEarlierFiresEarlier) {
  Shot s;
  s.in(60000 * kMs);
  EXPECT_TRUE(rt::timerModify(s.t, rt::whenAfter(kMs), 0));
  EXPECT_TRUE(s.await(1));
}

GO_TEST(Time, PeriodicTimerKeepsToMultiples) {
  Shot s;
  const int64 begin = rt::whenAfter(2 * kMs);
  rt::timerModify(s.t, begin, 2 * kMs);
  ASSERT_TRUE(s.await(5));
  EXPECT_TRUE(rt::timerStop(s.t));
  const int n = s.fired;
  rt::timeSleep(8 * kMs);
  EXPECT_EQ(s.fired, n);
  EXPECT_EQ((s.t.when - begin) % (2 * kMs), 0);
}

GO_TEST(Time, SlackRoundsUpSoThatTimersShareAWakeUp) {
  constexpr int64 kSlack = 8 * kMs;
  Shot a, b, precise;
  rt::timerSetSlack(a.t, kSlack);
  rt::timerSetSlack(b.t, kSlack);
  rt::timerSetSlack(precise.t, -1);
  const int64 base = (rt::nanotime() / kSlack + 1) * kSlack;
  rt::timerModify(a.t, base + kMs, 0);
  rt::timerModify(b.t, base + 2 * kMs, 0);
  rt::timerModify(precise.t, base + kMs, 0);
  EXPECT_EQ(a.t.when, base + kSlack);
  EXPECT_EQ(b.t.when, a.t.when);
  EXPECT_EQ(precise.t.when, base + kMs);
  EXPECT_TRUE(a.await(1) && b.await(1) && precise.await(1));
}

GO_TEST(Time, DefaultSlackAppliesToTimersWithoutTheirOwn) {
  rt::timerSetDefaultSlack(16 * kMs);
  Shot s;
  rt::timerModify(s.t, 16 * kMs * 1000000000 + 1, 0);
  EXPECT_EQ(s.t.when % (16 * kMs), 0);
  rt::timerSetDefaultSlack(0);
}

GO_TEST(Time, HeapGrowsAndShrinksUnderRandomStops) {
  std::mt19937_64 rnd(chantest::seed());
  constexpr int kN = 2000;
  auto shots = std::make_unique<Shot[]>(kN);
  int stopped = 0, armed = kN;
  for (int i = 0; i < kN; ++i) shots[i].in(kMs * (20 + static_cast<int64>(rnd() % 30)));
  for (int i = 0; i < kN; i += 2) {
    if (rnd() % 4 == 0 && !shots[i].in(kMs * static_cast<int64>(5 + rnd() % 60))) ++armed;  // it had fired
    stopped += rt::timerStop(shots[i].t) ? 1 : 0;
  }
  for (int i = 1; i < kN; i += 2) ASSERT_TRUE(shots[i].await(1)) << i;
  int fired = 0;
  for (int i = 0; i < kN; ++i) {
    fired += shots[i].fired;
  }
  EXPECT_EQ(fired + stopped, armed);
}

// TestTimerStopStress and TestTimerModifiedEarlier, roughly: many goroutines arm, move and stop timers that
// live on their stacks; a timer touched after its frame is gone would crash, asan would name it.
GO_TEST(Time, StackTimersSurviveStopAgainstExpiry) {
  const uint64 seed = chantest::seed();
  std::atomic<int64> balance{0};
  gort::wait_group wg;
  for (uint64 g = 0; g < 16; ++g) {
    wg.go([&, g] {
      std::mt19937_64 rnd(seed + g);
      for (int i = 0; i < 300; ++i) {
        Shot s;
        s.in(static_cast<int64>(rnd() % 30000));
        if (rnd() % 3 == 0) rt::timerModify(s.t, rt::whenAfter(static_cast<int64>(rnd() % 60000)), 0);
        if (rnd() % 2 == 0) rt::timeSleep(static_cast<int64>(rnd() % 40000));
        const bool pending = rt::timerStop(s.t);
        const int fired = s.fired;
        if (pending ? fired > 1 : fired < 1) ++balance;
        gort::yield();
        if (s.fired != fired) ++balance;
      }
    });
  }
  wg.wait();
  EXPECT_EQ(balance, 0);
}

GO_TEST(Time, TimersMoveWhenAPGoesAway) {
  const int before = gort::runtime::max_procs(0);
  gort::runtime::max_procs(4);
  auto shots = std::make_unique<Shot[]>(64);
  gort::wait_group wg;
  std::atomic<int> slept{0};
  for (int i = 0; i < 64; ++i) {
    wg.go([&, i] {
      shots[i].in(20 * kMs);
      rt::timeSleep(15 * kMs);
      ++slept;
    });
  }
  rt::timeSleep(2 * kMs);
  gort::runtime::max_procs(1);
  wg.wait();
  for (int i = 0; i < 64; ++i) EXPECT_TRUE(shots[i].await(1));
  EXPECT_EQ(slept, 64);
  gort::runtime::max_procs(before);
}

GO_TEST(Time, ManySleepersAllWake) {
  std::mt19937_64 rnd(chantest::seed());
  std::atomic<int> awake{0};
  gort::wait_group wg;
  const int n = 4000;  // well below what thread sanitizers allow
  for (int i = 0; i < n; ++i) {
    wg.go([&awake, ns = static_cast<int64>(rnd() % (20 * kMs))] {
      rt::timeSleep(ns);
      ++awake;
    });
  }
  wg.wait();
  EXPECT_EQ(awake, n);
}

}  // namespace

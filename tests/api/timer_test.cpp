// SPDX-License-Identifier: Apache-2.0
// Clocks, sleep, timer, ticker, after, after_func: their rules as sentences. Ideas carried over, in our own
// words, from Go's time/{sleep,tick}_test.go.
#include <gort/timer.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include <gort/sim.hpp>

#include "lang/chan_util.hpp"

namespace {

using chantest::panicOf;
using chantest::settle;
using gort::clock;
using namespace std::chrono_literals;

// ---- clocks and conversions

static_assert(std::chrono::is_clock_v<gort::clock> && std::chrono::is_clock_v<gort::wall_clock>);
static_assert(clock::is_steady && !gort::wall_clock::is_steady);
static_assert(gort::detail::to_ns(3s) == 3s);
static_assert(gort::detail::to_ns(std::chrono::hours(1 << 30)) == clock::duration::max(), "saturates");
static_assert(gort::detail::to_ns(-std::chrono::hours(1 << 30)) == clock::duration::min());
static_assert(gort::detail::to_ns(std::chrono::duration<int, std::pico>(1)) == 1ns, "rounds up");
static_assert(gort::detail::to_ns(std::chrono::duration<int, std::pico>(-1500)) == -1ns);
static_assert(gort::detail::to_ns(std::chrono::duration<double>(1.5e-9)) == 2ns);
static_assert(gort::detail::to_ns(std::chrono::duration<double>(1e300)) == clock::duration::max());
static_assert(gort::detail::to_ns(std::chrono::duration<int, std::ratio<1, 3>>(1)) == 333333334ns);

TEST(Clock, IsMonotonicAndTheWallClockTellsTheDate) {
  const auto a = clock::now();
  const auto b = clock::now();
  EXPECT_LE(a, b);
  const auto apart = gort::wall_clock::now() - std::chrono::system_clock::now();
  EXPECT_LT(apart, 1s);
  EXPECT_GT(apart, -1s);
}

TEST(Clock, OtherClocksTimePointsFit) {
  EXPECT_GT(gort::detail::to_tp(std::chrono::system_clock::now() + 10s), clock::now() + 9s);
  EXPECT_GT(gort::detail::to_tp(std::chrono::steady_clock::now() + 10s), clock::now() + 9s);
  EXPECT_EQ(gort::detail::to_tp(clock::time_point::max()), clock::time_point::max());
  EXPECT_EQ(
      gort::detail::to_tp(std::chrono::time_point<std::chrono::steady_clock, std::chrono::hours>::max()),
      clock::time_point::max());
}

GO_TEST(Sleep, TakesItsTime) {
  for (const auto d : {1us, 100us, 5000us}) {
    const auto begin = clock::now();
    gort::sleep(d);
    EXPECT_GE(clock::now() - begin, d);
  }
  const auto at = clock::now() + 2ms;
  gort::sleep_until(at);
  EXPECT_GE(clock::now(), at);
  gort::sleep(-1h);
  gort::sleep_until(clock::time_point::min());
}

// Twenty times what is asked; a busy machine may spoil some rounds. A sleep rounded up to milliseconds fails them all.
GO_TEST(Sleep, MicrosecondsAreNotRoundedUp) {
  clock::duration best = clock::duration::max();
  for (int round = 0; round < 20 && best > 1ms; ++round) {
    std::vector<clock::duration> took(51);
    for (auto& t : took) {
      const auto begin = clock::now();
      gort::sleep(50us);
      t = clock::now() - begin;
    }
    std::nth_element(took.begin(), took.begin() + 25, took.end());
    best = std::min(best, took[25]);
  }
  EXPECT_LT(best, 1ms);
}

TEST(SleepOnThreads, BlocksAForeignThread) {
  const auto begin = clock::now();
  std::thread([] { gort::sleep(3ms); }).join();
  EXPECT_GE(clock::now() - begin, 3ms);
}

// TestOverflowSleep
GO_TEST(Sleep, ForeverIsNotNow) {
  auto t = gort::after(clock::duration::max());
  EXPECT_FALSE(t.recv_for(5ms));
  EXPECT_TRUE(gort::after(-(1h)).recv_for(5s));
}

// ---- timer

GO_TEST(Timer, SendsTheTimeOnce) {
  const auto begin = clock::now();
  gort::timer t{3ms};
  const auto at = t.c().recv();
  ASSERT_TRUE(at);
  EXPECT_GE(*at - begin, 3ms);
  EXPECT_FALSE(t.c().recv_for(3ms));
}

GO_TEST(Timer, DeadlineCountsFromItsMakingNotFromTheFirstLookAtTheChannel) {
  gort::timer t{500ms};
  gort::sleep(500ms);
  const auto at = clock::now();
  EXPECT_TRUE(t.c().recv_for(5s));
  EXPECT_LT(clock::now() - at, 400ms);
}

// TestAfterStop, TestReset: what stop and reset report, with and without a channel.
GO_TEST(Timer, StopAndResetTellWhetherItWasPending) {
  for (const bool look : {false, true}) {
    gort::timer t{10s};
    if (look) (void)t.c();
    EXPECT_TRUE(t.stop());
    EXPECT_FALSE(t.stop());
    EXPECT_FALSE(t.reset(10s));
    EXPECT_TRUE(t.reset(1ms));
    EXPECT_TRUE(t.c().recv_for(5s));
    EXPECT_FALSE(t.stop()) << "the value was received";
    EXPECT_FALSE(t.reset(1ms));
    EXPECT_TRUE(t.c().recv_for(5s));
  }
}

// The synchronous timer channels of Go 1.23.
GO_TEST(Timer, NoStaleValueAfterStopOrReset) {
  gort::timer t{1ms};
  auto c = t.c();
  gort::sleep(4ms);
  EXPECT_TRUE(t.stop()) << "it has fired, but nobody has received";
  EXPECT_FALSE(c.try_recv());
  t.reset(1ms);
  gort::sleep(4ms);
  const auto again = clock::now();
  EXPECT_TRUE(t.reset(2ms));
  const auto at = c.recv();
  EXPECT_GE(*at, again + 2ms) << "the value of the earlier expiry";
}

GO_TEST(Timer, NoStaleValueUnderRace) {
  std::mt19937_64 rnd(chantest::seed());
  gort::timer t{1ns};
  auto c = t.c();
  for (int i = 0; i < 3000; ++i) {
    t.reset(std::chrono::nanoseconds(rnd() % 3000));
    if (rnd() % 2 == 0) gort::yield();
    for (auto spin = rnd() % 2000; spin > 0; --spin) std::atomic_signal_fence(std::memory_order_seq_cst);
    t.stop();
    ASSERT_FALSE(c.try_recv());
    gort::yield();
    ASSERT_FALSE(c.try_recv());
  }
}

GO_TEST(Timer, MayBeStoppedWhileAnotherGoroutineAsksForTheChannel) {
  for (int i = 0; i < 500; ++i) {
    gort::timer t{10s};
    gort::recv_chan<clock::time_point> c;
    bool stopped = false;
    gort::wait_group wg;
    wg.go([&] { c = t.c(); });
    wg.go([&] { stopped = t.stop(); });
    wg.wait();
    ASSERT_TRUE(stopped);
    ASSERT_FALSE(t.stop());
  }
}

GO_TEST(Timer, DestructorStopsAndTheChannelStaysUsable) {
  gort::recv_chan<clock::time_point> c;
  {
    gort::timer t{2ms};
    c = t.c();
    gort::timer moved = std::move(t);
    EXPECT_EQ(moved.c(), c);
  }
  EXPECT_FALSE(c.recv_for(6ms));
}

GO_TEST(Timer, WorksInSelect) {
  gort::timer t{2ms};
  auto never = gort::make_chan<int>();
  gort::recv_case fired{t.c()};
  gort::recv_case other{never};
  EXPECT_TRUE(gort::select(fired, other) == fired);
}

// In virtual time, where nothing else is late.
TEST(Timer, SlackDelaysByLessThanItself) {
  gort::sim::run({.seed = 7}, [] {
    std::set<clock::duration> seen;
    for (int i = 0; i < 40; ++i) {
      gort::sleep(i * 130us);
      const auto begin = clock::now();
      gort::timer t{1ms, {.slack = 5ms}};
      const auto late = *t.c().recv() - begin - 1ms;
      EXPECT_GE(late, 0ms);
      EXPECT_LT(late, 5ms);
      seen.insert(late);
    }
    EXPECT_GT(seen.size(), 10u) << "it depends on when it was asked";
  });
}

// wakeUps counts the moments at which any of five hundred tickers of 20 ms ticks, fifteen times each.
std::size_t wakeUps(clock::duration slack) {
  std::set<clock::time_point> moments;
  gort::sim::run({.seed = 11}, [&] {
    gort::wait_group wg;
    for (int i = 0; i < 500; ++i) {
      wg.go([&] {
        gort::ticker t{20ms, {.slack = slack}};
        for (int k = 0; k < 15; ++k) {
          (void)t.c().recv();
          moments.insert(clock::now());
        }
      });
      gort::sleep(37us);
    }
    wg.wait();
  });
  return moments.size();
}

TEST(Timer, SlackLetsManyShareFewWakeUps) {
  EXPECT_GT(wakeUps(-1ns), 5000u);
  EXPECT_LE(wakeUps(10ms), 35u);
}

// TestAfterQueuing, without its order: a busy machine may serve two that are both late in any order.
GO_TEST(After, AllFireNoneEarly) {
  auto result = gort::make_chan<int>(8);
  gort::wait_group wg;
  const auto begin = clock::now();
  for (const int slot : {5, 3, 6, 2, 1, 4}) {
    wg.go([=] {
      const auto at = gort::after(std::chrono::milliseconds(slot)).recv();
      result.send(at && *at - begin >= std::chrono::milliseconds(slot) ? slot : 0);
    });
  }
  wg.wait();
  int sum = 0;
  for (int i = 1; i <= 6; ++i) sum += *result.recv();
  EXPECT_EQ(sum, 21);
}

GO_TEST(After, UnheardOnesAreCollected) {
  for (int i = 0; i < 1000; ++i) (void)gort::after(std::chrono::microseconds(i));
  gort::sleep(3ms);
  (void)gort::after(1us).recv();
}

// ---- after_func

// TestAfterFunc: each run starts the next.
GO_TEST(AfterFunc, RunsOnItsOwnGoroutine) {
  auto done = gort::make_chan<>();
  int left = 10;
  std::function<void()> step = [&] {
    if (--left >= 0) {
      gort::after_func(0ms, [&] { step(); }).detach();
      gort::sleep(100us);  // f may park
    } else {
      done.close();
    }
  };
  auto t = gort::after_func(0ms, [&] { step(); });
  EXPECT_TRUE(done.recv_for(10s).closed());
  EXPECT_FALSE(t.c()) << "it has no channel";
  settle();
}

GO_TEST(AfterFunc, StoppedInTimeItDoesNotRun) {
  std::atomic<int> n{0};
  auto t = gort::after_func(10s, [&] { ++n; });
  EXPECT_TRUE(t.stop());
  EXPECT_FALSE(t.stop());
  {
    auto dropped = gort::after_func(1ms, [&] { ++n; });
  }
  gort::sleep(5ms);
  EXPECT_EQ(n, 0);
  EXPECT_FALSE(t.reset(1us));
  while (n == 0) gort::sleep(100us);
  EXPECT_FALSE(t.stop());
}

GO_TEST(AfterFunc, FunctionOutlivesADroppedTimerWhileItRuns) {
  auto started = gort::make_chan<>(), finish = gort::make_chan<>(), finished = gort::make_chan<>();
  auto alive = std::make_shared<int>(1);
  std::weak_ptr<int> watch = alive;
  {
    auto t = gort::after_func(0ms, [=, alive = std::move(alive)] {
      started.close();
      (void)finish.recv();
      EXPECT_EQ(*alive, 1);
      finished.close();
    });
    (void)started.recv();
  }
  finish.close();
  (void)finished.recv();
  for (int i = 0; i < 1000 && !watch.expired(); ++i) gort::yield();
  EXPECT_TRUE(watch.expired());
}

GO_TEST(AfterFunc, DetachedClosureIsDestroyedAfterItsRun) {
  auto alive = std::make_shared<int>(1);
  std::weak_ptr<int> watch = alive;
  gort::after_func(1ms, [alive = std::move(alive)] {}).detach();
  for (int i = 0; i < 1000 && !watch.expired(); ++i) gort::sleep(100us);
  EXPECT_TRUE(watch.expired());
}

// ---- ticker

// TestTicker, with tolerance for a busy machine: at least ten ticks, none early.
GO_TEST(Ticker, TicksAtMultiples) {
  const auto begin = clock::now();
  gort::ticker t{1ms};
  for (int i = 1; i <= 10; ++i) {
    const auto at = t.c().recv();
    ASSERT_TRUE(at);
    EXPECT_GE(*at - begin, i * 1ms);
  }
  t.stop();
  EXPECT_FALSE(t.c().recv_for(4ms));
}

GO_TEST(Ticker, DropsTicksForASlowReceiver) {
  gort::ticker t{1ms};
  auto c = t.c();
  gort::sleep(10ms);
  EXPECT_TRUE(c.try_recv());
  EXPECT_FALSE(c.try_recv());
}

GO_TEST(Ticker, ResetChangesTheInterval) {
  gort::ticker t{10s};
  t.reset(1ms);
  EXPECT_TRUE(t.c().recv_for(5s));
  EXPECT_TRUE(t.c().recv_for(5s));
  t.reset(10s);
  EXPECT_FALSE(t.c().recv_for(3ms));
}

// TestNewTickerLtZeroDuration, TestTickerResetLtZeroDuration
GO_TEST(Ticker, NonPositiveIntervalPanics) {
  EXPECT_EQ(panicOf([] { gort::ticker t{-1s}; }), "non-positive interval for NewTicker");
  EXPECT_EQ(panicOf([] { gort::ticker t{0s}; }), "non-positive interval for NewTicker");
  gort::ticker t{1s};
  EXPECT_EQ(panicOf([&] { t.reset(0s); }), "non-positive interval for Ticker.Reset");
}

GO_TEST(Ticker, RangeForReceivesTicks) {
  gort::ticker t{500us};
  int n = 0;
  auto c = t.c();
  for (auto at : c) {
    (void)at;
    if (++n == 5) break;
  }
  EXPECT_EQ(n, 5);
}

}  // namespace

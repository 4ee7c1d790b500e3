// SPDX-License-Identifier: Apache-2.0
// One seed, one schedule: gort::sim as sentences. Whole programs under GODEBUG=sim=SEED are in tests/sim.
#include <gort/gort.hpp>
#include <gort/sim.hpp>
#include <gort/timer.hpp>

#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lang/chan_util.hpp"

namespace {

using namespace std::chrono_literals;

// What a run did, as a text; every line depends on the schedule.
struct Log {
  std::string text;
  void add(char who, int what) { text += who + std::to_string(what) + ' '; }
};

// Channels, select, timers, mutexes and goroutines, all in one.
void mixedWorkload(Log& log) {
  auto c = gort::make_chan<int>(2);
  auto d = gort::make_chan<int>();
  gort::mutex mu;
  gort::wait_group wg;
  for (int g = 0; g < 4; ++g) {
    wg.go([&, g] {
      for (int i = 0; i < 3; ++i) {
        if (g % 2 == 0) {
          c.send(g * 10 + i);
        } else {
          d.send(g * 10 + i);
        }
        std::lock_guard l{mu};
        log.add('s', g);
      }
    });
  }
  wg.go([&] {
    gort::recv_case a{c};
    gort::recv_case b{d};
    gort::timeout_case late{1ms};
    for (int n = 0; n < 12;) {
      const auto hit = gort::select(a, b, late);
      if (hit == late) continue;
      log.add(hit == a ? 'a' : 'b', hit == a ? *a : *b);
      ++n;
    }
  });
  wg.go([&] {
    gort::ticker t{10ms};
    for (int i = 0; i < 3; ++i) {
      (void)t.c().recv();
      std::lock_guard l{mu};
      log.add('t', i);
    }
  });
  for (int i = 0; i < 3; ++i) {
    wg.go([&, i] {
      gort::sleep(std::chrono::milliseconds(i % 2 == 0 ? 5 : 7));
      gort::yield();
      std::lock_guard l{mu};
      log.add('z', i);
    });
  }
  wg.wait();
}

std::pair<std::uint64_t, std::string> runOnce(std::uint64_t seed) {
  std::uint64_t hash = 0;
  Log log;
  gort::sim::run({.seed = seed}, [&] {
    mixedWorkload(log);
    hash = gort::sim::trace_hash();
  });
  return {hash, log.text};
}

TEST(Sim, TheSameSeedGivesTheSameScheduleAThousandTimes) {
  std::set<std::uint64_t> hashes;
  std::set<std::string> texts;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    const auto first = runOnce(seed);
    const auto second = runOnce(seed);
    ASSERT_EQ(first.first, second.first) << "seed " << seed << "\n" << first.second << "\n" << second.second;
    ASSERT_EQ(first.second, second.second) << "seed " << seed;
    hashes.insert(first.first);
    texts.insert(first.second);
  }
  EXPECT_GT(hashes.size(), 950U) << "seeds must differ in what they do";
  EXPECT_GT(texts.size(), 300U);
}

TEST(Sim, InsideARunTheSameSeedGivesTheSameScheduleToo) {
  gort::block_on([] {
    gort::sleep(
        2ms);  // the thread that waits for us is a foreign one: out of sim's reach until it has gone to sleep
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      const auto first = runOnce(seed);
      const auto second = runOnce(seed);
      ASSERT_EQ(first.second, second.second) << "seed " << seed;
    }
  });
}

TEST(Sim, HoursPassAtOnce) {
  const auto real = std::chrono::steady_clock::now();
  gort::sim::run({.seed = 42}, [] {
    const auto begin = gort::clock::now();
    const auto wall = gort::wall_clock::now();
    gort::sleep(1000h);
    EXPECT_EQ(gort::clock::now() - begin, 1000h) << "to the nanosecond";
    EXPECT_EQ(gort::wall_clock::now() - wall, 1000h);
    auto ctx = gort::with_timeout(gort::background(), 1h);
    auto t = gort::spawn([&] {
      (void)ctx.done().recv();
      return gort::clock::now();
    });
    const auto start = gort::clock::now();
    EXPECT_EQ(t.join() - start, 1h);
  });
  EXPECT_LT(std::chrono::steady_clock::now() - real, 5s);
}

TEST(Sim, TimeStandsStillWhileAnybodyCanRun) {
  gort::sim::run({.seed = 3}, [] {
    const auto begin = gort::clock::now();
    for (int i = 0; i < 1000; ++i) gort::yield();
    gort::spawn([] {}).join();
    EXPECT_EQ(gort::clock::now(), begin);
  });
}

TEST(Sim, TheClockStartsAtTheSameMomentEachTime) {
  gort::clock::time_point a, b;
  gort::sim::run({.seed = 1}, [&] { a = gort::clock::now(); });
  gort::sleep(2ms);
  gort::sim::run({.seed = 2}, [&] { b = gort::clock::now(); });
  EXPECT_EQ(a, b);
}

TEST(Sim, TheClockIsRealAgainAfterwards) {
  gort::sim::run({.seed = 1}, [] { gort::sleep(24h); });
  const auto t = gort::clock::now();
  EXPECT_LT(std::chrono::abs(std::chrono::steady_clock::now().time_since_epoch() - t.time_since_epoch()),
            10s);
}

TEST(Sim, EveryOrderOfTwoGoroutinesHappensForSomeSeed) {
  std::set<std::string> orders;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    gort::sim::run({.seed = seed}, [&] {
      std::string order;
      {
        gort::wait_group wg;
        for (const char c : {'a', 'b', 'c'}) wg.go([&, c] { order += c; });
      }
      orders.insert(order);
    });
  }
  EXPECT_EQ(orders.size(), 6U) << "all permutations of three";
}

TEST(Sim, WaitReturnsWhenAllOthersAreBlocked) {
  gort::sim::run({.seed = 5}, [] {
    int steps = 0;
    gort::wait_group wg;
    auto gate = gort::make_chan();
    wg.go([&] {
      for (int i = 0; i < 10; ++i) {
        gort::yield();
        ++steps;
      }
      (void)gate.recv();
      ++steps;
    });
    const auto begin = gort::clock::now();
    gort::sim::wait();
    EXPECT_EQ(steps, 10);
    EXPECT_EQ(gort::clock::now(), begin);
    gate.close();
    gort::sim::wait();
    EXPECT_EQ(steps, 11);
  });
}

TEST(Sim, GoroutinesLeftOverFailTheRun) {
  const std::string text = gort::block_on([] {
    return chantest::panicOf(
        [] { gort::sim::run({.seed = 1}, [] { gort::go({.name = "forgotten"}, [] { gort::select(); }); }); });
  });
  EXPECT_NE(text.find("goroutines left at its end"), std::string::npos) << text;
  EXPECT_NE(text.find("forgotten"), std::string::npos) << text;
  EXPECT_NE(text.find("sim_test.cpp"), std::string::npos) << text;
}

TEST(Sim, AnExceptionComesOut) {
  EXPECT_THROW(gort::sim::run({.seed = 1}, [] { throw std::runtime_error("out"); }), std::runtime_error);
  EXPECT_EQ(runOnce(7), runOnce(7)) << "and the next run is in order";
}

}  // namespace

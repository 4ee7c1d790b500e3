// SPDX-License-Identifier: Apache-2.0
// Start and end of the runtime: run, block_on, configure, shutdown.
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>

#include "lang/chan_util.hpp"

namespace {

using namespace std::chrono_literals;

TEST(Run, ReturnsTheMainGoroutinesResult) {
  EXPECT_EQ(gort::run([] {}), 0);
  EXPECT_EQ(gort::run([] { return 7; }), 7);
  EXPECT_EQ(gort::run([]() -> gort::error { return {}; }), 0);
}

TEST(Run, AReturnedErrorIsPrintedAndStatusOne) {
  testing::internal::CaptureStderr();
  const int code = gort::run([]() -> gort::error { return gort::error("disk full").wrap("save"); });
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "save: disk full\n");
  EXPECT_EQ(code, 1);
}

TEST(Run, MainIsAGoroutineWithDeferAndPanic) {
  EXPECT_EQ(gort::run([] {
              EXPECT_NE(gort::runtime::goid(), 0U);
              EXPECT_EQ(chantest::panicOf([] { gort::panic("x"); }), "x");
              return 3;
            }),
            3);
  EXPECT_EQ(gort::runtime::goid(), 0U);
}

TEST(Run, ManyTimesInARow) {
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(gort::run([i] {
                auto c = gort::make_chan<int>();
                gort::go([=] { c.send(i); });
                gort::sleep(10us);
                const int got = c.recv().value_or(-1);
                while (gort::runtime::num_goroutine() > 1)
                  gort::yield();  // frozen, it would keep its handle for ever
                return got;
              }),
              i);
  }
}

TEST(Run, InsideRunPanics) {
  std::string text;
  gort::run([&] { text = chantest::panicOf([] { gort::run([] {}); }); });
  EXPECT_NE(text.find("inside"), std::string::npos) << text;
}

// Whoever is in the kernel when run ends does not come back either.
TEST(Run, ABlockingCallThatEndsLaterIsFrozenToo) {
  static std::atomic<bool> in{false}, came_back{false};
  gort::run([] {
    gort::go([] {
      gort::blocking([] {
        in = true;
        std::this_thread::sleep_for(50ms);
      });
      came_back = true;
    });
    while (!in) gort::sleep(1ms);
  });
  std::this_thread::sleep_for(100ms);
  EXPECT_FALSE(came_back);
  gort::run([] { gort::sleep(20ms); });
  EXPECT_FALSE(came_back);
}

// What is left behind gets no processor any more: static destructors run alone.
TEST(Run, OtherGoroutinesAreFrozenAtTheEnd) {
  static std::atomic<long> ticks{0};
  gort::run([] {
    for (int i = 0; i < 4; ++i) {
      gort::go([] {
        for (;;) {
          ++ticks;
          gort::yield();
        }
      });
    }
    gort::go([] {
      for (;;) {
        ++ticks;
        gort::sleep(1ms);
      }
    });
    gort::sleep(20ms);
  });
  const long returned = ticks;
  std::this_thread::sleep_for(20ms);
  const long at_end = ticks;
  EXPECT_GT(returned, 0);
  EXPECT_LE(at_end - returned, 5) << "one that was preempted goes on, but no further than its next call";
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(ticks, at_end);
  gort::run([] { gort::sleep(20ms); });
  EXPECT_EQ(ticks, at_end) << "a later run does not wake them";
}

TEST(Run, MaxProcsOfTheOptionsHolds) {
  EXPECT_EQ(gort::run({.max_procs = 3}, [] { return gort::runtime::max_procs(); }), 3);
  EXPECT_EQ(gort::run({.max_procs = 1}, [] { return gort::runtime::max_procs(); }), 1);
}

TEST(Run, MainMayEndOnAnotherThread) {
  for (int i = 0; i < 50; ++i) {
    gort::run([] {
      for (int k = 0; k < 4; ++k) gort::go([] { gort::yield(); });
      gort::sleep(50us);
      gort::blocking([] { std::this_thread::sleep_for(100us); });
    });
  }
}

TEST(Run, FromAnotherThreadThanBefore) {
  gort::run([] {});
  int code = 0;
  std::thread([&] { code = gort::run([] { return 5; }); }).join();
  EXPECT_EQ(code, 5);
  EXPECT_EQ(gort::run([] { return 6; }), 6);
}

TEST(BlockOn, ReturnsValuesAndExceptionsToAThread) {
  EXPECT_EQ(gort::block_on([] { return std::string("value"); }), "value");
  EXPECT_THROW(gort::block_on([] { throw std::runtime_error("x"); }), std::runtime_error);
  int n = 0;
  gort::block_on([&] { n = 1; });
  EXPECT_EQ(n, 1);
}

TEST(BlockOn, OnAGoroutineIsACall) {
  gort::block_on([] {
    const auto id = gort::runtime::goid();
    EXPECT_EQ(gort::block_on([] { return gort::runtime::goid(); }), id);
  });
}

TEST(Configure, IsTooLateAfterTheFirstUse) {
  gort::block_on([] {});
  EXPECT_FALSE(gort::configure({.max_procs = 1}));
}

TEST(Shutdown, WaitsAndSaysHowManyAreLeft) {
  auto gate = gort::make_chan();
  for (int i = 0; i < 3; ++i) gort::go([=] { (void)gate.recv(); });
  const gort::error left = gort::shutdown(20ms);
  ASSERT_TRUE(left);
  EXPECT_NE(left.message().find("3 goroutines"), std::string::npos) << left.message();
  gate.close();
  EXPECT_FALSE(gort::shutdown(5s));
}

TEST(Shutdown, OnAGoroutineIsAnError) {
  gort::block_on([] { EXPECT_TRUE(gort::shutdown(1ms)); });
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// The runtime's own Mutex and Note on real threads. Ideas from Go's runtime/lock_test.go and futex_test.go.
#include <gort/gort.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/check.hpp"
#include "os/os_linux.hpp"
#include "os/vdso.hpp"
#include "arch/getg.hpp"
#include "schema/runtime2.hpp"

namespace {

namespace rt = gort::rt;
constexpr rt::int64 kMs = 1000000;

class Lock : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    gort::block_on([] {});
  }  // boots: kernel features are known from here on
};

TEST_F(Lock, MutexKeepsOthersOut) {
  rt::Mutex mu;
  rt::int64 n = 0;  // plain: lost updates show
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100000; ++i) {
        rt::lock(mu);
        ++n;
        rt::unlock(mu);
      }
    });
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(n, 400000);
  EXPECT_FALSE(mu.heldNow());
}

// Note [Asymmetric unlock]: a sleeper is always woken. A lost wake-up would hang here.
TEST_F(Lock, ASleepingWaiterIsAlwaysWoken) {
  rt::Mutex mu;
  std::atomic<int> turns{0};
  auto body = [&] {
    for (int i = 0; i < 2000; ++i) {
      rt::lock(mu);
      ++turns;
      if (i % 16 == 0) rt::os::usleep(1);  // held long enough for the other to go to sleep
      rt::unlock(mu);
    }
  };
  std::thread a(body), b(body), c(body);
  a.join();
  b.join();
  c.join();
  EXPECT_EQ(turns, 6000);
}

TEST_F(Lock, TryLockSaysWhetherItTook) {
  rt::Mutex mu;
  EXPECT_TRUE(mu.tryLock());
  EXPECT_FALSE(mu.tryLock());
  mu.unlock();
  EXPECT_TRUE(mu.tryLock());
  mu.unlock();
}

TEST_F(Lock, ANoteRemembersAnEarlyWakeup) {
  rt::Note n;
  rt::notewakeup(n);
  rt::notesleep(n);
  EXPECT_TRUE(n.woken());
  rt::noteclear(n);
  EXPECT_FALSE(n.woken());
  EXPECT_FALSE(rt::notetsleep(n, 0));
}

// Origin: TestFutexsleep: a time-out is neither early nor for ever.
TEST_F(Lock, ANoteTimesOut) {
  rt::Note n;
  const auto begin = rt::os::nanotime();
  EXPECT_FALSE(rt::notetsleep(n, 20 * kMs));
  const auto took = rt::os::nanotime() - begin;
  EXPECT_GE(took, 20 * kMs);
  EXPECT_LT(took, 5000 * kMs);
}

TEST_F(Lock, ANoteWakesItsSleeperManyTimes) {
  rt::Note ping, pong;
  std::thread t([&] {
    for (int i = 0; i < 5000; ++i) {
      rt::notesleep(ping);
      rt::noteclear(ping);
      rt::notewakeup(pong);
    }
  });
  for (int i = 0; i < 5000; ++i) {
    rt::notewakeup(ping);
    ASSERT_TRUE(rt::notetsleep(pong, 10000 * kMs)) << "lost wake-up in turn " << i;
    rt::noteclear(pong);
  }
  t.join();
}

TEST_F(Lock, HoldingALockForbidsPreemption) {
  gort::block_on([] {
    rt::Mutex mu;
    rt::M* mp = rt::getg()->m;
    const auto before = mp->locks;
    rt::lock(mu);
    EXPECT_EQ(mp->locks, before + 1);
    rt::unlock(mu);
    EXPECT_EQ(mp->locks, before);
  });
}

#if GORT_DEBUG
// Debug builds hold every lock() against the ranks of docs/locks.dag.
constinit rt::Mutex outer{rt::LockRank::sched}, inner{rt::LockRank::persistent};

TEST(LockRankDeathTest, ALowerRankUnderAHigherOneEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  gort::block_on([] {  // the right way round is silent
    rt::lock(outer);
    rt::lock(inner);
    rt::unlock(inner);
    rt::unlock(outer);
  });
  EXPECT_EXIT(gort::block_on([] {
                rt::lock(inner);
                rt::lock(outer);
              }),
              testing::ExitedWithCode(2), "taken while holding rank .*fatal error: lock ordering problem");
}

TEST(LockRankDeathTest, TheSameRankTwiceEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  static constinit rt::Mutex other{rt::LockRank::sched};
  EXPECT_EXIT(gort::block_on([] {
                rt::lock(outer);
                rt::lock(other);
              }),
              testing::ExitedWithCode(2), "fatal error: lock ordering problem");
}

TEST(LockRankDeathTest, UnlockingWhatOneDoesNotHoldEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(gort::block_on([] { rt::unlock(outer); }), testing::ExitedWithCode(2),
              "fatal error: runtime: unlock of a lock that this thread does not hold");
}
#endif

}  // namespace

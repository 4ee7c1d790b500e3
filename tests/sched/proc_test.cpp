// SPDX-License-Identifier: Apache-2.0
// The scheduler seen from outside: progress, fairness, locked threads, GOMAXPROCS, stopping the world, reuse of goroutines.
// Ideas from Go's runtime/proc_test.go, in our own words; the origin stands at each test.
#include "sched/proc.hpp"

#include <gort/gort.hpp>
#include <gort/runtime.hpp>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "lang/chan_util.hpp"
#include "sched/proc_internal.hpp"

namespace {

using namespace std::chrono_literals;
namespace rt = gort::rt;

// Procs sets GOMAXPROCS for a scope.
class Procs {
 public:
  explicit Procs(int n) : was_(gort::runtime::max_procs(n)) {}
  ~Procs() { gort::runtime::max_procs(was_); }
  Procs(const Procs&) = delete;
  Procs& operator=(const Procs&) = delete;

 private:
  int was_;
};

// Origin: TestYieldProgress, TestYieldLocked. Who yields all the time lets others run.
void yieldProgress(bool locked) {
  auto done = gort::make_chan<bool>();
  gort::go([=] {
    std::unique_ptr<gort::runtime::os_thread_lock> lock;
    if (locked) lock = std::make_unique<gort::runtime::os_thread_lock>();
    for (int i = 0; i < 10; ++i) gort::sleep(1ms);
    done.send(true);
  });
  gort::default_case not_yet;
  gort::recv_case end{done};
  while (gort::select(end, not_yet) == not_yet) gort::yield();
}
GO_TEST(Proc, YieldingLetsOthersRun) { yieldProgress(false); }
GO_TEST(Proc, YieldingLetsALockedGoroutineRun) { yieldProgress(true); }
GO_TEST(Proc, YieldingLetsOthersRunOnOneProcessor) {
  Procs one(1);
  yieldProgress(false);
  yieldProgress(true);
}

// Origin: TestGoroutineParallelism. As many goroutines as processors run at the same time: each spins for its turn.
GO_TEST(Proc, GoroutinesRunInParallel) {
  constexpr unsigned kProcs = 2;
  Procs procs(kProcs);
  for (int round = 0; round < 5; ++round) {
    std::atomic<unsigned> turn{0};
    gort::wait_group wg;
    for (unsigned p = 0; p < kProcs; ++p) {
      wg.go([&, p] {
        for (unsigned i = 0; i < 200; ++i) {
          while (turn % kProcs != p)
            std::this_thread::yield();  // the thread's, not ours: nobody can take over
          ++turn;
        }
      });
    }
    wg.wait();
    EXPECT_EQ(turn, 200 * kProcs);
  }
}

// Origin: TestBlockLocked.
GO_TEST(Proc, ALockedGoroutineMayBlock) {
  auto c = gort::make_chan<bool>();
  gort::go([=] {
    gort::runtime::os_thread_lock lock;
    for (int i = 0; i < 10; ++i) c.send(true);
    c.close();
  });
  int n = 0;
  while (c.recv()) ++n;
  EXPECT_EQ(n, 10);
}

GO_TEST(Proc, ALockedGoroutineStaysOnItsThread) {
  gort::wait_group wg;
  std::atomic<bool> moved{false};
  for (int g = 0; g < 4; ++g) {
    wg.go([&] {
      gort::runtime::os_thread_lock outer;
      const auto mine = ::gettid();
      for (int i = 0; i < 50; ++i) {
        if (i % 3 == 0) gort::sleep(100us);
        gort::yield();
        gort::runtime::os_thread_lock inner;  // counted: leaving the inner scope does not unlock
        if (::gettid() != mine) moved = true;
      }
      if (::gettid() != mine) moved = true;
      if (rt::getg()->lockedm != rt::getg()->m) moved = true;
    });
  }
  for (int i = 0; i < 200; ++i) {
    gort::yield();
    gort::go([] {});
  }
  wg.wait();
  EXPECT_FALSE(moved);
}

GO_TEST(Proc, LockingIsCounted) {
  rt::G* gp = rt::getg();
  {
    gort::runtime::os_thread_lock a;
    {
      gort::runtime::os_thread_lock b;
      EXPECT_EQ(gp->lockedm, gp->m);
    }
    EXPECT_EQ(gp->lockedm, gp->m);
  }
  EXPECT_EQ(gp->lockedm, nullptr);
}

// Differs from Go, which ends the thread: a goroutine that ends locked leaves its thread usable.
GO_TEST(Proc, EndingWhileLockedUnlocks) {
  for (int i = 0; i < 50; ++i) {
    gort::spawn([] {
      rt::lockOSThread();
      gort::yield();
    }).join();
  }
  gort::spawn([] { EXPECT_EQ(rt::getg()->m->lockedg, nullptr); }).join();
  EXPECT_LT(rt::mcount(), 30) << "threads are used again";
}

// Origin: TestTimerFairness. Goroutines that yield for ever do not hold up a timer.
GO_TEST(Proc, TimersFireWhileOthersYield) {
  for (const int procs : {1, 2}) {
    Procs p(procs);
    std::atomic<bool> stop{false};
    gort::wait_group wg;
    for (int i = 0; i < 2; ++i) {
      wg.go([&] {
        while (!stop) gort::yield();
      });
    }
    const auto begin = gort::clock::now();
    gort::sleep(20ms);
    stop = true;
    wg.wait();
    EXPECT_LT(gort::clock::now() - begin, 5s);
  }
}

// Origin: TestTimerFairness2: the busy ones exchange messages instead.
GO_TEST(Proc, TimersFireWhileOthersExchangeMessages) {
  Procs p(1);
  auto c = gort::make_chan<int>(1);
  auto quit = gort::make_chan();
  gort::wait_group wg;
  for (int i = 0; i < 2; ++i) {
    wg.go([=] {
      gort::recv_case get{c};
      gort::send_case put{c, 1};
      gort::recv_case end{quit};
      while (gort::select(get, put, end) != end) put.arm(1);
    });
  }
  gort::sleep(20ms);
  quit.close();
}

// After a time when everything was idle the monitor sleeps deeply; a busy goroutine must still be asked to give way.
GO_TEST(Proc, TimersFireWhenABusyTimeFollowsAnIdleOne) {
  Procs p(1);
  gort::sleep(100ms);
  auto c = gort::make_chan<int>(1);
  std::atomic<bool> stop{false};
  const auto begin = gort::clock::now();
  const auto timer = gort::after_func(10ms, [&] { stop = true; });
  while (!stop && gort::clock::now() - begin < 5s) {
    c.send(1);
    (void)c.recv();
  }
  EXPECT_LT(gort::clock::now() - begin, 3s);
}

// Origin: TestPingPongHog. Two goroutines that keep readying each other run in one another's time slice (runnext); a third
// one that only computes between yields must get its share all the same.
GO_TEST(Proc, APingPongPairDoesNotStarveAThird) {
  Procs one(1);
  std::atomic<bool> stop{false};
  std::atomic<int> third{0};
  auto ping = gort::make_chan<int>();
  auto pong = gort::make_chan<int>();
  gort::wait_group wg;
  wg.go([&] {
    for (int n : ping) pong.send(n);
    pong.close();
  });
  wg.go([&] {
    while (!stop) {
      ping.send(1);
      (void)pong.recv();
    }
    ping.close();
  });
  wg.go([&] {
    while (!stop) {
      ++third;
      gort::yield();
    }
  });
  const auto end = gort::clock::now() + 5s;
  while (third < 5 && gort::clock::now() < end) gort::sleep(10ms);
  stop = true;
  EXPECT_GE(third, 5);
}

// The global queue is served although local ones are never empty. Origin: TestSchedFairness idea behind the 1/61 tick.
GO_TEST(Proc, TheGlobalQueueIsServedWhileLocalOnesAreBusy) {
  Procs one(1);
  std::atomic<bool> stop{false};
  gort::wait_group wg;
  for (int i = 0; i < 3; ++i) {
    wg.go([&] {
      while (!stop) gort::yield();
    });
  }
  auto overflow = gort::make_chan<int>(1000);
  for (int i = 0; i < 600; ++i)
    gort::go([=] { overflow.send(1); });  // more than a ring holds: half goes global
  for (int i = 0; i < 600; ++i) ASSERT_TRUE(overflow.recv_for(5s)) << i;
  stop = true;
}

// Origin: TestGoroutineCreation stress, TestGomaxprocs change in gcinfo tests: processors come and go under load.
GO_TEST(Proc, ProcessorsComeAndGoUnderLoad) {
  Procs restore(2);
  std::atomic<bool> stop{false};
  std::atomic<long> work{0};
  gort::wait_group wg;
  for (int i = 0; i < 20; ++i) {
    wg.go([&, i] {
      auto c = gort::make_chan<int>(1);
      while (!stop) {
        c.send(i);
        (void)c.recv();
        if (i % 4 == 0) gort::sleep(50us);
        gort::yield();
        ++work;
      }
    });
  }
  for (int n : {1, 4, 2, 8, 1, 3, 1, 16, 2}) {
    gort::runtime::max_procs(n);
    EXPECT_EQ(gort::runtime::max_procs(), n);
    const long before = work;
    const auto end = gort::clock::now() + 5s;
    while (work < before + 50 && gort::clock::now() < end) gort::sleep(1ms);
    EXPECT_GE(work, before + 50) << "with " << n;
  }
  stop = true;
}

GO_TEST(Proc, MaxProcsAnswersAndIgnoresNonsense) {
  const int now = gort::runtime::max_procs();
  EXPECT_GE(now, 1);
  EXPECT_EQ(gort::runtime::max_procs(0), now);
  EXPECT_EQ(gort::runtime::max_procs(-5), now);
  EXPECT_EQ(gort::runtime::max_procs(), now);
}

// Timers of processors that go away move to one that stays.
GO_TEST(Proc, TimersSurviveTheirProcessor) {
  Procs restore(8);
  gort::wait_group wg;
  std::atomic<int> slept{0};
  for (int i = 0; i < 100; ++i) {
    wg.go([&] {
      gort::sleep(30ms);
      ++slept;
    });
  }
  gort::sleep(2ms);
  gort::runtime::max_procs(1);
  wg.wait();
  EXPECT_EQ(slept, 100);
}

// Origin: TestStopTheWorldDeadlock. Several stop the world at once while others start goroutines and make system calls.
GO_TEST(Proc, StoppingTheWorldDoesNotDeadlock) {
  Procs p(3);
  std::atomic<bool> stop{false};
  gort::wait_group wg;
  for (int i = 0; i < 2; ++i) {
    wg.go([&] {
      while (!stop) EXPECT_FALSE(gort::runtime::stack(true).empty());
    });
  }
  wg.go([&] {
    for (int n = 0; !stop; ++n) gort::runtime::max_procs(2 + n % 3);
  });
  wg.go([&] {
    while (!stop) gort::spawn([] { gort::blocking([] { ::usleep(10); }); }).join();
  });
  wg.go([&] {
    while (!stop) gort::yield();
  });
  gort::sleep(200ms);
  stop = true;
}

GO_TEST(Proc, NumbersOfGoroutinesAreNeverUsedTwice) {
  gort::mutex mu;
  std::set<std::uint64_t> seen;
  gort::wait_group wg;
  constexpr std::size_t kGoroutines = 2000;
  for (std::size_t i = 0; i < kGoroutines; ++i) {
    wg.go([&] {
      const auto id = gort::runtime::goid();
      std::lock_guard l{mu};
      EXPECT_TRUE(seen.insert(id).second) << id;
    });
  }
  wg.wait();
  EXPECT_EQ(seen.size(), kGoroutines);
  EXPECT_EQ(seen.count(0), 0U);
}

// gfput and gfget: ended goroutines, their stacks included, are used again.
GO_TEST(Proc, EndedGoroutinesAreUsedAgain) {
  gort::spawn([] {}).join();
  const auto before = gort::runtime::stack_stats().slots;
  for (int i = 0; i < 5000; ++i) gort::spawn([] {}).join();
  EXPECT_LT(gort::runtime::stack_stats().slots - before, 1300U)
      << "a P may keep 1023 that the other one made";
  for (int round = 0; round < 20; ++round) {
    gort::wait_group wg;
    for (int i = 0; i < 500; ++i) wg.go([] { gort::yield(); });
  }
  // 500 at once, and one P may keep up to 1023 that the other one made.
  EXPECT_LT(gort::runtime::stack_stats().slots - before, 1600U);
}

GO_TEST(Proc, GoroutinesOfUnusualStackSizeAreUsedAgainToo) {
  const gort::go_options big{.stack = 4 << 20};
  gort::spawn(big, [] {}).join();
  const auto before = gort::runtime::stack_stats().slots;
  for (int i = 0; i < 300; ++i) gort::spawn(big, [] {}).join();
  EXPECT_LT(gort::runtime::stack_stats().slots - before, 10U);
}

GO_TEST(Proc, CountsLivingGoroutines) {
  chantest::settle();
  const auto before = gort::runtime::num_goroutine();
  auto gate = gort::make_chan();
  {
    gort::wait_group wg;
    for (int i = 0; i < 10; ++i) wg.go([=] { (void)gate.recv(); });
    EXPECT_EQ(gort::runtime::num_goroutine(), before + 10);
    gate.close();
  }
  chantest::settle();
  EXPECT_EQ(gort::runtime::num_goroutine(), before);
}

// blocking hands the processor over: others run while one is in the kernel.
GO_TEST(Proc, ABlockingCallDoesNotHoldItsProcessor) {
  Procs one(1);
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  auto reader = gort::spawn([&] {
    char c = 0;
    const auto n = gort::blocking([&] { return ::read(fds[0], &c, 1); });
    return n == 1 ? c : '?';
  });
  for (int i = 0; i < 100; ++i) gort::yield();
  gort::sleep(30ms);  // sysmon takes the processor back meanwhile
  ASSERT_EQ(::write(fds[1], "x", 1), 1);
  EXPECT_EQ(reader.join(), 'x');
  ::close(fds[0]);
  ::close(fds[1]);
}

// monitorSleeps is how often sysmon's thread has gone to sleep so far; -1: nobody tells.
long monitorSleeps() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name, line;
    std::getline(std::ifstream(task.path() / "comm"), name);
    std::ifstream status(task.path() / "status");
    while (name == "gort-sysmon" && std::getline(status, line)) {
      if (line.starts_with("voluntary_ctxt_switches:")) return std::stol(line.substr(line.find(':') + 1));
    }
  }
  return -1;
}

// It used to be put to sleep and woken once a millisecond. On a machine so busy that we stand still for milliseconds it may.
GO_TEST(Proc, TheMonitorIsNotPutToSleepInEveryGapOfWork) {
  if (monitorSleeps() < 0) GTEST_SKIP() << "no /proc/self/task here";
  std::string seen;
  for (int attempt = 0; attempt < 4; ++attempt) {
    const auto begin = gort::clock::now();
    const long before = monitorSleeps();
    for (int i = 0; i < 800; ++i) gort::sleep(200us);
    const long n = monitorSleeps() - before;
    const auto ms = (gort::clock::now() - begin) / 1ms;
    if (10 * n < 4 * ms) return;
    seen += std::to_string(n) + " in " + std::to_string(ms) + " ms; ";
  }
  ADD_FAILURE() << seen;
}

GO_TEST(Proc, ManyBlockingCallsAtOnce) {
  Procs one(1);
  const auto begin = gort::clock::now();
  gort::wait_group wg;
  for (int i = 0; i < 20; ++i) wg.go([] { gort::blocking([] { ::usleep(50000); }); });
  wg.wait();
  EXPECT_LT(gort::clock::now() - begin, 900ms)
      << "twenty times 50 ms, one after the other, would be a second";
}

TEST(Proc, AThreadMayDoEverything) {
  auto c = gort::make_chan<int>();
  std::thread t([=] {
    EXPECT_EQ(c.recv(), 7);
    gort::sleep(1ms);
    gort::mutex mu;
    std::lock_guard l{mu};
    EXPECT_NE(gort::runtime::goid(), 0U);
    gort::go([=] { c.send(8); });
    EXPECT_EQ(c.recv(), 8);
    gort::yield();
  });
  c.send(7);
  t.join();
}

TEST(Proc, ManyThreadsComeAndGo) {
  auto c = gort::make_chan<int>(4);
  std::atomic<long> sum{0};
  gort::go([=] {
    for (int i = 1; i <= 1000; ++i) c.send(i);
    c.close();
  });
  for (int round = 0; round < 10; ++round) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 10; ++i) sum += c.recv().value_or(0);
      });
    }
    for (auto& t : threads) t.join();
  }
  for (int n : c) sum += n;
  EXPECT_EQ(sum, 500500);
}

TEST(Proc, GoidIsZeroOnAThreadThatNeverCalled) {
  std::uint64_t id = 1;
  std::thread([&] { id = gort::runtime::goid(); }).join();
  EXPECT_EQ(id, 0U);
}

TEST(WaitReason, EveryReasonHasAText) {
  std::set<std::string> seen;
  for (int i = 1; i <= static_cast<int>(rt::WaitReason::lockedThread); ++i) {
    const std::string text = rt::waitReasonString(static_cast<rt::WaitReason>(i));
    EXPECT_FALSE(text.empty()) << i;
    EXPECT_TRUE(seen.insert(text).second) << text;
  }
  EXPECT_STREQ(rt::waitReasonString(static_cast<rt::WaitReason>(200)), "unknown wait reason");
}

// A batch from the global queue is a fair share, at most half a ring, and no more than asked for.  (Go: globrunqget)
struct Batch {
  rt::G* first;
  rt::int32 taken, ring;
};
Batch batchOf(rt::int32 size, rt::int32 max) {
  static rt::G gs[600];  // never run: they are in nobody's queue but these two
  static rt::P mine;
  Batch b{};
  rt::systemstack([&] {
    rt::lock(rt::sched.lock);
    const rt::GQueue kept = rt::sched.runq;
    const rt::int32 keptSize = rt::sched.runqsize.load();
    rt::sched.runq = {};
    for (rt::int32 i = 0; i < size; ++i) rt::sched.runq.push(&gs[i]);
    rt::sched.runqsize.store(size);
    b.first = rt::globrunqget(&mine, max);
    b.taken = size - rt::sched.runqsize.load();
    rt::sched.runq = kept;
    rt::sched.runqsize.store(keptSize);
    rt::unlock(rt::sched.lock);
    bool inherit;
    for (rt::int32 i = 1; rt::G* gp = mine.runq.get(&inherit); ++i) {
      ++b.ring;
      if (gp != &gs[i]) b.ring = -1000;  // out of order
    }
    if (b.first != nullptr && b.first != &gs[0]) b.ring = -1000;
  });
  return b;
}
GO_TEST(Proc, ABatchFromTheGlobalQueueIsAFairShare) {
  if (rt::chaosMode) GTEST_SKIP() << "run queues of four";
  constexpr auto kHalf = static_cast<rt::int32>(rt::kRunqSize / 2);
  EXPECT_EQ(batchOf(0, 0).first, nullptr);
  for (const int procs : {1, 2, 4}) {
    Procs p(procs);
    for (const rt::int32 size : {1, 2, 3, 7, 100, kHalf - 1, kHalf, kHalf + 1, 400, 600}) {
      for (const rt::int32 max : {0, 1, 5, 1000}) {
        rt::int32 want = std::min({size / procs + 1, size, kHalf});
        if (max > 0) want = std::min(want, max);
        const Batch b = batchOf(size, max);
        EXPECT_NE(b.first, nullptr);
        EXPECT_EQ(b.taken, want) << size << " of which at most " << max << ", " << procs << " processors";
        EXPECT_EQ(b.ring, want - 1) << "one is returned, the others are in our ring, in order";
      }
    }
  }
}

#if GORT_DEBUG
// Debug builds check each change of a status against Note [G status edges], and where GORT_SYSTEMSTACK functions run.
void dies(void (*what)(), const char* text) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(gort::block_on([=] { what(); }), testing::ExitedWithCode(2), text);
}

TEST(StatusDeathTest, AnEdgeThatDoesNotExistEndsTheProcess) {
  dies([] { rt::casgstatus(rt::getg(), rt::GStatus::Grunning, rt::GStatus::Gidle); },
       "fatal error: casgstatus: bad incoming values");
}

TEST(StatusDeathTest, AnEdgeFromAnotherStatusEndsTheProcess) {
  dies([] { rt::casgstatus(rt::getg(), rt::GStatus::Gwaiting, rt::GStatus::Grunnable); },
       "fatal error: casgstatus: unexpected status");
}

TEST(SystemstackDeathTest, ASystemstackFunctionOnAGoroutineEndsTheProcess) {
  dies([] { (void)rt::schedule(); }, "fatal error: runtime: not on the system stack");
}
#endif

}  // namespace

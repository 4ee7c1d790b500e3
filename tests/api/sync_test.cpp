// SPDX-License-Identifier: Apache-2.0
// mutex, rw_mutex, wait_group, once, cond, semaphore, guarded, pool: their rules as sentences. Ideas carried
// over, in our own words, from Go's sync/{mutex,rwmutex,waitgroup,once,oncefunc,cond,pool}_test.go and
// x/sync's semaphore_test.go.
#include <gort/sync.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "lang/chan_util.hpp"

namespace {

using chantest::panicOf;
using chantest::settle;
using namespace std::chrono_literals;

// Constant initialisation, and usable with the standard's guards.
[[maybe_unused]] constinit gort::mutex globalMutex;
[[maybe_unused]] constinit gort::rw_mutex globalRwMutex;
[[maybe_unused]] constinit gort::once globalOnce;
[[maybe_unused]] constinit gort::cond globalCond;
[[maybe_unused]] constinit gort::semaphore globalSemaphore{3};

// TestPeer: what the types must not be.
template <class T>
constexpr bool kImmovable = !std::is_copy_constructible_v<T> && !std::is_move_constructible_v<T>;
static_assert(kImmovable<gort::mutex> && kImmovable<gort::rw_mutex> && kImmovable<gort::wait_group>);
static_assert(kImmovable<gort::once> && kImmovable<gort::cond> && kImmovable<gort::semaphore>);
static_assert(sizeof(gort::mutex) == 8 && sizeof(gort::rw_mutex) == 8 && sizeof(gort::wait_group) == 16);

// ---- mutex

// HammerMutex
template <class M>
void hammer(M& m, int loops, long& counter) {
  for (int i = 0; i < loops; ++i) {
    if (i % 3 == 0) {
      if (m.try_lock()) m.unlock();
      continue;
    }
    m.lock();
    ++counter;
    m.unlock();
  }
}

GO_TEST(Mutex, ExcludesUnderContention) {
  gort::mutex m;
  long counter = 0;
  {
    gort::wait_group wg;
    for (int i = 0; i < 10; ++i) wg.go([&] { hammer(m, 3000, counter); });
  }
  EXPECT_EQ(counter, 10 * 2000);
}

GO_TEST(Mutex, TryLockFailsWhileLocked) {
  gort::mutex m;
  m.lock();
  EXPECT_FALSE(m.try_lock());
  m.unlock();
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

// TestMutexMisuse; here recoverable.
GO_TEST(Mutex, UnlockOfUnlockedPanicsAndLeavesItUsable) {
  gort::mutex m;
  EXPECT_EQ(panicOf([&] { m.unlock(); }), "sync: unlock of unlocked mutex");
  m.lock();
  m.unlock();
  EXPECT_EQ(panicOf([&] { m.unlock(); }), "sync: unlock of unlocked mutex");
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

GO_TEST(Mutex, AnotherGoroutineMayUnlock) {
  gort::mutex m;
  m.lock();
  gort::go([&] { m.unlock(); });
  m.lock();
  m.unlock();
}

// TestMutexFairness: one goroutine hogs, another still gets the lock ten times, thanks to starvation mode.
GO_TEST(Mutex, HogCannotStarveAWaiter) {
  gort::mutex m;
  std::atomic<bool> stop{false};
  gort::wait_group wg;
  wg.go([&] {
    while (!stop) {
      m.lock();
      gort::sleep(100us);
      m.unlock();
    }
  });
  auto done = gort::make_chan<>();
  wg.go([&] {
    for (int i = 0; i < 10; ++i) {
      gort::sleep(100us);
      m.lock();
      m.unlock();
    }
    done.close();
  });
  EXPECT_TRUE(done.recv_for(10s).closed()) << "can't acquire mutex in 10 seconds";
  stop = true;
  wg.wait();
}

GO_TEST(Mutex, TimedLockGivesUpInTime) {
  gort::mutex m;
  m.lock();
  const auto begin = gort::clock::now();
  EXPECT_FALSE(m.try_lock_for(3ms));
  EXPECT_GE(gort::clock::now() - begin, 3ms);
  EXPECT_FALSE(m.try_lock_until(begin));
  EXPECT_FALSE(m.try_lock_for(-1s));
  EXPECT_FALSE(m.try_lock_until(std::chrono::system_clock::now() + 1ms));
  m.unlock();
  EXPECT_TRUE(m.try_lock_for(-1s)) << "what needs no waiting succeeds";
  m.unlock();
}

GO_TEST(Mutex, ContextEndsTheWait) {
  gort::mutex m;
  m.lock();
  auto ctx = gort::with_cancel(gort::background());
  auto t = gort::spawn([&] { return m.lock(ctx) == gort::errc::canceled; });
  settle();
  ctx.cancel();
  EXPECT_TRUE(t.join());
  EXPECT_EQ(m.lock(ctx), gort::errc::canceled) << "a context that has ended";
  m.unlock();
  EXPECT_FALSE(m.lock(gort::background()));
  m.unlock();
}

GO_TEST(Mutex, WorksWithStandardGuards) {
  gort::mutex a, b;
  { std::scoped_lock both(a, b); }
  std::unique_lock l(a, 1ms);
  EXPECT_TRUE(l.owns_lock());
  std::unique_lock again(a, 1ms);
  EXPECT_FALSE(again.owns_lock());
}

// Waiters that give up against unlocks that have counted on them: no lock is lost, none is given twice.
GO_TEST(Mutex, GivingUpAgainstUnlockKeepsTheCount) {
  const auto seed = chantest::seed();
  gort::mutex m;
  long counter = 0, entered = 0;
  std::atomic<long> expected{0};
  {
    gort::wait_group wg;
    for (unsigned g = 0; g < 12; ++g) {
      wg.go([&, g] {
        std::mt19937_64 rnd(seed + g);
        for (int i = 0; i < 1500; ++i) {
          if (rnd() % 3 != 0) {
            if (!m.try_lock_for(std::chrono::nanoseconds(rnd() % 30000))) continue;
          } else {
            m.lock();
          }
          EXPECT_EQ(++entered, 1);
          ++counter;
          ++expected;
          if (rnd() % 4 == 0) gort::yield();
          if (rnd() % 200 == 0) gort::sleep(1100us);  // long enough for starvation mode
          --entered;
          m.unlock();
        }
      });
    }
  }
  EXPECT_EQ(counter, expected);
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

// "No access after publish": the object goes away as soon as the last lock() has returned.
GO_TEST(Mutex, MayBeDestroyedByTheLastHolder) {
  for (int i = 0; i < 2000; ++i) {
    auto m = std::make_unique<gort::mutex>();
    m->lock();
    gort::task<void> t = gort::spawn([p = m.get()] {
      p->lock();
      p->unlock();
      delete p;
    });
    if (i % 2 == 0) gort::yield();
    m.release()->unlock();
    t.join();
  }
}

TEST(MutexOnThreads, BlocksForeignThreads) {
  gort::mutex m;
  long counter = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { hammer(m, 2000, counter); });
  gort::block_on([&] { hammer(m, 2000, counter); });
  for (auto& t : threads) t.join();
  EXPECT_EQ(counter, 5 * 1333);
}

// ---- rw_mutex

// TestParallelReaders
GO_TEST(RwMutex, ReadersShare) {
  gort::rw_mutex m;
  constexpr int kReaders = 4;
  gort::chan<> locked = gort::make_chan<>(), unlock = gort::make_chan<>();
  gort::wait_group wg;
  for (int i = 0; i < kReaders; ++i) {
    wg.go([&] {
      m.lock_shared();
      locked.send();
      (void)unlock.recv();
      m.unlock_shared();
    });
  }
  for (int i = 0; i < kReaders; ++i) (void)locked.recv();
  EXPECT_FALSE(m.try_lock());
  EXPECT_TRUE(m.try_lock_shared());
  m.unlock_shared();
  unlock.close();
  wg.wait();
  EXPECT_TRUE(m.try_lock());
  EXPECT_FALSE(m.try_lock_shared());
  m.unlock();
}

// HammerRWMutex
void hammerRw(int readers, int loops) {
  gort::rw_mutex m;
  std::atomic<int> activity{0};
  gort::wait_group wg;
  auto writer = [&] {
    for (int i = 0; i < loops; ++i) {
      if (i % 4 == 1) {
        if (!m.try_lock()) continue;
      } else {
        m.lock();
      }
      EXPECT_EQ(activity.fetch_add(10000), 0);
      for (int k = 0; k < 20; ++k) std::atomic_signal_fence(std::memory_order_seq_cst);
      EXPECT_EQ(activity.fetch_sub(10000), 10000);
      m.unlock();
    }
  };
  auto reader = [&] {
    for (int i = 0; i < loops; ++i) {
      if (i % 4 == 1) {
        if (!m.try_lock_shared()) continue;
      } else {
        m.lock_shared();
      }
      const int n = ++activity;
      EXPECT_GE(n, 1);
      EXPECT_LT(n, 10000);
      if (i % 16 == 0) gort::yield();
      --activity;
      m.unlock_shared();
    }
  };
  wg.go(writer);
  for (int i = 0; i < readers / 2; ++i) wg.go(reader);
  wg.go(writer);
  for (int i = readers / 2; i < readers; ++i) wg.go(reader);
  wg.wait();
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}
GO_TEST(RwMutex, ExcludesUnderContention) {
  hammerRw(1, 1000);
  hammerRw(3, 1000);
  hammerRw(10, 1000);
}

GO_TEST(RwMutex, WaitingWriterKeepsNewReadersOutAndReadersGoBeforeTheNextWriter) {
  gort::rw_mutex m;
  std::vector<int> order;
  gort::mutex mu;
  auto note = [&](int i) {
    std::lock_guard l{mu};
    order.push_back(i);
  };
  m.lock_shared();
  gort::wait_group wg;
  auto writer = [&](int id) {
    std::lock_guard l{m};
    note(id);
    gort::sleep(1ms);
  };
  wg.go(writer, 1);
  settle();
  EXPECT_FALSE(m.try_lock_shared());
  for (int i = 0; i < 2; ++i) {
    wg.go([&] {
      std::shared_lock l{m};
      note(2);
    });
  }
  wg.go(writer, 3);
  settle();
  m.unlock_shared();
  wg.wait();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 2, 3}));
}

GO_TEST(RwMutex, MisusePanicsWithGosTexts) {
  gort::rw_mutex m;
  EXPECT_EQ(panicOf([&] { m.unlock(); }), "sync: Unlock of unlocked RWMutex");
  EXPECT_EQ(panicOf([&] { m.unlock_shared(); }), "sync: RUnlock of unlocked RWMutex");
  m.lock();
  EXPECT_EQ(panicOf([&] { m.unlock_shared(); }), "sync: RUnlock of unlocked RWMutex");
  m.unlock();
  m.lock_shared();
  EXPECT_EQ(panicOf([&] { m.unlock(); }), "sync: Unlock of unlocked RWMutex");
  m.unlock_shared();
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

GO_TEST(RwMutex, WriterThatGivesUpLetsReadersIn) {
  gort::rw_mutex m;
  m.lock_shared();
  gort::wait_group wg;
  std::atomic<bool> read{false};
  wg.go([&] { EXPECT_FALSE(m.try_lock_for(5ms)); });
  gort::sleep(1ms);
  wg.go([&] {
    m.lock_shared();
    read = true;
    m.unlock_shared();
  });
  wg.wait();
  EXPECT_TRUE(read);
  EXPECT_TRUE(m.try_lock_shared()) << "nobody waits any more";
  m.unlock_shared();
  m.unlock_shared();
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

GO_TEST(RwMutex, TimedAndContextForms) {
  gort::rw_mutex m;
  auto ctx = gort::with_timeout(gort::background(), 3ms);
  m.lock();
  EXPECT_FALSE(m.try_lock_shared_for(1ms));
  EXPECT_FALSE(m.try_lock_for(1ms));
  EXPECT_FALSE(m.try_lock_until(gort::clock::now()));
  EXPECT_FALSE(m.try_lock_shared_until(gort::clock::now() + 1ms));
  EXPECT_EQ(m.lock_shared(ctx), gort::errc::deadline_exceeded);
  EXPECT_EQ(m.lock(ctx), gort::errc::deadline_exceeded);
  m.unlock();
  EXPECT_FALSE(m.lock_shared(ctx)) << "what needs no waiting succeeds";
  m.unlock_shared();
  EXPECT_FALSE(m.lock(ctx));
  m.unlock();
}

GO_TEST(RwMutex, GivingUpUnderStressLeavesNoTrace) {
  const auto seed = chantest::seed();
  gort::rw_mutex m;
  std::atomic<int> readers{0}, writers{0};
  {
    gort::wait_group wg;
    for (unsigned g = 0; g < 12; ++g) {
      wg.go([&, g] {
        std::mt19937_64 rnd(seed + g);
        for (int i = 0; i < 1500; ++i) {
          const std::chrono::nanoseconds d(rnd() % 2 == 0 ? rnd() % 20000 : 10'000'000'000);
          if (rnd() % 4 == 0) {
            if (!m.try_lock_for(d)) continue;
            EXPECT_EQ(++writers, 1);
            EXPECT_EQ(readers, 0);
            if (rnd() % 4 == 0) gort::yield();
            --writers;
            m.unlock();
          } else {
            if (!m.try_lock_shared_for(d)) continue;
            ++readers;
            EXPECT_EQ(writers, 0);
            if (rnd() % 4 == 0) gort::yield();
            --readers;
            m.unlock_shared();
          }
        }
      });
    }
  }
  EXPECT_TRUE(m.try_lock());
  m.unlock();
}

// ---- wait_group

// TestWaitGroup
GO_TEST(WaitGroup, WaitsForAllAndMayBeReused) {
  gort::wait_group one, two;
  for (int round = 0; round < 8; ++round) {
    constexpr int kN = 16;
    one.add(kN);
    two.add(kN);
    auto exited = gort::make_chan<bool>(kN);
    for (int i = 0; i < kN; ++i) {
      gort::go([&one, &two, exited] {
        one.done();
        two.wait();
        exited.send(true);
      });
    }
    one.wait();
    for (int i = 0; i < kN; ++i) {
      EXPECT_FALSE(exited.try_recv()) << "released too soon";
      two.done();
    }
    for (int i = 0; i < kN; ++i) (void)exited.recv();
  }
}

GO_TEST(WaitGroup, NegativeCounterPanicsAndTheDestructorDoesNotWait) {
  EXPECT_EQ(panicOf([] {
              gort::wait_group wg;
              wg.add(1);
              wg.done();
              wg.done();
            }),
            "sync: negative WaitGroup counter");
  EXPECT_EQ(panicOf([] {
              gort::wait_group wg;
              wg.add(2);
              wg.add(-3);
            }),
            "sync: negative WaitGroup counter");
}

GO_TEST(WaitGroup, DestructorWaits) {
  std::atomic<int> n{0};
  {
    gort::wait_group wg;
    for (int i = 0; i < 8; ++i) {
      wg.go([&] {
        gort::sleep(1ms);
        ++n;
      });
    }
  }
  EXPECT_EQ(n, 8);
}

GO_TEST(WaitGroup, GoPassesArgumentsAndCountsDownOnException) {
  gort::wait_group wg;
  std::atomic<int> sum{0};
  wg.go([&](int a, int b) { sum += a + b; }, 3, 4);
  wg.go([&] { gort::goexit(); });
  wg.wait();
  EXPECT_EQ(sum, 7);
}

// TestWaitGroupRace
GO_TEST(WaitGroup, CounterMayFallToZeroWhileAdding) {
  for (int i = 0; i < 1000; ++i) {
    gort::wait_group wg;
    std::atomic<int> n{0};
    wg.add(1);
    gort::go([&] {
      ++n;
      wg.done();
    });
    wg.add(1);
    gort::go([&] {
      ++n;
      wg.done();
    });
    wg.wait();
    ASSERT_EQ(n, 2);
  }
}

GO_TEST(WaitGroup, TimedAndContextWaits) {
  gort::wait_group wg;
  auto ctx = gort::with_cancel(gort::background());
  EXPECT_TRUE(wg.wait_for(0ms));
  wg.add(1);
  EXPECT_FALSE(wg.wait_for(1ms));
  EXPECT_FALSE(wg.wait_until(gort::clock::now() + 1ms));
  gort::go([&] {
    settle();
    ctx.cancel();
  });
  EXPECT_EQ(wg.wait(ctx), gort::errc::canceled);
  wg.done();
  EXPECT_FALSE(wg.wait(ctx)) << "nothing to wait for";
}

GO_TEST(WaitGroup, GivingUpAgainstTheLastDone) {
  const auto seed = chantest::seed();
  std::mt19937_64 rnd(seed);
  for (int i = 0; i < 2000; ++i) {
    auto wg = std::make_unique<gort::wait_group>();
    wg->add(1);
    std::atomic<int> waited{0};
    gort::wait_group waiters;
    for (int k = 0; k < 3; ++k) {
      waiters.go([&, d = std::chrono::nanoseconds(rnd() % 20000)] {
        (void)wg->wait_for(d);
        ++waited;
      });
    }
    if (rnd() % 2 == 0) gort::sleep(std::chrono::nanoseconds(rnd() % 10000));
    wg->done();
    waiters.wait();
    ASSERT_EQ(waited, 3);
    ASSERT_TRUE(wg->wait_for(0ns));
  }
}

// ---- once

// TestOnce
GO_TEST(Once, RunsOnceAndAllWaitForIt) {
  gort::once once;
  std::atomic<int> n{0};
  gort::wait_group wg;
  for (int i = 0; i < 10; ++i) {
    wg.go([&] {
      once([&] {
        gort::sleep(1ms);
        ++n;
      });
      EXPECT_EQ(n, 1);
    });
  }
  wg.wait();
  EXPECT_EQ(n, 1);
  EXPECT_TRUE(once.done());
}

// TestOncePanic
GO_TEST(Once, IsDoneEvenIfTheFunctionFails) {
  gort::once byPanic, byException;
  EXPECT_EQ(panicOf([&] { byPanic([] { gort::panic("failed"); }); }), "failed");
  byPanic([] { FAIL() << "called twice"; });
  EXPECT_THROW(byException([] { throw std::runtime_error("failed"); }), std::runtime_error);
  byException([] { FAIL() << "called twice"; });
}

GO_TEST(OnceValue, ComputesOnceForAllCopies) {
  std::atomic<int> calls{0};
  const auto value = gort::once_value([&] { return ++calls * 42; });
  const auto copy = value;
  gort::wait_group wg;
  for (int i = 0; i < 10; ++i) wg.go([&] { EXPECT_EQ(value(), 42); });
  wg.wait();
  EXPECT_EQ(copy(), 42);
  EXPECT_EQ(&copy(), &value());
  EXPECT_EQ(calls, 1);
}

// TestOnceFuncPanic
GO_TEST(OnceValue, FailsTheSameWayEveryTime) {
  int calls = 0;
  const auto throws = gort::once_value([&]() -> int {
    ++calls;
    throw std::runtime_error("x");
  });
  EXPECT_THROW((void)throws(), std::runtime_error);
  EXPECT_THROW((void)throws(), std::runtime_error);
  EXPECT_EQ(calls, 1);
  const auto panics = gort::once_value([&]() -> int {
    ++calls;
    gort::panic("y");
  });
  EXPECT_EQ(panicOf([&] { (void)panics(); }), "y");
  EXPECT_EQ(panicOf([&] { (void)panics(); }), "y");
  EXPECT_EQ(calls, 2);
}

// ---- cond

// TestCondSignal
GO_TEST(Cond, NotifyOneWakesOne) {
  gort::mutex m;
  gort::cond c;
  constexpr int kN = 2;
  auto running = gort::make_chan<>(kN), awake = gort::make_chan<>(kN);
  gort::wait_group wg;
  for (int i = 0; i < kN; ++i) {
    wg.go([&] {
      std::unique_lock l{m};
      running.send();
      c.wait(l);
      awake.send();
    });
  }
  for (int i = 0; i < kN; ++i) (void)running.recv();
  for (int n = kN; n > 0; --n) {
    EXPECT_FALSE(awake.try_recv());
    {
      std::lock_guard l{m};
      c.notify_one();
    }
    (void)awake.recv();
    settle();
    EXPECT_FALSE(awake.try_recv()) << "too many goroutines awake";
  }
  c.notify_one();
}

// TestCondSignalGenerations
GO_TEST(Cond, WaitersAreWokenInTheOrderTheyCame) {
  gort::mutex m;
  gort::cond c;
  constexpr int kN = 50;
  auto running = gort::make_chan<>(kN);
  auto awake = gort::make_chan<int>(kN);
  gort::wait_group wg;
  for (int i = 0; i < kN; ++i) {
    wg.go([&, i] {
      std::unique_lock l{m};
      running.send();
      c.wait(l);
      awake.send(int(i));
    });
    if (i > 0) {
      EXPECT_EQ(awake.recv(), i - 1);
    }
    (void)running.recv();
    std::lock_guard l{m};
    c.notify_one();
  }
  wg.wait();
}

// TestCondBroadcast
GO_TEST(Cond, NotifyAllWakesAll) {
  gort::mutex m;
  gort::cond c;
  int generation = 0, left = 0;
  constexpr int kN = 100;
  gort::wait_group wg;
  for (int i = 0; i < kN; ++i) {
    wg.go([&] {
      std::unique_lock l{m};
      c.wait(l, [&] { return generation == 1; });
      ++left;
    });
  }
  settle();
  {
    std::lock_guard l{m};
    generation = 1;
  }
  c.notify_all();
  wg.wait();
  EXPECT_EQ(left, kN);
}

// TestRace
GO_TEST(Cond, ThreeStepsInTurn) {
  gort::mutex m;
  gort::cond c;
  int x = 0;
  gort::wait_group wg;
  for (int me = 0; me < 3; ++me) {
    wg.go([&, me] {
      std::unique_lock l{m};
      for (int i = 0; i < 300; ++i) {
        c.wait(l, [&] { return x % 3 == me; });
        ++x;
        c.notify_all();
      }
    });
  }
  wg.wait();
  EXPECT_EQ(x, 900);
}

GO_TEST(Cond, TimedWaits) {
  gort::mutex m;
  gort::cond c;
  std::unique_lock l{m};
  const auto begin = gort::clock::now();
  EXPECT_FALSE(c.wait_for(l, 2ms));
  EXPECT_GE(gort::clock::now() - begin, 2ms);
  EXPECT_FALSE(c.wait_until(l, begin, [] { return false; }));
  EXPECT_TRUE(c.wait_for(l, 0ms, [] { return true; }));
  gort::go([&] {
    std::lock_guard inner{m};  // not before the wait has begun
    c.notify_one();
  });
  EXPECT_TRUE(c.wait_for(l, 10s));
  EXPECT_TRUE(l.owns_lock());
}

GO_TEST(Cond, ContextEndsTheWait) {
  struct Queue {
    gort::mutex mu;
    gort::cond cv;
    std::deque<int> q;
    void put(int v) {
      {
        std::lock_guard l{mu};
        q.push_back(v);
      }
      cv.notify_one();
    }
    std::optional<int> get(const gort::context& ctx) {
      std::unique_lock l{mu};
      if (cv.wait(ctx, l, [&] { return !q.empty(); })) return std::nullopt;
      int v = q.front();
      q.pop_front();
      return v;
    }
  } q;
  auto ctx = gort::with_timeout(gort::background(), 5ms);
  gort::go([&] { q.put(7); });
  EXPECT_EQ(q.get(ctx), 7);
  EXPECT_EQ(q.get(ctx), std::nullopt);
}

GO_TEST(Cond, WorksWithAnyLock) {
  gort::rw_mutex m;
  gort::cond c;
  bool ready = false;
  gort::wait_group wg;
  wg.go([&] {
    std::shared_lock l{m};
    c.wait(l, [&] { return ready; });
  });
  settle();
  {
    std::lock_guard l{m};
    ready = true;
  }
  c.notify_all();
  wg.wait();
}

GO_TEST(Cond, NoNotificationIsLostBetweenTimeoutsAndNotifies) {
  const auto seed = chantest::seed();
  gort::mutex m;
  gort::cond c;
  int items = 0, made = 0, taken = 0;
  bool over = false;
  gort::wait_group consumers, producers;
  for (unsigned g = 0; g < 6; ++g) {
    consumers.go([&, g] {
      std::mt19937_64 rnd(seed + g);
      std::unique_lock l{m};
      for (;;) {
        if (items > 0) {
          --items;
          ++taken;
        } else if (over) {
          return;
        } else if (rnd() % 2 == 0) {
          (void)c.wait_for(l, std::chrono::nanoseconds(rnd() % 10000));
        } else {
          c.wait(l);
        }
      }
    });
    producers.go([&] {
      for (int i = 0; i < 1000; ++i) {
        {
          std::lock_guard l{m};
          ++items;
          ++made;
        }
        c.notify_one();
        if (i % 16 == 0) gort::yield();
      }
    });
  }
  producers.wait();
  {
    std::lock_guard l{m};
    over = true;
  }
  c.notify_all();
  consumers.wait();
  EXPECT_EQ(taken, made);
}

// ---- semaphore

GO_TEST(Semaphore, HoldsAtMostItsSize) {
  gort::semaphore s{4};
  std::atomic<long> inside{0};
  gort::wait_group wg;
  for (int g = 0; g < 8; ++g) {
    wg.go([&, n = g % 4 + 1] {
      for (int i = 0; i < 500; ++i) {
        s.acquire(n);
        EXPECT_LE(inside += n, 4);
        if (i % 8 == 0) gort::yield();
        inside -= n;
        s.release(n);
      }
    });
  }
  wg.wait();
  EXPECT_TRUE(s.try_acquire(4));
  EXPECT_FALSE(s.try_acquire());
}

GO_TEST(Semaphore, OverReleasePanics) {
  gort::semaphore s{1};
  EXPECT_EQ(panicOf([&] { s.release(); }), "semaphore: released more than held");
  s.acquire();
  EXPECT_EQ(panicOf([&] { s.release(2); }), "semaphore: released more than held");
  s.release();
  EXPECT_TRUE(s.try_acquire());
}

// TestLargeAcquireDoesntStarve
GO_TEST(Semaphore, LargeRequestIsNotStarvedBySmallOnes) {
  constexpr int kN = 8;
  gort::semaphore s{kN};
  std::atomic<bool> running{true};
  gort::wait_group wg;
  wg.add(kN);
  for (int i = 0; i < kN; ++i) {
    s.acquire();
    gort::go([&] {
      while (running) {
        gort::sleep(100us);
        s.release();
        s.acquire();
      }
      s.release();
      wg.done();
    });
  }
  s.acquire(kN);
  running = false;
  s.release(kN);
  wg.wait();
}

GO_TEST(Semaphore, FirstComeFirstServed) {
  gort::semaphore s{2};
  s.acquire(2);
  gort::guarded<std::vector<int>> order;  // the last two are let in together
  gort::wait_group wg;
  for (int i = 0; i < 3; ++i) {
    wg.go([&, i] {
      s.acquire(i == 0 ? 2 : 1);
      order.lock()->push_back(i);
      s.release(i == 0 ? 2 : 1);
    });
    settle();
  }
  s.release();
  settle();
  EXPECT_TRUE(order.lock()->empty()) << "small requests must not overtake the large one";
  EXPECT_FALSE(s.try_acquire());
  s.release();
  wg.wait();
  ASSERT_EQ(order.lock()->size(), 3U);
  EXPECT_EQ(order.lock()->front(), 0);
}

// TestWeightedDoesntBlockIfTooBig
GO_TEST(Semaphore, ImpossibleRequestWaitsForItsContextOnly) {
  gort::semaphore s{2};
  auto ctx = gort::with_timeout(gort::background(), 3ms);
  gort::wait_group wg;
  wg.go([&] { EXPECT_EQ(s.acquire(ctx, 3), gort::errc::deadline_exceeded); });
  settle();
  EXPECT_FALSE(s.acquire(gort::background(), 2));
  s.release(2);
  wg.wait();
}

// TestAllocCancelDoesntStarve
GO_TEST(Semaphore, GivingUpAtTheFrontLetsTheNextIn) {
  gort::semaphore s{10};
  s.acquire(1);
  auto ctx = gort::with_cancel(gort::background());
  gort::wait_group wg;
  wg.go([&] { EXPECT_EQ(s.acquire(ctx, 10), gort::errc::canceled); });
  settle();
  EXPECT_FALSE(s.try_acquire());
  wg.go([&] { s.acquire(1); });
  settle();
  ctx.cancel();
  wg.wait();
  EXPECT_FALSE(s.try_acquire_for(1ms, 9));
  EXPECT_TRUE(s.try_acquire(8));
}

// ---- guarded, pool

GO_TEST(Guarded, ReachableOnlyWithTheLock) {
  gort::guarded<std::vector<int>> v;
  gort::wait_group wg;
  for (int i = 0; i < 100; ++i) wg.go([&, i] { v.lock()->push_back(i); });
  wg.wait();
  EXPECT_EQ(v.with([](auto& x) { return x.size(); }), 100U);
  gort::cond c;
  auto r = v.lock();
  EXPECT_FALSE(c.wait_for(r.lock(), 1ms));
}

struct Counted {
  static inline std::atomic<int> live{0};
  int uses = 0;
  Counted() { ++live; }
  Counted(Counted&& o) noexcept : uses(o.uses) { ++live; }
  Counted& operator=(Counted&&) = delete;
  ~Counted() { --live; }
};

GO_TEST(Pool, ReusesWhatWasGivenBack) {
  {
    gort::pool<Counted> p;
    Counted* first = nullptr;
    {
      auto x = p.get();
      x->uses = 1;
      first = &*x;
    }
    auto y = p.get();
    auto z = p.get();
    EXPECT_EQ(&*y, first);
    EXPECT_EQ(y->uses, 1);
    EXPECT_NE(&*z, first);
    auto moved = std::move(y);
    EXPECT_EQ(&*moved, first);
  }
  EXPECT_EQ(Counted::live, 0);
}

GO_TEST(Pool, GivesAnObjectToOneUserAtATime) {
  const auto seed = chantest::seed();
  {
    gort::pool<Counted> p{[] { return Counted(); }};
    gort::wait_group wg;
    for (unsigned g = 0; g < 10; ++g) {
      wg.go([&, g] {
        std::mt19937_64 rnd(seed + g);
        for (int i = 0; i < 2000; ++i) {
          auto x = p.get();
          const int before = ++x->uses;
          if (rnd() % 4 == 0) gort::yield();
          EXPECT_EQ(x->uses, before);
        }
      });
    }
    wg.wait();
    EXPECT_LE(Counted::live, 64);
  }
  EXPECT_EQ(Counted::live, 0);
}

}  // namespace

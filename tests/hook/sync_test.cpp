// SPDX-License-Identifier: Apache-2.0
// Hooked mutexes and conditions, between goroutines, and between goroutines and plain threads.
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "hook/hook_util.hpp"

// ThreadSanitizer reports the unlock of a mutex that is another's, even where the mutex refuses it.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define GORT_NO_WRONG_UNLOCK
#endif
#endif

namespace {

using gort::clock;
using hooktest::parks;
using hooktest::since;

class Mutex {
 public:
  explicit Mutex(int type = PTHREAD_MUTEX_NORMAL, int robust = PTHREAD_MUTEX_STALLED,
                 int shared = PTHREAD_PROCESS_PRIVATE, int protocol = PTHREAD_PRIO_NONE) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_settype(&a, type);
    pthread_mutexattr_setrobust(&a, robust);
    pthread_mutexattr_setpshared(&a, shared);
    pthread_mutexattr_setprotocol(&a, protocol);
    EXPECT_EQ(pthread_mutex_init(&m_, &a), 0);
    pthread_mutexattr_destroy(&a);
  }
  ~Mutex() { EXPECT_EQ(pthread_mutex_destroy(&m_), 0); }
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
  operator pthread_mutex_t*() { return &m_; }
  int lock() { return pthread_mutex_lock(&m_); }
  int tryLock() { return pthread_mutex_trylock(&m_); }
  int unlock() { return pthread_mutex_unlock(&m_); }

 private:
  pthread_mutex_t m_;
};

constexpr int kTypes[] = {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ADAPTIVE_NP, PTHREAD_MUTEX_RECURSIVE,
                          PTHREAD_MUTEX_ERRORCHECK};

timespec inMs(clockid_t id, int ms) {
  timespec ts{};
  clock_gettime(id, &ts);
  ts.tv_sec += ms / 1000;
  ts.tv_nsec += ms % 1000 * 1000000;
  ts.tv_sec += ts.tv_nsec / 1000000000;
  ts.tv_nsec %= 1000000000;
  return ts;
}

GO_TEST(HookMutex, WaitingParks) {
  for (const int type : kTypes) {
    Mutex m(type);
    EXPECT_EQ(m.lock(), 0);
    EXPECT_TRUE(parks(
        [&](int) {
          EXPECT_EQ(m.lock(), 0);
          EXPECT_EQ(m.unlock(), 0);
        },
        [&] { EXPECT_EQ(m.unlock(), 0); }));
  }
}

GO_TEST(HookMutex, StdMutexMayBeHeldAcrossAPark) {
  std::mutex m;
  int inside = 0;
  gort::wait_group wg;
  for (int i = 0; i < 64; ++i) {
    wg.go([&] {
      for (int k = 0; k < 5; ++k) {
        const std::lock_guard l(m);
        EXPECT_EQ(++inside, 1);
        ::usleep(k == 0 ? 100 : 1);
        --inside;
      }
    });
  }
  wg.wait();
  EXPECT_LT(hooktest::threads(), 24);
}

GO_TEST(HookMutex, GoroutinesAndThreadsExcludeEachOther) {
  for (const int type : kTypes) {
    Mutex m(type);
    int count = 0;
    std::atomic<int> inside = 0;
    const auto work = [&](auto pause) {
      for (int i = 0; i < 400; ++i) {
        if (i % 7 == 0 ? m.tryLock() != 0 : m.lock() != 0) continue;
        EXPECT_EQ(++inside, 1);
        ++count;
        if (i % 16 == 0) pause();
        --inside;
        EXPECT_EQ(m.unlock(), 0);
      }
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) threads.emplace_back([&] { work([] { std::this_thread::yield(); }); });
    gort::wait_group wg;
    for (int i = 0; i < 8; ++i) wg.go([&] { work([] { gort::yield(); }); });
    wg.wait();
    for (auto& t : threads) t.join();
    EXPECT_GT(count, 10 * 300);
  }
}

#ifndef GORT_NO_WRONG_UNLOCK
GO_TEST(HookMutex, RecursionBelongsToTheGoroutine) {
  Mutex m(PTHREAD_MUTEX_RECURSIVE);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(m.lock(), 0);
  EXPECT_EQ(m.tryLock(), 0);
  // Whatever thread it runs on, another goroutine does not come in.
  for (int i = 0; i < 20; ++i) {
    auto other = gort::spawn([&] {
      EXPECT_EQ(m.tryLock(), EBUSY);
      EXPECT_EQ(m.unlock(), EPERM);
    });
    gort::yield();
    other.join();
  }
  std::thread th([&] {
    EXPECT_EQ(m.tryLock(), EBUSY);
    EXPECT_EQ(m.unlock(), EPERM);
  });
  th.join();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(m.unlock(), 0);
  EXPECT_EQ(m.unlock(), EPERM);
}
#endif

GO_TEST(HookMutex, AGoroutineThatChangedThreadsUnlocks) {
  const int before = gort::runtime::max_procs(1);
  for (const int type : kTypes) {
    Mutex m(type);
    const long first = ::syscall(SYS_gettid);
    EXPECT_EQ(m.lock(), 0);
    auto wake = gort::make_chan<int>();
    std::atomic<bool> moved = false;
    auto keeper = gort::spawn([&] {  // has the one P now, and keeps its thread
      wake.send(1);
      gort::blocking([&] {
        while (!moved) std::this_thread::yield();
      });
    });
    wake.recv();
    for (int i = 0; i < 1000 && ::syscall(SYS_gettid) == first; ++i) gort::yield();
    if (type == PTHREAD_MUTEX_RECURSIVE) {
      EXPECT_EQ(m.lock(), 0);
      EXPECT_EQ(m.unlock(), 0);
    }
    EXPECT_EQ(m.unlock(), 0);
    EXPECT_EQ(m.tryLock(), 0);
    EXPECT_EQ(m.unlock(), 0);
    moved = true;
    keeper.join();
  }
  gort::runtime::max_procs(before);
}

#ifndef GORT_NO_WRONG_UNLOCK
GO_TEST(HookMutex, ErrorCheckingMutexesKnowTheirGoroutine) {
  Mutex m(PTHREAD_MUTEX_ERRORCHECK);
  EXPECT_EQ(m.unlock(), EPERM);
  EXPECT_EQ(m.lock(), 0);
  EXPECT_EQ(m.lock(), EDEADLK);
  EXPECT_EQ(m.tryLock(), EBUSY);
  auto other = gort::spawn([&] {
    EXPECT_EQ(m.tryLock(), EBUSY);
    EXPECT_EQ(m.unlock(), EPERM);
  });
  other.join();
  EXPECT_EQ(m.unlock(), 0);
  std::thread th([&] { EXPECT_EQ(m.lock(), 0); });
  th.join();
  EXPECT_EQ(m.unlock(), EPERM);  // a plain thread has it, and ended
  EXPECT_EQ(m.tryLock(), EBUSY);
  static_cast<pthread_mutex_t*>(m)->__data.__owner = static_cast<int>(::syscall(SYS_gettid));
  EXPECT_EQ(m.unlock(), 0);
}
#endif

GO_TEST(HookMutex, TimeLimitsEndTheWait) {
  for (const int type : kTypes) {
    Mutex m(type);
    EXPECT_EQ(m.lock(), 0);
    std::atomic<bool> over = false;
    auto t = gort::spawn([&] {
      const auto t0 = clock::now();
      const timespec a = inMs(CLOCK_REALTIME, 20);
      EXPECT_EQ(pthread_mutex_timedlock(m, &a), ETIMEDOUT);
      const timespec b = inMs(CLOCK_MONOTONIC, 20);
      EXPECT_EQ(pthread_mutex_clocklock(m, CLOCK_MONOTONIC, &b), ETIMEDOUT);
      EXPECT_GE(since(t0), 39);
      const timespec past{1, 0};
      EXPECT_EQ(pthread_mutex_timedlock(m, &past), ETIMEDOUT);
      over = true;
      const timespec later = inMs(CLOCK_REALTIME, 60000);
      EXPECT_EQ(pthread_mutex_timedlock(m, &later), 0);
      EXPECT_EQ(m.unlock(), 0);
    });
    while (!over) ::usleep(1000);
    EXPECT_EQ(m.unlock(), 0);
    t.join();
  }
}

GO_TEST(HookMutex, APlainThreadThatWaitsForAConditionLetsGoroutinesIn) {
  // libc unlocks the mutex inside, without us.
  Mutex m;
  pthread_cond_t c = PTHREAD_COND_INITIALIZER;
  for (int round = 0; round < 30; ++round) {
    std::atomic<int> step = 0;
    std::thread th([&] {
      EXPECT_EQ(m.lock(), 0);
      step = 1;
      while (step == 1) std::this_thread::yield();
      while (step != 3) EXPECT_EQ(pthread_cond_wait(&c, m), 0);
      EXPECT_EQ(m.unlock(), 0);
    });
    while (step != 1) gort::yield();
    auto t = gort::spawn([&] {
      EXPECT_EQ(m.lock(), 0);
      step = 3;
      EXPECT_EQ(pthread_cond_signal(&c), 0);
      EXPECT_EQ(m.unlock(), 0);
    });
    chantest::settle();
    step = 2;
    t.join();
    th.join();
  }
}

GO_TEST(HookMutex, LibcsKindsKeepTheThread) {
  const auto use = [](Mutex& m) {
    const long before = ::syscall(SYS_gettid);
    EXPECT_EQ(m.lock(), 0);
    ::usleep(1000);
    EXPECT_EQ(m.unlock(), 0);
    return ::syscall(SYS_gettid) == before;
  };
  gort::wait_group wg;
  Mutex robust(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
  Mutex shared(PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED, PTHREAD_PROCESS_SHARED);
  Mutex inherit(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED, PTHREAD_PROCESS_PRIVATE,
                PTHREAD_PRIO_INHERIT);
  for (int i = 0; i < 8; ++i) {
    wg.go([&] {
      for (int k = 0; k < 5; ++k) {
        for (Mutex* m : {&robust, &shared, &inherit}) EXPECT_TRUE(use(*m));
      }
    });
  }
  wg.wait();
}

GO_TEST(HookCond, WaitingParksAndBroadcastWakesAll) {
  for (const int type : kTypes) {
    Mutex m(type);
    pthread_cond_t c = PTHREAD_COND_INITIALIZER;
    bool go = false;
    EXPECT_TRUE(parks(
        [&](int) {
          EXPECT_EQ(m.lock(), 0);
          while (!go) EXPECT_EQ(pthread_cond_wait(&c, m), 0);
          EXPECT_EQ(m.unlock(), 0);
        },
        [&] {
          EXPECT_EQ(m.lock(), 0);
          go = true;
          EXPECT_EQ(pthread_cond_broadcast(&c), 0);
          EXPECT_EQ(m.unlock(), 0);
        }));
  }
}

GO_TEST(HookCond, EachSignalWakesOne) {
  Mutex m;
  pthread_cond_t c = PTHREAD_COND_INITIALIZER;
  int tokens = 0;
  EXPECT_TRUE(parks(
      [&](int) {
        EXPECT_EQ(m.lock(), 0);
        while (tokens == 0) EXPECT_EQ(pthread_cond_wait(&c, m), 0);
        --tokens;
        EXPECT_EQ(m.unlock(), 0);
      },
      [&] {
        std::thread th([&] {  // a thread that Gort does not know
          for (int i = 0; i < 64; ++i) {
            EXPECT_EQ(m.lock(), 0);
            ++tokens;
            EXPECT_EQ(m.unlock(), 0);
            EXPECT_EQ(pthread_cond_signal(&c), 0);
          }
        });
        th.join();
      }));
  EXPECT_EQ(tokens, 0);
}

GO_TEST(HookCond, TimeLimitsByTheConditionsClock) {
  Mutex m;
  pthread_condattr_t a;
  pthread_condattr_init(&a);
  for (const clockid_t id : {CLOCK_REALTIME, CLOCK_MONOTONIC}) {
    pthread_condattr_setclock(&a, id);
    pthread_cond_t c;
    pthread_cond_init(&c, &a);
    EXPECT_EQ(m.lock(), 0);
    const auto t0 = clock::now();
    const timespec end = inMs(id, 30);
    EXPECT_EQ(pthread_cond_timedwait(&c, m, &end), ETIMEDOUT);
    EXPECT_GE(since(t0), 29);
    const timespec other = inMs(CLOCK_MONOTONIC, 20);
    EXPECT_EQ(pthread_cond_clockwait(&c, m, CLOCK_MONOTONIC, &other), ETIMEDOUT);
    EXPECT_LT(since(t0), 20000);
    const timespec bad{0, -1};
    EXPECT_EQ(pthread_cond_timedwait(&c, m, &bad), EINVAL);
    EXPECT_EQ(m.unlock(), 0);
    pthread_cond_destroy(&c);
  }
}

#ifndef GORT_NO_WRONG_UNLOCK
GO_TEST(HookCond, WithAMutexOfSomebodyElseIsRefused) {
  Mutex m(PTHREAD_MUTEX_ERRORCHECK);
  pthread_cond_t c = PTHREAD_COND_INITIALIZER;
  EXPECT_EQ(pthread_cond_wait(&c, m), EPERM);
}
#endif

GO_TEST(HookCond, PingPongOfAGoroutineAndAThreadLosesNothing) {
  std::mutex m;
  std::condition_variable c;
  constexpr int kRounds = 3000;
  int turn = 0;
  const auto play = [&](int mine) {
    for (int i = 0; i < kRounds; ++i) {
      std::unique_lock l(m);
      if (i % 3 == 0) {
        EXPECT_TRUE(c.wait_for(l, std::chrono::minutes(1), [&] { return turn % 2 == mine; }));
      } else {
        c.wait(l, [&] { return turn % 2 == mine; });
      }
      ++turn;
      if (i % 2 == 0) l.unlock();
      c.notify_one();
    }
  };
  std::thread th([&] { play(1); });
  auto t = gort::spawn([&] { play(0); });
  t.join();
  th.join();
  EXPECT_EQ(turn, 2 * kRounds);
}

GO_TEST(HookCond, ASignalBetweenUnlockAndSleepIsNotLost) {
  // The signaller is there the moment that the waiter lets go of the mutex.
  Mutex m;
  pthread_cond_t c = PTHREAD_COND_INITIALIZER;
  constexpr int kRounds = 3000;
  std::atomic<int> waiting = 0;
  int signalled = 0;
  auto signaller = gort::spawn([&] {
    for (int i = 1; i <= kRounds; ++i) {
      for (int k = 1; waiting < i; ++k) {
        if (k % 1000 == 0) gort::yield();
      }
      for (int k = 1; m.tryLock() != 0; ++k) {
        if (k % 1000 == 0) gort::yield();
      }
      signalled = i;
      EXPECT_EQ(m.unlock(), 0);
      EXPECT_EQ(pthread_cond_signal(&c), 0);
    }
  });
  const timespec end = inMs(CLOCK_REALTIME, 20000);
  for (int i = 1; i <= kRounds; ++i) {
    EXPECT_EQ(m.lock(), 0);
    waiting = i;
    while (signalled < i) ASSERT_EQ(pthread_cond_timedwait(&c, m, &end), 0) << "round " << i;
    EXPECT_EQ(m.unlock(), 0);
  }
  signaller.join();
}

GO_TEST(HookCond, AQueueOfManyProducersAndConsumers) {
  std::mutex m;
  std::condition_variable some, room;
  std::vector<int> queue;
  long long sum = 0;
  constexpr int kEach = 500;
  const auto produce = [&] {
    for (int i = 1; i <= kEach; ++i) {
      std::unique_lock l(m);
      room.wait(l, [&] { return queue.size() < 4; });
      queue.push_back(i);
      some.notify_one();
    }
  };
  const auto consume = [&] {
    for (int i = 1; i <= kEach; ++i) {
      std::unique_lock l(m);
      some.wait(l, [&] { return !queue.empty(); });
      sum += queue.back();
      queue.pop_back();
      room.notify_one();
    }
  };
  std::thread a(produce), b(consume);
  gort::wait_group wg;
  for (int i = 0; i < 4; ++i) {
    wg.go([&] { produce(); });
    wg.go([&] { consume(); });
  }
  wg.wait();
  a.join();
  b.join();
  EXPECT_EQ(sum, 5LL * kEach * (kEach + 1) / 2);
}

}  // namespace

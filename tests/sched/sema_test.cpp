// SPDX-License-Identifier: Apache-2.0
// Semaphores, notify lists and the lot: rules of src/sched/sema.cpp as sentences. Ideas carried over, in our
// own words, from Go's sync/runtime_sema_test.go and runtime/sema_test.go.
#include "sched/sema.hpp"

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "lang/chan_util.hpp"
#include "sched/proc.hpp"

namespace {

namespace rt = gort::rt;
using rt::int64;
using rt::uint32;

constexpr int64 kMs = 1000000;
using Sema = rt::Atomic<uint32>;

// waiting counts who waits at addr; the root's own count may have other addresses in it.
uint32 waiting(const void* addr) {
  rt::SemaRoot& root = rt::semrootOf(addr);
  rt::LockGuard l(root.lock);
  uint32 n = 0;
  for (const rt::SemaWaiter* w = root.front(addr); w != nullptr; w = w->next) ++n;
  return n;
}
void awaitWaiters(const void* addr, uint32 n) {
  while (waiting(addr) < n) gort::yield();
}

GO_TEST(Sema, AcquireTakesWhatIsThereWithoutWaiting) {
  Sema s{2};
  rt::semacquire(&s);
  rt::semacquire(&s);
  EXPECT_EQ(s.load(), 0U);
}

GO_TEST(Sema, ReleaseWakesAWaiter) {
  Sema s{0};
  std::atomic<bool> got{false};
  gort::wait_group wg;
  wg.go([&] {
    rt::semacquire(&s);
    got = true;
  });
  chantest::settle();
  EXPECT_FALSE(got);
  rt::semrelease(&s);
  wg.wait();
  EXPECT_TRUE(got);
  EXPECT_EQ(s.load(), 0U);
}

// Order of waking, by how they queued.
std::vector<int> wakeOrder(bool lifo) {
  Sema s{0};
  std::vector<int> order;
  std::atomic<int> awake{0};
  gort::wait_group wg;
  for (int i = 0; i < 5; ++i) {
    wg.go([&, i] {
      rt::semacquire1(&s, {.lifo = lifo});
      order.push_back(i);
      ++awake;
    });
    awaitWaiters(&s, static_cast<uint32>(i) + 1);
  }
  for (int i = 0; i < 5; ++i) {
    rt::semrelease(&s);
    while (awake <= i) gort::yield();
  }
  wg.wait();
  return order;
}

GO_TEST(Sema, WaitersAreServedInOrder) { EXPECT_EQ(wakeOrder(false), (std::vector<int>{0, 1, 2, 3, 4})); }
GO_TEST(Sema, LifoWaitersGoToTheFront) { EXPECT_EQ(wakeOrder(true), (std::vector<int>{4, 3, 2, 1, 0})); }

// TestSemaHandoff: a handed over token cannot be taken by somebody who passes by.
GO_TEST(Sema, HandOffGivesTheTokenToTheWaiter) {
  for (int round = 0; round < 200; ++round) {
    Sema s{0};
    std::atomic<bool> got{false};
    gort::wait_group wg;
    wg.go([&] {
      rt::semacquire(&s);
      got = true;
    });
    awaitWaiters(&s, 1);
    rt::semrelease1(&s, true);
    EXPECT_EQ(s.load(), 0U) << "the token must never be up for grabs";
    wg.wait();
    EXPECT_TRUE(got);
  }
}

GO_TEST(Sema, HandOffWithoutWaiterAddsTheToken) {
  Sema s{0};
  rt::semrelease1(&s, true);
  EXPECT_EQ(s.load(), 1U);
}

GO_TEST(Sema, WaitGivesUpInTime) {
  Sema s{0};
  const int64 begin = rt::nanotime();
  EXPECT_FALSE(rt::semacquire1(&s, {.until = begin + 3 * kMs}));
  EXPECT_GE(rt::nanotime() - begin, 3 * kMs);
  EXPECT_EQ(s.load(), 0U);
  EXPECT_FALSE(rt::semacquire1(&s, {.until = 1}));
  rt::semrelease(&s);
  EXPECT_TRUE(rt::semacquire1(&s, {.until = 1})) << "what needs no waiting succeeds";
}

GO_TEST(Sema, GivingUpInTheMiddleKeepsTheOthersInOrder) {
  Sema s{0};
  std::vector<int> order;
  std::atomic<int> awake{0};
  gort::wait_group wg;
  for (int i = 0; i < 5; ++i) {
    wg.go([&, i] {
      const int64 until = i % 2 == 1 ? rt::nanotime() + 300 * kMs : rt::kTimeNever;
      if (!rt::semacquire1(&s, {.until = until})) return;
      order.push_back(i);
      ++awake;
    });
    awaitWaiters(&s, static_cast<uint32>(i) + 1);
  }
  while (waiting(&s) != 3) rt::timeSleep(kMs);
  for (int i = 0; i < 3; ++i) {
    rt::semrelease(&s);
    while (awake <= i) gort::yield();
  }
  wg.wait();
  EXPECT_EQ(order, (std::vector<int>{0, 2, 4}));
}

GO_TEST(Sema, AbortedBeforeItWaitsItDoesNotWait) {
  Sema s{0};
  rt::SemaWaiter w;
  w.addr = &s;
  rt::semaAbort(w);
  EXPECT_FALSE(rt::semacquireAs(w, &s, false, rt::WaitReason::semacquire));
}

GO_TEST(Sema, WaiterThatMayNotGiveUpGetsItsToken) {
  Sema s{0};
  gort::wait_group wg;
  std::atomic<int> asked{0};
  bool got = false;
  rt::SemaWaiter w;
  w.addr = &s;
  w.arg = &asked;
  w.giveUp = [](rt::SemaWaiter& me) {
    ++*static_cast<std::atomic<int>*>(me.arg);
    return false;
  };
  wg.go([&] { got = rt::semacquireAs(w, &s, false, rt::WaitReason::semacquire); });
  awaitWaiters(&s, 1);
  rt::semaAbort(w);
  EXPECT_EQ(asked, 1);
  rt::semrelease(&s);
  wg.wait();
  EXPECT_TRUE(got);
}

// BenchmarkSemTable's shape as a test: many addresses that share roots.
GO_TEST(Sema, ManyAddressesInOneTreapDoNotDisturbEachOther) {
  constexpr int kN = 600;
  auto semas =
      std::make_unique<Sema[]>(kN * 251);  // every 251st word shares a root (2 words to a slot of 8 bytes)
  std::atomic<int> got{0};
  gort::wait_group wg;
  auto at = [&](int i) { return &semas[static_cast<std::size_t>(i) * 251 * 2 % (kN * 251)]; };
  std::vector<int> order(kN);
  for (int i = 0; i < kN; ++i) {
    order[static_cast<std::size_t>(i)] = i;
    wg.go([&, i] {
      rt::semacquire(at(i));
      ++got;
    });
  }
  chantest::settle();
  std::mt19937_64 rnd(chantest::seed());
  std::shuffle(order.begin(), order.end(), rnd);
  for (const int i : order) rt::semrelease(at(i));
  wg.wait();
  EXPECT_EQ(got, kN);
}

GO_TEST(Sema, NoTokenIsLostOrMadeUnderStress) {
  const std::uint64_t seed = chantest::seed();
  constexpr int kWorkers = 16, kRounds = 3000;
  Sema s{3};
  std::atomic<int> inside{0}, most{0};
  gort::wait_group wg;
  for (int g = 0; g < kWorkers; ++g) {
    wg.go([&, g] {
      std::mt19937_64 rnd(seed + static_cast<std::uint64_t>(g));
      for (int i = 0; i < kRounds; ++i) {
        const int64 until =
            rnd() % 2 == 0 ? rt::kTimeNever : rt::nanotime() + static_cast<int64>(rnd() % 20000);
        if (!rt::semacquire1(&s, {.lifo = rnd() % 4 == 0, .until = until})) continue;
        const int now = ++inside;
        if (now > most) most = now;
        if (rnd() % 8 == 0) gort::yield();
        --inside;
        rt::semrelease1(&s, rnd() % 4 == 0);
      }
    });
  }
  wg.wait();
  EXPECT_LE(most, 3);
  EXPECT_EQ(s.load(), 3U);
}

// ---- notify lists

GO_TEST(NotifyList, NotificationBeforeTheWaitCounts) {
  rt::NotifyList l;
  rt::SemaWaiter w;
  rt::notifyListAdd(l, w);
  rt::notifyListNotifyOne(l);
  EXPECT_TRUE(rt::notifyListWait(l, w, rt::WaitReason::syncCondWait));
  EXPECT_EQ(l.nwait.load(), 0U);
}

GO_TEST(NotifyList, NotifyWithoutWaitersIsForgotten) {
  rt::NotifyList l;
  rt::notifyListNotifyOne(l);
  rt::notifyListNotifyAll(l);
  rt::SemaWaiter w;
  rt::notifyListAdd(l, w);
  rt::SemaTimeout soon(w, rt::nanotime() + kMs);
  EXPECT_FALSE(rt::notifyListWait(l, w, rt::WaitReason::syncCondWait));
}

GO_TEST(NotifyList, TimedOutWaiterDoesNotSwallowANotification) {
  rt::NotifyList l;
  rt::SemaWaiter first, second;
  rt::notifyListAdd(l, first);
  rt::notifyListAdd(l, second);
  {
    rt::SemaTimeout soon(first, rt::nanotime() + kMs);
    EXPECT_FALSE(rt::notifyListWait(l, first, rt::WaitReason::syncCondWait));
  }
  rt::notifyListNotifyOne(l);
  EXPECT_TRUE(rt::notifyListWait(l, second, rt::WaitReason::syncCondWait));
}

GO_TEST(NotifyList, CancelPassesTheNotificationOn) {
  rt::NotifyList l;
  rt::SemaWaiter first, second;
  rt::notifyListAdd(l, first);
  rt::notifyListAdd(l, second);
  rt::notifyListNotifyOne(l);
  rt::notifyListCancel(l, first);
  EXPECT_TRUE(rt::notifyListWait(l, second, rt::WaitReason::syncCondWait));
  EXPECT_EQ(l.nwait.load(), 0U);
}

}  // namespace

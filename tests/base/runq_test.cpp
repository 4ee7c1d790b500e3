// SPDX-License-Identifier: Apache-2.0
// The run queue: rules of src/base/runq.hpp as sentences, then thieves on real threads.
// Ideas from Go's runtime/proc_test.go (TestRunqLocalQueue, TestRunqSteal, TestRunqEmpty), in our own words.
#include "base/runq.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace {

using gort::rt::uint32;
using gort::rt::uint64;

struct Env {
  template <class T>
  using Atomic = gort::rt::Atomic<T>;
  static bool exclusive() { return alone; }
  static uint32 runqLimit(uint32 size) { return limit == 0 ? size : limit; }
  static inline bool alone = false;
  static inline uint32 limit = 0;
};

struct Item {
  int id = 0;
  std::atomic<int> taken{0};
};

constexpr uint32 kSize = 256;
using Queue = gort::rt::RunQueue<Env, Item, kSize>;

class Runq : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    Env::alone = GetParam();
    Env::limit = 0;
    for (int i = 0; i < 1000; ++i) items[static_cast<std::size_t>(i)].id = i;
  }
  void TearDown() override { Env::alone = false; }

  Item* at(std::size_t i) { return &items[i]; }
  void put(std::size_t i, bool next = false) {
    Item* out[Queue::kBatch];
    ASSERT_EQ(q.put(at(i), next, out), 0U);
  }
  int get() {
    bool inherit = false;
    const Item* it = q.get(&inherit);
    return it == nullptr ? -1 : it->id;
  }
  std::vector<Item> items = std::vector<Item>(1000);
  Queue q;
};

TEST_P(Runq, IsFirstInFirstOutAtEveryFillLevel) {
  for (std::size_t n = 0; n <= kSize; ++n) {
    for (std::size_t i = 0; i < n; ++i) put(i);
    EXPECT_EQ(q.size(), n);
    for (std::size_t i = 0; i < n; ++i) ASSERT_EQ(get(), static_cast<int>(i));
    ASSERT_EQ(get(), -1);
    EXPECT_TRUE(q.empty());
  }
}

TEST_P(Runq, NextOvertakesAndInheritsTheTimeSlice) {
  put(1);
  put(2);
  put(3, true);
  bool inherit = false;
  EXPECT_EQ(q.get(&inherit)->id, 3);
  EXPECT_TRUE(inherit);
  EXPECT_EQ(q.get(&inherit)->id, 1);
  EXPECT_FALSE(inherit);
  EXPECT_EQ(get(), 2);
}

TEST_P(Runq, ANewNextKicksTheOldOneToTheTail) {
  put(1);
  put(2, true);
  put(3, true);
  EXPECT_EQ(get(), 3);
  EXPECT_EQ(get(), 1);
  EXPECT_EQ(get(), 2);
}

TEST_P(Runq, AFullRingGivesAwayItsOlderHalfInOrder) {
  for (std::size_t i = 0; i < kSize; ++i) put(i);
  Item* out[Queue::kBatch];
  ASSERT_EQ(q.put(at(500), false, out), kSize / 2 + 1);
  for (uint32 i = 0; i < kSize / 2; ++i) EXPECT_EQ(out[i]->id, static_cast<int>(i));
  EXPECT_EQ(out[kSize / 2]->id, 500);
  for (uint32 i = kSize / 2; i < kSize; ++i) ASSERT_EQ(get(), static_cast<int>(i));
  EXPECT_EQ(get(), -1);
}

TEST_P(Runq, SizeCountsNext) {
  put(1, true);
  EXPECT_EQ(q.size(), 1U);
  EXPECT_EQ(q.inRing(), 0U);
  EXPECT_TRUE(q.hasNext());
  EXPECT_FALSE(q.empty());
  put(2);
  EXPECT_EQ(q.size(), 2U);
}

TEST_P(Runq, ALimitOfOneLetsEverythingOverflow) {
  Env::limit = 1;
  Item* out[Queue::kBatch];
  EXPECT_EQ(q.put(at(0), false, out), 0U);
  ASSERT_EQ(q.put(at(1), false, out), 1U);
  EXPECT_EQ(out[0]->id, 1);
  EXPECT_EQ(get(), 0);
}

INSTANTIATE_TEST_SUITE_P(ManyAndOnlyOneP, Runq, testing::Bool());

TEST(RunqSteal, TakesHalfRoundedUpAndLosesNothing) {
  for (uint32 n = 0; n <= kSize; ++n) {
    std::vector<Item> items(n);
    Queue victim, thief;
    Item* out[Queue::kBatch];
    for (auto& it : items) ASSERT_EQ(victim.put(&it, false, out), 0U);
    Item* first = victim.steal(thief, false);
    ASSERT_EQ(first != nullptr, n > 0);
    if (first != nullptr) ++first->taken;
    EXPECT_EQ(victim.size(), n - (n + 1) / 2);
    EXPECT_EQ(thief.size(), n == 0 ? 0 : (n + 1) / 2 - 1);
    bool inherit;
    while (Item* it = victim.get(&inherit)) ++it->taken;
    while (Item* it = thief.get(&inherit)) ++it->taken;
    for (const auto& it : items) ASSERT_EQ(it.taken, 1) << "of " << n;
  }
}

TEST(RunqSteal, NextIsOnlyTakenWhenAsked) {
  Item it;
  Queue victim, thief;
  Item* out[Queue::kBatch];
  victim.put(&it, true, out);
  EXPECT_EQ(victim.steal(thief, false), nullptr);
  EXPECT_EQ(victim.steal(thief, true), &it);
  EXPECT_TRUE(victim.empty());
}

// Origin: TestRunqEmpty. While one goroutine moves between runnext and the ring, the queue never looks empty.
TEST(RunqEmpty, IsNeverSeenWhileAnElementMovesFromNextToTheRing) {
  Queue q;
  Item a, b;
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> looks{0};
  Item* out[Queue::kBatch];
  q.put(&a, true, out);
  std::thread looker([&] {
    while (!stop) {
      if (q.empty()) ++wrong;
      ++looks;
    }
  });
  while (looks == 0) std::this_thread::yield();
  bool inherit;
  Item* cur = &b;
  for (int i = 0; i < 200000; ++i) {  // the queue holds one or two elements all the time
    q.put(cur, true, out);
    cur = q.get(&inherit);
    q.put(cur, true, out);
    q.put(cur = q.get(&inherit), false, out);
    cur = q.get(&inherit);
  }
  stop = true;
  looker.join();
  EXPECT_EQ(wrong, 0);
}

uint64 seed() {
  const char* given = std::getenv("GORT_SEED");
  const uint64 s = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("GORT_SEED=%llu\n", static_cast<unsigned long long>(s));
  return s;
}

// One owner puts, gets and overflows at random; three thieves steal. Every element is taken exactly once.
TEST(RunqStress, EveryElementIsTakenExactlyOnce) {
  constexpr std::size_t kItems = 300000;
  constexpr int kThieves = 3;
  const std::unique_ptr<Item[]> items(new Item[kItems]);
  Queue own;
  Queue theirs[kThieves];
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  const uint64 s = seed();
  for (int t = 0; t < kThieves; ++t) {
    threads.emplace_back([&, t] {
      std::minstd_rand rng(static_cast<unsigned>(s) + static_cast<unsigned>(t));
      Queue& mine = theirs[t];
      bool inherit;
      for (bool last = false; !last;) {
        last = stop.load();
        while (Item* it = own.steal(mine, rng() % 4 == 0)) {
          ++it->taken;
          while (Item* more = mine.get(&inherit)) ++more->taken;
        }
        if (rng() % 8 == 0) std::this_thread::yield();
      }
    });
  }
  std::mt19937_64 rng(s);
  Item* out[Queue::kBatch];
  bool inherit;
  for (std::size_t i = 0; i < kItems; ++i) {
    for (uint32 n = own.put(&items[i], rng() % 3 == 0, out); n > 0; --n) ++out[n - 1]->taken;
    for (auto k = rng() % 3; k > 0; --k) {
      if (Item* it = own.get(&inherit)) ++it->taken;
    }
  }
  stop = true;
  for (auto& t : threads) t.join();
  while (Item* it = own.get(&inherit)) ++it->taken;
  for (std::size_t i = 0; i < kItems; ++i) ASSERT_EQ(items[i].taken, 1) << "element " << i;
}

}  // namespace

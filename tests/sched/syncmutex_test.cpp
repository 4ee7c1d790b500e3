// SPDX-License-Identifier: Apache-2.0
// Starvation mode of the users' mutex, seen in its state word. One processor: nobody runs but whom the test lets run.
// (Go: sync/mutex.go; the whole state machine is explored in tests/model/syncmutex_model.cpp)
#include "sched/syncmutex.hpp"

#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <cstring>
#include <vector>

#include "lang/chan_util.hpp"
#include "sched/proc.hpp"

namespace {

using namespace std::chrono_literals;
namespace rt = gort::rt;

struct AnyEnv {
  template <class T>
  using Atomic = rt::Atomic<T>;
  using Waiter = void*;
};
using Bits = rt::SyncMutex<AnyEnv>;

// word reads the state, the first word of a mutex.
rt::uint32 word(const gort::mutex& m) {
  rt::uint32 w;
  std::memcpy(&w, static_cast<const void*>(&m), sizeof w);
  return w;
}

struct OneProcessor {
  int was = gort::runtime::max_procs(1);
  ~OneProcessor() { gort::runtime::max_procs(was); }
};

// starve has one goroutine wait for m, which the caller holds, until it has turned starvation mode on.
void starve(gort::mutex& m) {
  const auto end = gort::clock::now() + 30s;
  while ((word(m) & Bits::kStarving) == 0 && gort::clock::now() < end) {
    gort::sleep(2ms);  // longer than a waiter is patient
    m.unlock();        // wakes it; it runs later than we do
    m.lock();
    gort::yield();  // it finds the mutex taken again
  }
  EXPECT_EQ(word(m) & Bits::kStarving, Bits::kStarving) << "a waiter lost to newcomers for 30 s";
}

GO_TEST(Mutex, AWaiterThatIsPassedOverTurnsStarvationModeOn) {
  if (rt::simMode || rt::chaosMode) GTEST_SKIP() << "counts on the order of one queue";
  OneProcessor one;
  gort::mutex m;
  bool got = false;
  m.lock();
  auto waiter = gort::spawn([&] {
    m.lock();
    got = true;
    m.unlock();
  });
  gort::yield();
  EXPECT_EQ(word(m), Bits::kLocked + Bits::kWaiter) << "it waits, patiently";
  starve(m);
  EXPECT_FALSE(got);
  m.unlock();  // in this mode hands over: the waiter has it, and this processor, before we can ask again
  EXPECT_TRUE(got);
  waiter.join();
  EXPECT_EQ(word(m), 0U) << "the last waiter turns the mode off";
}

GO_TEST(Mutex, InStarvationModeNewcomersQueueBehindTheWaiter) {
  if (rt::simMode || rt::chaosMode) GTEST_SKIP() << "counts on the order of one queue";
  OneProcessor one;
  gort::mutex m;
  std::vector<int> order;
  m.lock();
  auto first = gort::spawn([&] {
    m.lock();
    order.push_back(1);
    m.unlock();
  });
  gort::yield();
  starve(m);
  m.unlock();
  m.lock();  // a newcomer: waits its turn
  order.push_back(2);
  m.unlock();
  first.join();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  EXPECT_EQ(word(m), 0U);
}

}  // namespace

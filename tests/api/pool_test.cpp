// SPDX-License-Identifier: Apache-2.0
// A pool's objects per processor: what one gave back another finds.   (Go: sync/pool.go, getSlow)
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <algorithm>
#include <atomic>
#include <vector>

#include "lang/chan_util.hpp"

namespace {

std::atomic<int> made{0};
struct Thing {
  int number = 0;
};

GO_TEST(Pool, WhatOneProcessorGaveBackAnotherFinds) {
  constexpr int kThings = 10;
  const int was = gort::runtime::max_procs(2);
  {
    std::atomic<int> step{0};
    gort::pool<Thing> pool{[] { return Thing{++made}; }};
    // Both run at the same time, each on a processor of its own: neither gives way while the other is not done.
    auto giver = gort::spawn([&] {
      {
        std::vector<decltype(pool.get())> all;
        for (int i = 0; i < kThings; ++i) all.push_back(pool.get());
      }
      step = 1;
      while (step != 2) {
      }
    });
    std::vector<int> numbers;
    auto taker = gort::spawn([&] {
      while (step != 1) {
      }
      std::vector<decltype(pool.get())> all;
      for (int i = 0; i < kThings; ++i) all.push_back(pool.get());
      for (auto& x : all) numbers.push_back(x->number);
      step = 2;
    });
    giver.join();
    taker.join();
    std::sort(numbers.begin(), numbers.end());
    EXPECT_EQ(std::unique(numbers.begin(), numbers.end()), numbers.end()) << "an object had two users";
    EXPECT_EQ(made, kThings + 1) << "all but the one in the giver's own slot can be had by others";
  }
  gort::runtime::max_procs(was);
}

}  // namespace

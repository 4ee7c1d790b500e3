// SPDX-License-Identifier: Apache-2.0
// asyncpreemptoff=1: a goroutine that never calls the runtime keeps its P for as long as it likes.
// RUN-ENV: GODEBUG=asyncpreemptoff=1 GOMAXPROCS=1
// STDOUT: \Aothers ran meanwhile: 0\nothers ran afterwards: 1\n\Z
#include <gort/gort.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
int main() {
  return gort::run([] {
    std::atomic<int> ran = 0;
    auto other = gort::spawn([&] { ++ran; });
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
    while (std::chrono::steady_clock::now() < end) {
    }
    std::printf("others ran meanwhile: %d\n", ran.load());
    other.join();
    std::printf("others ran afterwards: %d\n", ran.load());
  });
}

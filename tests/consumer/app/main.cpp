// SPDX-License-Identifier: Apache-2.0
// A user's program: four workers, a channel, a wait group.  Every way of using the library builds and runs it.
#include <gort/gort.hpp>

#include <atomic>
#include <cstdio>

int main() {
  return gort::run([] {
    auto jobs = gort::make_chan<int>(8);
    std::atomic<int> sum = 0;
    gort::wait_group wg;
    for (int w = 0; w < 4; ++w) {
      wg.go([=, &sum] {
        for (int j : jobs) sum += j;
      });
    }
    for (int i = 1; i <= 100; ++i) jobs.send(i);
    jobs.close();
    wg.wait();
    std::printf("sum %d\n", sum.load());
    return sum == 5050 ? 0 : 1;
  });
}

// SPDX-License-Identifier: Apache-2.0
// What the clients of real_test.py share: N queries at once on two Ps, the time they take, the threads they need.
#pragma once
#include <gort/gort.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

// concurrently runs query(i), which says whether all went well, in n goroutines. Exit status 0: all of them.
template <class Query>
int concurrently(int n, Query query) {
  gort::run_options o;
  o.max_procs = 2;
  return gort::run(o, [=] {
    std::atomic<int> good = 0;
    std::atomic<bool> over = false;
    int threads = 0;
    std::thread watcher([&] {
      while (!over) {
        FILE* f = std::fopen("/proc/self/status", "re");
        char line[128];
        int now = 0;
        while (std::fgets(line, sizeof line, f) != nullptr && std::sscanf(line, "Threads: %d", &now) != 1) {
        }
        std::fclose(f);
        if (now > threads) threads = now;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
    const auto t0 = gort::clock::now();
    gort::wait_group wg;
    for (int i = 0; i < n; ++i) wg.go([&, i] { good += query(i) ? 1 : 0; });
    wg.wait();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(gort::clock::now() - t0).count();
    over = true;
    watcher.join();
    std::printf("%d of %d good, %lld ms, %d threads\n", good.load(), n, static_cast<long long>(ms), threads);
    return good == n ? 0 : 1;
  });
}

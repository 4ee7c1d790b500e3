// SPDX-License-Identifier: Apache-2.0
// Timers: create and stop, processor time per sleep of many sleepers, how late a short sleep ends.
// Workloads and names are those of bench/go/time.go.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "bench.hpp"

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

double timerNewStop(long n) {
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      gort::timer t{std::chrono::hours{1}};
      bench::require(t.stop(), "timer was active");
    }
  });
}

double cpuNs() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  const double sec = static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec);
  return sec * 1e9 + static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e3;
}

// The next of a goroutine's sleeps, 1 to 100 ms: a generator all implementations share.
unsigned nextMs(unsigned& state) {
  state = state * 1664525u + 1013904223u;
  return 1 + (state >> 16) % 100;
}

// n goroutines sleep five times each; the figure is processor time (user and system, spawning included) per
// sleep.
double sleepersCpu(long n) {
  constexpr int kSleeps = 5;
  gort::wait_group wg;
  const double start = cpuNs();
  for (long i = 0; i < n; ++i) {
    wg.go([seed = static_cast<unsigned>(i)] {
      unsigned state = seed;
      for (int k = 0; k < kSleeps; ++k) gort::sleep(milliseconds{nextMs(state)});
    });
  }
  wg.wait();
  return (cpuNs() - start) / static_cast<double>(n * kSleeps);
}

// How much later than asked n sleeps of 50 us end, in microseconds: the mean; median and worst go to stderr.
double sleepOvershoot50us(long n) {
  std::vector<double> late(static_cast<std::size_t>(n));
  double sum = 0;
  for (double& us : late) {
    const double start = bench::nowNs();
    gort::sleep(microseconds{50});
    us = (bench::nowNs() - start) / 1e3 - 50;
    sum += us;
  }
  std::sort(late.begin(), late.end());
  std::fprintf(stderr, "p50 %.1f us, max %.1f us\n", late[late.size() / 2], late.back());
  return sum / static_cast<double>(n);
}

constexpr bench::Entry kEntries[] = {
    {"timer_new_stop", 1, "ns/op", timerNewStop},
    {"sleepers_100k_cpu", 0, "ns/op", sleepersCpu},
    {"sleep_overshoot_50us", 1, "us", sleepOvershoot50us},
};

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, kEntries); }

// SPDX-License-Identifier: Apache-2.0
// A program that waits uses no CPU: one second of sleep with a hundred other waiting goroutines.
// STDOUT: \Aless than 10 ms of CPU in one second: yes\n
// SKIP-IN: thread address (the sanitizers' own threads and bookkeeping)
#include <gort/gort.hpp>

#include <cstdio>
#include <sys/resource.h>
using namespace std::chrono_literals;
namespace {
double cpu_ms() {
  rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}
}  // namespace
int main() {
  return gort::run([] {
    auto never = gort::make_chan();
    for (int i = 0; i < 100; ++i) gort::go([=] { (void)never.recv(); });
    gort::go([] { gort::sleep(1h); });
    gort::sleep(50ms);
    const double before = cpu_ms();
    gort::sleep(1s);
    const double used = cpu_ms() - before;
    std::printf("less than 10 ms of CPU in one second: %s\n", used < 10 ? "yes" : "no");
    std::fprintf(stderr, "%.2f ms\n", used);
  });
}

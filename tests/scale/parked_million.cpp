// SPDX-License-Identifier: Apache-2.0
// A million parked goroutines, each with a guarded stack of the default size, under the kernel's default limits, in 5.5 KB
// of memory each, page tables included. Where the kernel has no cheap guards (before 6.13) most slots have a canary instead,
// and the count says so.
// MAY-SKIP: needs 8 GB of free memory
// STDOUT: ^1000000 goroutines parked\n1000000 goroutines answered\n
// STDOUT: ^every stack guarded: yes\n
// STDOUT: ^less than 5500 bytes each: yes\n
// TIMEOUT: 110
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <string>
#include <sys/mman.h>
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

// Asks the kernel itself, not the library: MADV_GUARD_INSTALL on a page of our own.
bool kernel_has_guards() {
  constexpr int guard_install = 102;
  const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  void* page = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return page != MAP_FAILED && ::madvise(page, size, guard_install) == 0;
}

bool guarded(std::size_t n) {
  const auto s = gort::runtime::stack_stats();
  std::fprintf(stderr, "%zu slots: %zu guards installed, %zu mappings protected, %zu canaries\n",
               static_cast<std::size_t>(s.slots), static_cast<std::size_t>(s.guard_installed),
               static_cast<std::size_t>(s.guard_protected), static_cast<std::size_t>(s.canary_only));
  if (s.slots < n || s.slots != s.guard_installed + s.guard_protected + s.canary_only) return false;
  return !kernel_has_guards() || (s.guard_installed >= n && s.canary_only == 0);
}

}  // namespace

int main() {
  constexpr int n = 1000000;
  if (!enough_memory()) {
    std::puts("less than 8 GB of free memory");
    return 77;
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
    const double resident = static_cast<double>(memory_kib("VmRSS")) * 1024.0 / n;
    const double tables = static_cast<double>(memory_kib("VmPTE")) * 1024.0 / n;
    std::fprintf(stderr, "%.0f bytes each, page tables %.0f\n", resident, tables);
    gate.close();
    wg.wait();
    std::printf("%d goroutines answered\n", answered.load());
    std::printf("every stack guarded: %s\n", guarded(n) ? "yes" : "no");
    std::printf("less than 5500 bytes each: %s\n", resident + tables < 5500 ? "yes" : "no");
  });
}

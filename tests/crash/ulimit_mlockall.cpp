// SPDX-License-Identifier: Apache-2.0
// All memory locked: the kernel refuses MADV_GUARD_INSTALL there, mprotect takes over, and every stack has a guard.
// SKIP-IN: thread address (shadow memory cannot be locked)
// MAY-SKIP: a limit on locked memory
// STDOUT: \A200 goroutines ran, every stack is guarded\n\Z
// STDERR-NOT: .
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <atomic>
#include <cstdio>
#include <sys/mman.h>
#include <sys/resource.h>
int main() {
  const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
  (void)::setrlimit(RLIMIT_MEMLOCK, &all);  // the limit does not bind who has CAP_IPC_LOCK
  constexpr std::size_t much = std::size_t{1} << 30;
  if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0 ||
      ::mmap(nullptr, much, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) {
    std::puts("not allowed to lock much memory (ulimit -l)");
    return 77;
  }
  return gort::run([] {
    std::atomic<int> ran{0};
    gort::wait_group wg;
    for (int i = 0; i < 200; ++i) {
      wg.go([&] {
        gort::sleep(std::chrono::milliseconds(1));
        ++ran;
      });
    }
    wg.wait();
    const auto s = gort::runtime::stack_stats();
    const bool good =
        s.canary_only == 0 && s.guard_protected > 0 && s.slots == s.guard_protected + s.guard_installed;
    std::printf("%d goroutines ran, %s\n", ran.load(),
                good ? "every stack is guarded" : "but not every stack is guarded");
  });
}

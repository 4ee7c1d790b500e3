// SPDX-License-Identifier: Apache-2.0
// GOTRACEBACK=all: a fault shows every goroutine, then the process dies of the signal itself.
// RUN-ENV: GOTRACEBACK=all
// SKIP-IN: address thread undefined (they report the fault themselves)
// SIGNAL: 11
// STDERR: ^\[signal SIGSEGV: segmentation violation code=
// STDERR: ^goroutine \d+ \[running\]:
// STDERR: ^goroutine \d+ \[chan receive\]:
// STDERR: ^waiter\(
#include <gort/gort.hpp>

#include <sys/resource.h>
using namespace std::chrono_literals;
[[gnu::noinline]] void waiter() {
  auto c = gort::make_chan<int>();
  (void)c.recv();
  asm volatile("");
}
int main() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  return gort::run([] {
    gort::go(waiter);
    gort::sleep(10ms);
    volatile int* p = nullptr;
    asm volatile("" : "+r"(p));
    *p = 1;
  });
}

// SPDX-License-Identifier: Apache-2.0
// GOTRACEBACK=all: a fault shows every goroutine, then the process dies of the signal itself.
// RUN-ENV: GOTRACEBACK=all
// SKIP-IN: address thread undefined (they report the fault themselves)
// SIGNAL: 11
// STDERR: ^\[signal SIGSEGV: segmentation violation code=
// STDERR: ^goroutine \d+ \[running\]:
// STDERR: ^goroutine \d+ \[chan receive\]:
// STDERR: ^waiter\(
#include <sys/resource.h>

#include "waiter.hpp"
int main() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  return fail_beside_a_waiter([] {
    volatile int* p = nullptr;
    asm volatile("" : "+r"(p));
    *p = 1;
  });
}

// SPDX-License-Identifier: Apache-2.0
// A system call that a filter forbids is reported like a fault.
// SIGNAL: 31
// STDERR: ^\[signal SIGSYS: bad system call code=
// STDERR: ^goroutine 1 \[running\]:
#include <gort/gort.hpp>

#include <csignal>
#include <sys/resource.h>
int main() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  return gort::run([] { ::raise(SIGSYS); });
}

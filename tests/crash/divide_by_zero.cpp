// SPDX-License-Identifier: Apache-2.0
// SKIP-IN: undefined address thread (they report it themselves)
// SIGNAL: 8
// STDERR: ^\[signal SIGFPE: floating-point exception code=0x1 addr=0x[0-9a-f]+ pc=0x[0-9a-f]+\]$
// STDERR: ^goroutine 1 \[running\]:
#include <gort/gort.hpp>

[[gnu::noinline]] int divide(int a, int b) {
  asm volatile("" : "+r"(a), "+r"(b));
  return a / b;
}
int main() {
  return gort::run([] { return divide(1, 0); });
}

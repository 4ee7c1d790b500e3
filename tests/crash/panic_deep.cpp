// SPDX-License-Identifier: Apache-2.0
// Of more than 100 frames the inner and the outer 50 are printed.   Origin: Go 1.21 release notes,
// traceback_test.go.
// EXIT: 2
// STDERR: ^panic: deep$
// STDERR: ^\.\.\.\d+ frames elided\.\.\.$
// STDERR: ^down\(
#include <gort/gort.hpp>

[[gnu::noinline]] int down(int n) {
  if (n == 0) gort::panic("deep");
  const int below = down(n - 1);
  asm volatile("");  // a call, not a loop
  return below + 1;
}
int main() {
  return gort::run([] { return down(300); });
}

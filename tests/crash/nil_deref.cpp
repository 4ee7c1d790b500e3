// SPDX-License-Identifier: Apache-2.0
// A fault is reported with its goroutine; then the signal takes its course. It is not a panic.
// SKIP-IN: address thread undefined (they report it themselves)
// SIGNAL: 11
// STDERR: ^\[signal SIGSEGV: segmentation violation code=0x1 addr=0x(0|10) pc=0x[0-9a-f]+\]$
// STDERR: ^goroutine 1 \[running\]:
// STDERR: ^broken\(
#include <gort/gort.hpp>

struct node {
  long a, b, c;
};
[[gnu::noinline]] long broken(node* n) {
  asm volatile("" : "+r"(n));
  return n->c;
}
int main() {
  return gort::run([] { return static_cast<int>(broken(nullptr)); });
}

// SPDX-License-Identifier: Apache-2.0
// An unrecovered panic: text, blank line, the goroutine that panicked, exit status 2.   Origin: Go
// runtime/crash_test.go.
// EXIT: 2
// STDERR: \Apanic: boom\n\ngoroutine 1 \[running\]:\n
// STDERR: ^inner\(\.\.\.\)\n\t.*panic_text\.cpp:\d+ \+0x[0-9a-f]+$
// STDERR: ^outer\(\.\.\.\)\n\t.*panic_text\.cpp:\d+ \+0x[0-9a-f]+$
// STDERR-NOT: gort::rt::
// STDERR-NOT: ^gort::panic
#include <gort/gort.hpp>

[[gnu::noinline]] void inner() { gort::panic("boom"); }
[[gnu::noinline]] void outer() {
  inner();
  asm volatile("");
}
int main() {
  return gort::run([] { outer(); });
}

// SPDX-License-Identifier: Apache-2.0
// Everybody waits.   Origin: Go runtime/crash_test.go (SimpleDeadlock).
// EXIT: 2
// STDERR: \Afatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 \[chan receive\]:\n
// STDERR: ^main_waits\(
// STDERR: deadlock_main\.cpp:\d+
#include <gort/gort.hpp>
[[gnu::noinline]] void main_waits() {
  auto c = gort::make_chan<int>();
  (void)c.recv();
  asm volatile("");
}
int main() { return gort::run(main_waits); }

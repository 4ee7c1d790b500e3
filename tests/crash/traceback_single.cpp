// SPDX-License-Identifier: Apache-2.0
// GOTRACEBACK unset: the goroutine that panicked, and no other.
// EXIT: 2
// STDERR: ^panic: boom$
// STDERR: ^goroutine 1 \[running\]:
// STDERR-NOT: chan receive
#include <gort/gort.hpp>

#include <cstdio>
using namespace std::chrono_literals;
[[gnu::noinline]] void waiter() {
  auto c = gort::make_chan<int>();
  (void)c.recv();
  asm volatile("");
}
int main() {
  return gort::run([] {
    gort::go(waiter);
    gort::sleep(5ms);
    gort::panic("boom");
  });
}

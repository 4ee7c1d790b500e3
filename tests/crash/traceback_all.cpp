// SPDX-License-Identifier: Apache-2.0
// RUN-ENV: GOTRACEBACK=all
// EXIT: 2
// STDERR: ^goroutine 1 \[running\]:
// STDERR: \n\ngoroutine \d+ \[chan receive\]:\n
// STDERR: ^waiter\(
// STDERR: ^created by
// STDERR-NOT: gort::rt::
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

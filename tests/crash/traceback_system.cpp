// SPDX-License-Identifier: Apache-2.0
// Runtime frames and addresses of the machinery show from level 2 on.
// RUN-ENV: GOTRACEBACK=system
// EXIT: 2
// STDERR: ^goroutine 1 gp=0x[0-9a-f]+ m=\d+ mp=0x[0-9a-f]+ \[running\]:
// STDERR: ^gort::rt::
// STDERR: ^goroutine \d+ gp=0x[0-9a-f]+ m=nil \[chan receive\]:
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

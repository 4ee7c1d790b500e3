// SPDX-License-Identifier: Apache-2.0
// RUN-ENV: GOTRACEBACK=crash
// SIGNAL: 6
// STDERR: ^panic: boom$
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

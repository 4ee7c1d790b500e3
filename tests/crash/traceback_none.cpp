// SPDX-License-Identifier: Apache-2.0
// RUN-ENV: GOTRACEBACK=none
// EXIT: 2
// STDERR: \Apanic: boom\n\Z
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

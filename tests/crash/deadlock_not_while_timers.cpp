// SPDX-License-Identifier: Apache-2.0
// A pending timer, or somebody in the kernel, may still wake the others: no deadlock is reported.
// STDOUT: \Awoken by the timer\nwoken after the system call\n\Z
// STDERR-NOT: .
#include <gort/gort.hpp>

#include <cstdio>
#include <unistd.h>
using namespace std::chrono_literals;
int main() {
  return gort::run([] {
    auto c = gort::make_chan<int>();
    {
      const auto timer = gort::after_func(100ms, [=] { c.send(1); });
      (void)c.recv();
    }
    std::puts("woken by the timer");
    gort::go([=] {
      gort::blocking([] { ::usleep(100000); });
      c.send(2);
    });
    (void)c.recv();
    std::puts("woken after the system call");
  });
}

// SPDX-License-Identifier: Apache-2.0
// A foreign thread that has called Gort may call again: no deadlock is reported while it lives.
// STDOUT: \Awoken by a thread\n\Z
// STDERR-NOT: .
#include <gort/gort.hpp>

#include <cstdio>
#include <thread>
#include <unistd.h>
int main() {
  return gort::run([] {
    auto c = gort::make_chan<int>();
    auto ready = gort::make_chan<int>(1);
    std::thread t([=] {
      ready.send(0);
      ::usleep(100000);
      c.send(1);
    });
    (void)ready.recv();
    (void)c.recv();
    std::puts("woken by a thread");
    t.join();
  });
}

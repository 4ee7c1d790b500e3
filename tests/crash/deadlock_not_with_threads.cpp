// SPDX-License-Identifier: Apache-2.0
// A thread of others may call Gort, for the first time or again: no deadlock is reported while it lives.
// STDOUT: \Awoken by a thread\nwoken again\n\Z
// STDERR-NOT: .
#include <gort/gort.hpp>

#include <cstdio>
#include <thread>
#include <unistd.h>
int main() {
  return gort::run([] {
    auto c = gort::make_chan<int>();
    std::thread t([=] {
      ::usleep(100000);
      c.send(1);
      ::usleep(100000);
      c.send(2);
    });
    (void)c.recv();
    std::puts("woken by a thread");
    (void)c.recv();
    std::puts("woken again");
    t.join();
  });
}

// SPDX-License-Identifier: Apache-2.0
// Once the last thread of others has ended, without a call, the deadlock is certain and is reported.
// EXIT: 2
// STDOUT: \Athe thread ends\n\Z
// STDERR: \Afatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 \[chan receive\]:\n
#include <gort/gort.hpp>

#include <cstdio>
#include <thread>
#include <unistd.h>
int main() {
  return gort::run([] {
    auto c = gort::make_chan<int>();
    std::thread([] {
      ::usleep(100000);
      std::puts("the thread ends");
      std::fflush(stdout);
    }).detach();
    (void)c.recv();
  });
}

// SPDX-License-Identifier: Apache-2.0
// A deadlock under sim is reported at once, timers of long ago included.
// RUN-ENV: GODEBUG=sim=11
// EXIT: 2
// STDOUT: \Aan hour later\n\Z
// STDERR: \Afatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 \[chan receive\]:\n
#include <gort/gort.hpp>

#include <cstdio>
int main() {
  return gort::run([] {
    gort::sleep(std::chrono::hours(1));
    std::puts("an hour later");
    std::fflush(stdout);
    (void)gort::make_chan<int>().recv();
  });
}

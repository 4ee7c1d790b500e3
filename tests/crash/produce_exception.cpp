// SPDX-License-Identifier: Apache-2.0
// An exception that leaves the function of produce is an unrecovered panic, not an end of the channel.
// EXIT: 2
// STDOUT: \A1\n\Z
// STDERR: \Apanic: no more \(std::runtime_error\)\n
#include <gort/gort.hpp>

#include <cstdio>
#include <stdexcept>
int main() {
  return gort::run([] {
    auto numbers = gort::produce<int>(0, [](gort::send_chan<int> out) {
      out.send(1);
      gort::yield();
      throw std::runtime_error("no more");
    });
    for (int n : numbers) {
      std::printf("%d\n", n);
      std::fflush(stdout);
    }
    std::puts("not reached");
  });
}

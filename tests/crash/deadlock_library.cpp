// SPDX-License-Identifier: Apache-2.0
// In a foreign program nobody reports a deadlock of the process: the host's threads may do anything later.
// STDOUT: \Astill alive\n\Z
// STDERR-NOT: .
#include <gort/gort.hpp>

#include <cstdio>
#include <unistd.h>
int main() {
  gort::go([] { gort::select(); });
  ::usleep(100000);
  std::puts("still alive");
  return gort::shutdown(std::chrono::milliseconds(10)) ? 0 : 1;
}

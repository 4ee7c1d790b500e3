// SPDX-License-Identifier: Apache-2.0
// produce closes; who closes by hand as well closes twice.
// EXIT: 2
// STDERR: \Apanic: close of closed channel\n
#include <gort/gort.hpp>
int main() {
  return gort::run([] {
    auto numbers = gort::produce<int>(0, [](gort::send_chan<int> out) { out.close(); });
    (void)numbers.recv();
    gort::select();
  });
}

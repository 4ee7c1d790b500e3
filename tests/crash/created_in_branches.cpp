// SPDX-License-Identifier: Apache-2.0
// Two go statements in two branches are two creation sites, though the compiler would make one call of them.
// EXIT: 2
// STDERR: ^fatal error: all goroutines are asleep - deadlock!
// STDERR: ^created by .*\n\t.*created_in_branches\.cpp:15
// STDERR: ^created by .*\n\t.*created_in_branches\.cpp:17
#include <gort/gort.hpp>

int main() {
  return gort::run([] {
    auto never = gort::make_chan<int>();
    volatile int first = 0;
    for (int i = 0; i < 2; ++i) {
      if (i == first) {
        gort::go([=] { (void)never.recv(); });
      } else {
        gort::go([=] { (void)never.recv().has_value(); });
      }
    }
    (void)never.recv();
  });
}

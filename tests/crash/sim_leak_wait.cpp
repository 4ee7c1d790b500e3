// SPDX-License-Identifier: Apache-2.0
// A goroutine that a simulated world leaves behind has not waited since the machine was switched on.
// RUN-ENV: GOTRACEBACK=all
// EXIT: 2
// STDERR: \{name: leaky\}
// STDERR-NOT: minutes
#include <gort/gort.hpp>
int main() {
  gort::sim::run({.seed = 3},
                 [] { gort::go({.name = "leaky"}, [] { (void)gort::make_chan<int>().recv(); }); });
}

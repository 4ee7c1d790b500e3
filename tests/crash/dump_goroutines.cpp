// SPDX-License-Identifier: Apache-2.0
// debug::dump_goroutines of a living process: the caller first, then the others in the order of their
// creation.
// EXIT: 0
// STDOUT: \Agoroutine 1 \[running\]:\n
// STDOUT: ^asker\(
// STDOUT: \n\ngoroutine \d+ \[chan receive\] \{name: reaper\}:\n
// STDOUT: ^waiter\(
// STDOUT: ^created by
// STDOUT-NOT: gort::rt::
#include <gort/runtime.hpp>

#include "waiter.hpp"
using namespace std::chrono_literals;
[[gnu::noinline]] int asker() { return gort::debug::dump_goroutines(1) ? 1 : 0; }
int main() {
  return gort::run([] {
    gort::go({.name = "reaper"}, waiter);
    gort::sleep(5ms);
    return asker();
  });
}

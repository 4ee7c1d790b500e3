// SPDX-License-Identifier: Apache-2.0
// A C++ exception that leaves a goroutine is an unrecovered panic: what(), type, the trace from the throw,
// exit status 2. Deferred functions run first, as for a panic.
// EXIT: 2
// STDOUT: \Adeferred\n\Z
// STDERR: \Apanic: no such file \(std::runtime_error\)\n\ngoroutine \d+ \[running\]:\n
// STDERR: ^thrower\(
// STDERR: ^created by
// STDERR-NOT: terminate called
#include <gort/gort.hpp>

#include <cstdio>
#include <stdexcept>
[[gnu::noinline]] void thrower() { throw std::runtime_error("no such file"); }
int main() {
  return gort::run([] {
    gort::go([] {
      gort::defer d{[] {
        std::puts("deferred");
        std::fflush(stdout);
      }};
      thrower();
    });
    gort::select();
  });
}

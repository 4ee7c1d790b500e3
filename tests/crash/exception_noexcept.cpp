// SPDX-License-Identifier: Apache-2.0
// An exception in a noexcept function cannot reach the handlers above it.
// EXIT: 2
// STDOUT-NOT: handler
// STDERR: \Apanic: 17\n\ngoroutine 1 \[running\]:
#include <gort/gort.hpp>

#include <cstdio>
[[gnu::noinline]] void quiet() noexcept { throw 17; }
int main() {
  return gort::run([] {
    gort::func([](auto& fn) {
      fn.recover([](const gort::panic_info&) { std::puts("handler"); });
      quiet();
    });
  });
}

// SPDX-License-Identifier: Apache-2.0
// A recovered panic cannot unwind a noexcept function.
// EXIT: 2
// STDERR: ^fatal error: panic cannot unwind: a noexcept function
// STDERR: the panic was: boom
// STDERR: ^goroutine 1 \[running\]:
#include <gort/gort.hpp>

[[gnu::noinline]] void quiet() noexcept { gort::panic("boom"); }
int main() {
  return gort::run([] {
    gort::func([](auto& fn) {
      fn.recover([](const gort::panic_info&) {});
      quiet();
    });
  });
}

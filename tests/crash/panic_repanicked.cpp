// SPDX-License-Identifier: Apache-2.0
// A handler that raises the same value again prints it once.   Origin: Go runtime/crash_test.go
// (RepanickedPanic).
// EXIT: 2
// STDERR: \Apanic: message \[recovered, repanicked\]\n\ngoroutine 1 \[running\]:
// STDERR: ^first_thrower\(
#include <gort/gort.hpp>

[[gnu::noinline]] void first_thrower() { gort::panic("message"); }
int main() {
  return gort::run([] {
    gort::func([](auto& fn) {
      fn.recover([](const gort::panic_info& p) { p.repanic(); });
      first_thrower();
    });
  });
}

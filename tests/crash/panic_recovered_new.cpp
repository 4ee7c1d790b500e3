// SPDX-License-Identifier: Apache-2.0
// A handler that panics with something else: the first panic is marked as recovered.
// EXIT: 2
// STDERR: \Apanic: first \[recovered\]\n\tpanic: second\n\ngoroutine 1
#include <gort/gort.hpp>

int main() {
  return gort::run([] {
    gort::func([](auto& fn) {
      fn.recover([](const gort::panic_info&) { gort::panic("second"); });
      gort::panic("first");
    });
  });
}

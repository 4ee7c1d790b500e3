// SPDX-License-Identifier: Apache-2.0
// Three panics, the middle one raised again.   Origin: Go runtime/crash_test.go (RepanickedMiddlePanic).
// EXIT: 2
// STDERR: \Apanic: inner \[recovered\]\n\tpanic: middle \[recovered, repanicked\]\n\tpanic: outer$
#include <gort/gort.hpp>

int main() {
  return gort::run([] {
    gort::defer last{[] { gort::panic("outer"); }};
    gort::func([](auto& a) {
      a.recover([](const gort::panic_info& p) { p.repanic(); });
      gort::func([](auto& b) {
        b.recover([](const gort::panic_info&) { gort::panic("middle"); });
        gort::panic("inner");
      });
    });
  });
}

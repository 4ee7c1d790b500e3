// SPDX-License-Identifier: Apache-2.0
// A deferred function that panics while panicking adds its panic to the report, oldest first.
// Origin: Go test/deferprint.go, test/recover4.go.
// EXIT: 2
// STDERR: \Apanic: first\n\tpanic: second\n\tpanic: third\n\ngoroutine 1
#include <gort/gort.hpp>

int main() {
  return gort::run([] {
    gort::defer c{[] { gort::panic("third"); }};
    gort::defer b{[] { gort::panic("second"); }};
    gort::panic("first");
  });
}

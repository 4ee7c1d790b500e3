// SPDX-License-Identifier: Apache-2.0
// A panic in a deferred function of a goexit is printed alone.   Origin: Go runtime/crash_test.go
// (GoexitInPanic).
// EXIT: 2
// STDERR: \Apanic: second\n\ngoroutine 1
#include <gort/gort.hpp>

int main() {
  return gort::run([] {
    gort::defer d{[] { gort::panic("second"); }};
    gort::goexit();
  });
}

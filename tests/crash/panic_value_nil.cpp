// SPDX-License-Identifier: Apache-2.0
// How panic prints its argument: Go's forms.   Origin: Go runtime/panic_test.go.
// EXIT: 2
// STDERR: \Apanic: panic called with nil argument \(use GODEBUG=panicnil=1 to disable\)$
#include <gort/gort.hpp>

enum class shape { flat, round = 3 };
struct point {
  int x, y;
};
int main() {
  return gort::run([] {
    [[maybe_unused]] shape s{};
    [[maybe_unused]] point p{};
    gort::panic(nullptr);
  });
}

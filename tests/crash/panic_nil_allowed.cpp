// SPDX-License-Identifier: Apache-2.0
// GODEBUG=panicnil=1 lets panic(nil) through as it was before Go 1.21.
// RUN-ENV: GODEBUG=panicnil=1
// EXIT: 2
// STDERR: \Apanic: nil\n\ngoroutine 1
#include <gort/gort.hpp>

int main() {
  return gort::run([] { gort::panic(gort::error()); });
}

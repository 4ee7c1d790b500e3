// SPDX-License-Identifier: Apache-2.0
// Continuation lines of a message get one tab, so that they cannot be taken for goroutine lines.   Origin: Go
// issue 64590.
// EXIT: 2
// STDERR: \Apanic: one\n\ttwo\n\tgoroutine 7 \[running\]:\n\ngoroutine 1 \[running\]:
#include <gort/gort.hpp>

int main() {
  return gort::run([] { gort::panic("one\ntwo\ngoroutine 7 [running]:"); });
}

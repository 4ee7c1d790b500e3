// SPDX-License-Identifier: Apache-2.0
// Deferred functions run, last in first out, before the panic is printed.   Origin: Go test/deferprint.go.
// EXIT: 2
// STDERR: \A3\n2\n1\npanic: dead\n\ngoroutine 1
#include <gort/gort.hpp>

#include <cstdio>
int main() {
  return gort::run([] {
    gort::defer a{[] { std::fputs("1\n", stderr); }};
    gort::func([](auto& fn) {
      fn.defer([] { std::fputs("2\n", stderr); });
      gort::defer c{[] { std::fputs("3\n", stderr); }};
      gort::panic("dead");
    });
  });
}

// SPDX-License-Identifier: Apache-2.0
// goexit in the main goroutine with nobody left.   Origin: Go runtime/crash_test.go (GoexitDeadlock).
// EXIT: 2
// STDOUT: deferred
// STDERR: ^fatal error: no goroutines \(main called runtime\.Goexit\) - deadlock!
#include <gort/gort.hpp>

#include <cstdio>
int main() {
  return gort::run([] {
    gort::defer d{[] {
      std::puts("deferred");
      std::fflush(stdout);
    }};
    gort::goexit();
  });
}

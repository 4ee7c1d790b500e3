// SPDX-License-Identifier: Apache-2.0
// Unbounded recursion ends as in Go, with the inner and outer 50 frames.   Origin: Go runtime/crash_test.go
// (StackOverflow).
// SKIP-IN: address thread (their own stack handling comes first)
// EXIT: 2
// STDERR: \Aruntime: goroutine stack exceeds 262144-byte limit$
// STDERR: ^runtime: sp=0x[0-9a-f]+ stack=\[0x[0-9a-f]+, 0x[0-9a-f]+\]$
// STDERR: ^fatal error: stack overflow$
// STDERR: ^goroutine \d+ \[running\]:\n
// STDERR: ^endless\(
// STDERR: ^\.\.\.\d+ frames elided\.\.\.$
// STDERR: ^created by
#include <gort/gort.hpp>

#pragma GCC diagnostic ignored "-Winfinite-recursion"

[[gnu::noinline]] int endless(int n) {
  char room[200];
  asm volatile("" ::"r"(room) : "memory");
  return n + endless(n + 1) + room[0];
}
int main() {
  return gort::run([] {
    gort::go([] { endless(0); });
    gort::select();
  });
}

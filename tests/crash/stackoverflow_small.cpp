// SPDX-License-Identifier: Apache-2.0
// A stack of 16 KiB: small, but guarded like the others.
// SKIP-IN: address thread (their own stack handling comes first)
// EXIT: 2
// STDERR: \Aruntime: goroutine stack exceeds 16384-byte limit\n
// STDERR: ^fatal error: stack overflow\n
// STDERR: ^goroutine \d+ \[running\]:\n
// STDERR: ^endless\(
#include <gort/gort.hpp>
[[gnu::noinline]] int endless(int n) {
  char room[200];
  asm volatile("" ::"r"(room) : "memory");
  return n + endless(n + 1) + room[0];
}
int main() {
  return gort::run([] {
    gort::go({.stack = 16 << 10}, [] { endless(0); });
    gort::select();
  });
}

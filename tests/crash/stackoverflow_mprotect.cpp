// SPDX-License-Identifier: Apache-2.0
// Where the kernel has no cheap guards, mprotect makes them (forced here).
// SKIP-IN: address thread (their own stack handling comes first)
// RUN-ENV: GODEBUG=stackguard=mprotect
// EXIT: 2
// STDERR: \Aruntime: goroutine stack exceeds 262144-byte limit\n
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
    gort::go([] { endless(0); });
    gort::select();
  });
}

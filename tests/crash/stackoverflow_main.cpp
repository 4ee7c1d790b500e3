// SPDX-License-Identifier: Apache-2.0
// The main goroutine has 8 MiB; its overflow is reported like any other.
// SKIP-IN: address thread (their own stack handling comes first)
// EXIT: 2
// STDERR: \Aruntime: goroutine stack exceeds 8388608-byte limit\n
// STDERR: ^fatal error: stack overflow\n
// STDERR: ^goroutine 1 \[running\]:\n
// STDERR: ^endless\(
#include <gort/gort.hpp>
[[gnu::noinline]] int endless(int n) {
  char room[200];
  asm volatile("" ::"r"(room) : "memory");
  return n + endless(n + 1) + room[0];
}
int main() {
  return gort::run([] { return endless(0); });
}

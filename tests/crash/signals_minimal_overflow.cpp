// SPDX-License-Identifier: Apache-2.0
// Under signal_policy::minimal a stack overflow is reported as ever.
// SKIP-IN: address thread (their own stack handling comes first)
// EXIT: 2
// STDERR: \Aruntime: goroutine stack exceeds 262144-byte limit\n
// STDERR: ^fatal error: stack overflow\n
// STDERR: ^endless\(
#include <gort/gort.hpp>
[[gnu::noinline]] int endless(int n) {
  char room[200];
  asm volatile("" ::"r"(room) : "memory");
  return n + endless(n + 1) + room[0];
}
int main() {
  return gort::run({.signals = gort::signal_policy::minimal},
                   [] { return gort::spawn([] { return endless(0); }).join(); });
}

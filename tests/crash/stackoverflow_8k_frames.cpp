// SPDX-License-Identifier: Apache-2.0
// Frames of 8 KiB that touch one word each, as code without -fstack-clash-protection makes them, do not get past the guard.
// SKIP-IN: address thread (their own stack handling comes first)
// EXIT: 2
// STDERR: \Aruntime: goroutine stack exceeds 262144-byte limit\n
// STDERR: ^fatal error: stack overflow\n
#include <gort/gort.hpp>

// Recursion in steps of 8 KiB; only the return address is written.
__asm__(
    ".text\n"
    "step8k:\n"
    "  sub $8184, %rsp\n"
    "  call step8k\n"
    "  add $8184, %rsp\n"
    "  ret\n");
extern "C" void step8k();
int main() {
  return gort::run([] {
    gort::go([] { step8k(); });
    gort::select();
  });
}

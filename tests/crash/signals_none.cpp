// SPDX-License-Identifier: Apache-2.0
// signal_policy::none: a stack overflow still ends the program, by the signal and without a word of Gort's.
// SKIP-IN: address thread (their own stack handling comes first)
// SIGNAL: 11
// STDERR: \A\Z
#include <gort/gort.hpp>

#include <sys/resource.h>
[[gnu::noinline]] int endless(int n) {
  char room[200];
  asm volatile("" ::"r"(room) : "memory");
  return n + endless(n + 1) + room[0];
}
int main() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  return gort::run({.signals = gort::signal_policy::none},
                   [] { return gort::spawn([] { return endless(0); }).join(); });
}

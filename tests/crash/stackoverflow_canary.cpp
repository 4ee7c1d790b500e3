// SPDX-License-Identifier: Apache-2.0
// Where no guard can be had at all there are known bytes at the end of the stack: an overflow is found late, never missed.
// SKIP-IN: address thread (their own stack handling comes first)
// RUN-ENV: GODEBUG=stackguard=canary
// EXIT: 2
// STDOUT: \Acanaries only: yes\n\Z
// STDERR: ^fatal error: runtime: stack overflow found at the end of a goroutine \(canary\)
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <cstdio>
[[gnu::noinline]] int deep(int n) {
  char room[1024];
  for (char& c : room) c = 1;
  asm volatile("" ::"r"(room) : "memory");
  return n == 0 ? room[5] : deep(n - 1) + room[7];
}
int main() {
  return gort::run([] {
    gort::spawn([] { return deep(100); }).join();  // fits: nothing happens
    const auto s = gort::runtime::stack_stats();
    std::printf("canaries only: %s\n", s.canary_only == s.slots && s.slots > 0 ? "yes" : "no");
    std::fflush(stdout);
    gort::spawn([] { return deep(200); }).join();  // 200 KiB where 192 are
  });
}

// SPDX-License-Identifier: Apache-2.0
// A goroutine without a real guard that overflows and then waits for ever: the canary is looked at when it parks.
// SKIP-IN: address thread (their own stack handling comes first)
// RUN-ENV: GODEBUG=stackguard=canary
// EXIT: 2
// STDOUT: \Afits\n\Z
// STDERR: ^fatal error: runtime: stack overflow found when a goroutine parked \(canary\)
#include <gort/gort.hpp>

#include <chrono>
#include <cstdio>
[[gnu::noinline]] int deep(int n) {
  char room[1024];
  for (char& c : room) c = 1;
  asm volatile("" ::"r"(room) : "memory");
  return n == 0 ? room[5] : deep(n - 1) + room[7];
}
int main() {
  using namespace std::chrono_literals;
  return gort::run([] {
    auto never = gort::make_chan();
    gort::go([=] {
      (void)deep(100);
      (void)never.recv();
    });
    gort::sleep(10ms);
    std::puts("fits");
    std::fflush(stdout);
    gort::go([=] {
      (void)deep(195);
      (void)never.recv();
    });
    gort::sleep(10s);
    std::puts("went unnoticed");
  });
}

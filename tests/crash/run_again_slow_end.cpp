// SPDX-License-Identifier: Apache-2.0
// A goroutine that computes for a while, and cannot be preempted, as run() ends: what the others left behind is taken
// away all the same. Of a sleeper's timer that stayed the next run would believe that it may wake somebody.
// RUN-ENV: GODEBUG=asyncpreemptoff=1 GOMAXPROCS=2
// EXIT: 2
// STDERR: \Afatal error: all goroutines are asleep - deadlock!\n
// STDERR: ^main_waits\(
#include <gort/gort.hpp>

#include <atomic>
using namespace std::chrono_literals;
void leave_a_sleeper_and_one_who_computes() {
  std::atomic<bool> computes{false};
  gort::go([] { gort::sleep(1h); });
  gort::sleep(2ms);
  gort::go([&computes] {
    computes = true;
    const auto begin = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - begin < 60ms) {
    }
  });
  while (!computes) gort::yield();
}
[[gnu::noinline]] void main_waits() {
  auto c = gort::make_chan<int>();
  (void)c.recv();
  asm volatile("");
}
int main() {
  gort::run(leave_a_sleeper_and_one_who_computes);
  return gort::run(main_waits);
}

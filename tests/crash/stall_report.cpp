// SPDX-License-Identifier: Apache-2.0
// GODEBUG=stall names who keeps a P without calling the runtime: one that computes and one that waits on a lock.
// RUN-ENV: GODEBUG=stall=30ms GOMAXPROCS=2
// STDERR: runtime: goroutine \d+ has kept a P for more than 30000us \(GODEBUG=stall\)\ngoroutine \d+ \[running\] \{name: sitter\}:\n
// STDERR: sit_still\(\.\.\.\)
// STDERR: created by main
// STDERR: runtime: goroutine \d+ has kept a P for more than 30000us \(GODEBUG=stall\)\ngoroutine \d+ \[running\] \{name: digger\}:\n
// STDERR: dig_for_long\(\.\.\.\)
// STDERR: created by main
// STDOUT: \Adone\n\Z
// SKIP-IN: thread (the sanitizer delivers signals when it likes; Gort does without them there)
#include <gort/gort.hpp>

#include <chrono>
#include <cstdio>
#include <mutex>
#include <unistd.h>
using namespace std::chrono_literals;
namespace {
[[gnu::noinline]] void dig_for_long() {
  const auto end = std::chrono::steady_clock::now() + 150ms;
  while (std::chrono::steady_clock::now() < end) {
  }
  __asm__ volatile("");
}
[[gnu::noinline]] void sit_still(std::mutex& m) {
  m.lock();
  m.unlock();
  __asm__ volatile("");
}
}  // namespace
int main() {
  return gort::run([] {
    std::mutex m;
    m.lock();
    auto sitter = gort::spawn({.name = "sitter"}, [&] { sit_still(m); });
    gort::sleep(200ms);
    m.unlock();
    sitter.join();
    gort::spawn({.name = "digger"}, [] { dig_for_long(); }).join();
    std::printf("done\n");
  });
}

// SPDX-License-Identifier: Apache-2.0
// A dump shows where the loops are that hang the program, though they call nobody.
// RUN-ENV: GOMAXPROCS=2
// EXIT: 2
// STDERR: ^SIGQUIT: quit
// STDERR: first_loop\(
// STDERR-NOT: running on other thread
// SKIP-IN: thread (no preemption by signal there)
#include <gort/gort.hpp>

#include <csignal>
#include <unistd.h>

namespace {
[[gnu::noinline]] void first_loop() {
  for (;;) __asm__ volatile("");
}
}  // namespace

int main() {
  return gort::run([] {
    gort::go([] { first_loop(); });
    gort::go([] { first_loop(); });
    gort::sleep(std::chrono::milliseconds(100));
    ::kill(::getpid(), SIGQUIT);
    for (;;) gort::sleep(std::chrono::milliseconds(10));
  });
}

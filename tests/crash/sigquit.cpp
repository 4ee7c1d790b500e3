// SPDX-License-Identifier: Apache-2.0
// SIGQUIT: every goroutine, exit status 2.
// EXIT: 2
// STDERR: ^SIGQUIT: quit\nPC=0x[0-9a-f]+ m=-?\d+ sigcode=-?\d+\n
// STDERR: ^goroutine \d+
// STDERR: \[chan receive
// STDERR: ^waiter\(
#include <gort/gort.hpp>

#include <csignal>
#include <unistd.h>
using namespace std::chrono_literals;
[[gnu::noinline]] void waiter() {
  auto c = gort::make_chan<int>();
  (void)c.recv();
  asm volatile("");
}
int main() {
  return gort::run([] {
    gort::go(waiter);
    gort::sleep(10ms);
    ::kill(::getpid(), SIGQUIT);
    gort::sleep(5s);
  });
}

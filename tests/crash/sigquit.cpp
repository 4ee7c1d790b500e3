// SPDX-License-Identifier: Apache-2.0
// SIGQUIT: every goroutine, exit status 2.
// EXIT: 2
// STDERR: ^SIGQUIT: quit\nPC=0x[0-9a-f]+ m=-?\d+ sigcode=-?\d+\n
// STDERR: ^goroutine \d+
// STDERR: \[chan receive
// STDERR: ^waiter\(
#include <csignal>
#include <unistd.h>

#include "waiter.hpp"
int main() {
  return fail_beside_a_waiter([] {
    ::kill(::getpid(), SIGQUIT);
    gort::sleep(std::chrono::seconds(5));
  });
}

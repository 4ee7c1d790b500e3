// SPDX-License-Identifier: Apache-2.0
// SIGTERM that nobody asked for ends the process as it ever did.
// SIGNAL: 15
// STDERR: \A\Z
#include <gort/gort.hpp>

#include <csignal>
#include <unistd.h>
using namespace std::chrono_literals;
int main() {
  return gort::run([] {
    { auto sub = gort::signal::notify(gort::make_chan<int>(1), {SIGTERM}); }
    ::kill(::getpid(), SIGTERM);
    gort::sleep(5s);
  });
}

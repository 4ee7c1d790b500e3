// SPDX-License-Identifier: Apache-2.0
// SIGQUIT that was asked for prints nothing; given back, it dumps again.
// SKIP-IN: thread (the sanitizer delays signals)
// EXIT: 2
// STDOUT: \A3\n\Z
// STDERR: \ASIGQUIT: quit\n
#include <gort/gort.hpp>

#include <csignal>
#include <cstdio>
#include <unistd.h>
using namespace std::chrono_literals;
int main() {
  return gort::run([] {
    auto c = gort::make_chan<int>(1);
    auto sub = gort::signal::notify(c, {SIGQUIT});
    ::kill(::getpid(), SIGQUIT);
    std::printf("%d\n", *c.recv());
    std::fflush(stdout);
    sub.stop();
    ::kill(::getpid(), SIGQUIT);
    gort::sleep(5s);
  });
}

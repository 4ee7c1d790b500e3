// SPDX-License-Identifier: Apache-2.0
// Under signal_policy::minimal SIGQUIT does what it does without Gort.
// SIGNAL: 3
// STDERR: \A\Z
#include <gort/gort.hpp>

#include <csignal>
#include <sys/resource.h>
#include <unistd.h>
using namespace std::chrono_literals;
int main() {
  const rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
  return gort::run({.signals = gort::signal_policy::minimal}, [] {
    ::kill(::getpid(), SIGQUIT);
    gort::sleep(5s);
  });
}

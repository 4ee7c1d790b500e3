// SPDX-License-Identifier: Apache-2.0
// A subscription that outlives run() does not keep the signal from doing what it did before; a second run may ask again.
// SKIP-IN: thread (the sanitizer delays signals)
// SIGNAL: 15
// STDOUT: \Afirst 15\nsecond 15\n\Z
#include <gort/gort.hpp>

#include <csignal>
#include <cstdio>
#include <unistd.h>
int main() {
  std::optional<gort::signal::subscription> first, second;
  gort::run([&] {
    auto c = gort::make_chan<int>(1);
    first.emplace(gort::signal::notify(c, {SIGTERM}));
    ::kill(::getpid(), SIGTERM);
    std::printf("first %d\n", *c.recv());
  });
  gort::run([&] {
    auto c = gort::make_chan<int>(1);
    second.emplace(gort::signal::notify(c, {SIGTERM}));
    ::kill(::getpid(), SIGTERM);
    std::printf("second %d\n", *c.recv());
  });
  std::fflush(stdout);
  ::kill(::getpid(), SIGTERM);
  ::sleep(5);
}

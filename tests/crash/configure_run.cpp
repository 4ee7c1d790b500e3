// SPDX-License-Identifier: Apache-2.0
// configure, then run: what run is told wins, the rest is as configured, signals and GODEBUG included.
// STDOUT: \Aprocs 3\nstack 2097152\nhandlers: no\n\Z
// STDERR: ^SCHED \d+ms: gomaxprocs=3
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <csignal>
#include <cstdio>
using namespace std::chrono_literals;
int main() {
  (void)gort::configure({.max_procs = 3,
                         .stack = std::size_t{1} << 20,
                         .signals = gort::signal_policy::none,
                         .godebug = "schedtrace=10"});
  return gort::run({.stack = std::size_t{2} << 20}, [] {
    std::printf("procs %d\n", gort::runtime::max_procs());
    std::printf("stack %zu\n", gort::debug::set_max_stack(std::size_t{2} << 20));
    struct sigaction now {};
    sigaction(SIGQUIT, nullptr, &now);
    std::printf("handlers: %s\n", now.sa_handler == SIG_DFL ? "no" : "yes");
    gort::sleep(300ms);
  });
}

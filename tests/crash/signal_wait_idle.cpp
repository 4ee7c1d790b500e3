// SPDX-License-Identifier: Apache-2.0
// A program that only waits for a signal is not deadlocked, and wakes from idleness.
// RUN-ENV: GOMAXPROCS=1
// SKIP-IN: thread (the sanitizer delays signals)
// STDOUT: \A1\n\Z
#include <gort/gort.hpp>

#include <csignal>
#include <cstdio>
#include <sys/wait.h>
#include <unistd.h>
int main() {
  const pid_t me = ::getpid();
  int ready[2];
  if (::pipe(ready) != 0) return 1;
  const pid_t child = ::fork();
  if (child == 0) {
    char c;
    if (::read(ready[0], &c, 1) != 1) ::_exit(1);
    ::usleep(200 * 1000);
    ::kill(me, SIGHUP);
    ::_exit(0);
  }
  return gort::run([&] {
    auto c = gort::make_chan<int>(1);
    auto sub = gort::signal::notify(c, {SIGHUP});
    if (::write(ready[1], "x", 1) != 1) return;
    std::printf("%d\n", *c.recv());
    ::waitpid(child, nullptr, 0);
  });
}

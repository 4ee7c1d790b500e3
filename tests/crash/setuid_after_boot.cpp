// SPDX-License-Identifier: Apache-2.0
// A server drops its privileges after the runtime has started: libc makes every thread follow, the runtime's too, and waits.
// STDOUT: \Auser (\d+), \1 on another thread\n\Z
// SKIP-IN: thread (the sanitizer's own thread does not follow)
#include <gort/gort.hpp>

#include <cstdio>
#include <unistd.h>
int main() {
  return gort::run({.max_procs = 2}, [] {
    gort::spawn([] { gort::blocking([] { ::usleep(1000); }); }).join();  // there are several threads
    const uid_t user = ::getuid() == 0 ? 61236 : ::getuid();
    if (::setuid(user) != 0) std::puts("setuid failed");
    uid_t other = 0;
    auto t = gort::spawn([&] { gort::blocking([&] { other = ::getuid(); }); });
    t.join();
    std::printf("user %u, %u on another thread\n", ::getuid(), other);
  });
}

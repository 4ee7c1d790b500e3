// SPDX-License-Identifier: Apache-2.0
// The kernel refuses another thread: a clear fatal error, not a hang.   Origin: Go runtime/crash_test.go (RLIMIT_NPROC).
// SKIP-IN: thread address (their runtimes start threads of their own)
// EXIT: 2
// STDERR: \Aruntime: failed to create new OS thread \(have \d+ already; errno=11\)\nruntime: may need to increase max user processes \(ulimit -u\)\nfatal error: newosproc\n
#include <gort/gort.hpp>

#include <sys/resource.h>
#include <unistd.h>
int main() {
  const rlimit few{8, 8};
  if (::setrlimit(RLIMIT_NPROC, &few) != 0) return 1;
  if (::getuid() == 0 && ::setuid(61234) != 0)
    return 1;  // the limit does not bind root; nobody has this number
  return gort::run({.max_procs = 2}, [] {
    for (int i = 0; i < 100; ++i) gort::go([] { gort::blocking([] { ::usleep(2000000); }); });
    gort::sleep(std::chrono::seconds(5));
  });
}

// SPDX-License-Identifier: Apache-2.0
// No address space left for another stack: Go's fatal error, with the reason.
// SKIP-IN: thread address (shadow memory needs all addresses)
// EXIT: 2
// STDERR: \Aruntime: out of memory: cannot allocate a goroutine stack of 262144 bytes \(\d+ goroutines; see ulimit -v, vm\.overcommit_memory\)\nfatal error: out of memory\n
#include <gort/gort.hpp>

#include <sys/resource.h>
int main() {
  const rlimit small{300000 * 1024UL, 300000 * 1024UL};
  if (::setrlimit(RLIMIT_AS, &small) != 0) return 1;
  return gort::run([] {
    auto never = gort::make_chan();
    for (;;) gort::go([=] { (void)never.recv(); });
  });
}

// SPDX-License-Identifier: Apache-2.0
// A write to standard output that nobody reads any more ends the process by SIGPIPE, whoever writes.
// SKIP-IN: thread (the sanitizer delays signals)
// SIGNAL: 13
// STDERR: \A\Z
#include <gort/gort.hpp>

#include <cstdio>
#include <unistd.h>
int main() {
  return gort::run([] {
    int p[2];
    if (::pipe(p) != 0) return;
    ::dup2(p[1], 1);
    ::close(p[0]);
    ::close(p[1]);
    std::puts("into the void");
    std::fflush(stdout);
    std::fputs("still here\n", stderr);
  });
}

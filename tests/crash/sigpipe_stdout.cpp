// SPDX-License-Identifier: Apache-2.0
// A write to standard output that nobody reads any more ends the process by SIGPIPE, whoever writes.
// SKIP-IN: thread (the sanitizer delays signals)
// SIGNAL: 13
// STDERR: \A\Z
#include "sigpipe.hpp"
int main() {
  return gort::run([] {
    break_stdout();
    std::puts("into the void");
    std::fflush(stdout);
    say("still here");
  });
}

// SPDX-License-Identifier: Apache-2.0
// A SIGSEGV that somebody sent is no fault: the report speaks of no address and blames no instruction.
// SIGNAL: 11
// STDERR: \A\[signal SIGSEGV: segmentation violation code=0x[0-9a-f]+ pc=0x[0-9a-f]+\]\n
// STDERR-NOT: unexpected fault address
// SKIP-IN: thread address (they report the signal themselves)
#include <gort/gort.hpp>

#include <csignal>
#include <unistd.h>

int main() {
  return gort::run([] {
    ::kill(::getpid(), SIGSEGV);
    for (;;) gort::yield();
  });
}

// SPDX-License-Identifier: Apache-2.0
// GODEBUG=schedtrace: Go's line format, one line an interval.
// RUN-ENV: GODEBUG=schedtrace=50 GOMAXPROCS=2
// STDERR: \ASCHED 0ms: gomaxprocs=2 idleprocs=[0-2] threads=\d+ spinningthreads=\d+ needspinning=\d+ idlethreads=\d+ runqueue=\d+ \[ \d+ \d+ \] schedticks=\[ \d+ \d+ \]\n
// STDERR: ^SCHED \d+ms: gomaxprocs=2 idleprocs=2 threads=\d+ spinningthreads=0 needspinning=0 idlethreads=\d+ runqueue=0 \[ 0 0 \] schedticks=\[ \d+ \d+ \]$
#include <gort/gort.hpp>
int main() {
  return gort::run([] { gort::sleep(std::chrono::milliseconds(400)); });
}

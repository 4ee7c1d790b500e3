// SPDX-License-Identifier: Apache-2.0
// A limit on address space (ulimit -v 500000): reservations shrink to what there is, a thousand goroutines run.
// SKIP-IN: thread address (shadow memory needs all addresses)
// STDOUT: \A1000 goroutines ran\n\Z
// STDERR-NOT: .
#include <gort/gort.hpp>

#include <atomic>
#include <cstdio>
#include <sys/resource.h>
int main() {
  const rlimit small{500000 * 1024UL, 500000 * 1024UL};
  if (::setrlimit(RLIMIT_AS, &small) != 0) return 1;
  return gort::run([] {
    std::atomic<int> ran{0};
    auto gate = gort::make_chan();
    gort::wait_group wg;
    for (int i = 0; i < 1000; ++i) {
      wg.go([&] {
        (void)gate.recv();
        ++ran;
      });
    }
    gate.close();
    wg.wait();
    std::printf("%d goroutines ran\n", ran.load());
  });
}

// SPDX-License-Identifier: Apache-2.0
// GOMAXPROCS=5 is obeyed, whatever the machine has.
// RUN-ENV: GOMAXPROCS=5
// STDOUT: \A5\n\Z
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <cstdio>
int main() {
  return gort::run([] { std::printf("%d\n", gort::runtime::max_procs()); });
}

// SPDX-License-Identifier: Apache-2.0
// GOMAXPROCS=1 is obeyed, whatever the machine has.
// RUN-ENV: GOMAXPROCS=1
// STDOUT: \A1\n\Z
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <cstdio>
int main() {
  return gort::run([] { std::printf("%d\n", gort::runtime::max_procs()); });
}

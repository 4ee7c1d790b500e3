// SPDX-License-Identifier: Apache-2.0
// run_options.max_procs wins over GOMAXPROCS.
// RUN-ENV: GOMAXPROCS=5
// STDOUT: \A3\n\Z
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <cstdio>
int main() {
  return gort::run({.max_procs = 3}, [] { std::printf("%d\n", gort::runtime::max_procs()); });
}

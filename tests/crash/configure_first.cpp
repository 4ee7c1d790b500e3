// SPDX-License-Identifier: Apache-2.0
// configure before the first use: the boot goes by it, here one that a plain main does by its first channel.
// STDOUT: \Aconfigured: yes\nprocs 3\nstack 1048576\ntoo late: yes\n\Z
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <cstdio>
#include <string>
int main() {
  std::string godebug = "panicnil=1";
  const bool yes = gort::configure({.max_procs = 3, .stack = std::size_t{1} << 20, .godebug = godebug});
  godebug.assign(100, '?');  // it was copied
  std::printf("configured: %s\n", yes ? "yes" : "no");
  auto c = gort::make_chan<int>();
  gort::go([=] { c.send(gort::runtime::max_procs()); });
  std::printf("procs %d\n", c.recv().value_or(-1));
  std::printf("stack %zu\n", gort::debug::set_max_stack(0));
  std::printf("too late: %s\n", gort::configure({}) ? "no" : "yes");
}

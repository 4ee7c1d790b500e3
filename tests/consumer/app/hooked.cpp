// SPDX-License-Identifier: Apache-2.0
// A user's program with gort::hook: on one P, a goroutine that blocks in read lets the one run that writes.
#include <unistd.h>

#include <cstdio>
#include <gort/gort.hpp>

int main() {
  gort::run_options o;
  o.max_procs = 1;
  return gort::run(o, [] {
    int ends[2];
    if (pipe(ends) != 0) return 1;
    gort::go([=] { (void)!write(ends[1], "x", 1); });
    char c = 0;
    const bool good = read(ends[0], &c, 1) == 1 && c == 'x';
    std::printf("%s\n", good ? "hooked" : "not hooked");
    return good ? 0 : 1;
  });
}

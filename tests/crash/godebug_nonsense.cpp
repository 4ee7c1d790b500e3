// SPDX-License-Identifier: Apache-2.0
// GODEBUG: names nobody knows are ignored, as Go does; a value that cannot be right is named and ignored.
// RUN-ENV: GODEBUG=nosuch=1,,=,schedtrace,chaos=x,schedtrace=99999999999,stackguard=maybe, GOMAXPROCS=many GOTRACEBACK=loud
// STDOUT: \Aran\n\Z
// STDERR: ^runtime: ignoring GODEBUG chaos=x: want a seed, a decimal number$
// STDERR: ^runtime: ignoring GODEBUG schedtrace=99999999999: want a small decimal number$
// STDERR: ^runtime: ignoring GODEBUG stackguard=maybe: want install, mprotect or canary$
// STDERR: ^runtime: ignoring environment GOTRACEBACK=loud: want
// STDERR: ^runtime: ignoring environment GOMAXPROCS=many: want a number of at least 1$
// STDERR-NOT: nosuch
#include <gort/gort.hpp>

#include <cstdio>
int main() {
  return gort::run([] { std::puts("ran"); });
}

// SPDX-License-Identifier: Apache-2.0
// Without GOMAXPROCS as many goroutines run at once as there are CPUs that the process may use.
// STDOUT: \Amax_procs 1 num_cpu 1\n\Z
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <cstdio>
#include <sched.h>
int main() {
  cpu_set_t all, one;
  CPU_ZERO(&one);
  if (sched_getaffinity(0, sizeof all, &all) != 0) return 3;
  int cpu = 0;
  while (cpu < CPU_SETSIZE && !CPU_ISSET(cpu, &all)) ++cpu;
  CPU_SET(cpu, &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) return 4;
  return gort::run(
      [] { std::printf("max_procs %d num_cpu %d\n", gort::runtime::max_procs(), gort::runtime::num_cpu()); });
}

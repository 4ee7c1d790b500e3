// SPDX-License-Identifier: Apache-2.0
// The frame of every Gort benchmark program: `prog BENCH N` runs one benchmark with N operations and prints
// `BENCH value unit`.
//
// One process measures one benchmark, so that nothing left over by the one before (parked goroutines, grown
// heaps, warm caches) colours the next, and so that two runs with N and 2N differ by exactly N operations:
// bench/run.py counts instructions that way.  Whatever a body does besides its N operations must therefore
// not depend on N.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <gort/gort.hpp>
#include <string_view>

namespace bench {

// One benchmark.  body runs as the main goroutine with max_procs Ps (0: as many as there are processors) and
// returns its figure in `unit`.
struct Entry {
  std::string_view name;
  int maxProcs;
  const char* unit;
  double (*body)(long n);
};

inline double nowNs() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<double>(ts.tv_sec) * 1e9 + static_cast<double>(ts.tv_nsec);
}

// nsPerOp times f() and spreads it over n operations.
template <class F>
double nsPerOp(long n, F&& f) {
  const double start = nowNs();
  f();
  return (nowNs() - start) / static_cast<double>(n);
}

// keep makes v look used, so that the loop that computes it stays.
template <class T>
inline void keep(T& v) {
  asm volatile("" : "+m"(v) : : "memory");
}

// require ends the program when a benchmark computed the wrong result.
inline void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "bench: wrong result: %s\n", what);
  std::exit(3);
}

template <std::size_t N>
int run(int argc, char** argv, const Entry (&entries)[N]) {
  const long n = argc == 3 ? std::atol(argv[2]) : 0;
  if (n <= 0) {
    std::fprintf(stderr, "usage: %s BENCH N\nbenches:", argv[0]);
    for (const Entry& e : entries)
      std::fprintf(stderr, " %.*s", static_cast<int>(e.name.size()), e.name.data());
    std::fprintf(stderr, "\n");
    return 64;
  }
  for (const Entry& e : entries) {
    if (e.name != argv[1]) continue;
    double value = 0;
    const int code = gort::run({.max_procs = e.maxProcs}, [&] { value = e.body(n); });
    if (code == 0) std::printf("%s %.4g %s\n", argv[1], value, e.unit);
    return code;
  }
  std::fprintf(stderr, "%s: no benchmark %s\n", argv[0], argv[1]);
  return 64;
}

}  // namespace bench

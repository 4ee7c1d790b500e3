// SPDX-License-Identifier: Apache-2.0
// A panic recovered by the function one frame up, and the C++ exception that does the same job, as the
// yardstick.
#include <stdexcept>

#include "bench.hpp"

namespace {

[[gnu::noinline]] void boom() { gort::panic("x"); }

[[gnu::noinline]] void panicAndRecover(long& count) {
  gort::func([&](auto& fn) {
    fn.recover([&](const gort::panic_info&) { ++count; });
    boom();
  });
}

double panicRecover(long n) {
  long count = 0;
  const double ns = bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) panicAndRecover(count);
  });
  bench::require(count == n, "recovered all");
  return ns;
}

[[gnu::noinline]] void raise() { throw std::runtime_error("x"); }

double throwCatch(long n) {
  long count = 0;
  const double ns = bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      try {
        raise();
      } catch (const std::runtime_error&) {
        ++count;
      }
    }
  });
  bench::require(count == n, "caught all");
  return ns;
}

constexpr bench::Entry kEntries[] = {
    {"panic_recover", 1, "ns/op", panicRecover},
    {"throw_catch", 1, "ns/op", throwCatch},
};

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, kEntries); }

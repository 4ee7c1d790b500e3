// SPDX-License-Identifier: Apache-2.0
// What unwinding and symbolising cost. Prints the numbers quoted in src/unwind; fails only when one is
// absurd. Method: 50 nested frames of one function; best of 200 rounds of steady_clock around the call; warm
// rule table unless said otherwise; the platform's unwinder on the same stack for comparison.
#include <gtest/gtest.h>
#include <pthread.h>
#include <unwind.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "unwind/demangle.hpp"
#include "unwind/symtab.hpp"
#include "unwind/traceback.hpp"

namespace {

using namespace gort::rt;

template <class F>
double bestNs(unsigned rounds, F f) {
  double best = 1e18;
  for (unsigned i = 0; i < rounds; ++i) {
    const auto t0 = std::chrono::steady_clock::now();
    f();
    const std::chrono::duration<double, std::nano> d = std::chrono::steady_clock::now() - t0;
    best = std::min(best, d.count());
  }
  return best;
}

StackBounds threadStack() {
  pthread_attr_t a;
  void* lo;
  size_t n;
  pthread_getattr_np(pthread_self(), &a);
  pthread_attr_getstack(&a, &lo, &n);
  pthread_attr_destroy(&a);
  return {reinterpret_cast<uintptr_t>(lo), reinterpret_cast<uintptr_t>(lo) + n};
}

struct Costs {
  unsigned frames;
  double warm, cold, fp, platform;
};

__attribute__((noinline)) Costs measure() {
  const StackBounds b = threadStack();
  static uintptr_t pcs[256];
  Costs c{};
  c.frames = unwindStack(callerRegs(), b, pcs, 256);
  c.warm = bestNs(200, [&] { unwindStack(callerRegs(), b, pcs, 256); }) / c.frames;
  c.cold = bestNs(20,
                  [&] {
                    forgetUnwindRules();
                    unwindStack(callerRegs(), b, pcs, 256);
                  }) /
           c.frames;
  unsigned n = 1;
  const Regs r = callerRegs();
  c.fp = bestNs(200, [&] { n = fpTraceback(r.pc, r.bp, b, pcs, 256); });
  c.fp /= n;
  unsigned theirs = 0;
  c.platform = bestNs(50, [&] {
    theirs = 0;
    _Unwind_Backtrace(
        [](_Unwind_Context* x, void* arg) {
          *static_cast<unsigned*>(arg) += _Unwind_GetIP(x) != 0;
          return _URC_NO_REASON;
        },
        &theirs);
  });
  c.platform /= theirs;
  return c;
}

volatile int sink;

__attribute__((noinline)) Costs deep(int n) {
  const Costs c = n == 0 ? measure() : deep(n - 1);
  sink = n;
  return c;
}

TEST(Cost, OfAFrame) {
  const Costs c = deep(50);
  printf("%u frames; ns per frame: warm %.1f, cold %.1f, frame pointers %.2f, platform %.1f\n", c.frames,
         c.warm, c.cold, c.fp, c.platform);
  EXPECT_LT(c.warm, 2000);
}

TEST(Cost, OfAName) {
  Frame f[16];
  const auto pc = reinterpret_cast<uintptr_t>(&measure) + 16;
  const double first = bestNs(1, [&] { symbolize(pc, f, 16); });
  const double later = bestNs(1000, [&] { symbolize(pc, f, 16); });
  const char* func;
  uintptr_t entry;
  ASSERT_TRUE(functionAt(pc, func, entry));
  char buf[512];
  const double name = bestNs(1000, [&] { demangle(func, buf, sizeof buf, DemangleStyle::kTrace); });
  printf("symbolize: first %.0f us, later %.0f ns; demangle %s: %.0f ns\n", first / 1000, later, buf, name);
  EXPECT_LT(later, 100000);
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// Stacks of goroutines from outside: sizes, closures, a hundred thousand at once, memory that goes back.
#include <gort/gort.hpp>
#include <gort/runtime.hpp>
#include <unistd.h>

#include <array>
#include <fstream>
#include <memory>
#include <string>

#include "base/sanitizer.hpp"
#include "lang/chan_util.hpp"
#include "sched/proc.hpp"

namespace {

using namespace std::chrono_literals;

[[maybe_unused]] long residentKib() {
  std::ifstream in("/proc/self/statm");
  long size = 0, resident = 0;
  in >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE) / 1024;
}

// Uninstrumented: the frames have the size that they seem to have.
[[gnu::noinline, gnu::no_sanitize_address, gnu::no_sanitize_thread]] int useStack(int kib) {
  volatile char room[1024];
  for (volatile char& c : room) c = 1;
  return kib <= 1 ? room[3] : useStack(kib - 1) + room[9];
}

GO_TEST(Stack, EverySizeFromTheOptionIsThere) {
  for (std::size_t bytes = std::size_t{16} << 10; bytes <= std::size_t{1} << 30; bytes *= 2) {
    const auto have = gort::spawn({.stack = bytes}, [] {
                        const gort::rt::G* gp = gort::rt::getg();
                        return gp->stack.hi - gp->stack.lo;
                      }).join();
    EXPECT_GE(have, bytes - bytes / 4);
    EXPECT_LE(have, bytes);
  }
}

GO_TEST(Stack, TheStackCanBeUsedToItsEnd) {
  EXPECT_EQ(gort::spawn([] { return useStack(150); }).join(), 150);
  EXPECT_EQ(gort::spawn({.stack = 64 << 20}, [] { return useStack(40000); }).join(), 40000);
}

GO_TEST(Stack, OddSizesAreRoundedUpAndExtremesClamped) {
  auto slot = [](std::size_t bytes) {
    return gort::spawn({.stack = bytes}, [] { return gort::rt::getg()->stackClass; }).join();
  };
  EXPECT_EQ(slot(1), slot(16 << 10));
  EXPECT_EQ(slot(17 << 10), slot(32 << 10));
  EXPECT_EQ(slot(std::size_t{5} << 30), slot(std::size_t{1} << 30));
  EXPECT_EQ(slot(0), slot(256 << 10));
}

GO_TEST(Stack, TheDefaultCanBeChanged) {
  const std::size_t was = gort::debug::set_max_stack(1 << 20);
  EXPECT_EQ(was, std::size_t{256} << 10);
  EXPECT_EQ(gort::spawn([] { return useStack(800); }).join(), 800);
  EXPECT_EQ(gort::debug::set_max_stack(was), std::size_t{1} << 20);
  for (int i = 0; i < 100; ++i) gort::spawn([] { return useStack(10); }).join();
}

template <std::size_t N>
void closureOf() {
  std::array<unsigned char, N> data;
  for (std::size_t i = 0; i < N; ++i) data[i] = static_cast<unsigned char>(i * 7);
  const bool good = gort::spawn([data] {
                      for (std::size_t i = 0; i < N; ++i) {
                        if (data[i] != static_cast<unsigned char>(i * 7)) return false;
                      }
                      return true;
                    }).join();
  EXPECT_TRUE(good) << N;
}

GO_TEST(Stack, ClosuresOfAnySizeArriveWhole) {
  closureOf<1>();
  closureOf<15>();
  closureOf<64>();
  closureOf<900>();
  closureOf<1023>();
  closureOf<1025>();
  closureOf<10000>();
}

struct alignas(64) Aligned {
  std::uintptr_t self() const { return reinterpret_cast<std::uintptr_t>(this); }
  int v = 5;
};

GO_TEST(Stack, ClosuresAreAligned) {
  const Aligned a;
  EXPECT_EQ(gort::spawn([a] { return a.self() % 64; }).join(), 0U);
}

GO_TEST(Stack, FramesStartAligned) {
  EXPECT_EQ(
      gort::spawn([] { return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) % 16; }).join(),
      0U);
}

#if !GORT_SANITIZED
// More goroutines than TSan has fibers for: this one is left out of sanitizer builds by name.
GO_TEST(StackScale, AHundredThousandParkedGoroutines) {
  constexpr int kGoroutines = 100000;
  auto gate = gort::make_chan();
  std::atomic<int> ran{0};
  gort::wait_group wg;
  const long before = residentKib();
  for (int i = 0; i < kGoroutines; ++i) {
    wg.go([&] {
      (void)gate.recv();
      ++ran;
    });
  }
  gort::yield();
  const long each = (residentKib() - before) * 1024 / kGoroutines;
  EXPECT_LT(each, 6500) << "bytes a goroutine";
  EXPECT_GE(gort::runtime::num_goroutine(), static_cast<std::size_t>(kGoroutines));
  gate.close();
  wg.wait();
  EXPECT_EQ(ran, kGoroutines);
  EXPECT_EQ(gort::runtime::stack_stats().canary_only, 0U);
}
#endif

// Memory of a burst goes back by itself: the monitor gives pages of ended goroutines to the kernel.
GO_TEST(Stack, IdlePagesGoBack) {
  constexpr int kGoroutines = 5000;
  {
    auto gate = gort::make_chan();
    gort::wait_group wg, used;
    used.add(kGoroutines);
    for (int i = 0; i < kGoroutines; ++i) {
      wg.go([=, &used] {
        (void)useStack(64);
        used.done();
        (void)gate.recv();
      });
    }
    used.wait();
    gate.close();
  }
  const long peak = residentKib();
  constexpr long kUsed = kGoroutines * 64L;
  EXPECT_GT(peak, kUsed);
  const auto end = gort::clock::now() + 20s;
  while (residentKib() > peak - kUsed * 3 / 4 && gort::clock::now() < end) gort::sleep(20ms);
  EXPECT_LT(residentKib(), peak - kUsed * 3 / 4);
}

GO_TEST(Stack, PagesGoBackOnRequest) {
  auto gate = gort::make_chan();
  gort::wait_group wg, used;
  used.add(500);
  for (int i = 0; i < 500; ++i) {
    wg.go([=, &used] {
      (void)useStack(100);
      used.done();
      (void)gate.recv();  // parked high up; what lies below is not needed
      EXPECT_EQ(useStack(100), 100);
    });
  }
  used.wait();
  gort::sleep(10ms);
  const long before = residentKib();
  gort::debug::free_os_memory();
  EXPECT_LT(residentKib(), before - 30000);
  gate.close();
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// The facades over the kernel: errors come back as values, clocks go forward, guards guard.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>

#include "os/futex.hpp"
#include "os/mem_linux.hpp"
#include "os/os_linux.hpp"
#include "os/thread.hpp"
#include "os/vdso.hpp"

namespace {

namespace rt = gort::rt;
namespace os = gort::rt::os;

class Os : public testing::Test {
 protected:
  static void SetUpTestSuite() { os::osinit(); }
};

TEST_F(Os, ErrorsAreReturnedAndErrnoIsLeftAlone) {
  errno = 1234;
  EXPECT_EQ(os::openRead("/no/such/file"), -ENOENT);
  EXPECT_EQ(os::write(-1, "x", 1), -EBADF);
  EXPECT_EQ(os::sysGuardInstall(reinterpret_cast<void*>(0x1001), 4096), -EINVAL);
  EXPECT_EQ(errno, 1234);
}

TEST_F(Os, ClocksGoForward) {
  rt::int64 last = os::nanotime();
  for (int i = 0; i < 10000; ++i) {
    const rt::int64 now = os::nanotime();
    ASSERT_GE(now, last);
    last = now;
  }
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  EXPECT_LT(std::llabs(ts.tv_sec * 1000000000LL + ts.tv_nsec - os::nanotime()), 1000000000LL);
  clock_gettime(CLOCK_REALTIME, &ts);
  EXPECT_LT(std::llabs(ts.tv_sec * 1000000000LL + ts.tv_nsec - os::walltime()), 1000000000LL);
}

TEST_F(Os, IdentifiesItself) {
  EXPECT_EQ(os::getpid(), ::getpid());
  EXPECT_EQ(os::gettid(), ::gettid());
  int there = 0;
  std::thread([&] { there = os::gettid(); }).join();
  EXPECT_NE(there, ::gettid());
  EXPECT_GE(os::ncpuAffinity(), 1);
}

TEST_F(Os, EnvironmentIsFound) {
  ASSERT_NE(::getenv("PATH"), nullptr);
  ASSERT_NE(os::getenv("PATH"), nullptr);
  EXPECT_STREQ(os::getenv("PATH"), ::getenv("PATH"));
  EXPECT_EQ(os::getenv("GORT_NO_SUCH_VARIABLE"), nullptr);
  EXPECT_EQ(os::getenv("PAT"), nullptr);
}

TEST_F(Os, FutexSleepEndsByValueTimeOrWake) {
  rt::Atomic<rt::uint32> word{1};
  os::futexsleep(&word, 0, -1);  // another value: at once
  const auto begin = os::nanotime();
  os::futexsleep(&word, 1, 5000000);
  EXPECT_GE(os::nanotime() - begin, 4000000);
  std::thread waker([&] {
    os::usleep(5000);
    word.store(2);
    os::futexwakeup(&word, 1);
  });
  while (word.load() == 1) os::futexsleep(&word, 1, -1);
  waker.join();
}

TEST_F(Os, ReservedMemoryBecomesReadyAndGoesBack) {
  constexpr std::size_t kBytes = 1 << 20;
  auto* p = static_cast<char*>(os::sysReserve(kBytes));
  ASSERT_NE(p, nullptr);
  ASSERT_EQ(os::sysMap(p, kBytes), 0);
  p[5] = 'x';
  ASSERT_EQ(os::sysUnused(p, kBytes), 0);
  EXPECT_EQ(p[5], 0);
  os::sysFree(p, kBytes);
  EXPECT_EQ(os::sysReserve(std::size_t{1} << 60), nullptr) << "a refusal is a nullptr, not a crash";
}

TEST_F(Os, AGuardStopsAWriteAndSurvivesGivingPagesBack) {
  auto* p = static_cast<char*>(os::sysAlloc(64 << 10));
  ASSERT_NE(p, nullptr);
  const int err = os::features.guardInstall ? os::sysGuardInstall(p, 4096) : os::sysProtectNone(p, 4096);
  ASSERT_EQ(err, 0);
  p[4096] = 1;
  EXPECT_DEATH(*const_cast<volatile char*>(p) = 1, "");
  if (os::features.guardInstall) {
    EXPECT_EQ(os::sysUnused(p, 8192), 0);
    EXPECT_DEATH(*const_cast<volatile char*>(p) = 1, "");
  }
  os::sysFree(p, 64 << 10);
}

TEST_F(Os, ThreadStackBoundsHoldThisFrame) {
  std::thread([] {
    const os::StackBounds b = os::threadStackBounds();
    const auto here = reinterpret_cast<rt::uintptr>(__builtin_frame_address(0));
    EXPECT_LT(b.lo, here);
    EXPECT_LT(here, b.hi);
  }).join();
}

TEST_F(Os, SignalStackIsAtLeastWhatTheCpuNeeds) { EXPECT_GE(os::minSignalStack(), 2048U); }

}  // namespace

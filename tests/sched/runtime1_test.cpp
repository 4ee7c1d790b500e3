// SPDX-License-Identifier: Apache-2.0
// GODEBUG, GOMAXPROCS and GOTRACEBACK. Ideas from Go's runtime/env_test.go and runtime-gdb's traceback tests.
#include "sched/runtime1.hpp"

#include <gort/gort.hpp>
#include <gort/runtime.hpp>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include "os/os_linux.hpp"
#include "sched/boot.hpp"

namespace {

namespace rt = gort::rt;

// parse reads settings as run_options.godebug would and returns what was printed.
std::string parse(const char* text) {
  rt::debug = {};
  testing::internal::CaptureStderr();
  rt::parseDebugVars(text, std::strlen(text));
  return testing::internal::GetCapturedStderr();
}

class Godebug : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ::unsetenv("GODEBUG");
    if (!rt::isBooted()) rt::os::osinit();
  }
  void SetUp() override {
    if (rt::isBooted()) GTEST_SKIP() << "the monitor thread reads the settings: run it alone, as ctest does";
  }
  void TearDown() override {
    if (!rt::isBooted()) rt::debug = {};
  }
};

TEST_F(Godebug, SettingsAreSeparatedByCommas) {
  EXPECT_EQ(parse("schedtrace=1000,scheddetail=1,panicnil=1"), "");
  EXPECT_EQ(rt::debug.schedtrace, 1000);
  EXPECT_EQ(rt::debug.scheddetail, 1);
  EXPECT_EQ(rt::debug.panicnil, 1);
  EXPECT_FALSE(rt::debug.sim);
}

TEST_F(Godebug, TheLastOneWins) {
  EXPECT_EQ(parse("schedtrace=5,schedtrace=7"), "");
  EXPECT_EQ(rt::debug.schedtrace, 7);
}

TEST_F(Godebug, SeedsAreSixtyFourBitsWide) {
  EXPECT_EQ(parse("sim=18446744073709551615"), "");
  EXPECT_TRUE(rt::debug.sim);
  EXPECT_EQ(rt::debug.simSeed, ~rt::uint64{0});
  EXPECT_EQ(parse("chaos=0"), "");
  EXPECT_TRUE(rt::debug.chaos);
}

TEST_F(Godebug, NonsenseIsIgnored) {
  for (const char* text :
       {"", ",", ",,,", "=", "=1", "nosuch=1", "schedtrace", "schedtracex=1", "SCHEDTRACE=1", "a=b=c"}) {
    EXPECT_EQ(parse(text), "") << text;
    EXPECT_EQ(rt::debug.schedtrace, 0) << text;
  }
}

TEST_F(Godebug, WrongValuesAreNamed) {
  EXPECT_EQ(parse("schedtrace=fast"),
            "runtime: ignoring GODEBUG schedtrace=fast: want a small decimal number\n");
  EXPECT_EQ(parse("schedtrace=-1"), "runtime: ignoring GODEBUG schedtrace=-1: want a small decimal number\n");
  EXPECT_EQ(parse("sim=18446744073709551616"),
            "runtime: ignoring GODEBUG sim=18446744073709551616: want a seed, a decimal number\n");
  EXPECT_FALSE(rt::debug.sim);
}

TEST(Traceback, LevelsOnlyRise) {
  bool all = false, crash = false;
  EXPECT_FALSE(gort::debug::set_traceback("none"));
  const int level = rt::gotraceback(&all, &crash);
  EXPECT_GE(level, 1);
  EXPECT_FALSE(gort::debug::set_traceback("system"));
  EXPECT_EQ(rt::gotraceback(&all, &crash), 2);
  EXPECT_TRUE(all);
  EXPECT_FALSE(crash);
  EXPECT_TRUE(gort::debug::set_traceback("loud")) << "unknown words are an error";
}

}  // namespace

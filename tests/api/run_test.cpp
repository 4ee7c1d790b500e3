// SPDX-License-Identifier: Apache-2.0
// run_options: what the first run and later ones make of them. Each test is a process of its own under ctest; what needs
// an environment or must be first wherever it runs is in tests/crash (configure_first, gomaxprocs_*, signals_*).
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <string>

#include "lang/chan_util.hpp"
#include "sched/runtime1.hpp"

namespace {

using chantest::panicOf;

int dig(int levels) {
  volatile char room[1024];
  for (auto& c : room) c = 1;
  return levels <= 1 ? room[0] : dig(levels - 1) + room[9];
}

int deepTask() {
  return gort::spawn([] { return dig(2000); }).join();
}

// defaultStack asks without changing anything: the class of the old size is the old class.
int defaultStack() {
  const std::size_t n = gort::debug::set_max_stack(std::size_t{16} << 10);
  gort::debug::set_max_stack(n);
  return static_cast<int>(n);
}

TEST(RunOptions, StackIsTheDefaultOfGoroutines) {
  EXPECT_EQ(gort::run({.stack = std::size_t{8} << 20}, deepTask), 2000);
  EXPECT_EQ(gort::run(defaultStack), 8 << 20) << "a later run that says nothing leaves it";
}

TEST(RunOptions, StackOfALaterRunCounts) {
  gort::run([] {});
  EXPECT_EQ(gort::run({.stack = std::size_t{8} << 20}, deepTask), 2000);
  EXPECT_EQ(gort::run({.stack = std::size_t{64} << 10}, defaultStack), 64 << 10);
}

TEST(RunOptions, GodebugOfALaterRunCounts) {
  gort::run([] {});
  EXPECT_EQ(gort::run({.godebug = "panicnil=1,scheddetail=7"},
                      [] { return static_cast<int>(gort::rt::debug.panicnil); }),
            1);
  EXPECT_EQ(gort::rt::debug.scheddetail, 7);
  gort::run({.godebug = "panicnil=0"}, [] {});
  EXPECT_EQ(gort::rt::debug.panicnil, 0);
  EXPECT_EQ(gort::rt::debug.scheddetail, 7) << "what it does not name stays";
}

TEST(RunOptions, SettingsOfTheBootAreRefusedInALaterRun) {
  gort::run([] {});
  for (const std::string name : {"sim", "chaos", "stackguard"}) {
    bool ran = false;
    EXPECT_EQ(panicOf([&] { gort::run({.godebug = "schedtrace=0," + name + "=1"}, [&] { ran = true; }); }),
              "gort::run: " + name + " can only be set before the first use of Gort");
    EXPECT_FALSE(ran);
  }
  EXPECT_EQ(gort::run([] { return 3; }), 3) << "the next run is not harmed";
}

}  // namespace

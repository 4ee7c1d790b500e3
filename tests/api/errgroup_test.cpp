// SPDX-License-Identifier: Apache-2.0
// errgroup: its rules as sentences. Ideas carried over, in our own words, from x/sync's errgroup_test.go.
#include <gort/sync.hpp>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "lang/chan_util.hpp"

namespace {

using chantest::panicOf;
using gort::errc;
using gort::error;
using namespace std::chrono_literals;

GO_TEST(Errgroup, WaitsForAllAndReturnsNil) {
  gort::errgroup g;
  std::atomic<int> n{0};
  for (int i = 0; i < 10; ++i) {
    g.go([&] {
      gort::yield();
      ++n;
    });
  }
  EXPECT_FALSE(g.wait());
  EXPECT_EQ(n, 10);
}

// TestZeroGroup
GO_TEST(Errgroup, FirstErrorIsReturned) {
  gort::errgroup g;
  auto second = gort::make_chan<>();
  g.go([] { return error("first"); });
  g.go([=](const gort::context& c) -> error {
    (void)c.done().recv();
    return error("second");
  });
  EXPECT_EQ(g.wait().message(), "first");
}

// TestWithContext
GO_TEST(Errgroup, FirstErrorCancelsTheOthersAndIsTheCause) {
  gort::errgroup g{gort::background()};
  std::atomic<int> canceled{0};
  for (int i = 0; i < 4; ++i) {
    g.go([&](const gort::context& c) {
      error e = gort::sleep(c, 10s);
      if (c.cause().message() == "broken") ++canceled;
      return e;
    });
  }
  g.go([] { return error("broken"); });
  EXPECT_EQ(g.wait().message(), "broken");
  EXPECT_EQ(canceled, 4);
  EXPECT_EQ(g.ctx().err(), errc::canceled);
}

GO_TEST(Errgroup, WaitEndsTheContext) {
  gort::errgroup g;
  gort::context c = g.ctx();
  g.go([] {});
  EXPECT_FALSE(g.wait());
  EXPECT_TRUE(c.err());
}

GO_TEST(Errgroup, ParentsEndReachesTheChildren) {
  auto parent = gort::with_cancel(gort::background());
  gort::errgroup g{parent};
  g.go([](const gort::context& c) { return gort::sleep(c, 10s); });
  parent.cancel();
  EXPECT_EQ(g.wait(), errc::canceled);
}

// TestGoLimit
GO_TEST(Errgroup, LimitIsKept) {
  gort::errgroup g;
  g.set_limit(3);
  std::atomic<int> active{0};
  for (int i = 0; i < 200; ++i) {
    g.go([&] {
      EXPECT_LE(++active, 3);
      gort::yield();
      --active;
    });
  }
  EXPECT_FALSE(g.wait());
}

// TestTryGo
GO_TEST(Errgroup, TryGoFailsAtTheLimit) {
  gort::errgroup g;
  g.set_limit(2);
  auto hold = gort::make_chan<>();
  EXPECT_TRUE(g.try_go([=] { (void)hold.recv(); }));
  EXPECT_TRUE(g.try_go([=] { (void)hold.recv(); }));
  EXPECT_FALSE(g.try_go([] {}));
  EXPECT_NE(panicOf([&] { g.set_limit(4); }), "") << "goroutines in the group are active";
  hold.close();
  EXPECT_FALSE(g.wait());
  g.set_limit(1);
  EXPECT_TRUE(g.try_go([] {}));
  EXPECT_FALSE(g.wait());
  g.set_limit(-1);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(g.try_go([] {}));
  EXPECT_FALSE(g.wait());
}

GO_TEST(Errgroup, ExceptionOfAChildReappearsInWait) {
  gort::errgroup g;
  g.go([]() -> error { throw std::out_of_range("far out"); });
  g.go([](const gort::context& c) { return gort::sleep(c, 10s); });
  try {
    (void)g.wait();
    FAIL() << "wait returned";
  } catch (const std::out_of_range& x) {
    EXPECT_STREQ(x.what(), "far out");
  }
}

// TestPanic: the panic comes back with the child's traceback.
GO_TEST(Errgroup, PanicOfAChildReappearsInWait) {
  gort::errgroup g;
  g.go([] { gort::panic("boom"); });
  g.go([](const gort::context& c) { return gort::sleep(c, 10s); });
  const std::string text = panicOf([&] { (void)g.wait(); });
  EXPECT_EQ(text.rfind("boom", 0), 0U) << text;
  EXPECT_NE(text.find("[errgroup]"), std::string::npos) << text;
}

GO_TEST(Errgroup, DestructorCancelsAndWaits) {
  std::atomic<int> ended{0};
  {
    gort::errgroup g;
    for (int i = 0; i < 3; ++i) {
      g.go([&](const gort::context& c) {
        (void)gort::sleep(c, 10s);
        ++ended;
      });
    }
  }
  EXPECT_EQ(ended, 3);
}

GO_TEST(Errgroup, NothingIsSwallowed) {
  EXPECT_THROW(
      {
        gort::errgroup g;
        g.go([] { throw std::runtime_error("unheard"); });
        while (!g.ctx().err()) gort::yield();
      },
      std::runtime_error);
}

}  // namespace

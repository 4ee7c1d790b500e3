// SPDX-License-Identifier: Apache-2.0
// context: its rules as sentences. Ideas carried over, in our own words, from Go's
// context/{context,x,afterfunc}_test.go.
#include <gort/context.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gort/stop_token.hpp>

#include "lang/chan_util.hpp"

namespace {

using chantest::settle;
using gort::background;
using gort::context;
using gort::errc;
using namespace std::chrono_literals;

bool ended(const context& c) { return c.err() && c.done().try_recv().closed(); }
bool goesOn(const context& c) { return !c.err() && !c.cause() && !c.done().try_recv().closed(); }

static_assert(sizeof(context) == sizeof(void*));
static_assert(!std::is_copy_constructible_v<gort::scoped_context>);
static_assert(std::is_convertible_v<const gort::scoped_context&, const context&>);

GO_TEST(Context, BackgroundNeverEnds) {
  context c;
  EXPECT_EQ(c, background());
  EXPECT_FALSE(c.done());
  EXPECT_FALSE(c.err());
  EXPECT_FALSE(c.deadline());
}

// TestWithCancel
GO_TEST(Context, CancelEndsItAndWhatIsBelow) {
  auto c1 = gort::with_cancel(background());
  auto c2 = gort::with_cancel(c1);
  gort::context_key<int> key{"k"};
  context c3 = gort::with_value(c2, key, 3);
  auto c4 = gort::with_timeout(c3, 1h);
  auto sibling = gort::with_cancel(c1);
  const std::vector<context> all{c1, c2, c3, c4};
  for (const context& c : all) EXPECT_TRUE(goesOn(c));
  c2.cancel();
  EXPECT_TRUE(goesOn(c1));
  EXPECT_TRUE(goesOn(sibling));
  for (std::size_t i = 1; i < all.size(); ++i) {
    EXPECT_TRUE(ended(all[i]));
    EXPECT_EQ(all[i].err(), errc::canceled);
    EXPECT_EQ(all[i].cause(), errc::canceled);
  }
  c1.cancel();
  EXPECT_TRUE(ended(sibling));
}

GO_TEST(Context, ChildOfAnEndedParentIsBornEnded) {
  auto parent = gort::with_cancel(background());
  parent.cancel(gort::error("why"));
  auto child = gort::with_timeout(parent, 1h);
  EXPECT_TRUE(ended(child));
  EXPECT_EQ(child.err(), errc::canceled);
  EXPECT_EQ(child.cause().message(), "why");
}

GO_TEST(Context, LeavingTheScopeCancels) {
  context kept;
  {
    auto c = gort::with_cancel(background());
    kept = c;
    EXPECT_TRUE(goesOn(kept));
  }
  EXPECT_TRUE(ended(kept));
}

GO_TEST(Context, ReleaseGivesUpTheRightToCancel) {
  auto parent = gort::with_cancel(background());
  context kept = gort::with_cancel(parent).release();
  EXPECT_TRUE(goesOn(kept));
  parent.cancel();
  EXPECT_TRUE(ended(kept));
}

// TestDeadline, TestTimeout
GO_TEST(Context, DeadlineEndsIt) {
  const auto begin = gort::clock::now();
  auto c = gort::with_timeout(background(), 5ms);
  EXPECT_GE(*c.deadline(), begin + 5ms);
  (void)c.done().recv();
  EXPECT_GE(gort::clock::now() - begin, 5ms);
  EXPECT_EQ(c.err(), errc::deadline_exceeded);
  EXPECT_TRUE(c.err().timeout());
  EXPECT_EQ(c.err().message(), "context deadline exceeded");
}

GO_TEST(Context, EarlierDeadlineOfTheParentCounts) {
  auto parent = gort::with_timeout(background(), 3ms);
  auto child = gort::with_timeout(parent, 1h);
  EXPECT_EQ(child.deadline(), parent.deadline());
  (void)child.done().recv();
  EXPECT_EQ(child.err(), errc::deadline_exceeded);
  auto tighter = gort::with_timeout(gort::with_timeout(background(), 1h).release(), 1ms);
  (void)tighter.done().recv();
}

GO_TEST(Context, PastDeadlineEndsItAtOnce) {
  auto c = gort::with_deadline(background(), gort::clock::now() - 1s);
  EXPECT_TRUE(ended(c));
  auto d = gort::with_timeout(background(), -1s, gort::error("too late"));
  EXPECT_EQ(d.err(), errc::deadline_exceeded);
  EXPECT_EQ(d.cause().message(), "too late");
  EXPECT_FALSE(gort::with_timeout(background(), gort::clock::duration::max()).err());
}

// TestCanceledTimeout
GO_TEST(Context, CancelBeforeTheDeadlineWins) {
  auto c = gort::with_timeout(background(), 2ms);
  c.cancel();
  gort::sleep(4ms);
  EXPECT_EQ(c.err(), errc::canceled);
}

// TestCause
GO_TEST(Context, FirstCauseCounts) {
  auto c = gort::with_cancel(background());
  EXPECT_FALSE(c.cause());
  c.cancel(gort::error("first"));
  c.cancel(gort::error("second"));
  EXPECT_EQ(c.err(), errc::canceled);
  EXPECT_EQ(c.cause().message(), "first");
  auto d = gort::with_cancel(background());
  d.cancel(gort::error());
  EXPECT_EQ(d.cause(), errc::canceled);
}

// TestValues
GO_TEST(Context, ValuesAreFoundByKeyFromTheInsideOut) {
  static constexpr gort::context_key<int> k1{"k1"};
  static constexpr gort::context_key<std::string> k2{"k2"};
  static constexpr gort::context_key<int> k3{"k3"};
  context c = gort::with_value(background(), k1, 1);
  context inner = gort::with_value(gort::with_cancel(gort::with_value(c, k2, "two")).release(), k1, 11);
  EXPECT_EQ(*c.value(k1), 1);
  EXPECT_EQ(c.value(k2), nullptr);
  EXPECT_EQ(*inner.value(k1), 11);
  EXPECT_EQ(*inner.value(k2), "two");
  EXPECT_EQ(inner.value(k3), nullptr);
}

GO_TEST(Context, ValuesDieWithTheirContext) {
  static constexpr gort::context_key<std::shared_ptr<int>> key;
  auto v = std::make_shared<int>(5);
  std::weak_ptr<int> watch = v;
  {
    context c = gort::with_value(background(), key, std::move(v));
    context copy = c;
    c = background();
    EXPECT_FALSE(watch.expired());
    EXPECT_EQ(**copy.value(key), 5);
  }
  EXPECT_TRUE(watch.expired());
}

// TestWithoutCancel
GO_TEST(Context, WithoutCancelKeepsValuesOnly) {
  static constexpr gort::context_key<int> key;
  auto parent = gort::with_timeout(gort::with_value(background(), key, 7), 1h);
  context free = gort::without_cancel(parent);
  parent.cancel();
  EXPECT_TRUE(goesOn(free));
  EXPECT_FALSE(free.done());
  EXPECT_FALSE(free.deadline());
  EXPECT_EQ(*free.value(key), 7);
  auto child = gort::with_cancel(free);
  EXPECT_TRUE(goesOn(child));
  EXPECT_EQ(gort::without_cancel(background()), background());
}

GO_TEST(Context, DoneIsOneChannelForAll) {
  auto c = gort::with_cancel(background());
  EXPECT_EQ(c.done(), c.done());
  EXPECT_EQ(gort::with_value(c, gort::context_key<int>{}, 1).done(), c.done());
  gort::wait_group wg;
  for (int i = 0; i < 8; ++i) wg.go([&] { (void)c.done().recv(); });
  settle();
  c.cancel();
  wg.wait();
  EXPECT_TRUE(c.done().try_recv().closed());
}

// XTestSimultaneousCancels and interlocked ones, as one stress: trees cancelled from all sides.
GO_TEST(Context, TreesMayBeCancelledFromAllSides) {
  const auto seed = chantest::seed();
  for (int round = 0; round < 60; ++round) {
    auto root = gort::with_cancel(background());
    gort::wait_group wg;
    for (unsigned g = 0; g < 8; ++g) {
      wg.go([&, g] {
        std::mt19937_64 rnd(seed + static_cast<unsigned>(round) * 8 + g);
        std::vector<gort::scoped_context> mine;
        for (int i = 0; i < 30; ++i) {
          const context& parent =
              mine.empty() || rnd() % 3 == 0 ? static_cast<const context&>(root) : mine[rnd() % mine.size()];
          switch (rnd() % 4) {
            case 0:
              mine.push_back(gort::with_timeout(parent, std::chrono::nanoseconds(rnd() % 50000)));
              break;
            case 1:
              mine.push_back(gort::with_cancel(parent));
              break;
            case 2:
              (void)parent.done();
              break;
            default:
              if (!mine.empty()) mine[rnd() % mine.size()].cancel();
          }
          if (g == 0 && i == 20 && round % 2 == 0) root.cancel();
          if (rnd() % 8 == 0) gort::yield();
        }
      });
    }
    wg.wait();
  }
}

GO_TEST(Context, CancelMayComeFromAForeignThread) {
  auto c = gort::with_cancel(background());
  std::thread t([&] { c.cancel(); });
  (void)c.done().recv();
  t.join();
}

// ---- after_func: afterfunc_test.go

GO_TEST(ContextAfterFunc, RunsAfterTheEnd) {
  auto c = gort::with_cancel(background());
  auto ran = gort::make_chan<>();
  auto guard = gort::after_func(c, [=] { ran.close(); });
  EXPECT_FALSE(ran.recv_for(2ms));
  c.cancel();
  EXPECT_TRUE(ran.recv_for(5s).closed());
  EXPECT_FALSE(guard.stop());
}

GO_TEST(ContextAfterFunc, RunsAtOnceIfItHasEndedAlready) {
  auto c = gort::with_cancel(background());
  c.cancel();
  auto ran = gort::make_chan<>();
  auto guard = gort::after_func(c, [=] { ran.close(); });
  EXPECT_TRUE(ran.recv_for(5s).closed());
}

GO_TEST(ContextAfterFunc, StopAndTheGuardsEndPreventIt) {
  std::atomic<int> n{0};
  auto c = gort::with_cancel(background());
  auto a = gort::after_func(c, [&] { ++n; });
  EXPECT_TRUE(a.stop());
  EXPECT_FALSE(a.stop());
  {
    auto b = gort::after_func(c, [&] { ++n; });
  }
  c.cancel();
  settle();
  EXPECT_EQ(n, 0);
}

GO_TEST(ContextAfterFunc, OnAContextThatNeverEndsItOnlyWaitsToBeStopped) {
  auto guard = gort::after_func(background(), [] { FAIL(); });
  EXPECT_TRUE(guard.stop());
  EXPECT_FALSE(guard.stop());
  gort::after_func(background(), [] { FAIL(); }).detach();
}

GO_TEST(ContextAfterFunc, DetachedItLivesWithTheContext) {
  auto alive = std::make_shared<int>(1);
  std::weak_ptr<int> watch = alive;
  auto ran = gort::make_chan<>();
  {
    auto c = gort::with_cancel(background());
    gort::after_func(c, [=] { ran.close(); }).detach();
    context never = gort::with_cancel(background()).release();
    gort::after_func(never, [alive = std::move(alive)] {}).detach();
  }
  EXPECT_TRUE(ran.recv_for(5s).closed());
  EXPECT_TRUE(watch.expired()) << "a context that went away without having ended drops it";
}

GO_TEST(ContextAfterFunc, ManyAgainstOneCancel) {
  for (int round = 0; round < 100; ++round) {
    auto c = gort::with_cancel(background());
    std::atomic<int> ran{0}, stopped{0};
    gort::wait_group wg;
    for (int i = 0; i < 8; ++i) {
      wg.go([&] {
        auto done = std::make_shared<gort::wait_group>();
        done->add(1);
        auto g = gort::after_func(c, [&ran, done] {
          ++ran;
          done->done();
        });
        gort::yield();
        if (g.stop()) {
          ++stopped;
          done->done();
        }
        done->wait();
      });
    }
    wg.go([&] { c.cancel(); });
    wg.wait();
    ASSERT_EQ(ran + stopped, 8);
  }
}

// ---- waiting with a context

GO_TEST(ContextSleep, EndsWithTimeOrContext) {
  auto c = gort::with_timeout(background(), 3ms);
  EXPECT_FALSE(gort::sleep(c, 1ms));
  EXPECT_EQ(gort::sleep(c, 10s), errc::deadline_exceeded);
  EXPECT_EQ(gort::sleep(c, 0s), errc::deadline_exceeded);
  EXPECT_FALSE(gort::sleep(background(), 100us));
}

GO_TEST(ContextWaits, ChannelsGiveUp) {
  auto c = gort::with_timeout(background(), 3ms);
  auto ch = gort::make_chan<int>();
  EXPECT_EQ(ch.recv(c).status(), gort::chan_status::canceled);
  EXPECT_EQ(ch.send(c, 1), gort::chan_status::canceled);
}

// ---- std::stop_token

GO_TEST(StopToken, RequestCancelsTheContext) {
  std::stop_source s;
  auto c = gort::with_stop(background(), s.get_token());
  EXPECT_TRUE(goesOn(c));
  s.request_stop();
  EXPECT_TRUE(ended(c));
  EXPECT_TRUE(ended(gort::with_stop(background(), s.get_token())));
  std::stop_source later;
  { auto gone = gort::with_stop(background(), later.get_token()); }
  later.request_stop();
}

GO_TEST(StopToken, ContextRequestsTheStop) {
  auto c = gort::with_cancel(background());
  std::stop_token t = gort::to_stop_token(c);
  EXPECT_TRUE(t.stop_possible());
  EXPECT_FALSE(t.stop_requested());
  c.cancel();
  for (int i = 0; i < 1000 && !t.stop_requested(); ++i) gort::sleep(100us);
  EXPECT_TRUE(t.stop_requested());
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// The C++ side of channels: ownership of values and handles, moves that throw, views, iteration, foreign
// threads.
#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "lang/chan_util.hpp"

namespace {

using chantest::panicOf;
using chantest::settle;
using namespace std::chrono_literals;

// Counted: how many values of it exist.
struct Counted {
  static inline std::atomic<int> alive{0};
  explicit Counted(int v) : value(v) { ++alive; }
  Counted(Counted&& o) noexcept : value(std::exchange(o.value, -1)) { ++alive; }
  Counted& operator=(Counted&&) = default;
  ~Counted() { --alive; }
  int value;
};

// Moody: its move throws when told to, and leaves the source alone.
struct Moody {
  static inline std::atomic<int> passes{0};    // moves to let pass first
  static inline std::atomic<int> failures{0};  // then moves to fail
  static inline std::atomic<int> alive{0};
  explicit Moody(int v) : value(v) { ++alive; }
  Moody(Moody&& o) noexcept(false) : value(o.value) {
    if (!take(passes) && take(failures)) throw std::runtime_error("not now");
    o.value = -1;
    ++alive;
  }
  Moody& operator=(Moody&&) = delete;
  ~Moody() { --alive; }
  static bool take(std::atomic<int>& n) {
    int left = n;
    while (left > 0) {
      if (n.compare_exchange_weak(left, left - 1)) return true;
    }
    return false;
  }
  int value;
};

// A channel of itself: named while incomplete.
struct Request {
  int question;
  gort::chan<Request> reply;
};

class Values : public ::testing::Test {
 protected:
  void SetUp() override { Moody::passes = Moody::failures = 0; }
  void TearDown() override {
    EXPECT_EQ(Counted::alive, 0);
    EXPECT_EQ(Moody::alive, 0);
  }
};

// ---- ownership

TEST_F(Values, MoveOnlyValuesGoThrough) {
  gort::block_on([] {
    for (std::size_t cap : {0, 2}) {
      auto c = gort::make_chan<std::unique_ptr<int>>(cap);
      gort::go([=] {
        for (int i = 0; i < 5; ++i) c.send(std::make_unique<int>(i));
        c.close();
      });
      int i = 0;
      for (auto& p : c) EXPECT_EQ(*p, i++);
      EXPECT_EQ(i, 5);
    }
  });
}

TEST_F(Values, TheLastHandleDestroysBufferedValues) {
  gort::block_on([] {
    auto c = gort::make_chan<Counted>(8);
    for (int i = 0; i < 5; ++i) c.send(Counted(i));
    EXPECT_EQ(c.recv()->value, 0);
    EXPECT_EQ(Counted::alive, 4);
    gort::recv_chan<Counted> view = c;
    c = nullptr;
    EXPECT_EQ(Counted::alive, 4);
    view = nullptr;
    EXPECT_EQ(Counted::alive, 0);
  });
}

TEST_F(Values, EveryValueIsDestroyedOnceWhoeverWaits) {
  gort::block_on([] {
    for (std::size_t cap : {0, 1, 3}) {
      auto c = gort::make_chan<Counted>(cap);
      gort::wait_group wg;
      wg.go([&] {
        for (int i = 0; i < 200; ++i) c.send(Counted(i));
      });
      for (int i = 0; i < 200; ++i) EXPECT_EQ(c.recv()->value, i);
      wg.wait();
      EXPECT_EQ(Counted::alive, 0);
    }
  });
}

TEST_F(Values, AFailedTryLeavesTheValueWithTheSender) {
  gort::block_on([] {
    auto c = gort::make_chan<std::unique_ptr<int>>();
    auto p = std::make_unique<int>(1);
    EXPECT_FALSE(c.try_send(std::move(p)));
    EXPECT_EQ(c.send_for(1ms, std::move(p)), gort::chan_status::timeout);
    auto ctx = gort::with_cancel(gort::background());
    ctx.cancel();
    EXPECT_EQ(c.send(ctx, std::move(p)), gort::chan_status::canceled);
    ASSERT_NE(p, nullptr);
    c.close();
    EXPECT_EQ(panicOf([&] { c.send(std::move(p)); }), "send on closed channel");
    EXPECT_NE(p, nullptr);
  });
}

TEST_F(Values, ChannelsTravelThroughChannels) {
  gort::block_on([] {
    auto server = gort::make_chan<Request>();
    gort::go([=] {
      for (auto& r : server) r.reply.send({r.question * 2, nullptr});
    });
    auto reply = gort::make_chan<Request>();
    server.send({21, reply});
    EXPECT_EQ(reply.recv()->question, 42);
    server.close();
  });
}

// ---- handles and views

TEST_F(Values, HandlesCompareByChannelAndMovedFromIsNil) {
  gort::block_on([] {
    auto a = gort::make_chan<int>(), b = gort::make_chan<int>();
    auto c = a;
    EXPECT_TRUE(a == c);
    EXPECT_FALSE(a == b);
    gort::recv_chan<int> in = a;
    gort::send_chan<int> out = std::move(c);
    EXPECT_TRUE(in == gort::recv_chan<int>(a));
    EXPECT_FALSE(static_cast<bool>(c));
    EXPECT_TRUE(static_cast<bool>(out));
    a = *&a;
    EXPECT_TRUE(static_cast<bool>(a));
    EXPECT_FALSE(static_cast<bool>(gort::chan<int>(nullptr)));
  });
}

TEST_F(Values, CloseGuardClosesAtTheEndOfTheScopeAlsoByException) {
  gort::block_on([] {
    auto c = gort::make_chan<int>();
    { auto g = c.close_on_exit(); }
    EXPECT_EQ(c.recv(), std::nullopt);
    auto d = gort::make_chan<int>();
    try {
      auto g = gort::send_chan<int>(d).close_on_exit();
      throw 1;
    } catch (int) {
    }
    EXPECT_EQ(d.recv(), std::nullopt);
    auto e = gort::make_chan<int>(1);
    {
      auto g = e.close_on_exit();
      g.release();
    }
    EXPECT_TRUE(e.try_send(1));
  });
}

TEST_F(Values, RecvResultSaysWhyThereIsNoValue) {
  gort::block_on([] {
    auto c = gort::make_chan<std::string>(1);
    EXPECT_EQ(c.try_recv().status(), gort::chan_status::would_block);
    c.send("x");
    auto r = c.try_recv();
    ASSERT_TRUE(r);
    EXPECT_EQ(r->size(), 1u);
    EXPECT_EQ(std::move(r).take(), "x");
    c.close();
    auto none = c.try_recv();
    EXPECT_TRUE(none.closed());
    EXPECT_EQ(panicOf([&] { (void)*none; }), "gort: use of a receive that brought no value");
  });
}

TEST_F(Values, ForeignThreadsSendAndReceive) {
  auto c = gort::make_chan<int>(), back = gort::make_chan<int>();
  gort::go([=] {
    for (int v : c) back.send(v * 2);
    back.close();
  });
  std::thread sender([=] {
    for (int i = 0; i < 100; ++i) c.send(i);
    c.close();
  });
  int sum = 0;
  for (int v : back) sum += v;
  sender.join();
  EXPECT_EQ(sum, 9900);
  EXPECT_EQ(c.recv_for(1ms).status(), gort::chan_status::closed);
  EXPECT_EQ(gort::make_chan<int>().recv_for(1ms).status(), gort::chan_status::timeout);
}

// ---- moves that throw: delivered once, or with its sender

TEST_F(Values, AThrowingSendLeavesTheValueWithTheSender) {
  gort::block_on([] {
    auto c = gort::make_chan<Moody>(1);
    Moody m(1);
    Moody::failures = 1;
    EXPECT_THROW(c.send(std::move(m)), std::runtime_error);
    EXPECT_EQ(m.value, 1);
    EXPECT_EQ(c.len(), 0u);
    Moody::failures = 1;
    EXPECT_THROW((void)c.try_send(std::move(m)), std::runtime_error);
    Moody::failures = 1;
    EXPECT_THROW((void)c.send_for(1s, std::move(m)), std::runtime_error);
    EXPECT_EQ(m.value, 1);
    c.send(std::move(m));
    EXPECT_EQ(m.value, -1);
    EXPECT_EQ(c.recv()->value, 1);
  });
}

TEST_F(Values, AThrowingReceiveLeavesTheValueInTheChannel) {
  gort::block_on([] {
    auto c = gort::make_chan<Moody>(2);
    c.send(Moody(1));
    c.send(Moody(2));
    Moody::failures = 1;
    EXPECT_THROW((void)c.recv(), std::runtime_error);
    Moody::failures = 1;
    EXPECT_THROW((void)c.try_recv(), std::runtime_error);
    Moody::failures = 1;
    EXPECT_THROW((void)c.recv_for(1s), std::runtime_error);
    EXPECT_EQ(c.len(), 2u);
    EXPECT_EQ(c.recv()->value, 1);
    EXPECT_EQ(c.recv()->value, 2);
  });
}

TEST_F(Values, AThrowingSendToAWaitingReceiverLetsItWaitOn) {
  gort::block_on([] {
    auto c = gort::make_chan<Moody>();
    auto got = gort::make_chan<int>();
    gort::wait_group wg;
    wg.go([=] { got.send(c.recv()->value); });
    settle();
    Moody m(5);
    Moody::failures = 1;
    EXPECT_THROW(c.send(std::move(m)), std::runtime_error);
    EXPECT_EQ(m.value, 5);
    c.send(std::move(m));
    EXPECT_EQ(got.recv(), 5);
    wg.wait();
  });
}

TEST_F(Values, AThrowingReceiveFromAWaitingSenderLetsItWaitOn) {
  gort::block_on([] {
    auto c = gort::make_chan<Moody>();
    gort::wait_group wg;
    wg.go([&] { c.send(Moody(6)); });
    settle();
    Moody::failures = 1;
    EXPECT_THROW((void)c.recv(), std::runtime_error);
    EXPECT_EQ(c.recv()->value, 6);
    wg.wait();
  });
}

TEST_F(Values, AWaitingSenderWhoseRefillThrowsTriesItselfAndGetsItsOwnException) {
  gort::block_on([] {
    auto c = gort::make_chan<Moody>(1);
    c.send(Moody(1));
    auto outcome = gort::make_chan<std::string>(1);
    gort::wait_group wg;
    wg.go([=] {
      Moody m(2);
      try {
        c.send(std::move(m));
        outcome.send("sent");
      } catch (const std::runtime_error&) {
        outcome.send("threw, value " + std::to_string(m.value));
      }
    });
    settle();
    Moody::passes = 1;    // the receiver's own move
    Moody::failures = 2;  // the refill, and then the sender's own try
    auto first = c.recv();
    EXPECT_EQ(first->value, 1) << "a refill that throws is not the receiver's business";
    EXPECT_EQ(outcome.recv(), "threw, value 2");
    wg.wait();
    EXPECT_EQ(c.len(), 0u);
  });
}

TEST_F(Values, AThrowingMoveInSelectFiresNoCase) {
  gort::block_on([] {
    auto c = gort::make_chan<Moody>(1), idle = gort::make_chan<Moody>();
    gort::send_case put{c, Moody(3)};
    gort::recv_case other{idle};
    Moody::failures = 1;
    EXPECT_THROW((void)gort::select(put, other), std::runtime_error);
    EXPECT_EQ(c.len(), 0u);
    EXPECT_EQ(gort::select(put, other), put);
    gort::recv_case get{c};
    Moody::failures = 1;
    EXPECT_THROW((void)gort::select(get, other), std::runtime_error);
    EXPECT_FALSE(get);
    EXPECT_EQ(gort::select(get, other), get);
    EXPECT_EQ(get->value, 3);
  });
}

TEST_F(Values, AThrowingPeerLetsAParkedSelectWaitOn) {
  gort::block_on([] {
    auto c = gort::make_chan<Moody>(), idle = gort::make_chan<Moody>();
    auto got = gort::make_chan<int>();
    gort::wait_group wg;
    wg.go([=] {
      gort::recv_case get{c}, other{idle};
      const bool hit = gort::select(get, other) == get;
      got.send(hit ? get->value : -2);
    });
    settle();
    Moody m(9);
    Moody::failures = 1;
    EXPECT_THROW(c.send(std::move(m)), std::runtime_error);
    c.send(std::move(m));
    EXPECT_EQ(got.recv(), 9);
    wg.wait();
  });
}

TEST_F(Values, StressWithRandomFailuresDeliversEachValueOnce) {
  const std::uint64_t seed = chantest::seed();
  gort::block_on([=] {
    std::mt19937_64 random(seed);
    for (std::size_t cap : {0, 1, 4}) {
      auto c = gort::make_chan<Moody>(cap);
      std::atomic<long> sum{0};
      std::atomic<bool> ended{false};
      gort::wait_group senders, receivers, trouble;
      for (int s = 0; s < 3; ++s) {
        senders.go([&, s] {
          for (int i = 0; i < 300; ++i) {
            Moody m(s * 300 + i);
            for (bool sent = false; !sent;) {
              try {
                c.send(std::move(m));
                sent = true;
              } catch (const std::runtime_error&) {
                EXPECT_EQ(m.value, s * 300 + i);
              }
            }
          }
        });
        receivers.go([&] {
          for (;;) {
            try {
              auto v = c.recv();
              if (!v) return;
              sum += v->value;
            } catch (const std::runtime_error&) {
            }
          }
        });
      }
      trouble.go([&, s = random()] {
        std::mt19937_64 mine(s);
        while (!ended) {
          Moody::failures = static_cast<int>(mine() % 2);
          gort::yield();
        }
        Moody::failures = 0;
      });
      senders.wait();
      ended = true;
      trouble.wait();
      c.close();
      receivers.wait();
      EXPECT_EQ(sum, 900L * 899 / 2);
    }
  });
}

}  // namespace

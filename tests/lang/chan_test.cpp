// SPDX-License-Identifier: Apache-2.0
// Channels: Go's rules as sentences. Ideas carried over, in our own words, from Go's runtime/chan_test.go and
// test/chan/{fifo,goroutines,nonblock,powser1,sieve1,zerosize}.go, test/closedchan.go, test/chancap.go.
#include <array>
#include <atomic>
#include <map>
#include <vector>

#include "lang/chan_util.hpp"

namespace {

using chantest::panicOf;
using chantest::settle;
using namespace std::chrono_literals;

// ---- one channel, table over capacities (chan_test.go, TestChan)

class ChanOfCapacity : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Capacities, ChanOfCapacity, ::testing::Values(0, 1, 2, 3, 10, 100));

TEST_P(ChanOfCapacity, ReceiveFromEmptyBlocksAndTryRecvDoesNot) {
  gort::block_on([cap = GetParam()] {
    auto c = gort::make_chan<int>(cap);
    std::atomic<bool> received1{false}, received2{false};
    gort::wait_group wg;
    wg.go([&] {
      (void)c.recv();
      received1 = true;
    });
    wg.go([&] {
      (void)c.recv();
      received2 = true;
    });
    settle();
    EXPECT_FALSE(received1 || received2);
    EXPECT_EQ(c.try_recv().status(), gort::chan_status::would_block);
    c.send(0);
    c.send(0);
    wg.wait();
  });
}

TEST_P(ChanOfCapacity, SendToFullBlocksAndTrySendDoesNot) {
  gort::block_on([cap = GetParam()] {
    auto c = gort::make_chan<int>(cap);
    for (std::size_t i = 0; i < cap; ++i) c.send(static_cast<int>(i));
    std::atomic<bool> sent{false};
    gort::wait_group wg;
    wg.go([&] {
      c.send(0);
      sent = true;
    });
    settle();
    EXPECT_FALSE(sent);
    EXPECT_FALSE(c.try_send(0));
    (void)c.recv();
    wg.wait();
    EXPECT_TRUE(sent);
  });
}

TEST_P(ChanOfCapacity, ClosedChannelIsDrainedThenSaysClosedForEver) {
  gort::block_on([cap = GetParam()] {
    auto c = gort::make_chan<int>(cap);
    for (std::size_t i = 0; i < cap; ++i) c.send(static_cast<int>(i));
    c.close();
    for (std::size_t i = 0; i < cap; ++i) EXPECT_EQ(c.recv(), static_cast<int>(i));
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(c.recv(), std::nullopt);
      EXPECT_TRUE(c.try_recv().closed());
    }
  });
}

TEST_P(ChanOfCapacity, CloseWakesAWaitingReceiver) {
  gort::block_on([cap = GetParam()] {
    auto c = gort::make_chan<int>(cap);
    auto done = gort::make_chan<bool>();
    gort::go([=] { done.send(!c.recv().has_value()); });
    settle();
    c.close();
    EXPECT_EQ(done.recv(), true);
  });
}

TEST_P(ChanOfCapacity, ValuesArriveInTheOrderSent) {
  gort::block_on([cap = GetParam()] {
    auto c = gort::make_chan<int>(cap);
    gort::go([=] {
      for (int i = 0; i < 100; ++i) c.send(i);
    });
    for (int i = 0; i < 100; ++i) EXPECT_EQ(c.recv(), i);
  });
}

TEST_P(ChanOfCapacity, ManySendersAndReceiversLoseAndDoubleNothing) {
  gort::block_on([cap = GetParam()] {
    constexpr int kGoroutines = 4, kValues = 1000;
    auto c = gort::make_chan<int>(cap);
    auto counts = gort::make_chan<std::map<int, int>>();
    for (int p = 0; p < kGoroutines; ++p) {
      gort::go([=] {
        for (int i = 0; i < kValues; ++i) c.send(i);
      });
      gort::go([=] {
        std::map<int, int> seen;
        for (int i = 0; i < kValues; ++i) ++seen[*c.recv()];
        counts.send(std::move(seen));
      });
    }
    std::map<int, int> all;
    for (int p = 0; p < kGoroutines; ++p) {
      const auto one = counts.recv();
      for (auto [v, n] : *one) all[v] += n;
    }
    ASSERT_EQ(all.size(), std::size_t{kValues});
    for (auto [v, n] : all) EXPECT_EQ(n, kGoroutines) << v;
  });
}

TEST_P(ChanOfCapacity, LenCountsBufferedValuesAndCapIsTheCapacity) {
  gort::block_on([cap = GetParam()] {
    auto c = gort::make_chan<int>(cap);
    EXPECT_EQ(c.cap(), cap);
    EXPECT_EQ(c.len(), 0u);
    for (std::size_t i = 0; i < cap; ++i) {
      c.send(1);
      EXPECT_EQ(c.len(), i + 1);
    }
    for (std::size_t i = cap; i > 0; --i) {
      (void)c.recv();
      EXPECT_EQ(c.len(), i - 1);
    }
  });
}

// ---- negative cases (closedchan.go, chancap.go)

GO_TEST(Chan, SendOnClosedPanics) {
  auto c = gort::make_chan<int>(1);
  c.close();
  EXPECT_EQ(panicOf([&] { c.send(1); }), "send on closed channel");
  EXPECT_EQ(panicOf([&] { (void)c.try_send(1); }), "send on closed channel");
  EXPECT_EQ(panicOf([&] { (void)c.send_for(1ms, 1); }), "send on closed channel");
}

GO_TEST(Chan, CloseMakesAWaitingSenderPanic) {
  auto c = gort::make_chan<int>();
  auto text = gort::make_chan<std::string>();
  gort::go([=] { text.send(panicOf([&] { c.send(1); })); });
  settle();
  c.close();
  EXPECT_EQ(text.recv(), "send on closed channel");
}

GO_TEST(Chan, ClosingTwicePanics) {
  auto c = gort::make_chan<int>();
  c.close();
  EXPECT_EQ(panicOf([&] { c.close(); }), "close of closed channel");
}

GO_TEST(Chan, ClosingNilPanics) {
  gort::chan<int> c;
  EXPECT_EQ(panicOf([&] { c.close(); }), "close of nil channel");
}

GO_TEST(Chan, ImpossibleCapacityPanics) {
  EXPECT_EQ(panicOf([] { (void)gort::make_chan<int>(static_cast<std::size_t>(-1)); }),
            "makechan: size out of range");
  struct Big {
    char bytes[1 << 20];
  };
  EXPECT_EQ(panicOf([] { (void)gort::make_chan<Big>(1u << 31); }), "makechan: size out of range");
}

GO_TEST(Chan, TheChannelWorksAfterARecoveredPanic) {
  auto c = gort::make_chan<int>(1);
  c.send(7);
  c.close();
  EXPECT_NE(panicOf([&] { c.send(1); }), "");
  EXPECT_EQ(c.recv(), 7);
  EXPECT_EQ(c.recv(), std::nullopt);
}

GO_TEST(Chan, NilChannelIsNeverReady) {
  gort::chan<int> c;
  EXPECT_EQ(c.len(), 0u);
  EXPECT_EQ(c.cap(), 0u);
  EXPECT_FALSE(c.try_send(1));
  EXPECT_EQ(c.try_recv().status(), gort::chan_status::would_block);
  EXPECT_EQ(c.recv_for(1ms).status(), gort::chan_status::timeout);
  EXPECT_EQ(c.send_for(1ms, 1), gort::chan_status::timeout);
}

// ---- programs of test/chan

// goroutines.go: a chain of goroutines, each passing one value on.
GO_TEST(Chan, AChainOfGoroutinesPassesAValueThrough) {
  constexpr int kLinks = 2000;
  auto left = gort::make_chan<int>();
  const auto first = left;
  for (int i = 0; i < kLinks; ++i) {
    auto right = gort::make_chan<int>();
    gort::go([=] { right.send(*left.recv() + 1); });
    left = right;
  }
  first.send(0);
  EXPECT_EQ(left.recv(), kLinks);
}

// sieve1.go
GO_TEST(Chan, PrimeSieve) {
  auto numbers = gort::make_chan<int>(1);
  auto stop = gort::make_chan<>();
  gort::go([=, out = numbers] {
    gort::recv_case quit{stop};
    for (int i = 2;; ++i) {
      gort::send_case put{out, i};
      if (gort::select(put, quit) == quit) return out.close();
    }
  });
  const int kPrimes[] = {2,  3,  5,  7,  11, 13, 17, 19, 23, 29, 31, 37, 41,
                         43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97};
  auto in = numbers;
  for (int expected : kPrimes) {
    const int prime = *in.recv();
    EXPECT_EQ(prime, expected);
    auto out = gort::make_chan<int>(1);
    gort::go([=] {
      for (int n : in) {
        if (n % prime != 0) out.send(n);
      }
      out.close();
    });
    in = out;
  }
  stop.close();
  while (in.recv()) {
  }
}

// zerosize.go
GO_TEST(Chan, ElementsOfNoSizeAreStillCounted) {
  auto c = gort::make_chan<gort::unit>(2);
  c.send();
  c.send();
  EXPECT_FALSE(c.try_send());
  EXPECT_EQ(c.len(), 2u);
  EXPECT_TRUE(c.recv().has_value());
  EXPECT_TRUE(c.recv().has_value());
  EXPECT_EQ(c.try_recv().status(), gort::chan_status::would_block);
}

// nonblock.go: between goroutines that meet, a try succeeds on both sides.
GO_TEST(Chan, TrySendReachesAWaitingReceiverAndTryRecvAWaitingSender) {
  auto c = gort::make_chan<std::string>();
  auto got = gort::make_chan<std::string>();
  gort::go([=] { got.send(*c.recv()); });
  while (!c.try_send("hello")) gort::yield();
  EXPECT_EQ(got.recv(), "hello");
  gort::go([=] { c.send("back"); });
  for (;;) {
    if (auto r = c.try_recv()) {
      EXPECT_EQ(*r, "back");
      break;
    }
    gort::yield();
  }
}

// powser1.go, the idea: power series as lazy streams; a stream computes its next coefficient when somebody
// receives it.
using Series = gort::recv_chan<std::int64_t>;

Series repeat(std::int64_t a, const gort::recv_chan<>& stop) {
  auto c = gort::make_chan<std::int64_t>();
  gort::go([=] {
    gort::recv_case quit{stop};
    gort::send_case put{c, a};
    while (gort::select(put, quit) == put) {
    }
    c.close();
  });
  return c;
}

Series multiply(Series f, Series g, const gort::recv_chan<>& stop) {
  auto c = gort::make_chan<std::int64_t>();
  gort::go([=] {
    std::vector<std::int64_t> a, b;
    gort::recv_case quit{stop};
    for (;;) {
      auto x = f.recv(), y = g.recv();
      if (!x || !y) break;
      a.push_back(*x);
      b.push_back(*y);
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[a.size() - 1 - i];
      gort::send_case put{c, sum};
      if (gort::select(put, quit) == quit) break;
    }
    c.close();
  });
  return c;
}

GO_TEST(Chan, PowerSeriesAsLazyStreams) {
  auto stop = gort::make_chan<>();
  // (1/(1-x))^3 has the triangular numbers as coefficients.
  auto cube = multiply(multiply(repeat(1, stop), repeat(1, stop), stop), repeat(1, stop), stop);
  for (std::int64_t n = 0; n < 30; ++n) EXPECT_EQ(cube.recv(), (n + 1) * (n + 2) / 2);
  stop.close();
  while (cube.recv()) {
  }
}

// ---- races of chan_test.go

// TestNonblockRecvRace: a value is in the buffer, or the channel is closed, at every moment: a try finds
// something.
GO_TEST(Chan, TryRecvNeverMissesWhatIsThereAtEveryMoment) {
  for (int i = 0; i < 2000; ++i) {
    auto c = gort::make_chan<int>(1);
    c.send(1);
    auto ok = gort::make_chan<bool>();
    gort::go([=] { ok.send(c.try_recv().status() != gort::chan_status::would_block); });
    c.close();
    (void)c.recv();
    ASSERT_EQ(ok.recv(), true) << "channel was never not ready";
  }
}

// TestPseudoRandomSend: select among two ready sends on one channel chooses both.
GO_TEST(Chan, SelectBetweenTwoSendsIsRandom) {
  for (std::size_t cap : {0, 1}) {
    auto c = gort::make_chan<int>(cap);
    auto zeros = gort::make_chan<int>();
    gort::go([=] {
      int n = 0;
      for (int i = 0; i < 100; ++i) n += *c.recv() == 0;
      zeros.send(n);
    });
    for (int i = 0; i < 100; ++i) {
      gort::send_case zero{c, 0}, one{c, 1};
      (void)gort::select(zero, one);
    }
    const int n = *zeros.recv();
    EXPECT_GT(n, 10) << "capacity " << cap;
    EXPECT_LT(n, 90) << "capacity " << cap;
  }
}

// TestMultiConsumer
GO_TEST(Chan, ManyConsumersSeeEveryValueOnce) {
  constexpr int kWorkers = 23, kValues = 20000;
  const int kPrimes[] = {2, 3, 7, 11, 17, 19, 23, 29, 31, 37};
  auto queue = gort::make_chan<int>(kWorkers / 4);
  auto results = gort::make_chan<int>(kWorkers / 4);
  gort::wait_group wg;
  for (int w = 0; w < kWorkers; ++w) {
    wg.go([&, w] {
      for (int v : queue) {
        if (kPrimes[w % 10] == v) gort::yield();  // mix things up
        results.send(v);
      }
    });
  }
  long expected = 0;
  gort::go([&, queue] {
    for (int i = 0; i < kValues; ++i) {
      expected += kPrimes[i % 10];
      queue.send(kPrimes[i % 10]);
    }
    queue.close();
    wg.wait();
    results.close();
  });
  int n = 0;
  long sum = 0;
  for (int v : results) {
    ++n;
    sum += v;
  }
  EXPECT_EQ(n, kValues);
  EXPECT_EQ(sum, expected);
}

// ---- waiting with an end

GO_TEST(Chan, RecvForGivesUpAndLeavesTheQueue) {
  auto c = gort::make_chan<int>();
  const auto before = gort::clock::now();
  EXPECT_EQ(c.recv_for(5ms).status(), gort::chan_status::timeout);
  EXPECT_GE(gort::clock::now() - before, 5ms);
  EXPECT_FALSE(c.try_send(1)) << "a receiver that gave up must not be found";
}

GO_TEST(Chan, RecvForTakesWhatComesInTime) {
  auto c = gort::make_chan<int>();
  gort::go([=] {
    gort::sleep(1ms);
    c.send(5);
  });
  auto r = c.recv_for(10s);
  ASSERT_TRUE(r);
  EXPECT_EQ(*r, 5);
}

GO_TEST(Chan, ADeadlineInThePastStillTakesWhatIsThere) {
  auto c = gort::make_chan<int>(1);
  c.send(5);
  EXPECT_TRUE(c.recv_for(-1s));
  EXPECT_EQ(c.recv_until(gort::clock::time_point::min()).status(), gort::chan_status::timeout);
  EXPECT_EQ(c.send_for(0s, 1), gort::chan_status::ok);
  EXPECT_EQ(c.send_for(0s, 1), gort::chan_status::timeout);
}

GO_TEST(Chan, CloseEndsATimedReceive) {
  auto c = gort::make_chan<int>();
  gort::go([=] {
    gort::sleep(1ms);
    c.close();
  });
  EXPECT_TRUE(c.recv_for(10s).closed());
}

GO_TEST(Chan, ACanceledContextEndsTheWait) {
  auto c = gort::make_chan<int>();
  auto ctx = gort::with_cancel(gort::background());
  gort::go([&] {
    gort::sleep(1ms);
    ctx.cancel();
  });
  EXPECT_EQ(c.recv(ctx).status(), gort::chan_status::canceled);
  EXPECT_EQ(c.send(ctx, 1), gort::chan_status::canceled);
  gort::chan<int> nil;
  EXPECT_EQ(nil.recv(ctx).status(), gort::chan_status::canceled);
}

// ---- element sizes: the inline copies and memcpy

template <std::size_t N>
void carries() {
  using Bytes = std::array<unsigned char, N>;
  for (std::size_t cap : {0, 3}) {
    auto c = gort::make_chan<Bytes>(cap);
    gort::go([=] {
      for (int i = 0; i < 20; ++i) {
        Bytes b;
        for (std::size_t k = 0; k < N; ++k)
          b[k] = static_cast<unsigned char>(static_cast<std::size_t>(i) * 31 + k);
        c.send(b);
      }
      c.close();
    });
    std::size_t i = 0;
    for (const Bytes& b : c) {
      for (std::size_t k = 0; k < N; ++k) ASSERT_EQ(b[k], static_cast<unsigned char>(i * 31 + k)) << N;
      ++i;
    }
    EXPECT_EQ(i, 20u);
  }
}

GO_TEST(Chan, ValuesOfEverySizeArriveWhole) {
  carries<1>();
  carries<2>();
  carries<3>();
  carries<4>();
  carries<7>();
  carries<8>();
  carries<12>();
  carries<16>();
  carries<24>();
  carries<33>();
  carries<1000>();
}

// ---- stress

GO_TEST(Chan, StressOpenRingsWithClosingAndTries) {
  std::mt19937_64 random(chantest::seed());
  for (int round = 0; round < 60; ++round) {
    auto c = gort::make_chan<std::uint64_t>(random() % 5);
    const int senders = 1 + static_cast<int>(random() % 4), receivers = 1 + static_cast<int>(random() % 4);
    const std::uint64_t each = 1 + random() % 200;
    std::atomic<std::uint64_t> sum{0}, count{0};
    gort::wait_group sending, receiving;
    for (int s = 0; s < senders; ++s) {
      sending.go([=, tries = random() % 2 == 0] {
        for (std::uint64_t i = 1; i <= each; ++i) {
          if (tries) {
            while (!c.try_send(i)) gort::yield();
          } else {
            c.send(i);
          }
        }
      });
    }
    for (int r = 0; r < receivers; ++r) {
      // Without a buffer two sides that only try never meet.
      receiving.go([&, c, form = c.cap() == 0 ? 2 * (random() % 2) : random() % 3] {
        auto take = [&](std::uint64_t v) {
          sum += v;
          ++count;
        };
        if (form == 0) {
          for (std::uint64_t v : c) take(v);
          return;
        }
        for (;;) {
          auto v = form == 1 ? c.try_recv() : c.recv_for(100us);
          if (v.closed()) return;
          if (v) {
            take(*v);
          } else {
            gort::yield();
          }
        }
      });
    }
    sending.wait();
    c.close();
    receiving.wait();
    const auto n = static_cast<std::uint64_t>(senders);
    ASSERT_EQ(count, n * each);
    ASSERT_EQ(sum, n * each * (each + 1) / 2);
  }
}

}  // namespace

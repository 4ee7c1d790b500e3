// SPDX-License-Identifier: Apache-2.0
// select: Go's rules as sentences. Ideas carried over, in our own words, from Go's runtime/chan_test.go and
// test/chan/{doubleselect,select3,select5,select6,select7,select8}.go.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "lang/chan_util.hpp"

namespace {

using chantest::panicOf;
using chantest::settle;
using namespace std::chrono_literals;

// ---- what is ready fires; what is not does not (select3.go)

GO_TEST(Select, NothingReadyAndNoDefaultWaits) {
  auto c = gort::make_chan<int>();
  std::atomic<bool> fired{false};
  gort::wait_group wg;
  wg.go([&] {
    gort::recv_case r{c};
    gort::chan<int> nil;
    gort::recv_case never{nil};
    (void)gort::select(r, never);
    fired = true;
  });
  settle();
  EXPECT_FALSE(fired);
  c.send(1);
  wg.wait();
  EXPECT_TRUE(fired);
}

GO_TEST(Select, DefaultFiresOnlyIfNothingIsReady) {
  auto c = gort::make_chan<int>(1);
  gort::recv_case get{c};
  gort::default_case none;
  EXPECT_EQ(gort::select(get, none), none);
  EXPECT_FALSE(get);
  EXPECT_FALSE(get.closed());
  c.send(3);
  EXPECT_EQ(gort::select(none, get), get);
  EXPECT_EQ(*get, 3);
  gort::send_case put{c, 4};
  EXPECT_EQ(gort::select(put, none), put);
  EXPECT_EQ(gort::select(put, none), none);
}

GO_TEST(Select, NilAndDisabledCasesNeverFire) {
  gort::chan<int> nil;
  auto c = gort::make_chan<int>(1);
  c.send(1);
  gort::recv_case nilGet{nil}, disabled{c};
  gort::send_case nilPut{nil, 1};
  gort::default_case none;
  disabled.enable(false);
  EXPECT_EQ(gort::select(nilGet, nilPut, disabled, none), none);
  disabled.enable();
  EXPECT_EQ(gort::select(nilGet, nilPut, disabled, none), disabled);
}

GO_TEST(Select, AClosedChannelIsAlwaysReadyToReceive) {
  auto c = gort::make_chan<int>(2);
  c.send(1);
  c.close();
  gort::recv_case get{c};
  EXPECT_EQ(gort::select(get), get);
  EXPECT_EQ(*get, 1);
  EXPECT_FALSE(get.closed());
  EXPECT_EQ(gort::select(get), get);
  EXPECT_TRUE(get.closed());
  EXPECT_FALSE(get);
}

GO_TEST(Select, SendingOnAClosedChannelPanics) {
  auto c = gort::make_chan<int>();
  c.close();
  auto idle = gort::make_chan<int>();
  gort::send_case put{c, 1};
  gort::recv_case get{idle};
  EXPECT_EQ(panicOf([&] { (void)gort::select(put, get); }), "send on closed channel");
  gort::default_case none;
  EXPECT_EQ(panicOf([&] { (void)gort::select(put, none); }), "send on closed channel");
}

GO_TEST(Select, CloseWakesASelectThatWaits) {
  auto c = gort::make_chan<int>(), idle = gort::make_chan<int>();
  auto result = gort::make_chan<std::string>(2);
  gort::go([=] {
    gort::recv_case get{c}, other{idle};
    const bool hit = gort::select(get, other) == get;
    result.send(hit && get.closed() ? "closed" : "wrong");
  });
  settle();
  c.close();
  EXPECT_EQ(result.recv(), "closed");
  auto d = gort::make_chan<int>();
  gort::go([=] {
    gort::send_case put{d, 1};
    gort::recv_case other{idle};
    result.send(panicOf([&] { (void)gort::select(put, other); }));
  });
  settle();
  d.close();
  EXPECT_EQ(result.recv(), "send on closed channel");
}

GO_TEST(Select, OnlyTheCaseThatFiredAnswers) {
  auto a = gort::make_chan<std::string>(1), b = gort::make_chan<std::string>(1);
  gort::recv_case ra{a}, rb{b};
  a.send("a");
  EXPECT_EQ(gort::select(ra, rb), ra);
  EXPECT_TRUE(ra);
  b.send("b");
  EXPECT_EQ(gort::select(ra, rb), rb);
  EXPECT_FALSE(ra) << "the value of the select before is gone";
  EXPECT_FALSE(ra.closed());
  EXPECT_EQ(rb.take(), "b");
  EXPECT_EQ(rb.take(), std::nullopt);
  EXPECT_EQ(panicOf([&] { (void)*ra; }), "gort: use of a receive that brought no value");
}

// ---- arguments

GO_TEST(Select, RangesAndSingleCasesMix) {
  std::vector<gort::chan<int>> chans;
  std::vector<gort::recv_case<int>> cases;
  for (int i = 0; i < 10; ++i) cases.emplace_back(chans.emplace_back(gort::make_chan<int>(1)));
  auto quit = gort::make_chan<>(1);
  gort::recv_case stop{quit};
  chans[7].send(70);
  auto hit = gort::select(stop, cases);
  EXPECT_EQ(hit.index(), 1u);
  ASSERT_EQ(hit.in(cases), std::size_t{7});
  EXPECT_EQ(*cases[7], 70);
  EXPECT_EQ(hit, cases[7]);
  cases.erase(cases.begin());
  chans[9].send(90);
  hit = gort::select(cases, stop);
  EXPECT_EQ(hit.index(), 0u);
  EXPECT_EQ(hit.in(cases), std::size_t{8});
  quit.send();
  hit = gort::select(cases, stop);
  EXPECT_EQ(hit.index(), 1u);
  EXPECT_EQ(hit.in(cases), std::nullopt);
}

GO_TEST(Select, PointersToCasesOfDifferentKinds) {
  auto a = gort::make_chan<std::string>(1);
  auto b = gort::make_chan<int>(1);
  gort::recv_case get{a};
  gort::send_case put{b, 5};
  gort::timeout_case late{10s};
  std::vector<gort::select_case*> all{&get, &put, &late};
  EXPECT_EQ(gort::select(all), put);
  a.send("x");
  auto hit = gort::select(std::span<gort::select_case*>(all));
  EXPECT_EQ(hit, get);
  EXPECT_EQ(hit.in(all), std::size_t{0});
  EXPECT_EQ(*get, "x");
}

GO_TEST(Select, AThousandCasesNeedNoAllocationAndFindTheOne) {
  constexpr std::size_t kCases = 1000;
  std::vector<gort::chan<int>> chans;
  std::vector<gort::recv_case<int>> cases;
  for (std::size_t i = 0; i < kCases; ++i) cases.emplace_back(chans.emplace_back(gort::make_chan<int>()));
  std::mt19937_64 random(chantest::seed());
  for (int round = 0; round < 30; ++round) {
    const std::size_t k = random() % kCases;
    gort::go([=, c = chans[k]] { c.send(round); });
    auto hit = gort::select(cases);
    ASSERT_EQ(hit.in(cases), k);
    ASSERT_EQ(*cases[k], round);
  }
}

GO_TEST(Select, HandlerFormReturnsTheHandlersResult) {
  auto c = gort::make_chan<int>(1), full = gort::make_chan<int>();
  auto level = [&] {
    return gort::select(gort::on_recv(c, [](std::optional<int> v) { return v.value_or(-1); }),
                        gort::on_send(full, 1, [] { return 100L; }), gort::on_default([] { return -2; }));
  };
  EXPECT_EQ(level(), -2);
  c.send(9);
  EXPECT_EQ(level(), 9);
  c.close();
  EXPECT_EQ(level(), -1);
  int fired = 0;
  gort::select(gort::on_recv(full, [](auto) {}), gort::on_timeout(1ms, [&] { fired = 1; }));
  EXPECT_EQ(fired, 1);
}

GO_TEST(Select, TakeFromMovesOnlyIfTheCaseFires) {
  auto c = gort::make_chan<std::unique_ptr<int>>(1);
  auto mine = std::make_unique<int>(1), second = std::make_unique<int>(2);
  gort::default_case none;
  gort::send_case put{c, gort::take_from(mine)};
  EXPECT_EQ(gort::select(put, none), put);
  EXPECT_EQ(mine, nullptr);
  put.arm(gort::take_from(second));
  EXPECT_EQ(gort::select(put, none), none);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(**c.recv(), 1);
  EXPECT_EQ(gort::select(put, none), put);
  EXPECT_EQ(**c.recv(), 2);
}

GO_TEST(Select, ASendCaseWithoutAValueStaysDisabled) {
  auto c = gort::make_chan<int>(1);
  gort::send_case put{c};
  gort::default_case none;
  EXPECT_EQ(gort::select(put, none), none);
  put.enable();
  EXPECT_FALSE(put.enabled());
  put.arm(3);
  EXPECT_EQ(gort::select(put, none), put);
  EXPECT_EQ(c.recv(), 3);
}

GO_TEST(Select, ACaseCanWatchAnotherChannel) {
  auto a = gort::make_chan<int>(1), b = gort::make_chan<int>(1);
  gort::recv_case get{a};
  b.send(2);
  get.reset(b);
  EXPECT_EQ(gort::select(get), get);
  EXPECT_EQ(*get, 2);
}

// The example of the interface document: an unbounded queue.
GO_TEST(Select, ConditionalSendsPumpAnUnboundedQueue) {
  auto in = gort::make_chan<std::unique_ptr<int>>(), out = gort::make_chan<std::unique_ptr<int>>();
  gort::go([get = gort::recv_case(in), put = gort::send_case(out), out]() mutable {
    std::deque<std::unique_ptr<int>> q;
    for (bool open = true; open || !q.empty();) {
      get.enable(open);
      if (q.empty()) {
        put.enable(false);
      } else {
        put.arm(gort::take_from(q.front()));
      }
      auto hit = gort::select(get, put);
      if (hit == put) {
        q.pop_front();
      } else if (get) {
        q.push_back(*get.take());
      } else {
        open = false;
      }
    }
    out.close();
  });
  for (int i = 0; i < 500; ++i) in.send(std::make_unique<int>(i));
  in.close();
  int i = 0;
  for (auto& p : out) ASSERT_EQ(*p, i++);
  EXPECT_EQ(i, 500);
}

// ---- time

GO_TEST(Select, TimeoutFiresIfNothingElseDoes) {
  auto c = gort::make_chan<int>();
  gort::recv_case get{c};
  gort::timeout_case late{3ms}, later{1h};
  const auto start = gort::clock::now();
  EXPECT_EQ(gort::select(get, later, late), late);
  EXPECT_GE(gort::clock::now() - start, 3ms);
  EXPECT_FALSE(c.try_send(1)) << "the case has left the queue";
}

GO_TEST(Select, ARelativeTimeoutStartsAnewWithEachSelect) {
  auto c = gort::make_chan<int>();
  gort::recv_case get{c};
  gort::timeout_case late{2ms};
  const auto start = gort::clock::now();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(gort::select(get, late), late);
  EXPECT_GE(gort::clock::now() - start, 6ms);
  gort::timeout_case past{gort::clock::now() - 1s};
  EXPECT_EQ(gort::select(get, past), past);
}

GO_TEST(Select, WhatIsReadyGoesBeforeATimeoutOfNothing) {
  auto c = gort::make_chan<int>(1);
  c.send(1);
  gort::recv_case get{c};
  gort::timeout_case now{0s};
  EXPECT_EQ(gort::select(now, get), get);
  EXPECT_EQ(gort::select(now, get), now);
}

GO_TEST(Select, TimeoutAloneSleeps) {
  gort::timeout_case late{1ms};
  EXPECT_EQ(gort::select(late), late);
}

GO_TEST(Select, TimeoutRacesWithASenderAndLosesNothing) {
  std::mt19937_64 random(chantest::seed());
  auto c = gort::make_chan<int>();
  std::atomic<int> delivered{0}, received{0};
  gort::wait_group wg;
  for (int g = 0; g < 4; ++g) {
    wg.go([&, s = random()] {
      std::mt19937_64 mine(s);
      for (int i = 0; i < 150; ++i) {
        delivered += c.send_for(std::chrono::microseconds(mine() % 60), i) == gort::chan_status::ok;
      }
    });
    wg.go([&, s = random()] {
      std::mt19937_64 mine(s);
      gort::recv_case get{c};
      for (int i = 0; i < 150; ++i) {
        gort::timeout_case late{std::chrono::microseconds(mine() % 60)};
        received += gort::select(get, late) == get;
      }
    });
  }
  wg.wait();
  EXPECT_EQ(delivered, received);
}

// ---- chan_test.go

// TestNonblockSelectRace: one of two channels is ready at every moment, so default must not fire.
GO_TEST(Select, DefaultNeverFiresWhileSomethingIsReadyAtEveryMoment) {
  for (int i = 0; i < 3000; ++i) {
    auto c1 = gort::make_chan<int>(1), c2 = gort::make_chan<int>(1);
    auto ok = gort::make_chan<bool>();
    c1.send(1);
    gort::go([=] {
      gort::recv_case a{c1}, b{c2};
      gort::default_case none;
      ok.send(!(gort::select(b, a, none) == none));
    });
    c2.send(1);
    (void)c1.try_recv();
    ASSERT_EQ(ok.recv(), true);
  }
}

// TestNonblockSelectRace2: the same with close.
GO_TEST(Select, DefaultNeverFiresBetweenAValueAndAClose) {
  for (int i = 0; i < 3000; ++i) {
    auto c1 = gort::make_chan<int>(1), c2 = gort::make_chan<int>();
    auto ok = gort::make_chan<bool>();
    c1.send(1);
    gort::go([=] {
      gort::recv_case a{c1}, b{c2};
      gort::default_case none;
      ok.send(!(gort::select(b, a, none) == none));
    });
    c2.close();
    (void)c1.try_recv();
    ASSERT_EQ(ok.recv(), true);
  }
}

// TestSelfSelect: a goroutine that sends and receives on one channel in one select never meets itself.
GO_TEST(Select, NeverSendsToItself) {
  for (std::size_t cap : {0, 10}) {
    gort::wait_group wg;
    auto c = gort::make_chan<int>(cap);
    for (int p = 0; p < 2; ++p) {
      wg.go([=] {
        for (int i = 0; i < 1000; ++i) {
          gort::send_case put{c, p};
          gort::recv_case get{c};
          const auto hit = p == 0 || i % 2 == 0 ? gort::select(put, get) : gort::select(get, put);
          if (hit == get && cap == 0) {
            EXPECT_TRUE(*get != p) << "received its own value";
          }
        }
      });
    }
    wg.wait();
  }
}

// TestSelectFairness: two ready channels are chosen about equally often.
GO_TEST(Select, ReadyCasesAreChosenUniformly) {
  constexpr int kTrials = 8000, kCases = 4;
  std::vector<gort::chan<int>> chans;
  std::vector<gort::recv_case<int>> cases;
  for (int i = 0; i < kCases; ++i) {
    auto c = chans.emplace_back(gort::make_chan<int>(1));
    c.send(i);
    cases.emplace_back(c);
  }
  int counts[kCases] = {};
  for (int i = 0; i < kTrials; ++i) {
    const std::size_t k = *gort::select(cases).in(cases);
    ++counts[k];
    chans[k].send(0);
  }
  const double expected = kTrials / kCases, sigma = std::sqrt(kTrials * 0.25 * 0.75);
  for (int n : counts) EXPECT_NEAR(n, expected, 6 * sigma);
}

GO_TEST(Select, WaitersOnOneChannelTwiceAreChosenUniformly) {
  constexpr int kTrials = 2000;
  auto c = gort::make_chan<int>(), done = gort::make_chan<int>();
  gort::go([=] {
    int first = 0;
    gort::recv_case a{c}, b{c};
    for (int i = 0; i < kTrials; ++i) first += gort::select(a, b) == a;
    done.send(first);
  });
  for (int i = 0; i < kTrials; ++i) c.send(i);
  const int first = *done.recv();
  EXPECT_NEAR(first, kTrials / 2, 6 * std::sqrt(kTrials * 0.25));
}

// TestSelectDuplicateChannel: a case that lost on a channel that stands twice in one select must leave the
// queue intact.
GO_TEST(Select, ADuplicateChannelDoesNotCutItsQueue) {
  auto c = gort::make_chan<int>(), d = gort::make_chan<int>(), e = gort::make_chan<int>();
  gort::wait_group wg;
  wg.go([=] {
    gort::recv_case a{c}, b{c}, x{d};
    (void)gort::select(a, b, x);
    e.send(9);
  });
  settle();
  wg.go([=] { (void)c.recv(); });  // stands behind the duplicates
  settle();
  d.send(7);  // wakes the select through the other channel
  EXPECT_EQ(e.recv(), 9);
  c.send(8);  // must reach the second goroutine
  wg.wait();
}

// TestSelectStress
GO_TEST(Select, FourChannelsUnderFireFromSendsAndSelects) {
  constexpr int kValues = 3000;
  gort::chan<int> c[4] = {gort::make_chan<int>(), gort::make_chan<int>(), gort::make_chan<int>(2),
                          gort::make_chan<int>(3)};
  gort::wait_group wg;
  for (int k = 0; k < 4; ++k) {
    wg.go([=, ch = c[k]] {
      for (int i = 0; i < kValues; ++i) ch.send(0);
    });
    wg.go([=, ch = c[k]] {
      for (int i = 0; i < kValues; ++i) (void)ch.recv();
    });
  }
  wg.go([=] {
    int n[4] = {};
    std::vector<gort::send_case<int>> put;
    for (const auto& ch : c) put.emplace_back(ch, 0);
    for (int i = 0; i < 4 * kValues; ++i) {
      const std::size_t k = *gort::select(put).in(put);
      if (++n[k] == kValues) put[k].enable(false);
    }
  });
  wg.go([=] {
    int n[4] = {};
    std::vector<gort::recv_case<int>> get;
    for (const auto& ch : c) get.emplace_back(ch);
    for (int i = 0; i < 4 * kValues; ++i) {
      const std::size_t k = *gort::select(get).in(get);
      if (++n[k] == kValues) get[k].enable(false);
    }
  });
  wg.wait();
}

// ---- test/chan

// doubleselect.go: one value goes to exactly one of the senders' cases.
GO_TEST(Select, OneSelectFiresExactlyOneCase) {
  constexpr int kValues = 20000;
  auto c1 = gort::make_chan<int>(), c2 = gort::make_chan<int>(), c3 = gort::make_chan<int>(),
       c4 = gort::make_chan<int>();
  auto done = gort::make_chan<>();
  auto merged = gort::make_chan<int>();
  gort::go([=] {
    for (int i = 0; i < kValues; ++i) {
      gort::send_case a{c1, i}, b{c2, i}, x{c3, i}, y{c4, i};
      (void)gort::select(a, b, x, y);
    }
    c1.close(), c2.close(), c3.close(), c4.close();
  });
  for (const auto& c : {c1, c2, c3, c4}) {
    gort::go([=] {
      for (int v : c) merged.send(v);
      done.send();
    });
  }
  gort::go([=] {
    for (int i = 0; i < 4; ++i) (void)done.recv();
    merged.close();
  });
  std::vector<bool> seen(kValues);
  int n = 0;
  for (int v : merged) {
    ASSERT_FALSE(seen[static_cast<std::size_t>(v)]) << v;
    seen[static_cast<std::size_t>(v)] = true;
    ++n;
  }
  EXPECT_EQ(n, kValues);
}

// select6.go: a select that was satisfied elsewhere leaves the queue of the channel it also waited on intact.
GO_TEST(Select, ASelectThatFiredElsewhereLeavesTheOtherQueueIntact) {
  auto c1 = gort::make_chan<bool>(), c2 = gort::make_chan<bool>(), c3 = gort::make_chan<bool>(),
       c4 = gort::make_chan<bool>();
  gort::go([=] { (void)c1.recv(); });
  gort::go([=] {
    gort::recv_case a{c1}, b{c2};
    (void)gort::select(a, b);
    c3.send(true);
  });
  settle();
  gort::go([=] { c2.send(true); });
  EXPECT_EQ(c3.recv(), true);
  gort::go([=] {
    (void)c1.recv();
    c4.send(true);
  });
  settle();
  c1.send(true);
  c1.send(true);
  EXPECT_EQ(c4.recv(), true);
}

// select7.go: every form of receive meets every form of send.
GO_TEST(Select, EveryFormOfReceiveMeetsEveryFormOfSend) {
  using Chan = gort::chan<int>;
  void (*sends[])(const Chan&) = {[](const Chan& c) { c.send(1); },
                                  [](const Chan& c) {
                                    gort::send_case put{c, 1};
                                    (void)gort::select(put);
                                  },
                                  [](const Chan& c) {
                                    auto never = gort::make_chan<int>();
                                    gort::send_case put{c, 1}, other{never, 2};
                                    EXPECT_EQ(gort::select(put, other), put);
                                  },
                                  [](const Chan& c) { EXPECT_EQ(c.send_for(10s, 1), gort::chan_status::ok); },
                                  [](const Chan& c) {
                                    while (!c.try_send(1)) gort::yield();
                                  }};
  int (*receives[])(const Chan&) = {[](const Chan& c) { return *c.recv(); },
                                    [](const Chan& c) {
                                      gort::recv_case get{c};
                                      (void)gort::select(get);
                                      return *get;
                                    },
                                    [](const Chan& c) {
                                      auto never = gort::make_chan<int>();
                                      gort::recv_case get{c}, other{never};
                                      EXPECT_EQ(gort::select(get, other), get);
                                      return *get;
                                    },
                                    [](const Chan& c) { return *c.recv_for(10s); }};
  for (auto* send : sends) {
    for (auto* receive : receives) {
      for (std::size_t cap : {0, 1}) {
        Chan c = gort::make_chan<int>(cap);
        gort::go([=] { send(c); });
        EXPECT_EQ(receive(c), 1);
      }
    }
  }
}

// select5.go, the idea: random selects over random channel states, checked against the rules.
GO_TEST(Select, RandomSelectsObeyTheRules) {
  std::mt19937_64 random(chantest::seed());
  for (int round = 0; round < 2000; ++round) {
    struct Side {
      gort::chan<int> c;
      bool send, ready;
    };
    std::vector<Side> sides;
    std::vector<std::unique_ptr<gort::recv_case<int>>> gets;
    std::vector<std::unique_ptr<gort::send_case<int>>> puts;
    std::vector<gort::select_case*> all;
    const std::size_t n = 1 + random() % 8;
    bool anyReady = false;
    for (std::size_t i = 0; i < n; ++i) {
      Side s{gort::chan<int>(), random() % 2 == 0, false};
      const auto state = random() % 4;  // nil, empty, with a value, closed (receivers only)
      if (state > 0) s.c = gort::make_chan<int>(1);
      if (state == 2) s.c.send(7);
      if (state == 3 && !s.send) s.c.close();
      s.ready = state != 0 && (s.send ? state != 2 : state >= 2);
      anyReady |= s.ready;
      sides.push_back(s);
      if (s.send) {
        all.push_back(puts.emplace_back(std::make_unique<gort::send_case<int>>(s.c, 8)).get());
      } else {
        all.push_back(gets.emplace_back(std::make_unique<gort::recv_case<int>>(s.c)).get());
      }
    }
    gort::default_case none;
    const auto hit = gort::select(all, none);
    ASSERT_EQ(hit == none, !anyReady);
    if (anyReady) {
      ASSERT_TRUE(sides[*hit.in(all)].ready);
    }
  }
}

GO_TEST(Select, StressSelectsAgainstClose) {
  std::mt19937_64 random(chantest::seed());
  for (int round = 0; round < 200; ++round) {
    const std::size_t n = 1 + random() % 6;
    std::vector<gort::chan<int>> chans;
    for (std::size_t i = 0; i < n; ++i) chans.push_back(gort::make_chan<int>(random() % 2));
    gort::wait_group wg;
    for (int g = 0; g < 4; ++g) {
      wg.go([&chans, s = random()] {
        std::mt19937_64 mine(s);
        std::vector<gort::recv_case<int>> cases;
        for (const auto& c : chans) cases.emplace_back(c);
        std::shuffle(cases.begin(), cases.end(), mine);
        while (!cases.empty()) {
          const auto i = *gort::select(cases).in(cases);
          if (cases[i].closed()) cases.erase(cases.begin() + static_cast<std::ptrdiff_t>(i));
        }
      });
    }
    for (int i = 0; i < 20; ++i) {
      gort::send_case put{chans[random() % n], i};
      gort::default_case none;
      (void)gort::select(put, none);
    }
    for (const auto& c : chans) c.close();
    wg.wait();
  }
}

}  // namespace

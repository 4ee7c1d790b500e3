// SPDX-License-Identifier: Apache-2.0
// Bits, random numbers, lists and the runtime's own printing.
#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>

#include "base/bits.hpp"
#include "base/list.hpp"
#include "base/print.hpp"
#include "base/rand.hpp"

namespace {

namespace rt = gort::rt;

TEST(Bits, LengthAndPowersOfTwo) {
  EXPECT_EQ(rt::len64(0), 0);
  EXPECT_EQ(rt::len64(1), 1);
  EXPECT_EQ(rt::len64(~rt::uint64{0}), 64);
  EXPECT_EQ(rt::roundUpPowerOfTwo(0), 1U);
  EXPECT_EQ(rt::roundUpPowerOfTwo(1), 1U);
  EXPECT_EQ(rt::roundUpPowerOfTwo(5), 8U);
  EXPECT_EQ(rt::roundUpPowerOfTwo(8), 8U);
  EXPECT_EQ(rt::leadingZeros64(0), 64);
  EXPECT_EQ(rt::trailingZeros64(0), 64);
}

TEST(Rand, BelowStaysBelowAndReachesEveryValue) {
  rt::CheapRand r;
  rt::uint64 s = 7;
  r.state = rt::splitmix64(s);
  std::set<rt::uint32> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto v = r.below(10);
    ASSERT_LT(v, 10U);
    seen.insert(v);
  }
  EXPECT_EQ(seen.size(), 10U);
  EXPECT_EQ(r.below(1), 0U);
}

TEST(Rand, SameSeedSameNumbers) {
  rt::CheapRand a, b, c;
  a.state = b.state = 42;
  c.state = 43;
  bool differs = false;
  for (int i = 0; i < 100; ++i) {
    const auto x = a.next64();
    ASSERT_EQ(x, b.next64());
    differs |= x != c.next64();
  }
  EXPECT_TRUE(differs);
}

TEST(Rand, EveryValueIsAboutEquallyLikely) {
  rt::CheapRand r;
  r.state = 1;
  int count[7] = {};
  constexpr int kDraws = 70000;
  for (int i = 0; i < kDraws; ++i) ++count[r.below(7)];
  for (const int n : count) EXPECT_NEAR(n, kDraws / 7, 500);  // five standard deviations
}

struct Node {
  int v = 0;
  Node* link = nullptr;
};
using NodeQueue = rt::Queue<Node, &Node::link>;
using NodeStack = rt::Stack<Node, &Node::link>;

// Stealing must look at every P, whatever was drawn. Origin: Go runtime/proc_test.go, TestStealOrder.
TEST(Rand, ARandomOrderVisitsEachOnce) {
  for (rt::uint32 n = 1; n <= 64; ++n) {
    for (rt::uint32 start = 0; start < n; ++start) {
      for (rt::uint32 least = 1; least <= n; ++least) {
        rt::RandomOrder order(n, start, least);
        rt::uint64 seen = 0;
        for (rt::uint32 i = 0; i < n; ++i) seen |= rt::uint64{1} << order.next();
        ASSERT_EQ(seen, ~rt::uint64{0} >> (64 - n)) << n << " from " << start << " by " << least;
      }
    }
  }
}

TEST(Rand, EveryCoprimeStrideCanBeDrawn) {
  std::set<rt::uint32> strides;
  for (rt::uint32 least = 1; least < 10; ++least) strides.insert(rt::RandomOrder(10, 0, least).stride);
  EXPECT_EQ(strides, (std::set<rt::uint32>{1, 3, 7, 9}));
}

TEST(List, QueueIsFifoAndSplices) {
  Node n[5];
  for (int i = 0; i < 5; ++i) n[i].v = i;
  NodeQueue a, b;
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(a.pop(), nullptr);
  a.push(&n[1]);
  a.push(&n[2]);
  a.pushFront(&n[0]);
  b.push(&n[3]);
  b.push(&n[4]);
  a.append(b);
  EXPECT_TRUE(b.empty());
  b.append(a);
  a.append(b);  // into an empty one, and back
  a.removeAfter(&n[3], &n[4]);
  for (int i = 0; i < 4; ++i) {
    const Node* x = a.pop();
    ASSERT_EQ(x->v, i);
    EXPECT_EQ(x->link, nullptr);
  }
  EXPECT_TRUE(a.empty());
  a.push(&n[4]);
  EXPECT_EQ(a.pop(), &n[4]);
}

TEST(List, StackIsLifo) {
  Node n[3];
  NodeStack s;
  for (auto& x : n) s.push(&x);
  EXPECT_EQ(s.top(), &n[2]);
  EXPECT_EQ(s.pop(), &n[2]);
  EXPECT_EQ(s.pop(), &n[1]);
  EXPECT_EQ(s.pop(), &n[0]);
  EXPECT_EQ(s.pop(), nullptr);
}

template <class F>
std::string printed(F f) {
  std::string out;
  {
    rt::Printer p([](void* s, const char* d, std::size_t n) { static_cast<std::string*>(s)->append(d, n); },
                  &out);
    f(p);
  }
  return out;
}

TEST(Print, NumbersTextsAndHex) {
  EXPECT_EQ(printed([](auto& p) { p << 0 << ' ' << -1 << ' ' << INT64_MIN << ' ' << UINT64_MAX; }),
            "0 -1 -9223372036854775808 18446744073709551615");
  EXPECT_EQ(printed([](auto& p) { p << true << false << "x" << rt::Hex{0xdeadbeef}; }),
            "truefalsex0xdeadbeef");
  EXPECT_EQ(printed([](auto& p) {
              p.fixed(1234, 3) << '|';
              p.fixed(5, 2);
            }),
            "1.234|0.05");
}

TEST(Print, LongTextComesThroughWhole) {
  const std::string text(5000, 'a');
  EXPECT_EQ(printed([&](auto& p) { p << text.c_str(); }), text);
}

TEST(Print, AFixedBufferDropsWhatDoesNotFit) {
  char room[8];
  rt::FixedBuffer b{room, sizeof room};
  {
    rt::Printer p(rt::FixedBuffer::write, &b);
    p << "0123456789";
  }
  EXPECT_EQ(b.len, sizeof room);
  EXPECT_EQ(std::string(room, b.len), "01234567");
}

}  // namespace

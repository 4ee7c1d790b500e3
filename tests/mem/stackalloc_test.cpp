// SPDX-License-Identifier: Apache-2.0
// Slots for goroutine stacks: sizes, guards, reuse. Rules of src/mem/stackalloc.cpp as sentences.
#include "mem/stackalloc.hpp"

#include <gort/gort.hpp>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "mem/persistentalloc.hpp"

namespace {

namespace rt = gort::rt;

class Stackalloc : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    gort::block_on([] {});
  }
};

// Takes slots of a class until one was made anew, not reused.
void takeFresh(rt::G& g, rt::uint8 cls) {
  const auto before = rt::stackStats().slots;
  do ASSERT_TRUE(rt::stackalloc(&g, cls));
  while (rt::stackStats().slots == before);
}

TEST_F(Stackalloc, SizesAreRoundedUpToClassesAndClamped) {
  EXPECT_EQ(rt::stackClassOf(0), rt::stackDefaultClass());
  EXPECT_EQ(rt::stackSlotBytes(rt::stackClassOf(1)), rt::kMinStack);
  EXPECT_EQ(rt::stackSlotBytes(rt::stackClassOf(rt::kMinStack)), rt::kMinStack);
  EXPECT_EQ(rt::stackSlotBytes(rt::stackClassOf(rt::kMinStack + 1)), 2 * rt::kMinStack);
  EXPECT_EQ(rt::stackSlotBytes(rt::stackClassOf(rt::kDefaultStack)), rt::kDefaultStack);
  EXPECT_EQ(rt::stackSlotBytes(rt::stackClassOf(std::size_t{1} << 30)), std::size_t{1} << 30);
  EXPECT_EQ(rt::stackSlotBytes(rt::stackClassOf(std::size_t{5} << 30)), std::size_t{1} << 30);
  for (rt::uint8 c = 0; c < rt::kStackClasses; ++c) {
    EXPECT_EQ(rt::stackClassOf(rt::stackSlotBytes(c)), c);
    EXPECT_GE(rt::stackSlotBytes(c), 4 * rt::stackGuardBytes(c));
    EXPECT_LE(rt::stackGuardBytes(c), std::size_t{64} << 10);
  }
  EXPECT_EQ(rt::stackGuardBytes(rt::stackClassOf(rt::kDefaultStack)), std::size_t{64} << 10);
}

TEST_F(Stackalloc, EveryClassCanBeWrittenFromEndToEnd) {
  for (rt::uint8 c = 0; c < rt::kStackClasses; ++c) {
    rt::G g;
    ASSERT_TRUE(rt::stackalloc(&g, c));
    EXPECT_EQ(g.stackClass, c);
    EXPECT_EQ(g.stack.hi - g.stack.lo, rt::stackSlotBytes(c) - rt::stackGuardBytes(c));
    *reinterpret_cast<volatile char*>(g.stack.lo) = 1;
    *reinterpret_cast<volatile char*>(g.stack.hi - 1) = 1;
    EXPECT_TRUE(rt::stackGuardHit(&g, g.stack.lo - 1));
    EXPECT_TRUE(rt::stackGuardHit(&g, g.stack.lo - rt::stackGuardBytes(c)));
    EXPECT_FALSE(rt::stackGuardHit(&g, g.stack.lo));
    EXPECT_FALSE(rt::stackGuardHit(&g, g.stack.lo - rt::stackGuardBytes(c) - 1));
    rt::stackfree(&g);
    EXPECT_EQ(g.stackClass, rt::kNoSlot);
  }
}

TEST_F(Stackalloc, TheWholeGuardTraps) {
  rt::G g;
  ASSERT_TRUE(rt::stackalloc(&g, 0));
  for (const std::size_t below : {std::size_t{1}, std::size_t{2048}, rt::stackGuardBytes(0)}) {
    EXPECT_DEATH(*reinterpret_cast<volatile char*>(g.stack.lo - below) = 1, "") << below;
  }
  rt::stackfree(&g);
}

TEST_F(Stackalloc, AFreedSlotComesBackEmpty) {
  rt::G a, b;
  ASSERT_TRUE(rt::stackalloc(&a, 1));
  const rt::StackRange was = a.stack;
  std::memset(reinterpret_cast<void*>(was.lo), 0xab, was.hi - was.lo);
  rt::stackfree(&a);
  ASSERT_TRUE(rt::stackalloc(&b, 1));
  EXPECT_EQ(b.stack.lo, was.lo);
  EXPECT_EQ(*reinterpret_cast<char*>(b.stack.lo + 100), 0) << "pages go back to the kernel";
  rt::stackfree(&b);
}

TEST_F(Stackalloc, CountsWhatItMakes) {
  const rt::StackStats before = rt::stackStats();
  std::vector<rt::G> gs(200);
  for (auto& g : gs) ASSERT_TRUE(rt::stackalloc(&g, 2));
  const rt::StackStats s = rt::stackStats();
  EXPECT_EQ(s.inUse, before.inUse + 200);
  EXPECT_EQ(s.slots, s.guardInstalled + s.guardProtected + s.canaryOnly) << "every slot has some guard";
  EXPECT_GE(s.reservedBytes, s.readyBytes);
  for (auto& g : gs) rt::stackfree(&g);
  EXPECT_EQ(rt::stackStats().inUse, before.inUse);
}

TEST_F(Stackalloc, ForcedProtectModeTraps) {
  rt::stackForceGuardMode(rt::GuardMode::protect);
  rt::G g;
  takeFresh(g, 9);
  EXPECT_TRUE(rt::stackCanaryIntact(&g));
  EXPECT_DEATH(*reinterpret_cast<volatile char*>(g.stack.lo - 1) = 1, "");
  EXPECT_GE(rt::stackStats().guardProtected, 1U);
  rt::stackForceGuardMode(rt::GuardMode::install);
}

TEST_F(Stackalloc, ForcedCanaryModeNoticesAnOverflow) {
  rt::stackForceGuardMode(rt::GuardMode::canary);
  rt::G g;
  takeFresh(g, 10);
  EXPECT_GE(rt::stackStats().canaryOnly, 1U);
  EXPECT_TRUE(rt::stackCanaryIntact(&g));
  rt::stackUnused(&g);
  EXPECT_TRUE(rt::stackCanaryIntact(&g)) << "giving pages back must not look like an overflow";
  for (const std::size_t at : {0, 8, 56}) {
    auto* w = reinterpret_cast<volatile rt::uint64*>(g.stack.lo + at);
    const rt::uint64 was = *w;
    *w = 0;
    EXPECT_FALSE(rt::stackCanaryIntact(&g)) << "byte " << at;
    *w = was;
  }
  EXPECT_TRUE(rt::stackCanaryIntact(&g));
  rt::stackForceGuardMode(rt::GuardMode::install);
  rt::stackfree(&g);
  ASSERT_TRUE(rt::stackalloc(&g, 10));
  EXPECT_TRUE(g.stackCanary) << "a slot stays what it is, whatever the mode is now";
  EXPECT_TRUE(rt::stackCanaryIntact(&g));
}

TEST_F(Stackalloc, BelowAParkedStackPointerPagesGoBack) {
  rt::G g;
  ASSERT_TRUE(rt::stackalloc(&g, 4));
  std::memset(reinterpret_cast<void*>(g.stack.lo), 0xab, g.stack.hi - g.stack.lo);
  g.sched.sp = g.stack.hi - 6000;
  rt::stackReleaseBelow(&g);
  EXPECT_EQ(*reinterpret_cast<unsigned char*>(g.stack.hi - 6000), 0xab) << "what is in use stays";
  EXPECT_EQ(*reinterpret_cast<unsigned char*>(g.stack.lo + 4096), 0);
}

TEST_F(Stackalloc, PersistentMemoryIsAlignedAndZero) {
  for (const std::size_t align : {std::size_t{8}, std::size_t{64}, std::size_t{4096}}) {
    for (const std::size_t n : {std::size_t{1}, std::size_t{100}, std::size_t{5000}, std::size_t{1} << 20}) {
      auto* p = static_cast<char*>(rt::persistentalloc(n, align));
      ASSERT_NE(p, nullptr);
      EXPECT_EQ(reinterpret_cast<rt::uintptr>(p) % align, 0U);
      EXPECT_EQ(p[0], 0);
      EXPECT_EQ(p[n - 1], 0);
      std::memset(p, 1, n);
    }
  }
}

}  // namespace

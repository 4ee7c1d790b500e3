// SPDX-License-Identifier: Apache-2.0
// go, spawn, task, produce and local: what they promise about results, failures, ends and lifetimes.
#include <gort/go.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>

#include "lang/chan_util.hpp"

namespace {

using namespace std::chrono_literals;
using chantest::panicOf;
using chantest::settle;

// ---- results and failures

GO_TEST(Task, JoinGivesTheResultOnce) {
  auto t = gort::spawn([](std::unique_ptr<int> p) { return p; }, std::make_unique<int>(7));
  EXPECT_TRUE(t.joinable());
  EXPECT_EQ(*t.join(), 7);
  EXPECT_FALSE(t.joinable());
  gort::spawn([] {}).join();
}

GO_TEST(Task, JoinRethrows) {
  auto t = gort::spawn([]() -> int { throw std::runtime_error("lost"); });
  EXPECT_THROW((void)t.join(), std::runtime_error);
  EXPECT_FALSE(t.joinable()) << "its destructor has nothing more to say";
}

[[gnu::noinline]] void goesWrong() {
  gort::panic("boom");
  asm volatile("");
}

GO_TEST(Task, JoinPanicsAgainWithBothTracebacks) {
  std::string text, stack;
  gort::func([&](auto& fn) {
    fn.recover([&](const gort::panic_info& p) {
      text = p.message();
      stack = p.stack();
    });
    gort::spawn([] { goesWrong(); }).join();
  });
  EXPECT_EQ(text.substr(0, 16), "boom\n\ngoroutine ") << text;
  EXPECT_NE(text.find(" [task]:\n"), std::string::npos) << text;
  EXPECT_NE(text.find("goesWrong("), std::string::npos) << text;
  EXPECT_NE(stack.find("JoinPanicsAgain"), std::string::npos) << stack;
}

GO_TEST(Task, JoinAfterGoexitPanicsIfThereWasToBeAResult) {
  EXPECT_EQ(panicOf([] { (void)gort::spawn([]() -> std::string { gort::goexit(); }).join(); }),
            "gort: join of a task that ended by goexit: there is no result");
  EXPECT_EQ(panicOf([] { gort::spawn([] { gort::goexit(); }).join(); }), "");
  EXPECT_EQ(panicOf([] { auto t = gort::spawn([]() -> int { gort::goexit(); }); }), "")
      << "nobody asked for the result";
}

TEST(BlockOn, AfterGoexitPanicsIfThereWasToBeAResult) {
  EXPECT_EQ(panicOf([] { (void)gort::block_on([]() -> std::string { gort::goexit(); }); }),
            "gort: block_on: the function ended by goexit: there is no result");
  EXPECT_EQ(panicOf([] { gort::block_on([] { gort::goexit(); }); }), "");
}

GO_TEST(Task, JoiningTwiceOrAMovedOneIsAPanic) {
  constexpr const char* kText = "gort: join or done of a task that was joined, moved from or detached";
  auto t = gort::spawn([] { return 1; });
  (void)t.join();
  EXPECT_EQ(panicOf([&] { (void)t.join(); }), kText);
  EXPECT_EQ(panicOf([&] { (void)t.done(); }), kText);
  auto from = gort::spawn([] {});
  auto to = std::move(from);
  EXPECT_EQ(panicOf([&] { from.join(); }), kText);
  to.join();
  EXPECT_EQ(panicOf([] { gort::task<int>().join(); }), kText);
  gort::task<void>().cancel();
}

// ---- the destructor

GO_TEST(Task, TheDestructorCancelsAndJoins) {
  bool ended = false;
  {
    auto t = gort::spawn(gort::background(), [&](const gort::context& c) {
      (void)c.done().recv();
      settle();
      ended = true;
    });
  }
  EXPECT_TRUE(ended);
}

GO_TEST(Task, AFailureThatNobodyJoinedIsAPanic) {
  EXPECT_EQ(panicOf([] { auto t = gort::spawn([] { throw std::runtime_error("lost"); }); }),
            "unjoined task failed: lost");
  EXPECT_EQ(panicOf([] { auto t = gort::spawn([] { throw 1; }); }),
            "unjoined task failed with an exception of unknown type");
  EXPECT_EQ(panicOf([] { auto t = gort::spawn([] { goesWrong(); }); }).substr(0, 16), "boom\n\ngoroutine ");
}

GO_TEST(Task, AFailureIsSilentWhileTheScopeUnwinds) {
  auto scope = [] {
    auto t = gort::spawn([] { throw std::runtime_error("second"); });
    throw std::logic_error("first");
  };
  EXPECT_EQ(panicOf([&] { EXPECT_THROW(scope(), std::logic_error); }), "");
}

GO_TEST(Task, AssigningEndsTheOldOneFirst) {
  int ended = 0, atNext = -1;
  auto wait = [&](const gort::context& c) {
    (void)c.done().recv();
    ++ended;
  };
  auto t = gort::spawn(gort::background(), wait);
  auto next = gort::spawn(gort::background(), wait);
  t = std::move(next);
  atNext = ended;
  EXPECT_EQ(atNext, 1);
  EXPECT_TRUE(t.joinable());
  EXPECT_FALSE(next.joinable());
  t.cancel();
  t.join();
  EXPECT_EQ(ended, 2);
  auto bad = gort::spawn([] { throw std::runtime_error("old"); });
  EXPECT_EQ(panicOf([&] { bad = gort::spawn([] {}); }), "unjoined task failed: old");
}

GO_TEST(Task, ADetachedOneGoesOnAndItsFailureIsItsOwn) {
  auto end = gort::make_chan<int>(1);
  auto gate = gort::make_chan();
  gort::spawn([=] {
    (void)gate.recv();
    end.send(5);
  }).detach();
  gate.close();
  EXPECT_EQ(end.recv(), 5);
}

GO_TEST(Task, WhatItsFunctionHeldIsGoneWhenJoinReturns) {
  struct SlowToGo {
    std::atomic<int>* left;
    explicit SlowToGo(std::atomic<int>* p) : left(p) {}
    SlowToGo(SlowToGo&& o) noexcept : left(std::exchange(o.left, nullptr)) {}
    ~SlowToGo() {
      if (left == nullptr) return;
      gort::sleep(2ms);
      ++*left;
    }
  };
  std::atomic<int> left{0};
  gort::spawn([s = SlowToGo(&left)] { (void)s; }).join();
  EXPECT_EQ(left, 1);
  EXPECT_THROW(gort::spawn([s = SlowToGo(&left)] { throw 1; }).join(), int);
  EXPECT_EQ(left, 2);
  gort::spawn([s = SlowToGo(&left)] { gort::goexit(); }).join();
  EXPECT_EQ(left, 3);
  EXPECT_NE(panicOf([&] { gort::spawn([s = SlowToGo(&left)] { gort::panic("x"); }).join(); }), "");
  EXPECT_EQ(left, 4);
  {
    auto t = gort::spawn([s = SlowToGo(&left)] { return 1; });
  }
  EXPECT_EQ(left, 5);
  {
    gort::wait_group wg;
    wg.go([s = SlowToGo(&left)] { (void)s; });
  }
  EXPECT_EQ(left, 6);
  gort::errgroup group{gort::background()};
  group.go([s = SlowToGo(&left)] { (void)s; });
  EXPECT_FALSE(group.wait());
  EXPECT_EQ(left, 7);
}

// ---- done and cancel

GO_TEST(Task, DoneIsClosedByTheEndAskedBeforeOrAfter) {
  auto gate = gort::make_chan();
  auto t = gort::spawn([=] {
    (void)gate.recv();
    return 3;
  });
  auto before = t.done();
  EXPECT_EQ(before, t.done()) << "one channel, however often it is asked for";
  EXPECT_EQ(before.try_recv().status(), gort::chan_status::would_block);
  gate.close();
  EXPECT_FALSE(before.recv());
  EXPECT_FALSE(t.done().recv());
  gort::recv_case ended{t.done()};
  gort::timeout_case late{1min};
  EXPECT_EQ(gort::select(ended, late), ended);
  EXPECT_EQ(t.join(), 3);

  auto over = gort::spawn([] {});
  settle();
  EXPECT_FALSE(over.done().recv());
  over.join();
  EXPECT_FALSE(before.recv()) << "the channel outlives its task";
}

GO_TEST(Task, DoneIsClosedByAnExceptionAndByGoexitToo) {
  auto thrown = gort::spawn([] { throw 1; });
  auto left = gort::spawn([] { gort::goexit(); });
  EXPECT_FALSE(thrown.done().recv());
  EXPECT_FALSE(left.done().recv());
  EXPECT_THROW(thrown.join(), int);
}

const gort::context_key<int> kColour{"colour"};

GO_TEST(Task, SpawnWithAContextGivesAChildOfIt) {
  auto parent = gort::with_cancel(gort::background());
  const gort::context coloured = gort::with_value(parent, kColour, 4);
  auto t = gort::spawn(
      coloured,
      [](gort::context c, int n) {
        (void)c.done().recv();
        return n + *c.value(kColour);
      },
      10);
  t.cancel();
  EXPECT_EQ(t.join(), 14);
  EXPECT_FALSE(coloured.err()) << "only the child was cancelled";

  auto u = gort::spawn(parent, [](const gort::context& c) {
    (void)c.done().recv();
    return c.err();
  });
  parent.cancel();
  EXPECT_TRUE(u.join() == gort::errc::canceled);
}

// ---- go: captures, options, closures

GO_TEST(Go, AScopedContextArrivesAsAContext) {
  auto scoped = gort::with_cancel(gort::background());
  auto got = gort::make_chan<bool>();
  gort::go([=](auto c) { got.send(std::same_as<decltype(c), gort::context>); }, scoped);
  EXPECT_EQ(got.recv(), true);
  auto t = gort::spawn([](auto c) { return std::same_as<decltype(c), gort::context>; }, scoped);
  EXPECT_TRUE(t.join());
}

int dig(int levels) {
  volatile char room[1024];
  for (auto& c : room) c = 1;
  return levels <= 1 ? room[0] : dig(levels - 1) + room[9];
}

GO_TEST(Go, OptionsGiveANameAndAStack) {
  auto gate = gort::make_chan();
  auto depth = gort::make_chan<int>();
  const gort::go_options options{.name = "reaper", .stack = std::size_t{8} << 20};
  gort::go(
      options,
      [=](int n) {
        depth.send(dig(n));
        (void)gate.recv();
      },
      2000);
  EXPECT_EQ(depth.recv(), 2000) << "2 MiB of frames do not fit a default stack";
  settle();
  const std::string all = gort::runtime::stack(true);
  EXPECT_NE(all.find("{name: reaper}"), std::string::npos) << all;
  gate.close();
  auto t = gort::spawn({.name = "digger", .stack = std::size_t{8} << 20}, dig, 2000);
  EXPECT_EQ(t.join(), 2000);
}

GO_TEST(Go, AClosureOfAnySizeArrivesWhole) {
  auto check = [](auto size) {
    std::array<unsigned char, size> bytes;
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<unsigned char>(i * 7);
    auto t = gort::spawn([bytes] {
      std::size_t good = 0;
      for (std::size_t i = 0; i < bytes.size(); ++i)
        good += bytes[i] == static_cast<unsigned char>(i * 7) ? 1 : 0;
      return good;
    });
    EXPECT_EQ(t.join(), bytes.size());
  };
  check(std::integral_constant<std::size_t, 900>{});
  check(std::integral_constant<std::size_t, 1100>{});
  check(std::integral_constant<std::size_t, 20000>{});
}

GO_TEST(Go, AnOveralignedClosureIsAligned) {
  struct alignas(256) Wide {
    char c = 1;
  };
  auto t = gort::spawn([w = Wide{}] { return reinterpret_cast<std::uintptr_t>(&w) % 256 + w.c; });
  EXPECT_EQ(t.join(), 1u);
}

// The n-th move of a Brittle throws.
template <std::size_t bytes>
struct Brittle {
  static inline std::atomic<int> movesLeft = 0, alive = 0, ran = 0;
  Brittle() { ++alive; }
  Brittle(Brittle&&) {  // NOLINT(performance-noexcept-move-constructor): that it throws is the point
    if (movesLeft-- == 0) throw std::runtime_error("move");
    ++alive;
  }
  ~Brittle() { --alive; }
  void operator()() const { ++ran; }
  char room[bytes];
};

// alone waits until the caller is the only goroutine; one that was joined may still be on its way to its end.
bool alone() {
  for (int i = 0; i < 10000 && gort::runtime::num_goroutine() != 1; ++i) gort::sleep(1ms);
  return gort::runtime::num_goroutine() == 1;
}

template <std::size_t bytes, class Start>
void throwsAtEachMove(Start start) {
  using B = Brittle<bytes>;
  int n = 0;
  for (B::ran = 0; B::ran == 0; ++n) {
    ASSERT_LT(n, 20);
    B::movesLeft = n;
    try {
      start(B());
      EXPECT_TRUE(alone());
      EXPECT_EQ(B::ran, 1);
    } catch (const std::runtime_error&) {
      EXPECT_EQ(B::ran, 0);
    }
    EXPECT_TRUE(alone()) << "with a throw at move " << n;
    EXPECT_EQ(B::alive, 0) << "with a throw at move " << n;
  }
  EXPECT_GT(n, 1) << "it threw at least once";
}

GO_TEST(Go, AClosureWhoseMoveThrowsStartsNothingAndLosesNothing) {
  throwsAtEachMove<8>([](auto b) { gort::go(std::move(b)); });
  throwsAtEachMove<2000>([](auto b) { gort::go(std::move(b)); });
  throwsAtEachMove<9>([](auto b) { gort::spawn(std::move(b)).join(); });
  throwsAtEachMove<2001>([](auto b) { gort::spawn(std::move(b)).join(); });
  throwsAtEachMove<10>([](auto b) {
    gort::spawn(
        gort::background(), [](const gort::context&, auto f) { f(); }, std::move(b))
        .join();
  });
}

// ---- produce

GO_TEST(Produce, ClosesWhenTheFunctionReturns) {
  auto numbers = gort::produce<int>(2, [](gort::send_chan<int> out) {
    for (int i = 0; i < 5; ++i) out.send(i);
  });
  static_assert(std::same_as<decltype(numbers), gort::recv_chan<int>>);
  EXPECT_EQ(numbers.cap(), 2u);
  int sum = 0;
  for (int n : numbers) sum += n;
  EXPECT_EQ(sum, 10);
}

GO_TEST(Produce, ClosesWhenTheFunctionLeavesByGoexit) {
  auto numbers = gort::produce<int>(0, [](gort::send_chan<int> out) {
    out.send(1);
    gort::goexit();
  });
  EXPECT_EQ(numbers.recv(), 1);
  EXPECT_FALSE(numbers.recv());
}

GO_TEST(Produce, WithAContextEndsByIt) {
  auto ctx = gort::with_cancel(gort::background());
  auto numbers = gort::produce<int>(ctx, 0, [](const gort::context& c, gort::send_chan<int> out) {
    for (int i = 0;; ++i) {
      if (out.send(c, int{i}) == gort::chan_status::canceled) return;
    }
  });
  EXPECT_EQ(numbers.recv(), 0);
  EXPECT_EQ(numbers.recv(), 1);
  ctx.cancel();
  while (numbers.recv()) {  // a value may cross with the cancel, but not for ever
  }
  EXPECT_EQ(numbers.try_recv().status(), gort::chan_status::closed);
}

// ---- local

GO_TEST(Local, OneAtTheAddressOfADeadOneStartsAfresh) {
  alignas(gort::local<long>) unsigned char place[sizeof(gort::local<long>)];
  static_assert(sizeof(gort::local<long>) >= sizeof(gort::local<short>));
  auto* first = ::new (place) gort::local<long>(1);
  EXPECT_EQ(**first, 1);
  **first = 7777;
  first->~local();
  auto* second = ::new (place) gort::local<short>(short{2});
  EXPECT_EQ(**second, 2);
  second->~local();
  auto* third = ::new (place) gort::local<long>();
  EXPECT_EQ(**third, 0);
  third->~local();
}

constinit gort::local<int> staticLocal;  // needs a constexpr constructor

GO_TEST(Local, FirstUsedByManyAtOnceIsStillOneVariable) {
  gort::wait_group wg;
  std::atomic<int> wrong{0};
  for (int g = 1; g <= 50; ++g) {
    wg.go([&wrong, g] {
      *staticLocal = g;
      gort::yield();
      if (*staticLocal != g) ++wrong;
    });
  }
  wg.wait();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(*staticLocal, 0);
}

}  // namespace

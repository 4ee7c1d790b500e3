// SPDX-License-Identifier: Apache-2.0
// What belongs to a goroutine and not to its thread: C++ exceptions in flight, floating-point control words,
// goroutine-local slots. Each survives parking and a change of thread.
#include <gort/gort.hpp>
#include <gort/runtime.hpp>
#include <unistd.h>
#include <xmmintrin.h>

#include <atomic>
#include <cfenv>
#include <cmath>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "lang/chan_util.hpp"

namespace {

using namespace std::chrono_literals;

// changeThread parks until this goroutine runs on another thread than `from` (or gives up, with one processor).
bool changeThread(pid_t from) {
  for (int i = 0; i < 2000; ++i) {
    if (::gettid() != from) return true;
    gort::sleep(i % 2 == 0 ? 10us : 200us);
    gort::yield();
  }
  return false;
}

// busy keeps other goroutines moving about, so that threads do change.
class Busy {
 public:
  Busy() : was_(gort::runtime::max_procs(4)) {
    for (int i = 0; i < 6; ++i) {
      wg_.go([this] {
        while (!stop_) {
          gort::sleep(20us);
          gort::yield();
        }
      });
    }
  }
  ~Busy() {
    stop_ = true;
    wg_.wait();
    gort::runtime::max_procs(was_);
  }

 private:
  int was_;
  std::atomic<bool> stop_{false};
  gort::wait_group wg_;
};

GO_TEST(State, AnExceptionIsStillThereAfterParkingInItsCatchBlock) {
  Busy busy;
  gort::wait_group wg;
  std::atomic<int> moved{0};
  for (int g = 0; g < 8; ++g) {
    wg.go([&, g] {
      for (int i = 0; i < 20; ++i) {
        const std::string text = std::to_string(g) + "/" + std::to_string(i);
        try {
          throw std::runtime_error(text);
        } catch (const std::exception& e) {
          const auto before = ::gettid();
          if (i % 5 == 0) {
            changeThread(before);
          } else {
            gort::sleep(30us);
          }
          if (::gettid() != before) ++moved;
          EXPECT_EQ(e.what(), text);
          EXPECT_NE(std::current_exception(), nullptr);
          try {
            throw;
          } catch (const std::runtime_error& again) {
            EXPECT_EQ(again.what(), text);
          }
        }
        EXPECT_EQ(std::current_exception(), nullptr);
      }
    });
  }
  wg.wait();
  EXPECT_GT(moved, 0) << "no goroutine changed its thread: the test showed nothing";
}

GO_TEST(State, NestedExceptionsSurviveToo) {
  Busy busy;
  try {
    throw 1;
  } catch (int) {
    changeThread(::gettid());
    try {
      throw std::string("two");
    } catch (const std::string& s) {
      changeThread(::gettid());
      EXPECT_EQ(s, "two");
    }
    try {
      throw;
    } catch (int n) {
      EXPECT_EQ(n, 1);
    }
  }
  EXPECT_EQ(std::current_exception(), nullptr);
}

// A destructor that runs while an exception unwinds may park; uncaught_exceptions belongs to the goroutine.
GO_TEST(State, UncaughtExceptionsAreCountedByGoroutine) {
  struct Parks {
    ~Parks() {
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      gort::spawn([] { EXPECT_EQ(std::uncaught_exceptions(), 0); }).join();
      gort::sleep(100us);
      EXPECT_EQ(std::uncaught_exceptions(), 1);
    }
  };
  EXPECT_THROW(
      {
        Parks p;
        throw std::runtime_error("x");
      },
      std::runtime_error);
  EXPECT_EQ(std::uncaught_exceptions(), 0);
}

unsigned x87ControlWord() {
  unsigned short cw = 0;
  __asm__ volatile("fnstcw %0" : "=m"(cw));
  return cw;
}
void setX87ControlWord(unsigned short cw) { __asm__ volatile("fldcw %0" : : "m"(cw)); }

constexpr unsigned kFlushToZero = 0x8000, kRoundMask = 0x6000;

GO_TEST(State, RoundingModeBelongsToTheGoroutine) {
  Busy busy;
  gort::wait_group wg;
  std::atomic<int> moved{0};
  for (const int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO, FE_TONEAREST, FE_UPWARD, FE_DOWNWARD}) {
    wg.go([&, mode] {
      ASSERT_EQ(std::fesetround(mode), 0);
      for (int i = 0; i < 50; ++i) {
        const auto before = ::gettid();
        if (i % 10 == 0) changeThread(before);
        gort::sleep(20us);
        if (::gettid() != before) ++moved;
        ASSERT_EQ(std::fegetround(), mode);
      }
    });
  }
  wg.wait();
  EXPECT_GT(moved, 0);
  EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

GO_TEST(State, FlushToZeroAndX87PrecisionBelongToTheGoroutine) {
  Busy busy;
  gort::wait_group wg;
  wg.go([] {
    _mm_setcsr(_mm_getcsr() | kFlushToZero);
    const unsigned single = x87ControlWord() & ~0x300U;  // 24 bits of precision
    setX87ControlWord(static_cast<unsigned short>(single));
    for (int i = 0; i < 20; ++i) {
      changeThread(::gettid());
      ASSERT_NE(_mm_getcsr() & kFlushToZero, 0U);
      ASSERT_EQ(x87ControlWord(), single);
      volatile float tiny = 1e-38F;
      ASSERT_EQ(tiny * 0.001F, 0.0F) << "denormals are flushed";
    }
  });
  wg.go([] {
    for (int i = 0; i < 20; ++i) {
      changeThread(::gettid());
      ASSERT_EQ(_mm_getcsr() & (kFlushToZero | kRoundMask), 0U);
      ASSERT_EQ(x87ControlWord() & 0x300U, 0x300U);
      volatile float tiny = 1e-38F;
      ASSERT_NE(tiny * 0.001F, 0.0F);
    }
  });
}

GO_TEST(State, NewGoroutinesStartWithDefaultControlWords) {
  ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
  gort::spawn([] { EXPECT_EQ(std::fegetround(), FE_TONEAREST); }).join();
  EXPECT_EQ(std::fegetround(), FE_UPWARD);
  ASSERT_EQ(std::fesetround(FE_TONEAREST), 0);
  // ... even on a stack whose last user left others behind
  for (int i = 0; i < 10; ++i) gort::spawn([] { std::fesetround(FE_DOWNWARD); }).join();
  gort::spawn([] { EXPECT_EQ(std::fegetround(), FE_TONEAREST); }).join();
}

gort::local<int> number{41};
gort::local<std::string> text;
std::atomic<int> alive{0};
struct Counted {
  Counted() { ++alive; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --alive; }
  int v = 0;
};
gort::local<Counted> counted;

GO_TEST(Local, EachGoroutineHasItsOwn) {
  Busy busy;
  *text = "main";
  gort::wait_group wg;
  for (int g = 0; g < 20; ++g) {
    wg.go([g] {
      EXPECT_EQ(*number, 41);
      EXPECT_EQ(*text, "");
      *number = g;
      *text = std::to_string(g);
      changeThread(::gettid());
      EXPECT_EQ(*number, g);
      EXPECT_EQ(*text, std::to_string(g));
    });
  }
  wg.wait();
  EXPECT_EQ(*text, "main");
}

GO_TEST(Local, IsDestroyedHoweverTheGoroutineEnds) {
  auto use = [] { counted->v = 1; };
  gort::spawn(use).join();
  EXPECT_EQ(alive, 0);
  auto end = gort::make_chan();
  gort::go([=] {
    gort::defer d{[=] { end.close(); }};
    use();
    gort::goexit();
  });
  (void)end.recv();
  EXPECT_TRUE(chantest::eventually([] { return alive == 0; }));
  EXPECT_EQ(chantest::panicOf([&] {
              gort::spawn([&] {
                use();
                gort::panic("out");
              }).join();
            }).substr(0, 3),
            "out");
  EXPECT_EQ(alive, 0);
}

GO_TEST(Local, IsDestroyedBeforeWhoeverWaitsForTheGoroutineGoesOn) {
  auto use = [] { counted->v = 1; };
  for (int i = 0; i < 200; ++i) {
    gort::spawn(use).join();
    ASSERT_EQ(alive, 0) << "join";
    {
      gort::wait_group wg;
      wg.go(use);
    }
    ASSERT_EQ(alive, 0) << "wait_group";
    gort::errgroup all;
    all.go(use);
    EXPECT_FALSE(all.wait());
    ASSERT_EQ(alive, 0) << "errgroup";
  }
}

struct UsesALocalAtItsEnd {
  UsesALocalAtItsEnd() = default;
  UsesALocalAtItsEnd(UsesALocalAtItsEnd&&) noexcept {}
  ~UsesALocalAtItsEnd() { counted->v = 2; }
  void operator()() const { counted->v = 1; }
};

GO_TEST(Local, MadeByADestructorOfTheClosureIsDestroyedToo) {
  gort::go(UsesALocalAtItsEnd{});
  gort::go([u = UsesALocalAtItsEnd{}] { gort::goexit(); });
  gort::detail::destroy_locals();  // those of the temporaries above, which were made here
  EXPECT_TRUE(chantest::eventually([] { return alive == 0; }));
}

}  // namespace

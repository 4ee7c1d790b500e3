// SPDX-License-Identifier: Apache-2.0
// defer, panic, recover, goexit as the Go specification has them ("Defer statements", "Handling panics"), and
// what C++ adds: destructors, exceptions, catch. Origins of ideas: Go test/defer.go, recover.go,
// recover1-4.go, deferprint.go, runtime/crash_test.go, runtime/defer_test.go.
#include <gort/gort.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using gort::panic_info;

// Runs body as a goroutine of its own and waits for its end, however it ends.
template <class F>
void onGoroutine(F body) {
  gort::run([&] {
    gort::wait_group wg;
    wg.add(1);
    gort::go([&] {
      gort::defer d{[&] { wg.done(); }};
      body();
    });
    wg.wait();
  });
}

// A log of what ran in which order.
struct Log {
  std::string text;
  void operator()(const char* s) { text += s; }
};
struct Noisy {
  Log& log;
  const char* name;
  ~Noisy() { log(name); }
};

std::string recoveredText(void (*f)()) {
  std::string text;
  gort::func([&](auto& fn) {
    fn.recover([&](const panic_info& p) { text = p.message(); });
    f();
  });
  return text;
}

TEST(Defer, RunsAtTheEndOfTheBlockLastInFirstOut) {
  onGoroutine([] {
    Log log;
    {
      gort::defer a{[&] { log("a"); }};
      gort::defer b{[&] { log("b"); }};
      log("-");
    }
    EXPECT_EQ(log.text, "-ba");
  });
}

TEST(Defer, RunsWhenAnExceptionPasses) {
  onGoroutine([] {
    Log log;
    try {
      gort::defer a{[&] { log("a"); }};
      throw 1;
    } catch (int) {
      log("c");
    }
    EXPECT_EQ(log.text, "ac");
  });
}

TEST(Defer, OfAFrameMayStandInALoop) {
  onGoroutine([] {
    std::string s;
    gort::func([&](auto& fn) {
      for (char c = 'a'; c < 'a' + 26; ++c) fn.defer([&s, c] { s += c; });
    });
    EXPECT_EQ(s, "zyxwvutsrqponmlkjihgfedcba");
  });
}

TEST(Defer, OfAFrameRunsAfterTheBodysOwnDefers) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto& fn) {
      fn.defer([&] { log("1"); });
      gort::defer d{[&] { log("2"); }};
      fn.defer([&] { log("3"); });
    });
    EXPECT_EQ(log.text, "231");
    log.text.clear();
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info&) { log("r"); });
      fn.defer([&] { log("1"); });
      gort::defer d{[&] { log("2"); }};
      fn.defer([&] { log("3"); });
      gort::panic("x");
    });
    EXPECT_EQ(log.text, "231r");
  });
}

TEST(Defer, ClosuresAreDestroyedOnceWhetherTheyRanOrNot) {
  onGoroutine([] {
    auto token = std::make_shared<int>(0);
    gort::func([&](auto& fn) {
      fn.defer([token] {});
      fn.recover([token](const panic_info&) {});
      struct Big {
        std::shared_ptr<int> t;
        char room[400];
      } big{token, {}};
      fn.defer([big] { (void)big; });
      EXPECT_GE(token.use_count(), 4);
    });
    EXPECT_EQ(token.use_count(), 1);
    gort::func([&](auto& fn) {
      fn.recover([token](const panic_info&) {});
      fn.defer([token] {});
      gort::panic("x");
    });
    EXPECT_EQ(token.use_count(), 1);
  });
}

TEST(Panic, RunsDeferredFunctionsBeforeAnyDestructor) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info&) { log("R"); });
      Noisy outer{log, "o"};
      gort::defer d{[&] { log("d"); }};
      Noisy inner{log, "i"};
      gort::panic("x");
    });
    EXPECT_EQ(log.text, "dRio");
  });
}

TEST(Panic, RecoveredValueIsTheFunctionsResult) {
  onGoroutine([] {
    const int v = gort::func<int>([](auto& fn) {
      fn.recover([](const panic_info&) { return -1; });
      if (true) gort::panic("x");
      return 1;
    });
    EXPECT_EQ(v, -1);
    const int w = gort::func<int>([](auto& fn) {
      fn.recover([](const panic_info&) {});
      if (true) gort::panic("x");
      return 1;
    });
    EXPECT_EQ(w, 0);
    const auto p = gort::func<std::unique_ptr<int>>([](auto& fn) {
      fn.recover([](const panic_info&) { return std::make_unique<int>(5); });
      return std::make_unique<int>(4);
    });
    EXPECT_EQ(*p, 4);
  });
}

TEST(Panic, RemainingDefersRunAfterRecovery) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto& fn) {
      fn.defer([&] { log("1"); });
      fn.recover([&](const panic_info&) { log("R"); });
      fn.defer([&] { log("2"); });
      Noisy n{log, "n"};
      gort::panic("x");
    });
    EXPECT_EQ(log.text, "2Rn1");
  });
}

TEST(Panic, InnermostHandlerWins) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto& outer) {
      outer.recover([&](const panic_info&) { log("o"); });
      gort::func([&](auto& inner) {
        inner.recover([&](const panic_info&) { log("i"); });
        gort::panic("x");
      });
      log("-");
    });
    EXPECT_EQ(log.text, "i-");
  });
}

TEST(Panic, PassesFramesThatOnlyDefer) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto& outer) {
      outer.recover([&](const panic_info& p) { log(p.message().c_str()); });
      gort::func([&](auto& inner) {
        inner.defer([&] { log("d"); });
        Noisy n{log, "n"};
        gort::panic("x");
      });
      log("never");
    });
    EXPECT_EQ(log.text, "dxn");
  });
}

TEST(Panic, InADeferredFunctionReplacesTheFirst) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) { log(p.message().c_str()); });
      fn.defer([] { gort::panic("second"); });
      gort::panic("first");
    });
    EXPECT_EQ(log.text, "second");
    EXPECT_EQ(recoveredText([] { gort::panic("again"); }), "again");
  });
}

TEST(Panic, RecoveredInsideADeferredFunctionLetsTheFirstGoOn) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) { log(p.message().c_str()); });
      fn.defer([&] {
        gort::func([&](auto& in) {
          in.recover([&](const panic_info& p) { log(p.message().c_str()); });
          gort::panic("inner ");
        });
      });
      gort::panic("first");
    });
    EXPECT_EQ(log.text, "inner first");
  });
}

TEST(Panic, InAHandlerGoesToTheNextHandlerOfTheSameFrame) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) { log(p.message().c_str()); });
      fn.recover([&](const panic_info& p) {
        log(p.message().c_str());
        gort::panic("b");
      });
      gort::panic("a");
    });
    EXPECT_EQ(log.text, "ab");
  });
}

TEST(Panic, RepanicKeepsTheValue) {
  onGoroutine([] {
    int seen = 0;
    gort::func([&](auto& outer) {
      outer.recover([&](const panic_info& p) {
        ASSERT_NE(p.value<int>(), nullptr);
        seen = *p.value<int>();
      });
      gort::func([&](auto& inner) {
        inner.recover([&](const panic_info& p) { p.repanic(); });
        gort::panic(42);
      });
    });
    EXPECT_EQ(seen, 42);
  });
}

TEST(Panic, WorksThroughManyNestedFrames) {
  onGoroutine([] {
    struct Rec {
      static void down(int n, int& count) {
        gort::func([&](auto& fn) {
          fn.defer([&] { ++count; });
          if (n == 0) gort::panic("bottom");
          down(n - 1, count);
        });
      }
    };
    int count = 0;
    std::string text;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) { text = p.message(); });
      Rec::down(50, count);
    });
    EXPECT_EQ(count, 51);
    EXPECT_EQ(text, "bottom");
  });
}

TEST(Panic, ValuesKeepTheirTypeAndIdentity) {
  onGoroutine([] {
    struct Ticket {
      std::string id;
      std::unique_ptr<int> n;
    };
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) {
        ASSERT_NE(p.value<Ticket>(), nullptr);
        EXPECT_EQ(p.value<Ticket>()->id, "t");
        EXPECT_EQ(*p.value<Ticket>()->n, 7);
        EXPECT_EQ(p.value<int>(), nullptr);
        EXPECT_FALSE(p.runtime_error());
        EXPECT_FALSE(p.goexit());
        EXPECT_EQ(p.exception(), nullptr);
      });
      gort::panic(Ticket{"t", std::make_unique<int>(7)});
    });
  });
}

TEST(Panic, TextsOfValues) {
  onGoroutine([] {
    EXPECT_EQ(recoveredText([] { gort::panic(42); }), "42");
    EXPECT_EQ(recoveredText([] { gort::panic(-1.5); }), "-1.500000e+000");
    EXPECT_EQ(recoveredText([] { gort::panic(1e100); }), "+1.000000e+100");
    EXPECT_EQ(recoveredText([] { gort::panic(0.25f); }), "+2.500000e-001");
    EXPECT_EQ(recoveredText([] { gort::panic(false); }), "false");
    EXPECT_EQ(recoveredText([] { gort::panic(std::string("s") + "t"); }), "st");
    EXPECT_EQ(recoveredText([] { gort::panic(gort::error(gort::errc::eof).wrap("read")); }), "read: EOF");
    EXPECT_EQ(recoveredText([] { gort::panic(std::runtime_error("as value")); }), "as value");
  });
}

TEST(Panic, NilSaysSo) {
  onGoroutine([] {
    const std::string text = "panic called with nil argument (use GODEBUG=panicnil=1 to disable)";
    EXPECT_EQ(recoveredText([] { gort::panic(nullptr); }), text);
    EXPECT_EQ(recoveredText([] { gort::panic(gort::error()); }), text);
  });
}

TEST(Panic, InfoKnowsErrorPlaceAndStack) {
  onGoroutine([] {
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) {
        EXPECT_EQ(p.as_error(), gort::errc::closed);
        EXPECT_NE(std::string_view(p.where().file).find("defer_test.cpp"), std::string_view::npos);
        EXPECT_NE(p.stack().find("goroutine "), std::string::npos);
        EXPECT_NE(p.stack().find("defer_test.cpp:"), std::string::npos);
      });
      gort::panic(gort::error(gort::errc::closed));
    });
  });
}

TEST(Panic, RuntimePanicsAreRuntimeErrors) {
  onGoroutine([] {
    bool is = false;
    std::string text;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) {
        is = p.runtime_error();
        text = p.message();
      });
      auto c = gort::make_chan<int>();
      c.close();
      c.close();
    });
    EXPECT_TRUE(is);
    EXPECT_EQ(text, "close of closed channel");
  });
}

TEST(Panic, GoroutinesKeepTheirPanicsApart) {
  gort::run([] {
    gort::wait_group wg;
    int sum = 0;
    gort::mutex mu;
    for (int i = 0; i < 100; ++i) {
      wg.go([&, i] {
        gort::func([&](auto& fn) {
          fn.recover([&](const panic_info& p) {
            gort::yield();
            const std::lock_guard l(mu);
            sum += *p.value<int>();
          });
          gort::defer d{[] { gort::yield(); }};
          gort::panic(i);
        });
      });
    }
    wg.wait();
    EXPECT_EQ(sum, 4950);
  });
}

TEST(Panic, FromAForeignThreadIsRecoveredThere) {
  std::string text;
  gort::func([&](auto& fn) {
    fn.recover([&](const panic_info& p) { text = p.message(); });
    gort::panic("foreign");
  });
  EXPECT_EQ(text, "foreign");
}

// ---- recover()

TEST(Recover, IsNullWhenNotPanicking) {
  onGoroutine([] {
    EXPECT_EQ(gort::recover(), nullptr);
    const panic_info* seen = reinterpret_cast<const panic_info*>(1);
    {
      gort::defer d{[&] { seen = gort::recover(); }};
    }
    EXPECT_EQ(seen, nullptr);
  });
}

TEST(Recover, InABlocksDeferStopsAtTheEnclosingFunc) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto&) {
      Noisy n{log, "n"};
      {
        gort::defer d{[&] {
          if (const panic_info* p = gort::recover()) log(p->message().c_str());
        }};
        gort::panic("x");
      }
    });
    EXPECT_EQ(log.text, "xn");
  });
}

TEST(Recover, InAFramesDeferIsGosIdiom) {
  onGoroutine([] {
    std::string text;
    gort::func([&](auto& fn) {
      fn.defer([&] {
        if (const panic_info* p = gort::recover()) text = p->message();
        EXPECT_EQ(gort::recover(), nullptr) << "a second time";
      });
      gort::panic("x");
    });
    EXPECT_EQ(text, "x");
  });
}

[[gnu::noinline]] const panic_info* helper2() {
  const panic_info* p = gort::recover();
  asm volatile("");
  return p;
}
[[gnu::noinline]] const panic_info* helper() {
  const panic_info* p = helper2();
  asm volatile("");
  return p;
}

TEST(Recover, CalledByAHelperOfTheDeferredFunctionIsNull) {
  onGoroutine([] {
    const panic_info* seen = nullptr;
    std::string text;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) { text = p.message(); });
      gort::defer d{[&] { seen = helper(); }};
      gort::panic("x");
    });
    EXPECT_EQ(seen, nullptr);
    EXPECT_EQ(text, "x");
  });
}

TEST(Recover, InADeferOfANestedCallOfADeferredFunctionIsNull) {
  onGoroutine([] {
    const panic_info* seen = reinterpret_cast<const panic_info*>(1);
    std::string text;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) { text = p.message(); });
      fn.defer([&] { gort::func([&](auto& in) { in.defer([&] { seen = gort::recover(); }); }); });
      gort::panic("x");
    });
    EXPECT_EQ(seen, nullptr);
    EXPECT_EQ(text, "x");
  });
}

// ---- goexit

TEST(Goexit, RunsDefersThenDestructorsAndEndsTheGoroutine) {
  Log log;
  onGoroutine([&] {
    Noisy n{log, "n"};
    gort::defer d{[&] { log("d"); }};
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info&) { log("never"); });
      fn.defer([&] { log("f"); });
      Noisy m{log, "m"};
      gort::goexit();
    });
    log("never");
  });
  // onGoroutine's own defer has run before the destructors, so the end may come while they run
  EXPECT_EQ(log.text.substr(0, 2), "fd");
}

TEST(Goexit, GoesOnAfterAPanicInADeferredFunctionIsRecovered) {
  gort::run([] {
    Log log;
    auto done = gort::make_chan<>();
    gort::go([&] {
      auto closing = done.close_on_exit();
      gort::func([&](auto& fn) {
        fn.recover([&](const panic_info& p) {
          log(p.message().c_str());
          if (p.goexit()) log(" in goexit;");
        });
        gort::func([&](auto& in) {
          in.defer([] { gort::panic("x"); });
          gort::goexit();
        });
      });
      log("never");
    });
    (void)done.recv();
    EXPECT_EQ(log.text, "x in goexit;");
  });
}

// ---- C++

TEST(Exceptions, ReachTheHandlersOfAFunc) {
  onGoroutine([] {
    Log log;
    const int v = gort::func<int>([&](auto& fn) -> int {
      fn.defer([&] { log("1"); });
      fn.recover([&](const panic_info& p) {
        EXPECT_NE(p.exception(), nullptr);
        log(p.message().c_str());
        return 3;
      });
      fn.defer([&] { log("2"); });
      throw std::runtime_error("x");
    });
    EXPECT_EQ(v, 3);
    EXPECT_EQ(log.text, "2x1");
  });
}

TEST(Exceptions, PassAFuncWithoutHandlerAfterItsDefers) {
  onGoroutine([] {
    Log log;
    try {
      gort::func([&](auto& fn) {
        fn.defer([&] { log("d"); });
        throw std::runtime_error("x");
      });
    } catch (const std::runtime_error& e) {
      log(e.what());
    }
    EXPECT_EQ(log.text, "dx");
  });
}

TEST(Exceptions, FromAHandlerReplaceThePanic) {
  onGoroutine([] {
    std::string text;
    try {
      gort::func([&](auto& fn) {
        fn.recover([&](const panic_info&) { throw std::runtime_error("instead"); });
        gort::panic("x");
      });
    } catch (const std::runtime_error& e) {
      text = e.what();
    }
    EXPECT_EQ(text, "instead");
    EXPECT_EQ(recoveredText([] { gort::panic("later"); }), "later");
  });
}

TEST(Exceptions, FromADeferredFunctionReplaceThePanic) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) { log(p.message().c_str()); });
      gort::func([&](auto& in) {
        in.defer([&] { log("d"); });
        in.defer([] { throw std::runtime_error("x"); });
        gort::panic("first");
      });
    });
    EXPECT_EQ(log.text, "dx");
  });
}

TEST(Exceptions, RepanicRethrows) {
  onGoroutine([] {
    EXPECT_THROW(gort::func([](auto& fn) {
                   fn.recover([](const panic_info& p) { p.repanic(); });
                   throw std::out_of_range("x");
                 }),
                 std::out_of_range);
  });
}

TEST(Unwind, DestructorsSeeAnUncaughtException) {
  onGoroutine([] {
    struct Guard {
      int& seen;
      ~Guard() { seen = std::uncaught_exceptions(); }
    };
    int seen = -1;
    gort::func([&](auto& fn) {
      fn.recover([](const panic_info&) {});
      Guard g{seen};
      gort::panic("x");
    });
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
  });
}

TEST(Unwind, ADestructorMayThrowAndCatchInside) {
  onGoroutine([] {
    struct Busy {
      Log& log;
      ~Busy() {
        try {
          throw 1;
        } catch (int) {
          log("caught ");
        }
        gort::func([&](auto& fn) {
          fn.recover([&](const panic_info& p) { log(p.message().c_str()); });
          gort::panic("in destructor");
        });
      }
    };
    Log log;
    gort::func([&](auto& fn) {
      fn.recover([](const panic_info&) {});
      Busy b{log};
      gort::panic("x");
    });
    EXPECT_EQ(log.text, "caught in destructor");
  });
}

TEST(Unwind, CatchAllThatRethrowsIsPassed) {
  onGoroutine([] {
    Log log;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info&) { log("R"); });
      try {
        try {
          throw 1;
        } catch (int) {
          try {
            gort::panic("x");
          } catch (...) {
            log("i");
            throw;
          }
        }
      } catch (const gort::panic_unwind&) {
        log("o");
        throw;
      }
    });
    EXPECT_EQ(log.text, "Rio");
  });
}

TEST(Unwind, ParkingInACatchBlockAndInDestructorsKeepsTheException) {
  gort::run([] {
    gort::wait_group wg;
    int good = 0;
    gort::mutex mu;
    for (int i = 0; i < 50; ++i) {
      wg.go([&, i] {
        struct Parks {
          ~Parks() { gort::yield(); }
        };
        std::string text;
        gort::func([&](auto& fn) {
          fn.recover([&](const panic_info& p) {
            gort::yield();
            text = p.message();
          });
          try {
            throw std::runtime_error(std::to_string(i));
          } catch (const std::exception& e) {
            gort::yield();
            Parks p;
            gort::panic(std::string(e.what()) + "!");
          }
        });
        const std::lock_guard l(mu);
        good += text == std::to_string(i) + "!";
      });
    }
    wg.wait();
    EXPECT_EQ(good, 50);
  });
}

TEST(Unwind, BadAllocAndFriendsAreOrdinaryExceptions) {
  onGoroutine([] {
    std::string text;
    gort::func([&](auto& fn) {
      fn.recover([&](const panic_info& p) {
        try {
          std::rethrow_exception(p.exception());
        } catch (const std::bad_alloc&) {
          text = "bad_alloc";
        }
      });
      throw std::bad_alloc();
    });
    EXPECT_EQ(text, "bad_alloc");
  });
}

TEST(Frame, TakesNoCallsOnceItHasBegunToEnd) {
  onGoroutine([] {
    const std::string text =
        "gort::func: defer or recover on a frame that has begun to end, or from another goroutine";
    EXPECT_EQ(recoveredText([] { gort::func([](auto& fn) { fn.defer([&fn] { fn.defer([] {}); }); }); }),
              text);
  });
}

// ---- catch_panic

TEST(CatchPanic, TurnsPanicsAndExceptionsIntoErrors) {
  onGoroutine([] {
    EXPECT_FALSE(gort::catch_panic([] {}));
    EXPECT_EQ(gort::catch_panic([] { gort::panic("p"); }).message(), "p");
    EXPECT_EQ(gort::catch_panic([] { gort::panic(gort::error(gort::errc::eof)); }), gort::errc::eof);
    EXPECT_EQ(gort::catch_panic([] { throw std::runtime_error("x"); }).message(), "x");
    EXPECT_EQ(gort::catch_panic([] { gort::error(gort::errc::closed).raise(); }), gort::errc::closed);
    const gort::result<int> good = gort::catch_panic([] { return 5; });
    ASSERT_TRUE(good);
    EXPECT_EQ(*good, 5);
    const gort::result<int> bad = gort::catch_panic([]() -> int { gort::panic(1); });
    ASSERT_FALSE(bad);
    EXPECT_EQ(bad.error().message(), "1");
    const gort::result<int> flat = gort::catch_panic([]() -> gort::result<int> { return gort::errc::eof; });
    EXPECT_EQ(flat.error(), gort::errc::eof);
    EXPECT_EQ(gort::catch_panic([] { return gort::error(gort::errc::eof); }), gort::errc::eof);
  });
}

TEST(CatchPanic, ReadingAFailedResultPanics) {
  onGoroutine([] {
    const gort::error e = gort::catch_panic([] {
      gort::result<int> r = gort::errc::eof;
      (void)*r;
    });
    EXPECT_EQ(e.message(), "gort: value of a result that holds an error: EOF");
  });
}

}  // namespace

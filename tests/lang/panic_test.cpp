// SPDX-License-Identifier: Apache-2.0
// The language-independent half of panic, and the words of reports: src/lang/panic.hpp,
// src/sched/panic_print.hpp, src/sched/funcname.hpp.
#include "lang/panic.hpp"

#include <gort/gort.hpp>
#include <gtest/gtest.h>

#include <cstdio>
#include <limits>
#include <string>

#include "base/print.hpp"
#include "sched/funcname.hpp"
#include "sched/panic_print.hpp"
#include "sched/proc.hpp"

namespace {

namespace rt = gort::rt;

void append(void* s, const char* data, std::size_t n) { static_cast<std::string*>(s)->append(data, n); }

std::string floatText(double v) {
  std::string s;
  {
    rt::Printer w(append, &s);
    rt::printfloat(w, v);
  }
  return s;
}

std::string name(const char* symbol) {
  char buf[400];
  rt::funcName(symbol, buf, sizeof buf);
  return buf;
}

TEST(PrintFloat, IsGosForm) {
  // Origin: Go runtime/print.go, printfloat.
  EXPECT_EQ(floatText(0), "+0.000000e+000");
  EXPECT_EQ(floatText(1.5), "+1.500000e+000");
  EXPECT_EQ(floatText(-2.5e-10), "-2.500000e-010");
  EXPECT_EQ(floatText(9.9999999), "+1.000000e+001");
  EXPECT_EQ(floatText(1e308), "+1.000000e+308");
  EXPECT_EQ(floatText(std::numeric_limits<double>::infinity()), "+Inf");
  EXPECT_EQ(floatText(-std::numeric_limits<double>::infinity()), "-Inf");
  EXPECT_EQ(floatText(std::numeric_limits<double>::quiet_NaN()), "NaN");
}

TEST(FuncName, KeepsScopesAndDropsParameters) {
  EXPECT_EQ(name("main"), "main");
  EXPECT_EQ(name("_ZNK3app4work3runEi"), "app::work::run");
  EXPECT_EQ(name("_ZZ4mainENKUlvE_clEv"), "main::{lambda#1}");
  EXPECT_EQ(name("_Z"), "_Z");
}

TEST(FuncName, LeavesOutTheInlineNamespace) {
  EXPECT_EQ(name("_ZN4gort2v14chanIiE4sendEi"), "gort::chan<int>::send");
  EXPECT_EQ(name("_ZN4gort2rt7gopanicERNS0_5PanicE"), "gort::rt::gopanic");
}

TEST(FuncName, StaysInsideTheBuffer) {
  char buf[8];
  for (char& c : buf) c = 'x';
  EXPECT_LT(rt::funcName("_ZN3app4work3runEv", buf, 6), 6u);
  EXPECT_EQ(buf[6], 'x');
}

TEST(TypeName, ReadsTypeInfoNames) {
  char buf[100];
  rt::typeName("i", buf, sizeof buf);
  EXPECT_STREQ(buf, "int");
  rt::typeName("St13runtime_error", buf, sizeof buf);
  EXPECT_STREQ(buf, "std::runtime_error");
  rt::typeName("N3app4workE", buf, sizeof buf);
  EXPECT_STREQ(buf, "app::work");
}

TEST(PrintIndented, IndentsWhatFollowsANewline) {
  std::string s;
  {
    rt::Printer w(append, &s);
    rt::printindented(w, "a\nb\n", 4);
  }
  EXPECT_EQ(s, "a\n\tb\n\t");
}

TEST(Chain, IsEmptyAfterEveryKindOfEnd) {
  gort::run([] {
    rt::G* gp = rt::getg();
    const auto clean = [&] { return gp->defer_ == nullptr && gp->panic_ == nullptr; };
    EXPECT_TRUE(clean());
    gort::func([](auto& fn) { fn.defer([] {}); });
    EXPECT_TRUE(clean());
    gort::func([](auto& fn) {
      fn.recover([](const gort::panic_info&) {});
      gort::defer d{[] {}};
      gort::panic("x");
    });
    EXPECT_TRUE(clean());
    gort::func([](auto& fn) {
      fn.recover([](const gort::panic_info&) {});
      fn.defer([] { gort::panic("y"); });
      gort::func([](auto& in) {
        in.recover([](const gort::panic_info& p) { p.repanic(); });
        throw 1;
      });
    });
    EXPECT_TRUE(clean());
    try {
      gort::func([](auto& fn) {
        fn.defer([] {});
        throw 1;
      });
    } catch (int) {
    }
    EXPECT_TRUE(clean());
  });
}

TEST(Chain, RuntimePanicsOfTheCoreAreRecovered) {
  gort::run([] {
    bool runtimeError = false;
    std::string text;
    gort::func([&](auto& fn) {
      fn.recover([&](const gort::panic_info& p) {
        runtimeError = p.runtime_error();
        text = p.message();
      });
      rt::panicText("send on closed channel");
    });
    EXPECT_TRUE(runtimeError);
    EXPECT_EQ(text, "send on closed channel");
    gort::func([&](auto& fn) {
      fn.recover([&](const gort::panic_info& p) { runtimeError = p.runtime_error(); });
      rt::panicString("sync: negative WaitGroup counter");
    });
    EXPECT_FALSE(runtimeError);
  });
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// gort::error and result<T>. Origins of ideas: Go errors/wrap_test.go, join_test.go, context (Canceled,
// DeadlineExceeded).
#include <gort/error.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace {

using gort::errc;
using gort::error;
using gort::result;

struct IoError {
  std::size_t transferred;
  std::string message() const { return "wrote " + std::to_string(transferred); }
};

TEST(Error, DefaultIsNil) {
  const error e;
  EXPECT_FALSE(e);
  EXPECT_EQ(e.message(), "");
  EXPECT_EQ(e.code(), std::error_code());
  EXPECT_FALSE(e.unwrap());
  EXPECT_FALSE(e.timeout());
  EXPECT_TRUE(e.is(error()));
  EXPECT_FALSE(e.is(error(errc::eof)));
  EXPECT_EQ(e.as<int>(), nullptr);
}

TEST(Error, FromACodeComparesWithIt) {
  const error e = errc::canceled;
  EXPECT_TRUE(e);
  EXPECT_EQ(e, errc::canceled);
  EXPECT_NE(e, errc::eof);
  EXPECT_EQ(e, std::errc::operation_canceled);
  EXPECT_EQ(e.message(), "context canceled");
  const error sys(std::make_error_code(std::errc::connection_refused));
  EXPECT_EQ(sys, std::errc::connection_refused);
  EXPECT_FALSE(error(std::error_code()));
}

TEST(Error, TimeOutsEqualTimedOut) {
  EXPECT_EQ(error(errc::deadline_exceeded), std::errc::timed_out);
  EXPECT_TRUE(error(errc::deadline_exceeded).timeout());
  EXPECT_TRUE(error(std::make_error_code(std::errc::timed_out)).wrap("read").timeout());
  EXPECT_FALSE(error(errc::canceled).timeout());
  EXPECT_EQ(error(errc::deadline_exceeded).message(), "context deadline exceeded");
}

TEST(Error, TextHasACodeThatEqualsNothingElse) {
  const error e("lost");
  EXPECT_EQ(e.message(), "lost");
  EXPECT_TRUE(e.code());
  EXPECT_NE(e, errc::eof);
  EXPECT_NE(e, std::errc::timed_out);
}

TEST(Error, WrapAddsWordsAndKeepsWhatIsInside) {
  const error inner = errc::eof;
  const error outer = inner.wrap("read header").wrap("open");
  EXPECT_EQ(outer.message(), "open: read header: EOF");
  EXPECT_EQ(outer, errc::eof);
  EXPECT_TRUE(outer.is(inner));
  EXPECT_TRUE(outer.is(errc::eof));
  EXPECT_FALSE(outer.is(errc::closed));
  EXPECT_EQ(outer.unwrap().message(), "read header: EOF");
  EXPECT_EQ(outer.unwrap().unwrap(), errc::eof);
  EXPECT_FALSE(outer.unwrap().unwrap().unwrap());
  EXPECT_FALSE(error().wrap("nothing"));
}

TEST(Error, TextsAreEqualOnlyToThemselves) {
  const error a("x"), b("x");
  EXPECT_FALSE(a.is(b));
  EXPECT_TRUE(a.wrap("w").is(a));
}

TEST(Error, PayloadIsFoundThroughWrapping) {
  const error e = error::of(IoError{17}).wrap("send");
  EXPECT_EQ(e.message(), "send: wrote 17");
  ASSERT_NE(e.as<IoError>(), nullptr);
  EXPECT_EQ(e.as<IoError>()->transferred, 17u);
  EXPECT_EQ(e.as<int>(), nullptr);
}

TEST(Error, PayloadIsDestroyedWithTheLastOwner) {
  auto token = std::make_shared<int>(1);
  {
    error a = error::of(token);
    error b = a.wrap("w");
    a = error();
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Error, AValueIsAddedWithoutWords) {
  struct Mark {
    int n;
  };
  const error plain = error(errc::eof).wrap("read");
  const error e = plain.with(Mark{7});
  ASSERT_NE(e.as<Mark>(), nullptr);
  EXPECT_EQ(e.as<Mark>()->n, 7);
  EXPECT_EQ(plain.as<Mark>(), nullptr) << "errors do not change";
  EXPECT_EQ(e.message(), "read: EOF");
  EXPECT_EQ(e, errc::eof);
  EXPECT_TRUE(e.is(plain));
  EXPECT_EQ(e.unwrap().message(), "EOF");
  EXPECT_FALSE(e.unwrap().unwrap());
  EXPECT_TRUE(error(errc::io_timeout).with(Mark{1}).timeout());
  const error outer = e.wrap("outer").with(Mark{8});
  EXPECT_EQ(outer.as<Mark>()->n, 8) << "the outer one is found first";
  EXPECT_EQ(outer.unwrap().as<Mark>()->n, 7);
  EXPECT_EQ(outer.message(), "outer: read: EOF");
  EXPECT_FALSE(error().with(Mark{1})) << "nil stays nil";
}

TEST(Error, JoinHoldsBoth) {
  const error e = join(error("a"), error(errc::eof).wrap("b"));
  EXPECT_EQ(e.message(), "a\nb: EOF");
  EXPECT_TRUE(e.is(errc::eof));
  EXPECT_EQ(e, errc::eof);
  EXPECT_FALSE(e.unwrap());
  EXPECT_EQ(join(error(), error("x")).message(), "x");
  EXPECT_FALSE(join(error(), error()));
}

TEST(Error, LongChainsAreReleasedWithoutRecursion) {
  error e("x");
  for (int i = 0; i < 200000; ++i) e = e.wrap("");
  e = error();
  EXPECT_FALSE(e);
}

TEST(Error, IsSharedByThreads) {
  error e = error("shared").wrap("by");
  std::vector<std::thread> ts;
  for (int i = 0; i < 4; ++i) {
    ts.emplace_back([copy = e] {
      for (int k = 0; k < 1000; ++k) {
        error mine = copy;
        EXPECT_EQ(mine.unwrap().message(), "shared");
      }
    });
  }
  for (auto& t : ts) t.join();
}

TEST(Error, RaiseThrowsAnExceptionThatKnowsTheError) {
  try {
    error(errc::closed).wrap("write").raise();
  } catch (const gort::error_exception& x) {
    EXPECT_EQ(x.why(), errc::closed);
    EXPECT_STREQ(x.what(), "write: use of closed object");
    EXPECT_EQ(x.code(), errc::closed);
  }
  EXPECT_THROW(error("x").raise(), std::system_error);
}

TEST(Error, CodesOfOurOwnNeedNoMemory) {
  const error a = errc::canceled, b = errc::canceled;
  EXPECT_TRUE(a.is(b));
}

TEST(Result, HoldsAValueOrAnError) {
  result<int> good = 5;
  EXPECT_TRUE(good);
  EXPECT_EQ(*good, 5);
  EXPECT_FALSE(good.error());
  result<int> bad = errc::eof;
  EXPECT_FALSE(bad);
  EXPECT_EQ(bad.error(), errc::eof);
  EXPECT_EQ(std::move(bad).value_or(9), 9);
}

TEST(Result, ValueThrowsTheError) {
  result<std::string> bad = error("gone");
  EXPECT_THROW((void)bad.value(), gort::error_exception);
  EXPECT_EQ(result<std::string>("x").value(), "x");
}

TEST(Result, HoldsMoveOnlyTypes) {
  result<std::unique_ptr<int>> r = std::make_unique<int>(3);
  auto p = *std::move(r);
  EXPECT_EQ(*p, 3);
}

TEST(Result, ChainsStopAtTheFirstError) {
  auto half = [](int v) -> result<int> {
    if (v % 2 != 0) return error("odd");
    return v / 2;
  };
  EXPECT_EQ(*result<int>(8).and_then(half).and_then(half), 2);
  EXPECT_EQ(result<int>(6).and_then(half).and_then(half).error().message(), "odd");
  EXPECT_EQ(*result<int>(8).transform([](int v) { return std::to_string(v); }), "8");
}

}  // namespace

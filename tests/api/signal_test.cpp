// SPDX-License-Identifier: Apache-2.0
// signal: rules of include/gort/signal.hpp as sentences. Ideas carried over, in our own words, from Go's
// os/signal/signal_test.go. The process is a library user: signals reach the test's own threads, never Gort's.
#include <gort/signal.hpp>

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "base/sanitizer.hpp"
#include "lang/chan_util.hpp"

// ThreadSanitizer keeps a signal until the thread calls the C library, which ours do not: nothing would arrive.
#if !GORT_TSAN

namespace {

namespace sg = gort::signal;
using namespace std::chrono_literals;

constexpr auto kLong = 20s;

void send(int sig) { ::kill(::getpid(), sig); }

int recv(const gort::chan<int>& c) {
  auto s = c.recv_for(kLong);
  return s ? *s : 0;
}

std::atomic<int> handled{0};
void count(int) { handled.fetch_add(1); }

struct sigaction current(int sig) {
  struct sigaction now {};
  ::sigaction(sig, nullptr, &now);
  return now;
}

// Handler installs one of the host's, as long as it lives.
class Handler {
 public:
  explicit Handler(int sig) : sig_(sig) {
    struct sigaction sa {};
    sa.sa_handler = count;
    ::sigaction(sig, &sa, &old_);
    handled = 0;
  }
  ~Handler() { ::sigaction(sig_, &old_, nullptr); }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

 private:
  int sig_;
  struct sigaction old_ {};
};

GO_TEST(Signal, ArrivesOnTheChannel) {
  auto c = gort::make_chan<int>(1);
  auto sub = sg::notify(c, {SIGUSR1, SIGHUP});
  send(SIGHUP);
  EXPECT_EQ(recv(c), SIGHUP);
  send(SIGUSR1);
  EXPECT_EQ(recv(c), SIGUSR1);
}

GO_TEST(Signal, IsDroppedWhereTheChannelIsFull) {
  auto full = gort::make_chan<int>(1), all = gort::make_chan<int>(1);
  auto later = sg::notify(all, {SIGUSR1});
  auto first = sg::notify(full, {SIGUSR1});  // served before `later`
  send(SIGUSR1);
  EXPECT_EQ(recv(all), SIGUSR1);
  send(SIGUSR1);
  EXPECT_EQ(recv(all), SIGUSR1);
  EXPECT_EQ(full.len(), 1u);
}

GO_TEST(Signal, GoesToEverySubscriberAndOnlyForWhatItAsked) {
  auto a = gort::make_chan<int>(4), b = gort::make_chan<int>(4);
  auto one = sg::notify(a, {SIGUSR1, SIGUSR2});
  auto two = sg::notify(b, {SIGUSR2});
  send(SIGUSR1);
  EXPECT_EQ(recv(a), SIGUSR1);
  send(SIGUSR2);
  EXPECT_EQ(recv(a), SIGUSR2);
  EXPECT_EQ(recv(b), SIGUSR2);
  EXPECT_EQ(b.len(), 0u);
}

GO_TEST(Signal, TheHandlerThatWasThereComesBackWithTheLastSubscription) {
  const Handler h(SIGUSR1);
  auto c = gort::make_chan<int>(1);
  {
    auto one = sg::notify(c, {SIGUSR1});
    { auto two = sg::notify(gort::make_chan<int>(1), {SIGUSR1}); }
    send(SIGUSR1);
    EXPECT_EQ(recv(c), SIGUSR1);
    EXPECT_EQ(handled.load(), 0);
  }
  EXPECT_EQ(current(SIGUSR1).sa_handler, count);
  send(SIGUSR1);
  for (int i = 0; i < 2000 && handled == 0; ++i) gort::sleep(10ms);
  EXPECT_EQ(handled.load(), 1);
}

GO_TEST(Signal, AHandlerInstalledOverOursIsLeftAlone) {
  struct sigaction before = current(SIGUSR1);
  {
    auto sub = sg::notify(gort::make_chan<int>(1), {SIGUSR1});
    ::signal(SIGUSR1, count);
  }
  EXPECT_EQ(current(SIGUSR1).sa_handler, count);
  ::sigaction(SIGUSR1, &before, nullptr);
}

// On a thread that has the signal unblocked, raise() returns after the handler.
TEST(Signal, WhatCameBeforeTheEndOfTheSubscriptionIsDelivered) {
  for (int i = 0; i < 200; ++i) {
    auto c = gort::make_chan<int>(1);
    auto sub = sg::notify(c, {SIGUSR1});
    ::raise(SIGUSR1);
    sub.stop();
    ASSERT_EQ(c.len(), 1u) << i;
    sub.stop();
  }
}

GO_TEST(Signal, IgnoreDropsItUntilReset) {
  const Handler h(SIGUSR2);
  auto c = gort::make_chan<int>(1);
  auto sub = sg::notify(c, {SIGUSR2});
  EXPECT_FALSE(sg::ignored(SIGUSR2));
  sg::ignore({SIGUSR2});
  EXPECT_TRUE(sg::ignored(SIGUSR2));
  send(SIGUSR2);
  sg::reset({SIGUSR2});
  EXPECT_FALSE(sg::ignored(SIGUSR2));
  EXPECT_EQ(current(SIGUSR2).sa_handler, count);
  EXPECT_EQ(c.len(), 0u);  // the subscription has lost it
  send(SIGUSR2);
  for (int i = 0; i < 2000 && handled == 0; ++i) gort::sleep(10ms);
  EXPECT_EQ(handled.load(), 1);
}

GO_TEST(Signal, MayBeAskedForAgainAfterIgnore) {
  const Handler h(SIGUSR2);
  sg::ignore({SIGUSR2});
  auto c = gort::make_chan<int>(1);
  {
    auto sub = sg::notify(c, {SIGUSR2});
    send(SIGUSR2);
    EXPECT_EQ(recv(c), SIGUSR2);
  }
  EXPECT_EQ(current(SIGUSR2).sa_handler, count);
}

GO_TEST(Signal, AContextEndsAndItsCauseNamesTheSignal) {
  struct sigaction before = current(SIGTERM);
  {
    auto ctx = sg::notify_context(gort::background(), {SIGINT, SIGTERM});
    auto t =
        gort::spawn([](const gort::context& c) { c.done().recv(); }, ctx);  // an lvalue arrives as a context
    EXPECT_FALSE(ctx.err());
    send(SIGTERM);
    t.join();
    EXPECT_EQ(ctx.err(), gort::errc::canceled);
    EXPECT_EQ(ctx.cause().message(), "terminated signal received");
  }
  EXPECT_EQ(current(SIGTERM).sa_handler, before.sa_handler);
}

GO_TEST(Signal, AContextThatStoppedListeningGoesOn) {
  const Handler h(SIGUSR1);
  auto parent = gort::with_cancel(gort::background());
  auto ctx = sg::notify_context(parent, {SIGUSR1});
  ctx.stop();
  send(SIGUSR1);
  for (int i = 0; i < 2000 && handled == 0; ++i) gort::sleep(10ms);
  EXPECT_FALSE(ctx.err());
  parent.cancel();
  EXPECT_EQ(ctx.err(), gort::errc::canceled);
}

GO_TEST(Signal, MisuseIsAPanic) {
  EXPECT_EQ(chantest::panicOf([] { auto s = sg::notify(nullptr, {SIGHUP}); }),
            "gort: signal::notify with a nil channel");
  for (const int sig : {0, -1, 65, SIGKILL, SIGSTOP, SIGURG, 32, 33}) {
    EXPECT_NE(chantest::panicOf([sig] { auto s = sg::notify(gort::make_chan<int>(1), {sig}); }), "") << sig;
  }
}

GO_TEST(Signal, AnEmptyListIsEverySignalThereIs) {
  auto c = gort::make_chan<int>(64);
  auto sub = sg::notify(c, {});
  for (const int sig : {SIGUSR1, SIGWINCH, SIGTERM, SIGSEGV, SIGFPE, SIGPIPE, SIGRTMIN, SIGRTMAX}) {
    send(sig);
    EXPECT_EQ(recv(c), sig);
  }
}

GO_TEST(Signal, AStormWithSubscriptionsComingAndGoingLosesNoLastOne) {
  auto c = gort::make_chan<int>(1);
  auto sub = sg::notify(c, {SIGUSR1});
  std::atomic<bool> stop{false};
  std::thread other([&] {
    while (!stop) ::kill(::getpid(), SIGUSR1);
  });
  for (int i = 0; i < 300; ++i) {
    auto more = sg::notify(gort::make_chan<int>(1), {SIGUSR1, SIGUSR2});
    if (i % 3 == 0) gort::yield();
  }
  stop = true;
  gort::blocking([&] { other.join(); });
  chantest::settle();
  while (c.try_recv()) {
  }
  send(SIGUSR1);
  EXPECT_EQ(recv(c), SIGUSR1);
}

}  // namespace

#endif

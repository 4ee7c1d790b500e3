// SPDX-License-Identifier: Apache-2.0
// The netpoller on bare pipes and sockets: rules of src/sched/netpoll.cpp as sentences. Ideas carried over, in our own
// words, from Go's internal/poll/fd_posix_test.go and net/timeout_test.go.
#include "sched/netpoll.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "lang/chan_util.hpp"
#include "sched/proc.hpp"

namespace {

namespace rt = gort::rt;
using chantest::settle;
using rt::PollDesc;
using rt::PollError;
using rt::PollMode;
using namespace std::chrono_literals;

// Pair is a connected pair of sockets; a is in the poller.
struct Pair {
  int a = -1, b = -1;
  PollDesc* pd = nullptr;
  Pair() {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    a = fds[0];
    b = fds[1];
    EXPECT_EQ(rt::pollOpen(a, &pd), 0);
  }
  ~Pair() {
    rt::pollUnblock(pd);
    rt::pollClose(pd);
    ::close(a);
    if (b >= 0) ::close(b);
  }
  // read is the pattern of every operation. Returns the byte, 0 at the end, or -1 - PollError.
  int read() {
    const rt::Entry e;
    PollError err = rt::pollReset(pd, PollMode::read);
    while (err == PollError::none) {
      char c = 0;
      const ssize_t n = ::read(a, &c, 1);
      if (n == 1) return c;
      if (n == 0) return 0;
      err = rt::pollWait(pd, PollMode::read);
    }
    return -1 - static_cast<int>(err);
  }
  void write(char c) const { EXPECT_EQ(::write(b, &c, 1), 1); }
};

constexpr int kClosing = -1 - static_cast<int>(PollError::closing);
constexpr int kTimeout = -1 - static_cast<int>(PollError::timeout);

GO_TEST(Netpoll, AReaderParksUntilAByteComes) {
  Pair p;
  auto got = gort::make_chan<int>(1);
  gort::go([&, got] { got.send(p.read()); });
  settle();
  EXPECT_FALSE(got.try_recv());
  p.write('x');
  EXPECT_EQ(*got.recv(), 'x');
}

GO_TEST(Netpoll, WhatIsThereAlreadyNeedsNoWait) {
  Pair p;
  p.write('y');
  EXPECT_EQ(p.read(), 'y');
}

GO_TEST(Netpoll, TheEndOfThePeerWakesAReader) {
  Pair p;
  auto got = gort::make_chan<int>(1);
  gort::go([&, got] { got.send(p.read()); });
  settle();
  ::close(p.b);
  p.b = -1;
  EXPECT_EQ(*got.recv(), 0);
}

GO_TEST(Netpoll, ManyRoundsLoseNoWakeUp) {
  Pair p, q;
  gort::go([&] {
    for (int i = 0; i < 20000; ++i) {
      const int c = p.read();
      q.write(static_cast<char>(c));
    }
  });
  for (int i = 0; i < 20000; ++i) {
    const char c = static_cast<char>(1 + i % 100);
    p.write(c);
    ASSERT_EQ(q.read(), c) << i;
  }
}

// Goroutines locked to their threads give their Ps away without looking for I/O: somebody else must.
GO_TEST(Netpoll, LockedGoroutinesAreWokenWhenNothingElseRuns) {
  Pair p, q;
  gort::wait_group wg;
  wg.go([&] {
    const gort::runtime::os_thread_lock lock;
    for (int i = 0; i < 500; ++i) q.write(static_cast<char>(p.read()));
  });
  const gort::runtime::os_thread_lock lock;
  for (int i = 0; i < 500; ++i) {
    p.write('l');
    ASSERT_EQ(q.read(), 'l') << i;
  }
  wg.wait();
}

// Who comes out of the poller with a goroutine may end in a system call: another P's timer is somebody's business still.
GO_TEST(Netpoll, ATimerIsKeptWhenWhoWaitedForItBlocks) {
  const int procs = gort::runtime::max_procs(2);
  for (int i = 0; i < 100; ++i) {
    Pair wakes, ends;
    ::fcntl(ends.a, F_SETFL, 0);
    auto blocks = gort::spawn([&] {
      EXPECT_EQ(wakes.read(), 'w');
      const rt::Entry e;
      rt::entersyscallblock();
      char c;
      while (::read(ends.a, &c, 1) < 0 && errno == EINTR) {
      }
      rt::exitsyscall();
    });
    std::thread outside([&] {
      ::usleep(1000);
      wakes.write('w');
    });
    const auto begin = gort::clock::now();
    gort::sleep(3ms);
    EXPECT_LT(gort::clock::now() - begin, 20s) << i;
    ends.write('e');
    blocks.join();
    outside.join();
  }
  gort::runtime::max_procs(procs);
}

GO_TEST(Netpoll, ADeadlineEndsAWaitAndAllLaterOnes) {
  Pair p;
  rt::pollSetDeadline(p.pd, rt::nanotime() + 2000000, PollMode::read);
  EXPECT_EQ(p.read(), kTimeout);
  p.write('z');
  EXPECT_EQ(p.read(), kTimeout) << "it stays in force though there is something to read";
  rt::pollSetDeadline(p.pd, 0, PollMode::read);
  EXPECT_EQ(p.read(), 'z');
}

GO_TEST(Netpoll, ADeadlineInThePastWakesAtOnce) {
  Pair p;
  auto got = gort::make_chan<int>(1);
  gort::go([&, got] { got.send(p.read()); });
  settle();
  rt::pollSetDeadline(p.pd, 1, PollMode::both);
  EXPECT_EQ(*got.recv(), kTimeout);
}

GO_TEST(Netpoll, ADeadlineCanBeMovedWhileSomebodyWaits) {
  bool inTime = false;  // on a busy machine the first deadline may have come before it is moved
  while (!inTime) {
    Pair p;
    const rt::int64 first = rt::nanotime() + 20000000;
    rt::pollSetDeadline(p.pd, first, PollMode::both);
    std::atomic<bool> over{false};
    auto got = gort::spawn([&] {
      const int r = p.read();
      over = true;
      return r;
    });
    settle();
    rt::pollSetDeadline(p.pd, rt::nanotime() + int64_t{3600} * 1000000000, PollMode::both);
    inTime = rt::nanotime() < first;
    gort::sleep(40ms);
    EXPECT_TRUE(!inTime || !over) << "the older deadline must not fire";
    rt::pollSetDeadline(p.pd, rt::nanotime() + 1000000, PollMode::read);
    EXPECT_EQ(got.join(), kTimeout);
  }
}

GO_TEST(Netpoll, UnequalDeadlinesHaveTimersOfTheirOwn) {
  Pair p;
  rt::pollSetDeadline(p.pd, rt::nanotime() + int64_t{3600} * 1000000000, PollMode::write);
  rt::pollSetDeadline(p.pd, rt::nanotime() + 1000000, PollMode::read);
  EXPECT_EQ(p.read(), kTimeout);
  EXPECT_EQ(rt::pollReset(p.pd, PollMode::write), PollError::none);
  rt::pollSetDeadline(p.pd, rt::nanotime() + 1000000, PollMode::write);
  gort::sleep(20ms);
  EXPECT_EQ(rt::pollReset(p.pd, PollMode::write), PollError::timeout);
}

GO_TEST(Netpoll, ClosingWakesBothDirections) {
  Pair p;
  const std::string block(1 << 20, 'b');
  while (::write(p.a, block.data(), block.size()) > 0) {
  }
  auto got = gort::make_chan<int>(2);
  gort::go([&, got] { got.send(p.read()); });
  gort::go([&, got] {
    const rt::Entry e;
    EXPECT_EQ(rt::pollReset(p.pd, PollMode::write), PollError::none);
    got.send(-1 - static_cast<int>(rt::pollWait(p.pd, PollMode::write)));
  });
  settle();
  rt::pollUnblock(p.pd);
  EXPECT_EQ(*got.recv(), kClosing);
  EXPECT_EQ(*got.recv(), kClosing);
  EXPECT_EQ(p.read(), kClosing) << "later ones too";
}

GO_TEST(Netpoll, AnOrdinaryFileIsRefused) {
  const int fd = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  PollDesc* pd = nullptr;
  EXPECT_EQ(rt::pollOpen(fd, &pd), -EPERM);
  ::close(fd);
}

// An event on its way when the file is closed must not be taken for one of the file that gets the record next.
GO_TEST(Netpoll, RecordsAreReusedWithoutConfusion) {
  for (int i = 0; i < 2000; ++i) {
    Pair p;
    p.write('k');
    if (i % 2 == 0) {
      EXPECT_EQ(p.read(), 'k');
    }
  }
}

GO_TEST(Netpoll, ABusyProcessorDoesNotKeepReadersWaiting) {
  Pair p;
  std::atomic<bool> stop{false};
  gort::wait_group busy;
  for (int i = 0; i < 4; ++i) {
    busy.go([&] {
      while (!stop.load()) gort::yield();
    });
  }
  auto got = gort::make_chan<int>(1);
  gort::go([&, got] { got.send(p.read()); });
  for (int i = 0; i < 1000; ++i) gort::yield();
  p.write('w');
  auto r = got.recv_for(30s);
  stop = true;
  busy.wait();
  ASSERT_TRUE(r);
  EXPECT_EQ(*r, 'w');
}

// ---- Note [A socket that was emptied]

// readWhatIsThere reads once, as a reader who asks for much; the poller has seen all there is.
int readWhatIsThere(Pair& p) {
  settle();
  EXPECT_EQ(rt::pollReset(p.pd, PollMode::read), PollError::none);
  char c[16];
  return static_cast<int>(::read(p.a, c, sizeof c));
}
int waitEmptied(Pair& p) {
  const rt::Entry e;
  return -1 - static_cast<int>(rt::pollWaitEmptied(p.pd));
}
constexpr int kGoOn = -1 - static_cast<int>(PollError::none);

GO_TEST(Netpoll, AWaitAfterAShortReadKeepsTheEdgeThatHasCome) {
  Pair p;
  for (int i = 0; i < 20; ++i) {
    p.write('a');
    EXPECT_EQ(readWhatIsThere(p), 1);
    p.write('b');
    if (i % 2 == 0) settle();
    EXPECT_EQ(waitEmptied(p), kGoOn);
    EXPECT_EQ(p.read(), 'b');
  }
}

GO_TEST(Netpoll, AWaitAfterAShortReadIsAWait) {
  Pair p;
  p.write('a');
  EXPECT_EQ(readWhatIsThere(p), 1);
  auto got = gort::make_chan<int>(1);
  gort::go([&, got] { got.send(waitEmptied(p)); });
  settle();
  EXPECT_FALSE(got.try_recv());
  rt::pollSetDeadline(p.pd, rt::nanotime() + 1000000, PollMode::read);
  EXPECT_EQ(*got.recv(), kTimeout);
  p.write('b');
  settle();
  EXPECT_EQ(waitEmptied(p), kTimeout) << "whatever is there";
  rt::pollSetDeadline(p.pd, 0, PollMode::read);
  EXPECT_EQ(p.read(), 'b');
  rt::pollUnblock(p.pd);
  EXPECT_EQ(waitEmptied(p), kClosing);
}

GO_TEST(Netpoll, AnEndThatCameWithTheBytesIsKept) {
  Pair p;
  p.write('a');
  ::close(p.b);
  p.b = -1;
  EXPECT_EQ(readWhatIsThere(p), 1);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(waitEmptied(p), kGoOn) << "its only event came before the read";
  EXPECT_EQ(p.read(), 0);
}

GO_TEST(Netpoll, ARecordThatIsUsedAgainHasForgottenTheEnd) {
  for (int i = 0; i < 10; ++i) {
    {
      Pair p;
      ::close(p.b);
      p.b = -1;
      settle();
    }
    Pair q;
    q.write('a');
    EXPECT_EQ(readWhatIsThere(q), 1);
    rt::pollSetDeadline(q.pd, rt::nanotime() + 1000000, PollMode::read);
    EXPECT_EQ(waitEmptied(q), kTimeout);
  }
}

// Deadlines, bytes and resets from several goroutines at once; seeded.
GO_TEST(Netpoll, StressOfDeadlinesAgainstBytes) {
  Pair p;
  std::atomic<bool> stop{false};
  std::atomic<int> bytes{0}, timeouts{0};
  gort::wait_group wg;
  wg.go([&] {
    while (!stop.load()) {
      const int c = p.read();
      if (c > 0) ++bytes;
      if (c == kTimeout) {
        ++timeouts;
        rt::pollSetDeadline(p.pd, 0, PollMode::read);
      }
    }
  });
  int sent = 0;
  for (int i = 0; i < 3000; ++i) {
    if (i % 3 == 0) sent += ::write(p.b, "s", 1) == 1 ? 1 : 0;  // no room: he has been kept from reading
    rt::pollSetDeadline(p.pd, i % 2 == 0 ? 1 : rt::nanotime() + i % 50 * 1000, PollMode::read);
    if (i % 7 == 0) gort::yield();
  }
  stop = true;
  rt::pollSetDeadline(p.pd, 1, PollMode::read);
  wg.wait();
  EXPECT_LE(bytes.load(), sent);
  EXPECT_GT(timeouts.load(), 0);
}

}  // namespace

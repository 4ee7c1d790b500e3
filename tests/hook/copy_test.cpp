// SPDX-License-Identifier: Apache-2.0
// Hooked calls that move several messages, or data from file to file; and the names that headers make of hooked calls.
#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#include <string>
#include <thread>
#include <vector>

#include "hook/hook_util.hpp"

namespace {

using gort::clock;
using hooktest::eachParks;
using hooktest::Ends;
using hooktest::expectX;
using hooktest::lastError;
using hooktest::parks;
using hooktest::since;

// Messages is n headers of one piece each.
struct Messages {
  std::vector<std::string> data;
  std::vector<iovec> iov;
  std::vector<mmsghdr> headers;
  Messages(std::size_t n, std::size_t size) : data(n, std::string(size, 'd')), iov(n), headers(n) {
    for (std::size_t i = 0; i < n; ++i) {
      iov[i] = {data[i].data(), size};
      headers[i].msg_hdr.msg_iov = &iov[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
  }
  mmsghdr* get() { return headers.data(); }
  unsigned size() const { return static_cast<unsigned>(headers.size()); }
};

std::size_t readAll(int fd, std::size_t n) {
  std::vector<char> b(1 << 20);
  std::size_t got = 0;
  while (got < n) {
    const ssize_t now = ::read(fd, b.data(), b.size());
    if (now <= 0) break;
    got += static_cast<std::size_t>(now);
  }
  return got;
}

GO_TEST(HookMessages, RecvmmsgParks) {
  EXPECT_TRUE(eachParks(Ends::datagram, [](int fd) {
    Messages m(4, 1);
    EXPECT_EQ(::recvmmsg(fd, m.get(), 4, MSG_WAITFORONE, nullptr), 1);
    expectX(m.headers[0].msg_len, m.data[0][0]);
  }));
}

GO_TEST(HookMessages, RecvmmsgWaitsForAllOrOneOrTheTime) {
  Ends e(Ends::datagram);
  Messages m(3, 8);
  EXPECT_EQ(::recvmmsg(e.a, m.get(), 3, MSG_DONTWAIT, nullptr), -1);
  EXPECT_EQ(lastError(), EAGAIN);
  auto all = gort::spawn([&] { EXPECT_EQ(::recvmmsg(e.a, m.get(), 3, 0, nullptr), 3); });
  for (const char* s : {"a", "bb", "ccc"}) {
    chantest::settle();
    EXPECT_EQ(::send(e.b, s, std::strlen(s), 0), static_cast<ssize_t>(std::strlen(s)));
  }
  all.join();
  for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(m.headers[i].msg_len, i + 1);
  // The limit is looked at when something has come.
  timespec limit{0, 1};
  auto late = gort::spawn([&] { EXPECT_EQ(::recvmmsg(e.a, m.get(), 3, 0, &limit), 1); });
  EXPECT_EQ(::send(e.b, "x", 1, 0), 1);
  late.join();
  EXPECT_EQ(limit.tv_sec + limit.tv_nsec, 0);
  timespec bad{0, -1};
  EXPECT_EQ(::recvmmsg(e.a, m.get(), 3, 0, &bad), -1);
  EXPECT_EQ(lastError(), EINVAL);
}

GO_TEST(HookMessages, SendmmsgParksAndSendsAll) {
  std::vector<std::unique_ptr<Ends>> ends;
  for (int i = 0; i < 64; ++i)
    ends.push_back(std::make_unique<Ends>(i % 2 == 0 ? Ends::socket : Ends::datagram));
  constexpr std::size_t kBytes = 10000, kMany = 60;  // more than a socket holds
  EXPECT_TRUE(parks(
      [&](int i) {
        Messages m(kMany, kBytes);
        EXPECT_EQ(::sendmmsg(ends[static_cast<std::size_t>(i)]->b, m.get(), m.size(), 0),
                  static_cast<int>(kMany));
        for (const mmsghdr& h : m.headers) EXPECT_EQ(h.msg_len, kBytes);
      },
      [&] {
        for (auto& e : ends) EXPECT_EQ(readAll(e->a, kBytes * kMany), kBytes * kMany);
      }));
}

GO_TEST(HookMessages, RecvmsgWithWaitallParksUntilItHasAll) {
  std::vector<std::unique_ptr<Ends>> ends;
  for (int i = 0; i < 64; ++i) {
    ends.push_back(std::make_unique<Ends>());
    EXPECT_EQ(::write(ends.back()->b, "abc", 3), 3);
  }
  EXPECT_TRUE(parks(
      [&](int i) {
        char b[6];
        iovec iov[2] = {{b, 2}, {b + 2, 4}};
        msghdr m{};
        m.msg_iov = iov;
        m.msg_iovlen = 2;
        EXPECT_EQ(::recvmsg(ends[static_cast<std::size_t>(i)]->a, &m, MSG_WAITALL), 6);
        EXPECT_EQ(std::memcmp(b, "abcdef", 6), 0);
      },
      [&] {
        for (auto& e : ends) EXPECT_EQ(::write(e->b, "def", 3), 3);
      }));
}

GO_TEST(HookMessages, WhatNeverWaitsDoesNotWaitHere) {
  Ends e(Ends::datagram);
  const int udp = ::socket(AF_INET, SOCK_DGRAM, 0);
  char c;
  EXPECT_EQ(::recv(udp, &c, 1, MSG_ERRQUEUE), -1);
  EXPECT_EQ(lastError(), EAGAIN);
  iovec iov{&c, 1};
  msghdr m{};
  m.msg_iov = &iov;
  m.msg_iovlen = 1;
  EXPECT_EQ(::recvmsg(udp, &m, MSG_ERRQUEUE), -1);
  EXPECT_EQ(lastError(), EAGAIN);
  ::close(udp);
}

GO_TEST(HookMessages, AReceiverWithoutRoomIsNoBusyLoop) {
  // The sender is not connected: poll says that it may write.
  const int to = ::socket(AF_UNIX, SOCK_DGRAM, 0), from = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  sockaddr_un addr{};
  addr.sun_family = AF_UNIX;
  socklen_t len = sizeof(sa_family_t);  // the kernel chooses a name
  auto* at = reinterpret_cast<sockaddr*>(&addr);
  ASSERT_EQ(::bind(to, at, len), 0);
  len = sizeof addr;
  ASSERT_EQ(::getsockname(to, at, &len), 0);
  constexpr int kMany = 2000;  // more than the receiver's queue
  std::atomic<int> sent = 0;
  auto t = gort::spawn([&] {
    for (; sent < kMany; ++sent) EXPECT_EQ(::sendto(from, "x", 1, 0, at, len), 1);
  });
  for (int last = -1; last != sent || last == 0;) {
    last = sent;
    ::usleep(20000);
  }
  EXPECT_LT(sent, kMany);
  timespec a{}, b{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
  ::usleep(300000);
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
  EXPECT_LT((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000, 100) << "ms of CPU in 300";
  char c;
  for (int i = 0; i < kMany; ++i) EXPECT_EQ(::recv(to, &c, 1, 0), 1);
  t.join();
  ::close(to);
  ::close(from);
}

GO_TEST(HookCopy, SendfileParksAndGoesOnUntilAllIsSent) {
  constexpr std::size_t kBytes = 2 << 20;
  FILE* file = std::tmpfile();
  ASSERT_EQ(::ftruncate(::fileno(file), kBytes), 0);
  std::vector<std::unique_ptr<Ends>> ends;
  for (int i = 0; i < 64; ++i) ends.push_back(std::make_unique<Ends>());
  EXPECT_TRUE(parks(
      [&](int i) {
        off_t at = 0;
        const int fd = ends[static_cast<std::size_t>(i)]->b;
        EXPECT_EQ(::sendfile(fd, ::fileno(file), &at, kBytes + 1000), static_cast<ssize_t>(kBytes));
        EXPECT_EQ(at, static_cast<off_t>(kBytes));
      },
      [&] {
        for (auto& e : ends) EXPECT_EQ(readAll(e->a, kBytes), kBytes);
      }));
  std::fclose(file);
}

GO_TEST(HookCopy, SendfileKeepsTheRulesOfItsSocket) {
  FILE* file = std::tmpfile();
  ASSERT_EQ(::ftruncate(::fileno(file), 4 << 20), 0);
  Ends e;
  const timeval limit{0, 20000};
  ::setsockopt(e.b, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  off_t at = 0;
  const ssize_t part = ::sendfile(e.b, ::fileno(file), &at, 4 << 20);
  EXPECT_GT(part, 0);
  EXPECT_LT(part, 4 << 20);
  EXPECT_EQ(::sendfile(e.b, ::fileno(file), &at, 4 << 20), -1);
  EXPECT_EQ(lastError(), EAGAIN);
  EXPECT_EQ(::sendfile(-1, ::fileno(file), &at, 1), -1);
  EXPECT_EQ(lastError(), EBADF);
  std::fclose(file);
}

GO_TEST(HookCopy, SpliceParksAtBothEnds) {
  EXPECT_TRUE(eachParks(Ends::pipe, [](int fd) {
    Ends s;
    EXPECT_EQ(::splice(fd, nullptr, s.b, nullptr, 100, 0), 1);
    char c = 0;
    const ssize_t n = ::read(s.a, &c, 1);
    expectX(n, c);
  }));
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    Ends p(Ends::pipe);
    EXPECT_EQ(::splice(fd, nullptr, p.b, nullptr, 100, 0), 1);
    char c = 0;
    const ssize_t n = ::read(p.a, &c, 1);
    expectX(n, c);
  }));
  Ends p(Ends::pipe), s;
  EXPECT_EQ(::splice(p.a, nullptr, s.b, nullptr, 1, SPLICE_F_NONBLOCK), -1);
  EXPECT_EQ(lastError(), EAGAIN);
}

GO_TEST(HookCopy, SpliceToAFullSocketParks) {
  constexpr std::size_t kBytes = 1 << 20;
  const std::string data(kBytes, 'd');
  std::vector<std::unique_ptr<Ends>> pipes, ends;
  for (int i = 0; i < 64; ++i) {
    pipes.push_back(std::make_unique<Ends>(Ends::pipe));
    ends.push_back(std::make_unique<Ends>());
  }
  gort::wait_group fillers;
  EXPECT_TRUE(parks(
      [&](int i) {
        Ends& p = *pipes[static_cast<std::size_t>(i)];
        fillers.go([&] { EXPECT_EQ(::write(p.b, data.data(), kBytes), static_cast<ssize_t>(kBytes)); });
        for (std::size_t done = 0; done < kBytes;) {
          const ssize_t n =
              ::splice(p.a, nullptr, ends[static_cast<std::size_t>(i)]->b, nullptr, kBytes - done, 0);
          if (n <= 0) break;
          done += static_cast<std::size_t>(n);
        }
      },
      [&] {
        for (auto& e : ends) EXPECT_EQ(readAll(e->a, kBytes), kBytes);
      }));
  fillers.wait();
}

GO_TEST(HookCopy, Preadv2AndPwritev2OfAStreamPark) {
  EXPECT_TRUE(eachParks(Ends::pipe, [](int fd) {
    char c = 0;
    iovec iov{&c, 1};
    const ssize_t n = ::preadv2(fd, &iov, 1, -1, 0);
    expectX(n, c);
  }));
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    char c = 0;
    iovec iov{&c, 1};
    const ssize_t n = ::preadv64v2(fd, &iov, 1, -1, 0);
    expectX(n, c);
  }));
  std::vector<std::unique_ptr<Ends>> ends;
  const std::string data(1 << 20, 'd');
  for (int i = 0; i < 64; ++i) ends.push_back(std::make_unique<Ends>(i % 2 == 0 ? Ends::socket : Ends::pipe));
  EXPECT_TRUE(parks(
      [&](int i) {
        const iovec iov{const_cast<char*>(data.data()), data.size()};
        EXPECT_EQ(::pwritev2(ends[static_cast<std::size_t>(i)]->b, &iov, 1, -1, 0),
                  static_cast<ssize_t>(data.size()));
      },
      [&] {
        for (auto& e : ends) EXPECT_EQ(readAll(e->a, data.size()), data.size());
      }));
  Ends p(Ends::pipe);
  char c;
  iovec iov{&c, 1};
  EXPECT_EQ(::preadv2(p.a, &iov, 1, -1, RWF_NOWAIT), -1);
  EXPECT_EQ(::preadv2(p.a, &iov, 1, 0, 0), -1);
  EXPECT_EQ(lastError(), ESPIPE);
}

GO_TEST(HookEpoll, Pwait2Parks) {
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    const int ep = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event ev{EPOLLIN, {}};
    ev.data.fd = fd;
    EXPECT_EQ(::epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
    epoll_event got;
    const timespec limit{100, 0}, shortly{0, 5000000}, now{0, 0}, bad{0, -1};
    EXPECT_EQ(::epoll_pwait2(ep, &got, 1, &limit, nullptr), 1);
    char c;
    EXPECT_EQ(::read(fd, &c, 1), 1);
    EXPECT_EQ(::epoll_pwait2(ep, &got, 1, &shortly, nullptr), 0);
    EXPECT_EQ(::epoll_pwait2(ep, &got, 1, &now, nullptr), 0);
    EXPECT_EQ(::epoll_pwait2(ep, &got, 1, &bad, nullptr), -1);
    EXPECT_EQ(lastError(), EINVAL);
    ::close(ep);
  }));
}

// waitMasked waits for fd by one of the calls that take a signal mask.
int waitMasked(int which, int fd) {
  sigset_t mask;
  sigemptyset(&mask);
  if (which == 0) {
    pollfd p{fd, POLLIN, 0};
    return ::ppoll(&p, 1, nullptr, &mask);
  }
  if (which == 1) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(fd, &in);
    return ::pselect(fd + 1, &in, nullptr, nullptr, nullptr, &mask);
  }
  const int ep = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event ev{EPOLLIN, {}}, got;
  EXPECT_EQ(::epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
  const int n =
      which == 2 ? ::epoll_pwait(ep, &got, 1, -1, &mask) : ::epoll_pwait2(ep, &got, 1, nullptr, &mask);
  ::close(ep);
  return n;
}

GO_TEST(HookPoll, WithASignalMaskTheOthersGoOn) {
  // These block the thread: with the P, the writer below would have none.
  std::vector<std::unique_ptr<Ends>> ends;
  gort::wait_group wg;
  for (int i = 0; i < 8; ++i) {
    ends.push_back(std::make_unique<Ends>());
    wg.go([i, fd = ends.back()->a] { EXPECT_EQ(waitMasked(i % 4, fd), 1); });
  }
  for (int i = 0; i < 3; ++i) chantest::settle();
  for (auto& e : ends) EXPECT_EQ(::write(e->b, "x", 1), 1);
  wg.wait();
}

// What _FORTIFY_SOURCE makes of them.
extern "C" ssize_t readChk(int fd, void* p, size_t n, size_t room) __asm__("__read_chk");
extern "C" ssize_t recvChk(int fd, void* p, size_t n, size_t room, int flags) __asm__("__recv_chk");
extern "C" ssize_t recvfromChk(int fd, void* p, size_t n, size_t room, int flags, sockaddr* addr,
                               socklen_t* len) __asm__("__recvfrom_chk");
extern "C" int pollChk(pollfd* fds, nfds_t n, int timeout, size_t room) __asm__("__poll_chk");
extern "C" int ppollChk(pollfd* fds, nfds_t n, const timespec* timeout, const sigset_t* mask,
                        size_t room) __asm__("__ppoll_chk");

GO_TEST(HookFortified, NamesPark) {
  EXPECT_TRUE(eachParks(Ends::pipe, [](int fd) {
    char c = 0;
    const ssize_t n = readChk(fd, &c, 1, 1);
    expectX(n, c);
  }));
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    char c = 0;
    const ssize_t n = fd % 4 < 2 ? recvChk(fd, &c, 1, 1, 0) : recvfromChk(fd, &c, 1, 1, 0, nullptr, nullptr);
    expectX(n, c);
  }));
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    pollfd p{fd, POLLIN, 0};
    EXPECT_EQ(fd % 4 < 2 ? pollChk(&p, 1, -1, sizeof p) : ppollChk(&p, 1, nullptr, nullptr, sizeof p), 1);
  }));
}

}  // namespace

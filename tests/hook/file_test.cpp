// SPDX-License-Identifier: Apache-2.0
// Hooked calls on files: rules of docs/hook.md as sentences.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <string>
#include <thread>
#include <vector>

#include "hook/hook_util.hpp"

namespace {

using gort::clock;
using hooktest::eachParks;
using hooktest::Ends;
using hooktest::expectX;
using hooktest::parks;
using hooktest::since;
using namespace std::chrono_literals;

GO_TEST(HookRead, ParksOnASocket) {
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    char c = 0;
    const ssize_t n = ::read(fd, &c, 1);
    expectX(n, c);
  }));
}

GO_TEST(HookRead, ParksOnAPipe) {
  EXPECT_TRUE(eachParks(Ends::pipe, [](int fd) {
    char c = 0;
    const ssize_t n = ::read(fd, &c, 1);
    expectX(n, c);
  }));
}

GO_TEST(HookRead, RecvAndItsKinPark) {
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    char c = 0;
    const ssize_t n = ::recv(fd, &c, 1, 0);
    expectX(n, c);
  }));
  EXPECT_TRUE(eachParks(Ends::datagram, [](int fd) {
    char c = 0;
    sockaddr_un from{};
    socklen_t len = sizeof from;
    const ssize_t n = ::recvfrom(fd, &c, 1, 0, reinterpret_cast<sockaddr*>(&from), &len);
    expectX(n, c);
  }));
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    char c = 0;
    iovec iov{&c, 1};
    msghdr m{};
    m.msg_iov = &iov;
    m.msg_iovlen = 1;
    const ssize_t n = ::recvmsg(fd, &m, 0);
    expectX(n, c);
  }));
  for (const auto kind : {Ends::socket, Ends::pipe}) {
    EXPECT_TRUE(eachParks(kind, [](int fd) {
      char c = 0;
      iovec iov{&c, 1};
      const ssize_t n = ::readv(fd, &iov, 1);
      expectX(n, c);
    }));
  }
}

GO_TEST(HookRead, OfOneFileByManyGoroutinesGivesEachByteToOne) {
  Ends e;
  std::atomic<int> sum = 0;
  EXPECT_TRUE(parks(
      [&](int) {
        unsigned char c = 0;
        EXPECT_EQ(::recv(e.a, &c, 1, 0), 1);
        sum += c;
      },
      [&] {
        for (unsigned char c = 0; c < 64; ++c) EXPECT_EQ(::send(e.b, &c, 1, 0), 1);
      }));
  EXPECT_EQ(sum, 63 * 64 / 2);
}

GO_TEST(HookRead, EndOfFileEndsTheWait) {
  Ends s, p(Ends::pipe);
  auto t = gort::spawn([&] {
    char c;
    EXPECT_EQ(::read(s.a, &c, 1), 0);
    EXPECT_EQ(::read(p.a, &c, 1), 0);
  });
  chantest::settle();
  s.closeB();
  chantest::settle();
  p.closeB();
  t.join();
}

GO_TEST(HookRead, NonblockingFilesSayEagainAsAlways) {
  Ends s, p(Ends::pipe);
  char c;
  for (const int fd : {s.a, p.a}) {
    EXPECT_EQ(::fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    errno = 0;
    EXPECT_EQ(::read(fd, &c, 1), -1);
    EXPECT_EQ(errno, EAGAIN);
  }
  Ends d;
  EXPECT_EQ(::recv(d.a, &c, 1, MSG_DONTWAIT), -1);
  EXPECT_EQ(errno, EAGAIN);
}

GO_TEST(HookRead, AFileThatBlocksStaysOne) {
  Ends s;
  auto t = gort::spawn([&] {
    char c;
    EXPECT_EQ(::read(s.a, &c, 1), 1);
  });
  chantest::settle();
  EXPECT_EQ(::fcntl(s.a, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(::write(s.b, "x", 1), 1);
  t.join();
}

GO_TEST(HookRead, ATimeLimitOfTheSocketEndsIt) {
  Ends s;
  const timeval limit{0, 30000};
  EXPECT_EQ(::setsockopt(s.a, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
  const auto t0 = clock::now();
  char c;
  EXPECT_EQ(::read(s.a, &c, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_GE(since(t0), 30);
  EXPECT_LT(since(t0), 5000);
}

GO_TEST(HookRead, WaitallWaitsForAll) {
  Ends s;
  auto t = gort::spawn([&] {
    char b[6];
    EXPECT_EQ(::recv(s.a, b, 6, MSG_WAITALL), 6);
    EXPECT_EQ(std::memcmp(b, "abcdef", 6), 0);
  });
  for (const char* part : {"ab", "cd", "ef"}) {
    chantest::settle();
    EXPECT_EQ(::write(s.b, part, 2), 2);
  }
  t.join();
}

GO_TEST(HookRead, ErrnoIsTheThreadsThatRunsTheGoroutineAtTheEnd) {
  // Goroutines that migrate, each with its own error: nobody sees another's. The caller asks for errno in a function of its
  // own, because compilers keep its address (docs/hook.md).
  gort::wait_group wg;
  for (int i = 0; i < 32; ++i) {
    wg.go([i] {
      Ends s;
      const timeval limit{0, 1000};
      ::setsockopt(s.a, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      int (*volatile last)() = [] { return errno; };
      for (int k = 0; k < 20; ++k) {
        char c;
        const bool bad = i % 2 == 0;
        EXPECT_EQ(::read(bad ? -1 : s.a, &c, 1), -1);
        EXPECT_EQ(last(), bad ? EBADF : EAGAIN);
        gort::yield();
      }
    });
  }
  wg.wait();
}

GO_TEST(HookWrite, OfAStreamGoesOnUntilAllIsWritten) {
  for (const auto kind : {Ends::socket, Ends::pipe}) {
    Ends e(kind);
    const std::string data(3 << 20, 'd');
    auto reader = gort::spawn([&] {
      std::size_t got = 0;
      std::vector<char> b(100000);
      while (got < data.size()) {
        const ssize_t n = ::read(e.a, b.data(), b.size());
        if (n <= 0) break;
        got += static_cast<std::size_t>(n);
      }
      EXPECT_EQ(got, data.size());
    });
    const std::size_t half = data.size() / 2;
    EXPECT_EQ(::write(e.b, data.data(), half), static_cast<ssize_t>(half));
    iovec iov[3] = {{const_cast<char*>(data.data()), 10},
                    {const_cast<char*>(data.data()), 0},
                    {const_cast<char*>(data.data()), data.size() - half - 10}};
    EXPECT_EQ(::writev(e.b, iov, 3), static_cast<ssize_t>(data.size() - half));
    reader.join();
  }
}

GO_TEST(HookWrite, ParksWhenTheBufferIsFull) {
  std::vector<std::unique_ptr<Ends>> ends;
  const std::string data(1 << 20, 'd');
  for (int i = 0; i < 64; ++i) ends.push_back(std::make_unique<Ends>(i % 2 == 0 ? Ends::socket : Ends::pipe));
  EXPECT_TRUE(parks(
      [&](int i) {
        const int fd = ends[static_cast<std::size_t>(i)]->b;
        const ssize_t n = i % 4 == 0 ? ::send(fd, data.data(), data.size(), MSG_NOSIGNAL)
                                     : ::write(fd, data.data(), data.size());
        EXPECT_EQ(n, static_cast<ssize_t>(data.size()));
      },
      [&] {
        std::vector<char> b(1 << 20);
        for (auto& e : ends) {
          for (std::size_t got = 0; got < data.size();)
            got += static_cast<std::size_t>(::read(e->a, b.data(), b.size()));
        }
      }));
}

GO_TEST(HookWrite, ADatagramIsNotDivided) {
  Ends e(Ends::datagram);
  const std::string data(1000, 'd');
  auto t = gort::spawn([&] {
    for (int i = 0; i < 2000; ++i) EXPECT_EQ(::send(e.b, data.data(), data.size(), 0), 1000);
  });
  char b[2000];
  for (int i = 0; i < 2000; ++i) EXPECT_EQ(::recv(e.a, b, sizeof b, 0), 1000);
  t.join();
}

GO_TEST(HookWrite, ToAClosedPeerIsEpipe) {
  Ends e;
  e.closeA();
  EXPECT_EQ(::send(e.b, "x", 1, MSG_NOSIGNAL), -1);
  EXPECT_EQ(errno, EPIPE);
}

GO_TEST(HookClose, WakesWhoWaits) {
  for (const auto kind : {Ends::socket, Ends::pipe}) {
    Ends e(kind);
    gort::wait_group wg;
    for (int i = 0; i < 3; ++i) {
      wg.go([&, fd = e.a] {
        char c;
        EXPECT_EQ(::read(fd, &c, 1), -1);
        EXPECT_EQ(errno, EBADF);
      });
    }
    for (int i = 0; i < 3; ++i) chantest::settle();
    e.closeA();
    wg.wait();
  }
}

GO_TEST(HookClose, OnAPlainThreadWakesToo) {
  Ends e;
  auto t = gort::spawn([fd = e.a] {
    pollfd p{fd, POLLIN, 0};
    EXPECT_EQ(::poll(&p, 1, -1), 1);
    EXPECT_EQ(p.revents, POLLNVAL);
  });
  chantest::settle();
  std::thread th([&] { e.closeA(); });
  t.join();
  th.join();
}

GO_TEST(HookClose, BehindOurBackLeavesNothingBehind) {
  // fclose closes without us. The number comes back as another file, in the same direction and in the other.
  for (int i = 0; i < 20; ++i) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    auto t = gort::spawn([&] {
      char c;
      EXPECT_EQ(::read(fds[0], &c, 1), 1);
    });
    chantest::settle();
    EXPECT_EQ(::write(fds[1], "x", 1), 1);
    t.join();
    for (const int fd : fds) std::fclose(::fdopen(fd, "r+"));
  }
}

GO_TEST(HookClose, ADuplicateLivesOn) {
  Ends e;
  const int twin = ::dup(e.a);
  auto first = gort::spawn([fd = e.a] {
    char c;
    EXPECT_EQ(::read(fd, &c, 1), -1);
  });
  auto second = gort::spawn([&] {
    char c = 0;
    const ssize_t n = ::read(twin, &c, 1);
    expectX(n, c);
  });
  chantest::settle();
  e.closeA();
  first.join();
  chantest::settle();
  EXPECT_EQ(::write(e.b, "x", 1), 1);
  second.join();
  ::close(twin);
}

GO_TEST(HookClose, Dup2OverAFileWakesItsWaiters) {
  Ends e, other;
  auto t = gort::spawn([fd = e.a] {
    char c = 0;
    const ssize_t n = ::read(fd, &c, 1);  // of the file that came in between
    expectX(n, c);
  });
  chantest::settle();
  EXPECT_EQ(::write(other.b, "x", 1), 1);
  EXPECT_EQ(::dup2(other.a, e.a), e.a);
  t.join();
}

struct Listener {
  int fd;
  sockaddr_in addr{};
  socklen_t len = sizeof addr;
  explicit Listener(int backlog = 128) : fd(::socket(AF_INET, SOCK_STREAM, 0)) {
    addr.sin_family = AF_INET;
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd, at(), len), 0);
    EXPECT_EQ(::listen(fd, backlog), 0);
    EXPECT_EQ(::getsockname(fd, at(), &len), 0);
  }
  ~Listener() { ::close(fd); }
  sockaddr* at() { return reinterpret_cast<sockaddr*>(&addr); }
};

GO_TEST(HookConnect, AndAcceptPark) {
  Listener l;
  std::vector<int> clients;
  EXPECT_TRUE(parks(
      [&](int i) {
        const int c =
            i % 2 == 0 ? ::accept(l.fd, nullptr, nullptr) : ::accept4(l.fd, nullptr, nullptr, SOCK_CLOEXEC);
        EXPECT_GE(c, 0);
        EXPECT_EQ(::fcntl(c, F_GETFL) & O_NONBLOCK, 0);
        ::close(c);
      },
      [&] {
        for (int i = 0; i < 64; ++i) {
          const int c = ::socket(AF_INET, SOCK_STREAM, 0);
          EXPECT_EQ(::connect(c, l.at(), l.len), 0);
          EXPECT_EQ(::fcntl(c, F_GETFL) & O_NONBLOCK, 0);
          clients.push_back(c);
        }
      }));
  for (const int c : clients) ::close(c);
}

GO_TEST(HookConnect, SaysRefused) {
  Listener l;
  const sockaddr_in addr = l.addr;
  ::close(l.fd);
  l.fd = -1;
  const int c = ::socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(::connect(c, reinterpret_cast<const sockaddr*>(&addr), sizeof addr), -1);
  EXPECT_EQ(errno, ECONNREFUSED);
  ::close(c);
}

GO_TEST(HookConnect, WaitsForTheServerOrItsTimeLimit) {
  Listener l(0);  // room for one: further connections wait
  std::vector<int> fds;
  int waited = 0;
  for (int i = 0; i < 4 && waited == 0; ++i) {
    fds.push_back(::socket(AF_INET, SOCK_STREAM, 0));
    const timeval limit{0, 50000};
    ::setsockopt(fds.back(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    const auto t0 = clock::now();
    if (::connect(fds.back(), l.at(), l.len) == 0) continue;
    EXPECT_EQ(errno, EINPROGRESS);
    EXPECT_GE(since(t0), 50);
    ++waited;
  }
  EXPECT_EQ(waited, 1);
  for (const int fd : fds) ::close(fd);
}

GO_TEST(HookAccept, OfNoFileIsAnError) {
  for (const int fd : {-1, 1 << 20}) {
    EXPECT_EQ(::accept(fd, nullptr, nullptr), -1);
    EXPECT_EQ(errno, EBADF);
  }
}

GO_TEST(HookAccept, HasATimeLimit) {
  Listener l;
  const timeval limit{0, 20000};
  ::setsockopt(l.fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  EXPECT_EQ(::accept(l.fd, nullptr, nullptr), -1);
  EXPECT_EQ(errno, EAGAIN);
}

GO_TEST(HookPoll, Parks) {
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    pollfd p[2] = {{-1, POLLIN, 7}, {fd, POLLIN, 0}};
    EXPECT_EQ(::poll(p, 2, -1), 1);
    EXPECT_EQ(p[0].revents, 0);
    EXPECT_EQ(p[1].revents, POLLIN);
  }));
  EXPECT_TRUE(eachParks(Ends::pipe, [](int fd) {
    pollfd p{fd, POLLIN, 0};
    const timespec limit{100, 0};
    EXPECT_EQ(::ppoll(&p, 1, &limit, nullptr), 1);
  }));
}

GO_TEST(HookPoll, ManyFilesOfWhichOneIsReady) {
  std::vector<std::unique_ptr<Ends>> ends;
  std::vector<pollfd> fds;
  for (int i = 0; i < 100; ++i) {
    ends.push_back(std::make_unique<Ends>(i % 2 == 0 ? Ends::socket : Ends::pipe));
    fds.push_back({ends.back()->a, POLLIN, 0});
  }
  for (const std::size_t which : {0u, 57u, 99u}) {
    auto t = gort::spawn([&] { EXPECT_EQ(::poll(fds.data(), fds.size(), -1), 1); });
    chantest::settle();
    EXPECT_EQ(::write(ends[which]->b, "x", 1), 1);
    t.join();
    for (std::size_t i = 0; i < fds.size(); ++i) EXPECT_EQ(fds[i].revents, i == which ? POLLIN : 0);
    char c;
    EXPECT_EQ(::read(ends[which]->a, &c, 1), 1);
  }
}

GO_TEST(HookPoll, TwoDirectionsOfOneFileAreTwoWaits) {
  Ends e;
  ASSERT_EQ(::fcntl(e.a, F_SETFL, O_NONBLOCK), 0);
  const std::string data(1 << 16, 'd');
  while (::write(e.a, data.data(), data.size()) > 0) {
  }
  std::atomic<int> in = 0, out = 0;
  auto reader = gort::spawn([&] {
    pollfd p{e.a, POLLIN, 0};
    in = ::poll(&p, 1, -1);
  });
  auto writer = gort::spawn([&] {
    pollfd p{e.a, POLLOUT, 0};
    out = ::poll(&p, 1, -1);
  });
  chantest::settle();
  EXPECT_EQ(::write(e.b, "x", 1), 1);
  reader.join();
  EXPECT_EQ(in, 1);
  EXPECT_EQ(out, 0);
  std::vector<char> b(1 << 20);
  ASSERT_EQ(::fcntl(e.b, F_SETFL, O_NONBLOCK), 0);
  while (::read(e.b, b.data(), b.size()) > 0) {
  }
  writer.join();
  EXPECT_EQ(out, 1);
}

GO_TEST(HookPoll, TimeIsOver) {
  Ends e;
  pollfd p{e.a, POLLIN, 0};
  const auto t0 = clock::now();
  EXPECT_EQ(::poll(&p, 1, 30), 0);
  EXPECT_GE(since(t0), 30);
  EXPECT_EQ(::poll(&p, 1, 0), 0);
  EXPECT_EQ(::poll(nullptr, 0, 10), 0);
  EXPECT_GE(since(t0), 40);
  const timespec nonsense{0, -1};
  EXPECT_EQ(::ppoll(&p, 1, &nonsense, nullptr), -1);
  EXPECT_EQ(errno, EINVAL);
}

GO_TEST(HookPoll, OrdinaryFilesAreAlwaysReady) {
  FILE* f = std::tmpfile();
  pollfd p{::fileno(f), POLLIN | POLLOUT, 0};
  EXPECT_EQ(::poll(&p, 1, -1), 1);
  EXPECT_EQ(::write(::fileno(f), "abc", 3), 3);
  EXPECT_EQ(::lseek(::fileno(f), 0, SEEK_SET), 0);
  char b[4];
  EXPECT_EQ(::read(::fileno(f), b, 4), 3);
  std::fclose(f);
}

GO_TEST(HookSelect, Parks) {
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    fd_set in, out;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_SET(fd, &in);
    EXPECT_EQ(::select(fd + 1, &in, nullptr, &out, nullptr), 1);
    EXPECT_TRUE(FD_ISSET(fd, &in));
  }));
}

GO_TEST(HookSelect, SaysHowMuchTimeIsLeft) {
  Ends e;
  fd_set in;
  FD_ZERO(&in);
  FD_SET(e.a, &in);
  timeval limit{0, 30000};
  EXPECT_EQ(::select(e.a + 1, &in, nullptr, nullptr, &limit), 0);
  EXPECT_FALSE(FD_ISSET(e.a, &in));
  EXPECT_EQ(limit.tv_sec * 1000000 + limit.tv_usec, 0);
  FD_SET(e.a, &in);
  limit = {100, 0};
  auto t = gort::spawn([&] {
    chantest::settle();
    EXPECT_EQ(::write(e.b, "x", 1), 1);
  });
  EXPECT_EQ(::select(e.a + 1, &in, nullptr, nullptr, &limit), 1);
  EXPECT_GT(limit.tv_sec, 30);
  EXPECT_LT(limit.tv_sec, 100);
  t.join();
  const timespec none{0, 0};
  FD_ZERO(&in);
  EXPECT_EQ(::pselect(e.a + 1, &in, nullptr, nullptr, &none, nullptr), 0);
}

GO_TEST(HookEpoll, Parks) {
  EXPECT_TRUE(eachParks(Ends::socket, [](int fd) {
    const int ep = ::epoll_create1(EPOLL_CLOEXEC);
    epoll_event ev{EPOLLIN, {}};
    ev.data.fd = fd;
    EXPECT_EQ(::epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
    epoll_event got[4];
    EXPECT_EQ(::epoll_wait(ep, got, 4, -1), 1);
    EXPECT_EQ(got[0].data.fd, fd);
    char c;
    EXPECT_EQ(::read(fd, &c, 1), 1);
    EXPECT_EQ(::epoll_wait(ep, got, 4, 5), 0);
    ::close(ep);
  }));
}

GO_TEST(HookFiles, ConnectionsOfTheRuntimeMayBePolledToo) {
  // Its own registration in the netpoller is not touched.
  auto l = gort::net::listen("tcp", "127.0.0.1:0");
  ASSERT_TRUE(l);
  auto client = gort::net::dial("tcp", l->addr().string());
  ASSERT_TRUE(client);
  auto server = l->accept();
  ASSERT_TRUE(server);
  auto t = gort::spawn([&] {
    pollfd p{server->native_handle(), POLLIN, 0};
    EXPECT_EQ(::poll(&p, 1, -1), 1);
    std::byte b[8];
    EXPECT_EQ(server->read(b).value(), 1u);
    ASSERT_TRUE(gort::io::read_full(*server, std::span(b).first(2)));
  });
  chantest::settle();
  EXPECT_EQ(client->write("x").value(), 1u);
  for (int i = 0; i < 3; ++i) chantest::settle();
  EXPECT_EQ(client->write("yz").value(), 2u);
  t.join();
}

GO_TEST(HookFiles, StressOfShortWaitsOnReusedNumbers) {
  // Several goroutines open, exchange, time out and close; nobody is forgotten.
  gort::wait_group wg;
  for (int g = 0; g < 16; ++g) {
    wg.go([g] {
      for (int i = 0; i < 150; ++i) {
        Ends e((g + i) % 3 == 0 ? Ends::pipe : Ends::socket);
        auto peer = gort::spawn([&] {
          if (i % 2 == 0) gort::yield();
          EXPECT_EQ(::write(e.b, "xy", 2), 2);
        });
        pollfd p{e.a, POLLIN, 0};
        if (i % 5 == 0) ::poll(&p, 1, i % 3);
        char b[2];
        EXPECT_EQ(::read(e.a, b, 1), 1);
        EXPECT_EQ(::read(e.a, b, 1), 1);
        peer.join();
      }
    });
  }
  wg.wait();
}

TEST(HookPlain, ThreadsBlockAsAlways) {
  Ends e, p(Ends::pipe);
  std::atomic<bool> looked = false;
  std::thread th([&] {
    char c = 0;
    EXPECT_EQ(::read(e.a, &c, 1), 1);
    pollfd f{p.a, POLLIN, 0};
    EXPECT_EQ(::poll(&f, 1, 10), 0);
    looked = true;
    EXPECT_EQ(::poll(&f, 1, -1), 1);
    EXPECT_EQ(::read(e.a, &c, 1), 0);
    EXPECT_EQ(::read(-1, &c, 1), -1);
    EXPECT_EQ(errno, EBADF);
  });
  EXPECT_EQ(::write(e.b, "x", 1), 1);
  while (!looked) ::usleep(1000);
  EXPECT_EQ(::write(p.b, "x", 1), 1);
  e.closeB();
  th.join();
}

GO_TEST(HookPlain, InsideBlockingTheThreadBlocks) {
  Ends e;
  auto t = gort::spawn([&] {
    gort::blocking([&] {
      char c = 0;
      EXPECT_EQ(::read(e.a, &c, 1), 1);
    });
  });
  chantest::settle();
  EXPECT_EQ(::write(e.b, "x", 1), 1);
  t.join();
}

GO_TEST(HookPlain, AForkedChildHasPlainLibc) {
  Ends e;
  auto waiting = gort::spawn([&] {
    char c;
    EXPECT_EQ(::read(e.a, &c, 1), 0);
  });
  chantest::settle();
  Ends mine;
  const pid_t child = ::fork();
  if (child == 0) {
    char c = 0;
    pollfd p{mine.a, POLLIN, 0};
    if (::write(mine.b, "x", 1) != 1 || ::poll(&p, 1, -1) != 1 || ::read(mine.a, &c, 1) != 1) ::_exit(1);
    if (::poll(&p, 1, 10) != 0 || ::usleep(1000) != 0 || ::close(e.a) != 0) ::_exit(2);
    ::_exit(0);
  }
  int status = -1;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  e.closeB();
  waiting.join();
}

}  // namespace

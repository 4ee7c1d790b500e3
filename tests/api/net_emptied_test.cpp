// SPDX-License-Identifier: Apache-2.0
// Reads that leave out the attempt which would say "not now": Note [A socket that was emptied] in src/sched/netpoll.cpp.
// The peer is a bare socket, so that what comes together can be sent together. Whoever waits here for something that the
// poller has forgotten runs into kLong.
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>

#include "lang/chan_util.hpp"

namespace {

namespace io = gort::io;
namespace net = gort::net;
using chantest::settle;
using namespace std::chrono_literals;

constexpr auto kLong = 60s;

// Two is a conn and its peer. settle() in between lets the poller fetch the events of what was sent.
struct Two {
  Two() {
    auto l = net::listen("tcp", "127.0.0.1:0");
    EXPECT_TRUE(l);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(l->addr().port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    peer = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::connect(peer, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    auto c = l->accept();
    EXPECT_TRUE(c);
    conn.emplace(std::move(*c));
    conn->set_timeout(kLong);
  }
  Two(const Two&) = delete;
  ~Two() { hangUp(); }
  void set(int level, int name, int v) const { EXPECT_EQ(setsockopt(peer, level, name, &v, sizeof v), 0); }
  void send(std::string_view s, int flags = 0) const {
    while (!s.empty()) {
      const ssize_t n = ::send(peer, s.data(), s.size(), flags | MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0) {
        ASSERT_EQ(errno, EAGAIN);
        gort::sleep(100us);
      } else {
        s.remove_prefix(static_cast<std::size_t>(n));
      }
    }
  }
  void hangUp() {
    if (peer >= 0) ::close(peer);
    peer = -1;
  }
  void reset() {
    const linger now{1, 0};
    EXPECT_EQ(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    hangUp();
  }
  // read gives what one read gives, "" at the end, "!" and the message of an error.
  std::string read(std::size_t most = 1000) {
    std::string s(most, 0);
    auto n = conn->read(io::as_writable_bytes(s));
    return n ? s.substr(0, *n) : "!" + n.error().message();
  }
  // readText reads as often as n bytes need.
  std::string readText(std::size_t n) {
    std::string all;
    while (all.size() < n) {
      const std::string s = read();
      if (s.empty() || s[0] == '!') return all + s;
      all += s;
    }
    return all;
  }

  int peer = -1;
  std::optional<net::conn> conn;
};

GO_TEST(EmptiedSocket, EndsWithTheSegmentOfItsLastBytes) {
  for (int i = 0; i < 40; ++i) {
    Two t;
    const bool first = i % 2 == 0;  // it is all there, and its event fetched, before the first read
    t.set(IPPROTO_TCP, TCP_CORK, 1);
    t.send("last");
    auto got = gort::make_chan<std::string>(1);
    if (!first) gort::go([&, got] { got.send(t.readText(4)); });
    if (i % 4 < 2) settle();
    ::shutdown(t.peer, SHUT_WR);
    if (first) {
      settle();
      EXPECT_EQ(t.readText(4), "last");
    } else {
      EXPECT_EQ(*got.recv(), "last");
    }
    EXPECT_EQ(t.read(), "") << i;
    EXPECT_EQ(t.read(), "") << i << ": it stays at its end";
  }
}

GO_TEST(EmptiedSocket, SeesAnEndThatComesLater) {
  Two t;
  t.send("a");
  EXPECT_EQ(t.read(), "a");
  auto got = gort::make_chan<std::string>(1);
  gort::go([&, got] { got.send(t.read()); });
  settle();
  EXPECT_FALSE(got.try_recv());
  t.hangUp();
  EXPECT_EQ(*got.recv(), "");
}

GO_TEST(EmptiedSocket, SeesBytesThatCameBeforeTheWait) {
  Two t;
  for (int i = 0; i < 50; ++i) {
    t.send("abc");
    EXPECT_EQ(t.readText(3), "abc");
    t.send("d");
    if (i % 2 == 0) settle();
    EXPECT_EQ(t.read(), "d");
  }
}

GO_TEST(EmptiedSocket, IsResetWithOrAfterItsBytes) {
  for (int i = 0; i < 20; ++i) {
    Two t;
    t.send("bytes");
    if (i % 2 == 0) {
      EXPECT_EQ(t.readText(5), "bytes");
    }
    t.reset();
    if (i % 3 == 0) settle();
    std::string s;
    do s = t.read();
    while (!s.empty() && s[0] != '!');
    EXPECT_NE(s.find("connection reset"), std::string::npos) << i << ": " << s;
  }
}

// A read stops at the mark of an urgent byte, with bytes behind it: it was short, and there is more.
GO_TEST(EmptiedSocket, GoesOnBehindAnUrgentByte) {
  for (int i = 0; i < 6; ++i) {
    Two t;
    t.send("ab");
    if (i % 3 == 1) {
      EXPECT_EQ(t.readText(2), "ab");
    }
    t.send("X", MSG_OOB);
    t.send("cd");
    if (i < 3) settle();
    EXPECT_EQ(t.readText(i % 3 == 1 ? 2 : 4), i % 3 == 1 ? "cd" : "abcd") << i;
    t.send("ef");
    EXPECT_EQ(t.readText(2), "ef");
    t.hangUp();
    EXPECT_EQ(t.read(), "");
  }
}

GO_TEST(EmptiedSocket, KeepsItsDeadlines) {
  Two t;
  t.send("a");
  EXPECT_EQ(t.read(), "a");
  t.send("b");
  settle();
  t.conn->set_read_deadline(gort::clock::now() - 1s);
  EXPECT_NE(t.read().find("i/o timeout"), std::string::npos) << "though there is something to read";
  EXPECT_NE(t.read().find("i/o timeout"), std::string::npos);
  t.conn->set_read_deadline(gort::clock::now() + kLong);
  EXPECT_EQ(t.read(), "b");
  t.conn->set_read_deadline(gort::clock::now() + 5ms);
  EXPECT_NE(t.read().find("i/o timeout"), std::string::npos) << "nothing comes";
  t.conn->set_read_deadline(gort::clock::now() + kLong);
  t.send("c");
  EXPECT_EQ(t.read(), "c");
}

GO_TEST(EmptiedSocket, IsEndedByItsContextAndByClose) {
  Two t;
  t.send("a");
  EXPECT_EQ(t.read(), "a");
  {
    auto ctx = gort::with_cancel(gort::background());
    const auto bound = t.conn->bind(ctx);
    gort::go([&] {
      settle();
      ctx.cancel();
    });
    EXPECT_NE(t.read().find("canceled"), std::string::npos);
    EXPECT_NE(t.read().find("canceled"), std::string::npos);
  }
  t.send("b");
  EXPECT_EQ(t.read(), "b");
  gort::go([&] {
    settle();
    (void)t.conn->close();
  });
  EXPECT_NE(t.read().find("closed"), std::string::npos);
}

enum class Way { read, readv, readMsg };

gort::result<std::size_t> readIn(net::conn& c, Way way, io::bytes b) {
  if (way == Way::read) return c.read(b);
  if (way == Way::readv) {
    const io::bytes parts[] = {b.first(b.size() / 2), b.subspan(b.size() / 2)};
    return c.readv(parts);
  }
  auto m = c.read_msg(b);
  if (!m) return m.error();
  return m->n;
}

// What another way of reading has left is there for the next one, whichever it is, though its event is used up.
GO_TEST(EmptiedSocket, OtherWaysOfReadingLeaveNothingBehind) {
  for (int i = 0; i < 30; ++i) {
    Two t;
    t.send("ab");
    EXPECT_EQ(t.readText(2), "ab");
    t.send("0123456789");
    if (i % 2 == 0) settle();
    std::byte b[4];
    auto n = readIn(*t.conn, static_cast<Way>(i % 3), b);
    ASSERT_TRUE(n);
    EXPECT_EQ(t.readText(10 - *n), std::string("0123456789").substr(*n)) << i;
    EXPECT_FALSE(::shutdown(t.peer, SHUT_WR));
    EXPECT_EQ(t.read(), "");
  }
}

// Whoever reads it by its number may leave something; an urgent byte that he takes is seen by no event.
GO_TEST(EmptiedSocket, OthersMayReadPartOfWhatCame) {
  Two t;
  t.send("a");
  EXPECT_EQ(t.read(), "a");
  const int copy = ::dup(t.conn->native_handle());
  char c[3];
  t.send("bcd");
  EXPECT_EQ(::recv(copy, c, 2, 0), 2);
  EXPECT_EQ(t.read(), "d");
  t.send("e");
  t.send("X", MSG_OOB);
  t.send("f");
  while (::recv(copy, c, 1, MSG_OOB) != 1) gort::yield();
  settle();
  EXPECT_EQ(t.readText(2), "ef");
  ::close(copy);
}

// callsToRead is how many system calls this process has made that read, sockets by readv included; -1: not told.
long callsToRead() {
  char text[512] = {};
  const int fd = ::open("/proc/self/io", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t n = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  const char* at = n > 0 ? std::strstr(text, "syscr: ") : nullptr;
  return at != nullptr ? std::atol(at + 7) : -1;
}

GO_TEST(EmptiedSocket, IsReadOnceForEachMessage) {
  const char* debug = std::getenv("GODEBUG");
  if (debug != nullptr && std::strstr(debug, "chaos") != nullptr) GTEST_SKIP() << "chaos tries more often";
  if (callsToRead() < 0) GTEST_SKIP() << "no /proc/self/io here";
  auto l = net::listen("tcp", "127.0.0.1:0");
  ASSERT_TRUE(l);
  auto client = net::dial("tcp", l->addr().string());
  auto server = l->accept();
  ASSERT_TRUE(client && server);
  const auto readSome = [](net::conn& c) {
    std::byte b[100];
    const io::bytes all[] = {b};
    return c.readv(all).value_or(0);
  };
  constexpr long kRounds = 500;
  gort::wait_group wg;
  wg.go([&] {
    while (readSome(*server) == 1) (void)server->write("y");
  });
  const long before = callsToRead();
  for (long i = 0; i < kRounds; ++i) {
    ASSERT_TRUE(client->write("x"));
    ASSERT_EQ(readSome(*client), 1u);
  }
  const long calls = callsToRead() - before;
  EXPECT_GE(calls, 2 * kRounds);
  EXPECT_LT(calls, 2 * kRounds + kRounds / 2);
  (void)client->close();
  wg.wait();
}

// Writers that send any number of bytes, pause or not, and go away in any way, at any moment; readers with rooms of any
// size who read in any way.
char byteAt(std::size_t i) { return static_cast<char>('a' + (i * 7 + i / 251) % 26); }

std::size_t sendAtRandom(Two& t, std::mt19937_64& rnd) {
  std::size_t sent = 0;
  std::string s;
  for (std::size_t k = rnd() % 40; k > 0; --k) {
    s.resize(1 + rnd() % (rnd() % 4 == 0 ? 20000 : 100));
    for (char& c : s) c = byteAt(sent++);
    t.send(s, rnd() % 5 == 0 ? MSG_MORE : 0);
    if (rnd() % 3 == 0) gort::yield();
    if (rnd() % 6 == 0) gort::sleep(std::chrono::microseconds(rnd() % 300));
  }
  return sent;
}

std::string readAtRandom(Two& t, std::mt19937_64& rnd, std::string& why) {
  std::string all, room;
  for (;;) {
    room.resize(1 + rnd() % (rnd() % 2 == 0 ? 10 : 8000));
    const Way way = static_cast<Way>(rnd() % 3);
    auto n = readIn(*t.conn, rnd() % 2 == 0 ? way : Way::read, io::as_writable_bytes(room));
    if (!n) why = n.error().message();
    if (!n || *n == 0) return all;
    all.append(room, 0, *n);
    if (rnd() % 8 == 0) gort::yield();
  }
}

GO_TEST(EmptiedSocket, StressOfWritersThatGoAwayAtRandom) {
  const auto seed = chantest::seed();
  gort::wait_group wg;
  gort::semaphore room(8);
  for (std::uint64_t i = 0; i < 240; ++i) {
    room.acquire();
    wg.go([&, i] {
      std::mt19937_64 rnd(seed + i);
      const bool reset = rnd() % 4 == 0, half = rnd() % 2 == 0;
      Two t;
      t.set(SOL_SOCKET, SO_SNDBUF, 4 << 20);
      auto sent = gort::make_chan<std::size_t>(1);
      gort::go([&t, sent, reset, half, mine = std::mt19937_64(seed + 1000 + i)]() mutable {
        const std::size_t n = sendAtRandom(t, mine);
        if (reset) {
          t.reset();
        } else if (half) {
          ::shutdown(t.peer, SHUT_WR);
        } else {
          t.hangUp();
        }
        sent.send(n);
      });
      std::string why;
      const std::string all = readAtRandom(t, rnd, why);
      const std::size_t n = *sent.recv();
      EXPECT_EQ(why.find("timeout"), why.npos) << i << ": forgotten after " << all.size() << " of " << n;
      if (reset) {
        EXPECT_NE(why.find("connection reset"), why.npos) << i << ' ' << why;
      } else {
        EXPECT_EQ(why, "") << i;
        EXPECT_EQ(all.size(), n) << i;
      }
      bool right = all.size() <= n;
      for (std::size_t k = 0; k < all.size(); ++k) right = right && all[k] == byteAt(k);
      EXPECT_TRUE(right) << i;
      room.release();
    });
  }
  wg.wait();
}

}  // namespace

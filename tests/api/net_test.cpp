// SPDX-License-Identifier: Apache-2.0
// net: rules of include/gort/net.hpp as sentences. Ideas carried over, in our own words, from Go's
// net/{net,timeout,dial,listen,unixsock,udpsock,ip}_test.go.
#include <gort/net.hpp>

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

#include "api/net_util.hpp"
#include "lang/chan_util.hpp"

namespace {

namespace io = gort::io;
namespace net = gort::net;
using chantest::settle;
using gort::clock;
using gort::errc;
using namespace nettest;
using namespace std::chrono_literals;

// Server accepts until it goes away, then waits for everything it has started.
class Server {
 public:
  template <class F>
  Server(net::listener l, F serve) : l_(std::move(l)) {
    wg_.go([this, serve] {
      while (auto c = l_.accept()) wg_.go([c = std::move(*c), serve]() mutable { serve(c); });
    });
  }
  ~Server() { (void)l_.close(); }  // and wg_ waits
  [[nodiscard]] net::address addr() const { return l_.addr(); }

 private:
  net::listener l_;
  gort::wait_group wg_;
};

// ---- addresses

TEST(Ip, TextAndBack) {
  for (const char* text :
       {"0.0.0.0", "192.0.2.1", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1%lo"}) {
    auto a = net::ip::parse(text);
    ASSERT_TRUE(a) << text;
    EXPECT_EQ(a->string(), text);
  }
  EXPECT_TRUE(net::ip::parse("127.9.9.9")->is_loopback());
  EXPECT_TRUE(net::ip::parse("::1")->is_loopback());
  EXPECT_TRUE(net::ip().is_unspecified());
  EXPECT_NE(*net::ip::parse("0.0.0.0"), *net::ip::parse("::"));
  EXPECT_EQ(net::ip::v4({1, 2, 3, 4}).string(), "1.2.3.4");
}

TEST(Ip, NonsenseIsNamed) {
  for (const char* text :
       {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "::g", "1.2.3.4%lo", "fe80::1%", "[::1]", "x"}) {
    auto a = net::ip::parse(text);
    ASSERT_FALSE(a) << text;
    EXPECT_EQ(a.error(), errc::bad_address);
    EXPECT_NE(a.error().message().find(std::string("\"") + text + '"'), std::string::npos)
        << a.error().message();
  }
}

TEST(Address, TextAndBack) {
  for (const char* text : {"192.0.2.1:80", "[::1]:0", "[2001:db8::1]:65535"}) {
    auto a = net::address::parse(text);
    ASSERT_TRUE(a) << text;
    EXPECT_EQ(a->string(), text);
  }
  EXPECT_LT(*net::address::parse("1.2.3.4:1"), *net::address::parse("1.2.3.4:2"));
  for (const char* text :
       {"", "80", "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:x", "::1:80", "host:80"}) {
    EXPECT_FALSE(net::address::parse(text)) << text;
  }
  EXPECT_EQ(net::address::unix_path("/tmp/s").string(), "/tmp/s");
}

TEST(Network, FromConfiguration) {
  EXPECT_EQ(net::network::parse("tcp6")->value(), net::network::tcp6);
  EXPECT_EQ(net::network::parse("unixpacket")->string(), "unixpacket");
  auto n = net::network::parse("tpc");
  ASSERT_FALSE(n);
  EXPECT_NE(n.error().message().find("tpc"), std::string::npos);
}

// ---- streams

GO_TEST(Conn, WhatIsWrittenIsRead) {
  Pair p = connected();
  ASSERT_TRUE(p.client.write("hello "));
  const std::string_view parts[] = {"w", "", "orld"};
  const io::const_bytes v[] = {io::as_bytes(parts[0]), io::as_bytes(parts[1]), io::as_bytes(parts[2])};
  EXPECT_EQ(*p.client.writev(v), 5u);
  EXPECT_FALSE(p.client.close_write());
  EXPECT_EQ(readAll(p.server), "hello world");
  ASSERT_TRUE(p.server.write("answer")) << "half closed: the other way is open";
  EXPECT_FALSE(p.server.close());
  EXPECT_EQ(readAll(p.client), "answer");
}

GO_TEST(Conn, ReadvFillsPartsInOrder) {
  Pair p = connected();
  ASSERT_TRUE(p.client.write("abcdef"));
  char a[2], b[10];
  const io::bytes v[] = {std::as_writable_bytes(std::span(a)), std::as_writable_bytes(std::span(b))};
  std::size_t n = 0;
  while (n < 6) {
    auto r = p.server.readv(v);
    ASSERT_TRUE(r);
    n += *r;
    if (n == 6 && *r == 6) {
      EXPECT_EQ(std::string(a, 2), "ab");
      EXPECT_EQ(std::string(b, 4), "cdef");
    }
  }
}

GO_TEST(Conn, ALargeWriteWaitsForItsReader) {
  Pair p = connected();
  std::string big(std::size_t{8} << 20, 0);
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 31 + i / 4096);
  gort::go([&] {
    EXPECT_EQ(*p.client.write(big), big.size());
    EXPECT_FALSE(p.client.close_write());
  });
  EXPECT_TRUE(readAll(p.server) == big);
}

GO_TEST(Conn, AddressesAgree) {
  Pair p = connected();
  EXPECT_EQ(p.client.local_addr(), p.server.remote_addr());
  EXPECT_EQ(p.client.remote_addr(), p.server.local_addr());
  EXPECT_GE(p.client.native_handle(), 0);
  EXPECT_FALSE(p.client.close());
  EXPECT_EQ(p.client.native_handle(), -1);
}

GO_TEST(Conn, ATimeoutNamesEverything) {
  Pair p = connected();
  p.server.set_timeout(2ms);
  char c;
  auto n = p.server.read(std::as_writable_bytes(std::span(&c, 1)));
  ASSERT_FALSE(n);
  EXPECT_TRUE(n.error().timeout());
  EXPECT_EQ(n.error(), errc::io_timeout);
  EXPECT_EQ(n.error().message(), "read tcp " + p.server.local_addr().string() + "->" +
                                     p.server.remote_addr().string() + ": i/o timeout");
  p.server.set_deadline(net::no_deadline);
  ASSERT_TRUE(p.client.write("x"));
  EXPECT_EQ(*p.server.read(std::as_writable_bytes(std::span(&c, 1))), 1u);
}

GO_TEST(Conn, AWriteTimesOutToo) {
  Pair p = connected();
  p.client.set_write_deadline(clock::now() + 20ms);
  const std::string big(std::size_t{64} << 20, 'x');
  auto n = p.client.write(big);
  ASSERT_FALSE(n);
  EXPECT_TRUE(n.error().timeout());
}

GO_TEST(Conn, CloseWakesReaderAndWriter) {
  Pair p = connected();
  auto ended = gort::make_chan<gort::error>(2);
  gort::go([&, ended] {
    char c;
    ended.send(p.server.read(std::as_writable_bytes(std::span(&c, 1))).error());
  });
  gort::go([&, ended] { ended.send(p.server.write(std::string(std::size_t{64} << 20, 'x')).error()); });
  settle();
  EXPECT_FALSE(p.server.close());
  EXPECT_EQ(*ended.recv(), errc::closed);
  EXPECT_EQ(*ended.recv(), errc::closed);
  EXPECT_EQ(p.server.close(), errc::closed) << "closing twice is an error";
  EXPECT_EQ(p.server.write("x").error(), errc::closed);
}

GO_TEST(Conn, AResetIsAnErrorNotAnEnd) {
  Pair p = connected();
  const linger now{1, 0};
  setsockopt(p.client.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  EXPECT_FALSE(p.client.close());
  char c;
  auto n = p.server.read(std::as_writable_bytes(std::span(&c, 1)));
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error(), std::errc::connection_reset);
  EXPECT_NE(n.error().message().find("connection reset by peer"), std::string::npos) << n.error().message();
  auto w = p.server.write("x");
  ASSERT_FALSE(w) << "and writing is no signal";
}

GO_TEST(Conn, AContextEndsItsCalls) {
  Pair p = connected();
  auto ctx = gort::with_cancel(gort::background());
  const auto guard = p.server.bind(ctx);
  gort::go([&] {
    settle();
    ctx.cancel();
  });
  char c;
  auto n = p.server.read(std::as_writable_bytes(std::span(&c, 1)));
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error(), errc::canceled);
  EXPECT_NE(n.error().message().find("read tcp"), std::string::npos) << n.error().message();
}

GO_TEST(Conn, OptionsAreTaken) {
  Pair p = connected();
  EXPECT_FALSE(p.client.set_no_delay(false));
  EXPECT_FALSE(p.client.set_no_delay(true));
  EXPECT_FALSE(p.client.set_keep_alive(30s));
  EXPECT_FALSE(p.client.set_keep_alive(0s));
  EXPECT_FALSE(p.client.close());
  EXPECT_EQ(p.client.set_no_delay(true), errc::closed);
}

GO_TEST(Conn, EchoWithManyGoroutines) {
  const Server l(listenLocal(), [](net::conn& c) {
    char buf[256];
    for (;;) {
      auto n = c.read(std::as_writable_bytes(std::span(buf)));
      if (!n || *n == 0 || !c.write(std::string_view(buf, *n))) return;
    }
  });
  gort::wait_group wg;
  std::atomic<int> good{0};
  for (int i = 0; i < 50; ++i) {
    wg.go([&, i] {
      auto c = net::dial("tcp", l.addr().string());
      ASSERT_TRUE(c) << c.error().message();
      for (int k = 0; k < 50; ++k) {
        const std::string msg = "message " + std::to_string(i * 1000 + k);
        ASSERT_TRUE(c->write(msg));
        std::string back(msg.size(), 0);
        ASSERT_TRUE(io::read_full(*c, io::as_writable_bytes(back)));
        good += back == msg;
      }
    });
  }
  wg.wait();
  EXPECT_EQ(good.load(), 2500);
}

TEST(Conn, WorksOnAForeignThread) {
  std::string got;
  std::thread t([&] {
    net::listener l = listenLocal();
    std::thread client([&] {
      auto c = net::dial("tcp", l.addr().string());
      ASSERT_TRUE(c) << c.error().message();
      EXPECT_TRUE(c->write("from a thread"));
    });
    auto c = l.accept();
    ASSERT_TRUE(c);
    got = readAll(*c);
    client.join();
  });
  t.join();
  EXPECT_EQ(got, "from a thread");
}

// ---- listening and dialling

GO_TEST(Listener, ClosingWakesEveryAccept) {
  net::listener l = listenLocal();
  auto ended = gort::make_chan<gort::error>(3);
  for (int i = 0; i < 3; ++i) {
    gort::go([&, ended] { ended.send(l.accept().error()); });
  }
  settle();
  EXPECT_FALSE(l.close());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*ended.recv(), errc::closed);
}

GO_TEST(Listener, AContextEndsOneAcceptAndNoOther) {
  net::listener l = listenLocal();
  auto accepted = gort::make_chan<bool>(1);
  gort::go([&, accepted] { accepted.send(l.accept().has_value()); });
  settle();
  auto ctx = gort::with_timeout(gort::background(), 5ms);
  auto c = l.accept(ctx);
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error(), errc::deadline_exceeded) << c.error().message();
  auto d = net::dial("tcp", l.addr().string());
  ASSERT_TRUE(d);
  EXPECT_TRUE(*accepted.recv());
}

GO_TEST(Listener, BothFamiliesOnOnePort) {
  const Server l(listenLocal("tcp", ":0"), [](net::conn&) {});
  const std::string port = ":" + std::to_string(l.addr().port());
  EXPECT_TRUE(net::dial("tcp4", "127.0.0.1" + port));
  if (!l.addr().ip().is_v4()) {
    EXPECT_TRUE(net::dial("tcp6", "[::1]" + port));
  }
  EXPECT_FALSE(net::listen("tcp", port)) << "taken";
  EXPECT_EQ(net::listen("tcp", port).error(), std::errc::address_in_use);
}

GO_TEST(Listener, OutOfDescriptorsItWaitsAndGoesOn) {
  net::listener l = listenLocal();
  auto c = net::dial("tcp", l.addr().string());
  ASSERT_TRUE(c);
  rlimit old{};
  getrlimit(RLIMIT_NOFILE, &old);
  const int used = dup(0);
  ::close(used);
  rlimit tight = old;
  tight.rlim_cur = static_cast<rlim_t>(used);
  setrlimit(RLIMIT_NOFILE, &tight);
  auto accepted = gort::make_chan<bool>(1);
  gort::go([&, accepted] { accepted.send(l.accept().has_value()); });
  gort::sleep(30ms);
  EXPECT_FALSE(accepted.try_recv());
  setrlimit(RLIMIT_NOFILE, &old);
  EXPECT_TRUE(*accepted.recv());
}

GO_TEST(Dial, ARefusalNamesEverything) {
  std::string where;
  {
    const net::listener l = listenLocal();
    where = l.addr().string();
  }
  auto c = net::dial("tcp", where);
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error().message(), "dial tcp " + where + ": connect: connection refused");
  EXPECT_EQ(c.error(), std::errc::connection_refused);
  EXPECT_FALSE(c.error().timeout());
}

GO_TEST(Dial, TimeIsBounded) {
  // A listener whose queue is full does not answer.
  auto l = net::listen("tcp", "127.0.0.1:0", {.backlog = 1});
  ASSERT_TRUE(l);
  std::vector<net::conn> waiting;
  for (int i = 0; i < 64; ++i) {
    const auto begin = clock::now();
    auto c = net::dial("tcp", l->addr().string(), {.timeout = 30ms});
    if (c) {
      waiting.push_back(std::move(*c));
      continue;
    }
    EXPECT_TRUE(c.error().timeout()) << c.error().message();
    EXPECT_GE(clock::now() - begin, 30ms);
    return;
  }
  FAIL() << "the queue never filled";
}

GO_TEST(Dial, AContextEndsIt) {
  auto ctx = gort::with_cancel(gort::background());
  ctx.cancel();
  auto c = net::dial(ctx, "tcp", "127.0.0.1:1");
  ASSERT_FALSE(c);
  EXPECT_EQ(c.error(), errc::canceled);
  EXPECT_EQ(c.error().message(), "dial tcp 127.0.0.1:1: context canceled");
}

GO_TEST(Dial, BadAddressesAreNamed) {
  for (const char* bad : {"", "localhost", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "::1:80"}) {
    auto c = net::dial("tcp", bad);
    ASSERT_FALSE(c) << bad;
    EXPECT_EQ(c.error(), errc::bad_address) << c.error().message();
  }
}

GO_TEST(Dial, NamesAreLookedUp) {
  const Server l(listenLocal(), [](net::conn&) {});
  auto c = net::dial("tcp", "localhost:" + std::to_string(l.addr().port()));
  EXPECT_TRUE(c) << c.error().message();
  auto none = net::dial("tcp", "no-such-host.invalid:80");
  ASSERT_FALSE(none);
  EXPECT_EQ(
      none.error().message().rfind("dial tcp no-such-host.invalid:80: lookup no-such-host.invalid: ", 0), 0u)
      << none.error().message();
  auto ips = net::lookup_ip(gort::background(), "localhost");
  ASSERT_TRUE(ips);
  for (const net::ip& a : *ips) EXPECT_TRUE(a.is_loopback()) << a.string();
}

// ---- Unix sockets and datagrams

GO_TEST(Unix, StreamsAndThePathGoesAway) {
  char dir[] = "/tmp/gort-net-XXXXXX";
  ASSERT_NE(mkdtemp(dir), nullptr);
  const std::string path = std::string(dir) + "/s";
  {
    net::listener l = listenLocal("unix", path);
    Pair p = connected(l, "unix");
    ASSERT_TRUE(p.client.write("u"));
    EXPECT_FALSE(p.client.close_write());
    EXPECT_EQ(readAll(p.server), "u");
    EXPECT_EQ(p.client.remote_addr().path(), path);
    EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
  auto c = net::dial("unix", path);
  EXPECT_EQ(c.error().message(), "dial unix " + path + ": connect: no such file or directory");
  EXPECT_FALSE(net::listen("unix", std::string(200, 'p'))) << "too long a path";
  rmdir(dir);
}

GO_TEST(Unix, AbstractNamesNeedNoFile) {
  net::listener l = listenLocal("unix", "@gort-net-test-" + std::to_string(getpid()));
  Pair p = connected(l, "unix");
  ASSERT_TRUE(p.server.write("abstract"));
  EXPECT_FALSE(p.server.close());
  EXPECT_EQ(readAll(p.client), "abstract");
}

GO_TEST(Packets, GoBothWays) {
  auto a = net::listen_packet("udp", "127.0.0.1:0"), b = net::listen_packet("udp", "127.0.0.1:0");
  ASSERT_TRUE(a && b);
  ASSERT_TRUE(a->write_to(io::as_bytes("ping"), b->local_addr()));
  char buf[16];
  auto got = b->read_from(std::as_writable_bytes(std::span(buf)));
  ASSERT_TRUE(got);
  EXPECT_EQ(std::string(buf, got->n), "ping");
  EXPECT_EQ(got->from, a->local_addr());
  b->set_read_deadline(clock::now() + 2ms);
  EXPECT_TRUE(b->read_from(std::as_writable_bytes(std::span(buf))).error().timeout());
  auto c = net::dial("udp", a->local_addr().string());
  ASSERT_TRUE(c) << c.error().message();
  ASSERT_TRUE(c->write("pong"));
  EXPECT_EQ(a->read_from(std::as_writable_bytes(std::span(buf)))->n, 4u);
}

// ---- io

GO_TEST(Io, BufferedReadsLines) {
  Pair p = connected();
  ASSERT_TRUE(p.client.write("one\ntwo\nrest"));
  EXPECT_FALSE(p.client.close());
  io::buffered in(p.server, 16);
  EXPECT_EQ(*in.read_until('\n'), "one\n");
  EXPECT_EQ(*in.read_until('\n'), "two\n");
  EXPECT_EQ(in.read_until('\n').error(), errc::eof);
  char buf[8];
  EXPECT_EQ(*in.read(std::as_writable_bytes(std::span(buf))), 4u) << "what came before the end is kept";
}

GO_TEST(Io, ALineHasALimit) {
  Pair p = connected();
  ASSERT_TRUE(p.client.write(std::string(5000, 'a')));
  io::buffered in(p.server);
  EXPECT_EQ(in.read_until('\n', 4096).error(), std::errc::message_size);
}

GO_TEST(Io, CopyMovesEverything) {
  Pair p = connected(), q = connected();
  gort::go([&] {
    EXPECT_TRUE(p.client.write(std::string(200000, 'c')));
    EXPECT_FALSE(p.client.close_write());
  });
  auto sink = gort::make_chan<std::size_t>(1);
  gort::go([&, sink] { sink.send(readAll(q.server).size()); });
  EXPECT_EQ(*io::copy(q.client, p.server), 200000u);
  EXPECT_FALSE(q.client.close());
  EXPECT_EQ(*sink.recv(), 200000u);
}

GO_TEST(Io, ReadFullTellsTheEndFromTheMiddle) {
  Pair p = connected();
  ASSERT_TRUE(p.client.write("abc"));
  EXPECT_FALSE(p.client.close());
  char b[2];
  EXPECT_EQ(*io::read_full(p.server, std::as_writable_bytes(std::span(b))), 2u);
  auto e = io::read_full(p.server, std::as_writable_bytes(std::span(b))).error();
  EXPECT_EQ(e, errc::eof);
  EXPECT_EQ(e.message(), "unexpected: EOF");
  EXPECT_EQ(io::read_full(p.server, std::as_writable_bytes(std::span(b))).error().message(), "EOF");
}

// ---- nothing is left behind

GO_TEST(Net, TwoThousandConnectionsLeaveNothing) {
  const Server l(listenLocal(), [](net::conn& c) { (void)c.write("bye"); });
  for (int i = 0; i < 10; ++i) (void)net::dial("tcp", l.addr().string());
  const int before = openFiles();
  const auto goroutines = gort::runtime::num_goroutine();
  for (int i = 0; i < 2000; ++i) {
    auto c = net::dial("tcp", l.addr().string());
    ASSERT_TRUE(c) << c.error().message();
    c->set_timeout(10s);
    EXPECT_EQ(readAll(*c), "bye");
  }
  for (int i = 0; i < 1000 && (openFiles() > before || gort::runtime::num_goroutine() > goroutines); ++i) {
    gort::sleep(1ms);
  }
  EXPECT_LE(openFiles(), before);
  EXPECT_LE(gort::runtime::num_goroutine(), goroutines);
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// net: contexts bound to a conn, files sent, descriptors passed, deadlines of listeners; rules of include/gort/net.hpp as
// sentences. Ideas carried over, in our own words, from Go's net/{sendfile,unixsock,timeout}_test.go.
#include <gort/net.hpp>
#include <gort/os.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "api/net_util.hpp"
#include "lang/chan_util.hpp"

namespace {

namespace io = gort::io;
namespace net = gort::net;
namespace os = gort::os;
using chantest::settle;
using gort::clock;
using gort::errc;
using namespace nettest;
using namespace std::chrono_literals;

// The name is abstract: it leaves nothing behind.
Pair unixPair(net::network n = "unix") {
  static int count = 0;
  return connected(n, "@gort-net-msg-" + std::to_string(::getpid()) + '-' + std::to_string(++count));
}

gort::error readOne(net::conn& c) {
  char b;
  return c.read(std::as_writable_bytes(std::span(&b, 1))).error();
}

// ---- bound contexts

GO_TEST(NetBind, TheErrorIsTheContexts) {
  Pair p = connected();
  auto ctx = gort::with_timeout(gort::background(), 5ms);
  auto b = p.server.bind(ctx);
  EXPECT_EQ(readOne(p.server), errc::deadline_exceeded);
  EXPECT_EQ(p.server.write("x").error(), errc::deadline_exceeded);
}

GO_TEST(NetBind, HoldsForLaterCallsUntilTheBindingGoes) {
  Pair p = connected();
  {
    auto ctx = gort::with_cancel(gort::background());
    auto b = p.server.bind(ctx);
    ctx.cancel();
    EXPECT_EQ(readOne(p.server), errc::canceled);
    p.server.set_timeout(10s);
    EXPECT_EQ(readOne(p.server), errc::canceled) << "a deadline does not take it back";
    EXPECT_FALSE(b.stop());
  }
  (void)p.client.write("x");
  EXPECT_FALSE(readOne(p.server));
}

GO_TEST(NetBind, AContextThatGoesOnDoesNothing) {
  Pair p = connected();
  auto ctx = gort::with_cancel(gort::background());
  {
    auto b = p.server.bind(ctx);
    EXPECT_TRUE(b.stop());
  }
  ctx.cancel();
  settle();
  (void)p.client.write("x");
  EXPECT_FALSE(readOne(p.server));
}

GO_TEST(NetBind, OfSeveralContextsTheFirstEndCounts) {
  Pair p = connected();
  auto one = gort::with_cancel(gort::background());
  auto two = gort::with_timeout(gort::background(), 1h);
  auto a = p.server.bind(one);
  {
    auto b = p.server.bind(two);
    two.cancel();
    EXPECT_EQ(readOne(p.server), errc::canceled);
  }
  (void)p.client.write("x");
  EXPECT_FALSE(readOne(p.server));
  one.cancel();
  EXPECT_EQ(readOne(p.server), errc::canceled);
}

// The end of a context, a deadline being set and the reader meet in every order.
GO_TEST(NetBind, NoEndIsLostAmongDeadlines) {
  Pair p = connected();
  for (int i = 0; i < 500; ++i) {
    auto ctx = gort::with_cancel(gort::background());
    auto b = p.server.bind(ctx);
    auto t = gort::spawn([&] { return readOne(p.server); });
    auto d = gort::spawn([&] {
      for (int k = 0; k < 5; ++k) p.server.set_deadline(clock::now() + 1h);
    });
    if (i % 3 == 0) gort::yield();
    ctx.cancel();
    d.join();
    ASSERT_EQ(t.join(), errc::canceled) << i;
  }
}

GO_TEST(NetBind, TheConnMayGoFirst) {
  auto ctx = gort::with_cancel(gort::background());
  std::optional<net::binding> b;
  {
    Pair p = connected();
    b.emplace(p.server.bind(ctx));
  }
  ctx.cancel();
  settle();
  b.reset();
}

// ---- listeners

GO_TEST(NetListener, ADeadlineEndsAccept) {
  auto l = net::listen("tcp", "127.0.0.1:0");
  l->set_deadline(clock::now() + 5ms);
  auto c = l->accept();
  ASSERT_FALSE(c);
  EXPECT_TRUE(c.error().timeout()) << c.error().message();
  auto ctx = gort::with_cancel(gort::background());
  EXPECT_TRUE(l->accept(ctx).error().timeout()) << "it stays in force";
  l->set_deadline(net::no_deadline);
  auto t = gort::spawn([&] { return l->accept(); });
  auto client = net::dial("tcp", l->addr().string());
  EXPECT_TRUE(t.join());
}

GO_TEST(NetListener, AContextsEndLeavesTheDeadlineAndTheOthersAlone) {
  auto l = net::listen("tcp", "127.0.0.1:0");
  l->set_deadline(clock::now() + 10s);
  auto ctx = gort::with_cancel(gort::background());
  auto gone = gort::spawn([&] { return l->accept(ctx); });
  auto stays = gort::spawn([&] { return l->accept(); });
  settle();
  ctx.cancel();
  EXPECT_EQ(gone.join().error(), errc::canceled);
  auto client = net::dial("tcp", l->addr().string());
  EXPECT_TRUE(stays.join());
  l->set_deadline(clock::now());
  EXPECT_TRUE(l->accept().error().timeout());
}

// ---- files

os::file fileWith(const std::string& text) {
  char path[] = "/tmp/gort-net-XXXXXX";
  auto f = os::adopt(::mkostemp(path, O_CLOEXEC), path);
  ::unlink(path);
  EXPECT_TRUE(f) << f.error().message();
  (void)f->write(text);
  (void)f->seek(0);
  return std::move(*f);
}

std::string someText(std::size_t n) {
  std::string s(n, ' ');
  for (std::size_t i = 0; i < n; ++i) s[i] = static_cast<char>('a' + i * 7 % 26);
  return s;
}

GO_TEST(NetFile, APartOfAFileIsSent) {
  const std::string text = someText(100000);
  os::file f = fileWith(text);
  Pair p = connected();
  auto got = gort::spawn([&] { return readAll(p.client); });
  EXPECT_EQ(*p.server.send_file(f, 10, 50000), 50000u);
  EXPECT_EQ(*p.server.send_file(f, 99990, 50000), 10u);  // ends with the file
  EXPECT_EQ(*p.server.send_file(f, 200000, 1), 0u);
  EXPECT_EQ(*f.seek(0, os::seek_from::current), 0u);
  (void)p.server.close();
  EXPECT_EQ(got.join(), text.substr(10, 50000) + text.substr(99990));
}

GO_TEST(NetFile, CopySendsAFileFromItsOffset) {
  const std::string text = someText(3 << 20);  // more than any socket holds
  os::file f = fileWith(text);
  (void)f.seek(5);
  Pair p = connected();
  auto got = gort::spawn([&] { return readAll(p.client); });
  EXPECT_EQ(*io::copy(p.server, f), text.size() - 5);
  EXPECT_EQ(*f.seek(0, os::seek_from::current), text.size());
  (void)p.server.close();
  EXPECT_EQ(got.join(), text.substr(5));
}

GO_TEST(NetFile, CopyTakesPipesToo) {
  auto ends = os::pipe();
  Pair p = connected();
  (void)ends->writer.write("through a pipe");
  (void)ends->writer.close();
  EXPECT_EQ(*io::copy(p.server, ends->reader), 14u);
  (void)p.server.close();
  EXPECT_EQ(readAll(p.client), "through a pipe");
}

// sendfile knows no MSG_NOSIGNAL, and SIGPIPE has its default here.
GO_TEST(NetFile, AClosedPeerIsAnErrorAndNoSignal) {
  os::file f = fileWith(someText(1 << 20));
  Pair p = unixPair();
  (void)p.client.close();
  auto n = p.server.send_file(f, 0, 1 << 20);
  ASSERT_FALSE(n);
  EXPECT_EQ(n.error(), std::errc::broken_pipe) << n.error().message();
}

// ---- descriptors

GO_TEST(NetFds, APipeEndTravelsOverAUnixSocket) {
  Pair p = unixPair();
  auto ends = os::pipe();
  const int fd = ends->writer.native_handle();
  EXPECT_EQ(*p.client.write_msg(io::as_bytes("take this"), {&fd, 1}), 9u);
  std::array<std::byte, 100> room;
  auto m = p.server.read_msg(room);
  ASSERT_TRUE(m) << m.error().message();
  EXPECT_EQ(m->n, 9u);
  ASSERT_EQ(m->fds.size(), 1u);
  EXPECT_NE(::fcntl(m->fds[0].get(), F_GETFD) & FD_CLOEXEC, 0);
  auto w = os::adopt(m->fds[0].release(), "received");
  (void)w->write("hello");
  std::array<std::byte, 5> b;
  EXPECT_EQ(*io::read_full(ends->reader, b), 5u);
}

GO_TEST(NetFds, NoneIsLeakedHoweverItIsRead) {
  const int before = openFiles();
  for (const net::network n : {net::network("unix"), net::network("unixpacket")}) {
    Pair p = unixPair(n);
    const std::vector<int> many(253, 0);
    std::array<std::byte, 1> tiny;
    (void)p.client.write_msg(io::as_bytes("abc"), many);
    EXPECT_EQ(p.server.read_msg(tiny)->fds.size(), 253u);  // one byte of three, and all descriptors
    (void)p.client.write_msg(io::as_bytes("abc"), many);
    for (int i = 0; i < 5; ++i) {  // a plain read drops them
      p.server.set_timeout(20ms);
      (void)p.server.read(tiny);
    }
    (void)p.client.write_msg(io::as_bytes("never read"), many);
  }
  settle();
  EXPECT_EQ(openFiles(), before);
}

GO_TEST(NetFds, ALargeMessageIsWrittenWhole) {
  Pair p = unixPair();
  const std::string text = someText(1 << 20);
  const int fd = 0;
  auto t = gort::spawn([&] { return p.client.write_msg(io::as_bytes(text), {&fd, 1}); });
  std::string all;
  std::size_t fds = 0;
  std::vector<std::byte> room(65536);
  while (all.size() < text.size()) {
    auto m = p.server.read_msg(room);
    ASSERT_TRUE(m);
    all.append(reinterpret_cast<const char*>(room.data()), m->n);
    fds += m->fds.size();
  }
  EXPECT_EQ(*t.join(), text.size());
  EXPECT_EQ(all, text);
  EXPECT_EQ(fds, 1u);
  (void)p.client.close();
  auto end = p.server.read_msg(room);
  EXPECT_EQ(end->n, 0u);
  EXPECT_TRUE(end->fds.empty());
}

GO_TEST(NetFds, OnlyUnixSocketsCarryThem) {
  Pair p = connected();
  const int fd = 0;
  EXPECT_EQ(p.client.write_msg(io::as_bytes("x"), {&fd, 1}).error(), std::errc::invalid_argument);
  Pair u = unixPair();
  EXPECT_EQ(u.client.write_msg({}, {&fd, 1}).error(), std::errc::invalid_argument) << "they need a byte";
  const int none = 9999;
  EXPECT_EQ(u.client.write_msg(io::as_bytes("x"), {&none, 1}).error(), std::errc::bad_file_descriptor);
}

}  // namespace

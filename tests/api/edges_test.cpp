// SPDX-License-Identifier: Apache-2.0
// net, os, io: what calls do that are at the edge of their contracts, as sentences.
#include <gort/net.hpp>
#include <gort/os.hpp>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "api/net_util.hpp"
#include "lang/chan_util.hpp"

namespace {

namespace io = gort::io;
namespace net = gort::net;
namespace os = gort::os;
using gort::clock;
using gort::errc;
using namespace nettest;
using namespace std::chrono_literals;
using namespace std::string_literals;

// ---- names

GO_TEST(Names, AFileNameIsNotCutAtANul) {
  const std::string name = "/dev/null\0.png"s;
  for (const auto& f : {os::open(name).error(), os::create(name).error(),
                        os::open(name, os::open_mode::write | os::open_mode::create).error()}) {
    EXPECT_EQ(f, std::errc::invalid_argument);
    EXPECT_EQ(f.message(), "open /dev/null\\0.png: invalid argument");
  }
  const int before = openFiles(), fd = ::dup(0);
  EXPECT_EQ(os::adopt(fd, "a\0b"s).error(), std::errc::invalid_argument);
  EXPECT_EQ(openFiles(), before) << "it was taken over all the same";
}

GO_TEST(Names, AHostIsNotCutAtANul) {
  net::listener l = listenLocal();
  const std::string port = std::to_string(l.addr().port());
  EXPECT_EQ(net::dial("tcp", "127.0.0.1\0.evil.example:"s + port).error(), errc::bad_address);
  EXPECT_EQ(net::dial("tcp", "127.0.0.1:"s + port + "\0x"s).error(), errc::bad_address);
  EXPECT_EQ(net::listen("tcp", "127.0.0.1\0x:0"s).error(), errc::bad_address);
  EXPECT_EQ(net::lookup_ip(gort::background(), "localhost\0x"s).error(), errc::bad_address);
  EXPECT_EQ(net::ip::parse("127.0.0.1\0x"s).error(), errc::bad_address);
  EXPECT_EQ(net::ip::parse("fe80::1%lo\0x"s).error(), errc::bad_address);
  EXPECT_EQ(net::address::parse("127.0.0.1\0x:80"s).error(), errc::bad_address);
}

GO_TEST(Names, AUnixPathIsNotCutAtANulButAnAbstractNameMayHoldIt) {
  const std::string path = "/tmp/gort-edges-"s + std::to_string(::getpid());
  EXPECT_EQ(net::listen("unix", path + "\0b"s).error(), errc::bad_address);
  EXPECT_EQ(net::dial("unix", path + "\0b"s).error(), errc::bad_address);
  EXPECT_EQ(net::listen_packet("unixgram", "\0b"s).error(), errc::bad_address);
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
  auto sender = net::listen_packet("unixgram", "@gort-edges-sender-" + std::to_string(::getpid()));
  ASSERT_TRUE(sender);
  EXPECT_EQ(sender->write_to(io::as_bytes("x"), net::address::unix_path(path + "\0b"s)).error(),
            errc::bad_address);

  const std::string name = "@gort-edges\0"s + std::to_string(::getpid());
  Pair p = connected("unix", name);
  EXPECT_EQ(p.client.remote_addr().path(), name);
  EXPECT_EQ(p.server.local_addr().path(), name);
}

GO_TEST(Names, APortIsDigitsOrTheNameOfAService) {
  for (const char* port :
       {" 80", "+80", "\t80", "-1", "80x", "80 ", "65536", "99999", "4294967376", "0x50", ""}) {
    const std::string at = "127.0.0.1:"s + port;
    EXPECT_EQ(net::dial("tcp", at).error(), errc::bad_address) << at;
    EXPECT_EQ(net::listen("tcp", at).error(), errc::bad_address) << at;
    EXPECT_EQ(net::listen_packet("udp", at).error(), errc::bad_address) << at;
    EXPECT_EQ(net::address::parse(at).error(), errc::bad_address) << at;
  }
  EXPECT_EQ(net::listen("tcp", "127.0.0.1:000").value().addr().ip().string(), "127.0.0.1");
  const gort::error e = net::dial("tcp", "127.0.0.1:no-such-service").error();
  EXPECT_EQ(e, errc::unknown_port) << e.message();
  EXPECT_NE(e.message().find("unknown port"), std::string::npos) << e.message();
}

GO_TEST(Names, AHostThatDoesNotExistHasACode) {
  // The system's resolver knows that by itself, whatever network there is.
  const gort::error e = net::lookup_ip(gort::background(), "fe80::1%none").error();
  EXPECT_EQ(e, errc::no_such_host) << e.message();
  EXPECT_EQ(e.message(), "lookup fe80::1%none: no such host");
}

TEST(Names, AddressesAreSplitAsInGo) {
  const struct {
    const char *text, *says;
  } cases[] = {{"[::1]", "missing port in address"},     {"[::1:80", "missing ']' in address"},
               {"[::1]80", "missing port in address"},   {"[::1]:80:90", "too many colons in address"},
               {"::1:80", "too many colons in address"}, {"a]:80", "unexpected ']' in address"},
               {"a[b]:80", "unexpected '[' in address"}, {"[[::1]]:80", "missing port in address"},
               {"1.2.3.4", "missing port in address"},   {"[::1]:", "missing port in address"}};
  for (const auto& c : cases) {
    const gort::error e = net::address::parse(c.text).error();
    EXPECT_EQ(e, errc::bad_address) << c.text;
    EXPECT_NE(e.message().find(c.says), std::string::npos) << e.message();
  }
}

// ---- moved-from objects

GO_TEST(MovedFrom, AConnIsAsAClosedOne) {
  Pair p = connected();
  net::conn stays = std::move(p.client);
  net::conn& gone = p.client;
  std::array<std::byte, 4> b{};
  const io::bytes in[] = {b};
  const io::const_bytes out[] = {b};
  os::file null = os::open("/dev/null").value();
  EXPECT_EQ(gone.read(b).error(), errc::closed);
  EXPECT_EQ(gone.read(b).error().message(), "read: use of closed object");
  EXPECT_EQ(gone.write("x").error(), errc::closed);
  EXPECT_EQ(gone.readv(in).error(), errc::closed);
  EXPECT_EQ(gone.writev(out).error(), errc::closed);
  EXPECT_EQ(gone.send_file(null, 0, 1).error(), errc::closed);
  EXPECT_EQ(gone.write_msg(b, std::array{0}).error(), errc::closed);
  EXPECT_EQ(gone.read_msg(b).error(), errc::closed);
  EXPECT_EQ(gone.close(), errc::closed);
  EXPECT_EQ(gone.close_write(), errc::closed);
  EXPECT_EQ(gone.set_no_delay(true), errc::closed);
  EXPECT_EQ(gone.set_keep_alive(1s), errc::closed);
  gone.set_timeout(1s);
  EXPECT_EQ(gone.local_addr(), net::address());
  EXPECT_EQ(gone.remote_addr(), net::address());
  EXPECT_EQ(gone.native_handle(), -1);
  auto ctx = gort::with_cancel(gort::background());
  net::binding bound = gone.bind(ctx);
  ctx.cancel();
  EXPECT_TRUE(bound.stop());
  EXPECT_TRUE(stays.write("x"));
  gone = std::move(stays);
  EXPECT_TRUE(gone.write("x")) << "one that was given another works again";
}

GO_TEST(MovedFrom, ListenersAndPacketsToo) {
  net::listener l = listenLocal(), l2 = std::move(l);
  EXPECT_EQ(l.accept().error(), errc::closed);
  EXPECT_EQ(l.close(), errc::closed);
  EXPECT_EQ(l.addr(), net::address());
  EXPECT_EQ(l.native_handle(), -1);
  net::packet_conn p = net::listen_packet("udp", "127.0.0.1:0").value(), p2 = std::move(p);
  std::array<std::byte, 4> b{};
  EXPECT_EQ(p.read_from(b).error(), errc::closed);
  EXPECT_EQ(p.write_to(b, p2.local_addr()).error().message(), "write: use of closed object");
  EXPECT_EQ(p.close(), errc::closed);
  EXPECT_EQ(p.local_addr(), net::address());
  EXPECT_EQ(p.native_handle(), -1);
}

GO_TEST(MovedFrom, AFileIsAsAClosedOne) {
  os::file f = os::open("/dev/null", os::open_mode::read_write).value(), stays = std::move(f);
  Pair p = connected();
  std::array<std::byte, 4> b{};
  EXPECT_EQ(f.read(b).error(), errc::closed);
  EXPECT_EQ(f.write("x").error().message(), "write: use of closed object");
  EXPECT_EQ(f.pread(b, 0).error(), errc::closed);
  EXPECT_EQ(f.pwrite(b, 0).error(), errc::closed);
  EXPECT_EQ(f.seek(0).error(), errc::closed);
  EXPECT_EQ(f.stat().error(), errc::closed);
  EXPECT_EQ(f.size().error(), errc::closed);
  EXPECT_EQ(f.truncate(0), errc::closed);
  EXPECT_EQ(f.sync(), errc::closed);
  EXPECT_EQ(f.close(), errc::closed);
  EXPECT_EQ(f.set_deadline(clock::now()), errc::closed);
  EXPECT_EQ(p.client.copy_from(f).error(), errc::closed);
  EXPECT_EQ(p.client.send_file(f, 0, 1).error(), errc::closed);
  EXPECT_EQ(f.name(), "");
  EXPECT_EQ(f.native_handle(), -1);
  EXPECT_TRUE(stays.write("x"));
}

GO_TEST(MovedFrom, AProcessToo) {
  os::process p = os::command{"true"}.in(os::stdio::pipe()).start().value(), stays = std::move(p);
  EXPECT_EQ(p.wait().error(), errc::closed);
  EXPECT_EQ(p.wait(gort::background()).error(), errc::closed);
  EXPECT_EQ(p.kill(), errc::closed);
  EXPECT_EQ(p.pid(), 0);
  EXPECT_EQ(p.in().write("x").error(), errc::closed);
  std::move(p).detach();
  EXPECT_TRUE(stays.wait().value().success());
}

TEST(ClosedFile, TakesNoDeadline) {
  os::pipe_ends p = os::pipe().value();
  EXPECT_FALSE(p.reader.set_read_deadline(clock::now() + 1h));
  EXPECT_FALSE(p.reader.close());
  EXPECT_EQ(p.reader.set_read_deadline(clock::now() + 1h), errc::closed);
}

// ---- time

GO_TEST(DialTimeout, ANegativeOneIsOverAtOnce) {
  net::listener l = listenLocal();
  const auto e = net::dial("tcp", l.addr().string(), {.timeout = -1s}).error();
  EXPECT_EQ(e, errc::io_timeout) << e.message();
  EXPECT_EQ(e.message(), "dial tcp " + l.addr().string() + ": i/o timeout");
  EXPECT_TRUE(net::dial("tcp", l.addr().string(), {.timeout = 0s})) << "none";
}

GO_TEST(KeepAlive, ANegativeOneIsNone) {
  Pair p = connected();
  EXPECT_FALSE(p.client.set_keep_alive(-1s));
  int on = 1;
  socklen_t len = sizeof on;
  ASSERT_EQ(::getsockopt(p.client.native_handle(), SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
  EXPECT_EQ(on, 0);
}

// ---- commands

GO_TEST(Command, AContextThatIsOverStartsNothing) {
  const std::string path = "/tmp/gort-edges-ran-" + std::to_string(::getpid());
  auto over = gort::with_cancel(gort::background());
  over.cancel();
  os::command c{"/bin/sh", "-c", "echo > " + path};
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(c.run(over), errc::canceled);
    EXPECT_EQ(c.output(over).error(), errc::canceled);
    EXPECT_EQ(c.combined_output(over).error().message(), "exec: \"/bin/sh\": context canceled");
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
  os::process p = os::command{"/bin/sleep", "1000"}.start().value();
  EXPECT_EQ(p.wait(over).error().message(), "wait /bin/sleep: context canceled");
}

GO_TEST(Command, APipeThatNobodyWouldHoldIsAnError) {
  constexpr std::string_view says = "exec: \"cat\": nobody would hold the other end of the pipe; use start()";
  EXPECT_EQ(os::command{"cat"}.in(os::stdio::pipe()).output().error().message(), says);
  EXPECT_EQ(os::command{"cat"}.in(os::stdio::pipe()).combined_output().error().message(), says);
  EXPECT_EQ(os::command{"cat"}.in(os::stdio::pipe()).run().message(), says);
  EXPECT_EQ(os::command{"cat"}.out(os::stdio::pipe()).run().message(), says);
  EXPECT_EQ(os::command{"cat"}.err(os::stdio::pipe()).run().message(), says);
}

GO_TEST(Command, TextIsGivenAsInput) {
  os::command sort{"sort"};
  sort.in_text("b\nc\na\n");
  EXPECT_EQ(sort.output().value().out, "a\nb\nc\n");
  EXPECT_EQ(sort.output().value().out, "a\nb\nc\n") << "again from the beginning";
  EXPECT_EQ(sort.in(os::stdio::null()).output().value().out, "");
  EXPECT_EQ(os::command{"cat"}.in(os::stdio::pipe()).in_text("").output().value().out, "");
  const std::string big(std::size_t{3} << 20, 'x');
  EXPECT_TRUE(os::command{"cat"}.in_text(big).output().value().out == big);
  const int before = openFiles();
  EXPECT_FALSE(os::command{"true"}.in_text(big).run()) << "a child that reads nothing";
  EXPECT_EQ(openFiles(), before);
}

GO_TEST(Command, TheErrorOfRunHasTheStatus) {
  const gort::error e = os::command{"/bin/sh", "-c", "exit 3"}.run().wrap("x");
  ASSERT_NE(e.as<os::exit_status>(), nullptr);
  EXPECT_EQ(e.as<os::exit_status>()->code(), 3);
  EXPECT_EQ(e.message(), "x: exit status 3");
}

GO_TEST(Command, OneThatIsNotThereSaysItOnce) {
  const gort::error e = os::command{"no-such-z"}.run();
  EXPECT_EQ(e.message(), "exec: \"no-such-z\": executable file not found in $PATH");
  EXPECT_EQ(e, std::errc::no_such_file_or_directory);
  os::process p = os::command{"true"}.start().value();
  ASSERT_TRUE(p.wait());
  EXPECT_EQ(p.kill().message(), "process already finished");
  EXPECT_EQ(p.kill(), std::errc::no_such_process);
}

// ---- errors

TEST(ErrorWords, MayStandForACode) {
  const gort::error e(std::make_error_code(std::errc::no_such_process), "gone");
  EXPECT_EQ(e.message(), "gone");
  EXPECT_EQ(e.wrap("kill").message(), "kill: gone");
  EXPECT_EQ(e, std::errc::no_such_process);
  EXPECT_TRUE(e.is(std::make_error_code(std::errc::no_such_process)));
  EXPECT_FALSE(gort::error(std::error_code(), "no error"));
}

GO_TEST(ResultPanic, SaysWhichErrorItHeld) {
  const auto says = [](auto f) { return gort::catch_panic(f).message(); };
  gort::result<int> r = gort::error(errc::eof).wrap("read x");
  EXPECT_EQ(says([&] { (void)*r; }), "gort: value of a result that holds an error: read x: EOF");
  (void)std::move(r).error();
  EXPECT_NE(says([&] {
              gort::error e = std::move(r).error();
              (void)*r;
            }).find("gort: value of a result"),
            std::string::npos);
  EXPECT_EQ(says([] { (void)gort::result<int>(gort::error()); }), "gort: result made from a nil error");
}

GO_TEST(Words, APeerThatIsNotThereIsNotNamed) {
  net::listener l = listenLocal();
  const std::string at = l.addr().string();
  EXPECT_FALSE(l.close());
  EXPECT_EQ(l.accept().error().message(), "accept tcp " + at + ": use of closed object");
  net::packet_conn p = net::listen_packet("udp", "127.0.0.1:0").value();
  EXPECT_FALSE(p.close());
  std::array<std::byte, 1> b{};
  EXPECT_EQ(p.read_from(b).error().message(),
            "read udp " + p.local_addr().string() + ": use of closed object");
}

GO_TEST(UnixPackets, AnUnnamedSenderHasAnEmptyPath) {
  const std::string name = "@gort-edges-gram-" + std::to_string(::getpid());
  net::packet_conn to = net::listen_packet("unixgram", name).value();
  net::conn from = net::dial("unixgram", name).value();
  ASSERT_TRUE(from.write("hi"));
  std::array<std::byte, 8> b{};
  auto got = to.read_from(b);
  ASSERT_TRUE(got) << got.error().message();
  EXPECT_TRUE(got->from.is_unix());
  EXPECT_EQ(got->from.path(), "");
}

GO_TEST(WriteMsg, SaysWhatIsWrong) {
  Pair p = connected("unix", "@gort-edges-msg-" + std::to_string(::getpid()));
  const std::vector<int> many(254, 0);
  const gort::error empty = p.client.write_msg({}, std::array{0}).error(),
                    lot = p.client.write_msg(io::as_bytes("x"), many).error();
  EXPECT_NE(empty.message().find(": descriptors need at least one byte to travel with"), std::string::npos);
  EXPECT_NE(lot.message().find(": more than 253 descriptors"), std::string::npos) << lot.message();
  EXPECT_EQ(empty, std::errc::invalid_argument);
  EXPECT_EQ(lot, std::errc::invalid_argument);
  Pair tcp = connected();
  EXPECT_NE(
      tcp.client.write_msg(io::as_bytes("x"), std::array{0}).error().message().find("only Unix sockets"),
      std::string::npos);
}

// ---- packets, and sockets from elsewhere

GO_TEST(PacketConn, HasWhatAConnHas) {
  net::packet_conn p = net::listen_packet("udp", "127.0.0.1:0").value();
  std::array<std::byte, 8> b{};
  p.set_timeout(-1s);
  EXPECT_EQ(p.read_from(b).error(), errc::io_timeout);
  EXPECT_EQ(p.write_to(b, p.local_addr()).error(), errc::io_timeout);
  p.set_read_deadline(net::no_deadline);
  EXPECT_EQ(p.write_to(b, p.local_addr()).error(), errc::io_timeout);
  p.set_write_deadline(net::no_deadline);
  EXPECT_TRUE(p.write_to(b, p.local_addr()));
  EXPECT_EQ(p.read_from(b).value().n, b.size());
  p.set_deadline(clock::now() - 1s);
  EXPECT_EQ(p.read_from(b).error(), errc::io_timeout);
  p.set_deadline(net::no_deadline);
  auto ctx = gort::with_cancel(gort::background());
  {
    auto bound = p.bind(ctx);
    auto read = gort::spawn([&] { return p.read_from(b).error(); });
    gort::sleep(2ms);
    ctx.cancel();
    EXPECT_EQ(read.join(), errc::canceled);
  }
  EXPECT_TRUE(p.write_to(b, p.local_addr())) << "the binding has gone";
  EXPECT_GE(p.native_handle(), 0);
  EXPECT_FALSE(p.close());
  EXPECT_EQ(p.native_handle(), -1);
}

GO_TEST(PacketConn, PortsMayBeShared) {
  net::packet_conn a = net::listen_packet("udp", "127.0.0.1:0", {.reuse_port = true}).value();
  EXPECT_TRUE(net::listen_packet("udp", a.local_addr().string(), {.reuse_port = true}));
  EXPECT_EQ(net::listen_packet("udp", a.local_addr().string()).error(), std::errc::address_in_use);
}

GO_TEST(Adopt, AConnOfAnyKind) {
  Pair p = connected();
  net::conn c = net::adopt(::dup(p.client.native_handle())).value();
  EXPECT_EQ(c.local_addr(), p.client.local_addr());
  EXPECT_EQ(c.remote_addr(), p.client.remote_addr());
  EXPECT_FALSE(p.client.close());
  EXPECT_TRUE(c.write("hello"));
  EXPECT_EQ(readFull(p.server, 5), "hello");
  std::array<std::byte, 8> b{};
  c.set_timeout(-1s);
  EXPECT_EQ(c.read(b).error(), errc::io_timeout) << "it parks and has deadlines";
  EXPECT_EQ(c.read(b).error().message().rfind("read tcp 127.0.0.1:", 0), 0u);

  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
  net::conn left = net::adopt(ends[0]).value(), right = net::adopt(ends[1]).value();
  EXPECT_TRUE(left.write_msg(io::as_bytes("fd"), std::array{0}));
  EXPECT_EQ(right.read_msg(b).value().fds.size(), 1u);
  EXPECT_TRUE(right.remote_addr().is_unix());
}

GO_TEST(Adopt, AListener) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);  // blocking, not closed on exec, as systemd passes it
  ASSERT_EQ(::listen(fd, 5), 0);
  net::listener l = net::adopt_listener(fd).value();
  EXPECT_EQ(l.native_handle(), fd);
  const std::string at = "127.0.0.1:" + std::to_string(l.addr().port());
  net::conn c = net::dial("tcp", at).value();
  net::conn s = l.accept().value();
  EXPECT_TRUE(c.write("x"));
  EXPECT_EQ(readFull(s, 1), "x");
  EXPECT_FALSE(l.close());
  EXPECT_EQ(l.native_handle(), -1);
}

GO_TEST(Adopt, TakesOverAlsoWhatItCannotUse) {
  net::listener l = listenLocal();
  const int before = openFiles();
  EXPECT_EQ(net::adopt(::dup(l.native_handle())).error().message(),
            "adopt: the socket listens: use adopt_listener");
  EXPECT_EQ(net::adopt(::socket(AF_INET, SOCK_STREAM, 0)).error(), std::errc::not_connected);
  EXPECT_EQ(net::adopt_listener(::socket(AF_INET, SOCK_STREAM, 0)).error().message(),
            "adopt: the socket does not listen");
  EXPECT_EQ(net::adopt(::open("/dev/null", O_RDONLY)).error(), std::errc::not_a_socket);
  if (const int fd = ::socket(AF_NETLINK, SOCK_RAW, 0); fd >= 0) {
    EXPECT_EQ(net::adopt(fd).error(), std::errc::protocol_not_supported);
  }
  EXPECT_EQ(net::adopt(-1).error(), std::errc::bad_file_descriptor);
  EXPECT_EQ(openFiles(), before);
}

// ---- bytes

TEST(Bytes, OfArraysVectorsAndText) {
  int c[3] = {1, 2, 3};
  const int k[2] = {1, 2};
  std::array<short, 5> a{};
  const std::vector<std::uint64_t> v(4);
  std::string s = "abc";
  char text[8] = "abc";
  EXPECT_EQ(io::as_bytes(c).size(), sizeof c);
  EXPECT_EQ(io::as_bytes(k).size(), sizeof k);
  EXPECT_EQ(io::as_bytes(a).size(), sizeof a);
  EXPECT_EQ(io::as_bytes(v).size(), 32u);
  EXPECT_EQ(io::as_bytes(s).size(), 3u);
  EXPECT_EQ(io::as_bytes("abc").size(), 3u) << "text";
  EXPECT_EQ(io::as_bytes(text).size(), 3u) << "text";
  EXPECT_EQ(io::as_writable_bytes(text).size(), 8u);
  EXPECT_EQ(io::as_writable_bytes(c).size(), sizeof c);
  EXPECT_EQ(io::as_writable_bytes(a).size(), sizeof a);
  EXPECT_EQ(io::as_writable_bytes(s).size(), 3u);
  EXPECT_EQ(static_cast<const void*>(io::as_bytes(c).data()), c);
}

}  // namespace

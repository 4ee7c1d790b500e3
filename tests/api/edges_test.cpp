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
    EXPECT_NE(f.message().find(".png"), std::string::npos) << f.message();
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

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

// ---- moved-from objects

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

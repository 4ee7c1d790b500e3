// SPDX-License-Identifier: Apache-2.0
// net::conn as a stream of Asio and Beast: rules of include/gort/asio.hpp as sentences.
#if __has_include( \
    <boost/beast/http.hpp>)  // ./dev setup test installs it; a build without Boost has nothing to test here
#include <gort/asio.hpp>

#include <sys/socket.h>

#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <deque>

#include "lang/chan_util.hpp"

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace net = gort::net;
using chantest::settle;
using gort::errc;
using namespace std::chrono_literals;

static_assert(beast::is_sync_read_stream<net::conn>::value);
static_assert(beast::is_sync_write_stream<net::conn>::value);
static_assert(beast::is_sync_stream<net::conn>::value);

struct Pair {
  net::conn client, server;
};
Pair connected() {
  auto l = net::listen("tcp", "127.0.0.1:0");
  EXPECT_TRUE(l) << l.error().message();
  auto client = net::dial("tcp", l->addr().string());
  EXPECT_TRUE(client) << client.error().message();
  auto server = l->accept();
  EXPECT_TRUE(server) << server.error().message();
  return {std::move(*client), std::move(*server)};
}

void reset(net::conn& c) {
  const linger now{1, 0};
  setsockopt(c.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  EXPECT_FALSE(c.close());
}

// thrownBy runs f and returns the code of the system_error that it throws.
template <class F>
beast::error_code thrownBy(F f) {
  try {
    f();
  } catch (const boost::system::system_error& e) {
    return e.code();
  }
  return {};
}

GO_TEST(Asio, ASequenceIsWrittenAndReadInOrder) {
  Pair p = connected();
  const std::vector<asio::const_buffer> out = {asio::buffer("ab", 2), asio::const_buffer(),
                                               asio::buffer("cdef", 4)};
  beast::error_code ec = asio::error::eof;
  EXPECT_EQ(p.client.write_some(out, ec), 6u);
  EXPECT_FALSE(ec) << "a call that works clears the code";
  char a[2], b[8];
  const std::array<asio::mutable_buffer, 3> in = {asio::buffer(a), asio::mutable_buffer(), asio::buffer(b)};
  EXPECT_EQ(asio::read(p.server, in, asio::transfer_exactly(6)), 6u);
  EXPECT_EQ(std::string(a, 2) + std::string(b, 4), "abcdef");
}

GO_TEST(Asio, ALongSequenceArrivesWhole) {
  Pair p = connected();
  std::deque<std::string> words;  // with empty ones in front of, between and behind the others
  std::vector<asio::const_buffer> out;
  std::string want;
  for (int i = 0; i < 100; ++i) {
    words.push_back(i < 20 || i % 3 == 0 || i > 95 ? std::string() : std::to_string(i));
    out.emplace_back(asio::buffer(words.back()));
    want += words.back();
  }
  beast::error_code ec;
  EXPECT_GT(p.client.write_some(out, ec), 0u) << "empty buffers take no room in a call";
  ASSERT_FALSE(ec);
  EXPECT_EQ(asio::write(p.client, out), want.size());
  EXPECT_FALSE(p.client.close_write());
  std::string got;
  asio::read(p.server, asio::dynamic_buffer(got), ec);
  EXPECT_EQ(ec, asio::error::eof);
  EXPECT_EQ(got.substr(got.size() - want.size()), want);
}

GO_TEST(Asio, AnEmptySequenceIsNoEndAndNoError) {
  Pair p = connected();
  EXPECT_FALSE(p.client.close());
  beast::error_code ec = asio::error::eof;
  EXPECT_EQ(p.server.read_some(asio::mutable_buffer(), ec), 0u);
  EXPECT_FALSE(ec);
  EXPECT_EQ(p.server.write_some(std::vector<asio::const_buffer>(), ec), 0u);
  EXPECT_FALSE(ec);
}

GO_TEST(Asio, TheEndIsEof) {
  Pair p = connected();
  EXPECT_FALSE(p.client.close());
  char c;
  beast::error_code ec;
  EXPECT_EQ(p.server.read_some(asio::buffer(&c, 1), ec), 0u);
  EXPECT_EQ(ec, asio::error::eof);
  std::error_code std_ec;
  EXPECT_EQ(p.server.read_some(asio::buffer(&c, 1), std_ec), 0u);
  EXPECT_EQ(std_ec, errc::eof);
  EXPECT_EQ(thrownBy([&] { p.server.read_some(asio::buffer(&c, 1)); }), asio::error::eof);
}

GO_TEST(Asio, ADeadlineIsTimedOut) {
  Pair p = connected();
  p.server.set_timeout(2ms);
  char c;
  beast::error_code ec;
  p.server.read_some(asio::buffer(&c, 1), ec);
  EXPECT_EQ(ec, asio::error::timed_out);
  std::error_code std_ec;
  p.server.read_some(asio::buffer(&c, 1), std_ec);
  EXPECT_EQ(std_ec, errc::io_timeout);
  EXPECT_EQ(std_ec, std::errc::timed_out);
  EXPECT_EQ(thrownBy([&] { p.server.write_some(asio::buffer("x", 1)); }), asio::error::timed_out);
}

GO_TEST(Asio, AClosedConnIsOperationAborted) {
  Pair p = connected();
  auto ended = gort::make_chan<beast::error_code>(1);
  gort::go([&, ended] {
    char c;
    beast::error_code ec;
    p.server.read_some(asio::buffer(&c, 1), ec);
    ended.send(ec);
  });
  settle();
  EXPECT_FALSE(p.server.close());
  EXPECT_EQ(*ended.recv(), asio::error::operation_aborted);
  std::error_code std_ec;
  p.server.write_some(asio::buffer("x", 1), std_ec);
  EXPECT_EQ(std_ec, errc::closed);
  EXPECT_EQ(thrownBy([&] { p.server.write_some(asio::buffer("x", 1)); }), asio::error::operation_aborted);
}

GO_TEST(Asio, AResetKeepsItsCode) {
  Pair p = connected();
  reset(p.client);
  char c;
  beast::error_code ec;
  p.server.read_some(asio::buffer(&c, 1), ec);
  EXPECT_EQ(ec, asio::error::connection_reset);
  Pair q = connected();
  reset(q.client);
  std::error_code std_ec;
  q.server.read_some(asio::buffer(&c, 1), std_ec);
  EXPECT_EQ(std_ec, std::errc::connection_reset);
}

GO_TEST(Asio, LinesAreReadUntilTheirEnd) {
  Pair p = connected();
  asio::write(p.client, asio::buffer(std::string_view("one\ntwo\nthree")));
  EXPECT_FALSE(p.client.close_write());
  asio::streambuf in;
  EXPECT_EQ(asio::read_until(p.server, in, '\n'), 4u);
  in.consume(4);
  EXPECT_EQ(asio::read_until(p.server, in, '\n'), 4u);
  in.consume(4);
  beast::error_code ec;
  asio::read_until(p.server, in, '\n', ec);
  EXPECT_EQ(ec, asio::error::eof);
  EXPECT_EQ(beast::buffers_to_string(in.data()), "three");
}

GO_TEST(Asio, ALargeWriteWaitsForItsReader) {
  Pair p = connected();
  std::string big(std::size_t{4} << 20, 0);
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 31 + i / 4096);
  gort::wait_group wg;
  wg.go([&] {
    EXPECT_EQ(asio::write(p.client, asio::buffer(big)), big.size());
    EXPECT_FALSE(p.client.close_write());
  });
  std::string got;
  beast::error_code ec;
  asio::read(p.server, asio::dynamic_buffer(got), ec);
  EXPECT_EQ(ec, asio::error::eof);
  EXPECT_TRUE(got == big);
  wg.wait();
}

// ---- Beast

void upper(net::conn& c) {  // answers every request with its body in upper case, until the client goes
  beast::flat_buffer buf;
  beast::error_code ec;
  for (;;) {
    http::request<http::string_body> req;
    http::read(c, buf, req, ec);
    if (ec) break;
    http::response<http::string_body> res{http::status::ok, req.version()};
    res.keep_alive(req.keep_alive());
    res.body() = req.body();
    for (char& ch : res.body()) ch = static_cast<char>(ch >= 'a' && ch <= 'z' ? ch - 32 : ch);
    res.prepare_payload();
    http::write(c, res, ec);
    if (ec) break;
  }
  EXPECT_EQ(ec, http::error::end_of_stream) << ec.message();
}

GO_TEST(Beast, RequestsOverOneConnection) {
  Pair p = connected();
  gort::wait_group wg;
  wg.go([&] { upper(p.server); });
  beast::multi_buffer buf;
  for (int i = 0; i < 20; ++i) {
    http::request<http::string_body> req{http::verb::post, "/", 11};
    req.set(http::field::host, "local");
    req.body() = "hello " + std::string(static_cast<std::size_t>(i) * 1000, 'x');
    req.prepare_payload();
    http::write(p.client, req);
    http::response<http::string_body> res;
    http::read(p.client, buf, res);
    EXPECT_EQ(res.body(), "HELLO " + std::string(static_cast<std::size_t>(i) * 1000, 'X'));
  }
  EXPECT_FALSE(p.client.close_write());
  wg.wait();
}

GO_TEST(Beast, AChunkedBodyOfManyBuffersArrivesWhole) {
  Pair p = connected();
  gort::wait_group wg;
  wg.go([&] { upper(p.server); });
  http::request<http::string_body> req{http::verb::put, "/", 11};
  req.chunked(true);
  for (int i = 0; i < 40; ++i)
    req.set("X-Field-" + std::to_string(i), "value");  // a long sequence of buffers
  req.body() = std::string(100'000, 'y');
  http::request_serializer<http::string_body> sr{req};
  sr.split(true);
  http::write(p.client, sr);
  beast::flat_buffer buf;
  http::response<http::string_body> res;
  http::read(p.client, buf, res);
  EXPECT_EQ(res.body(), std::string(100'000, 'Y'));
  EXPECT_FALSE(p.client.close_write());
  wg.wait();
}

GO_TEST(Beast, ABrokenRequestIsAnErrorOfTheParser) {
  Pair p = connected();
  asio::write(p.client, asio::buffer(std::string_view("NONSENSE\r\n\r\n")));
  beast::flat_buffer buf;
  http::request<http::string_body> req;
  beast::error_code ec;
  http::read(p.server, buf, req, ec);
  EXPECT_EQ(ec.category(), http::make_error_code(http::error::bad_method).category()) << ec.message();
  Pair q = connected();
  asio::write(q.client, asio::buffer(std::string_view("GET / HTTP/1.1\r\nHo")));
  EXPECT_FALSE(q.client.close());
  http::read(q.server, buf, req, ec);
  EXPECT_TRUE(ec) << "cut off in the middle";
  EXPECT_NE(ec, http::error::end_of_stream);
}

}  // namespace
#endif

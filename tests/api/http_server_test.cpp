// SPDX-License-Identifier: Apache-2.0
// The server of examples/http_server.hpp: what it promises at its head, seen by a client on the wire.
#if __has_include(<boost/beast/http.hpp>)
#include "../../examples/http_server.hpp"

#include <boost/asio/write.hpp>

#include "api/net_util.hpp"
#include "lang/chan_util.hpp"

namespace {

namespace io = gort::io;
using namespace http_example;
using chantest::settle;
using nettest::readAll;

// Running is a server that goes away with the object; end() waits for it and gives what serve returned.
class Running {
 public:
  explicit Running(http_server::handler h, http_limits limits = {})
      : life_(gort::with_cancel(gort::background())), server_(std::move(h), limits) {
    auto l = net::listen("tcp", "127.0.0.1:0");
    EXPECT_TRUE(l) << l.error().message();
    where_ = l->addr().string();
    done_ = gort::spawn([this, l = std::move(*l)]() mutable { return server_.serve(life_, std::move(l)); });
  }
  ~Running() { life_.cancel(); }  // and done_ waits
  void shutdown() const { life_.cancel(); }
  gort::error end() {
    life_.cancel();
    return done_.join();
  }
  [[nodiscard]] net::conn dial() const {
    auto c = net::dial("tcp", where_);
    EXPECT_TRUE(c) << c.error().message();
    c->set_timeout(20s);
    return std::move(*c);
  }
  [[nodiscard]] const http_server& server() const { return server_; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  gort::scoped_context life_;
  http_server server_;
  std::string where_;
  gort::task<gort::error> done_;
};

response hello(const gort::context&, const request& req) {
  return text(http::status::ok, "hello " + std::string(req.target()) + req.body());
}

response get(net::conn& c, const std::string& target, bool keep = true) {
  request req{http::verb::get, target, 11};
  req.set(http::field::host, "local");
  req.keep_alive(keep);
  http::write(c, req);
  beast::flat_buffer buf;
  response res;
  http::read(c, buf, res);
  return res;
}

// talk sends text and returns all that comes until the server closes.
std::string talk(const Running& r, std::string_view text) {
  net::conn c = r.dial();
  EXPECT_TRUE(c.write(text));
  return readAll(c);
}

GO_TEST(HttpServer, AConnectionServesManyRequests) {
  Running r(hello);
  net::conn c = r.dial();
  for (int i = 0; i < 10; ++i) {
    const response res = get(c, "/" + std::to_string(i));
    EXPECT_EQ(res.result(), http::status::ok);
    EXPECT_EQ(res.body(), "hello /" + std::to_string(i));
    EXPECT_TRUE(res.keep_alive());
    EXPECT_NE(res[http::field::date], "");
  }
  EXPECT_FALSE(get(c, "/last", false).keep_alive());
  EXPECT_EQ(readAll(c), "") << "closed as asked for";
  EXPECT_FALSE(r.end());
  EXPECT_EQ(r.server().requests(), 11u);
  EXPECT_EQ(r.server().connections(), 1u);
}

GO_TEST(HttpServer, RequestsSentAheadAreAnsweredInOrder) {
  const Running r(hello);
  const std::string all = talk(r,
                               "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n"
                               "GET /c HTTP/1.0\r\n\r\n");
  const auto a = all.find("hello /a"), b = all.find("hello /b"), c = all.find("hello /c");
  EXPECT_TRUE(a < b && b < c && c != std::string::npos) << all;
}

GO_TEST(HttpServer, AHeadHasTheLengthAndNoBody) {
  const Running r(hello);
  const std::string all = talk(r, "HEAD /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(all.find("Content-Length: 10\r\n"), std::string::npos) << all;
  EXPECT_TRUE(all.ends_with("\r\n\r\n")) << all;
}

GO_TEST(HttpServer, ManyClientsAtOnce) {
  Running r(hello);
  {
    gort::wait_group clients;
    for (int i = 0; i < 40; ++i) {
      clients.go([&] {
        net::conn c = r.dial();
        for (int k = 0; k < 25; ++k) EXPECT_EQ(get(c, "/x").body(), "hello /x");
      });
    }
  }
  EXPECT_FALSE(r.end());
  EXPECT_EQ(r.server().requests(), 1000u);
  EXPECT_EQ(r.server().connections(), 40u);
}

GO_TEST(HttpServer, BadInputIsRefusedByNumber) {
  const Running r(hello, {.header = 500, .body = 1000});
  const std::string long_field = "GET / HTTP/1.1\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n";
  const std::pair<std::string, const char*> cases[] = {
      {"NONSENSE\r\n\r\n", "HTTP/1.1 400 "},
      {"GET / HTTP/3.7\r\n\r\n", "HTTP/1.1 400 "},
      {"GET / HTTP/1.1\r\nno colon here\r\n\r\n", "HTTP/1.1 400 "},
      {"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", "HTTP/1.1 400 "},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 400 "},
      {long_field, "HTTP/1.1 431 "},
      {"POST / HTTP/1.1\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'b'), "HTTP/1.1 413 "},
  };
  for (const auto& [text, want] : cases) {
    const std::string all = talk(r, text);
    EXPECT_TRUE(all.starts_with(want)) << text.substr(0, 60) << "\n" << all;
    EXPECT_NE(all.find("Connection: close"), std::string::npos);
  }
}

GO_TEST(HttpServer, ARequestThatTricklesTimesOut) {
  const Running r(hello, {.message = 100ms});
  net::conn c = r.dial();
  ASSERT_TRUE(c.write("GET / HTTP/1.1\r\n"));
  gort::wait_group wg;
  wg.go([&] {  // a byte now and then does not help
    while (c.write("x")) gort::sleep(5ms);
  });
  char buf[12];
  ASSERT_TRUE(io::read_full(c, std::as_writable_bytes(std::span(buf))));
  EXPECT_EQ(std::string(buf, sizeof buf), "HTTP/1.1 408");
  EXPECT_FALSE(c.close());
}

GO_TEST(HttpServer, AnIdleConnectionIsClosedWithoutAWord) {
  const Running r(hello, {.idle = 20ms});
  EXPECT_EQ(talk(r, ""), "");
}

GO_TEST(HttpServer, AHandlerThatThrowsIsA500) {
  const Running r(
      [](const gort::context&, const request&) -> response { throw std::runtime_error("no luck"); });
  net::conn c = r.dial();
  EXPECT_EQ(get(c, "/").result(), http::status::internal_server_error);
  EXPECT_EQ(get(c, "/").body(), "no luck\n") << "the connection lives";
}

// ---- the end

GO_TEST(HttpServer, WhatIsUnderWayIsFinished) {
  auto entered = gort::make_chan<>(1);
  auto go_on = gort::make_chan<>(1);
  Running r([=](const gort::context& ctx, const request&) {
    entered.send({});
    (void)go_on.recv();
    return text(http::status::ok, ctx.err() ? "cut" : "done");
  });
  net::conn idle = r.dial();
  net::conn busy = r.dial();
  gort::wait_group wg;
  wg.go([&] {
    const response res = get(busy, "/");
    EXPECT_EQ(res.body(), "done");
    EXPECT_FALSE(res.keep_alive()) << "it is the last one";
  });
  (void)entered.recv();
  r.shutdown();
  EXPECT_EQ(readAll(idle), "") << "closed at once";
  EXPECT_FALSE(net::dial("tcp", r.where())) << "nobody listens";
  go_on.send({});
  wg.wait();
  EXPECT_FALSE(r.end());
  EXPECT_EQ(r.server().requests(), 1u);
}

GO_TEST(HttpServer, WhatTakesTooLongIsCut) {
  auto entered = gort::make_chan<>(1);
  Running r(
      [=](const gort::context& ctx, const request&) {
        entered.send({});
        return text(http::status::ok, gort::sleep(ctx, 1h).message());
      },
      {.shutdown = 20ms});
  net::conn c = r.dial();
  ASSERT_TRUE(c.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  net::conn half = r.dial();
  ASSERT_TRUE(half.write("GET / HT"));
  (void)entered.recv();
  settle();
  EXPECT_FALSE(r.end()) << "it ends, and that is no error";
  char b;
  auto n = c.read(std::as_writable_bytes(std::span(&b, 1)));
  EXPECT_TRUE(!n || *n == 0) << "cut without an answer";
}

}  // namespace
#endif

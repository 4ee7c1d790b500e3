// SPDX-License-Identifier: Apache-2.0
// Sockets: servers for bench/net/load.cpp (`prog serve_echo 1` prints "port P" and serves until it is killed), and dialling.
// Workloads and names are those of bench/go/net.go. The HTTP server is that of examples/http_server.hpp.
#include <gort/net.hpp>

#include "bench.hpp"
#if __has_include(<boost/beast/http.hpp>)
#include "../../examples/http_server.hpp"
#endif

namespace {

namespace net = gort::net;

net::listener listenHere() {
  auto l = net::listen("tcp", "127.0.0.1:0");
  bench::require(l.has_value(), "listen");
  return std::move(*l);
}

net::listener announce() {
  net::listener l = listenHere();
  std::printf("port %d\n", l.addr().port());
  std::fflush(stdout);
  return l;
}

void echo(net::conn c) {
  std::byte buf[4096];
  for (;;) {
    auto n = c.read(buf);
    if (!n || *n == 0 || !c.write(gort::io::const_bytes(buf, *n))) return;
  }
}

double serveEcho(long) {
  net::listener l = announce();
  while (auto c = l.accept()) gort::go(echo, std::move(*c));
  return 0;
}

#if __has_include(<boost/beast/http.hpp>)
double serveHttp(long) {
  using namespace http_example;
  http_server server([](const gort::context&, const request&) { return text(http::status::ok, "hello\n"); });
  bench::require(!server.serve(gort::background(), announce()), "serve");
  return 0;
}
#endif

// One connection after the other; the other side closes when it reads the end.
double dialClose(long n) {
  net::listener l = listenHere();
  gort::wait_group wg;
  wg.go([&] {
    while (auto c = l.accept()) {
      wg.go([c = std::move(*c)]() mutable {
        std::byte b[1];
        (void)c.read(b);
      });
    }
  });
  const std::string where = l.addr().string();
  const double ns = bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      auto c = net::dial("tcp", where);
      bench::require(c.has_value(), "dial");
      (void)c->close();
    }
  });
  (void)l.close();
  wg.wait();
  return ns / 1e3;
}

constexpr bench::Entry kEntries[] = {
    {"serve_echo", 0, "", serveEcho},
    {"serve_echo_1p", 1, "", serveEcho},
#if __has_include(<boost/beast/http.hpp>)
    {"serve_http", 0, "", serveHttp},
#endif
    {"dial_close_us", 0, "us", dialClose},
};

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, kEntries); }

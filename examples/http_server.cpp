// SPDX-License-Identifier: Apache-2.0
// A web server: ./dev run examples/http_server.cpp [ADDRESS [SECONDS]]     (127.0.0.1:8080, until POST /shutdown)
//
//   GET /            hello                        GET /goroutines   every goroutine of this process, as it stands
//   GET /hello/NAME  hello NAME                   POST /echo        the body
//   GET /slow/MS     after so many milliseconds   POST /shutdown    ends the context; what is under way is finished
//
// What to look at: the server's life is a context. A time limit, a request and ^C or kill all end it, and serve() returns
// when the last request has been answered.
//
// RUN: 127.0.0.1:0 0.2
// STDOUT: ^listening on 127\.0\.0\.1:\d+$
// STDOUT: ^0 requests over 0 connections$
#include "http_server.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>

using namespace http_example;

namespace {

response route(const gort::context& ctx, const request& req, const gort::scoped_context& life) {
  const std::string_view path(req.target().data(), req.target().size());
  const bool post = req.method() == http::verb::post;
  if (post && path == "/echo") return text(http::status::ok, req.body());
  if (post && path == "/shutdown") {
    life.cancel();
    return text(http::status::ok, "going down\n");
  }
  if (post) return text(http::status::not_found, "nothing to post to here\n");
  if (path == "/") return text(http::status::ok, "hello\n");
  if (path.starts_with("/hello/")) {
    return text(http::status::ok, "hello " + std::string(path.substr(7)) + "\n");
  }
  if (path.starts_with("/slow/")) {
    const std::chrono::milliseconds d(std::strtol(std::string(path.substr(6)).c_str(), nullptr, 10));
    if (gort::error e = gort::sleep(ctx, d)) {
      return text(http::status::service_unavailable, e.message() + "\n");
    }
    return text(http::status::ok, "slept " + std::to_string(d.count()) + " ms\n");
  }
  if (path == "/goroutines") return text(http::status::ok, gort::runtime::stack(true));
  return text(http::status::not_found, "not here\n");
}

gort::error program(const char* where, double seconds) {
  gort::result<net::listener> l = net::listen("tcp", where);
  if (!l) return l.error();
  std::printf("listening on %s\n", l->addr().string().c_str());
  std::fflush(stdout);
  const auto stop = gort::signal::notify_context(gort::background(), {SIGINT, SIGTERM});
  auto life = gort::with_timeout(stop, std::chrono::duration<double>(seconds));
  http_server server([&](const gort::context& ctx, const request& req) { return route(ctx, req, life); });
  gort::error e = server.serve(life, std::move(*l));
  std::printf("%llu requests over %llu connections\n", static_cast<unsigned long long>(server.requests()),
              static_cast<unsigned long long>(server.connections()));
  return e;
}

}  // namespace

int main(int argc, char** argv) {
  const char* where = argc > 1 ? argv[1] : "127.0.0.1:8080";
  const double seconds = argc > 2 ? std::strtod(argv[2], nullptr) : 1e9;
  return gort::run([&] { return program(where, seconds); });
}

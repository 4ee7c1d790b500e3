// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server in one header: Beast parses and writes messages, gort::net carries them, a goroutine serves each
// connection. Plain sequential code; that a thousand connections share two threads shows nowhere.
//
//   http_server server([](const gort::context& ctx, const request& req) { return text(http::status::ok, "hello\n"); });
//   gort::error err = server.serve(ctx, std::move(listener));          // until ctx ends
//
// The end, once ctx is over: no new connections; those that wait for a request are closed; requests that are being read
// or answered get their answer and "Connection: close". What is not done after limits.shutdown is cut: the handlers'
// context ends and the sockets are closed. serve returns when the last handler has.
// Bad input: 400; too long a header 431, too long a body 413; a request that does not arrive in time 408. A handler that
// throws: 500. Not here: TLS (tls_echo.cpp shows how), Expect: 100-continue, bodies that do not fit into memory.
#pragma once
#include <gort/asio.hpp>
#include <gort/gort.hpp>

#include <atomic>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <ctime>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_set>

namespace http_example {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace net = gort::net;
using request = http::request<http::string_body>;
using response = http::response<http::string_body>;
using namespace std::chrono_literals;

struct http_limits {
  gort::clock::duration idle = 60s;  // how long a connection may wait for the next request
  gort::clock::duration message =
      10s;  // from a request's first byte to its last; the same for writing the answer
  gort::clock::duration shutdown = 5s;  // for what is under way when the context ends
  std::uint32_t header = 8U << 10;      // bytes
  std::uint64_t body = 1U << 20;        // bytes
};

inline response text(http::status status, std::string body) {
  response res{status, 11};
  res.set(http::field::content_type, "text/plain; charset=utf-8");
  res.body() = std::move(body);
  return res;
}

class http_server {
 public:
  // The context ends when the shutdown has lasted too long. Handlers run at the same time, one per connection.
  using handler = std::function<response(const gort::context&, const request&)>;

  explicit http_server(handler h, http_limits limits = {}) : handler_(std::move(h)), limits_(limits) {}

  // serve accepts and serves until ctx ends (nil) or accepting fails (that error). Once per server.
  gort::error serve(const gort::context& ctx, net::listener l) {
    auto handlers = gort::with_cancel(gort::without_cancel(ctx));
    gort::wait_group sessions;
    gort::error failure;
    while (!failure) {
      gort::result<net::conn> c = l.accept(ctx);
      if (!c) {
        failure = c.error();
        break;
      }
      sessions.go(
          [this, &handlers, c = std::move(*c)]() mutable { session(*this, handlers, std::move(c)).run(); });
    }
    (void)l.close();
    stopping_ = true;
    for_all([](session& s) { s.stop(); });
    if (!sessions.wait_for(limits_.shutdown)) {
      for_all([](session& s) { s.cut(); });
      handlers.cancel();
    }
    sessions.wait();
    return ctx.err() ? gort::error() : failure;
  }

  [[nodiscard]] std::uint64_t requests() const { return requests_; }  // answered, bad ones included
  [[nodiscard]] std::uint64_t connections() const { return connections_; }

 private:
  // session is one connection. mu_ guards what the one who ends the server shares with the session's own goroutine.
  class session {
   public:
    session(http_server& server, const gort::context& ctx, net::conn c)
        : server_(server), limits_(server.limits_), ctx_(ctx), conn_(std::move(c)) {
      gort::runtime::set_name("http " + conn_.remote_addr().string());
      const std::lock_guard l(server_.mu_);
      server_.sessions_.insert(this);
      ++server_.connections_;
    }
    ~session() {
      const std::lock_guard l(server_.mu_);
      server_.sessions_.erase(this);
    }
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    void run() {
      while (wait_for_request() && serve_one()) {
      }
    }
    void stop() {
      const std::lock_guard l(mu_);
      if (waiting_) conn_.set_read_deadline(gort::clock::time_point());
    }
    void cut() { (void)conn_.close(); }

   private:
    // wait_for_request returns when a request has begun to arrive; false: there is none, or the server stops.
    bool wait_for_request() {
      if (in_.size() == 0) {
        {
          const std::lock_guard l(mu_);
          if (server_.stopping_) return false;  // stop() has been here, or will be, and sees waiting_
          waiting_ = true;
          conn_.set_read_deadline(gort::clock::now() + limits_.idle);
        }
        beast::error_code ec;
        in_.commit(conn_.read_some(in_.prepare(4096), ec));
        const std::lock_guard l(mu_);
        waiting_ = false;
        if (ec) return false;
      }
      conn_.set_read_deadline(gort::clock::now() + limits_.message);
      return true;
    }

    // serve_one reads a request and answers it; false: the connection is at its end.
    bool serve_one() {
      http::request_parser<http::string_body> parser;
      parser.header_limit(limits_.header);
      parser.body_limit(limits_.body);
      beast::error_code ec;
      http::read(conn_, in_, parser, ec);
      if (ec) {
        refuse(ec);
        return false;
      }
      const request& req = parser.get();
      response res = handle(req);
      return answer(std::move(res), req.method() == http::verb::head, req.keep_alive() && !server_.stopping_);
    }

    response handle(const request& req) {
      try {
        return server_.handler_(ctx_, req);
      } catch (const std::exception& e) {
        return text(http::status::internal_server_error, std::string(e.what()) + "\n");
      }
    }

    bool answer(response res, bool head, bool keep) {
      res.set(http::field::date, date());
      res.keep_alive(keep);
      res.prepare_payload();
      if (head) res.body().clear();  // the length stays
      conn_.set_write_deadline(gort::clock::now() + limits_.message);
      beast::error_code ec;
      http::write(conn_, res, ec);
      ++server_.requests_;
      return !ec && keep;
    }

    void refuse(beast::error_code ec) {
      static const auto& parser_errors = http::make_error_code(http::error::bad_method).category();
      auto status = http::status::bad_request;
      if (ec == boost::asio::error::timed_out) {
        status = http::status::request_timeout;
      } else if (ec.category() != parser_errors || ec == http::error::partial_message) {
        return;  // the client has gone
      } else if (ec == http::error::header_limit) {
        status = http::status::request_header_fields_too_large;
      } else if (ec == http::error::body_limit) {
        status = http::status::payload_too_large;
      }
      (void)answer(text(status, ec.message() + "\n"), false, false);
      // Closed with input unread, the socket would send a reset, and the client might never see the answer.
      (void)conn_.close_write();
      conn_.set_read_deadline(gort::clock::now() + 500ms);
      ec = {};
      for (std::size_t left = std::size_t{256} << 10; left > 0 && !ec;) {
        in_.clear();
        left -= std::min(left, conn_.read_some(in_.prepare(4096), ec));
      }
    }

    const std::string& date() {  // formatted once a second
      const std::time_t now = std::time(nullptr);
      if (now != date_at_) {
        std::tm tm{};
        char buf[64];
        date_.assign(buf, std::strftime(buf, sizeof buf, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm)));
        date_at_ = now;
      }
      return date_;
    }

    http_server& server_;
    const http_limits& limits_;
    const gort::context& ctx_;
    net::conn conn_;
    beast::flat_buffer in_;
    std::time_t date_at_ = 0;
    std::string date_;
    gort::mutex mu_;
    bool waiting_ = false;
  };

  template <class F>
  void for_all(F f) {
    const std::lock_guard l(mu_);
    for (session* s : sessions_) f(*s);
  }

  const handler handler_;
  const http_limits limits_;
  std::atomic<std::uint64_t> requests_{0}, connections_{0};
  std::atomic<bool> stopping_{false};  // set before any session is told to stop
  gort::mutex mu_;                     // sessions_; taken before a session's own
  std::unordered_set<session*> sessions_;
};

}  // namespace http_example

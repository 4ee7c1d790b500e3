// SPDX-License-Identifier: Apache-2.0
// net::conn as a stream of Boost.Asio: SyncReadStream and SyncWriteStream, so that Beast and the free algorithms of Asio
// (read, read_until, write) run on it. A call parks the goroutine; no io_context is involved, no thread waits.
//
//   #include <gort/asio.hpp>
//   boost::beast::flat_buffer buf;  http::request<http::string_body> req;  boost::beast::error_code ec;
//   http::read(conn, buf, req, ec);
//
// Not part of <gort/gort.hpp>: the only header that needs Boost (1.74 or newer, headers only).
// read_some gives some bytes, write_some writes all that it takes: of a long sequence the first 16 buffers that are not
// empty. An empty sequence is 0 bytes and no error.
// Errors: the end of the stream is asio::error::eof, a deadline that passed asio::error::timed_out, a conn closed by this
// side asio::error::operation_aborted, all else the system's own code. With a std::error_code: that of conn::read and
// conn::write, and errc::eof. Without an error_code: boost::system::system_error is thrown.
// Thread-safety and lifetime are those of conn: one reader and one writer at once, the conn outlives the call.
#pragma once
#include <gort/net.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>
#include <boost/throw_exception.hpp>

namespace gort {
inline namespace GORT_ABI {
namespace net::detail {

inline boost::system::error_code to_boost(const error& e) {
  if (e == errc::eof) return boost::asio::error::eof;
  if (e == errc::closed) return boost::asio::error::operation_aborted;
  if (e.timeout()) return boost::asio::error::timed_out;
  const std::error_code code = e.code();
  if (code.category() == std::system_category()) return {code.value(), boost::system::system_category()};
  return boost::system::errc::make_error_code(
      boost::system::errc::io_error);  // none of conn's calls gives one
}

inline constexpr std::size_t parts_max = 16;

// gather puts the buffers of a sequence that are not empty into v; returns how many.
template <class AsioBuffer, class Span, class Seq>
std::size_t gather(const Seq& seq, Span (&v)[parts_max]) {
  std::size_t n = 0;
  const auto end = boost::asio::buffer_sequence_end(seq);
  for (auto i = boost::asio::buffer_sequence_begin(seq); i != end && n < parts_max; ++i) {
    const AsioBuffer b(*i);
    if (b.size() > 0) v[n++] = Span(static_cast<typename Span::pointer>(b.data()), b.size());
  }
  return n;
}

template <class B>
requires(boost::asio::is_mutable_buffer_sequence<B>::value ||
         boost::asio::is_const_buffer_sequence<B>::value) struct buffers<B> {
  template <class EC>
  static std::size_t read(conn& c, const B& b, EC& ec) {
    io::bytes v[parts_max];
    const std::size_t n = gather<boost::asio::mutable_buffer>(b, v);
    ec = {};
    if (n == 0) return 0;
    const result<std::size_t> got = n == 1 ? c.read(v[0]) : c.readv({v, n});
    if (got && *got > 0) return *got;
    set(ec, got ? error(errc::eof) : got.error());
    return 0;
  }
  template <class EC>
  static std::size_t write(conn& c, const B& b, EC& ec) {
    io::const_bytes v[parts_max];
    const std::size_t n = gather<boost::asio::const_buffer>(b, v);
    ec = {};
    if (n == 0) return 0;
    const result<std::size_t> put = n == 1 ? c.write(v[0]) : c.writev({v, n});
    if (put) return *put;
    set(ec, put.error());
    const io_error* came = put.error().template as<io_error>();
    return came != nullptr ? static_cast<std::size_t>(came->transferred) : 0;
  }
  static std::size_t read(conn& c, const B& b) {
    boost::system::error_code ec;
    const std::size_t n = read(c, b, ec);
    if (ec) boost::throw_exception(boost::system::system_error(ec, "gort::net::conn: read_some"));
    return n;
  }
  static std::size_t write(conn& c, const B& b) {
    boost::system::error_code ec;
    const std::size_t n = write(c, b, ec);
    if (ec) boost::throw_exception(boost::system::system_error(ec, "gort::net::conn: write_some"));
    return n;
  }

 private:
  static void set(std::error_code& ec, const error& e) { ec = e.code(); }
  static void set(boost::system::error_code& ec, const error& e) { ec = to_boost(e); }
};

}  // namespace net::detail
}  // namespace GORT_ABI
}  // namespace gort

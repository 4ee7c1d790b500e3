// SPDX-License-Identifier: Apache-2.0
// Bytes, and what can be read from and written to.                                    (Go: package io, bufio)
//
// A reader's read gives some bytes, 0 at the end of the stream; it may give fewer than asked. A writer's write takes all
// bytes or fails. Anything with these members fits; net::conn does.
//   if (auto n = c.write(much); !n) resume_at(n.error().as<gort::io_error>()->transferred);
#pragma once
#include <gort/error.hpp>

#include <algorithm>
#include <cstring>
#include <span>
#include <string>
#include <vector>

namespace gort {
inline namespace GORT_ABI {

// io_error comes with the error of a write or a copy that failed (error::as<io_error>()): how far it came.
struct io_error {
  // Bytes that were given away before the failure, from the beginning of this call. Of a file: they stand in it. Of a
  // socket or a pipe: the kernel took them. After a deadline or a cancelled context the peer will read exactly these, if it
  // goes on reading; after a reset at most these.
  std::uint64_t transferred = 0;
};

namespace detail {
// came_to is e with an io_error: `before` bytes, and those that e itself tells of.
inline error came_to(const error& e, std::uint64_t before) {
  const io_error* inner = e.as<io_error>();
  return e.with(io_error{before + (inner != nullptr ? inner->transferred : 0)});
}
}  // namespace detail

namespace io {

using bytes = std::span<std::byte>;
using const_bytes = std::span<const std::byte>;

template <class T>
concept reader = requires(T& t, bytes b) {
  { t.read(b) } -> std::same_as<result<std::size_t>>;
};
template <class T>
concept writer = requires(T& t, const_bytes b) {
  { t.write(b) } -> std::same_as<result<std::size_t>>;
};

// as_bytes shows text, or a vector, std::array, span or C array of trivially copyable elements, as bytes. An array of char
// is text: it ends before its first NUL.
[[nodiscard]] inline const_bytes as_bytes(std::string_view s) noexcept { return std::as_bytes(std::span(s)); }
template <class C>
requires(!std::is_convertible_v<const C&, std::string_view> && requires(const C& c) { std::span(c); })
    [[nodiscard]] const_bytes as_bytes(const C& c) noexcept {
  const std::span s(c);
  static_assert(std::is_trivially_copyable_v<typename decltype(s)::value_type>);
  return std::as_bytes(s);
}
// as_writable_bytes shows a string, vector, std::array, span or C array of trivially copyable elements as bytes: all of it.
template <class C>
requires requires(C& c) { std::span(c); }
[[nodiscard]] bytes as_writable_bytes(C& c) noexcept {
  const std::span s(c);
  static_assert(std::is_trivially_copyable_v<typename decltype(s)::value_type>);
  return std::as_writable_bytes(s);
}

// read_full fills b. The error is errc::eof if the stream ended before the first byte, and "unexpected: EOF" (its code is
// errc::eof too) if it ended later.
template <reader R>
result<std::size_t> read_full(R& r, bytes b) {
  std::size_t n = 0;
  while (n < b.size()) {
    result<std::size_t> got = r.read(b.subspan(n));
    if (!got) return got;
    if (*got == 0) {
      const error eof = errc::eof;
      return n == 0 ? eof : eof.wrap("unexpected");
    }
    n += *got;
  }
  return n;
}

// copy moves everything from src to dst; returns how many bytes. An error, of either side, has an io_error: what dst took.
// A dst with a member copy_from(src) does it itself.
template <writer W, reader R>
result<std::uint64_t> copy(W& dst, R& src) {
  if constexpr (requires {
                  { dst.copy_from(src) } -> std::same_as<result<std::uint64_t>>;
                }) {
    return dst.copy_from(src);
  }
  std::vector<std::byte> buf(std::size_t{32} << 10);
  std::uint64_t total = 0;
  for (;;) {
    result<std::size_t> n = src.read(buf);
    if (!n) return gort::detail::came_to(n.error(), total);
    if (*n == 0) return total;
    if (auto w = dst.write(const_bytes(buf.data(), *n)); !w) return gort::detail::came_to(w.error(), total);
    total += *n;
  }
}

// buffered reads ahead, to serve small reads and lines. It does not own r, which must outlive it. Not for two goroutines
// at once.
template <reader R>
class buffered {
 public:
  explicit buffered(R& r, std::size_t size = 4096) : r_(&r), buf_(size < 16 ? 16 : size) {}

  result<std::size_t> read(bytes b) {
    if (b.empty()) return std::size_t{0};
    if (from_ == to_) {
      if (b.size() >= buf_.size()) return r_->read(b);
      if (auto n = fill(); !n || *n == 0) return n;
    }
    const std::size_t n = std::min(b.size(), to_ - from_);
    std::memcpy(b.data(), buf_.data() + from_, n);
    from_ += n;
    return n;
  }

  // read_until returns everything up to and including delim; errc::eof if the stream ended before it (what came before is
  // kept and can still be read). limit: at most that many bytes, else an error; a line from a stranger has no natural end.
  result<std::string> read_until(char delim, std::size_t limit = std::size_t{1} << 20) {
    std::size_t looked = 0;
    for (;;) {
      const auto* begin = reinterpret_cast<const char*>(buf_.data() + from_);
      const std::size_t have = to_ - from_;
      if (const void* at = std::memchr(begin + looked, delim, have - looked); at != nullptr) {
        const std::size_t n = static_cast<std::size_t>(static_cast<const char*>(at) - begin) + 1;
        if (n > limit) return too_long();
        std::string line(begin, n);
        from_ += n;
        return line;
      }
      looked = have;
      if (have >= limit) return too_long();
      result<std::size_t> n = fill();
      if (!n) return n.error();
      if (*n == 0) return errc::eof;
    }
  }

 private:
  static error too_long() { return error(std::make_error_code(std::errc::message_size)).wrap("read_until"); }
  // fill reads more behind what is there; makes room first.
  result<std::size_t> fill() {
    if (from_ > 0) {
      std::memmove(buf_.data(), buf_.data() + from_, to_ - from_);
      to_ -= from_;
      from_ = 0;
    }
    if (to_ == buf_.size()) buf_.resize(2 * buf_.size());
    result<std::size_t> n = r_->read(bytes(buf_).subspan(to_));
    if (n) to_ += *n;
    return n;
  }

  R* r_;
  std::vector<std::byte> buf_;
  std::size_t from_ = 0, to_ = 0;
};

}  // namespace io
}  // namespace GORT_ABI
}  // namespace gort

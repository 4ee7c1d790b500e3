// SPDX-License-Identifier: Apache-2.0
// conn, listener, packet_conn; contracts in include/gort/net.hpp.      (Go: net/net.go, tcpsock_posix.go, fd_posix.go)
// Every system call is a raw one that returns -errno: `errno` is the thread's, and a wait may change the thread.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "api/net_internal.hpp"
#include "os/os_linux.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace net {

using detail::net_fd;
using gort::detail::came_to;
using rt::os::sys;

namespace {

constexpr std::size_t kMaxVectors = 64;
constexpr auto kFirstPause = std::chrono::milliseconds(5), kLongestPause = std::chrono::milliseconds(1000);

long set_int(int fd, int level, int name, int v) {
  return sys(SYS_setsockopt, fd, level, name, &v, sizeof v);
}

long set_keep_alive_of(int fd, gort::clock::duration idle) {
  if (idle.count() <= 0) return set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(idle).count();
  const int s = static_cast<int>(std::min<long long>(seconds, 32767));
  const long on = set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  if (on < 0) return on;
  const long first = set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, s);
  return first < 0 ? first : set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, s);
}

// drop_front drops n bytes from the front of the vectors.
std::span<iovec> drop_front(std::span<iovec> v, std::size_t n) {
  while (!v.empty() && n >= v.front().iov_len) {
    n -= v.front().iov_len;
    v = v.subspan(1);
  }
  if (n > 0) {
    v.front().iov_base = static_cast<char*>(v.front().iov_base) + n;
    v.front().iov_len -= n;
  }
  return v;
}

// send_all writes v, which has at most kMaxVectors parts.
result<std::size_t> send_all(net_fd& f, std::span<iovec> v) {
  std::size_t total = 0;
  while (true) {
    v = drop_front(v, 0);
    if (v.empty() && total > 0) return total;
    msghdr m{};
    m.msg_iov = v.data();
    m.msg_iovlen = v.size();
    auto n = f.attempt(rt::PollMode::write, "write",
                       [&] { return sys(SYS_sendmsg, f.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT); });
    if (!n) return came_to(n.error(), total);
    total += *n;
    v = drop_front(v, *n);
    if (v.empty()) return total;
  }
}

}  // namespace

void tune(net_fd& f, const dial_options& o) {
  if (!is_tcp(f.net)) return;
  (void)set_int(f.fd, IPPROTO_TCP, TCP_NODELAY, o.no_delay ? 1 : 0);
  if (o.keep_alive.count() > 0) (void)set_keep_alive_of(f.fd, o.keep_alive);
}

address name_of(int fd, bool peer) {
  sock_addr s;
  if (sys(peer ? SYS_getpeername : SYS_getsockname, fd, s.get(), &s.len) < 0) return {};
  return from_sock_addr(s);
}

namespace {
int number_of(net_fd& f) {
  const detail::inside in(f);
  return in ? f.fd : -1;
}
}  // namespace

// ---- conn

result<std::size_t> conn::read(io::bytes b) {
  if (b.empty()) return std::size_t{0};
  net_fd& f = *h_.get();
  return f.attempt(rt::PollMode::read, "read", [&] {
    const std::size_t asked = f.part(b.size());
    const long n = sys(SYS_recvfrom, f.fd, b.data(), asked, MSG_DONTWAIT);
    f.took(asked, n);
    return n;
  });
}

result<std::size_t> conn::write(io::const_bytes b) {
  net_fd& f = *h_.get();
  std::size_t total = 0;
  do {
    auto n = f.attempt(rt::PollMode::write, "write", [&] {
      return sys(SYS_sendto, f.fd, b.data() + total, f.part(b.size() - total), MSG_NOSIGNAL | MSG_DONTWAIT);
    });
    if (!n) return came_to(n.error(), total);
    total += *n;
  } while (total < b.size());
  return total;
}

result<std::size_t> conn::readv(std::span<const io::bytes> b) {
  iovec v[kMaxVectors];
  std::size_t n = 0, room = 0;
  for (const io::bytes& part : b.first(std::min(b.size(), kMaxVectors))) {
    v[n++] = {part.data(), part.size()};
    room += part.size();
  }
  if (room == 0) return std::size_t{0};
  net_fd& f = *h_.get();
  return f.attempt(rt::PollMode::read, "read", [&] {
    const long got = sys(SYS_readv, f.fd, v, n);
    f.took(room, got);
    return got;
  });
}

result<std::size_t> conn::writev(std::span<const io::const_bytes> b) {
  std::size_t total = 0;
  while (!b.empty()) {
    iovec v[kMaxVectors];
    const std::size_t n = std::min(b.size(), kMaxVectors);
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < n; ++i) {
      v[i] = {const_cast<std::byte*>(b[i].data()), b[i].size()};
      bytes += b[i].size();
    }
    b = b.subspan(n);
    if (bytes == 0) continue;
    auto sent = send_all(*h_.get(), {v, n});
    if (!sent) return came_to(sent.error(), total);
    total += *sent;
  }
  return total;
}

void conn::set_deadline(int mode, gort::clock::time_point t) { h_.get()->set_deadline(mode, t); }

error conn::close() noexcept { return h_.get()->close(); }

error conn::close_write() noexcept {
  net_fd& f = *h_.get();
  const detail::inside in(f);
  if (!in) return f.fail("close", errc::closed);
  const long r = sys(SYS_shutdown, f.fd, SHUT_WR);
  return r < 0 ? f.fail("close", sys_error(r)) : error();
}

error conn::set_no_delay(bool on) {
  net_fd& f = *h_.get();
  const detail::inside in(f);
  if (!in) return f.fail("set", errc::closed);
  const long r = set_int(f.fd, IPPROTO_TCP, TCP_NODELAY, on ? 1 : 0);
  return r < 0 ? f.fail("set", sys_error(r)) : error();
}

error conn::set_keep_alive(gort::clock::duration idle) {
  net_fd& f = *h_.get();
  const detail::inside in(f);
  if (!in) return f.fail("set", errc::closed);
  const long r = set_keep_alive_of(f.fd, idle);
  return r < 0 ? f.fail("set", sys_error(r)) : error();
}

address conn::local_addr() const { return h_.get()->local; }
address conn::remote_addr() const { return h_.get()->remote; }

int conn::native_handle() const noexcept {
  net_fd& f = *h_.get();
  const detail::inside in(f);
  if (!in) return -1;
  rt::pollSticky(f.pd);  // its owner may now do what we do not see
  return f.fd;
}

// ---- listener

namespace {

// take waits for one connection. Requires: entered, l.rmu.
result<conn> take(net_fd& l) {
  sock_addr from;
  auto got = l.attempt_locked(rt::PollMode::read, "accept", [&] {
    for (;;) {
      from.len = sizeof from.storage;
      const long fd = sys(SYS_accept4, l.fd, from.get(), &from.len, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd != -ECONNABORTED) return fd;  // it went away while it was waiting
    }
  });
  if (!got) return got.error();
  const int fd = static_cast<int>(*got);
  auto made = net_fd::make(fd, l.net);
  if (!made) return made.error();
  (*made)->local = name_of(fd, false);
  (*made)->remote = from_sock_addr(from);
  tune(**made, {});
  return conn(detail::fd_handle(*made));
}

bool out_of_descriptors(const error& e) {
  return e == std::errc::too_many_files_open || e == std::errc::too_many_files_open_in_system ||
         e == std::errc::no_buffer_space || e == std::errc::not_enough_memory;
}

// A context that ends takes the one who waits out of the poller. It may be another context's waiter: he takes that back,
// while he still holds rmu, looks whether it was meant for him after all, and goes back in.   Requires: entered, l.rmu.
result<conn> accept_locked(net_fd& l, const context& ctx) {
  gort::clock::duration pause = kFirstPause;
  const after_guard guard = after_func(ctx, [keep = detail::reference(&l)] { keep.get()->cancel(true); });
  for (;;) {
    if (error e = ctx.err()) return l.fail("accept", e);
    result<conn> c = take(l);
    if (c) return c;
    if (c.error() == errc::canceled) {
      l.cancel(false);
    } else if (!out_of_descriptors(c.error())) {
      return c;
    } else {
      if (error e = sleep(ctx, pause)) return l.fail("accept", e);
      pause = std::min<gort::clock::duration>(2 * pause, kLongestPause);
    }
  }
}

}  // namespace

result<conn> listener::accept() { return accept(background()); }

result<conn> listener::accept(const context& ctx) {
  net_fd& l = *h_.get();
  const detail::inside in(l);
  if (!in) return l.fail("accept", errc::closed);
  if (error e = l.rmu.lock(ctx)) return l.fail("accept", e);
  result<conn> c = accept_locked(l, ctx);
  l.rmu.unlock();
  return c;
}

void listener::set_deadline_at(gort::clock::time_point t) { h_.get()->set_deadline(1, t); }
address listener::addr() const { return h_.get()->local; }
error listener::close() noexcept { return h_.get()->close(); }
int listener::native_handle() const noexcept { return number_of(*h_.get()); }

// ---- packet_conn

result<packet_conn::packet> packet_conn::read_from(io::bytes b) {
  net_fd& f = *h_.get();
  sock_addr from;
  auto n = f.attempt(rt::PollMode::read, "read", [&] {
    from.len = sizeof from.storage;
    return sys(SYS_recvfrom, f.fd, b.data(), b.size(), MSG_DONTWAIT, from.get(), &from.len);
  });
  if (!n) return n.error();
  return packet{*n, from.len == 0 && is_unix(f.net) ? address::unix_path({}) : from_sock_addr(from)};
}

result<std::size_t> packet_conn::write_to(io::const_bytes b, const address& to) {
  net_fd& f = *h_.get();
  if (f.fd < 0) return came_to(f.fail("write", errc::closed), 0);
  result<sock_addr> s = to_sock_addr(to);
  if (!s) return came_to(f.fail("write", s.error()), 0);
  auto n = f.attempt(rt::PollMode::write, "write", [&] {
    return sys(SYS_sendto, f.fd, b.data(), b.size(), MSG_NOSIGNAL | MSG_DONTWAIT, s->get(), s->len);
  });
  if (!n) return came_to(op_error("write", f.net, &f.local, &to, n.error().unwrap()), 0);
  return n;
}

void packet_conn::set_deadline_at(int mode, gort::clock::time_point t) { h_.get()->set_deadline(mode, t); }
address packet_conn::local_addr() const { return h_.get()->local; }
error packet_conn::close() noexcept { return h_.get()->close(); }
int packet_conn::native_handle() const noexcept { return number_of(*h_.get()); }

}  // namespace net
}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// net_fd: one socket that does not block, for several goroutines at once.            (Go: internal/poll.FD, net.netFD)
#pragma once
#include <gort/net.hpp>
#include <gort/sync.hpp>

#include <sys/socket.h>

#include <algorithm>

#include "api/poll_fd.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace net {

// sock_addr is an address as the kernel wants it.
struct sock_addr {
  sockaddr_storage storage{};
  socklen_t len = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};
result<sock_addr> to_sock_addr(const address& a);
address from_sock_addr(const sock_addr& a);

// host_and_port are the two parts of "host:port" or "[host]:port", as they stand there.
struct host_and_port {
  std::string_view host, port;
};
result<host_and_port> split_host_port(std::string_view addr);
// port_number is the number that s is; nullopt: s is the name of a service. Anything else is an error.
result<std::optional<std::uint16_t>> port_number(std::string_view s, std::string_view addr);
inline bool has_nul(std::string_view s) { return s.find('\0') != s.npos; }  // C would see its beginning only

inline bool is_unix(network n) { return n.value() >= network::unix_stream; }
inline bool is_tcp(network n) { return n.value() <= network::tcp6; }
inline bool is_datagram(network n) {
  return (n.value() >= network::udp && n.value() <= network::udp6) || n.value() == network::unix_gram;
}

using gort::detail::sys_error;
// op_error puts Go's words in front: "read tcp 127.0.0.1:1->127.0.0.1:2: ...".
error op_error(const char* op, network n, const address* source, const address* target, const error& cause);

namespace detail {

using gort::detail::inside;
using gort::detail::poll_error;

struct net_fd final : gort::detail::poll_fd {
  net_fd(int sysfd, network n) : poll_fd(sysfd), net(n) {}
  explicit net_fd(never_open n) : poll_fd(n), net(network::tcp) {}
  ~net_fd() override = default;

  // make takes over sysfd, also when it fails.
  static result<net_fd*> make(int sysfd, network n);

  error close();

  std::size_t part(std::size_t n) const { return is_datagram(net) ? n : gort::detail::partly(n); }
  // took is told what a read that asked for `asked` bytes returned.   Requires: rmu, inside an attempt.
  void took(std::size_t asked, long n) {
    constexpr std::size_t most = 0x7ffff000;  // the kernel's MAX_RW_COUNT: a call never gives more
    emptied_ = is_tcp(net) && n > 0 && static_cast<std::size_t>(n) < std::min(asked, most);
  }
  // attempt calls f, which returns what a raw system call does, until it says something else than "not now". what: for
  // the error. deadline and close end it.   Runs on: any thread.
  template <class F>
  result<std::size_t> attempt(rt::PollMode mode, const char* what, F f);
  // attempt_locked is attempt for who has entered and holds the mutex of that direction.
  template <class F>
  result<std::size_t> attempt_locked(rt::PollMode mode, const char* what, F f);
  error stopped(rt::PollError stop);  // what ended a wait, as an error
  error fail(const char* what, const error& cause) const;

  const network net;
  address local, remote;  // set before the record is shared
  std::string unlink_path;

  // Contexts that are bound to it (Note [Bound contexts] in net.cpp), by endMu.
  gort::mutex endMu;
  int ended = 0;  // bindings whose context is over
  error end;      // the first one's error: what PollError::canceled means

 private:
  // The last operation on the reading side was a read that left nothing: Note [A socket that was emptied] in
  // sched/netpoll.cpp. By rmu.
  bool emptied_ = false;
};

template <class F>
result<std::size_t> net_fd::attempt(rt::PollMode mode, const char* what, F f) {
  const inside in(*this);
  if (!in) return fail(what, errc::closed);
  mutex& mu = mode == rt::PollMode::read ? rmu : wmu;
  mu.lock();
  auto r = attempt_locked(mode, what, std::move(f));
  mu.unlock();
  return r;
}

template <class F>
result<std::size_t> net_fd::attempt_locked(rt::PollMode mode, const char* what, F f) {
  rt::PollError stop = rt::PollError::none;
  const bool emptied = mode == rt::PollMode::read && std::exchange(emptied_, false);
  const long n = until_ready(mode, std::move(f), stop, emptied);
  if (stop != rt::PollError::none) return fail(what, stopped(stop));
  if (n < 0) return fail(what, sys_error(n));
  return static_cast<std::size_t>(n);
}

}  // namespace detail
}  // namespace net
}  // namespace GORT_ABI
}  // namespace gort

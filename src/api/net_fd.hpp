// SPDX-License-Identifier: Apache-2.0
// net_fd: one socket that does not block, for several goroutines at once.            (Go: internal/poll.FD, net.netFD)
#pragma once
#include <gort/net.hpp>
#include <gort/sync.hpp>

#include <sys/socket.h>

#include "sched/netpoll.hpp"
#include "sched/proc.hpp"

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

inline bool is_unix(network n) { return n.value() >= network::unix_stream; }
inline bool is_datagram(network n) {
  return (n.value() >= network::udp && n.value() <= network::udp6) || n.value() == network::unix_gram;
}

// sys_error makes an error of what a raw system call returned.
error sys_error(long negative_errno);
// op_error puts Go's words in front: "read tcp 127.0.0.1:1->127.0.0.1:2: ...".
error op_error(const char* op, network n, const address* source, const address* target, const error& cause);

namespace detail {

// Ownership of the descriptor: state_ counts the operations inside, plus one while it is open; `closed` is its low bit. The
//   last one to leave after close() releases the descriptor. So its number cannot become somebody else's under an operation.
// Ownership of the record: refs_, by handles and by whoever may call after the handle has gone (bind).
struct net_fd {
  net_fd(int sysfd, network n) : fd(sysfd), net(n) {}
  net_fd(const net_fd&) = delete;
  net_fd& operator=(const net_fd&) = delete;

  // make takes over sysfd, also when it fails.
  static result<net_fd*> make(int sysfd, network n);

  bool enter();  // false: closed
  void leave();
  error close();
  void retain() { refs_.fetchAdd(1, rt::Order::relaxed); }
  void release();

  // attempt calls f, which returns what a raw system call does, until it says something else than "not now". what: for
  // the error. deadline and close end it.   Runs on: any thread.
  template <class F>
  result<std::size_t> attempt(rt::PollMode mode, const char* what, F f);
  // attempt_locked is attempt for who has entered and holds the mutex of that direction.
  template <class F>
  result<std::size_t> attempt_locked(rt::PollMode mode, const char* what, F f);
  void set_deadline(int mode, gort::clock::time_point t);
  error fail(const char* what, const error& cause) const;

  const int fd;
  const network net;
  rt::PollDesc* pd = nullptr;
  gort::mutex rmu, wmu;
  address local, remote;  // set before the record is shared
  std::string unlink_path;

 private:
  static constexpr rt::uint32 kClosed = 1, kUser = 2;
  rt::Atomic<rt::uint32> state_{kUser};
  rt::Atomic<rt::uint32> refs_{1};
};

// inside holds an fd open for one operation.
class inside {
 public:
  explicit inside(net_fd& f) : f_(f.enter() ? &f : nullptr) {}
  ~inside() {
    if (f_ != nullptr) f_->leave();
  }
  inside(const inside&) = delete;
  inside& operator=(const inside&) = delete;
  explicit operator bool() const { return f_ != nullptr; }

 private:
  net_fd* f_;
};

error poll_error(rt::PollError e);

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
  long n = 0;
  rt::PollError stop = rt::PollError::none;
  {
    const rt::Entry e;
    stop = rt::pollReset(pd, mode);
    while (stop == rt::PollError::none) {
      n = f();
      if (n == -EINTR) continue;
      if (n != -EAGAIN) break;
      stop = rt::pollWait(pd, mode);
    }
  }
  if (stop != rt::PollError::none) return fail(what, poll_error(stop));
  if (n < 0) return fail(what, sys_error(n));
  return static_cast<std::size_t>(n);
}

}  // namespace detail
}  // namespace net
}  // namespace GORT_ABI
}  // namespace gort

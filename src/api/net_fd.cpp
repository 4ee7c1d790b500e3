// SPDX-License-Identifier: Apache-2.0
#include "api/net_fd.hpp"

#include <cerrno>
#include <sys/syscall.h>

#include "os/os_linux.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace net {

using rt::os::sys;

error sys_error(long negative_errno) {
  return std::error_code(static_cast<int>(-negative_errno), std::system_category());
}

error op_error(const char* op, network n, const address* source, const address* target, const error& cause) {
  std::string words = op;
  words += ' ';
  words += n.string();
  const std::string from = source != nullptr ? source->string() : std::string();
  const std::string to = target != nullptr ? target->string() : std::string();
  if (!from.empty()) words += ' ' + from;
  if (!to.empty()) words += (from.empty() ? " " : "->") + to;
  return cause.wrap(words);
}

namespace detail {

error poll_error(rt::PollError e) { return e == rt::PollError::timeout ? errc::io_timeout : errc::closed; }

result<net_fd*> net_fd::make(int sysfd, network n) {
  auto* f = new net_fd(sysfd, n);
  const rt::Entry e;
  if (const int err = rt::pollOpen(sysfd, &f->pd); err < 0) {
    sys(SYS_close, sysfd);
    delete f;
    return sys_error(err);
  }
  return f;
}

bool net_fd::enter() {
  rt::uint32 s = state_.load(rt::Order::relaxed);
  do {
    if ((s & kClosed) != 0) return false;
  } while (!state_.compareExchange(s, s + kUser, rt::Order::acquire));
  return true;
}

void net_fd::leave() {
  if (state_.fetchSub(kUser, rt::Order::acqRel) != (kUser | kClosed)) return;
  const rt::Entry e;
  rt::pollClose(pd);
  sys(SYS_close, fd);
  release();
}

error net_fd::close() {
  rt::uint32 s = state_.load(rt::Order::relaxed);
  do {
    if ((s & kClosed) != 0) return fail("close", errc::closed);
  } while (!state_.compareExchange(s, s | kClosed, rt::Order::acqRel));
  retain();  // leave gives one back
  rt::pollUnblock(pd);
  if (!unlink_path.empty()) sys(SYS_unlink, unlink_path.c_str());
  leave();
  return {};
}

void net_fd::release() {
  if (refs_.fetchSub(1, rt::Order::acqRel) == 1) delete this;
}

void net_fd::set_deadline(int mode, gort::clock::time_point t) {
  const inside in(*this);
  if (!in) return;
  const bool never = t == gort::clock::time_point::max();
  const rt::int64 when = t.time_since_epoch().count();
  rt::pollSetDeadline(pd, never ? 0 : when <= 0 ? 1 : when, static_cast<rt::PollMode>(mode));
}

error net_fd::fail(const char* what, const error& cause) const {
  return op_error(what, net, &local, &remote, cause);
}

void fd_handle::drop(net_fd* p) noexcept {
  (void)p->close();
  p->release();
}

}  // namespace detail

}  // namespace net
}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
#include "api/net_fd.hpp"

#include <cerrno>
#include <new>
#include <sys/syscall.h>

#include "os/os_linux.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace net {

using rt::os::sys;

namespace {
// nowhere is the address of an end that is not there: a listener has no peer.
bool nowhere(const address& a) { return a == address(); }
}  // namespace

error op_error(const char* op, network n, const address* source, const address* target, const error& cause) {
  std::string words = op;
  words += ' ';
  words += n.string();
  const std::string from = source == nullptr || nowhere(*source) ? std::string() : source->string();
  const std::string to =
      target == nullptr || (source != nullptr && nowhere(*target)) ? std::string() : target->string();
  if (!from.empty()) words += ' ' + from;
  if (!to.empty()) words += (from.empty() ? " " : "->") + to;
  return cause.wrap(words);
}

namespace detail {

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

error net_fd::close() {
  const inside in(*this);  // the path belongs to us as long as the socket is open
  if (!shut()) return fail("close", errc::closed);
  if (!unlink_path.empty()) sys(SYS_unlink, unlink_path.c_str());
  return {};
}

error net_fd::stopped(rt::PollError stop) {
  if (stop != rt::PollError::canceled) return poll_error(stop);
  const std::lock_guard l(endMu);
  return end ? end : error(errc::canceled);
}

error net_fd::fail(const char* what, const error& cause) const {
  if (fd < 0) return cause.wrap(what);  // moved from: of what, nobody knows
  return op_error(what, net, &local, &remote, cause);
}

void fd_handle::drop(net_fd* p) noexcept {
  (void)p->close();
  p->release();
}

// Never destroyed: a conn may be a static.
net_fd* fd_handle::moved_from() noexcept {
  alignas(net_fd) static unsigned char room[sizeof(net_fd)];
  static net_fd* const one = new (room) net_fd(net_fd::never_open{});
  return one;
}

}  // namespace detail

}  // namespace net
}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
#include "api/net_fd.hpp"

#include <cerrno>
#include <sys/syscall.h>

#include "os/os_linux.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace net {

using rt::os::sys;

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

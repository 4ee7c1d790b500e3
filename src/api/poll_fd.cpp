// SPDX-License-Identifier: Apache-2.0
#include "api/poll_fd.hpp"

#include <sys/syscall.h>

#include "os/os_linux.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace detail {

error sys_error(long negative_errno) {
  return std::error_code(static_cast<int>(-negative_errno), std::system_category());
}

error poll_error(rt::PollError e) {
  if (e == rt::PollError::canceled) return errc::canceled;
  return e == rt::PollError::timeout ? errc::io_timeout : errc::closed;
}

bool poll_fd::enter() {
  rt::uint32 s = state_.load(rt::Order::relaxed);
  do {
    if ((s & kClosed) != 0) return false;
  } while (!state_.compareExchange(s, s + kUser, rt::Order::acquire));
  return true;
}

void poll_fd::leave() {
  if (state_.fetchSub(kUser, rt::Order::acqRel) != (kUser | kClosed)) return;
  const rt::Entry e;
  if (pd != nullptr) rt::pollClose(pd);
  rt::os::sys(SYS_close, fd);
  release();
}

bool poll_fd::shut() {
  rt::uint32 s = state_.load(rt::Order::relaxed);
  do {
    if ((s & kClosed) != 0) return false;
  } while (!state_.compareExchange(s, s | kClosed, rt::Order::acqRel));
  retain();  // leave gives one back
  if (pd != nullptr) rt::pollUnblock(pd);
  leave();
  return true;
}

void poll_fd::cancel(bool on) {
  const inside in(*this);
  if (in && pd != nullptr) rt::pollCancel(pd, on);
}

void poll_fd::release() {
  if (refs_.fetchSub(1, rt::Order::acqRel) == 1) delete this;
}

void poll_fd::set_deadline(int mode, gort::clock::time_point t) {
  const inside in(*this);
  if (!in) return;
  const bool none = t == gort::clock::time_point::max();
  const rt::int64 when = t.time_since_epoch().count();
  rt::pollSetDeadline(pd, none ? 0 : when <= 0 ? 1 : when, static_cast<rt::PollMode>(mode));
}

}  // namespace detail
}  // namespace GORT_ABI
}  // namespace gort

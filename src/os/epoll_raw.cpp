// SPDX-License-Identifier: Apache-2.0
#include "os/epoll_raw.hpp"

#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "os/os_linux.hpp"

namespace gort::rt::os {

namespace {
constexpr int kSysEpollPwait2 = 441, kEpollCloexec = 02000000;
constexpr int64 kNsPerMs = 1000000;
}  // namespace

int epollCreate() { return static_cast<int>(sys(SYS_epoll_create1, kEpollCloexec)); }
int epollCtl(int ep, int op, int fd, EpollEvent* ev) {
  return static_cast<int>(sys(SYS_epoll_ctl, ep, op, fd, ev));
}

int epollWaitNs(int ep, EpollEvent* ev, int n, int64 ns) {
  if (ns > 0 && features.epollPwait2) {
    struct {
      int64 sec, nsec;
    } ts{ns / 1000000000, ns % 1000000000};
    return static_cast<int>(sys(kSysEpollPwait2, ep, ev, n, &ts, nullptr, 8));
  }
  int ms = -1;
  if (ns == 0) ms = 0;
  if (ns > 0)
    ms = ns > int64{1000000} * kNsPerMs ? 1000000 : static_cast<int>((ns + kNsPerMs - 1) / kNsPerMs);
  return static_cast<int>(sys(SYS_epoll_pwait, ep, ev, n, ms, nullptr, 8));
}

int eventFd() { return static_cast<int>(sys(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK)); }

}  // namespace gort::rt::os

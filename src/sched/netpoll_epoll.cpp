// SPDX-License-Identifier: Apache-2.0
// The waiting half of the netpoller: one epoll set with an eventfd in it.         (Go: netpoll_epoll.go)
// Break protocol: netpollBreak wins netpollWakeSig 0 -> 1 and writes the eventfd; the poller that reads it sets the word
// back to 0 after draining. A break between two polls is kept by the eventfd's counter: no wake-up is lost. A netpoll(0)
// leaves the event alone: it belongs to the one that waits.
#include "base/check.hpp"
#include "os/epoll_raw.hpp"
#include "os/os_linux.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc.hpp"

namespace gort::rt {

namespace {

constinit int epfd = -1, eventfd = -1;
constinit Atomic<uint32> netpollWakeSig{0};

}  // namespace

void netpollinit() {
  epfd = os::epollCreate();
  eventfd = os::eventFd();
  os::EpollEvent ev{os::kEpollIn, 0};
  if (epfd < 0 || eventfd < 0 || os::epollCtl(epfd, os::kEpollCtlAdd, eventfd, &ev) < 0) {
    fatal("runtime: netpollinit: cannot create the epoll instance or its eventfd (file descriptor limit?)");
  }
}

bool netpollinited() { return epfd >= 0; }
bool netpollAnyWaiters() { return false; }
bool netpollBroken() { return netpollWakeSig.load(Order::acquire) != 0; }

void netpollBreak() {
  uint32 idle = 0;
  if (!netpollWakeSig.compareExchange(idle, 1, Order::acqRel)) return;
  const uint64 one = 1;
  os::write(eventfd, &one, sizeof one);
}

GQueue netpoll(int64 delay) {
  GQueue ready;
  os::EpollEvent events[16];
  const int n = os::epollWaitNs(epfd, events, 16, delay);
  for (int i = 0; i < n; ++i) {
    if (events[i].data == 0 && delay != 0) {
      uint64 count;
      os::read(eventfd, &count, sizeof count);
      netpollWakeSig.store(0, Order::release);
    }
  }
  return ready;
}

}  // namespace gort::rt

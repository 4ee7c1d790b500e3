// SPDX-License-Identifier: Apache-2.0
// The waiting half of the netpoller: one epoll set with an eventfd in it.         (Go: netpoll_epoll.go)
// Every file is registered once, for both directions, edge-triggered. An event carries the address of its PollDesc and
// the low bits of its seq: an event that was on its way when the file was closed is recognised (2^23 files later it might
// not be; it then costs its new owner one attempt more).
// What stays in a socket when its bytes have been read, and makes no event of its own then, is kept from the first event
// that shows it: the end (RDHUP), an error, an urgent byte (at which a read stops short, with bytes behind it). Not HUP: it
// comes with one of the others, and alone it is a socket before its connect.
// Break protocol: netpollBreak wins netpollWakeSig 0 -> 1 and writes the eventfd; the poller that reads it sets the word
// back to 0 after draining. A break between two polls is kept by the eventfd's counter: no wake-up is lost. A netpoll(0)
// leaves the event alone: it belongs to the one that waits.
#include "arch/sanitizer_fiber.hpp"
#include "base/check.hpp"
#include "os/epoll_raw.hpp"
#include "os/os_linux.hpp"
#include "sched/netpoll.hpp"
#include "sched/netpoll_file.hpp"
#include "sched/proc.hpp"

namespace gort::rt {

namespace {

constexpr unsigned kSeqBits = 23;  // addresses have 47 bits, 6 of them zero
constexpr int kEvents = 128;
static_assert(alignof(PollDesc) == 64);
// Not the tag of a PollDesc: the eventfd, and the set of netpoll_file.cpp.
constexpr uint64 kBreakTag = 0, kSetTag = 1;

uint64 tag(const PollDesc* pd) {
  return reinterpret_cast<uintptr>(pd) >> 6 << kSeqBits |
         (pd->seq.load(Order::relaxed) & ((1u << kSeqBits) - 1));
}
PollDesc* untag(uint64 data) {
  auto* pd = reinterpret_cast<PollDesc*>(data >> kSeqBits << 6);
  return tag(pd) == data ? pd : nullptr;
}

// The kernel orders an event after the registration of its file; TSan sees this word instead.
constinit Atomic<uint32> registered{0};

constexpr uint32 kStickyEvents = os::kEpollRdHup | os::kEpollErr | os::kEpollPri;

constinit int epfd = -1, eventfd = -1;
constinit Atomic<uint32> netpollWakeSig{0};

}  // namespace

void netpollinit() {
  epfd = os::epollCreate();
  eventfd = os::eventFd();
  os::EpollEvent ev{os::kEpollIn, kBreakTag};
  if (epfd < 0 || eventfd < 0 || os::epollCtl(epfd, os::kEpollCtlAdd, eventfd, &ev) < 0) {
    fatal("runtime: netpollinit: cannot create the epoll instance or its eventfd (file descriptor limit?)");
  }
}

bool netpollinited() { return epfd >= 0; }
bool netpollBroken() { return netpollWakeSig.load(Order::acquire) != 0; }

int netpollopen(int fd, PollDesc* pd) {
  if (GORT_TSAN) registered.fetchAdd(1, Order::acqRel);
  os::EpollEvent ev{os::kEpollIn | os::kEpollOut | os::kEpollRdHup | os::kEpollPri | os::kEpollEt, tag(pd)};
  return os::epollCtl(epfd, os::kEpollCtlAdd, fd, &ev);
}

void netpollclose(int fd) {
  os::EpollEvent ev{0, 0};
  os::epollCtl(epfd, os::kEpollCtlDel, fd, &ev);
}

int netpollAddSet(int set) {
  os::EpollEvent ev{os::kEpollIn, kSetTag};
  return os::epollCtl(epfd, os::kEpollCtlAdd, set, &ev);
}

void netpollBreak() {
  uint32 idle = 0;
  if (!netpollWakeSig.compareExchange(idle, 1, Order::acqRel)) return;
  const uint64 one = 1;
  os::write(eventfd, &one, sizeof one);
}

GQueue netpoll(int64 delay) {
  GQueue ready;
  os::EpollEvent events[kEvents];
  const int n = os::epollWaitNs(epfd, events, kEvents, delay);
  if (GORT_TSAN) (void)registered.load(Order::acquire);
  for (int i = 0; i < n; ++i) {
    const os::EpollEvent& ev = events[i];
    if (ev.data == kSetTag) {
      filesReady(ready);
      continue;
    }
    if (ev.data == kBreakTag) {
      if (delay == 0) continue;
      uint64 count;
      os::read(eventfd, &count, sizeof count);
      netpollWakeSig.store(0, Order::release);
      continue;
    }
    PollDesc* pd = untag(ev.data);
    if (pd == nullptr) continue;
    if (GORT_UNLIKELY((ev.events & kStickyEvents) != 0)) pollSticky(pd);  // before the waiter can go on
    const bool r = (ev.events & (os::kEpollIn | os::kEpollRdHup | os::kEpollHup | os::kEpollErr)) != 0;
    const bool w = (ev.events & (os::kEpollOut | os::kEpollHup | os::kEpollErr)) != 0;
    if (r) netpollready(ready, pd, PollMode::read);
    if (w) netpollready(ready, pd, PollMode::write);
  }
  return ready;
}

}  // namespace gort::rt

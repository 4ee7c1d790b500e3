// SPDX-License-Identifier: Apache-2.0
// epoll and eventfd as raw calls; -errno on failure.
#pragma once
#include "base/types.hpp"

namespace gort::rt::os {

struct __attribute__((packed)) EpollEvent {
  uint32 events;
  uint64 data;
};
inline constexpr uint32 kEpollIn = 1, kEpollPri = 2, kEpollOut = 4, kEpollErr = 8, kEpollHup = 16,
                        kEpollRdHup = 0x2000, kEpollEt = 1u << 31;
inline constexpr int kEpollCtlAdd = 1, kEpollCtlDel = 2, kEpollCtlMod = 3;

int epollCreate();
int epollCtl(int ep, int op, int fd, EpollEvent* ev);
// epollWaitNs waits ns nanoseconds (< 0: no limit, 0: poll). Needs no timerfd: epoll_pwait2 where the kernel has it,
// otherwise the millisecond call rounded up to the next millisecond (documented fallback).
int epollWaitNs(int ep, EpollEvent* ev, int n, int64 ns);
int eventFd();

}  // namespace gort::rt::os

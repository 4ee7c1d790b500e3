// SPDX-License-Identifier: Apache-2.0
#include "os/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>

#include "os/os_linux.hpp"

namespace gort::rt::os {

void futexsleep(Atomic<uint32>* addr, uint32 val, int64 ns) {
  struct {
    int64 sec, nsec;
  } ts;
  void* timeout = nullptr;
  if (ns >= 0) {
    ts = {ns / 1000000000, ns % 1000000000};
    timeout = &ts;
  }
  sys(SYS_futex, addr->addr(), FUTEX_WAIT_PRIVATE, val, timeout, nullptr, 0);
}

void futexwakeup(Atomic<uint32>* addr, uint32 cnt) {
  sys(SYS_futex, addr->addr(), FUTEX_WAKE_PRIVATE, cnt, nullptr, nullptr, 0);
}

}  // namespace gort::rt::os

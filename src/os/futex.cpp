// SPDX-License-Identifier: Apache-2.0
#include "os/futex.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>

#include "base/rand.hpp"
#include "os/os_linux.hpp"

namespace gort::rt::os {

namespace {
constinit Atomic<uint64> chaos{0};  // 0: off; else the state of a counter-based generator
}

void futexChaos(uint64 seed) { chaos.store(seed | 1, Order::relaxed); }

void futexsleep(Atomic<uint32>* addr, uint32 val, int64 ns) {
  if (GORT_UNLIKELY(chaos.load(Order::relaxed) != 0)) {
    uint64 x = chaos.fetchAdd(2, Order::relaxed);
    if (splitmix64(x) % 4 == 0) return;
  }
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

// SPDX-License-Identifier: Apache-2.0
// Futex facade.        (Go: os_linux.go, futexsleep/futexwakeup)
#pragma once
#include "base/atomic.hpp"

namespace gort::rt::os {

// futexsleep returns when *addr != val was seen, after a wake, a signal, or ns nanoseconds (ns < 0: no limit).
// May return early for no reason; callers re-check their condition. Clock: CLOCK_MONOTONIC.
void futexsleep(Atomic<uint32>* addr, uint32 val, int64 ns);
// futexChaos makes every fourth sleep return at once: callers must re-check (GODEBUG=chaos).
void futexChaos(uint64 seed);
void futexwakeup(Atomic<uint32>* addr, uint32 cnt);

}  // namespace gort::rt::os

// SPDX-License-Identifier: Apache-2.0
// Clocks facade. nanotime is CLOCK_MONOTONIC, walltime CLOCK_REALTIME, both in ns through the vDSO found in osinit (no
// lazy PLT, no libc lock); plain system calls where there is no vDSO. Under sim both are virtual (sched/sim).
#pragma once
#include "base/types.hpp"

namespace gort::rt::os {

int64 nanotime();        // real monotonic clock, never virtual
int64 walltime();        // real wall clock, ns since the epoch
int64 threadCpuNanos();  // CLOCK_THREAD_CPUTIME_ID
void vdsoInit();         // called by osinit

inline int64 cputicks() { return static_cast<int64>(__builtin_ia32_rdtsc()); }
inline void procyield(uint32 n) {
  while (n-- > 0) __builtin_ia32_pause();
}

}  // namespace gort::rt::os

// SPDX-License-Identifier: Apache-2.0
// getg: the current goroutine, one load from initial-exec TLS. The asm is volatile and the variable is never named in
// C++ code, so that no compiler caches its address or value across a switch of threads.
#pragma once
#include "base/dialect.hpp"
#include "base/types.hpp"

namespace gort::rt {

struct G;

GORT_ALWAYS_INLINE G* getg() {
  G* gp;
  __asm__ volatile("movq gort_tls_g@GOTTPOFF(%%rip), %0\n\tmovq %%fs:(%0), %0" : "=r"(gp));
  return gp;
}

// setg is for start-up and attach only; switches write it in assembly.
GORT_ALWAYS_INLINE void setg(G* gp) {
  uintptr off;
  __asm__ volatile("movq gort_tls_g@GOTTPOFF(%%rip), %0\n\tmovq %1, %%fs:(%0)"
                   : "=&r"(off)
                   : "r"(gp)
                   : "memory");
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// The environment that puts the explorer under the product's lock-free templates.
#pragma once
#include "model/explorer.hpp"

namespace model {

// LockEnv is the environment of lock_futex.hpp. Asymmetric: membarrier for the heavy side, a compiler barrier
// for the light one; otherwise a seq_cst fence on both, as on a kernel without membarrier.
template <bool kAsymmetric>
struct LockEnv {
  template <class T>
  using Atomic = model::Atomic<T>;
  static constexpr int kSpin = 1;
  static void futexsleep(Atomic<uint32_t>* a, uint32_t v, int64_t ns) { futexWait(*a, v, ns >= 0); }
  static void futexwakeup(Atomic<uint32_t>* a, uint32_t n) { futexWake(*a, static_cast<int>(n)); }
  static void procyield() {}   // the spin is bounded: it needs no fairness
  static int64_t nanotime() {  // some looks at the clock come long after the one before
    static int64_t clock;
    return clock += choose(2, "time passes") * 1000000;
  }
  static void lightBarrier() {
    if (kAsymmetric) {
      lightFence();
    } else {
      model::fence(Order::seqCst);
    }
  }
  static void heavyBarrier() {
    if (kAsymmetric) {
      heavyFence();
    } else {
      model::fence(Order::seqCst);
    }
  }
};

}  // namespace model

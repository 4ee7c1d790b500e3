// SPDX-License-Identifier: Apache-2.0
// Atomics facade: the only atomics of the runtime.      (Go: internal/runtime/atomic)
// The lock-free types take the atomic as part of their environment (`Env::Atomic<T>`), so that tests/model can put a
// simulated one in its place and explore every interleaving. Everything maps to one compiler builtin.
// compilerBarrier() orders nothing for other threads by itself; it is the light half of an asymmetric fence whose heavy
// half is os::membarrierAll() (see Note [Asymmetric unlock] in base/lock_futex.hpp).
#pragma once
#include <type_traits>

#include "base/types.hpp"

namespace gort::rt {

enum class Order : int {
  relaxed = __ATOMIC_RELAXED,
  acquire = __ATOMIC_ACQUIRE,
  release = __ATOMIC_RELEASE,
  acqRel = __ATOMIC_ACQ_REL,
  seqCst = __ATOMIC_SEQ_CST,
};

// casOrder is the order to ask of the compiler's compare-and-swap: GCC 12 refuses a failure order stronger than the one
// of success, which C++17 allows. No cost where the two differ: x86 has one instruction, others the stronger success.
constexpr Order casOrder(Order ok, Order fail) {
  if (fail == Order::seqCst) return Order::seqCst;
  if (fail != Order::acquire) return ok;
  if (ok == Order::relaxed) return Order::acquire;
  return ok == Order::release ? Order::acqRel : ok;
}

template <class T>
class Atomic {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "Atomic<T>: a lock-free machine word");

 public:
  constexpr Atomic() noexcept = default;
  constexpr explicit Atomic(T v) noexcept : v_(v) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(Order o = Order::seqCst) const noexcept { return __atomic_load_n(&v_, static_cast<int>(o)); }
  void store(T v, Order o = Order::seqCst) noexcept { __atomic_store_n(&v_, v, static_cast<int>(o)); }
  T exchange(T v, Order o = Order::seqCst) noexcept {
    return __atomic_exchange_n(&v_, v, static_cast<int>(o));
  }
  // compareExchange writes the value it saw to `expected` when it fails.
  bool compareExchange(T& expected, T desired, Order ok = Order::seqCst,
                       Order fail = Order::relaxed) noexcept {
    return __atomic_compare_exchange_n(&v_, &expected, desired, false, static_cast<int>(casOrder(ok, fail)),
                                       static_cast<int>(fail));
  }
  // cas is compareExchange for callers that do not want the value seen.
  bool cas(T expected, T desired, Order ok = Order::seqCst) noexcept {
    return compareExchange(expected, desired, ok);
  }
  T fetchAdd(T v, Order o = Order::seqCst) noexcept {
    return __atomic_fetch_add(&v_, v, static_cast<int>(o));
  }
  T fetchSub(T v, Order o = Order::seqCst) noexcept {
    return __atomic_fetch_sub(&v_, v, static_cast<int>(o));
  }
  T fetchOr(T v, Order o = Order::seqCst) noexcept { return __atomic_fetch_or(&v_, v, static_cast<int>(o)); }
  T fetchAnd(T v, Order o = Order::seqCst) noexcept {
    return __atomic_fetch_and(&v_, v, static_cast<int>(o));
  }

  // addr is for system calls (futex) only.
  T* addr() noexcept { return &v_; }

 private:
  T v_{};
};

// For words that are plain because assembly reads them at a fixed offset (G::stackguard0).
template <class T>
inline __attribute__((always_inline)) T loadRelaxed(const T* p) noexcept {
  return __atomic_load_n(p, __ATOMIC_RELAXED);
}
template <class T>
inline __attribute__((always_inline)) void storeRelaxed(T* p, T v) noexcept {
  __atomic_store_n(p, v, __ATOMIC_RELAXED);
}

// Published is a word that one thread at a time writes and others may look at: release stores, acquire loads (plain moves
// on x86). Reads like a plain variable.
template <class T>
class Published {
 public:
  constexpr Published() noexcept = default;
  constexpr Published(T v) noexcept : v_(v) {}
  Published(const Published&) = delete;
  Published& operator=(const Published&) = delete;
  T operator=(T v) noexcept {
    __atomic_store_n(&v_, v, __ATOMIC_RELEASE);
    return v;
  }
  operator T() const noexcept { return __atomic_load_n(&v_, __ATOMIC_ACQUIRE); }
  T operator->() const noexcept { return *this; }
  T get() const noexcept { return *this; }

 private:
  T v_{};
};

// Two words that change in one step (BasicMutex).
inline __attribute__((always_inline)) uint64 fetchSubPair(uint64* p, uint64 v, Order o) noexcept {
  return __atomic_fetch_sub(p, v, static_cast<int>(o));
}

inline __attribute__((always_inline)) void fence(Order o = Order::seqCst) noexcept {
  __atomic_thread_fence(static_cast<int>(o));
}
// fenceAfterRmw is a full fence where a read-modify-write of this thread is the last thing that has to be ordered before
// it: on x86 that locked instruction was one.
inline __attribute__((always_inline)) void fenceAfterRmw() noexcept {
#if defined(__x86_64__)
  __asm__ volatile("" ::: "memory");
#else
  fence(Order::seqCst);
#endif
}
inline __attribute__((always_inline)) void compilerBarrier() noexcept { __asm__ volatile("" ::: "memory"); }

}  // namespace gort::rt

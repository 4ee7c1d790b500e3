// SPDX-License-Identifier: Apache-2.0
// Waits that a time or a context may end: from the public patience to the core's waiter.
#pragma once
#include <gort/sync.hpp>

#include "api/context_internal.hpp"
#include "sched/proc.hpp"
#include "sched/sema.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace detail {

// word shows a public atomic word as the runtime's type.
template <class T>
rt::Atomic<T>& word(T& w) {
  static_assert(sizeof(rt::Atomic<T>) == sizeof(T) && std::is_standard_layout_v<rt::Atomic<T>>);
  return *reinterpret_cast<rt::Atomic<T>*>(
      &w);  // SAFETY: Atomic<T> is one T, always accessed through the builtins
}

// is_over: there is no point in beginning to wait. Without a deadline the clock is not read: it costs more than a switch.
inline bool is_over(const patience& p) {
  return (p.ctx != nullptr && p.ctx->err()) ||
         (p.until != clock::time_point::max() && p.until.time_since_epoch().count() <= rt::nanotime());
}

// bounded_wait makes w, which waits at addr, give up in time. Set w's callbacks first.
class bounded_wait {
 public:
  bounded_wait(rt::SemaWaiter& w, const void* addr, const patience& p)
      : timeout_((w.addr = addr, w), p.until.time_since_epoch().count()), abort_(w, p.ctx) {}

 private:
  rt::SemaTimeout timeout_;
  ctx_abort abort_;
};

}  // namespace detail
}  // namespace GORT_ABI
}  // namespace gort

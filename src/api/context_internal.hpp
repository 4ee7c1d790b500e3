// SPDX-License-Identifier: Apache-2.0
// What the api floor hangs on contexts: hooks that run when one ends, and the waits that they end.
#pragma once
#include <gort/context.hpp>

#include "sched/proc.hpp"
#include "sched/sema.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace detail {

// ctx_hook is a callback in the list of a context that can end. It may lie on a stack. fn runs once, when the
// context ends, on the goroutine that ends it, with no lock held and without being preempted: it must be
// short and not park. All but `running` by the node's lock.
struct ctx_hook {
  ctx_hook* next = nullptr;
  ctx_hook* prev = nullptr;
  void (*fn)(ctx_hook& h, ctx_node& ended) = nullptr;
  void (*drop)(ctx_hook& h) =
      nullptr;  // the list owns the hook: called when the node goes away without having ended
  bool linked = false;
  rt::Atomic<rt::uint32> running{0};
};

struct ctx_access {
  static ctx_node* node(const context& c) { return c.p_; }
  static context plain(ctx_node* p) { return context(context::adopt{}, p); }
  static scoped_context scoped(ctx_node* p) { return scoped_context(p); }
  // again: a second owner of the right to end c, which is one that can be ended.
  static scoped_context again(const context& c) {
    context::retain(c.p_);
    return scoped_context(c.p_);
  }
  static after_guard guard(void* p) { return after_guard(p); }
  static void* exchange(after_guard& g, void* p) { return std::exchange(g.p_, p); }
};

// ctx_register links the hook; false: c has ended already (fn will not run). A context that never ends: true,
// not linked.
bool ctx_register(const context& c, ctx_hook& h);
// ctx_unregister: afterwards fn does not run and is not running. True: it had not begun.
bool ctx_unregister(const context& c, ctx_hook& h);

// ctx_abort aborts the wait of w when the context ends; nullptr: never. Requires: w.addr set.
class ctx_abort {
 public:
  ctx_abort(rt::SemaWaiter& w, const context* c);
  ~ctx_abort();
  ctx_abort(const ctx_abort&) = delete;
  ctx_abort& operator=(const ctx_abort&) = delete;

 private:
  struct hook : ctx_hook {
    rt::SemaWaiter* w;
  };
  const context* c_;
  hook h_;
};

}  // namespace detail
}  // namespace GORT_ABI
}  // namespace gort

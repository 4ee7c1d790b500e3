// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/context.hpp and gort/stop_token.hpp.      (Go: context/context.go)
//
//     handle ──► value node ──► cancel node ──► value node ──► cancel node ──► background (nullptr)
//                     └─ ender ────▲   hooks: [child][after_func][a waiter on a stack] ...
//
// Ownership:  a node is counted; it holds its parent. `ender` is the nearest node, itself included, that can
//             end. A cancel node hangs in its parent's ender as a hook, from which its destructor removes it.
// Invariants: (1) state leaves 0 once, after cause has been set; from then on both are constant and read
// without the lock.
//             (2) a linked hook's fn has not run. (3) no node whose count is 0 is reached through a hook: the
//             destructor unlinks it and waits while fn runs.
// Ordering:   state.store(release) under the lock <-> load(acquire).  running - 1 (release) is the last
//             access to a hook.
// Ending:     hooks are taken one at a time and run without the lock, so that they may take other locks (a
//             root's, a channel's, a child's). Deadlines end on a goroutine that the timer starts: ending
//             frees memory, g0 must not.
// Rejected:   cancelling children under the parent's lock, as Go does: a chain of locks of one rank.
#include "api/context_internal.hpp"

#include <gort/go.hpp>
#include <gort/stop_token.hpp>

#include <new>

#include "base/check.hpp"
#include "os/os_linux.hpp"
#include "os/vdso.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace detail {

using rt::Order;

enum : rt::uint32 { kAlive = 0, kCanceled = 1, kDeadline = 2 };

struct ctx_node : ctx_hook {
  enum class kind : unsigned char { value, cancel, without_cancel };

  kind what;
  rt::Atomic<rt::uint64> refs{1};
  ctx_node* parent = nullptr;  // counted
  ctx_node* ender = nullptr;   // not counted: this or an ancestor
  clock::time_point deadline = never;
  // value
  const void* key = nullptr;
  void* value = nullptr;
  void (*destroy)(void*) = nullptr;
  // cancel
  rt::Mutex lock{rt::LockRank::context};
  rt::Atomic<rt::uint32> state{kAlive};
  error cause;                       // by lock until state is set
  error deadlineCause;               // immutable
  rt::Atomic<hchan*> done{nullptr};  // the node's own handle
  ctx_hook* first = nullptr;         // by lock
  bool timed = false;
  rt::Timer timer;

  ctx_node(kind k, ctx_node* p) : what(k), parent(p) {}
};

namespace {

void node_retain(ctx_node* n) { n->refs.fetchAdd(1, Order::relaxed); }

// tryRetain takes a reference unless the last one is gone.
bool node_try_retain(ctx_node* n) {
  rt::uint64 r = n->refs.load(Order::relaxed);
  while (r != 0) {
    if (n->refs.compareExchange(r, r + 1, Order::relaxed)) return true;
  }
  return false;
}

// ---- the list of hooks

void link(ctx_node& n, ctx_hook& h) {
  h.prev = nullptr;
  h.next = n.first;
  if (n.first != nullptr) n.first->prev = &h;
  n.first = &h;
  h.linked = true;
}

void unlink(ctx_node& n, ctx_hook& h) {
  (h.prev != nullptr ? h.prev->next : n.first) = h.next;
  if (h.next != nullptr) h.next->prev = h.prev;
  h.linked = false;
}

bool node_register(ctx_node& n, ctx_hook& h) {
  if (n.state.load(Order::acquire) != kAlive) return false;
  rt::LockGuard l(n.lock);
  if (n.state.load(Order::relaxed) != kAlive) return false;
  link(n, h);
  return true;
}

// The end of a hook's run is near: it does not park and is not preempted.
void wait_not_running(ctx_hook& h) {
  for (int i = 0; h.running.load(Order::acquire) != 0; ++i) {
    if (i < 64) {
      rt::os::procyield(20);
    } else {
      rt::os::osyield();
    }
  }
}

bool node_unregister(ctx_node& n, ctx_hook& h) {
  {
    rt::LockGuard l(n.lock);
    if (h.linked) {
      unlink(n, h);
      return true;
    }
  }
  wait_not_running(h);
  return false;
}

// ---- ending

void close_done(ctx_node& n) {
  if (hchan* c = n.done.load(Order::acquire)) chan_close(c);
}

// end ends n, if it goes on, and everything below it.
void end(ctx_node& n, rt::uint32 how, error cause) {
  rt::lock(n.lock);
  if (n.state.load(Order::relaxed) != kAlive) {
    rt::unlock(n.lock);
    return;
  }
  n.cause = std::move(cause);
  n.state.store(how, Order::release);
  rt::unlock(n.lock);
  close_done(n);
  rt::M* mp = rt::acquirem();  // who unregisters a running hook waits for it without parking
  for (;;) {
    rt::lock(n.lock);
    ctx_hook* h = n.first;
    if (h != nullptr) {
      unlink(n, *h);
      h->running.store(1, Order::relaxed);
    }
    rt::unlock(n.lock);
    if (h == nullptr) break;
    h->fn(*h, n);
    h->running.store(0, Order::release);
  }
  rt::releasem(mp);
}

// end_from_outside is end for the owner of a handle; may be called by any thread. Whoever waits for the context may
// drop the last handle as soon as it has ended: hence the reference.
void end_from_outside(ctx_node& n, rt::uint32 how, error cause) {
  rt::Entry e;
  node_retain(&n);
  const context self = ctx_access::plain(&n);
  end(n, how, std::move(cause));
  if (n.timed) rt::timerStop(n.timer);
}

// The parent has ended.
void child_hook(ctx_hook& h, ctx_node& ended) {
  end(static_cast<ctx_node&>(h), ended.state.load(Order::relaxed), ended.cause);
}

void deadline_passed(ctx_node* n) {
  end(*n, kDeadline, n->deadlineCause ? n->deadlineCause : error(errc::deadline_exceeded));
}

// ---- the deadline. Runs on g0: only starts the goroutine that does the work.

struct deadline_closure {
  ctx_node* n;
};

void deadline_timer(void* arg, rt::uint64, rt::int64) {
  auto* n = static_cast<ctx_node*>(arg);
  if (n->state.load(Order::relaxed) != kAlive || !node_try_retain(n)) return;
  rt::NewprocOptions o;
  o.name = "context deadline";
  const rt::NewG made = rt::newprocBegin(o, sizeof(deadline_closure), alignof(deadline_closure));
  ::new (made.closure) deadline_closure{n};
  rt::newprocStart(
      made.g,
      [](void* p) {
        ctx_node* ctx = static_cast<deadline_closure*>(p)->n;
        deadline_passed(ctx);
        const context last = ctx_access::plain(ctx);  // gives the reference back
      },
      made.closure);
}

// ---- life

void drop_hooks(ctx_node& n) {
  while (ctx_hook* h = n.first) {  // only hooks that the list owns can be left: all others hold a reference
    unlink(n, *h);
    h->drop(*h);
  }
}

void node_destroy(ctx_node* n) {
  rt::Entry e;
  if (n->timed) rt::timerStop(n->timer);
  if (n->what == ctx_node::kind::cancel && n->parent != nullptr && n->parent->ender != nullptr) {
    node_unregister(*n->parent->ender, *n);
  }
  drop_hooks(*n);
  if (hchan* c = n->done.load(Order::acquire)) chan_release(c);
  if (n->destroy != nullptr) n->destroy(n->value);
  delete n;
}

ctx_node* new_node(ctx_node::kind k, const context& parent) {
  ctx_node* p = ctx_access::node(parent);
  auto* n = new ctx_node(k, p);
  if (p != nullptr) {
    node_retain(p);
    n->ender = p->ender;
    n->deadline = p->deadline;
  }
  return n;
}

}  // namespace

// ---- what the api floor uses

bool ctx_register(const context& c, ctx_hook& h) {
  ctx_node* n = ctx_access::node(c);
  if (n != nullptr && n->ender != nullptr) return node_register(*n->ender, h);
  h.linked = true;  // to a context that never ends
  return true;
}

bool ctx_unregister(const context& c, ctx_hook& h) {
  ctx_node* n = ctx_access::node(c);
  if (n != nullptr && n->ender != nullptr) return node_unregister(*n->ender, h);
  return std::exchange(h.linked, false);
}

ctx_abort::ctx_abort(rt::SemaWaiter& w, const context* c) : c_(c) {
  if (c == nullptr) return;
  h_.w = &w;
  h_.fn = [](ctx_hook& h, ctx_node&) { rt::semaAbort(*static_cast<hook&>(h).w); };
  if (!ctx_register(*c, h_)) rt::semaAbort(w);
}

ctx_abort::~ctx_abort() {
  if (c_ != nullptr) ctx_unregister(*c_, h_);
}

scoped_context ctx_derive(const context& parent, clock::time_point deadline, error* cause) {
  rt::Entry e;
  ctx_node* n = new_node(ctx_node::kind::cancel, parent);
  scoped_context out = ctx_access::scoped(n);
  ctx_node* above = n->ender;
  n->ender = n;
  n->fn = child_hook;
  if (above != nullptr && !node_register(*above, *n)) {
    end(*n, above->state.load(Order::relaxed), above->cause);
    return out;
  }
  if (deadline >= n->deadline) return out;  // the parent's comes first
  n->deadline = deadline;
  if (cause != nullptr) n->deadlineCause = *cause;
  const auto when = deadline.time_since_epoch().count();
  if (when <= rt::nanotime()) {
    deadline_passed(n);
    return out;
  }
  n->timed = true;
  rt::timerInit(n->timer, deadline_timer, n);
  rt::timerModify(n->timer, when, 0);
  return out;
}

context ctx_with_value(const context& parent, const void* key, void* v, void (*destroy)(void*)) {
  ctx_node* n = nullptr;
  try {
    n = new_node(ctx_node::kind::value, parent);
  } catch (...) {
    destroy(v);
    throw;
  }
  n->key = key;
  n->value = v;
  n->destroy = destroy;
  return ctx_access::plain(n);
}

error ctx_sleep(const context& c, clock::duration d) {
  rt::Entry e;
  if (d.count() <= 0) return c.err();
  const rt::int64 until = rt::whenAfter(d.count());
  rt::Atomic<rt::uint32> nobodyReleases{0};
  rt::SemaWaiter w;
  w.addr = &nobodyReleases;
  rt::SemaTimeout timeout(w, until);
  ctx_abort abort(w, &c);
  rt::semacquireAs(w, &nobodyReleases, false, rt::WaitReason::sleep);
  return rt::nanotime() >= until ? error{} : c.err();
}

}  // namespace detail

// ---- context

void context::retain(detail::ctx_node* p) noexcept { detail::node_retain(p); }

void context::release(detail::ctx_node* p) noexcept {
  while (p != nullptr && p->refs.fetchSub(1, rt::Order::acqRel) == 1) {  // a loop: a chain may be long
    detail::ctx_node* parent = p->parent;
    detail::node_destroy(p);
    p = parent;
  }
}

recv_chan<> context::done() const {
  detail::ctx_node* n = p_ == nullptr ? nullptr : p_->ender;
  if (n == nullptr) return {};
  detail::hchan* c = n->done.load(rt::Order::acquire);
  if (c == nullptr) {
    c = detail::chan_make(detail::type_of<unit>(), 0);
    rt::Entry e;
    detail::hchan* mine = c;
    detail::hchan* seen = nullptr;
    bool ended = false;
    {
      rt::LockGuard l(n->lock);  // end() sets the state under it, then looks for the channel
      if (n->done.compareExchange(seen, mine, rt::Order::acqRel, rt::Order::acquire)) {
        ended = n->state.load(rt::Order::relaxed) != detail::kAlive;
      } else {
        c = seen;
      }
    }
    if (c != mine) detail::chan_release(mine);
    if (ended) detail::chan_close(c);
  }
  detail::chan_retain(c);
  return recv_chan<>(c);
}

error context::err() const {
  if (p_ == nullptr || p_->ender == nullptr) return {};
  switch (p_->ender->state.load(rt::Order::acquire)) {
    case detail::kCanceled:
      return errc::canceled;
    case detail::kDeadline:
      return errc::deadline_exceeded;
    default:
      return {};
  }
}

error context::cause() const {
  if (p_ == nullptr || p_->ender == nullptr) return {};
  if (p_->ender->state.load(rt::Order::acquire) == detail::kAlive) return {};
  return p_->ender->cause;
}

std::optional<clock::time_point> context::deadline() const noexcept {
  if (p_ == nullptr || p_->deadline == detail::never) return std::nullopt;
  return p_->deadline;
}

const void* context::find(const void* key) const noexcept {
  for (const detail::ctx_node* n = p_; n != nullptr; n = n->parent) {
    if (n->what == detail::ctx_node::kind::value && n->key == key) return n->value;
  }
  return nullptr;
}

void scoped_context::cancel() const noexcept {
  if (p_->state.load(rt::Order::acquire) == detail::kAlive) {
    detail::end_from_outside(*p_, detail::kCanceled, errc::canceled);
  }
}

void scoped_context::cancel(error cause) const noexcept {
  if (!cause) cause = errc::canceled;
  detail::end_from_outside(*p_, detail::kCanceled, std::move(cause));
}

context without_cancel(const context& parent) {
  if (detail::ctx_access::node(parent) == nullptr) return {};
  detail::ctx_node* n = detail::new_node(detail::ctx_node::kind::without_cancel, parent);
  n->ender = nullptr;
  n->deadline = detail::never;
  return detail::ctx_access::plain(n);
}

// ---- after_func

namespace detail {
namespace {

// after_box is one registration. Held by the guard, or, detached, by the context's list; and by the goroutine
// that runs f.
struct after_box : ctx_hook {
  rt::Atomic<rt::uint32> refs{1};
  void (*call)(void*);
  void (*destroy)(void*);
  void* f;
  context ctx;  // while the guard lives
};

void box_unref(after_box* b) {
  if (b->refs.fetchSub(1, Order::acqRel) != 1) return;
  wait_not_running(*b);  // who started f has its last look at the hook
  b->destroy(b->f);
  delete b;
}

void box_run(after_box* b) {
  ::gort::go(go_options{.name = "context.after_func"}, [b] {
    struct unref {
      after_box* box;
      ~unref() { box_unref(box); }
    } end{b};
    b->call(b->f);
  });
}

// The context has ended. Detached, the list's reference becomes the goroutine's.
void box_hook(ctx_hook& h, ctx_node&) {
  auto& b = static_cast<after_box&>(h);
  if (b.drop == nullptr) b.refs.fetchAdd(1, Order::relaxed);
  box_run(&b);
}

}  // namespace

after_guard ctx_after(const context& c, void (*call)(void*), void (*destroy)(void*), void* f) {
  rt::Entry e;
  after_box* b = nullptr;
  try {
    b = new after_box;
  } catch (...) {
    destroy(f);
    throw;
  }
  b->fn = box_hook;
  b->call = call;
  b->destroy = destroy;
  b->f = f;
  b->ctx = c;
  if (!ctx_register(c, *b)) {
    b->refs.fetchAdd(1, Order::relaxed);
    box_run(b);
  }
  return ctx_access::guard(b);
}

}  // namespace detail

bool after_guard::stop() noexcept {
  rt::Entry e;
  auto* b = static_cast<detail::after_box*>(p_);
  return b != nullptr && detail::ctx_unregister(b->ctx, *b);
}

void after_guard::drop() noexcept {
  rt::Entry e;
  auto* b = static_cast<detail::after_box*>(std::exchange(p_, nullptr));
  detail::ctx_unregister(b->ctx, *b);
  detail::box_unref(b);
}

void after_guard::detach() noexcept {
  rt::Entry e;
  auto* b = static_cast<detail::after_box*>(std::exchange(p_, nullptr));
  if (b == nullptr) return;
  const context c = std::move(b->ctx);
  if (!detail::ctx_unregister(c, *b)) return detail::box_unref(b);  // runs or has run
  b->drop = [](detail::ctx_hook& h) { detail::box_unref(static_cast<detail::after_box*>(&h)); };
  detail::ctx_node* n = detail::ctx_access::node(c);
  if (n == nullptr || n->ender == nullptr)
    return detail::box_unref(b);  // never ends: nothing will ever run it
  if (!detail::ctx_register(c, *b)) detail::box_run(b);
}

// ---- std::stop_token

namespace detail {
namespace {

struct stop_link {
  struct call {
    ctx_node* n;
    void operator()() const noexcept { end_from_outside(*n, kCanceled, errc::canceled); }
  };
  std::stop_callback<call> cb;
  stop_link(std::stop_token st, ctx_node* n) : cb(std::move(st), call{n}) {}
};

}  // namespace
}  // namespace detail

scoped_context with_stop(const context& parent, std::stop_token st) {
  scoped_context c = with_cancel(parent);
  detail::ctx_node* n = detail::ctx_access::node(c);
  n->value = new detail::stop_link(std::move(st), n);
  n->destroy = [](void* p) { delete static_cast<detail::stop_link*>(p); };
  return c;
}

std::stop_token to_stop_token(const context& c) {
  std::stop_source source;
  std::stop_token token = source.get_token();
  after_func(c, [source = std::move(source)]() mutable { source.request_stop(); }).detach();
  return token;
}

}  // namespace GORT_ABI
}  // namespace gort

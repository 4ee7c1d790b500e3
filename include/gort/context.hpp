// SPDX-License-Identifier: Apache-2.0
// context: when to stop, by when to be done, and what belongs to a request.            (Go: package context)
//
//   auto ctx = gort::with_timeout(parent, 2s);          // scoped_context: leaving the scope cancels
//   if (auto err = db.query(ctx, ...)) return err;      // a context is the first argument of what may wait
//   auto why = ctx.cause();                             // the reason; err() is the kind
//
// A context is a counted handle of one pointer to an immutable node; copies are cheap and any goroutine or
// thread may use them. Contexts form a tree: cancelling a node cancels all below it. The default context is
// background(): it never ends. scoped_context owns the right to cancel; passed on, it is a plain context.
// Deriving allocates one node; done() allocates a channel when it is first asked for; cancelling allocates
// nothing.
#pragma once
#include <gort/chan.hpp>
#include <gort/error.hpp>

#include <functional>
#include <optional>
#include <utility>

namespace gort {
inline namespace GORT_ABI {

// context_key<T> names a value of type T by its own address: make it a constant at namespace scope.
template <class T>
class context_key {
 public:
  constexpr explicit context_key(const char* name = "") noexcept : name_(name) {}
  context_key(const context_key&) = delete;
  context_key& operator=(const context_key&) = delete;
  constexpr const char* name() const noexcept { return name_; }

 private:
  const char* name_;
};

namespace detail {
struct ctx_node;
struct ctx_access;
}  // namespace detail

class GORT_API context {
 public:
  constexpr context() noexcept = default;  // background
  context(const context& o) noexcept : p_(o.p_) {
    if (p_ != nullptr) retain(p_);
  }
  context(context&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  context& operator=(const context& o) noexcept {
    context(o).swap(*this);
    return *this;
  }
  context& operator=(context&& o) noexcept {
    context(std::move(o)).swap(*this);
    return *this;
  }
  ~context() {
    if (p_ != nullptr) release(p_);
  }
  void swap(context& o) noexcept { std::swap(p_, o.p_); }

  // done is closed when the context ends; the nil channel if it never does.
  [[nodiscard]] recv_chan<> done() const;
  // err is nil as long as the context goes on, then errc::canceled or errc::deadline_exceeded.
  [[nodiscard]] error err() const;
  // cause is what cancel() was given, or err(); that of the ancestor whose end reached this one.
  [[nodiscard]] error cause() const;
  [[nodiscard]] std::optional<clock::time_point> deadline() const noexcept;
  // value finds what with_value has put under the key, here or above; nullptr: nothing. Valid as long as the
  // context.
  template <class T>
  [[nodiscard]] const T* value(const context_key<T>& key) const noexcept {
    return static_cast<const T*>(find(&key));
  }
  friend bool operator==(const context& a, const context& b) noexcept { return a.p_ == b.p_; }

 protected:
  struct adopt {};
  context(adopt, detail::ctx_node* p) noexcept : p_(p) {}
  const void* find(const void* key) const noexcept;
  static void retain(detail::ctx_node* p) noexcept;
  static void release(detail::ctx_node* p) noexcept;

  detail::ctx_node* p_ = nullptr;
  friend struct detail::ctx_access;
};
static_assert(sizeof(context) == sizeof(void*));

// scoped_context cancels when it goes away. Move-only.
class [[nodiscard]] GORT_API scoped_context : public context {
 public:
  scoped_context(scoped_context&&) noexcept = default;
  scoped_context& operator=(scoped_context&&) = delete;
  ~scoped_context() {
    if (p_ != nullptr) cancel();
  }
  // cancel ends this context and all below it, now. The first end counts.
  void cancel() const noexcept;
  void cancel(error cause) const noexcept;  // a nil cause is errc::canceled
  // release gives up the right to cancel: the context ends with its parent or deadline.
  [[nodiscard]] context release() && noexcept { return std::move(static_cast<context&>(*this)); }

 private:
  explicit scoped_context(detail::ctx_node* p) noexcept : context(adopt{}, p) {}
  friend struct detail::ctx_access;
};

[[nodiscard]] inline context background() noexcept { return {}; }

namespace detail {
GORT_API scoped_context ctx_derive(const context& parent, clock::time_point deadline, error* cause);
GORT_API context ctx_with_value(const context& parent, const void* key, void* v, void (*destroy)(void*));
}  // namespace detail

// with_cancel makes a child that ends when it is cancelled, goes out of scope, or its parent ends.
inline scoped_context with_cancel(const context& parent) {
  return detail::ctx_derive(parent, clock::time_point::max(), nullptr);
}
// with_timeout and with_deadline end it also when time is over: err() is errc::deadline_exceeded, cause() the
// cause given here; none or nil: the same as err(). An earlier end of the parent keeps the parent's.
template <class R, class P>
scoped_context with_timeout(const context& parent, std::chrono::duration<R, P> d) {
  return detail::ctx_derive(parent, detail::deadline_after(detail::to_ns(d)), nullptr);
}
template <class R, class P>
scoped_context with_timeout(const context& parent, std::chrono::duration<R, P> d, error cause) {
  return detail::ctx_derive(parent, detail::deadline_after(detail::to_ns(d)), &cause);
}
template <class C, class D>
scoped_context with_deadline(const context& parent, std::chrono::time_point<C, D> t) {
  return detail::ctx_derive(parent, detail::to_tp(t), nullptr);
}
template <class C, class D>
scoped_context with_deadline(const context& parent, std::chrono::time_point<C, D> t, error cause) {
  return detail::ctx_derive(parent, detail::to_tp(t), &cause);
}
// with_value adds a value that travels with a request; not for optional parameters.
template <class T>
[[nodiscard]] context with_value(const context& parent, const context_key<T>& key,
                                 std::type_identity_t<T> v) {
  return detail::ctx_with_value(parent, &key, new T(std::move(v)),
                                [](void* p) { delete static_cast<T*>(p); });
}
// without_cancel keeps the values but not the end of parent.
[[nodiscard]] GORT_API context without_cancel(const context& parent);

// after_guard is the registration made by after_func. It stops it when it goes away.
class [[nodiscard]] GORT_API after_guard {
 public:
  after_guard(after_guard&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  after_guard& operator=(after_guard&&) = delete;
  ~after_guard() {
    if (p_ != nullptr) drop();
  }
  // stop: true if f will not be run because of this call. It does not wait for an f that runs.
  bool stop() noexcept;
  // detach lets the registration live as long as the context.
  void detach() noexcept;

 private:
  explicit after_guard(void* p) noexcept : p_(p) {}
  void drop() noexcept;
  void* p_;
  friend struct detail::ctx_access;
};

namespace detail {
GORT_API after_guard ctx_after(const context& c, void (*call)(void*), void (*destroy)(void*), void* f);
GORT_API error ctx_sleep(const context& c, clock::duration d);
}  // namespace detail

// after_func runs f on its own goroutine once the context has ended; at once if it has already.
template <std::invocable F>
after_guard after_func(const context& c, F f) {
  return detail::ctx_after(
      c, [](void* p) { (void)(*static_cast<F*>(p))(); }, [](void* p) { delete static_cast<F*>(p); },
      new F(std::move(f)));
}

// sleep pauses for d, or until the context ends: then its error is returned.
template <class R, class P>
error sleep(const context& c, std::chrono::duration<R, P> d) {
  return detail::ctx_sleep(c, detail::to_ns(d));
}

}  // namespace GORT_ABI
}  // namespace gort

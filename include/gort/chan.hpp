// SPDX-License-Identifier: Apache-2.0
// Channels: chan<T>, its views recv_chan<T> and send_chan<T>, close_guard.
//
//   auto jobs = gort::make_chan<int>(8);
//   gort::go([=] { for (int j : jobs) work(j); });      // receives until the channel is closed and drained
//   jobs.send(1);
//   jobs.close();
//
// A channel is a handle of one pointer, counted, like std::shared_ptr; copies name the same channel. The
// default and moved-from handle is the nil channel: operations on it wait forever. When the last handle goes,
// buffered values are destroyed; nothing is closed. Any goroutine or thread may use any handle; one handle
// object is not for concurrent writing, as usual.
//
// "Waits" parks the goroutine; on a foreign thread it blocks the thread. Nothing but make_chan allocates.
//
// Values: any movable object type with a noexcept destructor. A value is delivered once or stays with its
// sender, also if its move constructor throws: the exception reaches the side that acted, the value stays
// where it was, the other side goes on waiting. Move constructors and destructors of T run under the
// channel's lock: they must not wait or panic. chan<T> may be named while T is incomplete.
#pragma once
#include <gort/time.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace gort {

namespace rt {
struct Hchan;
}

inline namespace GORT_ABI {

class context;

// What a channel can carry.
template <class T>
concept chan_value = std::is_object_v<T> && !std::is_const_v<T> && !std::is_array_v<T> &&
                     std::move_constructible<T> && std::is_nothrow_destructible_v<T>;

// How an operation that need not succeed has ended.
enum class chan_status : unsigned char {
  ok,
  closed,       // receive only: closed and drained
  would_block,  // try_*
  timeout,      // *_for, *_until
  canceled,     // with a context
};

template <class T>
class recv_result;

namespace detail {

using hchan = rt::Hchan;

// Trivially copyable values are copied as bytes, without a call into user code.
template <class T>
inline constexpr bool plain = std::is_trivially_copyable_v<T>;
template <class T>
inline constexpr bool may_throw = !plain<T> && !std::is_nothrow_move_constructible_v<T>;

// How values of a type that is not plain move. false: threw; the exception is in *exc (std::exception_ptr) if
// exc.
struct elem_ops {
  bool (*move_in)(void* slot, void* src, void* exc);    // constructs a T in raw memory
  bool (*deliver)(void* result, void* src, void* exc);  // result: std::optional<T>*
  void (*destroy)(void* slot);
};

template <class T, class F>
bool guarded_move(void* exc, F move) {
#if defined(__cpp_exceptions)
  if constexpr (may_throw<T>) {
    try {
      move();
      return true;
    } catch (...) {
      if (exc != nullptr) *static_cast<std::exception_ptr*>(exc) = std::current_exception();
      return false;
    }
  }
#endif
  (void)exc;
  move();
  return true;
}

template <class T>
inline constexpr elem_ops ops_for{
    [](void* slot, void* src, void* exc) {
      return guarded_move<T>(exc, [=] { ::new (slot) T(std::move(*static_cast<T*>(src))); });
    },
    [](void* result, void* src, void* exc) {
      auto* to = static_cast<std::optional<T>*>(result);
      return guarded_move<T>(exc, [=] { to->emplace(std::move(*static_cast<T*>(src))); });
    },
    [](void* slot) { static_cast<T*>(slot)->~T(); }};

struct elem_type {
  std::size_t size;  // bytes; 0: nothing to copy
  std::size_t align;
  const elem_ops* ops;  // nullptr: plain
};

template <class T>
constexpr elem_type type_of() noexcept {
  if constexpr (plain<T>) {
    return {std::is_empty_v<T> ? 0 : sizeof(T), alignof(T), nullptr};
  } else {
    return {sizeof(T), alignof(T), &ops_for<T>};
  }
}

inline constexpr clock::time_point never = clock::time_point::max();
inline constexpr clock::time_point now_or_never = clock::time_point::min();

// deadline_at and deadline_in saturate; neither yields now_or_never, which means "do not wait at all".
constexpr clock::time_point deadline_at(clock::time_point t) noexcept {
  return t == now_or_never ? now_or_never + clock::duration(1) : t;
}
inline clock::time_point deadline_in(clock::duration d) noexcept {
  const clock::time_point now = clock::now();
  if (d <= clock::duration::zero()) return now;
  return d > never - now ? never : now + d;
}

// The library's side. src: a T, moved from only on success; dst: raw memory for a plain T, else a
// std::optional<T>.
GORT_API hchan* chan_make(const elem_type& type, std::size_t cap);
GORT_API void chan_retain(hchan* c) noexcept;
GORT_API void chan_release(hchan* c) noexcept;
// For types whose moves never throw:
GORT_API void chan_send(hchan* c, const void* src);
GORT_API bool chan_try_send(hchan* c, const void* src);
GORT_API chan_status chan_recv(hchan* c, void* dst);  // ok or closed
GORT_API chan_status chan_try_recv(hchan* c, void* dst);
// For all types; rethrow what a move threw. ctx may be nullptr.
GORT_API chan_status chan_send_until(hchan* c, const void* src, clock::time_point until, const context* ctx);
GORT_API chan_status chan_recv_until(hchan* c, void* dst, clock::time_point until, const context* ctx);
GORT_API void chan_close(hchan* c);
GORT_API std::size_t chan_len(const hchan* c) noexcept;
GORT_API std::size_t chan_cap(const hchan* c) noexcept;
[[noreturn]] GORT_API void chan_no_value();  // panics: the result of a receive that brought none was used

// handle: one counted reference to a channel, or nil. What all channel types have in common.
class handle {
 public:
  constexpr handle() noexcept = default;
  constexpr handle(std::nullptr_t) noexcept {}
  explicit handle(hchan* adopted) noexcept : h_(adopted) {}
  handle(const handle& o) noexcept : h_(o.h_) {
    if (h_ != nullptr) chan_retain(h_);
  }
  handle(handle&& o) noexcept : h_(std::exchange(o.h_, nullptr)) {}
  handle& operator=(const handle& o) noexcept {
    handle copy(o);
    std::swap(h_, copy.h_);
    return *this;
  }
  handle& operator=(handle&& o) noexcept {
    handle moved(std::move(o));
    std::swap(h_, moved.h_);
    return *this;
  }
  ~handle() {
    if (h_ != nullptr) chan_release(h_);
  }

  // False: the nil channel.
  explicit operator bool() const noexcept { return h_ != nullptr; }
  // Buffered values now; 0 for unbuffered and nil channels.
  std::size_t len() const noexcept { return chan_len(h_); }
  std::size_t cap() const noexcept { return chan_cap(h_); }
  // Do both name the same channel?
  friend bool operator==(const handle& a, const handle& b) noexcept { return a.h_ == b.h_; }
  hchan* raw() const noexcept { return h_; }

 private:
  hchan* h_ = nullptr;
};

// Raw memory for one T.
template <class T>
union slot {
  T value;
  slot() noexcept {}
  ~slot() {}
};

// receive puts what one receive brings into `to`, which is empty. Returns the status.
template <class T>
chan_status receive(hchan* c, std::optional<T>& to) {
  if constexpr (plain<T>) {
    slot<T> raw;
    const chan_status s = chan_recv(c, &raw);
    if (s == chan_status::ok) to.emplace(raw.value);
    return s;
  } else if constexpr (may_throw<T>) {
    return chan_recv_until(c, &to, never, nullptr);
  } else {
    return chan_recv(c, &to);
  }
}

template <class T>
chan_status receive_until(hchan* c, std::optional<T>& to, clock::time_point until, const context* ctx) {
  if constexpr (plain<T>) {
    slot<T> raw;
    const chan_status s = chan_recv_until(c, &raw, until, ctx);
    if (s == chan_status::ok) to.emplace(raw.value);
    return s;
  } else {
    return chan_recv_until(c, &to, until, ctx);
  }
}

template <class T>
chan_status try_receive(hchan* c, std::optional<T>& to) {
  if constexpr (plain<T>) {
    slot<T> raw;
    const chan_status s = chan_try_recv(c, &raw);
    if (s == chan_status::ok) to.emplace(raw.value);
    return s;
  } else if constexpr (may_throw<T>) {
    return chan_recv_until(c, &to, now_or_never, nullptr);
  } else {
    return chan_try_recv(c, &to);
  }
}

}  // namespace detail

// What a receive that need not succeed has brought: a value, or the reason why there is none.
template <class T>
class [[nodiscard]] recv_result {
 public:
  recv_result(T v) noexcept(std::is_nothrow_move_constructible_v<T>) : v_(std::move(v)) {}
  recv_result(chan_status s) noexcept : status_(s) {}

  // True: there is a value.
  explicit operator bool() const noexcept { return v_.has_value(); }
  // The value. Panics if there is none.
  T& operator*() { return check(), *v_; }
  T* operator->() { return check(), &*v_; }
  chan_status status() const noexcept { return status_; }
  bool closed() const noexcept { return status_ == chan_status::closed; }
  // The value if there is one, for good.
  std::optional<T> take() && { return std::move(v_); }

 private:
  template <class, class>
  friend class recv_ops;
  struct trying {};

  recv_result(trying, detail::hchan* c) { status_ = detail::try_receive(c, v_); }
  recv_result(detail::hchan* c, clock::time_point until, const context* ctx) {
    status_ = detail::receive_until(c, v_, until, ctx);
  }
  void check() const {
    if (!v_) detail::chan_no_value();
  }

  std::optional<T> v_;
  chan_status status_ = chan_status::ok;
};

// The receiving half of chan and recv_chan.
template <class Derived, class T>
class recv_ops {
 public:
  // Waits for a value. nullopt: the channel is closed and drained.
  std::optional<T> recv() const {
    std::optional<T> v;
    (void)detail::receive(channel(), v);
    return v;
  }
  // Never waits.
  recv_result<T> try_recv() const { return recv_result<T>(typename recv_result<T>::trying{}, channel()); }
  // Wait no longer than d, or until t.
  template <class R, class P>
  recv_result<T> recv_for(std::chrono::duration<R, P> d) const {
    return recv_result<T>(channel(), detail::deadline_in(detail::to_ns(d)), nullptr);
  }
  template <class C, class D>
  recv_result<T> recv_until(std::chrono::time_point<C, D> t) const {
    return recv_result<T>(channel(), detail::deadline_at(detail::to_tp(t)), nullptr);
  }
  // Waits until ctx is done; if both are ready, either may win.
  recv_result<T> recv(const context& ctx) const { return recv_result<T>(channel(), detail::never, &ctx); }

  // Receives at construction and at each ++; equal to std::default_sentinel when the channel is closed and
  // drained. Single pass: copies would steal from each other, so it only moves. The handle it came from must
  // outlive it.
  class iterator {
   public:
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    explicit iterator(detail::hchan* c) : c_(c) { ++*this; }
    iterator(iterator&&) = default;
    iterator& operator=(iterator&& o) {
      c_ = o.c_;
      v_.reset();
      if (o.v_) v_.emplace(std::move(*o.v_));
      return *this;
    }
    T& operator*() const { return *v_; }
    T* operator->() const { return &*v_; }
    iterator& operator++() {
      v_.reset();
      (void)detail::receive(c_, v_);
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& i, std::default_sentinel_t) { return !i.v_; }

   private:
    detail::hchan* c_;
    mutable std::optional<T> v_;
  };

  iterator begin() const { return iterator(channel()); }
  std::default_sentinel_t end() const noexcept { return {}; }

 private:
  detail::hchan* channel() const noexcept { return static_cast<const Derived*>(this)->raw(); }
};

template <class T>
class close_guard;

// The sending half of chan and send_chan. All sends panic if the channel is closed ("send on closed
// channel"). v is moved from only if the send has happened.
template <class Derived, class T>
class send_ops {
 public:
  // (The copying forms are templates only so that an incomplete T is not looked at before they are called.)

  // Waits until the value is with a receiver or in the buffer.
  void send(T&& v) const { put(&v); }
  template <class U = T>
  requires std::copy_constructible<U>
  void send(const std::type_identity_t<U>& v) const {
    with_copy(v, [this](const T* p) { put(p); });
  }
  void send() const requires std::same_as<T, unit> {
    const unit u;
    put(&u);
  }

  // Never waits. False: nobody was ready to receive and the buffer is full.
  [[nodiscard]] bool try_send(T&& v) const { return try_put(&v); }
  template <class U = T>
  requires std::copy_constructible<U>
  [[nodiscard]] bool try_send(const std::type_identity_t<U>& v) const {
    return with_copy(v, [this](const T* p) { return try_put(p); });
  }
  [[nodiscard]] bool try_send() const requires std::same_as<T, unit> {
    const unit u;
    return try_put(&u);
  }

  // Wait no longer than d, or until t, or until ctx is done: ok, timeout or canceled.
  template <class R, class P>
  [[nodiscard]] chan_status send_for(std::chrono::duration<R, P> d, T&& v) const {
    return put_until(&v, detail::deadline_in(detail::to_ns(d)), nullptr);
  }
  template <class R, class P, class U = T>
  requires std::copy_constructible<U>
  [[nodiscard]] chan_status send_for(std::chrono::duration<R, P> d, const std::type_identity_t<U>& v) const {
    const clock::time_point until = detail::deadline_in(detail::to_ns(d));
    return with_copy(v, [=, this](const T* p) { return put_until(p, until, nullptr); });
  }
  template <class C, class D>
  [[nodiscard]] chan_status send_until(std::chrono::time_point<C, D> t, T&& v) const {
    return put_until(&v, detail::deadline_at(detail::to_tp(t)), nullptr);
  }
  template <class C, class D, class U = T>
  requires std::copy_constructible<U>
  [[nodiscard]] chan_status send_until(std::chrono::time_point<C, D> t,
                                       const std::type_identity_t<U>& v) const {
    const clock::time_point until = detail::deadline_at(detail::to_tp(t));
    return with_copy(v, [=, this](const T* p) { return put_until(p, until, nullptr); });
  }
  [[nodiscard]] chan_status send(const context& ctx, T&& v) const {
    return put_until(&v, detail::never, &ctx);
  }
  template <class U = T>
  requires std::copy_constructible<U>
  [[nodiscard]] chan_status send(const context& ctx, const std::type_identity_t<U>& v) const {
    return with_copy(v, [&ctx, this](const T* p) { return put_until(p, detail::never, &ctx); });
  }

  // Says that nothing more will be sent. Receivers drain the buffer, then get nullopt. The sender's business.
  // Panics on a closed channel and on nil.
  void close() const { detail::chan_close(channel()); }
  // Closes at the end of the scope, also when an exception or a panic leaves it.
  close_guard<T> close_on_exit() const;

 private:
  detail::hchan* channel() const noexcept { return static_cast<const Derived*>(this)->raw(); }

  // with_copy calls f with v itself if sending only copies bytes, else with a copy that may be moved from.
  template <class F>
  static auto with_copy(const T& v, F f) {
    if constexpr (detail::plain<T>) {
      return f(std::addressof(v));
    } else {
      T copy(v);
      return f(std::addressof(copy));
    }
  }
  void put(const T* p) const {
    static_assert(chan_value<T>, "gort::chan<T>: T must be a movable object type with a noexcept destructor");
    if constexpr (detail::may_throw<T>) {
      (void)detail::chan_send_until(channel(), p, detail::never, nullptr);
    } else {
      detail::chan_send(channel(), p);
    }
  }
  bool try_put(const T* p) const {
    if constexpr (detail::may_throw<T>) {
      return detail::chan_send_until(channel(), p, detail::now_or_never, nullptr) == chan_status::ok;
    } else {
      return detail::chan_try_send(channel(), p);
    }
  }
  chan_status put_until(const T* p, clock::time_point until, const context* ctx) const {
    return detail::chan_send_until(channel(), p, until, ctx);
  }
};

template <class T = unit>
class recv_chan;
template <class T = unit>
class send_chan;

// A channel of T, to send to and to receive from.
template <class T = unit>
class chan : public detail::handle, public recv_ops<chan<T>, T>, public send_ops<chan<T>, T> {
  static_assert(std::is_object_v<T> && !std::is_const_v<T> && !std::is_array_v<T>,
                "gort::chan<T>: T must be a movable object type with a noexcept destructor "
                "(no reference, const or array)");

 public:
  using value_type = T;
  using handle::handle;
};

// A channel to receive from only: no send, no close. Every chan converts to it, never back.
template <class T>
class recv_chan : public detail::handle, public recv_ops<recv_chan<T>, T> {
 public:
  using value_type = T;
  using handle::handle;
  recv_chan(const chan<T>& c) noexcept : handle(c) {}
  recv_chan(chan<T>&& c) noexcept : handle(std::move(c)) {}
};

// A channel to send to and to close only. Every chan converts to it, never back.
template <class T>
class send_chan : public detail::handle, public send_ops<send_chan<T>, T> {
 public:
  using value_type = T;
  using handle::handle;
  send_chan(const chan<T>& c) noexcept : handle(c) {}
  send_chan(chan<T>&& c) noexcept : handle(std::move(c)) {}
};

// Closes its channel when it goes out of scope.
template <class T>
class [[nodiscard]] close_guard {
 public:
  explicit close_guard(send_chan<T> c) noexcept : c_(std::move(c)) {}
  close_guard(close_guard&&) noexcept = default;
  close_guard& operator=(close_guard&&) = delete;
  ~close_guard() noexcept(false) {
    if (c_) c_.close();
  }
  // Leaves the channel open.
  void release() noexcept { c_ = nullptr; }

 private:
  send_chan<T> c_;
};

template <class Derived, class T>
close_guard<T> send_ops<Derived, T>::close_on_exit() const {
  return close_guard<T>(send_chan<T>(static_cast<const Derived&>(*this)));
}

// make_chan makes a channel with room for `capacity` values; 0: a sender waits for its receiver.
// Panics if there is no such capacity ("makechan: size out of range"); throws std::bad_alloc if there is no
// memory.
template <class T = unit>
chan<T> make_chan(std::size_t capacity = 0) {
  static_assert(chan_value<T>,
                "gort::chan<T>: T must be a movable object type with a noexcept destructor "
                "(no reference, const or array)");
  return chan<T>(detail::chan_make(detail::type_of<T>(), capacity));
}

// For templates over chan and its views.
template <class C>
concept receivable = requires(const C& c, typename C::value_type v) {
  { c.recv() } -> std::same_as<std::optional<typename C::value_type>>;
  c.begin();
};
template <class C>
concept sendable = requires(const C& c, typename C::value_type v) {
  c.send(std::move(v));
  c.close();
};

namespace detail {
template <class T>
struct gc_transparent<chan<T>> : std::true_type {};
template <class T>
struct gc_transparent<recv_chan<T>> : std::true_type {};
template <class T>
struct gc_transparent<send_chan<T>> : std::true_type {};
}  // namespace detail

}  // namespace GORT_ABI
}  // namespace gort

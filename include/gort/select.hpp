// SPDX-License-Identifier: Apache-2.0
// select over case objects.
//
//   gort::recv_case job{jobs};
//   gort::recv_case quit{ctx.done()};
//   for (;;) {
//     if (gort::select(job, quit) == quit) return;
//     if (job.closed()) return;
//     work(*job);
//   }
//
// select waits until one of its cases can go ahead, does it, and says which it was; among several that are
// ready each is equally likely. Arguments are case objects and contiguous ranges of them (of one case type,
// or of select_case*), mixed at will. A case is its own wait node: any number of cases, no allocation. It
// must not move while a select waits on it (its caller is parked), belongs to one select at a time, and
// stands at most once among the arguments.
//
// After select, only the case that fired answers: `if (job)`, job.closed(). The others are neither.
// A case on the nil channel, and a disabled one, never fires. select() without arguments waits forever.
#pragma once
#include <gort/chan.hpp>

namespace gort {
inline namespace GORT_ABI {

// take_from{x}: send_case sends x itself, moving from it only if the case fires. x must outlive the select.
template <class T>
struct take_from {
  explicit take_from(T& v) noexcept : p(std::addressof(v)) {}
  T* p;
};
template <class T>
take_from(T&) -> take_from<T>;

namespace detail {

enum class case_kind : unsigned char { recv, send, timer, def };
enum class case_state : unsigned char { idle, done, closed };

// Memory of the library's wait node; never copied, nothing to initialise.
struct wait_node {
  wait_node() noexcept {}
  wait_node(const wait_node&) noexcept {}
  wait_node& operator=(const wait_node&) noexcept { return *this; }
  alignas(8) unsigned char bytes[88];
};

// One case as the library sees it. The value to send, or the place of the value received, is at `external`,
// or else elem_offset bytes behind this node (so it follows the case object when that is moved).
struct __attribute__((may_alias)) case_node {
  handle c;
  void* external = nullptr;
  void (*prepare)(case_node*) = nullptr;  // destroys the value of the select before
  case_node* list_next = nullptr;
  case_node* lock_next = nullptr;
  std::int64_t when = 0;  // timer: ns
  std::int32_t elem_offset = 0;
  std::uint32_t arg = 0;
  std::uint32_t tie = 0;
  case_kind kind = case_kind::recv;
  bool enabled = true;
  bool relative = false;
  case_state state = case_state::idle;
  wait_node node;
};

struct case_access;

}  // namespace detail

// What all cases have in common. Ranges of select_case* mix different ones.
class select_case {
 public:
  // A disabled case never fires, as if its channel were nil. A send_case without a value stays disabled.
  void enable(bool on = true) noexcept { n_.enabled = on && armed(); }
  bool enabled() const noexcept { return n_.enabled; }

 protected:
  explicit select_case(detail::case_kind k) noexcept { n_.kind = k; }
  ~select_case() = default;
  select_case(const select_case&) = default;
  select_case(select_case&&) = default;
  select_case& operator=(const select_case&) = default;
  select_case& operator=(select_case&&) = default;

  bool armed() const noexcept {
    return n_.kind >= detail::case_kind::timer || n_.external != nullptr || n_.elem_offset != 0;
  }
  void set_elem(const void* p) noexcept {
    n_.elem_offset =
        static_cast<std::int32_t>(static_cast<const char*>(p) - reinterpret_cast<const char*>(&n_));
  }

  detail::case_node n_;

 private:
  friend struct detail::case_access;
};

namespace detail {

// Where recv_case keeps its value: raw memory for plain types, else a std::optional that the library engages.
template <class T, bool Plain = plain<T>>
struct recv_place {
  T* get() noexcept { return std::launder(reinterpret_cast<T*>(raw)); }
  void* address() noexcept { return raw; }
  std::optional<T> take() noexcept { return *get(); }
  static constexpr void (*prepare)(case_node*) = nullptr;
  alignas(T) unsigned char raw[sizeof(T)]{};
};

template <class T>
struct recv_place<T, false> {
  T* get() noexcept { return &*value; }
  void* address() noexcept { return &value; }
  std::optional<T> take() { return std::exchange(value, std::nullopt); }
  static void prepare(case_node* n) {
    reinterpret_cast<std::optional<T>*>(reinterpret_cast<char*>(n) + n->elem_offset)->reset();
  }
  std::optional<T> value;
};

}  // namespace detail

// Receives. After it fired: `if (job)` a value came, *job or job.take(); job.closed(): the channel is closed
// and drained.
template <class T>
class recv_case : public select_case {
 public:
  static constexpr bool may_throw = detail::may_throw<T>;
  static constexpr bool holds_result = !detail::plain<T>;

  explicit recv_case(recv_chan<T> c) noexcept : select_case(detail::case_kind::recv) {
    n_.c = std::move(c);
    n_.prepare = detail::recv_place<T>::prepare;
    set_elem(place_.address());
  }
  explicit recv_case(const chan<T>& c) noexcept : recv_case(recv_chan<T>(c)) {}

  // Watches another channel from now on.
  void reset(recv_chan<T> c) noexcept { n_.c = std::move(c); }

  bool closed() const noexcept { return n_.state == detail::case_state::closed; }
  explicit operator bool() const noexcept { return n_.state == detail::case_state::done; }
  // The value. Panics if the case did not fire with one.
  T& operator*() { return check(), *place_.get(); }
  T* operator->() { return check(), place_.get(); }
  // The value for good; nullopt if there is none (any more).
  std::optional<T> take() {
    if (!*this) return std::nullopt;
    n_.state = detail::case_state::idle;
    return place_.take();
  }

 private:
  void check() const {
    if (!*this) detail::chan_no_value();
  }
  detail::recv_place<T> place_;
};
template <class T>
recv_case(recv_chan<T>) -> recv_case<T>;
template <class T>
recv_case(chan<T>) -> recv_case<T>;

// Sends. The value is the case's own, or somebody else's (take_from); it is moved from only if the case
// fires. A case that has fired still holds what the move left: arm it anew, or, for ints and their like, send
// the same again.
template <class T>
class send_case : public select_case {
 public:
  static constexpr bool may_throw = detail::may_throw<T>;

  template <class U>
  requires std::constructible_from<T, U> send_case(send_chan<T> c, U&& v)
      : select_case(detail::case_kind::send), own_(std::in_place, std::forward<U>(v)) {
    n_.c = std::move(c);
    set_elem(std::addressof(*own_));
  }
  template <class U>
  requires std::constructible_from<T, U> send_case(const chan<T>& c, U&& v)
      : send_case(send_chan<T>(c), std::forward<U>(v)) {}
  send_case(send_chan<T> c, take_from<T> src) noexcept : select_case(detail::case_kind::send) {
    n_.c = std::move(c);
    n_.external = src.p;
  }
  send_case(const chan<T>& c, take_from<T> src) noexcept : send_case(send_chan<T>(c), src) {}
  // Disabled until armed.
  explicit send_case(send_chan<T> c) noexcept : select_case(detail::case_kind::send) {
    n_.c = std::move(c);
    n_.enabled = false;
  }
  explicit send_case(const chan<T>& c) noexcept : send_case(send_chan<T>(c)) {}

  // Sends to another channel from now on.
  void reset(send_chan<T> c) noexcept { n_.c = std::move(c); }

  // Gives the case its next value and enables it.
  void arm(T v) {
    own_.emplace(std::move(v));
    set_elem(std::addressof(*own_));
    n_.external = nullptr;
    n_.enabled = true;
  }
  void arm(take_from<T> src) noexcept {
    own_.reset();
    n_.external = src.p;
    n_.enabled = true;
  }

 private:
  std::optional<T> own_;
};
template <class T>
send_case(send_chan<T>, take_from<T>) -> send_case<T>;
template <class T>
send_case(chan<T>, take_from<T>) -> send_case<T>;
template <class T, class U>
send_case(send_chan<T>, U&&) -> send_case<T>;
template <class T, class U>
send_case(chan<T>, U&&) -> send_case<T>;
template <class T>
send_case(send_chan<T>) -> send_case<T>;
template <class T>
send_case(chan<T>) -> send_case<T>;

// Fires when time is up: d after the start of each select, or at t. What is ready goes first.
class timeout_case : public select_case {
 public:
  static constexpr bool may_throw = false;
  static constexpr bool holds_result = false;

  template <class R, class P>
  explicit timeout_case(std::chrono::duration<R, P> d) noexcept : select_case(detail::case_kind::timer) {
    n_.when = detail::to_ns(d).count();
    n_.relative = true;
  }
  template <class C, class D>
  explicit timeout_case(std::chrono::time_point<C, D> t) : select_case(detail::case_kind::timer) {
    n_.when = detail::to_tp(t).time_since_epoch().count();
  }
};

// Fires when no other case can go ahead: select does not wait.
class default_case : public select_case {
 public:
  static constexpr bool may_throw = false;
  static constexpr bool holds_result = false;

  default_case() noexcept : select_case(detail::case_kind::def) {}
};

template <class C>
concept a_case =
    std::derived_from<std::remove_cvref_t<C>, select_case> && !std::is_const_v<std::remove_reference_t<C>>;
template <class R>
concept case_range = requires(R& r) {
  r.data();
  r.size();
  // elements: cases, or pointers to cases (remove_pointer leaves a case alone)
  requires a_case<std::remove_pointer_t<std::remove_reference_t<decltype(*r.data())>>>;
};
template <class A>
concept select_arg = a_case<A> || case_range<std::remove_reference_t<A>>;

// What select returns: which case fired.
class [[nodiscard]] selected {
 public:
  selected(const select_case* c, std::size_t i) noexcept : c_(c), i_(i) {}
  // Position of the case, or of its range, among select's arguments.
  std::size_t index() const noexcept { return i_; }
  friend bool operator==(const selected& s, const select_case& c) noexcept { return s.c_ == &c; }
  // Position of the case in r; nullopt: it is not one of r's.
  template <case_range R>
  std::optional<std::size_t> in(R& r) const noexcept {
    for (std::size_t i = 0; i < r.size(); ++i) {
      const select_case* at;
      if constexpr (a_case<decltype(*r.data())>) {
        at = r.data() + i;
      } else {
        at = r.data()[i];
      }
      if (at == c_) return i;
    }
    return std::nullopt;
  }

 private:
  const select_case* c_;
  std::size_t i_;
};

namespace detail {

GORT_API case_node* select_go(case_node* first);           // no case's move can throw
GORT_API case_node* select_go_throwing(case_node* first);  // rethrows what a move threw
[[noreturn]] GORT_API void block_forever();

struct case_access {
  static case_node* node(select_case& c) noexcept { return &c.n_; }
  static selected hit(case_node* n) noexcept {
    return selected(reinterpret_cast<select_case*>(n), n->arg);  // n_ is select_case's only member
  }
};
static_assert(std::is_standard_layout_v<select_case>);

// What is known of a case by its type; a select_case* may be anything.
template <class C>
constexpr bool case_may_throw() {
  if constexpr (requires { C::may_throw; }) {
    return C::may_throw;
  } else {
    return true;
  }
}
template <class C>
constexpr bool case_holds_result() {
  if constexpr (requires { C::holds_result; }) {
    return C::holds_result;
  } else {
    return true;
  }
}
template <class A>
constexpr bool arg_may_throw() {
  if constexpr (a_case<A>) {
    return case_may_throw<A>();
  } else {
    return case_may_throw<std::remove_pointer_t<std::remove_cvref_t<decltype(*std::declval<A&>().data())>>>();
  }
}

// Links the cases of all arguments in order, and forgets what the select before brought.
struct case_chain {
  template <class C>
  void add(C& c, std::uint32_t arg) {
    case_node* n = case_access::node(c);
    n->arg = arg;
    n->state = case_state::idle;
    if constexpr (case_holds_result<C>()) {
      if (n->prepare != nullptr) n->prepare(n);
    }
    (last != nullptr ? last->list_next : first) = n;
    last = n;
  }
  template <class A>
  void add_arg(A& a, std::uint32_t arg) {
    if constexpr (a_case<A>) {
      add(a, arg);
    } else {
      for (std::size_t i = 0; i < a.size(); ++i) {
        if constexpr (a_case<decltype(*a.data())>) {
          add(a.data()[i], arg);
        } else {
          add(*a.data()[i], arg);
        }
      }
    }
  }
  case_node* first = nullptr;
  case_node* last = nullptr;
};

template <class... A>
selected select_cases(A&... cases) {
  case_chain chain;
  std::uint32_t arg = 0;
  (chain.add_arg(cases, arg++), ...);
  if (chain.last == nullptr) block_forever();
  chain.last->list_next = nullptr;
  if constexpr ((arg_may_throw<A>() || ...)) {
    return case_access::hit(select_go_throwing(chain.first));
  } else {
    return case_access::hit(select_go(chain.first));
  }
}

template <class T, class F>
struct on_recv_t : recv_case<T> {
  on_recv_t(recv_chan<T> c, F g) : recv_case<T>(std::move(c)), f(std::move(g)) {}
  decltype(auto) fire() { return f(this->take()); }
  F f;
};
template <class T, class F>
struct on_send_t : send_case<T> {
  template <class U>
  on_send_t(send_chan<T> c, U&& u, F g) : send_case<T>(std::move(c), std::forward<U>(u)), f(std::move(g)) {}
  decltype(auto) fire() { return f(); }
  F f;
};
template <class F>
struct on_timeout_t : timeout_case {
  template <class D>
  on_timeout_t(D d, F g) : timeout_case(d), f(std::move(g)) {}
  decltype(auto) fire() { return f(); }
  F f;
};
template <class F>
struct on_default_t : default_case {
  explicit on_default_t(F g) : f(std::move(g)) {}
  decltype(auto) fire() { return f(); }
  F f;
};
template <class H>
concept a_handler = a_case<H> && requires(std::remove_reference_t<H>& h) {
  h.fire();
};

}  // namespace detail

// select waits until a case can go ahead and does it. Panics if that case sends on a closed channel. If a
// value's move constructor throws, no case has fired and the value is where it was.
template <select_arg... A>
requires(sizeof...(A) > 0 && !(detail::a_handler<A> || ...)) selected select(A&&... cases) {
  return detail::select_cases(cases...);
}
template <class... A>
requires(sizeof...(A) > 0 && !(select_arg<A> && ...)) selected select(A&&...) {
  static_assert(
      (select_arg<A> && ...),
      "gort::select takes case objects (recv_case, send_case, timeout_case, default_case), ranges of them, "
      "or on_* handlers");
  return {nullptr, 0};
}
// Waits forever.
[[noreturn]] inline void select() { detail::block_forever(); }

// Handler form: select(on_recv(c, f), on_timeout(1s, g), ...) calls the handler of the case that fired and
// returns its result, as the common type of all handlers' results.
template <class T, class F>
auto on_recv(recv_chan<T> c, F f) {
  static_assert(std::invocable<F&, std::optional<T>>,
                "gort::on_recv: the handler is called with std::optional<T>; nullopt means closed");
  return detail::on_recv_t<T, F>(std::move(c), std::move(f));
}
template <class T, class F>
auto on_recv(const chan<T>& c, F f) {
  return on_recv(recv_chan<T>(c), std::move(f));
}
template <class T, class U, class F>
auto on_send(send_chan<T> c, U&& v, F f) {
  return detail::on_send_t<T, F>(std::move(c), std::forward<U>(v), std::move(f));
}
template <class T, class U, class F>
auto on_send(const chan<T>& c, U&& v, F f) {
  return on_send(send_chan<T>(c), std::forward<U>(v), std::move(f));
}
template <class D, class F>
auto on_timeout(D d, F f) {
  return detail::on_timeout_t<F>(d, std::move(f));
}
template <class F>
auto on_default(F f) {
  return detail::on_default_t<F>(std::move(f));
}
template <class... H>
requires(sizeof...(H) > 0 && (detail::a_handler<H> && ...)) auto select(H&&... h) {
  using result = std::common_type_t<decltype(h.fire())...>;
  const selected s = detail::select_cases(h...);
  if constexpr (std::is_void_v<result>) {
    (void)((s == h ? (h.fire(), true) : false) || ...);
  } else {
    std::optional<result> r;
    (void)((s == h ? (r.emplace(h.fire()), true) : false) || ...);
    return std::move(*r);
  }
}

}  // namespace GORT_ABI
}  // namespace gort

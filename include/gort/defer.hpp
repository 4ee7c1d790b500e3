// SPDX-License-Identifier: Apache-2.0
// defer, panic, recover: Go's way to clean up and to fail.
//
//   gort::defer d{[&] { unlock(); }};              // at the end of the block, however it ends
//
//   int v = gort::func<int>([&](auto& fn) {        // a Go function frame
//     fn.defer([&] { log("done"); });              // at its end, last in first out; may stand in a loop
//     fn.recover([](const gort::panic_info& p) {   // stops a panic; its result is func's
//       return -1;
//     });
//     gort::panic("boom");
//   });
//
// Order, as in Go: a panic runs the deferred functions of the blocks and frames around it, innermost first,
// on top of the panicking stack: nothing has been unwound yet, and an unrecovered panic prints the stack as
// it was. Once a handler has recovered, the stack is unwound to the handler's frame and the destructors in
// between run (deferred functions that have run already do not run again). The unwinding is the C++ exception
// gort::panic_unwind: `catch (...)` must rethrow it, or the program ends with a message that names the place.
// It cannot pass a noexcept function.
// A C++ exception that reaches a func goes to the same handlers; one that leaves a goroutine is an
// unrecovered panic.
//
// Pitfalls. A deferred function of fn runs after the lambda's own variables are gone: capture what outlives
// it. A destructor that panics while the stack is being unwound ends the program, as with exceptions.
// Translation units without exceptions may use all of this; destructors in their frames do not run when a
// panic passes.
#pragma once
#include <exception>
#include <gort/error.hpp>
#include <new>
#include <optional>

namespace gort {
inline namespace GORT_ABI {

class panic_info;

namespace detail {

// What the library must know of a value that is thrown by panic(T).
enum class value_kind : unsigned char { opaque, boolean, character, signed_int, unsigned_int, floating };
struct value_ops {
  const void* tag;
  value_kind kind;
  unsigned char size;
  bool named;  // an enumeration: printed as type(value)
  std::string_view type;
  std::string (*describe)(const void*);  // nullptr: print by kind
};

template <class T>
constexpr std::string_view type_name() {
  constexpr std::string_view all = __PRETTY_FUNCTION__;
  constexpr auto begin = all.find("T = ") + 4;
  constexpr auto end = all.find_first_of(";]", begin);
  return all.substr(begin, end - begin);
}
template <class T>
constexpr value_kind kind_of() {
  if constexpr (std::is_enum_v<T>)
    return kind_of<std::underlying_type_t<T>>();
  else if constexpr (std::same_as<T, bool>)
    return value_kind::boolean;
  else if constexpr (std::same_as<T, char>)
    return value_kind::character;
  else if constexpr (std::is_integral_v<T>)
    return std::is_signed_v<T> ? value_kind::signed_int : value_kind::unsigned_int;
  else if constexpr (std::same_as<T, float> || std::same_as<T, double>)
    return value_kind::floating;
  else
    return value_kind::opaque;
}
template <class T>
concept describes_itself = requires(const T& v) {
  { v.message() } -> std::convertible_to<std::string>;
}
|| requires(const T& v) {
  { v.what() } -> std::convertible_to<std::string>;
};
template <class T>
constexpr auto describe_of() -> std::string (*)(const void*) {
  if constexpr (describes_itself<T>)
    return describe_payload<T>;
  else
    return nullptr;
}
template <class T>
inline constexpr value_ops value_ops_of = {
    type_tag<T>,       kind_of<T>(),   static_cast<unsigned char>(sizeof(T)),
    std::is_enum_v<T>, type_name<T>(), describe_of<T>()};

[[noreturn]] GORT_API void panic_value(const void* v, const value_ops* ops, location where);

}  // namespace detail

// panic stops the normal flow of this goroutine. text and error are not copied: they live until the
// recovering handler has returned. A nil error or nullptr panics with Go's complaint about nil
// (GODEBUG=panicnil=1 lets it through).
[[noreturn]] GORT_API void panic(std::string_view text, location where = location::current());
[[noreturn]] GORT_API void panic(const error& e, location where = location::current());
[[noreturn]] GORT_API void panic(std::nullptr_t, location where = location::current());
template <class T>
requires(!std::convertible_to<T, std::string_view> && !std::convertible_to<T, error>)
    [[noreturn]] void panic(T v, location where = location::current()) {
  detail::panic_value(&v, &detail::value_ops_of<T>, where);
}

// panic_info describes a panic to the handler that recovers it. Valid until the handler returns.
class GORT_API panic_info {
 public:
  panic_info(const panic_info&) = delete;
  panic_info& operator=(const panic_info&) = delete;

  // message is the value as text; what() of an exception.
  [[nodiscard]] std::string message() const;
  // as_error is the error, error_exception::why(), or an error with the message.
  [[nodiscard]] error as_error() const;
  // stack is the goroutine's traceback from the panic; for an exception from the frame that it reached.
  [[nodiscard]] std::string stack() const;
  // where is the call of panic; empty for exceptions and run-time panics.
  [[nodiscard]] location where() const noexcept;
  // goexit: the goroutine was already leaving by goexit() and will go on with it.
  [[nodiscard]] bool goexit() const noexcept;
  // runtime_error: raised by Gort itself.
  [[nodiscard]] bool runtime_error() const noexcept;
  // value gives what panic(T) was called with; T = error and std::string_view for those forms. nullptr:
  // another type.
  template <class T>
  [[nodiscard]] const T* value() const noexcept {
    return static_cast<const T*>(find(detail::type_tag<T>));
  }
  // exception is null unless a C++ exception reached the frame.
  [[nodiscard]] std::exception_ptr exception() const noexcept;
  // repanic goes on panicking with the same value: `panic: X [recovered, repanicked]`.
  [[noreturn]] void repanic() const;

 private:
  panic_info() = default;
  const void* find(const void* tag) const noexcept;
  const void* p_;
};

// recover is Go's rule for ported code: a panic_info if called directly by a deferred function that a panic
// is running, else nullptr. The panic stops at the nearest enclosing func (gort::defer marks a block, which
// cannot be returned from); without one the goroutine ends as by goexit().
GORT_API const panic_info* recover() noexcept;

// panic_unwind is the exception that unwinds the stack of a recovered panic, or of goexit. Whoever catches it
// rethrows it.
class GORT_API panic_unwind {
 public:
  panic_unwind(const panic_unwind&) = delete;
  panic_unwind& operator=(const panic_unwind&) = delete;
  ~panic_unwind();  // ends the program if the unwinding was stopped half-way

  struct access;  // src/api/panic.cpp

 private:
  panic_unwind() = default;
  void* target_;
  bool pending_;
  char text_[110];
};

namespace detail {

template <class F>
constexpr void check_deferred() {
  static_assert(std::invocable<F&>, "gort: a deferred function takes no arguments");
  if constexpr (std::invocable<F&>) {
    static_assert(!must_use_result<std::invoke_result_t<F&>>,
                  "gort: a deferred function drops the error it returns; handle it inside");
  }
}

struct defer_node {
  defer_node* link;
  void (*fn)(void*);
  void* arg;
};
GORT_API void push(defer_node* n) noexcept;
GORT_API void pop_run(defer_node* n);

struct frame_call {
  frame_call* link;
  void (*op)(frame_call*, const void* info, bool run);
  bool recovers;
  bool heap;
};
struct frame_core {
  defer_node marker;
  frame_call* top;
  void* g;
  bool goexit_after, closed, in_body, jumped;
  std::uintptr_t body_frame;
};
// run_frame runs body(arg) as a Go function. True: it returned; false: it panicked and was recovered.
GORT_API bool run_frame(frame_core* f, void (*body)(void*), void* arg);
// frame_push adds a call, or panics (and destroys it) when the frame has begun to end or is another
// goroutine's.
GORT_API void frame_push(frame_core* f, frame_call* c);
// goroutine_root runs fn(arg) as the outermost function of a goroutine: where goexit arrives.
GORT_API void goroutine_root(void (*fn)(void*), void* arg);
// Called at boot: installs the unwinder and the terminate handler.
GORT_API void panic_init();

}  // namespace detail

// defer{f} runs f at the end of the enclosing block: on the normal way out, on a panic (in Go's order),
// goexit, exception.
template <class F>
class defer {
 public:
  [[nodiscard]] explicit defer(F f) : f_(std::move(f)) {
    detail::check_deferred<F>();
    n_ = {nullptr, invoke, &f_};
    detail::push(&n_);
  }
  defer(const defer&) = delete;
  defer& operator=(const defer&) = delete;
  static void* operator new(std::size_t) = delete;
  static void* operator new[](std::size_t) = delete;
  ~defer() noexcept(false) { detail::pop_run(&n_); }

 private:
  static void invoke(void* p) { (void)(*static_cast<F*>(p))(); }

  F f_;
  detail::defer_node n_;
};

// frame<R> is what func hands to its lambda.
template <class R>
class frame {
 public:
  frame(const frame&) = delete;
  frame& operator=(const frame&) = delete;

  template <class F>
  void defer(F f) {
    detail::check_deferred<F>();
    add<false>(std::move(f));
  }
  // recover adds a handler that is called when a panic or an exception reaches it. Its result, if it has one,
  // becomes func's; else func returns R{}.
  template <class H>
  void recover(H h) {
    static_assert(std::invocable<H&, const panic_info&>,
                  "gort::func: a recover handler takes (const gort::panic_info&)");
    if constexpr (std::invocable<H&, const panic_info&>) {
      using X = std::invoke_result_t<H&, const panic_info&>;
      static_assert(std::is_void_v<X> || std::convertible_to<X, R>,
                    "gort::func: a recover handler returns void or the function's result");
      add<true>([this, h = std::move(h)](const panic_info* p) mutable {
        if constexpr (std::is_void_v<R> || std::is_void_v<X>) {
          out_.reset();
          (void)h(*p);
        } else {
          out_.reset();
          out_.emplace(h(*p));
        }
      });
    }
  }

 private:
  using slot = std::conditional_t<std::is_void_v<R>, unit, R>;
  static constexpr std::size_t kRoom = 128;  // closures up to here cost no allocation

  template <bool Recovers, class C>
  struct call : detail::frame_call {
    explicit call(C c) : f(std::move(c)) {}
    C f;
    static void operate(detail::frame_call* base, const void* info, bool run) {
      struct owner {
        call* c;
        ~owner() {
          if (c->heap) {
            delete c;
          } else {
            c->~call();
          }
        }
      } own{static_cast<call*>(base)};
      if (!run) return;
      if constexpr (Recovers) {
        own.c->f(static_cast<const panic_info*>(info));
      } else {
        (void)own.c->f();
      }
    }
  };
  template <bool Recovers, class C>
  void add(C c) {
    using node = call<Recovers, C>;
    node* n = nullptr;
    if constexpr (sizeof(node) <= kRoom && alignof(node) <= alignof(std::max_align_t)) {
      const std::size_t at = (used_ + alignof(node) - 1) & ~(alignof(node) - 1);
      if (at + sizeof(node) <= kRoom) {
        n = ::new (static_cast<void*>(room_ + at)) node(std::move(c));
        used_ = at + sizeof(node);
      }
    }
    const bool heap = n == nullptr;
    // NOLINTNEXTLINE(bugprone-use-after-move,clang-analyzer-cplusplus.Move): moved above only if n was set
    if (heap) n = new node(std::move(c));
    n->op = node::operate;
    n->recovers = Recovers;
    n->heap = heap;
    detail::frame_push(&core_, n);
  }

  frame() : core_{} {}
  template <class R2, class F>
  friend R2 func(F&&);

  detail::frame_core core_;
  std::size_t used_ = 0;
  std::optional<slot> out_;
  alignas(std::max_align_t) unsigned char room_[kRoom];
};

// func calls f(fn) as a Go function frame: fn.defer, fn.recover.
template <class R = void, class F>
R func(F&& f) {
  static_assert(std::invocable<F&, frame<R>&>, "gort::func<R>: the lambda takes (auto& fn)");
  if constexpr (std::invocable<F&, frame<R>&>) {
    using X = std::invoke_result_t<F&, frame<R>&>;
    static_assert(std::convertible_to<X, R> || std::is_void_v<R>,
                  "gort::func<R>: the lambda's result does not convert to R");
    static_assert(std::is_void_v<X> || !std::is_void_v<R>,
                  "gort::func: the lambda returns a value; write gort::func<R>(...)");
    frame<R> fr;
    auto body = [&f, &fr] {
      if constexpr (std::is_void_v<R>) {
        f(fr);
      } else if constexpr (std::convertible_to<X, R>) {
        fr.out_.emplace(f(fr));
      }
    };
    detail::run_frame(
        &fr.core_, [](void* p) { (*static_cast<decltype(body)*>(p))(); }, &body);
    if constexpr (!std::is_void_v<R>) {
      if (!fr.out_) {
        if constexpr (std::default_initializable<R>) {
          return R{};
        } else {
          panic("gort::func: recovered without a result");
        }
      }
      return *std::move(fr.out_);
    }
  }
}

namespace detail {
template <class T>
struct caught {
  using type = result<T>;
};
template <>
struct caught<void> {
  using type = error;
};
template <>
struct caught<error> {
  using type = error;
};
template <class T>
struct caught<result<T>> {
  using type = result<T>;
};
}  // namespace detail

// catch_panic turns a panic or exception of f into an error: f() -> T gives result<T>, void and error give
// error.
template <std::invocable F>
auto catch_panic(F&& f) -> typename detail::caught<std::invoke_result_t<F>>::type {
  using X = std::invoke_result_t<F>;
  using R = typename detail::caught<X>::type;
  return func<R>([&](auto& fn) -> R {
    fn.recover([](const panic_info& p) -> R { return p.as_error(); });
    if constexpr (std::is_void_v<X>) {
      std::forward<F>(f)();
      return {};
    } else {
      return std::forward<F>(f)();
    }
  });
}

}  // namespace GORT_ABI
}  // namespace gort

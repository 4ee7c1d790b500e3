// SPDX-License-Identifier: Apache-2.0
// gort::error, result<T>: the world's failures as values.
//
//   gort::error e = save(file);            if (e) return e.wrap("save");           // true: there IS an error
//   gort::result<conn> c = dial(addr);     if (!c) return c.error();   use(*c);
//
// An error is one pointer to an immutable, reference-counted description; the default is nil, "no error".
// Copies are cheap and may be shared by any goroutines and threads. Wrapping adds words in front ("dial:
// connection refused"); is(), as<T>() and code() look through the wrapping.
// Works with -fno-exceptions and -fno-rtti. Out of memory: std::bad_alloc, or a fatal error where the library
// was built without exceptions; constructing from a code never fails.
#pragma once
#include <gort/config.hpp>
#include <optional>
#include <string>
#include <system_error>

namespace gort {
inline namespace GORT_ABI {

// What Gort itself fails with. deadline_exceeded (of a context) and io_timeout (of a connection) compare equal to
// std::errc::timed_out, canceled to std::errc::operation_canceled.
enum class errc {
  canceled = 1,
  deadline_exceeded,
  closed,
  eof,
  no_route,
  bad_address,
  io_timeout,
  no_such_host,
  unknown_port
};

[[nodiscard]] GORT_API const std::error_category& category() noexcept;
[[nodiscard]] inline std::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), category()};
}

}  // namespace GORT_ABI
}  // namespace gort

template <>
struct std::is_error_code_enum<gort::errc> : std::true_type {};

namespace gort {
inline namespace GORT_ABI {

namespace detail {
// A type's identity without RTTI: the address of a variable of its own.
template <class T>
__attribute__((visibility("default"))) inline char tag_of;
template <class T>
inline constexpr const void* type_tag = &tag_of<T>;

struct error_rep;  // src/api/error.cpp
// How the library handles a payload whose type it does not know.
struct payload_ops {
  const void* tag;
  std::string (*describe)(const void*);
  void (*destroy)(void*);
};
template <class T>
std::string describe_payload(const void* p) {
  const T& v = *static_cast<const T*>(p);
  if constexpr (requires {
                  { v.message() } -> std::convertible_to<std::string>;
                }) {
    return v.message();
  } else if constexpr (requires {
                         { v.what() } -> std::convertible_to<std::string>;
                       }) {
    return v.what();
  } else if constexpr (requires {
                         { v.string() } -> std::convertible_to<std::string>;
                       }) {
    return v.string();
  } else if constexpr (std::convertible_to<const T&, std::string_view>) {
    return std::string(std::string_view(v));
  } else {
    return "error";
  }
}
template <class T>
inline constexpr payload_ops ops_of = {type_tag<T>, describe_payload<T>,
                                       [](void* p) { delete static_cast<T*>(p); }};
}  // namespace detail

class [[nodiscard]] GORT_API error {
 public:
  constexpr error() noexcept = default;
  error(std::error_code ec) noexcept;  // a code of value 0 is nil
  template <class E>
  requires(std::is_error_code_enum_v<E>) error(E e)
  noexcept : error(make_error_code(e)) {}
  explicit error(std::string_view text);
  error(std::error_code ec, std::string_view text);  // the code, in other words than its own
  error(const error& o) noexcept : p_(o.p_) {
    if (p_ != nullptr) retain(p_);
  }
  error(error&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  error& operator=(const error& o) noexcept {
    error(o).swap(*this);
    return *this;
  }
  error& operator=(error&& o) noexcept {
    error(std::move(o)).swap(*this);
    return *this;
  }
  ~error() {
    if (p_ != nullptr) release(p_);
  }
  void swap(error& o) noexcept { std::swap(p_, o.p_); }

  explicit operator bool() const noexcept { return p_ != nullptr; }
  // message is everything, outermost words first; "" for nil.
  [[nodiscard]] std::string message() const;
  // code is the first code found from the outside in. nil: a default error_code. An error without any code
  // has one of category() that equals nothing else.
  [[nodiscard]] std::error_code code() const noexcept;
  // wrap puts words in front: "what: message". Wrapping nil gives nil.
  [[nodiscard]] error wrap(std::string_view what) const;
  // unwrap takes off one layer of words; nil if there is none (a join has none, as in Go).
  [[nodiscard]] error unwrap() const noexcept;
  // is: this error, or one that it wraps or joins, is `target` itself or has the same code.
  [[nodiscard]] bool is(const error& target) const noexcept;
  // timeout: the code says that time ran out.
  [[nodiscard]] bool timeout() const noexcept;
  // of makes an error that carries a value; its text is value.message(), .what(), .string(), or the value as text.
  // as finds the first T carried by this error or one that it wraps or joins; valid as long as the error.
  template <class T>
  [[nodiscard]] static error of(T payload) {
    static_assert(std::is_object_v<T>, "gort::error::of: the payload is an object");
    return from_payload(new T(std::move(payload)), &detail::ops_of<T>);
  }
  template <class T>
  [[nodiscard]] const T* as() const noexcept {
    return static_cast<const T*>(find(detail::type_tag<T>));
  }
  // with adds a value and no words: as<T>() finds it before those further in, all else is as it was. Of nil: nil.
  template <class T>
  [[nodiscard]] error with(T payload) const {
    static_assert(std::is_object_v<T>, "gort::error::with: the payload is an object");
    return p_ == nullptr ? error() : add_payload(new T(std::move(payload)), &detail::ops_of<T>);
  }
  // raise throws error_exception.
  [[noreturn]] void raise() const;

  friend bool operator==(const error& a, std::error_code b) noexcept { return a.code() == b; }
  friend bool operator==(const error& a, std::error_condition b) noexcept { return a.code() == b; }
  friend error join(const error& a, const error& b);

 private:
  explicit error(detail::error_rep* p) noexcept : p_(p) {}
  static error from_payload(void* value, const detail::payload_ops* ops);
  error add_payload(void* value, const detail::payload_ops* ops) const;
  const void* find(const void* tag) const noexcept;
  static void retain(detail::error_rep* p) noexcept;
  static void release(detail::error_rep* p) noexcept;

  detail::error_rep* p_ = nullptr;
};
static_assert(sizeof(error) == sizeof(void*));

// join makes one error of two ("a\nb"); nil ones disappear.
[[nodiscard]] GORT_API error join(const error& a, const error& b);

// What raise() and result::value() throw, for code that prefers exceptions.
class GORT_API error_exception : public std::system_error {
 public:
  explicit error_exception(gort::error e);
  ~error_exception() override;
  const gort::error& why() const noexcept { return why_; }
  const char* what() const noexcept override;

 private:
  gort::error why_;
  std::string text_;
};

namespace detail {
[[noreturn]] GORT_API void bad_result(const error& e, bool made);
template <>
struct must_use<error> : std::true_type {};
}  // namespace detail

// result<T> is a T or the error that stood in its way; std::expected<T, error> in shape, but C++20.
// Reading the value of a failure with * or -> is a panic, with value() an exception.
template <class T>
class [[nodiscard]] result {
  static_assert(!std::is_reference_v<T> && !std::same_as<T, gort::error>,
                "gort::result<T>: T is an object type other than gort::error");

 public:
  using value_type = T;
  using error_type = gort::error;

  result(T v) : v_(std::move(v)) {}
  result(gort::error e) : e_(std::move(e)) {
    if (!e_) detail::bad_result(e_, true);  // neither value nor error
  }
  template <class E>
  requires(std::is_error_code_enum_v<E>) result(E e) : e_(e) {}

  explicit operator bool() const noexcept { return v_.has_value(); }
  bool has_value() const noexcept { return v_.has_value(); }
  T& operator*() & {
    check();
    return *v_;
  }
  const T& operator*() const& {
    check();
    return *v_;
  }
  T&& operator*() && {
    check();
    return std::move(*v_);
  }
  T* operator->() {
    check();
    return &*v_;
  }
  const T* operator->() const {
    check();
    return &*v_;
  }
  T& value() & {
    if (!v_) e_.raise();
    return *v_;
  }
  const T& value() const& {
    if (!v_) e_.raise();
    return *v_;
  }
  T value() && {
    if (!v_) e_.raise();
    return std::move(*v_);
  }
  const gort::error& error() const& noexcept { return e_; }  // nil if there is a value
  gort::error error() && noexcept { return std::move(e_); }
  template <class U>
  T value_or(U&& u) const& {
    return v_ ? *v_ : static_cast<T>(std::forward<U>(u));
  }
  template <class U>
  T value_or(U&& u) && {
    return v_ ? std::move(*v_) : static_cast<T>(std::forward<U>(u));
  }
  // and_then: f(value) -> result<U>; transform: f(value) -> U. An error passes by.
  template <class F>
  auto and_then(F f) && -> std::invoke_result_t<F, T> {
    if (v_) return f(std::move(*v_));
    return std::move(e_);
  }
  template <class F>
  auto transform(F f) && -> result<std::invoke_result_t<F, T>> {
    if (v_) return f(std::move(*v_));
    return std::move(e_);
  }

 private:
  void check() const {
    if (!v_) detail::bad_result(e_, false);
  }

  std::optional<T> v_;
  gort::error e_;
};

namespace detail {
template <class T>
struct must_use<result<T>> : std::true_type {};
}  // namespace detail

}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// Bodies of gort::error; contracts in include/gort/error.hpp.
// Ownership:  an error_rep is immutable after its constructor and owned by its reference count; the codes of
// Gort itself
//             have immortal ones (kStatic), so cancelling a context never allocates.
// Ordering:   retain relaxed, release acq_rel: the last owner sees everything the others did.
#include <gort/defer.hpp>
#include <gort/error.hpp>

#include <cstring>
#include <new>
#include <utility>

#include "base/atomic.hpp"

namespace gort {
inline namespace GORT_ABI {

namespace {

constexpr int kNoCode = 255;  // code() of an error that has only words

const char* errc_text(int value) {
  switch (static_cast<errc>(value)) {
    case errc::canceled:
      return "context canceled";
    case errc::deadline_exceeded:
      return "context deadline exceeded";
    case errc::closed:
      return "use of closed object";
    case errc::eof:
      return "EOF";
    case errc::no_route:
      return "no route to host";
    case errc::bad_address:
      return "bad address";
    case errc::io_timeout:
      return "i/o timeout";
    case errc::no_such_host:
      return "no such host";
    case errc::unknown_port:
      return "unknown port";
  }
  return "error";
}

class Category final : public std::error_category {
 public:
  constexpr Category() = default;
  const char* name() const noexcept override { return "gort"; }
  std::string message(int value) const override { return errc_text(value); }
  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<errc>(value)) {
      case errc::canceled:
        return std::errc::operation_canceled;
      case errc::deadline_exceeded:
      case errc::io_timeout:
        return std::errc::timed_out;
      case errc::no_route:
        return std::errc::host_unreachable;
      case errc::bad_address:
        return std::errc::invalid_argument;
      default:
        return {value, *this};
    }
  }
};

// Never destroyed: error codes are compared in static destructors too.
union CategoryHolder {
  constexpr CategoryHolder() : it() {}
  ~CategoryHolder() {}
  Category it;
};
constinit CategoryHolder kHolder;
constinit const std::error_category& kCategory = kHolder.it;

}  // namespace

const std::error_category& category() noexcept { return kHolder.it; }

namespace detail {

struct error_rep {
  enum class Kind : unsigned char { code, text, payload, note, wrap, join };

  error_rep(Kind k, bool immortal_) : kind(k), immortal(immortal_) {}
  error_rep(const error_rep&) = delete;
  error_rep& operator=(const error_rep&) = delete;

  rt::Atomic<unsigned> refs{1};
  Kind kind;
  const bool immortal;
  // by kind
  std::error_code code;   // code
  std::string text;       // text, wrap; code: instead of its own, if not empty
  void* value = nullptr;  // payload, note
  const payload_ops* ops = nullptr;
  error_rep* a = nullptr;  // note, wrap, join: owned references
  error_rep* b = nullptr;  // join
};

}  // namespace detail

namespace {

using detail::error_rep;
using Kind = error_rep::Kind;

// The immortal ones. Never destroyed: errors may outlive static destructors.
struct StaticReps {
  static constexpr int kCodes = static_cast<int>(errc::unknown_port);
  alignas(error_rep) unsigned char room[kCodes + 1][sizeof(error_rep)];
  StaticReps() {
    for (int i = 1; i <= kCodes; ++i) make(i, std::error_code(i, kCategory));
    make(0, std::make_error_code(std::errc::not_enough_memory));
  }
  void make(int i, std::error_code ec) { (new (room[i]) error_rep(Kind::code, true))->code = ec; }
  error_rep* get(int i) { return std::launder(reinterpret_cast<error_rep*>(room[i])); }
};

error_rep* static_rep(int i) {
  static StaticReps reps;
  return reps.get(i);
}

// first walks depth-first, outside in, until visit gives true.
template <class V>
bool first(const error_rep* p, const V& visit) {
  while (p != nullptr) {
    if (visit(*p)) return true;
    if (p->kind == Kind::join && first(p->b, visit)) return true;
    p = p->a;
  }
  return false;
}

// The system's texts begin with a capital; in a chain of words they read as Go's do.
void lower_system_text(const error_rep& p, std::string& out) {
  if (p.code.category() != std::system_category() && p.code.category() != std::generic_category()) return;
  const std::size_t n = p.code.message().size();
  if (n == 0 || n > out.size()) return;
  char& c = out[out.size() - n];
  if (c >= 'A' && c <= 'Z' && (n == 1 || out[out.size() - n + 1] > 'Z')) c = static_cast<char>(c - 'A' + 'a');
}

void append_message(const error_rep& p, std::string& out) {
  switch (p.kind) {
    case Kind::code:
      if (!p.text.empty()) {
        out += p.text;
        break;
      }
      out += p.code.message();
      lower_system_text(p, out);
      break;
    case Kind::text:
      out += p.text;
      break;
    case Kind::payload:
      out += p.ops->describe(p.value);
      break;
    case Kind::note:
      append_message(*p.a, out);
      break;
    case Kind::wrap:
      out += p.text;
      out += ": ";
      append_message(*p.a, out);
      break;
    case Kind::join:
      append_message(*p.a, out);
      out += '\n';
      append_message(*p.b, out);
      break;
  }
}

}  // namespace

error::error(std::error_code ec) noexcept {
  if (!ec) return;
  if (ec.category() == kCategory && ec.value() >= 1 && ec.value() <= StaticReps::kCodes) {
    p_ = static_rep(ec.value());
    return;
  }
  p_ = new (std::nothrow) error_rep(Kind::code, false);
  if (p_ == nullptr) {
    p_ = static_rep(0);
  } else {
    p_->code = ec;
  }
}

error::error(std::string_view text) {
  auto* p = new error_rep(Kind::text, false);
  p_ = p;
  p->text = text;
  // A NUL, of a bad name, would hide from C what comes behind it: the reason.
  for (std::size_t at = 0; (at = p->text.find('\0', at)) != std::string::npos;) p->text.replace(at, 1, "\\0");
}

error::error(std::error_code ec, std::string_view text) {
  if (!ec) return;
  p_ = new error_rep(Kind::code, false);
  p_->code = ec;
  p_->text = text;
}

error error::from_payload(void* value, const detail::payload_ops* ops) {
  auto* p = new (std::nothrow) error_rep(Kind::payload, false);
  if (p == nullptr) {
    ops->destroy(value);
    throw std::bad_alloc();
  }
  p->value = value;
  p->ops = ops;
  return error(p);
}

error error::add_payload(void* value, const detail::payload_ops* ops) const {
  error e = from_payload(value, ops);
  error_rep* p = e.p_;
  p->kind = Kind::note;
  retain(p_);
  p->a = p_;
  return e;
}

void error::retain(error_rep* p) noexcept {
  if (!p->immortal) p->refs.fetchAdd(1, rt::Order::relaxed);
}

void error::release(error_rep* p) noexcept {
  while (p != nullptr && !p->immortal && p->refs.fetchSub(1, rt::Order::acqRel) == 1) {
    error_rep* const next = p->a;
    if (p->b != nullptr) release(p->b);
    if (p->ops != nullptr) p->ops->destroy(p->value);
    delete p;
    p = next;
  }
}

std::string error::message() const {
  std::string s;
  if (p_ != nullptr) append_message(*p_, s);
  return s;
}

std::error_code error::code() const noexcept {
  if (p_ == nullptr) return {};
  std::error_code found(kNoCode, kCategory);
  (void)first(p_, [&](const error_rep& r) {
    if (r.kind != Kind::code) return false;
    found = r.code;
    return true;
  });
  return found;
}

error error::wrap(std::string_view what) const {
  if (p_ == nullptr) return {};
  error e(what);  // has the words; becomes the outer layer
  auto* p = new error_rep(Kind::wrap, false);
  error outer(p);
  p->text = std::move(e.p_->text);
  retain(p_);
  p->a = p_;
  return outer;
}

error error::unwrap() const noexcept {
  const error_rep* p = p_;
  while (p != nullptr && p->kind == Kind::note) p = p->a;
  if (p == nullptr || p->kind != Kind::wrap) return {};
  retain(p->a);
  return error(p->a);
}

bool error::is(const error& target) const noexcept {
  if (target.p_ == nullptr || p_ == nullptr) return p_ == target.p_;
  return first(p_, [&](const error_rep& r) {
    return &r == target.p_ ||
           (r.kind == Kind::code && target.p_->kind == Kind::code && r.code == target.p_->code);
  });
}

bool error::timeout() const noexcept { return p_ != nullptr && code() == std::errc::timed_out; }

const void* error::find(const void* tag) const noexcept {
  const void* found = nullptr;
  (void)first(p_, [&](const error_rep& r) {
    if (r.ops == nullptr || r.ops->tag != tag) return false;
    found = r.value;
    return true;
  });
  return found;
}

void error::raise() const { throw error_exception(*this); }

error join(const error& a, const error& b) {
  if (!a) return b;
  if (!b) return a;
  auto* p = new error_rep(Kind::join, false);
  error::retain(a.p_);
  error::retain(b.p_);
  p->a = a.p_;
  p->b = b.p_;
  return error(p);
}

error_exception::error_exception(gort::error e)
    : std::system_error(e.code()), why_(std::move(e)), text_(why_.message()) {}
error_exception::~error_exception() = default;
const char* error_exception::what() const noexcept { return text_.c_str(); }

namespace detail {

void bad_result(const error& e, bool made) {
  if (made) panic("gort: result made from a nil error");
  if (!e) panic("gort: value of a result whose error was moved away");
  panic("gort: value of a result that holds an error: " + e.message());
}

}  // namespace detail

}  // namespace GORT_ABI
}  // namespace gort

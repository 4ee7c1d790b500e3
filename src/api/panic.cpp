// SPDX-License-Identifier: Apache-2.0
// The C++ half of panic: values, the exception that unwinds, func frames, std::terminate.
// The core is src/lang/panic.hpp. docs/adr/0002-panic-unwind.md says why the unwinding is a thrown C++ type
// and not the platform's forced unwind.
//
// Who catches what:
//   run_frame        panic_unwind aimed at it: goes on with the rest of its list. Aimed elsewhere: passes.
//                    Any other exception: goes to its calls and handlers as a panic, and on if nobody
//                    recovers.
//   goroutine_root   panic_unwind aimed at the root only. Nothing else, so that the search for a handler of
//   an
//                    ordinary exception ends before anything is unwound: std::terminate then sees the stack
//                    of the throw.
//   catch (...)      of the user: must rethrow; ~panic_unwind finds out.
#include <cxxabi.h>
#include <gort/defer.hpp>
#include <gort/go.hpp>

#include <cstring>
#include <exception>
#include <string>
#include <typeinfo>

#include "api/panic_api.hpp"
#include "lang/panic.hpp"
#include "os/mem_linux.hpp"
#include "sched/funcname.hpp"
#include "sched/panic_print.hpp"
#include "sched/proc.hpp"
#include "sched/runtime1.hpp"

namespace gort {
inline namespace GORT_ABI {

namespace {

static_assert(sizeof(detail::defer_node) == sizeof(rt::Defer) &&
              sizeof(detail::frame_call) == sizeof(rt::FrameCall) &&
              sizeof(detail::frame_core) == sizeof(rt::FuncFrame) && sizeof(panic_info) == sizeof(void*));
static_assert(offsetof(detail::frame_core, top) == offsetof(rt::FuncFrame, top) &&
              offsetof(detail::frame_core, closed) == offsetof(rt::FuncFrame, closed));

constexpr std::string_view kNilText = "panic called with nil argument (use GODEBUG=panicnil=1 to disable)";

std::terminate_handler previousTerminate = nullptr;

const rt::Panic& panic_of(const void* p) { return *static_cast<const rt::Panic*>(p); }
rt::FuncFrame& frame_of(detail::frame_core* f) {
  return *reinterpret_cast<rt::FuncFrame*>(f);  // SAFETY: same layout, checked above
}
const panic_info* info_of(const void* self) { return static_cast<const panic_info*>(self); }

rt::Location to_location(location l) { return {l.file, l.function, l.line}; }

void write(rt::Printer& w, std::string_view s) { rt::printindented(w, s.data(), s.size()); }

// ---- values

std::int64_t signed_of(const void* v, unsigned size) {
  switch (size) {
    case 1:
      return *static_cast<const std::int8_t*>(v);
    case 2:
      return *static_cast<const std::int16_t*>(v);
    case 4:
      return *static_cast<const std::int32_t*>(v);
    default:
      return *static_cast<const std::int64_t*>(v);
  }
}

std::uint64_t unsigned_of(const void* v, unsigned size) {
  std::uint64_t u = 0;
  std::memcpy(&u, v, size < sizeof u ? size : sizeof u);
  return u;
}

void print_plain(const detail::value_ops& ops, const void* v, rt::Printer& w) {
  switch (ops.kind) {
    case detail::value_kind::boolean:
      w << (unsigned_of(v, 1) != 0);
      break;
    case detail::value_kind::character:
      w << static_cast<int>(signed_of(v, 1));
      break;  // as Go prints a byte
    case detail::value_kind::signed_int:
      w << signed_of(v, ops.size);
      break;
    case detail::value_kind::unsigned_int:
      w << unsigned_of(v, ops.size);
      break;
    case detail::value_kind::floating:
      rt::printfloat(w, ops.size == sizeof(float) ? static_cast<double>(*static_cast<const float*>(v))
                                                  : *static_cast<const double*>(v));
      break;
    case detail::value_kind::opaque:
      break;
  }
}

// A panic(T): `value` points at the T in the frame that called panic.
struct ValuePanic : rt::Panic {
  const detail::value_ops* ops = nullptr;
};

void print_value(const rt::Panic& p, rt::Printer& w) {
  const detail::value_ops& ops = *static_cast<const ValuePanic&>(p).ops;
  if (ops.describe != nullptr) {
    try {
      write(w, ops.describe(p.value));
    } catch (panic_unwind&) {
      throw;
    } catch (...) {
      w << '(';
      w.write(ops.type.data(), ops.type.size());
      w << ") " << p.value << " [exception while printing]";
    }
  } else if (ops.kind == detail::value_kind::opaque) {
    w << '(';
    w.write(ops.type.data(), ops.type.size());
    w << ") " << p.value;
  } else if (ops.named) {
    w.write(ops.type.data(), ops.type.size());
    w << '(';
    print_plain(ops, p.value, w);
    w << ')';
  } else {
    print_plain(ops, p.value, w);
  }
}

void print_error(const rt::Panic& p, rt::Printer& w) {
  write(w, static_cast<const error*>(p.value)->message());
}

// ---- exceptions

const std::exception_ptr& exception_of(const rt::Panic& p) {
  return *static_cast<const std::exception_ptr*>(p.exception);
}

// describe_exception gives what() or the value of simple types; `type` is set when the text does not name it
// already.
std::string describe_exception(const std::exception_ptr& e, std::string* type) {
  try {
    std::rethrow_exception(e);
  } catch (const std::exception& x) {
    if (type != nullptr) *type = type_text(typeid(x));
    return x.what();
  } catch (const gort::error& x) {
    return x.message();
  } catch (const std::string& s) {
    return s;
  } catch (const char* s) {
    return s;
  } catch (int i) {
    return std::to_string(i);
  } catch (...) {
    const std::type_info* t = abi::__cxa_current_exception_type();
    return "exception of type " + (t != nullptr ? type_text(*t) : std::string("unknown"));
  }
}

void print_exception(const rt::Panic& p, rt::Printer& w) {
  std::string type;
  write(w, describe_exception(exception_of(p), &type));
  if (!type.empty()) write(w, " (" + type + ")");
}

void append(void* s, const char* data, std::size_t n) { static_cast<std::string*>(s)->append(data, n); }

std::string text_of(const rt::Panic& p) {
  if (p.exception != nullptr) return describe_exception(exception_of(p), nullptr);
  if (p.print == print_error) return static_cast<const error*>(p.value)->message();
  if (p.print == nullptr) return p.text != nullptr ? std::string(p.text, p.textLen) : "nil";
  std::string s;
  rt::Printer w(append, &s);
  p.print(p, w);
  w.flush();
  return s;
}

}  // namespace

std::string type_text(const std::type_info& t) {
  struct Job {
    const char* name;
    char buf[300];
  } job{t.name(), {}};
  rt::onDeepStack(
      [](void* p) {
        auto& j = *static_cast<Job*>(p);
        (void)rt::typeName(j.name, j.buf, sizeof j.buf);
      },
      &job);
  return job.buf;
}

// ---- the unwinding exception

struct panic_unwind::access {
  static panic_unwind* make(void* room, void* target, const rt::Panic& p) {
    auto* u = new (room) panic_unwind;
    u->target_ = target;
    u->pending_ = true;
    const std::string_view kind = p.goexit ? "goexit" : "panic";
    std::string_view text = kind;
    if (p.print == nullptr && p.text != nullptr) text = {p.text, p.textLen};
    const std::size_t n = text.size() < sizeof u->text_ - 1 ? text.size() : sizeof u->text_ - 1;
    std::memcpy(u->text_, text.data(), n);
    u->text_[n] = 0;
    return u;
  }
  static void destroy(void* u) { static_cast<panic_unwind*>(u)->~panic_unwind(); }
  static bool arrive(panic_unwind& u, const void* target) {
    if (u.target_ != target || !u.pending_) return false;
    u.pending_ = false;
    return true;
  }
  static const char* text(const panic_unwind& u) { return u.text_; }
};

panic_unwind::~panic_unwind() {
  if (pending_) swallowed(text_, rt::callerRegs());
}

namespace {

// die reports a misuse of unwinding: "fatal error: " + text + where, with the current goroutine's stack.
[[noreturn]] void die(const std::string& text) { rt::fatal(text.c_str()); }

// throw_unwind starts unwinding to `target` (nullptr: the goroutine's root).
[[noreturn]] void throw_unwind(rt::FuncFrame* target, const rt::Panic& p) {
  if (target != nullptr) unwind_fast(*target, rt::callerRegs());
  void* room = abi::__cxa_allocate_exception(sizeof(panic_unwind));
  panic_unwind::access::make(room, target, p);
  abi::__cxa_throw(room, const_cast<std::type_info*>(&typeid(panic_unwind)), panic_unwind::access::destroy);
}

void throw_unwind_hook(rt::FuncFrame* target, const rt::Panic& p) { throw_unwind(target, p); }

// call_hook: see UnwindHooks::call.
void call_hook(rt::Panic* p, void (*fn)(void*), void* arg, rt::FrameCall* c) {
  struct Ends {
    rt::G* gp;
    rt::Panic* p;
    ~Ends() {
      if (p != nullptr) gp->panic_ = p->link;
    }
  } ends{rt::getg(), p};
  p->callFrame = reinterpret_cast<rt::uintptr>(__builtin_frame_address(0));
  if (fn != nullptr) {
    fn(arg);
  } else {
    c->op(c, &p->self, true);
  }
  p->callFrame = 0;
  ends.p = nullptr;
}

// raise has a twin without Entry: a frame without anything to clean up can be passed the short way.
[[noreturn]] GORT_NOINLINE void raise_outside(rt::Panic& p) {
  rt::Entry entry;
  rt::gopanic(p);
  throw_unwind(p.target, p);
}

[[noreturn]] void raise(rt::Panic& p, location where) {
  p.where = to_location(where);
  const rt::G* gp = rt::getg();
  if (gp == nullptr || gp->m->p == nullptr) raise_outside(p);
  rt::gopanic(p);
  throw_unwind(p.target, p);
}

[[noreturn]] void raise_nil(location where) {
  rt::Panic p;
  p.nil = true;
  if (rt::loadRelaxed(&rt::debug.panicnil) == 0) {
    p.text = kNilText.data();
    p.textLen = kNilText.size();
    p.runtimeError = true;
  }
  raise(p, where);
}

}  // namespace

void swallowed(const char* text, const rt::Regs& at) {
  struct Job {
    const rt::Regs& at;
    const rt::G* gp;
    bool found;
    rt::CallSite site;
  } job{at, rt::getg(), false, {}};
  rt::onDeepStack(
      [](void* p) {
        auto& j = *static_cast<Job*>(p);
        j.found = rt::callSite(j.at, rt::boundsOf(j.gp), j.site);
      },
      &job);
  const rt::CallSite& site = job.site;
  std::string s = "catch (...) swallowed a panic; it must rethrow it (throw;)";
  if (job.found) {
    s += "\ncaught in " + std::string(site.function);
    if (site.file != nullptr) s += " near " + std::string(site.file) + ":" + std::to_string(site.line);
  }
  s += "\nthe panic was: " + std::string(text);
  die(s);
}

void panic(std::string_view text, location where) {
  rt::Panic p;
  p.text = text.data() != nullptr ? text.data() : "";
  p.textLen = text.size();
  p.regs = rt::callerRegs();
  p.haveRegs = true;
  raise(p, where);
}

void panic(const error& e, location where) {
  if (!e) raise_nil(where);
  rt::Panic p;
  p.value = &e;
  p.tag = detail::type_tag<error>;
  p.print = print_error;
  raise(p, where);
}

void panic(std::nullptr_t, location where) { raise_nil(where); }

namespace detail {

void panic_value(const void* v, const value_ops* ops, location where) {
  ValuePanic p;
  p.value = v;
  p.tag = ops->tag;
  p.print = print_value;
  p.ops = ops;
  raise(p, where);
}

// ---- frames

void push(defer_node* n) noexcept {
  if (rt::getg() == nullptr) rt::Entry attach;
  rt::pushDefer(reinterpret_cast<rt::Defer*>(n));
}

void pop_run(defer_node* n) { rt::popDefer(reinterpret_cast<rt::Defer*>(n)); }

void frame_push(frame_core* f, frame_call* c) {
  if (rt::framePush(frame_of(f), reinterpret_cast<rt::FrameCall*>(c))) return;
  c->op(c, nullptr, false);
  panic("gort::func: defer or recover on a frame that has begun to end, or from another goroutine");
}

bool run_frame(frame_core* fc, void (*body)(void*), void* arg) {
  rt::FuncFrame& f = frame_of(fc);
  if (rt::getg() == nullptr) rt::Entry attach;
  rt::frameBegin(f);
  f.bodyFrame = reinterpret_cast<rt::uintptr>(__builtin_frame_address(0));
  bool started = false, returned = false;
  std::exception_ptr pending;
  for (;;) {
    try {
      if (!started) {
        started = true;
        f.inBody = true;
        body(arg);
        f.inBody = false;
        returned = !f.jumped;
      }
      if (pending != nullptr) {
        rt::Panic p;
        p.exception = &pending;
        p.print = print_exception;
        if (!rt::framePanics(f, p)) break;
        pending = nullptr;
      }
      rt::frameCalls(f);
      break;
    } catch (panic_unwind& u) {
      f.inBody = returned = false;
      if (!panic_unwind::access::arrive(u, &f)) {
        rt::frameAbandon(f);
        throw;
      }
      pending = nullptr;
    } catch (...) {
      f.inBody = returned = false;
      pending = std::current_exception();
    }
  }
  if (pending != nullptr) {
    rt::frameAbandon(f);
    std::rethrow_exception(std::move(pending));
  }
  rt::frameEnd(f);
  return returned;
}

void goroutine_root(void (*fn)(void*), void* arg) {
  try {
    fn(arg);
    if (GORT_UNLIKELY(rt::getg()->locals != nullptr)) destroy_locals();
    return;
  } catch (panic_unwind& u) {
    if (!panic_unwind::access::arrive(u, nullptr))
      die("a panic's unwinding outlived the gort::func it was aimed at");
  }
  destroy_locals();  // of the main goroutine, and what destructors have made anew
  rt::goexit0m();    // not a return: the main goroutine's end would end the process
}

namespace {

// on_terminate is std::terminate on a goroutine. The stack is that of the throw, or of the noexcept function
// in the way.
void on_terminate() {
  rt::G* gp = rt::getg();
  if (gp == nullptr || gp->foreign || gp->m == nullptr || gp == gp->m->g0) {
    if (previousTerminate != nullptr) previousTerminate();
    std::abort();
  }
  const rt::Regs here = rt::callerRegs();
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr) die("std::terminate called without an active exception");
  rt::Entry entry;
  std::exception_ptr e = std::current_exception();
  if (*type == typeid(panic_unwind)) {
    std::string text;
    try {
      std::rethrow_exception(e);
    } catch (panic_unwind& u) {
      text = panic_unwind::access::text(u);
      die("panic cannot unwind: a noexcept function, a destructor or foreign code is in the way\nthe panic "
          "was: " +
          text);
    }
  }
  rt::Panic p;
  p.exception = &e;
  p.print = print_exception;
  p.regs = here;
  p.haveRegs = true;
  if (rt::insideFrame(gp)) {
    p.link = gp->panic_;  // a noexcept function keeps the exception from a gort::func: nobody can recover it
    gp->panic_ = &p;
  } else if (rt::runDefers(p)) {
    die("recover() of a C++ exception that no gort::func catches");
  }
  rt::fatalpanic(here);
}

}  // namespace

void panic_init() {
  if (rt::unwindHooks.throwUnwind != nullptr) return;
  rt::unwindHooks.throwUnwind = throw_unwind_hook;
  rt::unwindHooks.call = call_hook;
  previousTerminate = std::set_terminate(on_terminate);
}

}  // namespace detail

const panic_info* recover() noexcept {
  const rt::Panic* p = rt::gorecover(rt::callerRegs());
  return p != nullptr ? info_of(&p->self) : nullptr;
}

// ---- panic_info

std::string panic_info::message() const { return text_of(panic_of(p_)); }

error panic_info::as_error() const {
  const rt::Panic& p = panic_of(p_);
  if (p.print == print_error) return *static_cast<const error*>(p.value);
  if (p.exception != nullptr) {
    try {
      std::rethrow_exception(exception_of(p));
    } catch (const error_exception& x) {
      return x.why();
    } catch (const std::system_error& x) {
      return error(x.code()).wrap(x.what());
    } catch (...) {
    }
  }
  return error(text_of(p));
}

std::string panic_info::stack() const {
  const rt::Panic& p = panic_of(p_);
  return p.haveRegs ? stack_text(&p.regs, false) : std::string();
}

location panic_info::where() const noexcept {
  const rt::Location& l = panic_of(p_).where;
  return {l.file != nullptr ? l.file : "", l.function != nullptr ? l.function : "", l.line};
}

bool panic_info::goexit() const noexcept {
  for (const rt::Panic* p = panic_of(p_).link; p != nullptr; p = p->link) {
    if (p->goexit) return true;
  }
  return false;
}

bool panic_info::runtime_error() const noexcept { return panic_of(p_).runtimeError; }

const void* panic_info::find(const void* tag) const noexcept {
  const rt::Panic& p = panic_of(p_);
  return tag == p.tag ? p.value : nullptr;
}

std::exception_ptr panic_info::exception() const noexcept {
  const rt::Panic& p = panic_of(p_);
  return p.exception != nullptr ? exception_of(p) : nullptr;
}

void panic_info::repanic() const {
  const rt::Panic& old = panic_of(p_);
  if (old.exception != nullptr) std::rethrow_exception(exception_of(old));
  ValuePanic p;
  p.text = old.text;
  p.textLen = old.textLen;
  p.value = old.value;
  p.tag = old.tag;
  p.print = old.print;
  p.runtimeError = old.runtimeError;
  p.nil = old.nil;
  if (old.print == print_value) p.ops = static_cast<const ValuePanic&>(old).ops;
  raise(p, {old.where.file, old.where.function, old.where.line});
}

}  // namespace GORT_ABI
}  // namespace gort

// gort_api_boot is called by boot() when this floor is linked.
extern "C" void gort_api_boot() { gort::detail::panic_init(); }

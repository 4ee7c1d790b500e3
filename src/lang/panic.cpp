// SPDX-License-Identifier: Apache-2.0
// panic, defer, recover, goexit; essay in panic.hpp.
// Ordering: none; everything here belongs to the running goroutine, which may change threads inside any
// deferred call: the G pointer is kept, getg()->m never.
#include "lang/panic.hpp"

#include "base/check.hpp"
#include "base/print.hpp"
#include "sched/panic_print.hpp"
#include "sched/proc.hpp"
#include "sched/runtime1.hpp"

namespace gort::rt {

constinit UnwindHooks unwindHooks;

void deferMarker(void*) { throw_("defer marker called"); }

namespace {

// callDeferred: exactly one frame of UnwindHooks::call stands between a panic and its deferred call.
void callDeferred(Panic& p, void (*fn)(void*), void* arg, FrameCall* c) {
  if (GORT_LIKELY(unwindHooks.call != nullptr)) return unwindHooks.call(&p, fn, arg, c);
  if (fn != nullptr) return fn(arg);
  c->op(c, &p.self, true);
}

FuncFrame* innermostFrame(const G* gp) {
  for (Defer* d = gp->defer_; d != nullptr; d = d->link) {
    if (d->fn == deferMarker) return static_cast<FuncFrame*>(d->arg);
  }
  return nullptr;
}

// callTop runs the newest call of a frame with p going on.
void callTop(FuncFrame& f, Panic& p) {
  FrameCall* c = f.top;
  f.top = c->link;
  f.closed = true;
  if (c->recovers) {
    if (p.goexit) {
      c->op(c, nullptr, false);
      return;
    }
    p.recovered = true;
    p.target = &f;
  }
  callDeferred(p, nullptr, nullptr, c);
}

[[noreturn]] void unwindTo(const Panic& p) {
  if (unwindHooks.throwUnwind == nullptr) throw_("recovered panic without an unwinder");
  unwindHooks.throwUnwind(p.target, p);
  throw_("the unwinder came back");
}

G* panickingG() {
  G* gp = getg();
  if (gp == nullptr) fatal("panic on a thread that the runtime does not know");
  if (gp->m != nullptr && gp == gp->m->g0) throw_("panic on system stack");
  gp->inside = 0;
  return gp;
}

}  // namespace

void pushDefer(Defer* d) {
  G* gp = getg();
  d->link = gp->defer_;
  gp->defer_ = d;
}

void popDefer(Defer* d) {
  void (*const fn)(void*) = d->fn;
  if (fn == nullptr) return;  // a panic has run it
  G* gp = getg();
  if (GORT_UNLIKELY(gp->defer_ != d)) throw_("gort::defer destroyed out of order, or by another goroutine");
  gp->defer_ = d->link;
  d->fn = nullptr;
  fn(d->arg);
}

void frameBegin(FuncFrame& f) {
  G* gp = getg();
  f.g = gp;
  f.marker.fn = deferMarker;
  f.marker.arg = &f;
  f.marker.link = gp->defer_;
  gp->defer_ = &f.marker;
}

void frameEnd(FuncFrame& f) {
  G* gp = getg();
  if (gp->defer_ == &f.marker) gp->defer_ = f.marker.link;
  f.g = nullptr;
  if (GORT_UNLIKELY(f.goexitAfter)) goexit();
}

bool framePush(FuncFrame& f, FrameCall* c) {
  if (GORT_UNLIKELY(f.g != getg() || f.closed)) return false;
  c->link = f.top;
  f.top = c;
  return true;
}

void frameCalls(FuncFrame& f) {
  f.closed = true;
  while (FrameCall* c = f.top) {
    f.top = c->link;
    c->op(c, nullptr, !c->recovers);
  }
}

bool insideFrame(const G* gp) { return innermostFrame(gp) != nullptr; }

void frameAbandon(FuncFrame& f) {
  G* gp = f.g;
  if (gp->defer_ == &f.marker) gp->defer_ = f.marker.link;
  f.g = nullptr;
}

bool framePanics(FuncFrame& f, Panic& p) {
  G* gp = f.g;
  gp->inside = 0;
  p.link = gp->panic_;
  gp->panic_ = &p;
  while (f.top != nullptr) {
    callTop(f, p);
    if (p.recovered) {
      gp->panic_ = p.link;
      return true;
    }
  }
  gp->panic_ = p.link;
  return false;
}

bool runDefers(Panic& p) {
  G* gp = panickingG();
  p.link = gp->panic_;
  gp->panic_ = &p;
  while (Defer* d = gp->defer_) {
    if (d->fn == deferMarker) {
      FuncFrame& f = *static_cast<FuncFrame*>(d->arg);
      if (f.top == nullptr) {
        gp->defer_ = d->link;
        continue;
      }
      callTop(f, p);
    } else {
      gp->defer_ = d->link;
      void (*const fn)(void*) = d->fn;
      d->fn = nullptr;
      callDeferred(p, fn, d->arg, nullptr);
    }
    if (GORT_UNLIKELY(p.recovered)) {
      gp->panic_ = p.link;
      return true;
    }
  }
  return false;
}

void gopanic(Panic& p) {
  if (!p.haveRegs) {
    p.regs = callerRegs();
    p.haveRegs = true;
  }
  if (!runDefers(p)) fatalpanic(callerRegs());
}

void panicText(const char* text) {
  Panic p;
  p.text = text;
  p.textLen = __builtin_strlen(text);
  p.runtimeError = true;
  gopanic(p);
  unwindTo(p);
}

void panicString(const char* text) {
  Panic p;
  p.text = text;
  p.textLen = __builtin_strlen(text);
  gopanic(p);
  unwindTo(p);
}

void goexit() {
  G* gp = panickingG();
  if (gp->foreign) fatal("gort::goexit on a thread that is not a goroutine");
  for (Defer* d = gp->defer_; d != nullptr; d = d->link) {
    if (d->fn == deferMarker) static_cast<FuncFrame*>(d->arg)->goexitAfter = true;
  }
  Panic p;
  p.goexit = true;
  (void)runDefers(p);
  gp->panic_ = p.link;
  p.target = nullptr;
  if (unwindHooks.throwUnwind != nullptr) unwindHooks.throwUnwind(nullptr, p);
  goexit0m();
}

const Panic* gorecover(Regs r) {
  G* gp = getg();
  if (gp == nullptr) return nullptr;
  Panic* p = gp->panic_;
  if (p == nullptr || p->goexit || p->recovered || p->callFrame == 0) return nullptr;
  // Upwards from recover: the deferred function, the thunk that the runtime calls (unless the compiler has made
  // one of the two), the frame of UnwindHooks::call. A helper that was not inlined is one too many, except where
  // it takes the thunk's place: then it is let through.
  constexpr int kMaxDepth = 3;
  const StackBounds stack{gp->stack.lo, gp->stack.hi};
  bool direct = false;
  for (int depth = 0; depth < kMaxDepth && !direct; ++depth) {
    if (!step(r, stack)) return nullptr;
    direct = r.bp == p->callFrame;
  }
  if (!direct) return nullptr;
  p->recovered = true;
  p->target = innermostFrame(gp);
  return p;
}

// ---- printing

namespace {

bool sameValue(const Panic& a, const Panic& b) {
  return !a.goexit && !b.goexit && a.text == b.text && a.textLen == b.textLen && a.value == b.value &&
         a.tag == b.tag && a.exception == b.exception;
}

// preprintpanics marks panics that were recovered and raised again, so that each value is printed once.
void preprintpanics(Panic* p) {
  for (; p != nullptr; p = p->link) {
    if (p->link != nullptr && sameValue(*p, *p->link)) p->link->repanicked = true;
  }
}

void printpanics(Panic* p, Printer& w) {
  if (p->link != nullptr) {
    printpanics(p->link, w);
    if (p->link->repanicked) return;
    if (!p->link->goexit) w << '\t';
  }
  if (p->goexit) return;
  w << "panic: ";
  printpanicval(*p, w);
  if (p->recovered) w << (p->repanicked ? " [recovered, repanicked]" : " [recovered]");
  w << '\n';
}

}  // namespace

void printpanicval(const Panic& p, Printer& w) {
  if (p.print != nullptr) {
    p.print(p, w);
  } else {
    printindented(w, p.text != nullptr ? p.text : "nil", p.text != nullptr ? p.textLen : 3);
  }
}

void fatalpanic(const Regs& start) {
  G* gp = getg();
  preprintpanics(gp->panic_);
  if (startpanic() && gp->panic_ != nullptr) {
    Printer w;
    printpanics(gp->panic_, w);
  }
  dopanic(start, gp);
}

void printfloat(Printer& w, double v) {
  if (v != v) {
    w << "NaN";
    return;
  }
  const bool negative = __builtin_signbit(v) != 0;
  if (negative) v = -v;
  if (v > 1.7976931348623157e308) {
    w << (negative ? "-Inf" : "+Inf");
    return;
  }
  int exponent = 0;
  if (v != 0) {
    while (v >= 10) v /= 10, ++exponent;
    while (v < 1) v *= 10, --exponent;
    v += 0.0000005;  // round at the sixth digit
    if (v >= 10) v /= 10, ++exponent;
  }
  w << (negative ? '-' : '+');
  const auto scaled = static_cast<uint64>(v * 1e6);
  w.fixed(scaled, 6);
  w << 'e' << (exponent < 0 ? '-' : '+');
  const unsigned e = static_cast<unsigned>(exponent < 0 ? -exponent : exponent);
  w << static_cast<char>('0' + e / 100) << static_cast<char>('0' + e / 10 % 10)
    << static_cast<char>('0' + e % 10);
}

}  // namespace gort::rt

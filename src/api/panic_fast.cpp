// SPDX-License-Identifier: Apache-2.0
// The short way of unwinding a recovered panic.
// The platform's unwinder asks every frame twice (search, then clean up). Most panics are raised in functions
// that have nothing to say: no destructors, no catch, no noexcept at the point of their call. Then our own
// unwinder, which keeps its rules in a table, finds the registers of run_frame behind its call of the body,
// and we continue there as if the body had returned. Where a single frame has a landing pad, or nothing is
// known about it, the exception is thrown.
//
// Cache:      return address -> does its frame have anything to do? One word an entry: address, a tag of the
//             module that the loader had there (a function may be unloaded and another mapped in its place),
//             the answer. Relaxed: a word is right or does not match.
// Facts from: the language-specific data of the frame (call-site table of the C++ ABI), asked once through
//             libgcc.
// Not under sanitizers: they keep books about frames that are left.
#include <gort/defer.hpp>
#include <unwind.h>

#include "api/panic_api.hpp"
#include "base/atomic.hpp"
#include "base/sanitizer.hpp"
#include "sched/proc.hpp"
#include "unwind/cursor.hpp"
#include "unwind/module.hpp"

namespace gort {
inline namespace GORT_ABI {

namespace {

constexpr bool kPossible = !GORT_SANITIZED;

constexpr unsigned kCacheBits = 9, kMaxFrames = 64;
constexpr unsigned kAddressBits = 48;  // user addresses of x86-64

enum class FrameKind : std::uint64_t { unknown = 0, idle = 1, busy = 2, target = 3 };

constinit rt::Atomic<std::uint64_t> cache[1u << kCacheBits];
constinit rt::Atomic<rt::uintptr> ownLo, ownHi;  // this module: not unloaded while it runs

rt::Atomic<std::uint64_t>& slot_of(rt::uintptr pc) {
  return cache[(pc * 0x9e3779b97f4a7c15ULL) >> (64 - kCacheBits)];
}

std::uint64_t tag_of_module(rt::uintptr pc) {
  if (pc >= ownLo.load(rt::Order::relaxed) && pc < ownHi.load(rt::Order::relaxed)) return 0;
  const std::uint64_t id = rt::moduleIdentity(pc);
  return (id ^ id >> 14 ^ id >> 28 ^ id >> 42) & 0x3fff;
}

std::uint64_t word_of(rt::uintptr pc, FrameKind k) {
  return (tag_of_module(pc) << 2 | static_cast<std::uint64_t>(k)) << kAddressBits | pc;
}

FrameKind look_up(rt::uintptr pc) {
  const std::uint64_t w = slot_of(pc).load(rt::Order::relaxed);
  const auto k = static_cast<FrameKind>(w >> kAddressBits & 3);
  return w == word_of(pc, k) ? k : FrameKind::unknown;
}

// ---- the call-site table

constexpr unsigned kOmit = 0xff, kUdata4 = 0x03, kUleb = 0x01;

std::uint64_t encoded(rt::Cursor& c, unsigned enc) { return enc == kUdata4 ? c.u32() : c.uleb(); }

// has_landing_pad says whether something would run in the frame whose call returns to pc. Unknown forms count
// as yes.
bool has_landing_pad(const void* lsda, rt::uintptr function, rt::uintptr pc) {
  const auto* p = static_cast<const rt::uint8*>(lsda);
  constexpr std::size_t kHeader = 32;
  rt::Cursor head(p, p + kHeader);
  if (head.u8() != kOmit) return true;  // landing pads elsewhere
  if (head.u8() != kOmit) (void)head.uleb();
  const unsigned enc = head.u8();
  if (enc != kUdata4 && enc != kUleb) return true;
  const std::uint64_t length = head.uleb();
  if (head.bad || length > (1u << 24)) return true;
  rt::Cursor c(head.p, head.p + length);
  const rt::uintptr at = pc - 1 - function;
  while (c.more()) {
    const std::uint64_t start = encoded(c, enc), len = encoded(c, enc), pad = encoded(c, enc);
    (void)c.uleb();
    if (at >= start && at < start + len) return c.bad || pad != 0;
  }
  return true;  // no entry: a noexcept function
}

// ---- asking the platform, once for each return address

struct Walk {
  unsigned frames = 0;
};

_Unwind_Reason_Code learn_frame(_Unwind_Context* ctx, void* arg) {
  auto& walk = *static_cast<Walk*>(arg);
  int exact = 0;
  const rt::uintptr pc = _Unwind_GetIPInfo(ctx, &exact);
  const rt::uintptr function = _Unwind_GetRegionStart(ctx);
  FrameKind kind = FrameKind::busy;
  if (function == reinterpret_cast<rt::uintptr>(&detail::run_frame)) {
    kind = FrameKind::target;
  } else if (exact == 0 && function != 0) {
    const void* lsda = _Unwind_GetLanguageSpecificData(ctx);
    if (lsda == nullptr || !has_landing_pad(lsda, function, pc)) kind = FrameKind::idle;
  }
  if (pc >> kAddressBits == 0) slot_of(pc).store(word_of(pc, kind), rt::Order::relaxed);
  return kind == FrameKind::idle && ++walk.frames < kMaxFrames ? _URC_NO_REASON : _URC_END_OF_STACK;
}

GORT_NOINLINE void learn() {
  if (ownHi.load(rt::Order::relaxed) == 0) {
    if (const rt::Module* m = rt::findModule(reinterpret_cast<rt::uintptr>(&detail::run_frame));
        m != nullptr) {
      ownLo.store(m->map.lo, rt::Order::relaxed);
      ownHi.store(m->map.hi, rt::Order::relaxed);
    }
  }
  Walk walk;
  (void)_Unwind_Backtrace(learn_frame, &walk);
}

// find_target steps from r to run_frame. unknown: ask and try again; idle: found.
FrameKind find_target(rt::Regs& r, const rt::FuncFrame& target, const rt::StackBounds& stack) {
  for (unsigned i = 0; i < kMaxFrames; ++i) {
    if (!rt::step(r, stack) || r.pc >> kAddressBits != 0) return FrameKind::busy;
    const FrameKind k = look_up(r.pc);
    if (k == FrameKind::target) return r.bp == target.bodyFrame ? FrameKind::idle : FrameKind::busy;
    if (k != FrameKind::idle) return k;
  }
  return FrameKind::busy;
}

[[noreturn]] void jump(const rt::Regs& r) {
  // rsp last: r lies below it, where a signal handler may write.
  __asm__ volatile(
      "movq %c[pc](%0), %%rdx\n\t"
      "movq %c[bp](%0), %%rbp\n\t"
      "movq %c[bx](%0), %%rbx\n\t"
      "movq %c[r12](%0), %%r12\n\t"
      "movq %c[r13](%0), %%r13\n\t"
      "movq %c[r14](%0), %%r14\n\t"
      "movq %c[r15](%0), %%r15\n\t"
      "movq %c[sp](%0), %%rsp\n\t"
      "jmp *%%rdx"
      :
      : "a"(&r), [sp] "i"(offsetof(rt::Regs, sp)), [bp] "i"(offsetof(rt::Regs, bp)),
        [bx] "i"(offsetof(rt::Regs, rbx)), [r12] "i"(offsetof(rt::Regs, r12)),
        [r13] "i"(offsetof(rt::Regs, r13)), [r14] "i"(offsetof(rt::Regs, r14)),
        [r15] "i"(offsetof(rt::Regs, r15)), [pc] "i"(offsetof(rt::Regs, pc))
      : "memory");
  __builtin_unreachable();
}

}  // namespace

void unwind_fast(rt::FuncFrame& target, const rt::Regs& from) {
  if (!kPossible || !target.inBody) return;
  const rt::G* gp = rt::getg();
  const rt::StackBounds stack{gp->stack.lo, gp->stack.hi};
  rt::Regs r = from;
  FrameKind k = find_target(r, target, stack);
  if (k == FrameKind::unknown) {
    learn();
    r = from;
    k = find_target(r, target, stack);
  }
  if (k != FrameKind::idle || (r.valid & rt::Regs::kCalleeSaved) != rt::Regs::kCalleeSaved) return;
  target.jumped = true;
  jump(r);
}

}  // namespace GORT_ABI
}  // namespace gort

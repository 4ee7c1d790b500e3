// SPDX-License-Identifier: Apache-2.0
// The rule table: pc -> how to reach the caller, for the rules that need no interpretation (almost all).
// Layout:     four words; word 0 is pc xor'ed with a mix of the others, so a reader that meets a half-written
//             entry, or one of another pc, sees a wrong key and takes the slow path. No lock, no retry, any
//             number of writers.
// Staleness:  an entry outside the module that holds this code carries a tag of what the loader had mapped
//             there; after dlclose and dlopen of something else the tag differs. Without _dl_find_object tags
//             are 0: a stale rule then gives a wrong frame, never a bad load.
// Ordering:   all relaxed; the xor is the check.
// Rejected:   per-thread tables (memory times threads, and TLS is one pointer); caching whole traces by (pc,
//             sp).
#include "unwind/traceback.hpp"

#include <ucontext.h>

#include "base/atomic.hpp"
#include "base/bits.hpp"
#include "unwind/cfi.hpp"
#include "unwind/module.hpp"

namespace gort::rt {

namespace {

constexpr unsigned kRuleBits = 11;
constexpr unsigned kSavedCount = 6;
constexpr uint8 kSavedReg[kSavedCount] = {Regs::kRbx, Regs::kBp, 12, 13, 14, 15};
constexpr std::int16_t kNotSaved = INT16_MIN;

// Rule is one decoded entry. Offsets are in words from the CFA.
struct Rule {
  enum Flag : uint8 { kPlain = 0, kEnd = 1, kSlow = 2, kFramePointer = 4 };
  int32 cfaOff = 0;
  std::int16_t raOff = 0;
  uint8 cfaReg = 0;
  uint8 flag = kPlain;
  std::int16_t saved[kSavedCount] = {};
  uint32 tag = 0;
};
static_assert(sizeof(Rule) == 24);

struct Entry {
  Atomic<uint64> key;
  Atomic<uint64> w[3];
};

constinit Entry rules[1u << kRuleBits];
constinit Atomic<uintptr> ownLo, ownHi;  // the module that holds this code cannot be unloaded while it runs

// The constant keeps an empty entry from being pc 0's.
uint64 mix(const uint64* w) {
  return 0xd1b54a32d192ed03ULL ^ (w[0] * 0x9e3779b97f4a7c15ULL) ^ (w[1] * 0xbf58476d1ce4e5b9ULL) ^
         (w[2] * 0x94d049bb133111ebULL);
}

Entry& slotOf(uintptr pc) {
  const uint64 h = pc * 0x9e3779b97f4a7c15ULL;
  return rules[h >> (64 - kRuleBits)];
}

bool loadRule(uintptr pc, Rule& r) {
  const Entry& e = slotOf(pc);
  const uint64 w[3] = {e.w[0].load(Order::relaxed), e.w[1].load(Order::relaxed), e.w[2].load(Order::relaxed)};
  if ((e.key.load(Order::relaxed) ^ mix(w)) != pc) return false;
  __builtin_memcpy(&r, w, sizeof r);
  return true;
}

void storeRule(uintptr pc, const Rule& r) {
  uint64 w[3];
  __builtin_memcpy(w, &r, sizeof r);
  Entry& e = slotOf(pc);
  for (unsigned i = 0; i < 3; ++i) e.w[i].store(w[i], Order::relaxed);
  e.key.store(pc ^ mix(w), Order::relaxed);
}

bool inOwnModule(uintptr pc) { return pc >= ownLo.load(Order::relaxed) && pc < ownHi.load(Order::relaxed); }

uint32 tagOf(uintptr pc) { return inOwnModule(pc) ? 0 : static_cast<uint32>(moduleIdentity(pc)); }

void learnOwnModule() {
  if (ownHi.load(Order::relaxed) != 0) return;
  const Module* m = findModule(reinterpret_cast<uintptr>(&learnOwnModule));
  if (m == nullptr) return;
  // hi last: until then nothing counts as own.
  ownLo.store(m->map.lo, Order::relaxed);
  ownHi.store(m->map.hi, Order::release);
}

bool wordOffset(int64 bytes, std::int16_t& out) {
  if (bytes % 8 != 0 || bytes / 8 <= INT16_MIN || bytes / 8 > INT16_MAX) return false;
  out = static_cast<std::int16_t>(bytes / 8);
  return true;
}

// compress turns a row into a Rule; rows with expressions and other rarities become kSlow.
Rule compress(const FrameInfo& f) {
  Rule r;
  const FrameRow& row = f.row;
  r.flag = Rule::kSlow;
  if (row.kind[f.raReg] == CfiRule::kUndefined) {
    r.flag = Rule::kEnd;
    return r;
  }
  if (f.signalFrame || f.raReg != Regs::kPc || row.cfaIsExpression) return r;
  if (row.kind[Regs::kPc] != CfiRule::kOffset || !wordOffset(row.value[Regs::kPc], r.raOff)) return r;
  if (row.cfa < INT32_MIN || row.cfa > INT32_MAX || row.kind[Regs::kSp] != CfiRule::kSame) return r;
  for (unsigned i = 0; i < kSavedCount; ++i) {
    const unsigned reg = kSavedReg[i];
    r.saved[i] = kNotSaved;
    if (row.kind[reg] == CfiRule::kSame) continue;
    if (row.kind[reg] != CfiRule::kOffset || !wordOffset(row.value[reg], r.saved[i])) return r;
  }
  r.cfaReg = row.cfaReg;
  r.cfaOff = static_cast<int32>(row.cfa);
  r.flag = Rule::kPlain;
  return r;
}

// finish installs the caller's stack pointer and pc.
bool finish(Regs& regs, uintptr cfa, uintptr pc) {
  regs.sp = cfa;
  regs.pc = pc;
  regs.exact = false;
  regs.valid &= Regs::kCalleeSaved;
  return pc != 0;
}

// risesTo: a caller's frame lies above, so a damaged stack cannot loop. Only a frame interrupted after it
// popped its return address (pop %rcx; jmp *%rcx) has its caller's stack pointer already.
bool risesTo(const Regs& regs, uintptr cfa) {
  return (cfa > regs.sp || (regs.exact && cfa == regs.sp)) && (cfa & 7) == 0;
}

bool stepPlain(const Rule& rule, Regs& regs, const StackBounds& stack) {
  if ((regs.valid >> rule.cfaReg & 1) == 0) return false;
  const uintptr cfa = regs.at(rule.cfaReg) + static_cast<uintptr>(static_cast<int64>(rule.cfaOff));
  uintptr pc;
  if (!risesTo(regs, cfa)) return false;
  if (!loadStack(stack, cfa + static_cast<uintptr>(int64{rule.raOff} * 8), pc)) return false;
  for (unsigned i = 0; i < kSavedCount; ++i) {
    if (rule.saved[i] == kNotSaved) continue;
    uintptr v;
    if (!loadStack(stack, cfa + static_cast<uintptr>(int64{rule.saved[i]} * 8), v)) return false;
    regs.at(kSavedReg[i]) = v;
    regs.valid |= 1u << kSavedReg[i];
  }
  return finish(regs, cfa, pc);
}

// stepFramePointer follows bp, for code without unwind table. A pc in no module at all with exact state is a
// call through a bad pointer: its return address is on top of the stack.
bool stepFramePointer(Regs& regs, const StackBounds& stack, bool knownCode) {
  uintptr pc, bp;
  if (regs.exact && !knownCode && loadStack(stack, regs.sp, pc) && findModule(pc - 1) != nullptr) {
    return finish(regs, regs.sp + 8, pc);
  }
  if ((regs.valid >> Regs::kBp & 1) == 0 || regs.bp < regs.sp || (regs.bp & 7) != 0) return false;
  if (!loadStack(stack, regs.bp, bp) || !loadStack(stack, regs.bp + 8, pc)) return false;
  const uintptr cfa = regs.bp + 16;
  regs.bp = bp;
  return finish(regs, cfa, pc);
}

// registerByRule computes what a row says about one register.
bool registerByRule(const FrameInfo& f, const Regs& old, const StackBounds& stack, uintptr cfa, unsigned reg,
                    uintptr& out, bool& known) {
  const int64 v = f.row.value[reg];
  known = true;
  switch (f.row.kind[reg]) {
    case CfiRule::kSame:
      known = (old.valid >> reg & 1) != 0 && (f.signalFrame || (Regs::kCalleeSaved >> reg & 1) != 0);
      out = old.at(reg);
      return true;
    case CfiRule::kUndefined:
      known = false;
      return true;
    case CfiRule::kOffset:
      return loadStack(stack, cfa + static_cast<uintptr>(v), out);
    case CfiRule::kValOffset:
      out = cfa + static_cast<uintptr>(v);
      return true;
    case CfiRule::kRegister:
      if (v < 0 || v >= Regs::kCount) return false;
      known = (old.valid >> v & 1) != 0;
      out = old.at(static_cast<unsigned>(v));
      return true;
    default: {
      const Expression e{static_cast<uintptr>(v), f.section, &old, &stack};
      if (!evalExpression(e, &cfa, out)) return false;
      return f.row.kind[reg] == CfiRule::kValExpression || loadStack(stack, out, out);
    }
  }
}

bool stepSlow(const FrameInfo& f, Regs& regs, const StackBounds& stack) {
  uintptr cfa;
  if (f.row.cfaIsExpression) {
    const Expression e{static_cast<uintptr>(f.row.cfa), f.section, &regs, &stack};
    if (!evalExpression(e, nullptr, cfa)) return false;
  } else {
    if ((regs.valid >> f.row.cfaReg & 1) == 0) return false;
    cfa = regs.at(f.row.cfaReg) + static_cast<uintptr>(f.row.cfa);
  }
  const Regs old = regs;
  regs.valid = 0;
  for (unsigned i = 0; i < Regs::kCount; ++i) {
    uintptr v = 0;
    bool known;
    if (i == Regs::kSp && f.row.kind[i] == CfiRule::kSame) {
      v = cfa;
      known = true;
    } else if (!registerByRule(f, old, stack, cfa, i, v, known)) {
      return false;
    }
    regs.at(i) = v;
    if (known) regs.valid |= 1u << i;
  }
  if (f.raReg != Regs::kPc) regs.pc = regs.at(f.raReg);
  regs.exact = f.signalFrame;
  // A signal frame may lead to another stack; everything else rises.
  if (!f.signalFrame && !risesTo(old, regs.sp)) return false;
  return (regs.valid >> f.raReg & 1) != 0 && (f.signalFrame || regs.pc != 0);
}

// The code of a signal restorer without unwind table: mov $__NR_rt_sigreturn,%rax; syscall.
constexpr uint8 kSigreturnCode[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};

bool atSigreturn(const Module& m, uintptr pc) {
  if (!m.isExec(pc) || !m.isExec(pc + sizeof kSigreturnCode - 1)) return false;
  return __builtin_memcmp(reinterpret_cast<const void*>(pc), kSigreturnCode, sizeof kSigreturnCode) == 0;
}

// stepSigreturn: sp points at the ucontext that the kernel pushed (the handler's return popped the word below
// it).
bool stepSigreturn(Regs& regs, const StackBounds& stack) {
  ucontext_t uc;
  const auto n = offsetof(ucontext_t, uc_mcontext) + sizeof uc.uc_mcontext.gregs;
  for (std::size_t i = 0; i < n; i += 8) {
    uintptr v;
    if (!loadStack(stack, regs.sp + i, v)) return false;
    __builtin_memcpy(reinterpret_cast<char*>(&uc) + i, &v, sizeof v);
  }
  regs = regsFromUcontext(&uc);
  return true;
}

}  // namespace

__attribute__((noinline)) static bool stepUncached(Regs& regs, const StackBounds& stack, uintptr at) {
  learnOwnModule();
  Module* m = findModule(at);
  FrameInfo f;
  Rule rule;
  const bool found = m != nullptr && findFrame(*m, at, f);
  // A handler's return address is the restorer's first instruction: `at` is one byte before it, in somebody
  // else's entry unless the restorer's entry was made to start early.
  if (m != nullptr && !regs.exact && !(found && f.signalFrame) && atSigreturn(*m, regs.pc)) {
    return stepSigreturn(regs, stack);
  }
  if (found) {
    rule = compress(f);
    rule.tag = tagOf(at);
    storeRule(at, rule);
    if (rule.flag == Rule::kEnd) return false;
    return rule.flag == Rule::kSlow ? stepSlow(f, regs, stack) : stepPlain(rule, regs, stack);
  }
  return stepFramePointer(regs, stack, m != nullptr && m->isExec(at));
}

bool step(Regs& regs, const StackBounds& stack) {
  const uintptr at = regs.exact ? regs.pc : regs.pc - 1;
  Rule rule;
  if (GORT_LIKELY(loadRule(at, rule)) && (inOwnModule(at) || rule.tag == tagOf(at))) {
    if (GORT_LIKELY(rule.flag == Rule::kPlain)) return stepPlain(rule, regs, stack);
    if (rule.flag == Rule::kEnd) return false;
  }
  return stepUncached(regs, stack, at);
}

unsigned unwindStack(Regs start, const StackBounds& stack, uintptr* pcs, unsigned max, unsigned skip) {
  unsigned n = 0;
  while (n < max) {
    if (skip > 0) {
      --skip;
    } else {
      pcs[n++] = start.returnPc();
    }
    if (!step(start, stack)) break;
  }
  return n;
}

unsigned fpTraceback(uintptr pc, uintptr bp, const StackBounds& stack, uintptr* pcs, unsigned max) {
  unsigned n = 0;
  while (n < max && pc != 0) {
    pcs[n++] = pc;
    uintptr next;
    if ((bp & 7) != 0 || !loadStack(stack, bp, next) || !loadStack(stack, bp + 8, pc)) break;
    if (next <= bp && next != 0) {
      if (n < max && pc != 0) pcs[n++] = pc;
      break;
    }
    bp = next;
  }
  return n;
}

Regs regsFromUcontext(const void* ucontext) {
  const auto* g = static_cast<const ucontext_t*>(ucontext)->uc_mcontext.gregs;
  static constexpr uint8 kOrder[Regs::kCount] = {REG_RAX, REG_RDX, REG_RCX, REG_RBX, REG_RSI, REG_RDI,
                                                 REG_RBP, REG_RSP, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                                 REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
  Regs r;
  for (unsigned i = 0; i < Regs::kCount; ++i) r.at(i) = static_cast<uintptr>(g[kOrder[i]]);
  r.valid = Regs::kAll;
  r.exact = true;
  return r;
}

void forgetUnwindRules() {
  for (Entry& e : rules) {
    e.key.store(0, Order::relaxed);
    for (auto& w : e.w) w.store(0, Order::relaxed);
  }
}

}  // namespace gort::rt

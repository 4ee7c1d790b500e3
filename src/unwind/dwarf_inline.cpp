// SPDX-License-Identifier: Apache-2.0
// Inlined calls: walks the DIE tree of a unit once and keeps, for every function with code, the calls inlined into it.
// Invariants: (1) funcs are sorted by lo. (2) the inlined ranges of a function are contiguous and in DIE order, so a later
//             one that covers an address is at least as deep.
#include <new>

#include "unwind/dwarf.hpp"

namespace gort::rt {

namespace {

constexpr uint32 kNone = ~uint32{0};

// One range of a function with code.
struct FuncRange {
  uint32 lo, hi;
  uint32 func;
};

struct Func {
  uint64 die;                // where its name is
  uint32 inlines, ninlines;  // range in FuncTable::ranges
};

struct Inline {
  uint64 origin;             // the DIE of the inlined function, 0: not known
  uint32 parent;             // index of the inlined call around it, kNone: the function itself
  uint32 callFile, callLine;
};

struct InlineRange {
  uint32 lo, hi;
  uint32 call;
};

}  // namespace

struct FuncTable {
  AbbrevTable abbrevs;
  FuncRange* funcRanges = nullptr;
  Func* funcs = nullptr;
  Inline* calls = nullptr;
  InlineRange* ranges = nullptr;
  uint32 nfuncRanges = 0;
};

namespace {

// What of a DIE matters here.
struct Die {
  DieExtent extent;
  AttrValue name, linkageName;
  uint64 origin = 0;         // abstract origin or specification
  uint32 callFile = 0, callLine = 0;
};

void takeAttr(Die& d, uint16 at, const AttrValue& v) {
  switch (static_cast<At>(at)) {
    case At::lowPc: d.extent.low = v; break;
    case At::highPc: d.extent.high = v; break;
    case At::ranges: d.extent.ranges = v; break;
    case At::name: d.name = v; break;
    case At::linkageName: case At::mipsLinkageName: d.linkageName = v; break;
    case At::abstractOrigin: case At::specification:
      if (v.kind == AttrValue::kRef) d.origin = v.u;
      break;
    case At::callFile: d.callFile = static_cast<uint32>(v.u); break;
    case At::callLine: d.callLine = static_cast<uint32>(v.u); break;
    default: break;
  }
}

bool readDie(const SymFile& f, const Unit& u, const AbbrevTable& t, const Abbrev& a, Cursor& c, Die& d) {
  for (uint32 i = 0; i < a.nspecs; ++i) {
    const AttrSpec& s = t.specs[a.specs + i];
    AttrValue v;
    if (!readAttr(f, u, s, c, v)) return false;
    takeAttr(d, s.name, v);
  }
  return !c.bad;
}

bool skipDie(const SymFile& f, const Unit& u, const AbbrevTable& t, const Abbrev& a, Cursor& c) {
  if (a.size >= 0) {
    c.skip(static_cast<uint64>(a.size));
    return !c.bad;
  }
  for (uint32 i = 0; i < a.nspecs; ++i) {
    AttrValue v;
    if (!readAttr(f, u, t.specs[a.specs + i], c, v)) return false;
  }
  return !c.bad;
}

// Walker builds a FuncTable. scopes_ is the path from the root: the function and inlined call a DIE is in.
class Walker {
 public:
  Walker(const SymFile& f, const Unit& u, FuncTable& t) : f_(f), u_(u), t_(t) {}
  void walk();
  void finish();

 private:
  struct Scope {
    uint32 func, call;
  };
  static void addFuncRange(void* self, uint32 lo, uint32 hi) {
    auto* w = static_cast<Walker*>(self);
    w->funcRanges_.push(FuncRange{lo, hi, static_cast<uint32>(w->funcs_.size())});
  }
  static void addInlineRange(void* self, uint32 lo, uint32 hi) {
    auto* w = static_cast<Walker*>(self);
    w->pending_.push(Pending{{lo, hi, static_cast<uint32>(w->calls_.size())}, w->pendingFunc_});
  }
  Scope function(uint64 at, const Die& d);
  Scope inlined(const Die& d, Scope in);

  struct Pending {
    InlineRange range;
    uint32 func;
  };
  const SymFile& f_;
  const Unit& u_;
  FuncTable& t_;
  MapVector<Scope> scopes_;
  MapVector<FuncRange> funcRanges_;
  MapVector<Func> funcs_;
  MapVector<Inline> calls_;
  MapVector<Pending> pending_;
  uint32 pendingFunc_ = kNone;
};

Walker::Scope Walker::function(uint64 at, const Die& d) {
  const std::size_t before = funcRanges_.size();
  forRanges(f_, u_, d.extent, addFuncRange, this);
  if (funcRanges_.size() == before) return {kNone, kNone};  // a declaration or an abstract instance
  const auto i = static_cast<uint32>(funcs_.size());
  return funcs_.push(Func{at, 0, 0}) ? Scope{i, kNone} : Scope{kNone, kNone};
}

Walker::Scope Walker::inlined(const Die& d, Scope in) {
  if (in.func == kNone) return in;  // inside an abstract instance
  pendingFunc_ = in.func;
  forRanges(f_, u_, d.extent, addInlineRange, this);
  const auto i = static_cast<uint32>(calls_.size());
  return calls_.push(Inline{d.origin, in.call, d.callFile, d.callLine}) ? Scope{in.func, i} : in;
}

void Walker::walk() {
  Cursor c = Cursor::at({f_.dwarf.info.p, f_.dwarf.info.p + u_.end}, u_.dies);
  Scope here{kNone, kNone};
  while (c.more()) {
    const auto at = static_cast<uint64>(c.p - f_.dwarf.info.p);
    const uint64 code = c.uleb();
    if (code == 0) {
      if (scopes_.empty()) return;
      here = scopes_.back();
      scopes_.pop();
      if (scopes_.empty()) return;
      continue;
    }
    const Abbrev* a = t_.abbrevs.find(code);
    if (a == nullptr) return;
    Scope inside = here;
    const auto tag = static_cast<Tag>(a->tag);
    if (tag == Tag::subprogram || tag == Tag::inlinedSubroutine) {
      Die d;
      if (!readDie(f_, u_, t_.abbrevs, *a, c, d)) return;
      inside = tag == Tag::subprogram ? function(at, d) : inlined(d, here);
    } else if (!skipDie(f_, u_, t_.abbrevs, *a, c)) {
      return;
    }
    if (!a->children) continue;
    if (!scopes_.push(here)) return;
    here = inside;
  }
}

// finish sorts and hands the arrays over. Ranges of a call are grouped by function, stable, so DIE order stays.
void Walker::finish() {
  if (!funcRanges_.sort([](const FuncRange& r) { return r.lo; })) return;
  if (!pending_.sort([](const Pending& p) { return p.func; })) return;
  auto* ranges = mapArray<InlineRange>(pending_.size());
  if (ranges == nullptr) return;
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    ranges[i] = pending_[i].range;
    Func& fn = funcs_[pending_[i].func];
    if (fn.ninlines++ == 0) fn.inlines = static_cast<uint32>(i);
  }
  std::size_t cap;
  t_.nfuncRanges = static_cast<uint32>(funcRanges_.size());
  t_.funcRanges = funcRanges_.give(cap);
  t_.funcs = funcs_.give(cap);
  t_.calls = calls_.give(cap);
  t_.ranges = ranges;
}

FuncTable* funcsOf(const SymFile& f, Unit& u) {
  FuncTable* t = u.funcs.load(Order::acquire);
  if (t != nullptr) return t;
  void* raw = mapAlloc(sizeof(FuncTable));
  if (raw == nullptr) return nullptr;
  t = new (raw) FuncTable;
  if (u.end != 0 && readAbbrevs(f.dwarf.abbrev, u, t->abbrevs, false)) {
    Walker w(f, u, *t);
    w.walk();
    w.finish();
  }
  return publishTable(u.funcs, t, [](FuncTable* mine) {
    mine->abbrevs.drop();  // a lost race: the arrays stay behind, once
    unmapArray(mine, 1);
  });
}

// nameAt follows origin and specification links to the best name of a function DIE.
const char* nameAt(SymFile& f, uint64 die) {
  const char* plain = nullptr;
  for (unsigned hops = 0; die != 0 && hops < 8; ++hops) {
    const UnitTable* units = unitsOf(f);
    Unit* u = units == nullptr ? nullptr : unitAt(*units, die);
    const FuncTable* t = u == nullptr ? nullptr : funcsOf(f, *u);
    if (t == nullptr) break;
    Cursor c = Cursor::at({f.dwarf.info.p, f.dwarf.info.p + u->end}, die);
    const Abbrev* a = t->abbrevs.find(c.uleb());
    Die d;
    if (c.bad || a == nullptr || !readDie(f, *u, t->abbrevs, *a, c, d)) break;
    const char* s = resolveString(f, *u, d.linkageName);
    if (s != nullptr) return s;
    if (plain == nullptr) plain = resolveString(f, *u, d.name);
    die = d.origin;
  }
  return plain;
}

}  // namespace

unsigned inlinesAt(SymFile& f, Unit& u, uint32 off, InlineStep* steps, unsigned max, const char*& outer) {
  const FuncTable* t = funcsOf(f, u);
  if (t == nullptr) return 0;
  const Func* fn = nullptr;
  std::size_t i = upperBound(t->funcRanges, t->nfuncRanges, off, [](const FuncRange& r) { return r.lo; });
  for (unsigned tries = 0; i > 0 && tries < 8 && fn == nullptr; ++tries) {
    const FuncRange& r = t->funcRanges[--i];
    if (off < r.hi) fn = &t->funcs[r.func];
  }
  if (fn == nullptr) return 0;
  outer = nameAt(f, fn->die);
  uint32 call = kNone;
  for (uint32 k = 0; k < fn->ninlines; ++k) {
    const InlineRange& r = t->ranges[fn->inlines + k];
    if (off >= r.lo && off < r.hi) call = r.call;
  }
  unsigned n = 0;
  for (; call != kNone && n < max; ++n) {
    const Inline& c = t->calls[call];
    steps[n] = InlineStep{nameAt(f, c.origin), fileName(f, u, c.callFile), c.callLine};
    call = c.parent;
  }
  return n;
}

}  // namespace gort::rt

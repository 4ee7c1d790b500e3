// SPDX-License-Identifier: Apache-2.0
// Inlined calls: walks the DIE tree of a unit once and keeps, for every function with code, the calls inlined
// into it.
// Invariants: (1) funcRanges are sorted by lo.
//             (2) the inlined ranges of a function are contiguous and in DIE order, so of two that cover an
//             address the later one is at least as deep.
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
  uint64 origin;     // the DIE of the inlined function, 0: not known
  const char* name;  // its name, nullptr: its DIE is in another unit
  uint32 parent;     // index of the inlined call around it, kNone: the function itself
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
  uint64 origin = 0;  // abstract origin or specification
  uint32 callFile = 0, callLine = 0;
};

void takeAttr(Die& d, uint16 at, const AttrValue& v) {
  switch (static_cast<At>(at)) {
    case At::lowPc:
      d.extent.low = v;
      break;
    case At::highPc:
      d.extent.high = v;
      break;
    case At::ranges:
      d.extent.ranges = v;
      break;
    case At::name:
      d.name = v;
      break;
    case At::linkageName:
    case At::mipsLinkageName:
      d.linkageName = v;
      break;
    case At::abstractOrigin:
    case At::specification:
      if (v.kind == AttrValue::kRef) d.origin = v.u;
      break;
    case At::callFile:
      d.callFile = static_cast<uint32>(v.u);
      break;
    case At::callLine:
      d.callLine = static_cast<uint32>(v.u);
      break;
    default:
      break;
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

bool isScope(Tag t) {
  return t == Tag::subprogram || t == Tag::namespaceTag || t == Tag::classType || t == Tag::structureType ||
         t == Tag::unionType;
}

// ScopeTable remembers namespaces, classes and functions of a unit, so that a function without linkage name
// (a lambda, a local or static function) can be given its scopes.
class ScopeTable {
 public:
  struct Entry {
    uint64 die, origin;
    const char *name, *linkageName;
    uint32 parent;
    Tag tag;
  };
  // add is called in DIE order.
  uint32 add(const Entry& e) { return entries_.push(e) ? static_cast<uint32>(entries_.size() - 1) : kNone; }
  // nameOf gives the linkage name, or writes ns::Class::function to text and gives its offset there plus one.
  const char* nameOf(uint64 die, MapVector<char>& text, std::size_t& at);

 private:
  uint32 find(uint64 die);
  uint32 declarationOf(uint32 i);
  void component(const Entry& e, bool last, MapVector<char>& text);
  MapVector<Entry> entries_;
};

uint32 ScopeTable::find(uint64 die) {
  std::size_t lo = 0, hi = entries_.size();
  while (lo < hi) {
    const std::size_t mid = lo + (hi - lo) / 2;
    if (entries_[mid].die < die) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo < entries_.size() && entries_[lo].die == die ? static_cast<uint32>(lo) : kNone;
}

// declarationOf follows a definition to the DIE that stands in its scope.
uint32 ScopeTable::declarationOf(uint32 i) {
  for (unsigned hops = 0; hops < 8 && entries_[i].origin != 0; ++hops) {
    const uint32 next = find(entries_[i].origin);
    if (next == kNone) break;
    i = next;
  }
  return i;
}

bool isLambdaClass(const char* name) { return name == nullptr || name[0] == '<'; }

void ScopeTable::component(const Entry& e, bool last, MapVector<char>& text) {
  const char* s = e.name;
  if (e.tag == Tag::namespaceTag && s == nullptr)
    s = "(anonymous namespace)";
  else if (e.tag != Tag::subprogram && isLambdaClass(s))
    s = "{lambda}";
  if (s == nullptr) s = "?";
  std::size_t n = 0, open = 0;
  for (; s[n] != 0; ++n) {
    if (s[n] == '<' && open == 0) open = n;
  }
  const bool cut = n > 80 && open > 0;
  for (std::size_t i = 0; i < (cut ? open : n); ++i) text.push(s[i]);
  for (const char* t = cut ? "<...>" : ""; *t != 0; ++t) text.push(*t);
  for (const char* t = last ? "" : "::"; *t != 0; ++t) text.push(*t);
}

const char* ScopeTable::nameOf(uint64 die, MapVector<char>& text, std::size_t& at) {
  constexpr unsigned kMaxPath = 24;
  at = 0;
  uint32 i = find(die);
  for (unsigned hops = 0; i != kNone && hops < 8; ++hops) {
    if (entries_[i].linkageName != nullptr) return entries_[i].linkageName;
    if (entries_[i].origin == 0) break;
    i = find(entries_[i].origin);
  }
  if (i == kNone || entries_[i].name == nullptr) return nullptr;
  uint32 path[kMaxPath];
  unsigned n = 0;
  for (uint32 k = i; k != kNone && n < kMaxPath; k = entries_[k].parent) {
    k = declarationOf(k);
    const bool callOperator = n == 0 && entries_[k].parent != kNone && entries_[k].name != nullptr &&
                              sameText(entries_[k].name, "operator()");
    const uint32 cls = callOperator ? declarationOf(entries_[k].parent) : kNone;
    // The call operator of a closure is the lambda.
    if (cls != kNone && entries_[cls].tag != Tag::subprogram && isLambdaClass(entries_[cls].name)) k = cls;
    path[n++] = k;
  }
  at = text.size() + 1;
  while (n > 0) {
    --n;
    component(entries_[path[n]], n == 0, text);
  }
  text.push(0);
  return nullptr;
}

// Walker builds a FuncTable. scopes_ is the path from the root: the function and inlined call a DIE is in.
class Walker {
 public:
  Walker(const SymFile& f, const Unit& u, FuncTable& t) : f_(f), u_(u), t_(t) {}
  void walk();
  void finish();

 private:
  struct Scope {
    uint32 func, call, named;  // indexes, kNone: not in one
  };
  static void addFuncRange(void* self, uint32 lo, uint32 hi) {
    auto* w = static_cast<Walker*>(self);
    w->funcRanges_.push(FuncRange{lo, hi, static_cast<uint32>(w->funcs_.size())});
  }
  static void addInlineRange(void* self, uint32 lo, uint32 hi) {
    auto* w = static_cast<Walker*>(self);
    w->pending_.push(Pending{{lo, hi, static_cast<uint32>(w->calls_.size())}, w->pendingFunc_});
  }
  Scope function(uint64 at, const Die& d, Scope in);
  Scope inlined(const Die& d, Scope in);
  Scope named(uint64 at, Tag tag, const Die& d, Scope in);
  bool nameCalls();

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
  ScopeTable names_;
};

Walker::Scope Walker::named(uint64 at, Tag tag, const Die& d, Scope in) {
  in.named = names_.add(
      {at, d.origin, resolveString(f_, u_, d.name), resolveString(f_, u_, d.linkageName), in.named, tag});
  return in;
}

Walker::Scope Walker::function(uint64 at, const Die& d, Scope in) {
  const std::size_t before = funcRanges_.size();
  forRanges(f_, u_, d.extent, addFuncRange, this);
  in.func = in.call = kNone;
  if (funcRanges_.size() == before) return in;  // a declaration or an abstract instance
  const auto i = static_cast<uint32>(funcs_.size());
  if (funcs_.push(Func{at, 0, 0})) in.func = i;
  return in;
}

Walker::Scope Walker::inlined(const Die& d, Scope in) {
  if (in.func == kNone) return in;  // inside an abstract instance
  pendingFunc_ = in.func;
  forRanges(f_, u_, d.extent, addInlineRange, this);
  const auto i = static_cast<uint32>(calls_.size());
  if (calls_.push(Inline{d.origin, nullptr, in.call, d.callFile, d.callLine})) in.call = i;
  return in;
}

void Walker::walk() {
  Cursor c = Cursor::at({f_.dwarf.info.p, f_.dwarf.info.p + u_.end}, u_.dies);
  Scope here{kNone, kNone, kNone};
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
    if (isScope(tag) || tag == Tag::inlinedSubroutine) {
      Die d;
      if (!readDie(f_, u_, t_.abbrevs, *a, c, d)) return;
      if (isScope(tag)) inside = named(at, tag, d, here);
      if (tag == Tag::subprogram) inside = function(at, d, inside);
      if (tag == Tag::inlinedSubroutine) inside = inlined(d, here);
    } else if (!skipDie(f_, u_, t_.abbrevs, *a, c)) {
      return;
    }
    if (!a->children) continue;
    if (!scopes_.push(here)) return;
    here = inside;
  }
}

// nameCalls gives every inlined call the name of its function. Texts are composed first and pointed at when
// their block has its final place.
bool Walker::nameCalls() {
  MapVector<char> text;
  struct Composed {
    uint64 origin;
    std::size_t at;
  };
  MapVector<Composed> composed;
  auto keyOf = [](const Composed& x) { return static_cast<uint32>(x.origin); };
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    if (calls_[i].origin != 0) composed.push({calls_[i].origin, i});
  }
  if (!composed.sort(keyOf)) return false;
  // The calls of one function are neighbours now: its name is composed once. `at` changes from call to text
  // offset.
  MapVector<std::size_t> offsets;
  for (std::size_t i = 0; i < composed.size(); ++i) {
    Inline& call = calls_[composed[i].at];
    std::size_t off = 0;
    if (i > 0 && composed[i].origin == composed[i - 1].origin) {
      call.name = calls_[composed[i - 1].at].name;
      off = offsets.back();
    } else {
      call.name = names_.nameOf(call.origin, text, off);
    }
    if (!offsets.push(off)) return false;
  }
  std::size_t cap;
  const char* block = text.empty() ? nullptr : text.give(cap);
  for (std::size_t i = 0; i < composed.size(); ++i) {
    if (offsets[i] != 0) calls_[composed[i].at].name = block + offsets[i] - 1;
  }
  return true;
}

// finish sorts and hands the arrays over. Ranges of a call are grouped by function, stable, so DIE order
// stays.
void Walker::finish() {
  if (!nameCalls()) return;
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

static const Func* funcAt(const FuncTable& t, uint32 off) {
  std::size_t i = upperBound(t.funcRanges, t.nfuncRanges, off, [](const FuncRange& r) { return r.lo; });
  for (unsigned tries = 0; i > 0 && tries < 8; ++tries) {
    const FuncRange& r = t.funcRanges[--i];
    if (off < r.hi) return &t.funcs[r.func];
  }
  return nullptr;
}

const char* functionNameAt(SymFile& f, Unit& u, uint32 off) {
  const FuncTable* t = funcsOf(f, u);
  const Func* fn = t == nullptr ? nullptr : funcAt(*t, off);
  return fn == nullptr ? nullptr : nameAt(f, fn->die);
}

unsigned inlinesAt(SymFile& f, Unit& u, uint32 off, InlineStep* steps, unsigned max) {
  const FuncTable* t = funcsOf(f, u);
  const Func* fn = t == nullptr ? nullptr : funcAt(*t, off);
  if (fn == nullptr) return 0;
  uint32 call = kNone;
  for (uint32 k = 0; k < fn->ninlines; ++k) {
    const InlineRange& r = t->ranges[fn->inlines + k];
    if (off >= r.lo && off < r.hi) call = r.call;
  }
  unsigned n = 0;
  for (; call != kNone && n < max; ++n) {
    const Inline& c = t->calls[call];
    steps[n] =
        InlineStep{c.name != nullptr ? c.name : nameAt(f, c.origin), fileName(f, u, c.callFile), c.callLine};
    call = c.parent;
  }
  return n;
}

}  // namespace gort::rt

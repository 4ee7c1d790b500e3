// SPDX-License-Identifier: Apache-2.0
// Units, abbreviations and attribute forms.
// Rejected:   .debug_aranges as the index of addresses: Clang does not write it, so a mixed program has it
//             for half of its units. The root DIEs say the same and cost one page touch per unit.
#include <new>

#include "unwind/dwarf.hpp"

namespace gort::rt {

namespace {

enum : uint16 {
  kFormAddr = 0x01,
  kFormBlock2 = 0x03,
  kFormBlock4 = 0x04,
  kFormData2 = 0x05,
  kFormData4 = 0x06,
  kFormData8 = 0x07,
  kFormString = 0x08,
  kFormBlock = 0x09,
  kFormBlock1 = 0x0a,
  kFormData1 = 0x0b,
  kFormFlag = 0x0c,
  kFormSdata = 0x0d,
  kFormStrp = 0x0e,
  kFormUdata = 0x0f,
  kFormRefAddr = 0x10,
  kFormRef1 = 0x11,
  kFormRef2 = 0x12,
  kFormRef4 = 0x13,
  kFormRef8 = 0x14,
  kFormRefUdata = 0x15,
  kFormIndirect = 0x16,
  kFormSecOffset = 0x17,
  kFormExprloc = 0x18,
  kFormFlagPresent = 0x19,
  kFormStrx = 0x1a,
  kFormAddrx = 0x1b,
  kFormRefSup4 = 0x1c,
  kFormStrpSup = 0x1d,
  kFormData16 = 0x1e,
  kFormLineStrp = 0x1f,
  kFormRefSig8 = 0x20,
  kFormImplicitConst = 0x21,
  kFormLoclistx = 0x22,
  kFormRnglistx = 0x23,
  kFormRefSup8 = 0x24,
  kFormStrx1 = 0x25,
  kFormStrx2 = 0x26,
  kFormStrx3 = 0x27,
  kFormStrx4 = 0x28,
  kFormAddrx1 = 0x29,
  kFormAddrx2 = 0x2a,
  kFormAddrx3 = 0x2b,
  kFormAddrx4 = 0x2c,
  kFormGnuAddrIndex = 0x1f01,
  kFormGnuStrIndex = 0x1f02,
  kFormGnuRefAlt = 0x1f20,
  kFormGnuStrpAlt = 0x1f21,
};

// fixedSize is the size of a form that has one, -1 otherwise.
int32 fixedSize(uint16 form, const Unit& u) {
  const int32 off = u.is64 ? 8 : 4;
  switch (form) {
    case kFormFlagPresent:
    case kFormImplicitConst:
      return 0;
    case kFormData1:
    case kFormFlag:
    case kFormRef1:
    case kFormStrx1:
    case kFormAddrx1:
      return 1;
    case kFormData2:
    case kFormRef2:
    case kFormStrx2:
    case kFormAddrx2:
      return 2;
    case kFormStrx3:
    case kFormAddrx3:
      return 3;
    case kFormData4:
    case kFormRef4:
    case kFormStrx4:
    case kFormAddrx4:
    case kFormRefSup4:
      return 4;
    case kFormData8:
    case kFormRef8:
    case kFormRefSig8:
    case kFormRefSup8:
      return 8;
    case kFormData16:
      return 16;
    case kFormAddr:
      return u.addrSize;
    case kFormRefAddr:
      return u.version <= 2 ? u.addrSize : off;
    case kFormStrp:
    case kFormSecOffset:
    case kFormLineStrp:
    case kFormStrpSup:
    case kFormGnuRefAlt:
    case kFormGnuStrpAlt:
      return off;
    default:
      return -1;
  }
}

bool setConst(AttrValue& v, uint64 x) {
  v.kind = AttrValue::kConst;
  v.u = x;
  return true;
}

bool setIndex(AttrValue& v, AttrValue::Kind k, uint64 x) {
  v.kind = k;
  v.u = x;
  return true;
}

bool setString(AttrValue& v, const char* s) {
  v.kind = s != nullptr ? AttrValue::kString : AttrValue::kNone;
  v.s = s;
  return true;
}

bool readStringForm(const SymFile& f, const Unit& u, uint16 form, Cursor& c, AttrValue& v) {
  switch (form) {
    case kFormString:
      return setString(v, c.cstr());
    case kFormStrp:
      return setString(v, cstrAt(f.dwarf.str, c.offset(u.is64)));
    case kFormLineStrp:
      return setString(v, cstrAt(f.dwarf.lineStr, c.offset(u.is64)));
    case kFormStrx:
    case kFormGnuStrIndex:
      return setIndex(v, AttrValue::kStrIndex, c.uleb());
    case kFormStrx1:
    case kFormStrx2:
    case kFormStrx3:
    case kFormStrx4:
      return setIndex(v, AttrValue::kStrIndex, c.fixed(form - kFormStrx1 + 1u));
    default:
      return false;
  }
}

bool readVariableForm(uint16 form, Cursor& c, AttrValue& v) {
  switch (form) {
    case kFormSdata:
      return setConst(v, static_cast<uint64>(c.sleb()));
    case kFormUdata:
      return setConst(v, c.uleb());
    case kFormBlock:
    case kFormExprloc:
      c.skip(c.uleb());
      return true;
    case kFormBlock1:
      c.skip(c.u8());
      return true;
    case kFormBlock2:
      c.skip(c.u16());
      return true;
    case kFormBlock4:
      c.skip(c.u32());
      return true;
    case kFormAddrx:
    case kFormGnuAddrIndex:
      return setIndex(v, AttrValue::kAddrIndex, c.uleb());
    case kFormAddrx1:
    case kFormAddrx2:
    case kFormAddrx3:
    case kFormAddrx4:
      return setIndex(v, AttrValue::kAddrIndex, c.fixed(form - kFormAddrx1 + 1u));
    case kFormRnglistx:
      return setIndex(v, AttrValue::kListIndex, c.uleb());
    case kFormLoclistx:
      c.uleb();
      return true;
    default:
      return false;
  }
}

}  // namespace

bool readAttr(const SymFile& f, const Unit& u, const AttrSpec& spec, Cursor& c, AttrValue& v) {
  v = AttrValue{};
  uint16 form = spec.form;
  for (unsigned hops = 0; form == kFormIndirect; ++hops) {
    if (hops == 4) return false;
    form = static_cast<uint16>(c.uleb());
  }
  switch (form) {
    case kFormImplicitConst:
      return setConst(v, static_cast<uint64>(spec.implicit));
    case kFormFlagPresent:
      return setConst(v, 1);
    case kFormData1:
    case kFormFlag:
      return setConst(v, c.u8());
    case kFormData2:
      return setConst(v, c.u16());
    case kFormData4:
      return setConst(v, c.u32());
    case kFormData8:
      return setConst(v, c.u64());
    case kFormAddr:
      return setIndex(v, AttrValue::kAddr, c.fixed(u.addrSize));
    case kFormSecOffset:
      return setIndex(v, AttrValue::kSecOffset, c.offset(u.is64));
    case kFormRef1:
      return setIndex(v, AttrValue::kRef, u.begin + c.u8());
    case kFormRef2:
      return setIndex(v, AttrValue::kRef, u.begin + c.u16());
    case kFormRef4:
      return setIndex(v, AttrValue::kRef, u.begin + c.u32());
    case kFormRef8:
      return setIndex(v, AttrValue::kRef, u.begin + c.u64());
    case kFormRefUdata:
      return setIndex(v, AttrValue::kRef, u.begin + c.uleb());
    case kFormRefAddr:
      return setIndex(v, AttrValue::kRef, u.version <= 2 ? c.fixed(u.addrSize) : c.offset(u.is64));
    default:
      break;
  }
  if (readStringForm(f, u, form, c, v) || readVariableForm(form, c, v)) return true;
  const int32 n = fixedSize(form, u);
  if (n < 0) return false;
  c.skip(static_cast<uint64>(n));
  return true;
}

bool resolveAddr(const SymFile& f, const Unit& u, const AttrValue& v, uint64& addr) {
  if (v.kind == AttrValue::kAddr) {
    addr = v.u;
    return true;
  }
  if (v.kind != AttrValue::kAddrIndex || v.u > f.dwarf.addr.size()) return false;
  Cursor c = Cursor::at(f.dwarf.addr, u.addrBase + v.u * u.addrSize);
  addr = c.fixed(u.addrSize);
  return !c.bad;
}

const char* resolveString(const SymFile& f, const Unit& u, const AttrValue& v) {
  if (v.kind == AttrValue::kString) return v.s;
  if (v.kind != AttrValue::kStrIndex || v.u > f.dwarf.strOffsets.size()) return nullptr;
  Cursor c = Cursor::at(f.dwarf.strOffsets, u.strOffsetsBase + v.u * (u.is64 ? 8 : 4));
  const uint64 off = c.offset(u.is64);
  return c.bad ? nullptr : cstrAt(f.dwarf.str, off);
}

void AbbrevTable::drop() {
  if (abbrevs != nullptr) unmapArray(abbrevs, abbrevCap);
  if (specs != nullptr) unmapArray(specs, specCap);
  *this = AbbrevTable{};
}

bool readAbbrevs(ByteSpan abbrev, const Unit& u, AbbrevTable& t, bool onlyFirst) {
  MapVector<Abbrev> abbrevs;
  MapVector<AttrSpec> specs;
  Cursor c = Cursor::at(abbrev, u.abbrevs);
  t.dense = true;
  while (c.more()) {
    Abbrev a;
    a.code = c.uleb();
    if (a.code == 0) break;
    a.tag = static_cast<uint16>(c.uleb());
    a.children = c.u8() != 0;
    a.specs = static_cast<uint32>(specs.size());
    a.size = 0;
    for (;;) {
      AttrSpec s{static_cast<uint16>(c.uleb()), static_cast<uint16>(c.uleb()), 0};
      if (s.form == kFormImplicitConst) s.implicit = c.sleb();
      if (c.bad || (s.name == 0 && s.form == 0)) break;
      const int32 n = fixedSize(s.form, u);
      a.size = n < 0 || a.size < 0 ? -1 : a.size + n;
      if (!specs.push(s)) return false;
    }
    if (c.bad) break;
    a.nspecs = static_cast<uint32>(specs.size()) - a.specs;
    if (!abbrevs.push(a)) return false;
    t.dense = t.dense && a.code == abbrevs.size();
    if (onlyFirst) break;
  }
  t.n = static_cast<uint32>(abbrevs.size());
  t.abbrevs = abbrevs.give(t.abbrevCap);
  t.specs = specs.give(t.specCap);
  return t.n > 0;
}

namespace {

constexpr unsigned kMaxRanges = 1u << 16;  // of one list: damaged units could otherwise share an endless one

struct RangeSink {
  const SymFile& f;
  RangeFn fn;
  void* arg;
  // add reports [lo, hi) of link-time addresses if it is code that the linker kept.
  void add(uint64 lo, uint64 hi) const {
    uint32 off;
    if (hi <= lo || !f.offsetOf(lo, off)) return;
    const uint64 n = hi - lo;
    fn(arg, off, n > UINT32_MAX - off ? UINT32_MAX : off + static_cast<uint32>(n));
  }
};

// Ranges of DWARF 2-4: pairs relative to a base.
void rangesV4(const SymFile& f, const Unit& u, uint64 off, const RangeSink& sink) {
  Cursor c = Cursor::at(f.dwarf.ranges, off);
  uint64 base = u.lowPc;
  const uint64 top = u.addrSize == 8 ? ~uint64{0} : 0xffffffff;
  for (unsigned n = 0; c.more() && n < kMaxRanges; ++n) {
    const uint64 a = c.fixed(u.addrSize), b = c.fixed(u.addrSize);
    if (c.bad || (a == 0 && b == 0)) return;
    if (a == top) {
      base = b;
    } else {
      sink.add(base + a, base + b);
    }
  }
}

uint64 indexedAddr(const SymFile& f, const Unit& u, Cursor& c) {
  AttrValue v;
  v.kind = AttrValue::kAddrIndex;
  v.u = c.uleb();
  uint64 a = 0;
  if (!resolveAddr(f, u, v, a)) c.fail();
  return a;
}

// Ranges of DWARF 5: tagged entries.
void rangesV5(const SymFile& f, const Unit& u, uint64 off, const RangeSink& sink) {
  Cursor c = Cursor::at(f.dwarf.rnglists, off);
  uint64 base = u.lowPc;
  for (unsigned n = 0; c.more() && n < kMaxRanges; ++n) {
    uint64 lo = 0, hi = 0;
    switch (c.u8()) {
      case 1:
        base = indexedAddr(f, u, c);
        break;
      case 2:
        lo = indexedAddr(f, u, c);
        hi = indexedAddr(f, u, c);
        break;
      case 3:
        lo = indexedAddr(f, u, c);
        hi = lo + c.uleb();
        break;
      case 4:
        lo = base + c.uleb();
        hi = base + c.uleb();
        break;
      case 5:
        base = c.fixed(u.addrSize);
        break;
      case 6:
        lo = c.fixed(u.addrSize);
        hi = c.fixed(u.addrSize);
        break;
      case 7:
        lo = c.fixed(u.addrSize);
        hi = lo + c.uleb();
        break;
      default:
        return;
    }
    if (c.bad) return;
    sink.add(lo, hi);
  }
}

}  // namespace

void forRanges(const SymFile& f, const Unit& u, const DieExtent& e, RangeFn fn, void* arg) {
  const RangeSink sink{f, fn, arg};
  if (e.ranges.kind != AttrValue::kNone) {
    uint64 off = e.ranges.u;
    if (e.ranges.kind == AttrValue::kListIndex) {
      if (e.ranges.u > f.dwarf.rnglists.size()) return;
      Cursor c = Cursor::at(f.dwarf.rnglists, u.rnglistsBase + e.ranges.u * (u.is64 ? 8 : 4));
      off = u.rnglistsBase + c.offset(u.is64);
      if (c.bad) return;
    }
    return u.version >= 5 ? rangesV5(f, u, off, sink) : rangesV4(f, u, off, sink);
  }
  uint64 lo, hi;
  if (!resolveAddr(f, u, e.low, lo)) return;
  if (e.high.kind == AttrValue::kConst) {
    hi = lo + e.high.u;
  } else if (!resolveAddr(f, u, e.high, hi)) {
    return;
  }
  sink.add(lo, hi);
}

namespace {

// readUnitHeader reads the header at `off` and moves off behind the unit. False: end or damage.
// `kept` tells whether the unit can describe code (type units do not).
bool readUnitHeader(ByteSpan info, uint64& off, Unit& u, bool& kept) {
  Cursor c = Cursor::at(info, off);
  u.begin = off;
  uint64 len = c.u32();
  u.is64 = len == 0xffffffff;
  if (u.is64) len = c.u64();
  if (c.bad || len == 0 || len > c.left()) return false;
  const uint8* body = c.p;
  u.end = static_cast<uint64>(body - info.p) + len;
  off = u.end;
  Cursor h = c.cut(len);
  u.version = h.u16();
  uint8 type = 1;
  if (u.version >= 5) {
    type = h.u8();
    u.addrSize = h.u8();
    u.abbrevs = h.offset(u.is64);
    if (type == 4 || type == 5) h.skip(8);  // skeleton, split: dwo id
  } else {
    u.abbrevs = h.offset(u.is64);
    u.addrSize = h.u8();
  }
  u.dies = static_cast<uint64>(h.p - info.p);
  kept = !h.bad && u.version >= 2 && u.version <= 5 && (type == 1 || type == 3 || type == 4) &&
         (u.addrSize == 8 || u.addrSize == 4);
  return true;
}

struct RootValues {
  DieExtent extent;
  AttrValue compDir;
};

void takeRootAttr(Unit& u, RootValues& r, uint16 name, const AttrValue& v) {
  switch (static_cast<At>(name)) {
    case At::stmtList:
      u.stmtList = v.u;
      break;
    case At::lowPc:
      r.extent.low = v;
      break;
    case At::highPc:
      r.extent.high = v;
      break;
    case At::ranges:
      r.extent.ranges = v;
      break;
    case At::compDir:
      r.compDir = v;
      break;
    case At::strOffsetsBase:
      u.strOffsetsBase = v.u;
      break;
    case At::addrBase:
      u.addrBase = v.u;
      break;
    case At::rnglistsBase:
      u.rnglistsBase = v.u;
      break;
    default:
      break;
  }
}

// readRoot fills the unit from its first DIE. The abbreviation is read in place: the first of the table,
// almost always.
bool readRoot(const SymFile& f, Unit& u, RootValues& r) {
  Cursor die = Cursor::at(f.dwarf.info, u.dies);
  const uint64 code = die.uleb();
  Cursor a = Cursor::at(f.dwarf.abbrev, u.abbrevs);
  for (;;) {
    const uint64 c = a.uleb();
    if (a.bad || c == 0) return false;
    const auto tag = static_cast<Tag>(a.uleb());
    a.u8();
    if (c == code && tag != Tag::compileUnit && tag != Tag::partialUnit && tag != Tag::skeletonUnit)
      return false;
    for (;;) {
      AttrSpec s{static_cast<uint16>(a.uleb()), static_cast<uint16>(a.uleb()), 0};
      if (s.form == kFormImplicitConst) s.implicit = a.sleb();
      if (a.bad) return false;
      if (s.name == 0 && s.form == 0) break;
      if (c != code) continue;
      AttrValue v;
      if (!readAttr(f, u, s, die, v) || die.bad) return true;  // keep what was read so far
      takeRootAttr(u, r, s.name, v);
    }
    if (c == code) return true;
  }
}

struct UnitBuilder {
  MapVector<UnitRange> ranges;
  uint32 unit = 0;
  static void add(void* self, uint32 lo, uint32 hi) {
    auto* b = static_cast<UnitBuilder*>(self);
    b->ranges.push(UnitRange{lo, hi, b->unit});
  }
};

void indexUnit(const SymFile& f, Unit& u, UnitBuilder& b) {
  RootValues r;
  if (!readRoot(f, u, r)) return;
  u.compDir = resolveString(f, u, r.compDir);
  uint64 low;
  if (resolveAddr(f, u, r.extent.low, low)) u.lowPc = low;
  const std::size_t before = b.ranges.size();
  forRanges(f, u, r.extent, UnitBuilder::add, &b);
  if (b.ranges.size() == before && u.stmtList != ~uint64{0}) sequencesOf(f, u, UnitBuilder::add, &b);
}

// indexLinePrograms makes one unit per line program, when there is no .debug_info at all.
void indexLinePrograms(const SymFile& f, MapVector<uint64>& offsets) {
  for (uint64 off = 0; off < f.dwarf.line.size();) {
    Cursor c = Cursor::at(f.dwarf.line, off);
    uint64 len = c.u32();
    if (len == 0xffffffff) len = c.u64();
    if (c.bad || len == 0 || len > c.left() || !offsets.push(off)) return;
    off = static_cast<uint64>(c.p - f.dwarf.line.p) + len;
  }
}

UnitTable* buildUnits(SymFile& f) {
  auto* t = mapArray<UnitTable>(1);
  if (t == nullptr) return nullptr;
  MapVector<uint64> offsets;
  for (uint64 off = 0; off < f.dwarf.info.size();) {
    Unit probe;
    bool kept = false;
    const uint64 here = off;
    if (!readUnitHeader(f.dwarf.info, off, probe, kept)) break;
    if (kept && !offsets.push(here)) break;
  }
  const bool linesOnly = offsets.empty();
  if (linesOnly) indexLinePrograms(f, offsets);
  t->units = mapArray<Unit>(offsets.size());
  if (t->units == nullptr) return t;
  UnitBuilder b;
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    Unit& u = *new (&t->units[i]) Unit;
    b.unit = static_cast<uint32>(i);
    if (linesOnly) {
      u.stmtList = offsets[i];
      sequencesOf(f, u, UnitBuilder::add, &b);
    } else {
      uint64 off = offsets[i];
      bool kept;
      readUnitHeader(f.dwarf.info, off, u, kept);
      indexUnit(f, u, b);
    }
  }
  t->nunits = static_cast<uint32>(offsets.size());
  if (!b.ranges.sort([](const UnitRange& r) { return r.lo; })) return t;
  t->nranges = static_cast<uint32>(b.ranges.size());
  std::size_t cap;
  t->ranges = b.ranges.give(cap);
  return t;
}

}  // namespace

UnitTable* unitsOf(SymFile& f) {
  UnitTable* t = f.units.load(Order::acquire);
  if (t != nullptr) return t;
  t = buildUnits(f);
  return t == nullptr ? nullptr : publishTable(f.units, t, [](UnitTable* mine) {
    unmapArray(mine->units, mine->nunits);  // a lost race: its range array stays behind, once
    unmapArray(mine, 1);
  });
}

Unit* findUnit(SymFile& f, uint32 off) {
  UnitTable* t = unitsOf(f);
  if (t == nullptr) return nullptr;
  std::size_t i = upperBound(t->ranges, t->nranges, off, [](const UnitRange& r) { return r.lo; });
  for (unsigned tries = 0; i > 0 && tries < 8; ++tries) {
    const UnitRange& r = t->ranges[--i];
    if (off < r.hi) return &t->units[r.unit];
  }
  return nullptr;
}

Unit* unitAt(const UnitTable& t, uint64 die) {
  uint32 lo = 0, hi = t.nunits;
  while (lo < hi) {
    const uint32 mid = lo + (hi - lo) / 2;
    if (t.units[mid].end <= die) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo < t.nunits && die >= t.units[lo].dies ? &t.units[lo] : nullptr;
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// DWARF 2 to 5 as far as a traceback needs it: units, abbreviations, attribute values, address ranges.
// Ownership:  a UnitTable and what hangs from it live as long as the process; nothing changes after
//             publication.
// Ordering:   Unit::lines and Unit::funcs are published like the tables of symfile.hpp.
// Not read:   split units (.dwo), type units, dwz supplementary files, modules over 2 GiB: information is
//             lost, no more.
#pragma once
#include "unwind/cursor.hpp"
#include "unwind/symfile.hpp"

namespace gort::rt {

struct LineTable;
struct FuncTable;

enum class Tag : uint16 {
  lexicalBlock = 0x0b,
  compileUnit = 0x11,
  structureType = 0x13,
  inlinedSubroutine = 0x1d,
  subprogram = 0x2e,
  classType = 0x02,
  unionType = 0x17,
  enumerationType = 0x04,
  namespaceTag = 0x39,
  partialUnit = 0x3c,
  skeletonUnit = 0x4a,
};

enum class At : uint16 {
  name = 0x03,
  stmtList = 0x10,
  lowPc = 0x11,
  highPc = 0x12,
  compDir = 0x1b,
  abstractOrigin = 0x31,
  specification = 0x47,
  ranges = 0x55,
  callFile = 0x58,
  callLine = 0x59,
  linkageName = 0x6e,
  strOffsetsBase = 0x72,
  addrBase = 0x73,
  rnglistsBase = 0x74,
  mipsLinkageName = 0x2007,
};

// Unit is one compilation unit. Offsets are into the sections of the SymFile.
struct Unit {
  uint64 begin = 0;  // of the unit's header in .debug_info
  uint64 dies = 0;   // its first DIE
  uint64 end = 0;
  uint64 abbrevs = 0;
  uint64 stmtList = ~uint64{0};
  uint64 strOffsetsBase = 0, addrBase = 0, rnglistsBase = 0;
  uint64 lowPc = 0;
  const char* compDir = nullptr;
  uint16 version = 0;
  uint8 addrSize = 8;
  bool is64 = false;
  Atomic<LineTable*> lines;
  Atomic<FuncTable*> funcs;
};

struct UnitRange {
  uint32 lo, hi;  // module offsets
  uint32 unit;
};

struct UnitTable {
  Unit* units = nullptr;
  uint32 nunits = 0;
  UnitRange* ranges = nullptr;  // sorted by lo
  uint32 nranges = 0;
};

// unitsOf returns the module's index, built at the first call (reads each unit's root DIE only).
UnitTable* unitsOf(SymFile& f);
// findUnit returns the unit whose code covers the module offset, nullptr when there is none.
Unit* findUnit(SymFile& f, uint32 off);
// unitAt returns the unit that holds the DIE at this offset of .debug_info.
Unit* unitAt(const UnitTable& t, uint64 die);

// One attribute of an abbreviation.
struct AttrSpec {
  uint16 name;
  uint16 form;
  int64 implicit;
};

struct Abbrev {
  uint64 code = 0;
  uint32 specs = 0, nspecs = 0;  // range in AbbrevTable::specs
  uint16 tag = 0;
  bool children = false;
  int32 size = -1;  // bytes of all attributes when each has a fixed size, else -1
};

// AbbrevTable is a decoded abbreviation table.
struct AbbrevTable {
  Abbrev* abbrevs = nullptr;
  AttrSpec* specs = nullptr;
  uint32 n = 0;
  std::size_t abbrevCap = 0, specCap = 0;
  bool dense = false;  // abbrevs[i].code == i + 1

  const Abbrev* find(uint64 code) const {
    if (dense) return code - 1 < n ? &abbrevs[code - 1] : nullptr;
    for (uint32 i = 0; i < n; ++i) {
      if (abbrevs[i].code == code) return &abbrevs[i];
    }
    return nullptr;
  }
  void drop();
};
// readAbbrevs decodes the table at `off`; `onlyFirst` stops after one entry. False: no memory or damage.
bool readAbbrevs(ByteSpan abbrev, const Unit& u, AbbrevTable& t, bool onlyFirst);

// AttrValue is the value of an attribute, classified by what a reader can do with it.
struct AttrValue {
  enum Kind : uint8 { kNone, kConst, kAddr, kAddrIndex, kString, kStrIndex, kRef, kSecOffset, kListIndex };
  Kind kind = kNone;
  uint64 u = 0;
  const char* s = nullptr;  // kString
};

// readAttr reads one value and moves the cursor behind it. False: unknown form; the rest of the DIE cannot be
// read.
bool readAttr(const SymFile& f, const Unit& u, const AttrSpec& spec, Cursor& c, AttrValue& v);
// Index forms are resolved in a second step, because the unit's bases may come after them.
bool resolveAddr(const SymFile& f, const Unit& u, const AttrValue& v, uint64& addr);
const char* resolveString(const SymFile& f, const Unit& u, const AttrValue& v);

// Extent of a DIE: low/high pc or a range list.
struct DieExtent {
  AttrValue low, high, ranges;
};
// forRanges calls fn(lo, hi) with module offsets for each non-empty range in code.
using RangeFn = void (*)(void* arg, uint32 lo, uint32 hi);
void forRanges(const SymFile& f, const Unit& u, const DieExtent& e, RangeFn fn, void* arg);

// Lines (dwarf_line.cpp). File and line of a module offset within u; false: no row covers it.
struct LineInfo {
  const char* file = nullptr;
  uint32 line = 0;
};
bool lineAt(SymFile& f, Unit& u, uint32 off, LineInfo& out);
// fileName is the path of file number n of the unit's line table, nullptr when there is none.
const char* fileName(SymFile& f, Unit& u, uint64 n);
// sequencesOf reports the ranges that the line program at `stmtList` covers: for units without any in
// .debug_info.
void sequencesOf(const SymFile& f, const Unit& u, RangeFn fn, void* arg);

// Inlined calls (dwarf_inline.cpp): the function of the unit that holds off, and the calls inlined there.
struct InlineStep {
  const char* func = nullptr;  // of the inlined function
  const char* callFile = nullptr;
  uint32 callLine = 0;  // where the next outer one called it
};
// inlinesAt writes the chain at off, innermost first, and returns its length.
unsigned inlinesAt(SymFile& f, Unit& u, uint32 off, InlineStep* steps, unsigned max);
// functionNameAt is the name of the function around them, for modules without symbol table.
const char* functionNameAt(SymFile& f, Unit& u, uint32 off);

}  // namespace gort::rt

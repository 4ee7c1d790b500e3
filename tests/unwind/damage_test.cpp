// SPDX-License-Identifier: Apache-2.0
// Damaged unwind tables and debug information: readers must end, stay inside their sections, and at worst
// know less. The damaged copies live in exact-size mappings in front of an unreadable page, so an overrun is
// a crash.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <new>
#include <random>
#include <vector>

#include "unwind/cfi.hpp"
#include "unwind/dwarf.hpp"
#include "unwind/module.hpp"
#include "unwind/symfile.hpp"

namespace {

using namespace gort::rt;

// Fenced holds a copy of bytes that ends at an unreadable page.
class Fenced {
 public:
  explicit Fenced(ByteSpan s) : n_(s.size()), total_(alignUp(n_, kPageSize) + kPageSize) {
    base_ = static_cast<uint8*>(
        mmap(nullptr, total_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(base_ + total_ - kPageSize, kPageSize, PROT_NONE);
    p_ = base_ + total_ - kPageSize - n_;
    copy(p_, s);
  }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;
  ~Fenced() { munmap(base_, total_); }
  ByteSpan span() const { return {p_, p_ + n_}; }
  uint8* data() { return p_; }
  size_t size() const { return n_; }

 private:
  // A whole segment holds the sanitizer's red zones between variables.
  __attribute__((no_sanitize("address"))) static void copy(volatile uint8* to, ByteSpan s) {
    for (size_t i = 0; i < s.size(); ++i) to[i] = s.p[i];
  }
  size_t n_, total_;
  uint8 *base_, *p_;
};

SymFile* ownFile() { return symFileOf(*findModule(reinterpret_cast<uintptr>(&ownFile))); }

void damage(Fenced& f, std::mt19937& rnd, unsigned places) {
  for (unsigned i = 0; i < places && f.size() > 0; ++i) {
    const size_t at = rnd() % f.size();
    static constexpr uint8 kBytes[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x10};
    f.data()[at] = rnd() % 2 != 0 ? kBytes[rnd() % sizeof kBytes] : static_cast<uint8>(rnd());
  }
}

struct Copy {
  Fenced info, abbrev, line, str, lineStr, ranges, rnglists, addr, strOffsets;
  explicit Copy(const DwarfSections& d)
      : info(d.info),
        abbrev(d.abbrev),
        line(d.line),
        str(d.str),
        lineStr(d.lineStr),
        ranges(d.ranges),
        rnglists(d.rnglists),
        addr(d.addr),
        strOffsets(d.strOffsets) {}
};

// lookAround asks a file made of damaged sections for lines and inlined calls at many places.
unsigned lookAround(const SymFile& good, Copy& c, std::mt19937& rnd) {
  SymFile f;
  f.base = good.base;
  for (unsigned i = 0; i < Module::kMaxExec; ++i) f.exec[i] = good.exec[i];
  f.dwarf = {c.info.span(),   c.abbrev.span(),   c.line.span(), c.str.span(),       c.lineStr.span(),
             c.ranges.span(), c.rnglists.span(), c.addr.span(), c.strOffsets.span()};
  unsigned known = 0;
  for (unsigned i = 0; i < 40; ++i) {
    const auto off = static_cast<uint32>(f.exec[0].lo - f.base + rnd() % (f.exec[0].hi - f.exec[0].lo));
    Unit* u = findUnit(f, off);
    if (u == nullptr) continue;
    LineInfo line;
    known += lineAt(f, *u, off, line);
    if (line.file != nullptr) known += strlen(line.file) > 0;
    InlineStep steps[32];
    const unsigned n = inlinesAt(f, *u, off, steps, 32);
    for (unsigned k = 0; k < n; ++k) known += steps[k].func != nullptr && strlen(steps[k].func) > 0;
    functionNameAt(f, *u, off);
  }
  return known;
}

TEST(Damage, DebugInformation) {
  const SymFile* good = ownFile();
  if (good->dwarf.line.empty()) GTEST_SKIP() << "built without -g";
  std::mt19937 rnd(11);
  unsigned known = 0;
  const unsigned rounds = 60;
  for (unsigned round = 0; round < rounds; ++round) {
    Copy c(good->dwarf);
    Fenced* const all[] = {&c.info, &c.abbrev, &c.line, &c.lineStr, &c.rnglists, &c.addr, &c.strOffsets};
    Fenced& victim = *all[round % 7];
    damage(victim, rnd, round < 7 ? 1 : static_cast<unsigned>(victim.size() / 50 + 1));
    known += lookAround(*good, c, rnd);
  }
  printf("%u rounds of damage, %u answers\n", rounds, known);
}

TEST(Damage, TruncatedSections) {
  const SymFile* good = ownFile();
  if (good->dwarf.line.empty()) GTEST_SKIP() << "built without -g";
  std::mt19937 rnd(12);
  for (unsigned round = 0; round < 30; ++round) {
    DwarfSections d = good->dwarf;
    ByteSpan* const all[] = {&d.info, &d.abbrev, &d.line, &d.str, &d.lineStr, &d.rnglists};
    ByteSpan& victim = *all[round % 6];
    if (!victim.empty()) victim.end = victim.p + rnd() % victim.size();
    Copy c(d);
    lookAround(*good, c, rnd);
  }
}

TEST(Damage, UnwindTables) {
  Module* own = findModule(reinterpret_cast<uintptr>(&ownFile));
  if (own->ehFrameHdr == nullptr) GTEST_SKIP() << "no .eh_frame_hdr";
  // The segment is copied as a whole; pc-relative addresses in the copy are off by the distance of the
  // copies.
  const ByteSpan seg{reinterpret_cast<const uint8*>(own->ehSegment.lo),
                     reinterpret_cast<const uint8*>(own->ehSegment.hi)};
  std::mt19937 rnd(13);
  unsigned found = 0;
  std::vector<uintptr> stack(512);
  const auto lo = reinterpret_cast<uintptr>(stack.data());
  const StackBounds bounds{lo, lo + stack.size() * 8};
  for (unsigned round = 0; round < 40; ++round) {
    Fenced copy(seg);
    const auto shift = reinterpret_cast<uintptr>(copy.data()) - own->ehSegment.lo;
    if (round > 0) damage(copy, rnd, static_cast<unsigned>(copy.size() / 200));
    alignas(Module) char raw[sizeof(Module)] = {};
    Module& m = *new (raw) Module{};
    m.map = {own->map.lo + shift, own->map.hi + shift};
    for (unsigned i = 0; i < Module::kMaxExec; ++i)
      m.exec[i] = {own->exec[i].lo + shift, own->exec[i].hi + shift};
    m.ehSegment = {own->ehSegment.lo + shift, own->ehSegment.hi + shift};
    m.ehFrameHdr = own->ehFrameHdr + shift;
    m.ehFrameHdrSize = own->ehFrameHdrSize;
    for (unsigned i = 0; i < 500; ++i) {
      FrameInfo info;
      const uintptr pc = m.exec[0].lo + rnd() % (m.exec[0].hi - m.exec[0].lo);
      if (!findFrame(m, pc, info)) continue;
      ++found;
      if (!info.row.cfaIsExpression) continue;
      Regs r;
      for (unsigned k = 0; k < Regs::kCount; ++k) r.at(k) = lo + rnd() % (stack.size() * 8);
      uintptr out;
      evalExpression({static_cast<uintptr>(info.row.cfa), info.section, &r, &bounds}, nullptr, out);
    }
  }
  EXPECT_GT(found, 400u);
}

TEST(Damage, ExpressionsOfRandomBytes) {
  std::mt19937 rnd(14);
  uint8 code[64];
  std::vector<uintptr> stack(64, 5);
  const auto lo = reinterpret_cast<uintptr>(stack.data());
  const StackBounds bounds{lo, lo + stack.size() * 8};
  Regs r;
  for (unsigned k = 0; k < Regs::kCount; ++k) r.at(k) = lo + 8 * k;
  r.valid = Regs::kAll;
  unsigned good = 0;
  for (unsigned round = 0; round < 200000; ++round) {
    for (uint8& b : code) b = static_cast<uint8>(rnd());
    code[0] = static_cast<uint8>(rnd() % 12);
    uintptr out, initial = lo;
    good += evalExpression({reinterpret_cast<uintptr>(code), {code, code + sizeof code}, &r, &bounds},
                           &initial, out);
  }
  EXPECT_GT(good, 0u);
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
#include "unwind/cfi.hpp"

#include <new>

#include "unwind/symfile.hpp"

namespace gort::rt {

namespace {

enum : uint8 {
  kPeAbsptr = 0x00,
  kPeUleb = 0x01,
  kPeUdata2 = 0x02,
  kPeUdata4 = 0x03,
  kPeUdata8 = 0x04,
  kPeSleb = 0x09,
  kPeSdata2 = 0x0a,
  kPeSdata4 = 0x0b,
  kPeSdata8 = 0x0c,
  kPePcrel = 0x10,
  kPeDatarel = 0x30,
  kPeIndirect = 0x80,
  kPeOmit = 0xff,
};

// readEncoded reads a pointer in one of the DW_EH_PE encodings; indirect ones are not followed.
uintptr readEncoded(Cursor& c, uint8 enc, uintptr dataBase) {
  if (enc == kPeOmit) return 0;
  const auto here = reinterpret_cast<uintptr>(c.p);
  uint64 v = 0;
  switch (enc & 0x0f) {
    case kPeAbsptr:
    case kPeUdata8:
    case kPeSdata8:
      v = c.u64();
      break;
    case kPeUleb:
      v = c.uleb();
      break;
    case kPeUdata2:
      v = c.u16();
      break;
    case kPeUdata4:
      v = c.u32();
      break;
    case kPeSleb:
      v = static_cast<uint64>(c.sleb());
      break;
    case kPeSdata2:
      v = static_cast<uint64>(static_cast<int64>(static_cast<std::int16_t>(c.u16())));
      break;
    case kPeSdata4:
      v = static_cast<uint64>(static_cast<int64>(static_cast<int32>(c.u32())));
      break;
    default:
      c.fail();
      return 0;
  }
  switch (enc & 0x70) {
    case 0:
      break;
    case kPePcrel:
      v += here;
      break;
    case kPeDatarel:
      v += dataBase;
      break;
    default:
      c.fail();
      return 0;
  }
  return v;
}

struct Cie {
  uint64 codeAlign = 1;
  int64 dataAlign = 1;
  uint8 fdeEncoding = kPeAbsptr;
  bool hasAugmentationData = false;
  bool signalFrame = false;
  uint8 raReg = Regs::kPc;
  Cursor program{nullptr, nullptr};
};

// record opens the CIE or FDE at `p`; the cursor covers what follows its id field.
bool record(ByteSpan section, const uint8* p, Cursor& body, uint64& id, const uint8*& idAt) {
  if (p < section.p || p >= section.end) return false;
  Cursor c(p, section.end);
  uint64 len = c.u32();
  if (len == 0xffffffff) len = c.u64();
  if (c.bad || len < 4 || len > c.left()) return false;
  Cursor whole = c.cut(len);
  idAt = whole.p;
  id = whole.u32();
  body = whole;
  return !whole.bad;
}

bool parseAugmentation(Cursor& c, const char* aug, Cie& cie) {
  if (aug[0] == 0) return true;
  if (aug[0] != 'z') return false;  // "eh" of ancient compilers: nothing can be skipped safely
  Cursor data = c.cut(c.uleb());
  cie.hasAugmentationData = true;
  for (const char* a = aug + 1; *a != 0; ++a) {
    switch (*a) {
      case 'R':
        cie.fdeEncoding = data.u8();
        break;
      case 'P': {
        const uint8 enc = data.u8();
        readEncoded(data, enc & 0x0f, 0);
        break;
      }
      case 'L':
        data.u8();
        break;
      case 'S':
        cie.signalFrame = true;
        break;
      case 'B':
        break;
      default:
        return !data.bad;  // unknown letter: the data is skipped as a whole
    }
  }
  return !data.bad;
}

bool parseCie(ByteSpan section, const uint8* p, Cie& cie) {
  Cursor c(nullptr, nullptr);
  uint64 id;
  const uint8* idAt;
  if (!record(section, p, c, id, idAt) || id != 0) return false;
  const uint8 version = c.u8();
  if (version != 1 && version != 3 && version != 4) return false;
  const char* aug = c.cstr();
  if (version == 4) c.skip(2);
  cie.codeAlign = c.uleb();
  cie.dataAlign = c.sleb();
  const uint64 ra = version == 1 ? c.u8() : c.uleb();
  if (c.bad || ra >= Regs::kCount) return false;
  cie.raReg = static_cast<uint8>(ra);
  if (!parseAugmentation(c, aug, cie) || c.bad) return false;
  cie.program = c;
  return true;
}

// Machine runs CFA programs. Depth of remember/restore: compilers nest at most two.
class Machine {
 public:
  Machine(const Cie& cie, uintptr start, uintptr pc) : cie_(cie), loc_(start), pc_(pc) {}
  bool run(Cursor c, FrameRow& row);
  void setInitial(const FrameRow& row) { initial_ = &row; }

 private:
  bool extended(uint8 op, Cursor& c, FrameRow& row);
  bool registerRule(uint8 op, Cursor& c, FrameRow& row);
  bool defineCfa(uint8 op, Cursor& c, FrameRow& row);
  void set(FrameRow& row, uint64 reg, CfiRule::Kind k, int64 v) {
    if (reg >= Regs::kCount) return;  // vector and other registers: not ours to restore
    row.kind[reg] = k;
    row.value[reg] = v;
  }
  void restore(FrameRow& row, uint64 reg) {
    if (reg >= Regs::kCount || initial_ == nullptr) return;
    row.kind[reg] = initial_->kind[reg];
    row.value[reg] = initial_->value[reg];
  }
  int64 factored(Cursor& c) { return static_cast<int64>(c.uleb() * static_cast<uint64>(cie_.dataAlign)); }
  int64 factoredSigned(Cursor& c) {
    return static_cast<int64>(static_cast<uint64>(c.sleb()) * static_cast<uint64>(cie_.dataAlign));
  }
  static int64 block(Cursor& c) {
    const auto at = reinterpret_cast<int64>(c.p);
    c.skip(c.uleb());
    return at;
  }

  static constexpr unsigned kDepth = 4;
  const Cie& cie_;
  uintptr loc_, pc_;
  const FrameRow* initial_ = nullptr;
  FrameRow saved_[kDepth];
  unsigned depth_ = 0;
};

bool Machine::run(Cursor c, FrameRow& row) {
  while (c.more() && loc_ <= pc_) {
    const uint8 b = c.u8();
    const uint8 low = b & 0x3f;
    switch (b & 0xc0) {
      case 0x40:
        loc_ += low * cie_.codeAlign;
        break;
      case 0x80:
        set(row, low, CfiRule::kOffset, factored(c));
        break;
      case 0xc0:
        restore(row, low);
        break;
      default:
        if (!extended(b, c, row)) return false;
    }
  }
  return !c.bad;
}

bool Machine::extended(uint8 op, Cursor& c, FrameRow& row) {
  switch (op) {
    case 0x00:
      return true;  // nop
    case 0x01:
      loc_ = readEncoded(c, cie_.fdeEncoding, 0);
      return true;  // set_loc
    case 0x02:
      loc_ += c.u8() * cie_.codeAlign;
      return true;  // advance_loc1, 2, 4
    case 0x03:
      loc_ += c.u16() * cie_.codeAlign;
      return true;
    case 0x04:
      loc_ += c.u32() * cie_.codeAlign;
      return true;
    case 0x0a:
      if (depth_ == kDepth) return false;
      saved_[depth_++] = row;
      return true;
    case 0x0b:
      if (depth_ == 0) return false;
      row = saved_[--depth_];
      return true;
    case 0x2e:
      c.uleb();
      return true;  // GNU_args_size
    default:
      return registerRule(op, c, row) || defineCfa(op, c, row);
  }
}

// registerRule runs the instructions that name a register first. False: another instruction, nothing read.
bool Machine::registerRule(uint8 op, Cursor& c, FrameRow& row) {
  if (!((op >= 0x05 && op <= 0x09) || op == 0x10 || op == 0x11 || (op >= 0x14 && op <= 0x16) || op == 0x2f)) {
    return false;
  }
  const uint64 reg = c.uleb();
  switch (op) {
    case 0x05:
      set(row, reg, CfiRule::kOffset, factored(c));
      break;
    case 0x06:
      restore(row, reg);
      break;
    case 0x07:
      set(row, reg, CfiRule::kUndefined, 0);
      break;
    case 0x08:
      set(row, reg, CfiRule::kSame, 0);
      break;
    case 0x09:
      set(row, reg, CfiRule::kRegister, static_cast<int64>(c.uleb()));
      break;
    case 0x10:
      set(row, reg, CfiRule::kExpression, block(c));
      break;
    case 0x11:
      set(row, reg, CfiRule::kOffset, factoredSigned(c));
      break;
    case 0x14:
      set(row, reg, CfiRule::kValOffset, factored(c));
      break;
    case 0x15:
      set(row, reg, CfiRule::kValOffset, factoredSigned(c));
      break;
    case 0x16:
      set(row, reg, CfiRule::kValExpression, block(c));
      break;
    default:
      set(row, reg, CfiRule::kOffset, -factored(c));  // GNU_negative_offset_extended
      break;
  }
  return true;
}

bool Machine::defineCfa(uint8 op, Cursor& c, FrameRow& row) {
  if (op == 0x0c || op == 0x0d || op == 0x12) {  // def_cfa, def_cfa_register, def_cfa_sf
    const uint64 reg = c.uleb();
    if (reg >= Regs::kCount) return false;
    row.cfaReg = static_cast<uint8>(reg);
    if (op == 0x0d) return !row.cfaIsExpression;
    row.cfa = op == 0x0c ? static_cast<int64>(c.uleb()) : factoredSigned(c);
    row.cfaIsExpression = false;
    return true;
  }
  switch (op) {
    case 0x0e:
      row.cfa = static_cast<int64>(c.uleb());
      return !row.cfaIsExpression;
    case 0x13:
      row.cfa = factoredSigned(c);
      return !row.cfaIsExpression;
    case 0x0f:
      row.cfaIsExpression = true;
      row.cfa = block(c);
      return true;
    default:
      return false;
  }
}

// parseFde checks that the FDE at p covers pc and runs its programs.
// Returns 1 done, 0 another entry's pc, -1 damaged or not an FDE.
int parseFde(ByteSpan section, const uint8* p, uintptr pc, FrameInfo& info) {
  Cursor c(nullptr, nullptr);
  uint64 id;
  const uint8* idAt;
  if (!record(section, p, c, id, idAt) || id == 0) return -1;
  if (id > static_cast<uint64>(idAt - section.p)) return -1;
  Cie cie;
  if (!parseCie(section, idAt - id, cie)) return -1;
  const uintptr lo = readEncoded(c, cie.fdeEncoding, 0);
  const uintptr len = readEncoded(c, cie.fdeEncoding & 0x0f, 0);
  if (c.bad) return -1;
  if (pc < lo || pc - lo >= len) return 0;
  if (cie.hasAugmentationData) c.skip(c.uleb());
  info.section = section;
  info.signalFrame = cie.signalFrame;
  info.raReg = cie.raReg;
  info.row = FrameRow{};
  Machine init(cie, 0, ~uintptr{0});
  if (!init.run(cie.program, info.row)) return -1;
  const FrameRow first = info.row;
  Machine m(cie, lo, pc);
  m.setInitial(first);
  return m.run(c, info.row) ? 1 : -1;
}

// searchTable finds the last FDE that starts at or before pc in .eh_frame_hdr's table.
const uint8* searchTable(Cursor c, uint64 count, uintptr dataBase, uintptr pc) {
  const uint8* table = c.p;
  if (count == 0 || count > c.left() / 8) return nullptr;
  auto startOf = [&](uint64 i) {
    int32 v;
    __builtin_memcpy(&v, table + i * 8, sizeof v);
    return dataBase + static_cast<uintptr>(static_cast<int64>(v));
  };
  if (pc < startOf(0)) return nullptr;
  uint64 lo = 0, hi = count;  // startOf(lo) <= pc < startOf(hi)
  while (hi - lo > 1) {
    const uint64 mid = lo + (hi - lo) / 2;
    (startOf(mid) <= pc ? lo : hi) = mid;
  }
  int32 off;
  __builtin_memcpy(&off, table + lo * 8 + 4, sizeof off);
  return reinterpret_cast<const uint8*>(dataBase + static_cast<uintptr>(static_cast<int64>(off)));
}

// nextRecord moves p behind the record it points at. False at the end of the section.
bool nextRecord(ByteSpan section, const uint8*& p) {
  if (p < section.p || p >= section.end) return false;
  Cursor c(p, section.end);
  uint64 len = c.u32();
  if (len == 0xffffffff) len = c.u64();
  if (c.bad || len == 0 || len > c.left()) return false;
  p = c.p + len;
  return true;
}

bool walkSection(ByteSpan section, const uint8* p, uintptr pc, FrameInfo& info) {
  for (const uint8* here = p; nextRecord(section, p); here = p) {
    if (parseFde(section, here, pc, info) == 1) return true;
  }
  return false;
}

}  // namespace

// A static executable may come without .eh_frame_hdr: its sorted table is then made here, once, from the
// section that the file's section headers name.
struct FdeIndex {
  struct Entry {
    uint32 lo;   // from the start of the module's map
    uint32 fde;  // from the start of the section
  };
  ByteSpan section;
  Entry* entries = nullptr;
  uint32 n = 0;
};

namespace {

bool fdeStart(ByteSpan section, const uint8* p, uintptr& lo) {
  Cursor c(nullptr, nullptr);
  uint64 id;
  const uint8* idAt;
  if (!record(section, p, c, id, idAt) || id == 0 || id > static_cast<uint64>(idAt - section.p)) return false;
  Cie cie;
  if (!parseCie(section, idAt - id, cie)) return false;
  lo = readEncoded(c, cie.fdeEncoding, 0);
  return !c.bad;
}

void buildIndex(Module& m, FdeIndex& x) {
  const SymFile* f = symFileOf(m);
  if (f == nullptr || f->ehFrame.hi <= f->ehFrame.lo) return;
  // The section must lie in the map; a file that claims otherwise is not believed.
  const AddrRange at{m.bias + f->ehFrame.lo, m.bias + f->ehFrame.hi};
  if (at.lo < m.map.lo || at.hi > m.map.hi || at.lo > at.hi) return;
  x.section = {reinterpret_cast<const uint8*>(at.lo), reinterpret_cast<const uint8*>(at.hi)};
  MapVector<FdeIndex::Entry> v;
  const uint8* p = x.section.p;
  for (const uint8* here = p; nextRecord(x.section, p); here = p) {
    uintptr lo;
    if (!fdeStart(x.section, here, lo) || !m.isExec(lo)) continue;
    v.push({static_cast<uint32>(lo - m.map.lo), static_cast<uint32>(here - x.section.p)});
  }
  if (!v.sort([](const FdeIndex::Entry& e) { return e.lo; })) return;
  std::size_t cap;
  x.n = static_cast<uint32>(v.size());
  x.entries = v.give(cap);
}

bool findByIndex(Module& m, uintptr pc, FrameInfo& info) {
  FdeIndex* x = m.fdes.load(Order::acquire);
  if (x == nullptr) {
    void* raw = mapAlloc(sizeof(FdeIndex));
    if (raw == nullptr) return false;
    x = new (raw) FdeIndex;
    buildIndex(m, *x);
    x = publishTable(m.fdes, x, [](FdeIndex* mine) { mapFree(mine, sizeof *mine); });
  }
  const auto off = static_cast<uint32>(pc - m.map.lo);
  const std::size_t i = upperBound(x->entries, x->n, off, [](const FdeIndex::Entry& e) { return e.lo; });
  return i > 0 && parseFde(x->section, x->section.p + x->entries[i - 1].fde, pc, info) == 1;
}

}  // namespace

bool findFrame(Module& m, uintptr pc, FrameInfo& info) {
  if (m.ehFrameHdr == nullptr) return m.image != nullptr && findByIndex(m, pc, info);
  // SAFETY: ehSegment is a readable load segment of a mapped module.
  const ByteSpan section{reinterpret_cast<const uint8*>(m.ehSegment.lo),
                         reinterpret_cast<const uint8*>(m.ehSegment.hi)};
  Cursor c(m.ehFrameHdr, m.ehFrameHdr + m.ehFrameHdrSize);
  const auto dataBase = reinterpret_cast<uintptr>(m.ehFrameHdr);
  if (c.u8() != 1) return false;
  const uint8 frameEnc = c.u8(), countEnc = c.u8(), tableEnc = c.u8();
  const uintptr frames = readEncoded(c, frameEnc, dataBase);
  const uint64 count = readEncoded(c, countEnc, dataBase);
  if (c.bad) return false;
  if (countEnc == kPeOmit || tableEnc != (kPeDatarel | kPeSdata4)) {
    return walkSection(section, reinterpret_cast<const uint8*>(frames), pc, info);
  }
  const uint8* fde = searchTable(c, count, dataBase, pc);
  return fde != nullptr && parseFde(section, fde, pc, info) == 1;
}

namespace {

// ExprStack is the operand stack; an underflow or overflow makes it bad.
struct ExprStack {
  static constexpr unsigned kDepth = 32;
  uintptr v[kDepth];
  unsigned n = 0;
  bool bad = false;
  void push(uintptr x) {
    if (n == kDepth) {
      bad = true;
    } else {
      v[n++] = x;
    }
  }
  uintptr pop() {
    if (n == 0) {
      bad = true;
      return 0;
    }
    return v[--n];
  }
  uintptr peek(uint64 depth) {
    if (depth >= n) {
      bad = true;
      return 0;
    }
    return v[n - 1 - depth];
  }
};

uintptr binary(uint8 op, uintptr a, uintptr b, bool& bad) {
  const auto sa = static_cast<int64>(a), sb = static_cast<int64>(b);
  switch (op) {
    case 0x1a:
      return a & b;
    case 0x1b:
      if (sb == 0 || (sb == -1 && sa == INT64_MIN)) {
        bad = true;
        return 0;
      }
      return static_cast<uintptr>(sa / sb);
    case 0x1c:
      return a - b;
    case 0x1d:
      if (b == 0) {
        bad = true;
        return 0;
      }
      return a % b;
    case 0x1e:
      return a * b;
    case 0x21:
      return a | b;
    case 0x22:
      return a + b;
    case 0x24:
      return b < 64 ? a << b : 0;
    case 0x25:
      return b < 64 ? a >> b : 0;
    case 0x26:
      return static_cast<uintptr>(sa >> (b < 64 ? b : 63));
    case 0x27:
      return a ^ b;
    case 0x29:
      return sa == sb;
    case 0x2a:
      return sa >= sb;
    case 0x2b:
      return sa > sb;
    case 0x2c:
      return sa <= sb;
    case 0x2d:
      return sa < sb;
    case 0x2e:
      return sa != sb;
    default:
      bad = true;
      return 0;
  }
}

class ExprMachine {
 public:
  ExprMachine(Cursor c, const Expression& e) : code_(c), c_(c), e_(e) {}
  bool run();
  ExprStack s;

 private:
  bool one(uint8 op);
  bool constant(uint8 op);
  bool shuffle(uint8 op);
  bool jump(int64 by);
  bool pushReg(uint64 reg, int64 off) {
    if (reg >= Regs::kCount || (e_.regs->valid >> reg & 1) == 0) return false;
    s.push(e_.regs->at(static_cast<unsigned>(reg)) + static_cast<uintptr>(off));
    return true;
  }
  Cursor code_, c_;
  const Expression& e_;
};

bool ExprMachine::run() {
  for (unsigned fuel = 1000; c_.more(); --fuel) {
    if (fuel == 0 || !one(c_.u8()) || s.bad) return false;
  }
  return !c_.bad && s.n > 0;
}

bool ExprMachine::jump(int64 by) {
  const int64 at = (c_.p - code_.p) + by;
  if (at < 0 || at > code_.end - code_.p) return false;
  c_.p = code_.p + at;
  return true;
}

bool ExprMachine::constant(uint8 op) {
  switch (op) {
    case 0x03:
    case 0x0e:
    case 0x0f:
      s.push(c_.u64());
      return true;
    case 0x08:
      s.push(c_.u8());
      return true;
    case 0x09:
      s.push(static_cast<uintptr>(static_cast<int64>(static_cast<signed char>(c_.u8()))));
      return true;
    case 0x0a:
      s.push(c_.u16());
      return true;
    case 0x0b:
      s.push(static_cast<uintptr>(static_cast<int64>(static_cast<std::int16_t>(c_.u16()))));
      return true;
    case 0x0c:
      s.push(c_.u32());
      return true;
    case 0x0d:
      s.push(static_cast<uintptr>(static_cast<int64>(static_cast<int32>(c_.u32()))));
      return true;
    case 0x10:
      s.push(c_.uleb());
      return true;
    case 0x11:
      s.push(static_cast<uintptr>(c_.sleb()));
      return true;
    default:
      return false;
  }
}

bool ExprMachine::shuffle(uint8 op) {
  const unsigned n = s.n;
  switch (op) {
    case 0x12:
      s.push(s.peek(0));
      return true;
    case 0x13:
      s.pop();
      return true;
    case 0x14:
      s.push(s.peek(1));
      return true;
    case 0x15:
      s.push(s.peek(c_.u8()));
      return true;
    case 0x16:
    case 0x17: {
      const unsigned k = op == 0x16 ? 2 : 3;
      if (n < k) return false;
      const uintptr top = s.v[n - 1];
      for (unsigned i = 1; i < k; ++i) s.v[n - i] = s.v[n - i - 1];
      s.v[n - k] = top;
      return true;
    }
    default:
      return false;
  }
}

bool ExprMachine::one(uint8 op) {
  if (op >= 0x30 && op <= 0x4f) return s.push(op - 0x30u), true;
  if (op >= 0x50 && op <= 0x6f) return pushReg(op - 0x50u, 0);
  if (op >= 0x70 && op <= 0x8f) return pushReg(op - 0x70u, c_.sleb());
  if (op == 0x03 || (op >= 0x08 && op <= 0x11)) return constant(op);
  if (op >= 0x12 && op <= 0x17) return shuffle(op);
  uintptr v;
  switch (op) {
    case 0x06:  // deref
      if (!loadStack(*e_.stack, s.pop(), v)) return false;
      s.push(v);
      return true;
    case 0x94: {  // deref_size: read the word, keep the low bytes
      const unsigned bytes = c_.u8();
      if (bytes == 0 || bytes > 8 || !loadStack(*e_.stack, s.pop(), v)) return false;
      s.push(bytes == 8 ? v : v & ((uintptr{1} << (8 * bytes)) - 1));
      return true;
    }
    case 0x19:
      v = s.pop();
      s.push(static_cast<int64>(v) < 0 ? 0 - v : v);
      return true;
    case 0x1f:
      s.push(0 - s.pop());
      return true;
    case 0x20:
      s.push(~s.pop());
      return true;
    case 0x23:
      v = c_.uleb();
      s.push(s.pop() + v);
      return true;
    case 0x28: {
      const auto by = static_cast<std::int16_t>(c_.u16());
      return s.pop() == 0 || jump(by);
    }
    case 0x2f:
      return jump(static_cast<std::int16_t>(c_.u16()));
    case 0x92: {
      const uint64 reg = c_.uleb();
      return pushReg(reg, c_.sleb());
    }
    case 0x96:
      return true;
    default: {
      const uintptr b = s.pop(), a = s.pop();
      s.push(binary(op, a, b, s.bad));
      return true;
    }
  }
}

}  // namespace

bool evalExpression(const Expression& e, const uintptr* initial, uintptr& result) {
  Cursor c(reinterpret_cast<const uint8*>(e.block), e.section.end);
  if (c.p < e.section.p || c.p > e.section.end) return false;
  const uint64 len = c.uleb();
  ExprMachine m(c.cut(len), e);
  if (initial != nullptr) m.s.push(*initial);
  if (c.bad || !m.run()) return false;
  result = m.s.pop();
  return true;
}

}  // namespace gort::rt

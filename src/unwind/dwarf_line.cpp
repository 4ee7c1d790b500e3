// SPDX-License-Identifier: Apache-2.0
// Line tables: runs the line program of a unit once, keeps its rows sorted by address.
//                                                                                  (Go: pclntab, ready-made)
// Choice:     as binutils does it, so that addr2line and we agree: is_stmt is ignored, of several rows with
//             one address the last wins, a row with line 0 is an answer ("no line").
// Dropped:    sequences that start outside the module's code: functions that the linker threw away.
#include <new>

#include "unwind/dwarf.hpp"

namespace gort::rt {

namespace {

struct Row {
  uint32 addr;
  uint32 line;
  uint32 file;  // kEnd set: the address is the first behind a sequence
};
constexpr uint32 kEnd = 1u << 31;

struct FileEntry {
  const char* name;
  uint64 dir;
};

}  // namespace

struct LineTable {
  Row* rows = nullptr;
  uint32 nrows = 0;
  const char** files = nullptr;
  uint32 nfiles = 0;
  std::size_t rowCap = 0;
};

namespace {

struct LineHeader {
  uint16 version = 0;
  uint8 minInst = 1, lineRange = 1, opcodeBase = 1;
  int lineBase = 0;
  const uint8* opcodeLengths = nullptr;
  Cursor entries{nullptr, nullptr};  // directory and file tables
  Cursor program{nullptr, nullptr};
  Unit forms;  // address and offset size for reading forms of the header
};

bool readHeader(const SymFile& f, uint64 off, LineHeader& h) {
  Cursor c = Cursor::at(f.dwarf.line, off);
  uint64 len = c.u32();
  h.forms.is64 = len == 0xffffffff;
  if (h.forms.is64) len = c.u64();
  if (c.bad || len > c.left()) return false;
  Cursor b = c.cut(len);
  h.version = b.u16();
  if (h.version < 2 || h.version > 5) return false;
  h.forms.version = h.version;
  if (h.version >= 5) {
    h.forms.addrSize = b.u8();
    b.u8();
  }
  const uint64 headerLen = b.offset(h.forms.is64);
  if (b.bad || headerLen > b.left()) return false;
  Cursor head = b.cut(headerLen);
  h.program = b;
  h.minInst = head.u8();
  if (h.version >= 4) head.u8();
  head.u8();
  h.lineBase = (head.u8() ^ 0x80) - 0x80;  // signed
  h.lineRange = head.u8();
  h.opcodeBase = head.u8();
  h.opcodeLengths = head.p;
  if (h.opcodeBase == 0 || h.lineRange == 0) return false;
  head.skip(h.opcodeBase - 1u);
  h.entries = head;
  return !head.bad;
}

// LineMachine is the state machine of DWARF section 6.2. onRow(addr, line, file, end) is called for each row.
template <class OnRow>
class LineMachine {
 public:
  LineMachine(const LineHeader& h, OnRow onRow) : h_(h), onRow_(onRow) {}
  void run() {
    for (Cursor c = h_.program; c.more();) {
      const uint8 op = c.u8();
      if (op >= h_.opcodeBase) {
        special(static_cast<uint8>(op - h_.opcodeBase));
      } else if (op == 0) {
        extended(c);
      } else {
        standard(op, c);
      }
    }
  }

 private:
  void special(uint8 adj) {
    addr_ += uint64{h_.minInst} * (adj / h_.lineRange);
    line_ += static_cast<uint32>(h_.lineBase + adj % h_.lineRange);
    onRow_(addr_, line_, file_, false);
  }
  void extended(Cursor& c) {
    const uint64 len = c.uleb();
    Cursor e = c.cut(len);
    switch (e.u8()) {
      case 1:
        onRow_(addr_, line_, file_, true);
        addr_ = 0;
        line_ = 1;
        file_ = 1;
        break;
      case 2:
        addr_ = e.fixed(e.left() < 8 ? static_cast<unsigned>(e.left()) : 8);
        break;
      default:
        break;
    }
  }
  void standard(uint8 op, Cursor& c) {
    switch (op) {
      case 1:
        onRow_(addr_, line_, file_, false);
        break;
      case 2:
        addr_ += h_.minInst * c.uleb();
        break;
      case 3:
        line_ += static_cast<uint32>(c.sleb());
        break;
      case 4:
        file_ = static_cast<uint32>(c.uleb());
        break;
      case 8:
        addr_ += uint64{h_.minInst} * ((255u - h_.opcodeBase) / h_.lineRange);
        break;
      case 9:
        addr_ += c.u16();
        break;
      default:
        for (uint8 n = h_.opcodeLengths[op - 1]; n > 0 && !c.bad; --n) c.uleb();
        break;
    }
  }
  const LineHeader& h_;
  OnRow onRow_;
  uint64 addr_ = 0;
  uint32 line_ = 1, file_ = 1;
};

template <class OnRow>
void runProgram(const LineHeader& h, OnRow onRow) {
  LineMachine<OnRow>(h, onRow).run();
}

// Collector keeps the rows of sequences that lie in code.
struct Collector {
  const SymFile& f;
  MapVector<Row> rows;
  std::size_t seqStart = 0;
  bool open = false, keep = false;

  void row(uint64 addr, uint32 line, uint32 file, bool end) {
    if (!open) {
      uint32 off;
      seqStart = rows.size();
      keep = !end && f.offsetOf(addr, off);
      open = true;
    }
    if (keep && (addr < f.base || addr - f.base >= kEnd)) keep = false;
    if (keep)
      keep = rows.push(Row{static_cast<uint32>(addr - f.base), line, end ? file | kEnd : file & ~kEnd});
    if (!end) return;
    while (!keep && rows.size() > seqStart) rows.pop();
    open = false;
  }
};

// ---- file names ----

// Texts collects strings into one block: first measured, then written.
struct Texts {
  char* at = nullptr;
  std::size_t need = 0;
  void put(const char* s) {
    for (; *s != 0; ++s) putc(*s);
  }
  void putc(char c) {
    if (at != nullptr) *at++ = c;
    ++need;
  }
};

bool isAbsolute(const char* p) { return p[0] == '/'; }

struct Names {
  MapVector<const char*> dirs;
  MapVector<FileEntry> files;
  const char* compDir = nullptr;
  bool fromZero = false;  // DWARF 5 numbers directories and files from 0

  const char* dirOf(const FileEntry& e) {
    if (fromZero) return e.dir < dirs.size() ? dirs[e.dir] : nullptr;
    return e.dir != 0 && e.dir - 1 < dirs.size() ? dirs[e.dir - 1] : nullptr;
  }
  // path writes the full name of a file as binutils composes it.
  void path(const FileEntry& e, Texts& t) {
    if (!isAbsolute(e.name)) {
      const char* dir = dirOf(e);
      if ((dir == nullptr || !isAbsolute(dir)) && compDir != nullptr) {
        t.put(compDir);
        t.putc('/');
      }
      if (dir != nullptr) {
        t.put(dir);
        t.putc('/');
      }
    }
    t.put(e.name);
    t.putc(0);
  }
};

void readNamesV4(Cursor& c, Names& n) {
  for (;;) {
    const char* s = c.cstr();
    if (c.bad || s[0] == 0) break;
    if (!n.dirs.push(s)) return;
  }
  for (;;) {
    const char* s = c.cstr();
    if (c.bad || s[0] == 0) return;
    FileEntry e{s, c.uleb()};
    c.uleb();
    c.uleb();
    if (!n.files.push(e)) return;
  }
}

// readTableV5 reads one of the two self-describing tables of a version 5 header.
template <class OnEntry>
bool readTableV5(const SymFile& f, const Unit& u, const Unit& forms, Cursor& c, OnEntry onEntry) {
  struct Format {
    uint16 content, form;
  };
  Format formats[16];
  const unsigned nformats = c.u8();
  if (nformats > 16) return false;
  for (unsigned i = 0; i < nformats; ++i) {
    formats[i].content = static_cast<uint16>(c.uleb());
    formats[i].form = static_cast<uint16>(c.uleb());
  }
  const uint64 count = c.uleb();
  for (uint64 i = 0; i < count && !c.bad; ++i) {
    FileEntry e{nullptr, 0};
    const uint8* before = c.p;
    for (unsigned k = 0; k < nformats; ++k) {
      AttrValue v;
      if (!readAttr(f, forms, AttrSpec{0, formats[k].form, 0}, c, v)) return false;
      if (formats[k].content == 1) e.name = resolveString(f, u, v);
      if (formats[k].content == 2) e.dir = v.u;
    }
    if (c.bad || c.p == before) return false;  // an entry of no bytes could repeat 2^64 times
    if (e.name == nullptr) e.name = "";
    if (!onEntry(e)) return false;
  }
  return !c.bad;
}

void readNames(const SymFile& f, const Unit& u, const LineHeader& h, Names& n) {
  Cursor c = h.entries;
  n.compDir = u.compDir;
  n.fromZero = h.version >= 5;
  if (!n.fromZero) return readNamesV4(c, n);
  if (readTableV5(f, u, h.forms, c, [&](const FileEntry& e) { return n.dirs.push(e.name); })) {
    readTableV5(f, u, h.forms, c, [&](const FileEntry& e) { return n.files.push(e); });
  }
}

void buildFiles(LineTable& t, Names& n) {
  Texts size;
  for (std::size_t i = 0; i < n.files.size(); ++i) n.path(n.files[i], size);
  const std::size_t first = n.fromZero ? 0 : 1;
  const std::size_t count = n.files.size() + first;
  auto** files = mapArray<const char*>(count + size.need / sizeof(char*) + 1);
  if (files == nullptr) return;
  Texts out;
  out.at = reinterpret_cast<char*>(files + count);
  for (std::size_t i = 0; i < n.files.size(); ++i) {
    files[first + i] = out.at;
    n.path(n.files[i], out);
  }
  t.files = files;
  t.nfiles = static_cast<uint32>(count);
}

LineTable* buildLines(const SymFile& f, const Unit& u) {
  auto* t = mapArray<LineTable>(1);
  if (t == nullptr) return nullptr;
  LineHeader h;
  if (u.stmtList == ~uint64{0} || !readHeader(f, u.stmtList, h)) return t;
  Names names;
  readNames(f, u, h, names);
  buildFiles(*t, names);
  Collector rows{f, {}};
  runProgram(h, [&](uint64 addr, uint32 line, uint32 file, bool end) { rows.row(addr, line, file, end); });
  // An end marker sorts before the rows of a sequence that starts at its address.
  if (!rows.rows.sort([](const Row& r) { return r.addr * 2 + ((r.file & kEnd) == 0); })) return t;
  t->nrows = static_cast<uint32>(rows.rows.size());
  t->rows = rows.rows.give(t->rowCap);
  return t;
}

LineTable* linesOf(SymFile& f, Unit& u) {
  LineTable* t = u.lines.load(Order::acquire);
  if (t != nullptr) return t;
  t = buildLines(f, u);
  return t == nullptr ? nullptr : publishTable(u.lines, t, [](LineTable* mine) {
    if (mine->rows != nullptr) unmapArray(mine->rows, mine->rowCap);  // its file names stay behind, once
    unmapArray(mine, 1);
  });
}

}  // namespace

bool lineAt(SymFile& f, Unit& u, uint32 off, LineInfo& out) {
  const LineTable* t = linesOf(f, u);
  if (t == nullptr) return false;
  const std::size_t i = upperBound(t->rows, t->nrows, off, [](const Row& r) { return r.addr; });
  if (i == 0 || (t->rows[i - 1].file & kEnd) != 0) return false;
  const Row& r = t->rows[i - 1];
  out.line = r.line;
  out.file = r.file < t->nfiles ? t->files[r.file] : nullptr;
  return true;
}

const char* fileName(SymFile& f, Unit& u, uint64 n) {
  const LineTable* t = linesOf(f, u);
  return t != nullptr && n < t->nfiles ? t->files[n] : nullptr;
}

void sequencesOf(const SymFile& f, const Unit& u, RangeFn fn, void* arg) {
  LineHeader h;
  if (!readHeader(f, u.stmtList, h)) return;
  uint64 lo = 0, hi = 0;
  bool open = false;
  runProgram(h, [&](uint64 addr, uint32, uint32, bool end) {
    if (!open || addr < lo) lo = addr;
    if (!open || addr > hi) hi = addr;
    open = !end;
    uint32 off;
    if (!end || hi <= lo || !f.offsetOf(lo, off) || hi - lo > UINT32_MAX - off) return;
    fn(arg, off, off + static_cast<uint32>(hi - lo));
  });
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Opens a module's file, makes sure that it is the file that was mapped, and sorts its function symbols.
#include "unwind/symfile.hpp"

#include <elf.h>

#include <new>

namespace gort::rt {

namespace {

struct ElfFile {
  ByteSpan bytes;
  Elf64_Ehdr eh;
  bool valid = false;
};

ElfFile openElf(ByteSpan bytes) {
  ElfFile f;
  f.bytes = bytes;
  Cursor c(bytes);
  f.eh = c.raw<Elf64_Ehdr>();
  f.valid = !c.bad && __builtin_memcmp(f.eh.e_ident, ELFMAG, SELFMAG) == 0 &&
            f.eh.e_ident[EI_CLASS] == ELFCLASS64 && f.eh.e_ident[EI_DATA] == ELFDATA2LSB &&
            f.eh.e_phentsize == sizeof(Elf64_Phdr) && f.eh.e_shentsize == sizeof(Elf64_Shdr);
  return f;
}

bool sectionHeader(const ElfFile& f, uint64 i, Elf64_Shdr& sh) {
  if (i >= f.eh.e_shnum || f.eh.e_shoff > f.bytes.size()) return false;
  Cursor c = Cursor::at(f.bytes, f.eh.e_shoff + i * sizeof sh);
  sh = c.raw<Elf64_Shdr>();
  return !c.bad;
}

ByteSpan sectionBytes(const ElfFile& f, const Elf64_Shdr& sh) {
  // Compressed sections would need zlib: treated as absent.
  if (sh.sh_type == SHT_NOBITS || (sh.sh_flags & SHF_COMPRESSED) != 0) return {};
  if (sh.sh_offset > f.bytes.size() || sh.sh_size > f.bytes.size() - sh.sh_offset) return {};
  return {f.bytes.p + sh.sh_offset, f.bytes.p + sh.sh_offset + sh.sh_size};
}

// isMapped: the file's ELF and program headers are the ones in memory.
bool isMapped(const Module& m, ByteSpan file) {
  if (m.image == nullptr || m.imageSize > file.size()) return false;
  return __builtin_memcmp(m.image, file.p, m.imageSize) == 0;
}

void readSegments(const Module& m, SymFile& s) {
  s.base = m.map.lo - m.bias;
  for (unsigned i = 0; i < Module::kMaxExec; ++i) s.exec[i] = {m.exec[i].lo - m.bias, m.exec[i].hi - m.bias};
}

void noteDebugSection(const char* name, ByteSpan bytes, DwarfSections& d) {
  struct Entry {
    const char* name;
    ByteSpan DwarfSections::*field;
  };
  static constexpr Entry kEntries[] = {
      {".debug_info", &DwarfSections::info},
      {".debug_abbrev", &DwarfSections::abbrev},
      {".debug_line", &DwarfSections::line},
      {".debug_str", &DwarfSections::str},
      {".debug_line_str", &DwarfSections::lineStr},
      {".debug_ranges", &DwarfSections::ranges},
      {".debug_rnglists", &DwarfSections::rnglists},
      {".debug_addr", &DwarfSections::addr},
      {".debug_str_offsets", &DwarfSections::strOffsets},
  };
  for (const Entry& e : kEntries) {
    if (sameText(e.name, name)) d.*e.field = bytes;
  }
}

// readSections fills dwarf and says where the best symbol table is.
bool readSections(const ElfFile& f, SymFile& s, Elf64_Shdr& symtab) {
  Elf64_Shdr names;
  if (!sectionHeader(f, f.eh.e_shstrndx, names)) return false;
  const ByteSpan nameBytes = sectionBytes(f, names);
  bool found = false;
  for (uint64 i = 0; i < f.eh.e_shnum; ++i) {
    Elf64_Shdr sh;
    if (!sectionHeader(f, i, sh)) break;
    if (sh.sh_type == SHT_SYMTAB || (sh.sh_type == SHT_DYNSYM && !found)) {
      symtab = sh;
      found = true;
    }
    const char* name = cstrAt(nameBytes, sh.sh_name);
    if (name == nullptr) continue;
    noteDebugSection(name, sectionBytes(f, sh), s.dwarf);
    if (sameText(name, ".eh_frame")) s.ehFrame = {sh.sh_addr, sh.sh_addr + sh.sh_size};
  }
  return found;
}

// rankOf orders aliases: code before untyped labels, sized before sizeless, visible before local, tsearch before __tsearch.
uint32 rankOf(const Elf64_Sym& y, const char* name) {
  uint32 r = ELF64_ST_TYPE(y.st_info) == STT_NOTYPE ? 0 : 8;
  if (y.st_size != 0) r += 4;
  if (ELF64_ST_BIND(y.st_info) != STB_LOCAL) r += 2;
  return r + (name[0] != '_' || name[1] != '_');
}

bool isCode(const Elf64_Sym& y) {
  const unsigned type = ELF64_ST_TYPE(y.st_info);
  return (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) && y.st_shndx != SHN_UNDEF &&
         y.st_shndx < SHN_LORESERVE && y.st_name != 0;
}

void readSymbols(const ElfFile& f, const Elf64_Shdr& table, SymFile& s) {
  Elf64_Shdr strings;
  if (!sectionHeader(f, table.sh_link, strings)) return;
  s.strtab = sectionBytes(f, strings);
  MapVector<Symbol> v;
  for (Cursor c(sectionBytes(f, table)); c.left() >= sizeof(Elf64_Sym);) {
    const auto y = c.raw<Elf64_Sym>();
    uint32 off;
    const char* name = isCode(y) ? cstrAt(s.strtab, y.st_name) : nullptr;
    if (name == nullptr || !s.offsetOf(y.st_value, off)) continue;
    const uint32 size = y.st_size > UINT32_MAX ? UINT32_MAX : static_cast<uint32>(y.st_size);
    if (!v.push(Symbol{off, size, y.st_name, rankOf(y, name)})) return;
  }
  // Two stable passes: by rank, then by address; the last of equal addresses is the best.
  if (!v.sort([](const Symbol& y) { return y.rank; }) || !v.sort([](const Symbol& y) { return y.addr; }))
    return;
  std::size_t n = 0;
  for (std::size_t i = 0; i < v.size(); ++i) {
    if (i + 1 < v.size() && v[i + 1].addr == v[i].addr) continue;
    v[n++] = v[i];
  }
  std::size_t cap;
  s.syms = v.give(cap);
  s.nsyms = static_cast<uint32>(n);
}

// debugFileOf looks for split-off debug information by build id: /usr/lib/debug/.build-id/xx/yyyy.debug.
ByteSpan debugFileOf(const ElfFile& f) {
  for (uint64 i = 0; i < f.eh.e_shnum; ++i) {
    Elf64_Shdr sh;
    if (!sectionHeader(f, i, sh) || sh.sh_type != SHT_NOTE) continue;
    Cursor c(sectionBytes(f, sh));
    const uint32 nameLen = c.u32(), descLen = c.u32(), type = c.u32();
    if (c.bad || type != NT_GNU_BUILD_ID || nameLen != 4 || descLen < 2 || descLen > 32) continue;
    c.skip(4);
    char path[128] = "/usr/lib/debug/.build-id/";
    unsigned n = 25;
    for (uint32 k = 0; k < descLen; ++k) {
      const uint8 b = c.u8();
      path[n++] = "0123456789abcdef"[b >> 4];
      path[n++] = "0123456789abcdef"[b & 15];
      if (k == 0) path[n++] = '/';
    }
    for (const char* t = ".debug"; *t != 0; ++t) path[n++] = *t;
    path[n] = 0;
    return c.bad ? ByteSpan{} : mapFile(path);
  }
  return {};
}

void load(const Module& m, SymFile& s) {
  readSegments(m, s);
  // The vDSO has no file but is wholly in memory.
  ByteSpan bytes{reinterpret_cast<const uint8*>(m.map.lo),
                 reinterpret_cast<const uint8*>(alignUp(m.map.hi, kPageSize))};
  if (m.path[0] != 0) bytes = mapFile(m.path);
  if (m.path[0] != 0 && !isMapped(m, bytes)) {
    mapFree(bytes.p, bytes.size());
    return;
  }
  s.file = bytes;
  ElfFile f = openElf(bytes);
  if (!f.valid) return;
  Elf64_Shdr symtab;
  bool found = readSections(f, s, symtab);
  if ((found && symtab.sh_type == SHT_SYMTAB && !s.dwarf.line.empty()) || m.path[0] == 0) {
    if (found) readSymbols(f, symtab, s);
    return;
  }
  // Stripped: the debug package's file has .symtab and .debug_*; the sections of one file are never mixed
  // with another's.
  const ElfFile debug = openElf(debugFileOf(f));
  SymFile d;
  Elf64_Shdr debugSyms;
  if (debug.valid && readSections(debug, d, debugSyms)) {
    s.dwarf = d.dwarf;
    if (debugSyms.sh_type == SHT_SYMTAB) return readSymbols(debug, debugSyms, s);
  }
  if (found) readSymbols(f, symtab, s);
}

}  // namespace

SymFile* symFileOf(Module& m) {
  SymFile* s = m.symbols.load(Order::acquire);
  if (s != nullptr) return s;
  void* raw = mapAlloc(sizeof(SymFile));
  if (raw == nullptr) return nullptr;
  s = new (raw) SymFile;
  load(m, *s);
  return publishTable(m.symbols, s, [&](SymFile* mine) {
    if (m.path[0] != 0) mapFree(mine->file.p, mine->file.size());
    mapFree(mine, sizeof *mine);
  });
}

const Symbol* findSymbol(const SymFile& f, uint32 off) {
  std::size_t i = upperBound(f.syms, f.nsyms, off, [](const Symbol& y) { return y.addr; });
  // A label or a nested symbol may lie inside the function: look a little further down for one that covers.
  for (unsigned tries = 0; i > 0 && tries < 16; ++tries) {
    const Symbol& y = f.syms[--i];
    if (y.size != 0 ? off - y.addr < y.size : tries == 0) return &y;
  }
  return nullptr;
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
#include "unwind/symtab.hpp"

#include "unwind/dwarf.hpp"
#include "unwind/module.hpp"
#include "unwind/symfile.hpp"

namespace gort::rt {

namespace {

constexpr unsigned kMaxInlined = 32;

// Place is a code address resolved to module, file and offset.
struct Place {
  Module* module = nullptr;
  SymFile* file = nullptr;
  uint32 off = 0;
};

bool placeOf(uintptr_t pc, Place& p) {
  p.module = findModule(pc);
  if (p.module == nullptr) return false;
  p.file = symFileOf(*p.module);
  return p.file != nullptr && p.file->offsetOf(pc - p.module->bias, p.off);
}

bool nameOf(const Place& p, const char*& func, uintptr_t& entry) {
  const Symbol* y = findSymbol(*p.file, p.off);
  if (y == nullptr) return false;
  func = cstrAt(p.file->strtab, y->name);
  entry = p.module->bias + p.file->base + y->addr;
  return func != nullptr;
}

}  // namespace

bool functionAt(uintptr_t pc, const char*& func, uintptr_t& entry) {
  Place p;
  return placeOf(pc, p) && nameOf(p, func, entry);
}

const char* moduleName(uintptr_t pc) {
  const Module* m = findModule(pc);
  return m == nullptr ? "" : m->path;
}

unsigned symbolize(uintptr_t pc, Frame* frames, unsigned max) {
  if (max == 0) return 0;
  Frame outer;
  outer.pc = pc;
  Place p;
  if (!placeOf(pc, p)) {
    frames[0] = outer;
    return 1;
  }
  nameOf(p, outer.func, outer.entry);
  Unit* u = findUnit(*p.file, p.off);
  if (u == nullptr) {
    frames[0] = outer;
    return 1;
  }
  LineInfo where;
  lineAt(*p.file, *u, p.off, where);
  InlineStep steps[kMaxInlined];
  const unsigned depth = inlinesAt(*p.file, *u, p.off, steps, kMaxInlined);
  if (outer.func == nullptr) outer.func = functionNameAt(*p.file, *u, p.off);
  unsigned n = 0;
  for (unsigned i = 0; i < depth; ++i) {
    if (n + 1 < max) frames[n++] = Frame{pc, steps[i].func, where.file, where.line, outer.entry, true};
    where = LineInfo{steps[i].callFile, steps[i].callLine};
  }
  outer.file = where.file;
  outer.line = where.line;
  frames[n++] = outer;
  return n;
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Damaged ELF files and debug information must cost information, never a crash: the input is an ELF image, and the
// readers of src/unwind are asked about a spread of addresses in it.
#include <cstddef>
#include <cstdint>

#include "unwind/cfi.hpp"
#include "unwind/dwarf.hpp"
#include "unwind/module.hpp"
#include "unwind/symfile.hpp"

using namespace gort::rt;

namespace {
void ask(Module& m, SymFile& f, uint32_t off) {
  (void)findSymbol(f, off);
  if (Unit* u = findUnit(f, off)) {
    LineInfo line;
    (void)lineAt(f, *u, off, line);
    (void)fileName(f, *u, off);
    InlineStep steps[8];
    const char* outer = nullptr;
    (void)inlinesAt(f, *u, off, steps, 8, outer);
  }
  FrameInfo info;
  (void)findFrame(m, m.map.lo + off, info);
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size < 64) return 0;
  Module m{};
  m.map = {reinterpret_cast<uintptr_t>(data), reinterpret_cast<uintptr_t>(data) + size};
  m.bias = m.map.lo;
  m.exec[0] = m.map;
  m.image = data;
  m.imageSize = 64;
  m.path = "";
  SymFile* f = symFileOf(m);
  if (f == nullptr) return 0;
  for (uint32_t off = 0; off < size && off < 4096; off += 61) ask(m, *f, off);
  return 0;
}

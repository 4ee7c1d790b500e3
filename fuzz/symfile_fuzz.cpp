// SPDX-License-Identifier: Apache-2.0
// Damaged ELF files and debug information must cost information, never a crash: the input is an ELF image, and the
// readers of src/unwind are asked about a spread of addresses in it. An image without a file is whole pages of memory
// (the vDSO): it stands in front of an unreadable page.
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "unwind/cfi.hpp"
#include "unwind/dwarf.hpp"
#include "unwind/module.hpp"
#include "unwind/symfile.hpp"

using namespace gort::rt;

namespace {

constexpr std::size_t kRoom = std::size_t{1} << 20;

// place puts the input on the last pages of one fenced room, zeroes behind it.
const uint8_t* place(const uint8_t* data, std::size_t size) {
  static uint8_t* room = [] {
    auto* p = static_cast<uint8_t*>(
        mmap(nullptr, kRoom + kPageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(p + kRoom, kPageSize, PROT_NONE);
    return p;
  }();
  uint8_t* at = room + kRoom - alignUp(size, kPageSize);
  std::memcpy(at, data, size);
  std::memset(at + size, 0, static_cast<std::size_t>(room + kRoom - (at + size)));
  return at;
}

void ask(Module& m, SymFile& f, uint32_t off) {
  (void)findSymbol(f, off);
  if (Unit* u = findUnit(f, off)) {
    LineInfo line;
    (void)lineAt(f, *u, off, line);
    (void)fileName(f, *u, off);
    InlineStep steps[8];
    (void)inlinesAt(f, *u, off, steps, 8);
    (void)functionNameAt(f, *u, off);
  }
  FrameInfo info;
  (void)findFrame(m, m.map.lo + off, info);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size < 64 || size > kRoom) return 0;
  const uint8_t* image = place(data, size);
  Module m{};
  m.map = {reinterpret_cast<uintptr_t>(image), reinterpret_cast<uintptr_t>(image) + size};
  m.bias = m.map.lo;
  m.exec[0] = m.map;
  m.image = image;
  m.imageSize = 64;
  m.path = "";
  SymFile* f = symFileOf(m);
  if (f == nullptr) return 0;
  for (uint32_t off = 0; off < size && off < 4096; off += 61) ask(m, *f, off);
  return 0;
}

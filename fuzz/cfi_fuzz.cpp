// SPDX-License-Identifier: Apache-2.0
// DWARF expressions of unwind tables: any bytes, a stack of ours; no load outside its bounds, no endless loop.
#include <cstddef>
#include <cstdint>

#include "unwind/cfi.hpp"
#include "unwind/traceback.hpp"

using namespace gort::rt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  uintptr_t words[64];
  for (uintptr_t i = 0; i < 64; ++i) words[i] = i * 3;
  Regs regs{};
  StackBounds stack{};
  stack.lo = reinterpret_cast<uintptr_t>(words);
  stack.hi = reinterpret_cast<uintptr_t>(words + 64);
  for (unsigned i = 0; i < Regs::kCount; ++i) regs.at(i) = stack.lo + i * 8;
  ByteSpan section;
  section.p = data;
  section.end = data + size;
  uintptr_t initial = stack.lo, result = 0;
  (void)evalExpression({reinterpret_cast<uintptr_t>(data), section, &regs, &stack}, &initial, result);
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Call frame information of one module: finds the entry of a pc and runs its program up to that pc.
// Ownership:  results point into the module's .eh_frame.
// Format:     Linux Standard Base "eh_frame", DWARF 5 section 6.4. The sorted table of .eh_frame_hdr when it
//             has the usual encoding (datarel sdata4), else a walk over the section; a table of our own where
//             there is none.
#pragma once
#include "base/types.hpp"
#include "unwind/cursor.hpp"
#include "unwind/module.hpp"
#include "unwind/traceback.hpp"

namespace gort::rt {

struct CfiRule {
  enum Kind : uint8 { kSame, kUndefined, kOffset, kValOffset, kRegister, kExpression, kValExpression };
};

// FrameRow says how to get the caller's registers at one pc.
struct FrameRow {
  int64 value[Regs::kCount] = {};  // offset from the CFA, register number, or address of an expression block
  uint8 kind[Regs::kCount] = {};   // CfiRule::Kind
  bool cfaIsExpression = false;
  uint8 cfaReg = Regs::kSp;
  int64 cfa = 0;  // offset, or address of an expression block
};

struct FrameInfo {
  FrameRow row;
  ByteSpan section;  // where expression blocks may be read
  bool signalFrame = false;
  uint8 raReg = Regs::kPc;
};

// findFrame fills info for the code at pc. False: no entry covers it, or the entry is damaged.
bool findFrame(Module& m, uintptr pc, FrameInfo& info);

// evalExpression runs a DWARF expression block (uleb length + bytes at `block`) with `initial` on its stack.
// Loads go through the stack bounds. False: unknown operation, bad load, or empty stack at the end.
struct Expression {
  uintptr block;
  ByteSpan section;
  const Regs* regs;
  const StackBounds* stack;
};
bool evalExpression(const Expression& e, const uintptr* initial, uintptr& result);

// loadStack reads a word that lies wholly inside the bounds.
inline bool loadStack(const StackBounds& s, uintptr a, uintptr& v) {
  const bool in = a >= s.lo && a < s.hi && s.hi - a >= sizeof v;
  const bool inAlt = a >= s.altLo && a < s.altHi && s.altHi - a >= sizeof v;
  if (!in && !inAlt) return false;
  __builtin_memcpy(&v, reinterpret_cast<const void*>(a),
                   sizeof v);  // SAFETY: readable by the caller's promise
  return true;
}

}  // namespace gort::rt

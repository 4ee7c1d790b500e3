// SPDX-License-Identifier: Apache-2.0
// From code address to function, file and line, inside the process.     (Go: symtab.go, Func, CallersFrames)
// Source:     .symtab (else .dynsym) for functions, .debug_line for lines, .debug_info for inlined calls, all
//             read from the module's file through a private read-only mapping; its headers are compared with
//             memory first. Stripped: /usr/lib/debug/.build-id is asked. Compressed debug sections count as
//             absent.
// Ownership:  every string returned points into such a mapping or into tables that live as long as the
//             process.
// Cost:       the first address of a module builds its sorted tables, the first of a compilation unit decodes
//             that unit (milliseconds, mmap'ed memory); later ones are binary searches (0.2 us).
// Safety:     no lock, no malloc, usable in a signal handler. Needs up to 8 KiB of stack: not for the 16 KiB
//             slack of a deep goroutine. A file that is truncated while it is mapped can still raise SIGBUS.
// Damaged or missing debug information costs information, never a crash: file null and line 0, or func null.
#pragma once
#include "base/types.hpp"

namespace gort::rt {

struct Frame {
  uintptr_t pc = 0;
  const char* func = nullptr;  // as in the symbol table (mangled); plain ns::f::{lambda} where the compiler
                               // gave none; or null
  const char* file = nullptr;  // may be null
  uint32_t line = 0;           // 0: not known
  uintptr_t entry = 0;         // start of the function that holds pc, 0: not known
  bool inlined = false;        // func was inlined into the next frame
};

// symbolize describes the code at pc: innermost inlined function first, the function that really holds pc
// last (the only one with inlined == false). Returns the number of frames written, at least 1 if max > 0. A
// return pc of a trace must be passed as pc-1; frames carry the pc that was passed.
unsigned symbolize(uintptr_t pc, Frame* frames, unsigned max);

// functionAt gives the symbol alone (no debug information): name and entry. False: no symbol covers pc.
bool functionAt(uintptr_t pc, const char*& func, uintptr_t& entry);

// moduleName is the file that maps pc, "" when none does.
const char* moduleName(uintptr_t pc);

}  // namespace gort::rt

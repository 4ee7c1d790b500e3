// SPDX-License-Identifier: Apache-2.0
// Goroutine dumps of a living process.      (Go: runtime.Stack, debug.PrintStack)
#pragma once
#include "base/print.hpp"
#include "unwind/traceback.hpp"

namespace gort::rt {

// dumpStacks writes the current goroutine's stack from `start`, and with `all` every other goroutine's too,
// with the world stopped. `write` is called on g0: it must not block on anything a goroutine holds, nor
// allocate. Requires: inside the runtime (Entry).
void dumpStacks(WriteFn write, void* arg, const Regs& start, bool all);

}  // namespace gort::rt

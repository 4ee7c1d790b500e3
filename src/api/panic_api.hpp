// SPDX-License-Identifier: Apache-2.0
// What the bodies of the public surface share about panics and stack texts.
#pragma once
#include <gort/config.hpp>
#include <string>
#include <typeinfo>

#include "lang/panic.hpp"
#include "unwind/traceback.hpp"

namespace gort {
inline namespace GORT_ABI {

// swallowed ends the program: somebody caught a panic_unwind and did not rethrow it. `at`: inside the
// destructor.
[[noreturn]] void swallowed(const char* text, const rt::Regs& at);
// unwind_fast ends the call of target's body and continues in run_frame behind it, if no frame between `from`
// and there has anything to clean up. Returns only if it cannot be done.
void unwind_fast(rt::FuncFrame& target, const rt::Regs& from);
std::string type_text(const std::type_info& t);
// stack_text is the current goroutine's traceback from `start` (nullptr: from the caller), or all
// goroutines'.
std::string stack_text(const rt::Regs* start, bool all);

}  // namespace GORT_ABI
}  // namespace gort

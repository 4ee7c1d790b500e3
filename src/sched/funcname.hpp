// SPDX-License-Identifier: Apache-2.0
// Names for people: from a C++ symbol to "ns::type::function", without parameter lists (Go: printFuncName).
// Needs the stack of the demangler (about 25 KiB at worst): g0 or a thread's, not a goroutine's.
#pragma once
#include "base/types.hpp"

namespace gort::rt {

// funcName writes the readable form of a symbol (mangled, or plain as from C) into buf, always terminated,
// and returns its length. The inline namespace of the public API is left out. What cannot be read is copied
// as it stands.
std::size_t funcName(const char* symbol, char* buf, std::size_t cap);
// typeName is the same for the mangled name of a type (type_info::name()).
std::size_t typeName(const char* symbol, char* buf, std::size_t cap);

}  // namespace gort::rt

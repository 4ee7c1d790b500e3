// SPDX-License-Identifier: Apache-2.0
// Names for people: from a C++ symbol to "ns::type::function", without template and parameter lists (Go: printFuncName).
#pragma once
#include "base/types.hpp"

namespace gort::rt {

// funcName writes the readable form of a symbol (mangled, or plain as from C) into buf, always terminated, and returns its
// length. Template arguments become <...>, lambdas {lambda}, the inline namespace of the public API is left out. What the
// reader does not understand is copied as it stands. No memory, no locks; a few hundred bytes of stack per nesting level,
// at most 64 levels.
std::size_t funcName(const char* symbol, char* buf, std::size_t cap);
// typeName is the same for the mangled name of a type (type_info::name()).
std::size_t typeName(const char* symbol, char* buf, std::size_t cap);

}  // namespace gort::rt

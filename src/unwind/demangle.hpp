// SPDX-License-Identifier: Apache-2.0
// C++ names from symbols: a demangler of the Itanium ABI that allocates nothing.
// Styles:     kFull writes what c++filt writes (equal on 87 000 symbols of libstdc++, LLVM, Clang, Boost).
//             kTrace writes what a traceback wants: no parameters, no return type, no clone suffix, lambdas
//             as {lambda#1}, template arguments of more than 80 characters as <...>.
// Stack:      10 KiB for the tree plus 0.4 KiB per level of nesting (at most 48 levels): g0 or a thread's
//             stack, never the 16 KiB slack of a goroutine.
#pragma once
#include <cstddef>

#include "base/types.hpp"

namespace gort::rt {

enum class DemangleStyle : uint8 { kFull, kTrace };

// demangle writes the readable form of a symbol, NUL-terminated, and returns its length without the NUL.
// 0: not a mangled name, beyond this demangler, or longer than the buffer; buf is then empty.
std::size_t demangle(const char* mangled, char* buf, std::size_t cap, DemangleStyle style);

// demangleOr writes the mangled name itself (cut to fit) when it cannot be demangled.
std::size_t demangleOr(const char* mangled, char* buf, std::size_t cap, DemangleStyle style);

}  // namespace gort::rt

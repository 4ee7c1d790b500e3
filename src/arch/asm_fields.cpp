// SPDX-License-Identifier: Apache-2.0
// Holds asm_fields.tbl against the C++ layout.
#include <cstddef>

#include "schema/runtime2.hpp"

namespace gort::rt {
#define FIELD(name, type, member, offset) static_assert(offsetof(type, member) == offset, #name);
#include "arch/asm_fields.tbl"
#undef FIELD
}  // namespace gort::rt

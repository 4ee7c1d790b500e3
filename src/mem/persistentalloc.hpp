// SPDX-License-Identifier: Apache-2.0
// Memory that is never freed, for the runtime's own records.      (Go: malloc.go, persistentalloc)
#pragma once
#include "base/types.hpp"

namespace gort::rt {

// persistentalloc returns zeroed memory aligned to `align` (a power of two <= 4096). Never fails: out of memory is fatal.
// Thread-safe. Runs on: any stack, no locks of rank >= persistent held.
void* persistentalloc(std::size_t size, std::size_t align);

}  // namespace gort::rt

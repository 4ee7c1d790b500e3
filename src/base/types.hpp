// SPDX-License-Identifier: Apache-2.0
// The words every floor uses: fixed-width integers, alignment helpers, likely/unlikely.
#pragma once
#include <cstddef>
#include <cstdint>

namespace gort::rt {

using int32 = std::int32_t;
using int64 = std::int64_t;
using uint8 = std::uint8_t;
using uint16 = std::uint16_t;
using uint32 = std::uint32_t;
using uint64 = std::uint64_t;
using uintptr = std::uintptr_t;

inline constexpr std::size_t kPageSize = 4096;  // the OS page of every machine we run on; checked in osinit
inline constexpr std::size_t kCacheLineSize = 64;

constexpr uintptr alignUp(uintptr n, uintptr a) { return (n + a - 1) & ~(a - 1); }
constexpr uintptr alignDown(uintptr n, uintptr a) { return n & ~(a - 1); }
constexpr bool isPowerOfTwo(uintptr n) { return n != 0 && (n & (n - 1)) == 0; }

}  // namespace gort::rt

#define GORT_LIKELY(x) (__builtin_expect(!!(x), 1))
#define GORT_UNLIKELY(x) (__builtin_expect(!!(x), 0))

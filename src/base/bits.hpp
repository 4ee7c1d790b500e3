// SPDX-License-Identifier: Apache-2.0
// Bit arithmetic without <bit>'s out-of-line helpers, and the 128-bit multiply that random numbers need.
#pragma once
#include "base/types.hpp"

namespace gort::rt {

constexpr int leadingZeros64(uint64 x) { return x == 0 ? 64 : __builtin_clzll(x); }
constexpr int trailingZeros64(uint64 x) { return x == 0 ? 64 : __builtin_ctzll(x); }
constexpr int len64(uint64 x) { return 64 - leadingZeros64(x); }
constexpr uint64 roundUpPowerOfTwo(uint64 x) { return x <= 1 ? 1 : uint64{1} << len64(x - 1); }

// reduce maps a 32-bit random number to [0, n) without a division (Lemire).
constexpr uint32 reduce(uint32 r, uint32 n) { return static_cast<uint32>((uint64{r} * n) >> 32); }

}  // namespace gort::rt

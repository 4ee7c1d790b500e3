// SPDX-License-Identifier: Apache-2.0
// Invariant tiers: GORT_CHECK always on and cheap; GORT_DCHECK debug builds; GORT_XCHECK walks structures (debug, slow).
#pragma once
#include "base/fatal_port.hpp"
#include "base/types.hpp"

#if !defined(GORT_DEBUG)
#define GORT_DEBUG 0
#endif

#define GORT_CHECK(cond, text)                            \
  do {                                                    \
    if (GORT_UNLIKELY(!(cond))) ::gort::rt::throw_(text); \
  } while (false)

#if GORT_DEBUG
#define GORT_DCHECK(cond, text) GORT_CHECK(cond, text)
#else
#define GORT_DCHECK(cond, text) \
  do {                          \
  } while (false && (cond))
#endif
#define GORT_XCHECK(cond, text) GORT_DCHECK(cond, text)

namespace gort::rt {
inline constexpr bool kDebug = GORT_DEBUG != 0;
}  // namespace gort::rt

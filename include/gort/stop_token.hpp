// SPDX-License-Identifier: Apache-2.0
// Between std::stop_token and context. In a header of its own: <stop_token> is not cheap.
#pragma once
#include <gort/context.hpp>

#include <stop_token>

namespace gort {
inline namespace GORT_ABI {

// with_stop makes a child of parent that is also cancelled by a request to stop.
GORT_API scoped_context with_stop(const context& parent, std::stop_token st);
// to_stop_token gives a token whose stop is requested, on a goroutine of its own, after the context has
// ended.
[[nodiscard]] GORT_API std::stop_token to_stop_token(const context& c);

}  // namespace GORT_ABI
}  // namespace gort

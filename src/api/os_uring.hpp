// SPDX-License-Identifier: Apache-2.0
// Operations on regular files through io_uring.   Essay in os_uring.cpp.
#pragma once
#include "os/uring_raw.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace os {
namespace detail {

// GODEBUG=iouring: 0 never, 1 for what has to wait for the device, 2 for everything (tests).
int ring_mode();
// through_ring does one operation and parks the goroutine meanwhile. False: there is no ring, or it takes no more; nothing
// has been done; nor on a foreign thread, which waits by itself.
bool through_ring(rt::os::UringEntry e, long* result);
rt::uint64 ring_operations();  // done so far

}  // namespace detail
}  // namespace os
}  // namespace GORT_ABI
}  // namespace gort

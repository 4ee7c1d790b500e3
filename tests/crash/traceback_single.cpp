// SPDX-License-Identifier: Apache-2.0
// GOTRACEBACK unset: the goroutine that panicked, and no other.
// EXIT: 2
// STDERR: ^panic: boom$
// STDERR: ^goroutine 1 \[running\]:
// STDERR-NOT: chan receive
#include "waiter.hpp"
int main() {
  return fail_beside_a_waiter([] { gort::panic("boom"); });
}

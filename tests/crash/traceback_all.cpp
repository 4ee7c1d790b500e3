// SPDX-License-Identifier: Apache-2.0
// RUN-ENV: GOTRACEBACK=all
// EXIT: 2
// STDERR: ^goroutine 1 \[running\]:
// STDERR: \n\ngoroutine \d+ \[chan receive\]:\n
// STDERR: ^waiter\(
// STDERR: ^created by
// STDERR-NOT: gort::rt::
#include "waiter.hpp"
int main() {
  return fail_beside_a_waiter([] { gort::panic("boom"); });
}

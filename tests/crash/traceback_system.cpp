// SPDX-License-Identifier: Apache-2.0
// Runtime frames and addresses of the machinery show from level 2 on.
// RUN-ENV: GOTRACEBACK=system
// EXIT: 2
// STDERR: ^goroutine 1 gp=0x[0-9a-f]+ m=\d+ mp=0x[0-9a-f]+ \[running\]:
// STDERR: ^gort::rt::
// STDERR: ^goroutine \d+ gp=0x[0-9a-f]+ m=nil \[chan receive\]:
#include "waiter.hpp"
int main() {
  return fail_beside_a_waiter([] { gort::panic("boom"); });
}

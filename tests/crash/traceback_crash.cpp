// SPDX-License-Identifier: Apache-2.0
// RUN-ENV: GOTRACEBACK=crash
// SIGNAL: 6
// STDERR: ^panic: boom$
// STDERR: ^goroutine \d+ gp=0x[0-9a-f]+ m=nil \[chan receive\]:
#include "waiter.hpp"
int main() {
  return fail_beside_a_waiter([] { gort::panic("boom"); });
}

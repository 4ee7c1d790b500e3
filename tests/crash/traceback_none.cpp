// SPDX-License-Identifier: Apache-2.0
// RUN-ENV: GOTRACEBACK=none
// EXIT: 2
// STDERR: \Apanic: boom\n\Z
#include "waiter.hpp"
int main() {
  return fail_beside_a_waiter([] { gort::panic("boom"); });
}

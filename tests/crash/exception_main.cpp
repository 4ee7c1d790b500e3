// SPDX-License-Identifier: Apache-2.0
// The same for the main goroutine, and for a type that is no std::exception.
// EXIT: 2
// STDERR: \Apanic: exception of type weird\n\ngoroutine 1 \[running\]:
#include <gort/gort.hpp>

struct weird {};
int main() {
  return gort::run([] { throw weird{}; });
}

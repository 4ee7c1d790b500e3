// SPDX-License-Identifier: Apache-2.0
// std::terminate without an exception.
// EXIT: 2
// STDERR: ^fatal error: std::terminate called without an active exception
// STDERR: ^goroutine 1 \[running\]:
#include <gort/gort.hpp>

#include <exception>
int main() {
  return gort::run([] { std::terminate(); });
}

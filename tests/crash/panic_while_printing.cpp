// SPDX-License-Identifier: Apache-2.0
// A value whose text cannot be had: no endless loop, exit status 2.
// EXIT: 2
// STDERR: ^panic:
#include <gort/gort.hpp>

#include <stdexcept>
struct hostile {
  std::string message() const { throw std::runtime_error("no text"); }
};
int main() {
  return gort::run([] { gort::panic(hostile{}); });
}

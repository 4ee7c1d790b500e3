// SPDX-License-Identifier: Apache-2.0
// Symbol names for people, and the values of GODEBUG: any text, any buffer size; always terminated, never beyond it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "sched/funcname.hpp"

using namespace gort::rt;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string symbol(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t cap = 1 + data[0];
  char* buf = new char[cap];
  if (funcName(symbol.c_str(), buf, cap) >= cap) std::abort();
  if (typeName(symbol.c_str(), buf, cap) >= cap) std::abort();
  delete[] buf;
  return 0;
}

// SPDX-License-Identifier: Apache-2.0
// Readable names over the demangler of the unwind floor; contract in funcname.hpp.
#include "sched/funcname.hpp"

#include "unwind/demangle.hpp"

namespace gort::rt {

namespace {

constexpr char kInline[] = "gort::v1::";
constexpr std::size_t kKeep = 6, kDrop = 4;  // "gort::" stays, "v1::" goes

bool matches(const char* s, const char* what) {
  while (*what != 0) {
    if (*s++ != *what++) return false;
  }
  return true;
}

// dropInlineNamespace shortens gort::v1:: to gort:: wherever it stands.
std::size_t dropInlineNamespace(char* s) {
  char* out = s;
  for (const char* in = s; *in != 0;) {
    if (*in == 'g' && matches(in, kInline)) {
      for (std::size_t i = 0; i < kKeep; ++i) *out++ = *in++;
      in += kDrop;
    } else {
      *out++ = *in++;
    }
  }
  *out = 0;
  return static_cast<std::size_t>(out - s);
}

}  // namespace

std::size_t funcName(const char* symbol, char* buf, std::size_t cap) {
  if (cap == 0) return 0;
  demangleOr(symbol, buf, cap, DemangleStyle::kTrace);
  return dropInlineNamespace(buf);
}

std::size_t typeName(const char* symbol, char* buf, std::size_t cap) {
  static constexpr char kPrefix[] = "_ZTI", kText[] = "typeinfo for ";
  constexpr std::size_t kMaxSymbol = 1000, kTextLen = sizeof kText - 1;
  if (cap == 0) return 0;
  if (*symbol == '*') ++symbol;  // names with internal linkage
  char mangled[sizeof kPrefix + kMaxSymbol];
  std::size_t n = 0;
  for (; kPrefix[n] != 0; ++n) mangled[n] = kPrefix[n];
  const std::size_t len = __builtin_strlen(symbol);
  if (len <= kMaxSymbol) {
    for (std::size_t i = 0; i <= len; ++i) mangled[n + i] = symbol[i];
    if (demangle(mangled, buf, cap, DemangleStyle::kFull) > kTextLen && matches(buf, kText)) {
      std::size_t i = 0;
      for (; buf[kTextLen + i] != 0; ++i) buf[i] = buf[kTextLen + i];
      buf[i] = 0;
      return dropInlineNamespace(buf);
    }
  }
  std::size_t i = 0;
  for (; symbol[i] != 0 && i + 1 < cap; ++i) buf[i] = symbol[i];
  buf[i] = 0;
  return i;
}

}  // namespace gort::rt

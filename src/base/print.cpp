// SPDX-License-Identifier: Apache-2.0
#include "base/print.hpp"

namespace gort::rt {

namespace {
void discard(void*, const char*, std::size_t) {}
constinit WriteFn defaultFn = discard;
constinit void* defaultArg = nullptr;
}  // namespace

Printer::Printer() : fn_(defaultFn), arg_(defaultArg) {}

void Printer::setDefaultWriter(WriteFn fn, void* arg) {
  defaultFn = fn;
  defaultArg = arg;
}

Printer& Printer::operator<<(const char* s) {
  if (s == nullptr) s = "(null)";
  while (*s != 0) put(*s++);
  return *this;
}

Printer& Printer::operator<<(char c) {
  put(c);
  return *this;
}

Printer& Printer::operator<<(Hex h) {
  char tmp[16];
  unsigned n = 0;
  do {
    tmp[n++] = "0123456789abcdef"[h.v & 15];
    h.v >>= 4;
  } while (h.v != 0);
  put('0');
  put('x');
  while (n > 0) put(tmp[--n]);
  return *this;
}

Printer& Printer::number(uint64 v) {
  char tmp[20];
  unsigned n = 0;
  do {
    tmp[n++] = static_cast<char>('0' + v % 10);
    v /= 10;
  } while (v != 0);
  while (n > 0) put(tmp[--n]);
  return *this;
}

Printer& Printer::write(const char* s, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) put(s[i]);
  return *this;
}

Printer& Printer::fixed(uint64 v, unsigned decimals) {
  uint64 scale = 1;
  for (unsigned i = 0; i < decimals; ++i) scale *= 10;
  number(v / scale);
  if (decimals == 0) return *this;
  put('.');
  v %= scale;
  for (scale /= 10; scale > 0; scale /= 10) put(static_cast<char>('0' + v / scale % 10));
  return *this;
}

void Printer::flush() {
  if (n_ > 0) fn_(arg_, buf_, n_);
  n_ = 0;
}

void FixedBuffer::write(void* self, const char* s, std::size_t n) {
  auto* b = static_cast<FixedBuffer*>(self);
  for (std::size_t i = 0; i < n && b->len < b->cap; ++i) b->data[b->len++] = s[i];
}

}  // namespace gort::rt

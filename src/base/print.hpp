// SPDX-License-Identifier: Apache-2.0
// The runtime's own printing: formats into a fixed buffer and writes with the raw system call. No malloc, no stdio, no
// locale, usable in a signal handler and on any stack (the buffer is 256 bytes).   (Go: print.go)
// One Printer is used by one thread; lines that must not interleave are kept together by flushing once (dumps hold the
// print lock of their caller).
#pragma once
#include <concepts>

#include "base/types.hpp"

namespace gort::rt {

// WriteFn receives finished bytes. Returns nothing: a dump that cannot be written is lost, never fatal.
using WriteFn = void (*)(void* arg, const char* data, std::size_t n);

struct Hex {
  uint64 v;
};

class Printer {
 public:
  Printer();  // writes to fd 2 (defined by the os floor's fd writer through setDefaultWriter)
  Printer(WriteFn fn, void* arg) : fn_(fn), arg_(arg) {}
  Printer(const Printer&) = delete;
  Printer& operator=(const Printer&) = delete;
  ~Printer() { flush(); }

  Printer& operator<<(const char* s);
  Printer& operator<<(char c);
  Printer& operator<<(bool b) { return *this << (b ? "true" : "false"); }
  Printer& operator<<(Hex h);
  Printer& operator<<(const void* p) { return *this << Hex{reinterpret_cast<uint64>(p)}; }
  template <std::integral I>
  requires(!std::same_as<I, char> && !std::same_as<I, bool>) Printer& operator<<(I v) {
    if constexpr (std::is_signed_v<I>) {
      if (v < 0) {
        put('-');
        return number(uint64{0} - static_cast<uint64>(v));
      }
    }
    return number(static_cast<uint64>(v));
  }
  Printer& write(const char* s, std::size_t n);
  // fixed prints v / 10^decimals with exactly `decimals` digits behind the point.
  Printer& fixed(uint64 v, unsigned decimals);
  void flush();

  // setDefaultWriter says where Printer() writes. Called once by the os floor before the first print.
  static void setDefaultWriter(WriteFn fn, void* arg);

 private:
  void put(char c) {
    if (n_ == sizeof buf_) flush();
    buf_[n_++] = c;
  }
  Printer& number(uint64 v);

  WriteFn fn_;
  void* arg_;
  std::size_t n_ = 0;
  char buf_[256];
};

// FixedBuffer is a WriteFn target in the caller's memory; what does not fit is dropped, `len` never exceeds `cap`.
struct FixedBuffer {
  char* data;
  std::size_t cap;
  std::size_t len = 0;
  static void write(void* self, const char* s, std::size_t n);
};

}  // namespace gort::rt

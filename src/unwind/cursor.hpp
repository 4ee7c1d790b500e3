// SPDX-License-Identifier: Apache-2.0
// Bounds-checked reader over bytes that nobody vouches for: ELF sections, CFI, DWARF.
// Ownership:  none; a Cursor is a view.
// Invariants: (1) p <= end.
//             (2) once a read would cross `end` the cursor is `bad`, stays bad, and every further read gives
//             zero: callers check once at the end of a group of reads, loops check at their head.
#pragma once
#include "base/types.hpp"

namespace gort::rt {

struct ByteSpan {
  const uint8* p = nullptr;
  const uint8* end = nullptr;
  std::size_t size() const { return static_cast<std::size_t>(end - p); }
  bool empty() const { return p == end; }
};

struct Cursor {
  const uint8* p;
  const uint8* end;
  bool bad = false;

  Cursor(const uint8* b, const uint8* e) : p(b), end(e) {}
  explicit Cursor(ByteSpan s) : p(s.p), end(s.end) {}
  // at starts `off` bytes into s; past the end it is born bad.
  static Cursor at(ByteSpan s, uint64 off) {
    Cursor c(s);
    if (off > s.size()) {
      c.fail();
    } else {
      c.p += off;
    }
    return c;
  }

  std::size_t left() const { return static_cast<std::size_t>(end - p); }
  bool more() const { return !bad && p < end; }
  void fail() {
    bad = true;
    p = end;
  }
  bool need(uint64 n) {
    if (n <= left()) return true;
    fail();
    return false;
  }
  void skip(uint64 n) {
    if (need(n)) p += n;
  }
  // cut narrows the view to the next n bytes and returns them; the cursor moves behind them.
  Cursor cut(uint64 n) {
    if (!need(n)) return Cursor(end, end);
    Cursor c(p, p + n);
    p += n;
    return c;
  }
  uint64 fixed(unsigned n) {
    if (!need(n)) return 0;
    uint64 v = 0;
    for (unsigned i = 0; i < n; ++i) v |= uint64{p[i]} << (8 * i);
    p += n;
    return v;
  }
  template <class T>
  T raw() {
    T v{};
    if (need(sizeof(T))) {
      __builtin_memcpy(&v, p, sizeof(T));
      p += sizeof(T);
    }
    return v;
  }
  uint8 u8() { return raw<uint8>(); }
  uint16 u16() { return raw<uint16>(); }
  uint32 u32() { return raw<uint32>(); }
  uint64 u64() { return raw<uint64>(); }
  uint64 offset(bool is64) { return is64 ? u64() : u32(); }
  uint64 uleb() {
    uint64 v = 0;
    for (unsigned shift = 0;; shift += 7) {
      if (!need(1)) return 0;
      const uint8 b = *p++;
      if (shift < 64) v |= uint64{b & 0x7fu} << shift;
      if ((b & 0x80) == 0) return v;
    }
  }
  int64 sleb() {
    uint64 v = 0;
    for (unsigned shift = 0;;) {
      if (!need(1)) return 0;
      const uint8 b = *p++;
      if (shift < 64) v |= uint64{b & 0x7fu} << shift;
      shift += 7;
      if ((b & 0x80) != 0) continue;
      if (shift < 64 && (b & 0x40) != 0) v |= ~uint64{0} << shift;
      return static_cast<int64>(v);
    }
  }
  // cstr returns a string that is known to end inside the view, else "" and bad.
  const char* cstr() {
    const uint8* s = p;
    while (p < end && *p != 0) ++p;
    if (p == end) {
      fail();
      return "";
    }
    ++p;
    return reinterpret_cast<const char*>(s);
  }
};

// cstrAt is the string at `off` in a string section, nullptr when it does not end inside it.
inline const char* cstrAt(ByteSpan s, uint64 off) {
  Cursor c = Cursor::at(s, off);
  const char* t = c.cstr();
  return c.bad ? nullptr : t;
}

inline bool sameText(const char* a, const char* b) {
  while (*a != 0 && *a == *b) {
    ++a;
    ++b;
  }
  return *a == *b;
}

}  // namespace gort::rt

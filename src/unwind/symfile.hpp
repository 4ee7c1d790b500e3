// SPDX-License-Identifier: Apache-2.0
// The symbol and debug sections of one module, and what was built from them. Private to src/unwind. Addresses
// here are link-time addresses relative to the module's lowest one, 31 bits wide ("module offset").
// Invariants: (1) every table is sorted by address before it is published and never changes after.
// Ordering:   each lazily built table is one pointer: built privately, then cas(nullptr -> table, release)
//             <-> load(acquire); the loser frees its copy.
#pragma once
#include "base/atomic.hpp"
#include "unwind/cursor.hpp"
#include "unwind/file_map.hpp"
#include "unwind/module.hpp"

namespace gort::rt {

struct Symbol {
  uint32 addr;
  uint32 size;
  uint32 name;  // offset into strtab
  uint32 rank;  // better symbols at one address have the larger rank
};

struct UnitTable;  // dwarf_unit.hpp

struct DwarfSections {
  ByteSpan info, abbrev, line, str, lineStr, ranges, rnglists, addr, strOffsets;
};

struct SymFile {
  ByteSpan file;  // empty: no usable file
  ByteSpan strtab;
  Symbol* syms = nullptr;
  uint32 nsyms = 0;
  uint64 base = 0;                   // lowest link-time address of the module
  AddrRange exec[Module::kMaxExec];  // link-time
  AddrRange ehFrame;                 // link-time place of .eh_frame
  DwarfSections dwarf;
  Atomic<UnitTable*> units;

  // offsetOf is the module offset of a link-time address in code; false for anything else (sections the
  // linker dropped).
  bool offsetOf(uint64 addr, uint32& off) const {
    for (const AddrRange& r : exec) {
      if (!r.contains(addr)) continue;
      off = static_cast<uint32>(addr - base);
      return addr - base < (uint64{1} << 31);
    }
    return false;
  }
};

// symFileOf returns the module's tables, made at the first call; never null unless memory is refused.
SymFile* symFileOf(Module& m);

// findSymbol returns the symbol that covers the module offset.
const Symbol* findSymbol(const SymFile& f, uint32 off);

// radixSort sorts n items by the 32-bit key that keyOf gives; stable. `tmp` has room for n items.
template <class T, class KeyOf>
void radixSort(T* items, T* tmp, std::size_t n, KeyOf keyOf) {
  for (unsigned shift = 0; shift < 32; shift += 8) {
    std::size_t count[257] = {};
    for (std::size_t i = 0; i < n; ++i) ++count[((keyOf(items[i]) >> shift) & 0xff) + 1];
    bool oneBucket = false;
    for (unsigned b = 1; b <= 256; ++b) oneBucket = oneBucket || count[b] == n;
    if (oneBucket) continue;
    for (unsigned b = 0; b < 256; ++b) count[b + 1] += count[b];
    for (std::size_t i = 0; i < n; ++i) tmp[count[(keyOf(items[i]) >> shift) & 0xff]++] = items[i];
    for (std::size_t i = 0; i < n; ++i) items[i] = tmp[i];
  }
}

// upperBound is the number of items whose key is <= `key` in a sorted array.
template <class T, class KeyOf>
std::size_t upperBound(const T* items, std::size_t n, uint32 key, KeyOf keyOf) {
  std::size_t lo = 0, hi = n;
  while (lo < hi) {
    const std::size_t mid = lo + (hi - lo) / 2;
    if (keyOf(items[mid]) <= key) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

// publishTable installs a freshly built table, or drops it when another thread was first. Returns the one in
// force.
template <class T, class Drop>
T* publishTable(Atomic<T*>& where, T* fresh, Drop drop) {
  T* seen = nullptr;
  if (where.compareExchange(seen, fresh, Order::acqRel, Order::acquire)) return fresh;
  drop(fresh);
  return seen;
}

// Growing array over mmap for builders; give() hands the memory over.
template <class T>
class MapVector {
 public:
  MapVector() = default;
  MapVector(const MapVector&) = delete;
  MapVector& operator=(const MapVector&) = delete;
  ~MapVector() {
    if (data_ != nullptr) unmapArray(data_, cap_);
  }
  bool push(const T& v) {
    if (n_ == cap_ && !grow()) return false;
    data_[n_++] = v;
    return true;
  }
  T& operator[](std::size_t i) { return data_[i]; }
  T* data() { return data_; }
  std::size_t size() const { return n_; }
  bool empty() const { return n_ == 0; }
  T& back() { return data_[n_ - 1]; }
  void pop() { --n_; }
  template <class KeyOf>
  bool sort(KeyOf keyOf) {
    if (n_ < 2) return true;
    T* tmp = mapArray<T>(n_);
    if (tmp == nullptr) return false;
    radixSort(data_, tmp, n_, keyOf);
    unmapArray(tmp, n_);
    return true;
  }
  T* give(std::size_t& cap) {
    T* p = data_;
    cap = cap_;
    data_ = nullptr;
    n_ = cap_ = 0;
    return p;
  }

 private:
  bool grow() {
    const std::size_t cap = cap_ == 0 ? kPageSize / sizeof(T) + 1 : cap_ * 2;
    T* p = mapArray<T>(cap);
    if (p == nullptr) return false;
    for (std::size_t i = 0; i < n_; ++i) p[i] = data_[i];
    if (data_ != nullptr) unmapArray(data_, cap_);
    data_ = p;
    cap_ = cap;
    return true;
  }
  T* data_ = nullptr;
  std::size_t n_ = 0, cap_ = 0;
};

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Modules: which ELF object (executable, shared library, vDSO) a code address belongs to, found without the
// loader's lock.                                                (Go: symtab.go, moduledata, findmoduledatap)
// Source:     glibc's lock-free _dl_find_object (2.35 and later), else a scan of /proc/self/maps.
// Ownership:  a Module is made at its first use, published by CAS on a list head, and never freed or changed:
//             a pointer to one stays good after dlclose. A module mapped later over the same addresses is
//             another Module.
// Ordering:   head.cas(release) <-> head.load(acquire). Two racing makers leave a duplicate behind: harmless.
// Rejected:   dl_iterate_phdr: its lock may be held by the thread that is being traced.
#pragma once
#include "base/atomic.hpp"
#include "base/types.hpp"
#include "unwind/cursor.hpp"

namespace gort::rt {

struct SymFile;   // symbols and line tables of a module; see symfile.hpp
struct FdeIndex;  // sorted unwind entries of a module without .eh_frame_hdr; see cfi.cpp

struct AddrRange {
  uintptr lo = 0, hi = 0;
  bool contains(uintptr a) const { return a >= lo && a < hi; }
};

struct Module {
  static constexpr unsigned kMaxExec = 4;

  // Immutable after publication.
  Module* next;
  uintptr bias;         // run-time address minus link-time address
  AddrRange map;        // first to last byte of its mapping
  AddrRange ehSegment;  // the readable segment around .eh_frame_hdr; empty: there is none
  const uint8* ehFrameHdr;
  std::size_t ehFrameHdrSize;
  AddrRange exec[kMaxExec];
  uint64 identity;     // what _dl_find_object said, folded; 0 when it was not asked
  const uint8* image;  // ELF header in memory, nullptr when it is not mapped
  std::size_t imageSize;
  const char* path;  // "/proc/self/exe" for the executable, "" when there is no file (vDSO)

  Atomic<SymFile*> symbols;  // built at first symbolize(); release/acquire
  Atomic<FdeIndex*> fdes;    // the same for unwind entries

  bool isExec(uintptr a) const {
    for (const AddrRange& r : exec) {
      if (r.contains(a)) return true;
    }
    return false;
  }
};

// findModule returns the module that maps pc, nullptr when there is none.
// Runs on: any stack, in signal handlers too (at most 2.5 KiB of it, the first time per module).
Module* findModule(uintptr pc);

// moduleIdentity folds what the loader says about pc into a word that changes when another object is mapped
// there. 0: the loader does not know pc, or cannot be asked without a lock. A few nanoseconds.
uint64 moduleIdentity(uintptr pc);

// findModuleFromMaps is the fallback of findModule without _dl_find_object, callable by itself for tests. A
// failing search reads /proc/self/maps each time.
Module* findModuleFromMaps(uintptr pc);

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Address space from the kernel.       (Go: mem_linux.go)
// States of a range: Reserved (PROT_NONE, counts for nothing) -> Ready (readable, writable, no pages) -> in use.
// All return nullptr / -errno on failure; the caller decides, nothing here is ignored or fatal.
#pragma once
#include "base/types.hpp"

namespace gort::rt::os {

void* sysReserve(std::size_t n);     // PROT_NONE, MAP_NORESERVE; nullptr when refused
int sysMap(void* p, std::size_t n);  // Reserved -> Ready; 0 or -errno
void* sysAlloc(std::size_t n);       // zeroed Ready memory; nullptr when refused
void sysFree(void* p, std::size_t n);
int sysUnused(void* p, std::size_t n);        // give the pages back, keep the range (MADV_DONTNEED)
int sysNoHugePage(void* p, std::size_t n);    // MADV_NOHUGEPAGE; 0 also where the kernel has no huge pages
int sysGuardInstall(void* p, std::size_t n);  // MADV_GUARD_INSTALL; 0 or -errno
int sysProtectNone(void* p, std::size_t n);   // mprotect(PROT_NONE): costs a mapping; 0 or -errno

}  // namespace gort::rt::os

// SPDX-License-Identifier: Apache-2.0
#include "os/vdso.hpp"

#include <elf.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>

#include "os/os_linux.hpp"

namespace gort::rt::os {

namespace {

using ClockFn = int (*)(int clock, struct timespec* ts);
constinit ClockFn vdsoClock = nullptr;

bool sameName(const char* a, const char* b) {
  while (*a != 0 && *a == *b) ++a, ++b;
  return *a == *b;
}

// findClock walks the vDSO's dynamic section. SAFETY: the kernel maps a well-formed ELF image at AT_SYSINFO_EHDR.
ClockFn findClock(uintptr base) {
  const auto* eh = reinterpret_cast<const Elf64_Ehdr*>(base);
  const auto* ph = reinterpret_cast<const Elf64_Phdr*>(base + eh->e_phoff);
  uintptr slide = 0;
  const Elf64_Dyn* dyn = nullptr;
  for (int i = 0; i < eh->e_phnum; ++i) {
    if (ph[i].p_type == PT_LOAD) slide = base - ph[i].p_vaddr + ph[i].p_offset;
    if (ph[i].p_type == PT_DYNAMIC) dyn = reinterpret_cast<const Elf64_Dyn*>(base + ph[i].p_offset);
  }
  const Elf64_Sym* symtab = nullptr;
  const char* strtab = nullptr;
  const uint32* hash = nullptr;
  for (; dyn != nullptr && dyn->d_tag != DT_NULL; ++dyn) {
    const uintptr p = slide + dyn->d_un.d_ptr;
    if (dyn->d_tag == DT_SYMTAB) symtab = reinterpret_cast<const Elf64_Sym*>(p);
    if (dyn->d_tag == DT_STRTAB) strtab = reinterpret_cast<const char*>(p);
    if (dyn->d_tag == DT_HASH) hash = reinterpret_cast<const uint32*>(p);
  }
  if (symtab == nullptr || strtab == nullptr || hash == nullptr) return nullptr;
  for (uint32 i = 0; i < hash[1]; ++i) {
    if (symtab[i].st_shndx != SHN_UNDEF && sameName(strtab + symtab[i].st_name, "__vdso_clock_gettime")) {
      return reinterpret_cast<ClockFn>(slide + symtab[i].st_value);
    }
  }
  return nullptr;
}

int64 clockNanos(int clock) {
  struct timespec ts {};
  if (vdsoClock == nullptr || vdsoClock(clock, &ts) != 0) sys(SYS_clock_gettime, clock, &ts);
  return int64{ts.tv_sec} * 1000000000 + ts.tv_nsec;
}

}  // namespace

void vdsoInit() {
  const unsigned long base = getauxval(AT_SYSINFO_EHDR);
  if (base != 0) vdsoClock = findClock(base);
}

int64 nanotime() { return clockNanos(CLOCK_MONOTONIC); }
int64 walltime() { return clockNanos(CLOCK_REALTIME); }
int64 threadCpuNanos() { return clockNanos(CLOCK_THREAD_CPUTIME_ID); }

}  // namespace gort::rt::os

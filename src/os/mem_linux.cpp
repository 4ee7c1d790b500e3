// SPDX-License-Identifier: Apache-2.0
#include "os/mem_linux.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>

#include "os/os_linux.hpp"

namespace gort::rt::os {

namespace {

constexpr int kMadvGuardInstall = 102;
constexpr long kEinval = -22;

void* mapAnonymous(std::size_t n, int prot, int extra) {
  const long r = sys(SYS_mmap, nullptr, n, prot, MAP_PRIVATE | MAP_ANONYMOUS | extra, -1, 0);
  return r < 0 && r > -4096 ? nullptr : reinterpret_cast<void*>(r);
}

}  // namespace

void* sysReserve(std::size_t n) { return mapAnonymous(n, PROT_NONE, MAP_NORESERVE); }
int sysMap(void* p, std::size_t n) {
  return static_cast<int>(sys(SYS_mprotect, p, n, PROT_READ | PROT_WRITE));
}
void* sysAlloc(std::size_t n) { return mapAnonymous(n, PROT_READ | PROT_WRITE, 0); }
void sysFree(void* p, std::size_t n) { sys(SYS_munmap, p, n); }
int sysUnused(void* p, std::size_t n) { return static_cast<int>(sys(SYS_madvise, p, n, MADV_DONTNEED)); }

int sysNoHugePage(void* p, std::size_t n) {
  const long r = sys(SYS_madvise, p, n, MADV_NOHUGEPAGE);
  return r == kEinval ? 0 : static_cast<int>(r);  // EINVAL: a kernel without transparent huge pages
}

int sysGuardInstall(void* p, std::size_t n) {
  return static_cast<int>(sys(SYS_madvise, p, n, kMadvGuardInstall));
}
int sysProtectNone(void* p, std::size_t n) { return static_cast<int>(sys(SYS_mprotect, p, n, PROT_NONE)); }

}  // namespace gort::rt::os

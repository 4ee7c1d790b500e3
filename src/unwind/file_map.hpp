// SPDX-License-Identifier: Apache-2.0
// Files and scratch memory for the symboliser, straight from the kernel. Takes no lock, touches no errno.
// Ownership:  a mapping belongs to the caller; maps that were published to other threads are never unmapped.
#pragma once
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "arch/sanitizer_fiber.hpp"
#include "base/types.hpp"
#include "os/os_linux.hpp"
#include "unwind/cursor.hpp"

namespace gort::rt {

inline bool isSysError(long r) { return r < 0 && r > -4096; }

// mapAlloc returns n zeroed bytes, nullptr when the kernel refuses.
inline void* mapAlloc(std::size_t n) {
#if GORT_TSAN  // it must know that an address of an earlier mapping comes back
  void* p = ::mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
#endif
  const long r = os::sys(SYS_mmap, 0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return isSysError(r) ? nullptr : reinterpret_cast<void*>(r);
}
inline void mapFree(const void* p, std::size_t n) {
  if (p != nullptr) os::sys(SYS_munmap, p, n);
}

template <class T>
T* mapArray(std::size_t n) {
  return static_cast<T*>(mapAlloc((n == 0 ? 1 : n) * sizeof(T)));
}
template <class T>
void unmapArray(T* p, std::size_t n) {
  mapFree(p, (n == 0 ? 1 : n) * sizeof(T));
}

inline long fileOpen(const char* path) { return os::sys(SYS_open, path, O_RDONLY | O_CLOEXEC, 0); }
inline void fileClose(long fd) { os::sys(SYS_close, fd); }

// mapFile maps a whole file for reading; an empty span when there is none.
inline ByteSpan mapFile(const char* path) {
  const long fd = fileOpen(path);
  if (fd < 0) return {};
  ByteSpan s;
  const long size = os::sys(SYS_lseek, fd, 0, SEEK_END);
  if (size > 0) {
    const long r = os::sys(SYS_mmap, 0, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (!isSysError(r)) {
      s.p = reinterpret_cast<const uint8*>(r);
      s.end = s.p + size;
    }
  }
  fileClose(fd);
  return s;
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// A bump allocator over chunks of the kernel's memory; one lock, cold paths only (new Gs come in batches).
#include "mem/persistentalloc.hpp"

#include "arch/sanitizer_fiber.hpp"
#include "base/check.hpp"
#include "schema/mutex.hpp"
#include "os/mem_linux.hpp"

namespace gort::rt {

namespace {
constexpr std::size_t kChunk = 256 << 10;

struct {
  Mutex lock{LockRank::persistent};
  uintptr base = 0;
  std::size_t off = kChunk;
} constinit pool;
}  // namespace

void* persistentalloc(std::size_t size, std::size_t align) {
  if (size >= kChunk / 4) {
    void* p = os::sysAlloc(alignUp(size, kPageSize));
    GORT_CHECK(p != nullptr, "runtime: cannot allocate memory");
    return p;
  }
  lock(pool.lock);
  pool.off = alignUp(pool.off, align);
  if (pool.off + size > kChunk) {
    void* p = os::sysAlloc(kChunk);
    GORT_CHECK(p != nullptr, "runtime: cannot allocate memory");
    pool.base = reinterpret_cast<uintptr>(p);
    leakRoot(pool.base, kChunk);
    pool.off = 0;
  }
  void* p = reinterpret_cast<void*>(pool.base + pool.off);
  pool.off += size;
  unlock(pool.lock);
  return p;
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// Ordering: the submitter fills an entry and publishes it by sqTail (release); the kernel publishes a completion by cqTail,
// which we load with acquire before we look at it, and gets its place back by cqHead (release).
#include "os/uring_raw.hpp"

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "os/mem_linux.hpp"
#include "os/os_linux.hpp"

namespace gort::rt::os {

namespace {

constexpr int kSysSetup = 425, kSysEnter = 426, kEnosys = -38;

// SAFETY: the kernel's ring words are 32 bits, aligned, and accessed atomically by both sides.
Atomic<uint32>* word(char* ring, uint32 offset) { return reinterpret_cast<Atomic<uint32>*>(ring + offset); }

void* map(int fd, std::size_t n, uint64 offset) {
  const long p = sys(SYS_mmap, nullptr, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
  return p < 0 && p > -4096 ? nullptr : reinterpret_cast<void*>(p);
}

}  // namespace

int uringOpen(Uring& u, uint32 entries) {
  io_uring_params p{};
  const long fd = sys(kSysSetup, entries, &p);
  if (fd < 0) return static_cast<int>(fd);
  constexpr uint32 kNeeded = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS;
  std::size_t n = p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe);
  if (const std::size_t sq = p.sq_off.array + p.sq_entries * sizeof(uint32); n < sq) n = sq;
  const std::size_t sqeBytes = p.sq_entries * sizeof(io_uring_sqe);
  void* rings = nullptr;
  void* sqes = nullptr;
  if ((p.features & kNeeded) == kNeeded) {
    rings = map(static_cast<int>(fd), n, IORING_OFF_SQ_RING);
    sqes = map(static_cast<int>(fd), sqeBytes, IORING_OFF_SQES);
  }
  if (rings == nullptr || sqes == nullptr) {
    if (rings != nullptr) sysFree(rings, n);
    if (sqes != nullptr) sysFree(sqes, sqeBytes);
    close(static_cast<int>(fd));
    return kEnosys;
  }
  auto* r = static_cast<char*>(rings);
  u.fd = static_cast<int>(fd);
  u.sqHead = word(r, p.sq_off.head);
  u.sqTail = word(r, p.sq_off.tail);
  u.cqHead = word(r, p.cq_off.head);
  u.cqTail = word(r, p.cq_off.tail);
  u.sqMask = word(r, p.sq_off.ring_mask)->load(Order::relaxed);
  u.cqMask = word(r, p.cq_off.ring_mask)->load(Order::relaxed);
  u.sqArray = reinterpret_cast<uint32*>(r + p.sq_off.array);
  u.sqes = static_cast<io_uring_sqe*>(sqes);
  u.cqes = reinterpret_cast<io_uring_cqe*>(r + p.cq_off.cqes);
  return 0;
}

int uringSubmit(Uring& u, const UringEntry& e) {
  const uint32 tail = u.sqTail->load(Order::relaxed);
  const uint32 at = tail & u.sqMask;
  io_uring_sqe s{};
  s.opcode = static_cast<uint8>(e.op);
  s.fd = e.fd;
  s.addr = reinterpret_cast<uintptr>(e.p);
  s.len = e.n;
  s.off = e.op == UringOp::fsync ? 0 : e.offset;
  s.user_data = reinterpret_cast<uintptr>(e.user);
  u.sqes[at] = s;
  u.sqArray[at] = at;
  u.sqTail->store(tail + 1, Order::release);
  for (;;) {
    const long r = sys(kSysEnter, u.fd, 1, 0, 0, nullptr, 0);
    if (u.sqHead->load(Order::acquire) == tail + 1) return 0;
    if (r == -4 /*EINTR*/) continue;
    u.sqTail->store(tail, Order::release);  // the kernel has not looked at it
    return r < 0 ? static_cast<int>(r) : -11 /*EAGAIN*/;
  }
}

bool uringTake(Uring& u, void** user, int32* result) {
  const uint32 head = u.cqHead->load(Order::relaxed);
  if (head == u.cqTail->load(Order::acquire)) return false;
  const io_uring_cqe& c = u.cqes[head & u.cqMask];
  *user = reinterpret_cast<void*>(c.user_data);
  *result = c.res;
  u.cqHead->store(head + 1, Order::release);
  return true;
}

}  // namespace gort::rt::os

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

constinit Atomic<bool> opened{false};

constexpr int kSysSetup = 425, kSysEnter = 426, kEnosys = -38;

// SAFETY: the kernel's ring words are 32 bits, aligned, and accessed atomically by both sides.
Atomic<uint32>* word(char* ring, uint32 offset) { return reinterpret_cast<Atomic<uint32>*>(ring + offset); }

void* map(int fd, std::size_t n, uint64 offset) {
  const long p = sys(SYS_mmap, nullptr, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, offset);
  return p < 0 && p > -4096 ? nullptr : reinterpret_cast<void*>(p);
}

// isWorker reads the flags of one of our threads: the seventh word behind its name.
bool isWorker(const char* tid) {
  constexpr uint64 kPfIoWorker = 0x10;
  char path[64] = "/proc/self/task/";
  std::size_t n = 16;
  while (*tid != 0 && n < 40) path[n++] = *tid++;
  for (const char* s = "/stat"; *s != 0; ++s) path[n++] = *s;
  const long fd = openRead(path);
  if (fd < 0) return false;
  char text[512];
  const long got = read(static_cast<int>(fd), text, sizeof text);
  close(static_cast<int>(fd));
  long i = got - 1;
  while (i >= 0 && text[i] != ')') --i;
  if (i < 0) return false;
  for (int spaces = 0; i < got && spaces < 7; ++i) spaces += text[i] == ' ';
  uint64 flags = 0;
  for (; i < got && text[i] >= '0' && text[i] <= '9'; ++i)
    flags = flags * 10 + static_cast<uint64>(text[i] - '0');
  return (flags & kPfIoWorker) != 0;
}

}  // namespace

int uringWorkers() {
  if (!opened.load(Order::relaxed)) return 0;
  const long dir = openRead("/proc/self/task");
  if (dir < 0) return 0;
  struct Entry {  // the kernel's linux_dirent64
    uint64 ino, off;
    uint16 length;
    uint8 type;
    char name[1];
  };
  alignas(8) char room[2048] = {};
  int count = 0;
  for (long n; (n = sys(SYS_getdents64, dir, room, sizeof room)) > 0;) {
    for (long at = 0; at < n;) {
      const auto* e = reinterpret_cast<const Entry*>(room + at);
      if (e->name[0] != '.') count += isWorker(e->name) ? 1 : 0;
      at += e->length;
    }
  }
  close(static_cast<int>(dir));
  return count;
}

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
  opened.store(true, Order::relaxed);
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

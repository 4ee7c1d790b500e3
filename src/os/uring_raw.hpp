// SPDX-License-Identifier: Apache-2.0
// One io_uring: set up, submit, take completions; raw system calls.                                          (ours)
// Who calls: uringSubmit one thread at a time, uringTake one thread at a time.
#pragma once
#include "base/atomic.hpp"
#include "base/types.hpp"

struct io_uring_sqe;
struct io_uring_cqe;

namespace gort::rt::os {

struct Uring {
  int fd = -1;  // readable, for epoll, while there are completions
  Atomic<uint32>* sqTail = nullptr;
  Atomic<uint32>* sqHead = nullptr;
  Atomic<uint32>* cqHead = nullptr;
  Atomic<uint32>* cqTail = nullptr;
  uint32 sqMask = 0, cqMask = 0;
  uint32* sqArray = nullptr;
  io_uring_sqe* sqes = nullptr;
  io_uring_cqe* cqes = nullptr;
};

enum class UringOp : uint8 { fsync = 3, read = 22, write = 23 };  // the kernel's numbers

struct UringEntry {
  UringOp op;
  int fd;
  void* p;
  uint32 n;
  uint64 offset;  // ~0: the file's own
  void* user;     // comes back with the completion
};

// uringOpen sets one up for at most `entries` operations at once. 0 or -errno: not here, or too old (Linux 5.6).
int uringOpen(Uring& u, uint32 entries);
// uringSubmit hands one operation to the kernel. 0, or -errno and nothing was submitted.
int uringSubmit(Uring& u, const UringEntry& e);
// uringTake takes one completion; false: there is none.
bool uringTake(Uring& u, void** user, int32* result);

// uringWorkers counts the kernel's own threads that serve our rings: they are in the process's list of threads.
int uringWorkers();

}  // namespace gort::rt::os

// SPDX-License-Identifier: Apache-2.0
// Waiting for files that are not ours: any number at once, any number of waiters each.  Essay in netpoll_file.cpp.
#pragma once
#include "schema/runtime2.hpp"

namespace gort::rt {

struct FileWaiter;

// FileWait is one file that a goroutine waits for. It lives on the stack of that goroutine.
struct FileWait {
  int fd = -1;
  uint32 events = 0;   // those of poll(2), which are epoll's; errors and hang-ups always wake
  uint32 revents = 0;  // what woke; kFileClosed: filesClosed
  // by the lock of the shard of fd
  FileWaiter* waiter = nullptr;
  FileWait* next = nullptr;
  FileWait* prev = nullptr;
  bool queued = false;
};
inline constexpr uint32 kFileClosed = 0x20;  // POLLNVAL

// waitFiles parks until one of the n files has one of its events or `until` has come. Returns how many have, 0 when the
// time was over, or -errno when the kernel will not watch one of them. A wake-up may be spurious: try, and wait again.
// Runs on: a goroutine.
int32 waitFiles(FileWait* files, int32 n, int64 until);
// filesClosed wakes who waits for fd, whose number has just been given back. Any thread.
void filesClosed(int fd);

// ---- between netpoll_file.cpp and netpoll.cpp, netpoll_epoll.cpp
int netpollAddSet(int set);
// filesReady adds to `list` whom the events of the set wake.   Runs on: g0.
void filesReady(GQueue& list);

}  // namespace gort::rt

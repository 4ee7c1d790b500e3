// SPDX-License-Identifier: Apache-2.0
// Waiting for files that are not ours.                                                                         (ours)
//
// PollDesc (netpoll.cpp) is for files that the runtime owns: it knows when they are opened and closed, and one goroutine
// waits in each direction. The files of libraries (src/hook) are closed and reused behind our back, several goroutines may
// wait for one, and poll(2) waits for many. So nothing is remembered about a file between two waits:
//
//   a wait  queues a FileWait for each file, arms the file in an epoll set of our own (EPOLLONESHOT: MOD, or ADD when the
//           kernel does not know this file under this number), parks.
//   an event disarms the file; it wakes all waiters that it concerns, and the file is armed again for the rest.
//
// The set is itself a file of the netpoller's: level-triggered, so whichever M looks next finds what is left in it.
// A second set because the first one holds registrations of PollDescs, and there is one per file and number.
//
// Ownership:  a FileWait by the lock of its shard (256, by number), until its waiter has taken it out again. Who wakes a
//             waiter does it under that lock, so the waiter is still there; its goroutine is readied after the unlock.
// Invariants: while a FileWait is queued, its events are armed in the kernel, or an event that disarmed them is on its way
//             to filesReady. The kernel looks at the file when it is armed: a file that became ready before is an event.
// Behind our back: a closed file leaves the set by itself; its number under another file is another registration. A file
//             that lives on under another number (dup, a forked child) may still send one event: a spurious wake-up.
// Rejected:   an epoll set for each wait (twice the descriptors); registering once, edge-triggered (a file that was closed
//             and reused unseen would never wake anybody); an own polling goroutine (one more switch for each event).
#include "sched/netpoll_file.hpp"

#include "base/poll_word.hpp"
#include "os/epoll_raw.hpp"
#include "os/os_linux.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc.hpp"
#include "sched/sema.hpp"

namespace gort::rt {

// FileWaiter is a goroutine in waitFiles. On its stack.
struct FileWaiter {
  PollWord<PollEnv, G> word;
  Atomic<uint32> expired{0};  // the stop condition of `word`
};

namespace {

constexpr uint32 kShards = 256, kOneShot = 1u << 30;
constexpr uint32 kAlways = os::kEpollErr | os::kEpollHup;
constexpr int kEvents = 128, kENOENT = -2;

struct alignas(kCacheLineSize) Shard {
  Mutex lock{LockRank::pollFiles};
  FileWait* head = nullptr;  // by lock
  Atomic<uint32> n{0};       // written by lock, read without
};
constinit Shard shards[kShards];
constinit Atomic<int> fileSet{-1};

Shard& shardOf(int fd) { return shards[static_cast<uint32>(fd) % kShards]; }

// theSet returns the epoll set, made at the first use, or -errno.
int theSet() {
  int set = fileSet.load(Order::acquire);
  if (set >= 0) return set;
  const int made = os::epollCreate();
  if (made < 0) return made;
  const int err = netpollAddSet(made);
  if (err == 0 && fileSet.compareExchange(set, made, Order::acqRel, Order::acquire)) return made;
  os::close(made);
  return err < 0 ? err : set;
}

void link(Shard& s, FileWait& f) {
  f.queued = true;
  f.prev = nullptr;
  f.next = s.head;
  if (s.head != nullptr) s.head->prev = &f;
  s.head = &f;
  s.n.fetchAdd(1);
}

void unlink(Shard& s, FileWait& f) {
  f.queued = false;
  (f.prev != nullptr ? f.prev->next : s.head) = f.next;
  if (f.next != nullptr) f.next->prev = f.prev;
  s.n.fetchSub(1);
}

// arm asks the kernel for what all who wait for fd want.   Requires: s.lock.
int arm(Shard& s, int fd) {
  os::EpollEvent ev{kOneShot, static_cast<uint64>(fd) + 1};
  for (const FileWait* f = s.head; f != nullptr; f = f->next) {
    if (f->fd == fd) ev.events |= f->events;
  }
  const int set = fileSet.load(Order::relaxed);
  const int err = os::epollCtl(set, os::kEpollCtlMod, fd, &ev);
  return err == kENOENT ? os::epollCtl(set, os::kEpollCtlAdd, fd, &ev) : err;
}

// wake takes those out who wait for fd and want one of `events`; returns whether others are left.   Requires: s.lock.
bool wake(Shard& s, int fd, uint32 events, GQueue& list) {
  bool left = false;
  for (FileWait *f = s.head, *next; f != nullptr; f = next) {
    next = f->next;
    if (f->fd != fd) continue;
    if ((events & (f->events | kAlways | kFileClosed)) == 0) {
      left = true;
      continue;
    }
    f->revents = events;
    unlink(s, *f);
    if (G* gp = f->waiter->word.unblock(true); gp != nullptr) {
      netpollCount(gp, -1);
      list.push(gp);
    }
  }
  return left;
}

void fileEvent(int fd, uint32 events, GQueue& list) {
  Shard& s = shardOf(fd);
  lock(s.lock);
  if (wake(s, fd, events, list) && arm(s, fd) < 0) wake(s, fd, kFileClosed, list);
  unlock(s.lock);
}

int enqueue(FileWait& f, FileWaiter& w) {
  Shard& s = shardOf(f.fd);
  f.waiter = &w;
  f.revents = 0;
  lock(s.lock);
  link(s, f);
  const int err = arm(s, f.fd);
  unlock(s.lock);
  return err;
}

void dequeue(FileWait& f) {
  Shard& s = shardOf(f.fd);
  lock(s.lock);
  if (f.queued) unlink(s, f);
  unlock(s.lock);
}

void expire(void* arg, uint64, int64) {
  auto* w = static_cast<FileWaiter*>(arg);
  w->expired.store(1, Order::release);
  fence(Order::seqCst);
  if (G* gp = w->word.unblock(false); gp != nullptr) {
    netpollCount(gp, -1);
    goready(gp);
  }
}

// parkUntil waits for an event on one of w's files, or the time.
void parkUntil(FileWaiter& w, int64 until) {
  using Word = PollWord<PollEnv, G>;
  Timer timer;
  if (until != kTimeNever) {
    timerInit(timer, expire, &w);
    timerSetSlack(timer, -1);
    timerModify(timer, until < 1 ? 1 : until, 0);
  }
  while (w.word.begin() == Word::Begin::wait) {
    const bool over = w.expired.load(Order::acquire) != 0;
    if (!over) gopark(netpollblockcommit, &w.word, WaitReason::ioWait);
    if (w.word.end() || over) break;
  }
  if (until != kTimeNever) timerStop(timer);
}

}  // namespace

int32 waitFiles(FileWait* files, int32 n, int64 until) {
  const Entry e;
  if (const int set = n > 0 ? theSet() : 0; set < 0) return set;
  FileWaiter w;
  int err = 0;
  int32 queued = 0;
  while (queued < n && err == 0) err = enqueue(files[queued++], w);
  if (err == 0) parkUntil(w, until);
  int32 found = 0;
  for (int32 i = 0; i < queued; ++i) {
    dequeue(files[i]);
    if (files[i].revents != 0) ++found;
  }
  return err < 0 ? err : found;
}

void filesClosed(int fd) {
  if (fd < 0 || shardOf(fd).n.load() == 0) return;
  const Entry e;
  GQueue ready;
  Shard& s = shardOf(fd);
  lock(s.lock);
  wake(s, fd, kFileClosed, ready);
  unlock(s.lock);
  readyAll(ready);
}

void filesReady(GQueue& list) {
  os::EpollEvent events[kEvents];
  int n;
  do {
    n = os::epollWaitNs(fileSet.load(Order::acquire), events, kEvents, 0);
    for (int i = 0; i < n; ++i) fileEvent(static_cast<int>(events[i].data - 1), events[i].events, list);
  } while (n == kEvents);
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// What the files of the hook library share: the runtime's table, the next definitions, errno.     Essay in hook.cpp.
#pragma once
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "base/atomic.hpp"
#include "os/os_linux.hpp"
#include "sched/hook_table.hpp"
#include "sched/time.hpp"

#define GORT_HOOKED extern "C" __attribute__((visibility("default")))

// The slot that the boot of the runtime fills; empty in a forked child.
extern "C" __attribute__((visibility("hidden"))) gort::rt::Atomic<const gort::rt::HookTable*> gort_hook_slot;

namespace gort::hook {

using rt::Atomic;
using rt::HookTable;
using rt::int32;
using rt::int64;
using rt::kTimeNever;
using rt::Order;
using rt::uint32;
using rt::uint64;
using rt::os::sys;

inline const HookTable* table() { return gort_hook_slot.load(Order::acquire); }
// parker returns the table if the caller may park, nullptr: leave the call to libc.
inline const HookTable* parker() {
  const HookTable* t = table();
  return t != nullptr && t->canPark() ? t : nullptr;
}

// nextOf finds the definition that ours hides: libc's, or another interposer's. version: of symbols that have several.
void* nextOf(const char* name, const char* version);

// Next is such a definition, looked up at the first use. GORT_NEXT(read)(fd, p, n) calls it.
class Next {
 public:
  void* get(const char* name, const char* version) {
    void* f = f_.load(Order::relaxed);
    if (GORT_UNLIKELY(f == nullptr)) f_.store(f = nextOf(name, version), Order::relaxed);
    return f;
  }

 private:
  Atomic<void*> f_{nullptr};
};
#define GORT_NEXT_VERSION(name, version)                                  \
  ([]() {                                                                 \
    static constinit ::gort::hook::Next next;                             \
    return reinterpret_cast<decltype(&::name)>(next.get(#name, version)); \
  }())
#define GORT_NEXT(name) GORT_NEXT_VERSION(name, nullptr)

// setErrno writes the errno of the thread that runs the caller now, which need not be the one that ran it before a park.
void setErrno(int e);
int getErrno();
// ret turns what a raw system call returns into what libc returns.
inline long ret(long r) {
  if (r >= 0) return r;
  setErrno(static_cast<int>(-r));
  return -1;
}

// blocking runs f, which may block the thread, without the P. f returns -errno.
template <class F>
long blocking(const HookTable* t, F f, bool atOnce = true) {
  const bool entered = t->enterSyscall(atOnce);
  const long r = f();
  if (entered) t->leaveSyscall();
  return r;
}
// inSyscall is blocking for what most likely does not block.
template <class F>
long inSyscall(const HookTable* t, F f) {
  return blocking(t, f, false);
}
// withErrno makes a -errno of what a function of libc returned; for use inside blocking.
inline long withErrno(long r) { return r == -1 ? -getErrno() : r; }

// ---- hook_io.cpp
// socketUntil is when an operation that starts now must end, by SO_RCVTIMEO or SO_SNDTIMEO.
int64 socketUntil(const HookTable* t, int fd, int option);
// ---- hook_file.cpp
// untilTs is when a time that is good (no badTime) is over; nullptr: never.
int64 untilTs(const HookTable* t, const timespec* ts);
bool badTime(const timespec* ts);
bool nonblocking(int fd);  // the user said O_NONBLOCK
// readyNow asks poll(2) without waiting; an error of the file is ready too.
bool readyNow(int fd, uint32 events);
// waitFile parks until fd has one of the events. False: it cannot be waited for, or the time is over (*late).
bool waitFile(const HookTable* t, int fd, uint32 events, int64 until, bool* late);
// pollUntil is poll(2) with the end in nanotime; the caller has looked already, nothing was ready.
long pollUntil(const HookTable* t, pollfd* fds, unsigned long n, int64 until);

}  // namespace gort::hook

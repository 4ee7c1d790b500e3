// SPDX-License-Identifier: Apache-2.0
// Where the scheduler waits for time and for I/O.      (Go: netpoll.go, netpoll_epoll.go)   Essay in netpoll.cpp.
#pragma once
#include "base/poll_word.hpp"
#include "schema/mutex.hpp"
#include "schema/runtime2.hpp"
#include "schema/timer2.hpp"

namespace gort::rt {

// ---- for the scheduler
void netpollinit();
bool netpollinited();
// netpoll waits for delay ns (< 0: until woken, 0: only looks) and returns the goroutines that became runnable.
// Runs on: g0. With delay != 0: requires no P.
GQueue netpoll(int64 delay);
bool netpollBroken();      // a netpollBreak waits to be noticed
void netpollBreak();       // ends a waiting netpoll; safe from any thread, wakes coalesce
bool netpollAnyWaiters();  // somebody waits for I/O who may run again
// wakeNetPoller: a timer at `when` was added; sees to it that somebody wakes for it.
void wakeNetPoller(int64 when);

// ---- for files that can be waited for
struct PollEnv {
  template <class T>
  using Atomic = rt::Atomic<T>;
  static void fence(Order o) { rt::fence(o); }
};

// PollDesc stands for one open file in the poller. Its memory is never given back: a late event of a file that was
// closed finds a record, whose seq tells that it is somebody else's by now.
struct alignas(kCacheLineSize) PollDesc {
  PollDesc* link = nullptr;  // free list
  int fd = -1;
  Atomic<uint32> seq{0};      // counts the files this record has stood for
  Atomic<uint32> closing{0};  // bits: kPollClosing, kPollCanceled; written with lock held
  PollWord<PollEnv, G> rg, wg;
  Atomic<uint32> sticky{
      0};  // a short read proves nothing; set once, by anyone (Note [A socket that was emptied])
  Mutex lock{LockRank::pollDesc};  // serialises setters of deadlines with each other and with closing
  Atomic<int64> rd{0}, wd{0};      // deadlines: 0 none, -1 passed, else nanotime; by lock, or by CAS to -1
  Timer rt, wt;                    // wt is armed only if wd is not rd
  bool timersReady = false;        // by lock
  GORT_NOTINHEAP
};

enum class PollMode : uint8 { read = 1, write = 2, both = 3 };
enum class PollError : uint8 { none, closing, timeout, canceled };
inline constexpr uint32 kPollClosing = 1, kPollCanceled = 2;

// pollOpen puts fd, which does not block, into the poller. Returns 0 and *pd, or -errno (-EPERM: always ready, as ordinary
// files are).
int pollOpen(int fd, PollDesc** pd);
// pollClose gives pd back; the file may be closed now. Requires: pollUnblock was called, nobody uses pd any more.
void pollClose(PollDesc* pd);
// pollReset is called before an attempt, pollWait after it found nothing: the pattern of every operation.
// Requires: one waiter for each direction at a time. Runs on: a goroutine.
PollError pollReset(PollDesc* pd, PollMode mode);
PollError pollWait(PollDesc* pd, PollMode mode);
// pollWaitEmptied takes the place of pollReset and the attempt after it, where the attempt before has emptied the socket:
// Note [A socket that was emptied]. May return none at once.   Requires: no pollReset, pollWait for reading since then.
PollError pollWaitEmptied(PollDesc* pd);
// pollSticky makes pollWaitEmptied return at once, for as long as the file is open. Any thread.
void pollSticky(PollDesc* pd);
// pollStopped is pollReset's look alone.
PollError pollStopped(PollDesc* pd, PollMode mode);
// pollSetDeadline: when in nanotime; 0 none; a time that is over ends waits at once. May be called at any time.
void pollSetDeadline(PollDesc* pd, int64 when, PollMode mode);
// pollCancel ends all waits, now and later, with PollError::canceled; on = false takes that back.
void pollCancel(PollDesc* pd, bool on);
// pollUnblock ends all waits, now and later, with PollError::closing.
void pollUnblock(PollDesc* pd);

// ---- between netpoll.cpp, netpoll_epoll.cpp and netpoll_file.cpp
int netpollopen(int fd, PollDesc* pd);
void netpollclose(int fd);
// netpollCount counts gp in (1), which parks in a poll word, or out (-1), which was taken out of one.
void netpollCount(const G* gp, int32 delta);
// netpollblockcommit parks gp in the PollWord `word` unless something has happened. It counts gp in first: once parked,
// gp may be awake and at its end, its G another goroutine's.   Runs on: g0, of gopark.
bool netpollblockcommit(G* gp, void* word);
// netpollready adds to `list` whom an event on pd in one direction wakes.
void netpollready(GQueue& list, PollDesc* pd, PollMode mode);

}  // namespace gort::rt

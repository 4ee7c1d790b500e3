// SPDX-License-Identifier: Apache-2.0
// Waiting for one file or many: poll, select, epoll_wait, and what the other calls on files use.
//
// The pattern of all: look without waiting; nothing: waitFiles (sched/netpoll_file.cpp), which may wake for nothing; look
// again. What the call returns is always what the kernel said at the last look.
#include "hook/hook.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>

namespace gort::hook {

namespace {

constexpr int64 kNsPerMs = 1000000, kNsPerSec = 1000000000;

int64 untilMs(const HookTable* t, int ms) { return ms < 0 ? kTimeNever : t->nanotime() + ms * kNsPerMs; }

// rest is what is left until `until`.
timespec rest(const HookTable* t, int64 until) {
  const int64 ns = until == kTimeNever ? 0 : until - t->nanotime();
  return ns <= 0 ? timespec{0, 0} : timespec{ns / kNsPerSec, ns % kNsPerSec};
}

constexpr timespec kNow{0, 0};

// Sets is the three sets of select, as words.
struct Sets {
  static constexpr int kBits = 64;
  int n;
  unsigned long* set[3];
  static constexpr uint32 kEvents[3] = {POLLIN, POLLOUT, POLLPRI};
  bool has(int i, int fd) const { return set[i] != nullptr && (set[i][fd / kBits] >> (fd % kBits) & 1) != 0; }
  std::size_t bytes() const { return static_cast<std::size_t>((n + kBits - 1) / kBits) * sizeof(long); }
};

// look is select without waiting; the sets are only written when something was found.
long look(const Sets& s, unsigned long* scratch) {
  unsigned long* copy[3];
  for (int i = 0; i < 3; ++i) {
    copy[i] = s.set[i] == nullptr ? nullptr : scratch + i * s.bytes() / sizeof(long);
    if (copy[i] != nullptr) __builtin_memcpy(copy[i], s.set[i], s.bytes());
  }
  timespec now = kNow;
  const long r = sys(SYS_pselect6, s.n, copy[0], copy[1], copy[2], &now, nullptr);
  if (r <= 0) return r;
  for (int i = 0; i < 3; ++i) {
    if (copy[i] != nullptr) __builtin_memcpy(s.set[i], copy[i], s.bytes());
  }
  return r;
}

int filesOf(const Sets& s, rt::FileWait* out) {
  int n = 0;
  for (int fd = 0; fd < s.n; ++fd) {
    uint32 events = 0;
    for (int i = 0; i < 3; ++i) events |= s.has(i, fd) ? Sets::kEvents[i] : 0;
    if (events == 0) continue;
    if (out != nullptr) {
      out[n].fd = fd;
      out[n].events = events;
    }
    ++n;
  }
  return n;
}

// selectUntil: the caller has looked and found nothing.
long selectUntil(const HookTable* t, const Sets& s, unsigned long* scratch, int64 until) {
  const int n = filesOf(s, nullptr);
  auto* waits = static_cast<rt::FileWait*>(::calloc(static_cast<std::size_t>(n) + 1, sizeof(rt::FileWait)));
  if (waits == nullptr) return -ENOMEM;
  filesOf(s, waits);
  long r = 0;
  for (;;) {
    const int32 w = t->waitFiles(waits, n, until);
    r = look(s, scratch);
    if (r != 0 || w == 0) break;
    if (w > 0 || w == -EBADF) continue;
    const timespec left = rest(t, until);  // it cannot be watched
    r = blocking(t, [&] {
      timespec ts = left;
      return sys(SYS_pselect6, s.n, s.set[0], s.set[1], s.set[2], until == kTimeNever ? nullptr : &ts,
                 nullptr);
    });
    break;
  }
  if (r == 0) {
    for (int i = 0; i < 3; ++i) {
      if (s.set[i] != nullptr) __builtin_memset(s.set[i], 0, s.bytes());
    }
  }
  ::free(waits);
  return r;
}

// selectParking: until is set when the time is good.
long selectParking(const HookTable* t, const Sets& s, const timespec* timeout, int64* until) {
  *until = kTimeNever;
  unsigned long few[3 * FD_SETSIZE / Sets::kBits];
  auto* scratch = s.n <= FD_SETSIZE ? few : static_cast<unsigned long*>(::malloc(3 * s.bytes()));
  if (scratch == nullptr) return -ENOMEM;
  *until = untilTs(t, timeout);
  long r = look(s, scratch);
  const bool only = timeout != nullptr && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
  if (r == 0) {
    if (!only) {
      r = selectUntil(t, s, scratch, *until);
    } else {
      for (int i = 0; i < 3; ++i) {
        if (s.set[i] != nullptr) __builtin_memset(s.set[i], 0, s.bytes());
      }
    }
  }
  if (scratch != few) ::free(scratch);
  return r;
}

Sets setsOf(int n, fd_set* r, fd_set* w, fd_set* e) {
  // SAFETY: an fd_set is an array of words, as the kernel has it.
  return {n,
          {reinterpret_cast<unsigned long*>(r), reinterpret_cast<unsigned long*>(w),
           reinterpret_cast<unsigned long*>(e)}};
}

// epollParking: until 0: only a look.
long epollParking(const HookTable* t, int ep, epoll_event* ev, int n, int64 until) {
  long r = sys(SYS_epoll_pwait, ep, ev, n, 0, nullptr, 8);
  if (r != 0 || until == 0) return r;
  for (;;) {
    bool late = false;
    const bool waited = waitFile(t, ep, POLLIN, until, &late);
    r = sys(SYS_epoll_pwait, ep, ev, n, 0, nullptr, 8);
    if (r != 0 || late) return r;
    if (waited) continue;
    const timespec left = rest(t, until);
    const int ms = until == kTimeNever
                       ? -1
                       : static_cast<int>(left.tv_sec * 1000 + (left.tv_nsec + kNsPerMs - 1) / kNsPerMs);
    return blocking(t, [&] { return sys(SYS_epoll_pwait, ep, ev, n, ms, nullptr, 8); });
  }
}

}  // namespace

int64 untilTs(const HookTable* t, const timespec* ts) {
  if (ts == nullptr) return kTimeNever;
  const int64 now = t->nanotime();
  if (ts->tv_sec >= (kTimeNever - now) / kNsPerSec - 1) return kTimeNever;
  return now + ts->tv_sec * kNsPerSec + ts->tv_nsec;
}

bool badTime(const timespec* ts) {
  return ts != nullptr && (ts->tv_sec < 0 || ts->tv_nsec < 0 || ts->tv_nsec >= kNsPerSec);
}

bool nonblocking(int fd) {
  const long flags = sys(SYS_fcntl, fd, F_GETFL);
  return flags >= 0 && (flags & O_NONBLOCK) != 0;
}

bool readyNow(int fd, uint32 events) {
  pollfd p{fd, static_cast<short>(events), 0};
  return fd < 0 || sys(SYS_poll, &p, 1, 0) != 0;  // poll leaves out numbers below 0
}

bool waitFile(const HookTable* t, int fd, uint32 events, int64 until, bool* late) {
  rt::FileWait f;
  f.fd = fd;
  f.events = events;
  const int32 n = t->waitFiles(&f, 1, until);
  *late = n == 0;
  return n > 0 || n == -EBADF;  // a file that is gone says so at the next try
}

long pollUntil(const HookTable* t, pollfd* fds, unsigned long n, int64 until) {
  constexpr unsigned long kFew = 16;
  rt::FileWait few[kFew];
  auto* waits = n <= kFew ? few : static_cast<rt::FileWait*>(::calloc(n, sizeof(rt::FileWait)));
  if (waits == nullptr) return -ENOMEM;
  long r = 0;
  for (;;) {
    int32 k = 0;
    for (unsigned long i = 0; i < n; ++i) {
      if (fds[i].fd < 0) continue;
      waits[k].fd = fds[i].fd;
      waits[k++].events = static_cast<unsigned short>(fds[i].events);
    }
    const int32 w = t->waitFiles(waits, k, until);
    r = sys(SYS_poll, fds, n, 0);
    if (r != 0 || w == 0) break;
    if (w > 0 || w == -EBADF) continue;
    timespec left = rest(t, until);  // it cannot be watched: the thread waits
    r = blocking(t,
                 [&] { return sys(SYS_ppoll, fds, n, until == kTimeNever ? nullptr : &left, nullptr, 8); });
    break;
  }
  if (waits != few) ::free(waits);
  return r;
}

}  // namespace gort::hook

using namespace gort::hook;

GORT_HOOKED int poll(pollfd* fds, nfds_t n, int timeout) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(poll)(fds, n, timeout);
  const long r = sys(SYS_poll, fds, n, 0);
  if (r != 0 || timeout == 0) return static_cast<int>(ret(r));
  return static_cast<int>(ret(pollUntil(t, fds, n, untilMs(t, timeout))));
}

GORT_HOOKED int ppoll(pollfd* fds, nfds_t n, const timespec* timeout, const sigset_t* mask) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(ppoll)(fds, n, timeout, mask);
  if (mask != nullptr)
    return static_cast<int>(
        ret(blocking(t, [&] { return withErrno(GORT_NEXT(ppoll)(fds, n, timeout, mask)); })));
  if (badTime(timeout)) return static_cast<int>(ret(-EINVAL));
  const long r = sys(SYS_poll, fds, n, 0);
  if (r != 0 || (timeout != nullptr && timeout->tv_sec == 0 && timeout->tv_nsec == 0))
    return static_cast<int>(ret(r));
  return static_cast<int>(ret(pollUntil(t, fds, n, untilTs(t, timeout))));
}

GORT_HOOKED int select(int n, fd_set* r, fd_set* w, fd_set* e, timeval* timeout) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(select)(n, r, w, e, timeout);
  timespec ts{};
  if (timeout != nullptr) {
    if (timeout->tv_sec < 0 || timeout->tv_usec < 0) return static_cast<int>(ret(-EINVAL));
    ts = {timeout->tv_sec + timeout->tv_usec / 1000000, timeout->tv_usec % 1000000 * 1000};
  }
  int64 until;
  if (n < 0) return static_cast<int>(ret(-EINVAL));
  const long found = selectParking(t, setsOf(n, r, w, e), timeout != nullptr ? &ts : nullptr, &until);
  if (timeout != nullptr) {  // Linux says how much is left
    const timespec left = rest(t, until);
    *timeout = {left.tv_sec, left.tv_nsec / 1000};
  }
  return static_cast<int>(ret(found));
}

GORT_HOOKED int pselect(int n, fd_set* r, fd_set* w, fd_set* e, const timespec* timeout,
                        const sigset_t* mask) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(pselect)(n, r, w, e, timeout, mask);
  if (mask != nullptr) {
    return static_cast<int>(
        ret(blocking(t, [&] { return withErrno(GORT_NEXT(pselect)(n, r, w, e, timeout, mask)); })));
  }
  if (n < 0 || badTime(timeout)) return static_cast<int>(ret(-EINVAL));
  int64 until;
  return static_cast<int>(ret(selectParking(t, setsOf(n, r, w, e), timeout, &until)));
}

GORT_HOOKED int epoll_wait(int ep, epoll_event* ev, int n, int timeout) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(epoll_wait)(ep, ev, n, timeout);
  return static_cast<int>(ret(epollParking(t, ep, ev, n, timeout == 0 ? 0 : untilMs(t, timeout))));
}

GORT_HOOKED int epoll_pwait(int ep, epoll_event* ev, int n, int timeout, const sigset_t* mask) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(epoll_pwait)(ep, ev, n, timeout, mask);
  if (mask != nullptr) {
    return static_cast<int>(
        ret(blocking(t, [&] { return withErrno(GORT_NEXT(epoll_pwait)(ep, ev, n, timeout, mask)); })));
  }
  return static_cast<int>(ret(epollParking(t, ep, ev, n, timeout == 0 ? 0 : untilMs(t, timeout))));
}

#if __GLIBC_PREREQ(2, 35)
GORT_HOOKED int epoll_pwait2(int ep, epoll_event* ev, int n, const timespec* timeout, const sigset_t* mask) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(epoll_pwait2)(ep, ev, n, timeout, mask);
  if (mask != nullptr) {
    return static_cast<int>(
        ret(blocking(t, [&] { return withErrno(GORT_NEXT(epoll_pwait2)(ep, ev, n, timeout, mask)); })));
  }
  if (badTime(timeout)) return static_cast<int>(ret(-EINVAL));
  const bool only = timeout != nullptr && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
  return static_cast<int>(ret(epollParking(t, ep, ev, n, only ? 0 : untilTs(t, timeout))));
}
#endif

// What _FORTIFY_SOURCE makes of poll.
extern "C" [[noreturn]] void chkFail() __asm__("__chk_fail");
GORT_HOOKED int pollChk(pollfd* fds, nfds_t n, int timeout, std::size_t room) __asm__("__poll_chk");
GORT_HOOKED int ppollChk(pollfd* fds, nfds_t n, const timespec* timeout, const sigset_t* mask,
                         std::size_t room) __asm__("__ppoll_chk");

int pollChk(pollfd* fds, nfds_t n, int timeout, std::size_t room) {
  if (room / sizeof *fds < n) chkFail();
  return poll(fds, n, timeout);
}

int ppollChk(pollfd* fds, nfds_t n, const timespec* timeout, const sigset_t* mask, std::size_t room) {
  if (room / sizeof *fds < n) chkFail();
  return ppoll(fds, n, timeout, mask);
}

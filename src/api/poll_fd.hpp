// SPDX-License-Identifier: Apache-2.0
// poll_fd: one descriptor that several goroutines use at once; sockets and files build on it.     (Go: internal/poll.FD)
//
// Ownership of the descriptor: state_ counts the operations inside, plus one while it is open; `closed` is its low bit. The
//   last one to leave after close() releases the descriptor. So its number cannot become somebody else's under an operation.
// Ownership of the record: refs_, by handles and by whoever may call after the handle has gone.
#pragma once
#include <gort/error.hpp>
#include <gort/sync.hpp>

#include <cerrno>

#include "sched/netpoll.hpp"
#include "sched/proc.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace detail {

// sys_error makes an error of what a raw system call returned.
error sys_error(long negative_errno);
error poll_error(rt::PollError e);

struct poll_fd {
  explicit poll_fd(int sysfd) : fd(sysfd) {}
  struct never_open {};
  explicit poll_fd(never_open) : fd(-1), state_(kClosed) {}  // what moved-from objects are
  poll_fd(const poll_fd&) = delete;
  poll_fd& operator=(const poll_fd&) = delete;

  bool enter();  // false: closed
  void leave();
  bool shut();  // closes; false: was closed already. Wakes who waits in the poller
  void retain() { refs_.fetchAdd(1, rt::Order::relaxed); }
  void release();
  void cancel(
      bool on);  // ends who waits in the poller, and who will, with PollError::canceled; false: no longer
  void set_deadline(int mode, gort::clock::time_point t);

  // until_ready calls f, which returns what a raw system call does, until it says something else than "not now".
  // stop: what ended the wait instead. emptied: the read before this one left nothing, it is no use to call f at once.
  // Requires: entered, the mutex of that direction, pd.   Runs on: any thread.
  template <class F>
  long until_ready(rt::PollMode mode, F f, rt::PollError& stop, bool emptied = false) {
    const rt::Entry e;
    long n = 0;
    stop = emptied ? rt::pollWaitEmptied(pd) : rt::pollReset(pd, mode);
    while (stop == rt::PollError::none) {
      if (GORT_UNLIKELY(rt::chaosMode) &&
          rt::cheaprandn(8) == 0) {  // EINTR; or it was ready and is no longer
        rt::Gosched();
        stop = rt::pollStopped(pd, mode);
        continue;
      }
      n = f();
      if (n == -EINTR) continue;
      if (n != -EAGAIN) break;
      stop = rt::pollWait(pd, mode);
    }
    return n;
  }

  const int fd;
  rt::PollDesc* pd = nullptr;  // nullptr: always ready, as ordinary files are
  gort::mutex rmu, wmu;

 protected:
  virtual ~poll_fd() = default;

 private:
  static constexpr rt::uint32 kClosed = 1, kUser = 2;
  rt::Atomic<rt::uint32> state_{kUser};
  rt::Atomic<rt::uint32> refs_{1};
};

// partly is how much of n bytes of a stream one call is asked for: all, but under chaos often less, as with a full
// buffer.   // Runs on: a thread inside the runtime.
inline std::size_t partly(std::size_t n) {
  if (GORT_LIKELY(!rt::chaosMode) || n < 2 || rt::cheaprandn(4) != 0) return n;
  return 1 + rt::cheaprandn(n < UINT32_MAX ? static_cast<rt::uint32>(n - 1) : UINT32_MAX);
}

// inside holds an fd open for one operation.
class inside {
 public:
  explicit inside(poll_fd& f) : f_(f.enter() ? &f : nullptr) {}
  ~inside() {
    if (f_ != nullptr) f_->leave();
  }
  inside(const inside&) = delete;
  inside& operator=(const inside&) = delete;
  explicit operator bool() const { return f_ != nullptr; }

 private:
  poll_fd* f_;
};

}  // namespace detail
}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// Hides SIGURG from the system call that it has interrupted.                                                  (ours)
//
// SA_RESTART restarts most calls; poll, nanosleep, epoll_wait and a dozen others return EINTR in spite of it. sysmon has
// read from the kernel which call the thread sleeps in (M::blockedIn, blockedPc); where the thread fell asleep after that
// look, the instructions before the call tell. Then the call is made again:
//   sleeps   here, in the handler, for what is left: the kernel has said how much, or blockedSince does. While the
//            goroutine holds a P that nobody could take at first, it is offered again every millisecond: SIGURG is blocked
//            here, so no second one would come.
//   others   by the thread itself when the handler returns: rip goes back to the instruction. Time-outs in milliseconds
//            are shortened; pselect6 and ppoll have theirs shortened by the kernel. Other relative time-outs (SO_RCVTIMEO,
//            sigtimedwait, semtimedop, epoll_pwait2) begin anew, once: the goroutine has no P then and is left alone.
// Signals of the user's. All are blocked while the handler runs, so none is handled in between and then forgotten:
//   one that is pending at the end ends the call as it should (EINTR stays); one that only the call lets in (ppoll,
//   sigsuspend) waits for the call that is made again. Sleeps let them in. A call in which the thread was not seen asleep
//   may have ended for another handler, during which SIGURG was blocked: so it is not made again if our signal took its
//   time, and never if it is one that waits for signals.
// Only calls of the list are made again: a close that was interrupted has closed.
#include "sched/resume_call.hpp"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>

#include "os/os_linux.hpp"
#include "os/signal_raw.hpp"
#include "os/vdso.hpp"

namespace gort::rt {

namespace {

constexpr uint16 kSyscallInsn = 0x050f;
constexpr int kEpollPwait2 = 441;
constexpr int64 kSecond = 1000 * 1000 * 1000, kOfferNs = 1000 * 1000, kPromptNs = 100 * 1000;

// Calls that return EINTR though the handler has SA_RESTART; see signal(7). The first ones wait for signals, too.
constexpr int kSignalWaits[] = {SYS_ppoll,         SYS_pselect6, SYS_epoll_pwait,    kEpollPwait2,
                                SYS_rt_sigsuspend, SYS_pause,    SYS_rt_sigtimedwait};
constexpr int kOthers[] = {
    SYS_poll,   SYS_select,     SYS_epoll_wait, SYS_nanosleep, SYS_clock_nanosleep, SYS_futex,
    SYS_semop,  SYS_semtimedop, SYS_msgrcv,     SYS_msgsnd,    SYS_io_getevents,    426 /*io_uring_enter*/,
    SYS_read,   SYS_readv,      SYS_recvfrom,   SYS_recvmsg,   SYS_recvmmsg,        SYS_write,
    SYS_writev, SYS_sendto,     SYS_sendmsg,    SYS_sendmmsg,  SYS_accept,          SYS_accept4,
    SYS_connect};

template <std::size_t N>
bool in(const int (&list)[N], int nr) {
  for (const int x : list) {
    if (x == nr) return true;
  }
  return false;
}

struct Span {
  int64 sec, nsec;
};
int64 nsOf(const Span& s) { return s.sec * kSecond + s.nsec; }

// codeWord reads the instruction at pc.   Requires: pc and the byte behind it are code that the thread has run or runs next.
uint16 codeWord(uintptr pc) {
  uint16 w = 0;
  __builtin_memcpy(&w, reinterpret_cast<const void*>(pc), sizeof w);
  return w;
}

// callBefore reads the number of the call that returned to pc from the code, where that is `mov $nr, %eax; syscall`.
// -1: not.   Requires: the thread returns to pc.
int callBefore(uintptr pc) {
  constexpr uintptr kPage = 4096, kLen = 8;
  constexpr uint8 kMovEax = 0xb8, kRexB = 0x41;
  constexpr uint32 kMaxCall = 512;
  if (pc % kPage < kLen || codeWord(pc - 2) != kSyscallInsn) return -1;
  const auto* code = reinterpret_cast<const uint8*>(pc);
  uint32 nr = 0;
  __builtin_memcpy(&nr, code - 6, sizeof nr);
  return code[-7] == kMovEax && (code[-8] & ~8u) != kRexB && nr < kMaxCall ? static_cast<int>(nr) : -1;
}

// interruptedCall tells which call to make again. -1: none.
int interruptedCall(const M* mp, uintptr pc, bool seen) {
  int nr = seen ? mp->blockedIn.load(Order::relaxed) : -1;
  if (!seen && os::nanotime() - mp->signalledAt.load(Order::relaxed) > kPromptNs) return -1;
  if (nr < 0 || nr == SYS_restart_syscall)
    nr = callBefore(pc);  // restart_syscall: it was stopped (SIGSTOP) and goes on
  if (in(kSignalWaits, nr)) return seen ? nr : -1;
  return in(kOthers, nr) ? nr : -1;
}

uint64 maskOf(const ucontext_t* u) {
  uint64 m = 0;
  __builtin_memcpy(&m, &u->uc_sigmask, sizeof m);
  return m | uint64{1} << (SIGURG - 1);
}

// sleepOn is a nanosleep of which ns are left. Returns 0, or -EINTR if a signal of the user's came; ns: what is left then.
long sleepOn(int64& ns, uint64 mask, M* mp, void (*giveUp)(G*, M*)) {
  while (ns > 0) {
    const bool offer = giveUp != nullptr && mp->p != nullptr && ns > kOfferNs;
    const int64 begin = os::nanotime(), part = offer ? kOfferNs : ns;
    Span left{part / kSecond, part % kSecond};
    const long e = os::sys(SYS_ppoll, nullptr, 0, &left, &mask, sizeof mask);
    ns -= os::nanotime() - begin;
    if (e == -EINTR) {
      if (ns < 0) ns = 0;
      return e;
    }
    if (offer) giveUp(mp->curg, mp);
  }
  return 0;
}

// sleepAgain does the rest of an interrupted nanosleep or clock_nanosleep.   Requires: r holds its arguments.
long sleepAgain(bool named, const greg_t* r, int64 slept, uint64 mask, M* mp, void (*giveUp)(G*, M*)) {
  const auto* want = reinterpret_cast<const Span*>(named ? r[REG_RDX] : r[REG_RDI]);
  auto* rem = reinterpret_cast<Span*>(named ? r[REG_R10] : r[REG_RSI]);
  int64 ns = rem != nullptr ? nsOf(*rem) : nsOf(*want) - slept;  // the kernel has written it; rem may be want
  const long e = sleepOn(ns, mask, mp, giveUp);
  if (e != 0 && rem != nullptr) *rem = {ns / kSecond, ns % kSecond};
  return e;
}

// shorten takes what was slept off a time-out in milliseconds; negative ones are for ever.
void shorten(greg_t& ms, int64 slept) {
  const int32 have = static_cast<int32>(ms);
  if (have <= 0) return;
  const int64 left = have - slept / 1000000;
  ms = left > 0 ? left : 0;
}

}  // namespace

bool wasInCall(const M* mp, const ucontext_t* u) {
  const auto pc = static_cast<uintptr>(u->uc_mcontext.gregs[REG_RIP]);
  const uintptr after = mp->blockedPc.load(Order::relaxed);
  if (mp->blockedIn.load(Order::relaxed) < 0 || after == 0) return false;
  return pc == after || (pc == after - 2 && codeWord(pc) == kSyscallInsn);
}

void resumeCall(M* mp, ucontext_t* u, void (*giveUp)(G* gp, M* mp)) {
  constexpr int kTimerAbstime = 1;
  greg_t* r = u->uc_mcontext.gregs;
  if (r[REG_RAX] != -EINTR) return;
  const bool seen = wasInCall(mp, u);
  const int nr = interruptedCall(mp, static_cast<uintptr>(r[REG_RIP]), seen);
  const uint64 mask = maskOf(u);
  if (nr < 0 || (os::pendingSignals() & ~mask) != 0) return;
  const int64 since = seen ? mp->blockedSince.load(Order::relaxed) : 0;
  const int64 slept = since == 0 ? 0 : os::nanotime() - since;
  const bool named = nr == SYS_clock_nanosleep;
  if (nr == SYS_nanosleep || (named && (r[REG_RSI] & kTimerAbstime) == 0)) {
    r[REG_RAX] = sleepAgain(named, r, slept, mask, mp, giveUp);
    return;
  }
  if (nr == SYS_poll) shorten(r[REG_RDX], slept);
  if (nr == SYS_epoll_wait || nr == SYS_epoll_pwait) shorten(r[REG_R10], slept);
  r[REG_RAX] = nr;
  r[REG_RIP] -= 2;
}

}  // namespace gort::rt

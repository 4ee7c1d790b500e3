// SPDX-License-Identifier: Apache-2.0
// Signals that the program asks for, and SIGPIPE.
//
// Way:        handler -> sigsend: bit in `pending` -> eventfd -> netpoller -> receiver (a goroutine of ours) -> channels.
//             A handler may stand anywhere, in the scheduler with its lock held too: it does a few atomic operations and, if
//             the word was empty, one write to a descriptor that is never closed. The receiver parks in the netpoller like
//             any reader: no thread of its own, and the idle program costs nothing. Somebody waits for I/O then, so
//             checkdead sees no deadlock. (Go parks a thread on a note there.)
// Ownership:  wanted, ignored, saved - the api floor, one caller at a time; handlers read. pending - handlers set, the api
//             floor takes. before[] - as wanted; handlers read their own entry, written before the handler was installed.
// Lost bits:  who makes pending non-zero writes the eventfd afterwards. The receiver resets its poll word, then reads the
//             eventfd, then looks at pending: a bit set later comes with a later write, which makes the word ready.
// Stopping:   `delivering` counts handlers between their look at wanted and the write. After wanted has lost the bit and
//             delivering was 0 once, no later bit of that signal appears: signalTake (Go: signalWaitUntilIdle).
//             Bits are taken and delivered under the api floor's lock, so none is between the two when a subscription ends.
// Epochs:     the receiver ends with its run(). While there is none, sigsend refuses and the handler gives the signal its
//             old fate: a program that is past run() can be ended by SIGTERM again.
// Rejected:   signalfd: every thread, foreign ones too, would have to block the signal; and children inherit the mask.
#include "sched/sigqueue.hpp"

#include <errno.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "base/check.hpp"
#include "os/epoll_raw.hpp"
#include "os/os_linux.hpp"
#include "os/signal_raw.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc.hpp"
#include "sched/runtime1.hpp"
#include "sched/signal_unix.hpp"

namespace gort::rt {

namespace {

constexpr int kMaxLooks = 1000;
constexpr uint32 kNobody = ~uint32{0};
constexpr long kEpipe = -32, kEagain = -11;

struct {
  Atomic<uint64> wanted{0}, pending{0};
  uint64 ignored = 0, saved = 0;  // saved: before[] is filled in
  Atomic<uint32> delivering{0};
  Atomic<uint32> epoch{kNobody};  // the run whose receiver is there
  Atomic<int> fd{-1};
  PollDesc* pd = nullptr;
  struct sigaction before[kMaxSignal + 1]{};
} constinit sig;

struct {
  bool installed = false;
  struct sigaction before {};
} constinit pipeRule;

// dieFromSignal ends the process by signal n, as if it had never been handled.   Runs on: any stack.
void dieFromSignal(int n) {
  os::setDefault(n);
  os::tgkillSelf(n);
  os::unblockSignal(n);
}

void notifyHandler(int n, siginfo_t*, void*) {
  if (sigsend(n)) return;
  os::restoreAction(n, &sig.before[n]);  // the run that wanted it is over
  os::tgkillSelf(n);                     // comes when we return
}

// putBack restores what was there before us. Whoever has installed a handler after us keeps it.
void putBack(int n) {
  if ((sig.saved & signalBit(n)) == 0) return;
  sig.saved &= ~signalBit(n);
  struct sigaction now {};
  os::currentAction(n, &now);
  const bool ours = (now.sa_flags & SA_SIGINFO) != 0
                        ? now.sa_sigaction == notifyHandler
                        : now.sa_handler == SIG_IGN && (sig.ignored & signalBit(n)) != 0;
  if (ours) os::restoreAction(n, &sig.before[n]);
  sig.ignored &= ~signalBit(n);
}

// wroteTo12 tells whether the thread has just failed to write to descriptor 1 or 2: the kernel sends SIGPIPE to whom it
// then returns EPIPE, so the handler finds the call's result and its first argument in the registers.
bool wroteTo12(void* uctx) {
  const auto* g = static_cast<const ucontext_t*>(uctx)->uc_mcontext.gregs;
  const auto fd = g[REG_RDI];
  return g[REG_RAX] == kEpipe && (fd == 1 || fd == 2);
}

void sigpipeHandler(int n, siginfo_t*, void* uctx) {
  if (!sigsend(n) && wroteTo12(uctx)) dieFromSignal(n);
}

}  // namespace

bool sigsend(int n) {
  sig.delivering.fetchAdd(1);
  const bool take = (sig.wanted.load() & signalBit(n)) != 0 && sig.epoch.load() == sched.epoch.load();
  if (take && sig.pending.fetchOr(signalBit(n)) == 0) {
    const uint64 one = 1;
    os::write(sig.fd.load(Order::relaxed), &one, sizeof one);
  }
  sig.delivering.fetchSub(1);
  return take;
}

// Not those that cannot be caught, that the C library keeps for itself (32, 33), and that the runtime uses to interrupt.
bool signalAvailable(int n) {
  return n >= 1 && n <= kMaxSignal && n != SIGKILL && n != SIGSTOP && n != SIGURG && n != 32 && n != 33;
}

void signalEnable(int n) {
  const uint64 bit = signalBit(n);
  if ((sig.ignored & bit) != 0) putBack(n);
  sig.wanted.fetchOr(bit);
  const bool asksUs = n == SIGPIPE ? pipeRule.installed : crashSignalTaken(n);
  if (asksUs || (sig.saved & bit) != 0) return;
  sig.saved |= bit;
  os::currentAction(n, &sig.before[n]);  // before the handler can look
  os::setHandlerAlone(n, notifyHandler);
}

void signalDisable(int n) {
  sig.wanted.fetchAnd(~signalBit(n));
  putBack(n);
}

void signalIgnore(int n) {
  signalDisable(n);
  sig.saved |= signalBit(n);
  sig.ignored |= signalBit(n);
  os::currentAction(n, &sig.before[n]);
  os::setIgnored(n);
}

bool signalIgnored(int n) {
  struct sigaction now {};
  os::currentAction(n, &now);
  return (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == SIG_IGN;
}

bool signalStart() {
  const uint32 epoch = sched.epoch.load();
  if (sig.epoch.load() == epoch) return false;
  if (sig.pd != nullptr) {  // of a run that is over: its receiver gets no P any more
    pollUnblock(sig.pd);
    pollClose(sig.pd);
    sig.pd = nullptr;
  }
  if (sig.fd.load() < 0) sig.fd.store(os::eventFd());
  if (sig.fd.load() < 0 || pollOpen(sig.fd.load(), &sig.pd) < 0) {
    fatal("runtime: no eventfd for signals (file descriptor limit?)");
  }
  sig.pending.store(0);
  sig.epoch.store(epoch);
  return true;
}

void signalWait() {
  for (;;) {
    pollReset(sig.pd, PollMode::read);
    uint64 count;
    const long n = os::read(sig.fd.load(Order::relaxed), &count, sizeof count);
    if (sig.pending.load() != 0) return;
    if (n == kEagain) pollWait(sig.pd, PollMode::read);
  }
}

// The wait is bounded: a crash signal's handler may be interrupted between its look and its bit, by a preemption that keeps
// its thread for longer than anybody should spin. Its bit then comes with the next look.
uint64 signalTake() {
  for (int i = 0; i < kMaxLooks && sig.delivering.load() != 0; ++i) os::osyield();
  return sig.pending.exchange(0);
}

// ---- SIGPIPE

void initsigpipe(bool want) {
  if (want == pipeRule.installed) return;
  if (!want) {
    os::restoreAction(SIGPIPE, &pipeRule.before);
    pipeRule.installed = false;
    return;
  }
  os::currentAction(SIGPIPE, &pipeRule.before);
  if ((pipeRule.before.sa_flags & SA_SIGINFO) == 0 && pipeRule.before.sa_handler == SIG_DFL) {
    os::setHandlerAlone(SIGPIPE, sigpipeHandler);
    pipeRule.installed = true;
  }
}

namespace {

enum class PipeFate : uint8 { ours, ignored, kills, others };

// pipeFate asks what SIGPIPE does now: the program may have changed it after us.
PipeFate pipeFate() {
  struct sigaction now {};
  os::currentAction(SIGPIPE, &now);
  if ((now.sa_flags & SA_SIGINFO) != 0) {
    const bool ours = now.sa_sigaction == sigpipeHandler || now.sa_sigaction == notifyHandler;
    return ours ? PipeFate::ours : PipeFate::others;
  }
  if (now.sa_handler == SIG_IGN) return PipeFate::ignored;
  return now.sa_handler == SIG_DFL ? PipeFate::kills : PipeFate::others;
}

// brokenPipe is Go's rule for a write of the library's own that came back with EPIPE and no signal.
void brokenPipe(int fd) {
  if (sigsend(SIGPIPE) || !pipeRule.installed || (fd != 1 && fd != 2)) return;
  if (const PipeFate fate = pipeFate(); fate == PipeFate::ours || fate == PipeFate::kills)
    dieFromSignal(SIGPIPE);
}

// blocked runs f with SIGPIPE blocked and takes what came of it, but not one that was there before.
long blocked(long (*f)(void*), void* arg) {
  uint64 old = 0;
  const uint64 bit = signalBit(SIGPIPE);
  os::changeSignalMask(SIG_BLOCK, &bit, &old);
  const bool was = (old & bit) != 0;
  const bool pending = was && (os::pendingSignals() & bit) != 0;
  const long r = f(arg);
  if (r == kEpipe && !pending) os::takeSignal(bit);
  if (!was) os::changeSignalMask(SIG_SETMASK, &old, nullptr);
  return r;
}

}  // namespace

long quietly(long (*f)(void*), void* arg) {
  const PipeFate fate = pipeFate();
  return fate == PipeFate::ours || fate == PipeFate::ignored ? f(arg) : blocked(f, arg);
}

long pipeWrite(int fd, const void* p, std::size_t n) {
  constexpr long kHere = -1;
  constexpr int kNoSignal = 0x100;  // RWF_NOSIGNAL
  struct {
    const void* p;
    std::size_t n;
  } const v{p, n};
  long r = -EOPNOTSUPP;
  if (loadRelaxed(&debug.rwnosignal) != 0) {
    r = os::sys(SYS_pwritev2, fd, &v, 1, kHere, kHere, kNoSignal);
    if (r == -EOPNOTSUPP || r == -ENOSYS) storeRelaxed(&debug.rwnosignal, 0);
  }
  if (r == -EOPNOTSUPP || r == -ENOSYS) {
    if (pipeFate() == PipeFate::ours) return os::write(fd, p, n);  // its handler knows the rule
    auto plain = [&] { return os::write(fd, p, n); };
    r = blocked([](void* f) -> long { return (*static_cast<decltype(plain)*>(f))(); }, &plain);
  }
  if (r == kEpipe) brokenPipe(fd);
  return r;
}

}  // namespace gort::rt

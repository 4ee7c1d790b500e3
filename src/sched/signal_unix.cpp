// SPDX-License-Identifier: Apache-2.0
// Crash signals; policy in signal_unix.hpp. What the program asks for and SIGPIPE are in sigqueue.cpp, SIGURG in
// preempt.cpp.
//
// "Runs on: the handler" below means: on the alternate stack (our Ms) or on the interrupted one (foreign threads,
// unless they have an alternate stack of their own), at any instruction of the thread, with any locks held, with that
// signal blocked. SIGURG is not: a preemption refuses, as g is still the goroutine and the stack pointer is not on its
// stack. What runs there takes only the print lock, allocates nothing, never parks, and trusts the pair (g, stack
// pointer) only when the pointer lies inside g's stack: between the two stores of a switch it does not
// (arch/amd64/asm_amd64.S).
// Several threads may fault at once: startpanic lets one report; the others wait or die without a word.
#include "sched/signal_unix.hpp"

#include <sys/auxv.h>
#include <sys/syscall.h>

#include "base/sanitizer.hpp"
#include "mem/stackalloc.hpp"
#include "os/mem_linux.hpp"
#include "os/os_linux.hpp"
#include "os/signal_raw.hpp"
#include "sched/panic_print.hpp"
#include "sched/proc_internal.hpp"
#include "sched/sigqueue.hpp"
#include "unwind/traceback.hpp"

#if !defined(AT_MINSIGSTKSZ)
#define AT_MINSIGSTKSZ 51
#endif

namespace gort::rt {

namespace {

constexpr std::size_t kHandlerBytes = std::size_t{96}
                                      << 10;  // what reports need, on top of the kernel's own frame
constexpr std::size_t kMinSigFrame = 2048;    // kernels that do not tell

struct SigTabEntry {
  int sig;
  const char* name;
  bool fault;         // ends by the signal itself; else exit status 2
  CrashSignals from;  // the least policy that takes it
};
constexpr SigTabEntry kSigTable[] = {
    {SIGSEGV, "SIGSEGV: segmentation violation", true, CrashSignals::faults},
    {SIGBUS, "SIGBUS: bus error", true, CrashSignals::faults},
    {SIGFPE, "SIGFPE: floating-point exception", true, CrashSignals::faults},
    {SIGILL, "SIGILL: illegal instruction", true, CrashSignals::faults},
    {SIGABRT, "SIGABRT: abort", true, CrashSignals::all},
    {SIGTRAP, "SIGTRAP: trace trap", true, CrashSignals::all},
    {SIGSYS, "SIGSYS: bad system call", true, CrashSignals::all},
    {SIGQUIT, "SIGQUIT: quit", false, CrashSignals::all},
};
constexpr unsigned kSignals = sizeof kSigTable / sizeof kSigTable[0];

constinit struct sigaction fwdSig[kSignals] {};  // dispositions before ours; by initsig, read by handlers
constinit CrashSignals installed = CrashSignals::none;
constinit uint64 bootMask = 0;  // of the thread that booted; by initsig
// What the thread that is in run() had before and gets back.
struct {
  stack_t stack;
  uint64 mask;
} constinit host{{nullptr, SS_DISABLE, 0}, 0};

// minitSignalMask lets signals in again: threads are made with all of them blocked. Under run() an M has the
// mask of the thread that called it; in a library the host's signals stay away from our threads. A blocked
// fault kills without a word.   Runs on: the thread itself, g0; no lock held.
void minitSignalMask() {
  if (installed != CrashSignals::none) os::changeSignalMask(SIG_SETMASK, &bootMask, nullptr);
  for (const SigTabEntry& e : kSigTable) {
    if (e.fault || e.from <= installed) os::unblockSignal(e.sig);
  }
  os::unblockSignal(SIGURG);  // see preempt.cpp; ignored where nobody has a handler
}

// sigFetchG finds the goroutine that was interrupted: g0 if half-way in a switch, nullptr on a thread that Gort does
// not know.
// Runs on: the handler.
G* sigFetchG(const Regs& r) {
  G* gp = getg();
  if (gp == nullptr) return nullptr;
  const bool inside = r.sp <= gp->stack.hi && (r.sp >= gp->stack.lo || stackGuardHit(gp, r.sp));
  if (inside || gp->m == nullptr) return gp;
  return gp->m->g0;
}

// stackOverflow reports it and ends the process.   Runs on: the handler; gp's stack has no room, so nothing runs on it
// again.
[[noreturn]] void stackOverflow(const G* gp, const Regs& r) {
  if (gp->m != nullptr) gp->m->throwing = static_cast<int32>(Throwing::user);
  if (!startpanic()) os::exit(2);
  {
    Printer w;
    const std::size_t guard = stackGuardBytes(gp->stackClass);
    w << "runtime: goroutine stack exceeds " << gp->stack.hi - gp->stack.lo + guard << "-byte limit\n";
    w << "runtime: sp=" << Hex{r.sp} << " stack=[" << Hex{gp->stack.lo} << ", " << Hex{gp->stack.hi} << "]\n";
    w << "fatal error: stack overflow\n";
  }
  dopanic(r, gp);
}

// faultReport prints a fault and the stacks; the caller lets the signal take its course.   Runs on: the handler.
void faultReport(const SigTabEntry& e, const siginfo_t* info, const Regs& r, G* gp) {
  if (!startpanic()) return;
  const bool sent = info->si_code <= 0;  // by kill: there is no address, and the instruction is not to blame
  const bool hasAddr = !sent && (e.sig == SIGSEGV || e.sig == SIGBUS);
  if (gp != nullptr && gp->m != nullptr && gp == gp->m->g0)
    gp->m->throwing = static_cast<int32>(Throwing::runtime);
  {
    Printer w;
    if (hasAddr) w << "unexpected fault address " << info->si_addr << "\nfatal error: fault\n";
    w << "[signal " << e.name << " code=" << Hex{static_cast<uint64>(static_cast<uint32>(info->si_code))};
    if (!sent && (hasAddr || e.sig == SIGFPE || e.sig == SIGILL)) w << " addr=" << info->si_addr;
    w << " pc=" << Hex{r.pc};
    if (sent && info->si_pid != os::sys(SYS_getpid)) w << " sent by process " << int64{info->si_pid};
    w << "]\n";
  }
  printStacks(r, gp);
  donepanic();
}

// quitReport prints all stacks and ends the process by exit status 2.   Runs on: the handler of whichever thread got it.
void quitReport(const SigTabEntry& e, const siginfo_t* info, const Regs& r, G* gp) {
  if (gp != nullptr && gp->m != nullptr) gp->m->throwing = static_cast<int32>(Throwing::user);
  if (!startpanic()) os::exit(2);
  {
    Printer w;
    w << e.name << "\nPC=" << Hex{r.pc}
      << " m=" << (gp != nullptr && gp->m != nullptr ? gp->m->id : int64{-1}) << " sigcode=" << info->si_code
      << '\n';
  }
  printAllStacks(r, gp);
  endpanic(traceLevel().crash);
}

// sighandler is the handler of all of kSigTable: what was sent and the program has asked for goes to sigsend; a guard
// that was hit is a stack overflow; all else is reported and then has the fate it had before us.
void sighandler(int sig, siginfo_t* info, void* uctx) {
  unsigned i = 0;
  while (i < kSignals - 1 && kSigTable[i].sig != sig) ++i;
  const SigTabEntry& e = kSigTable[i];
  if ((!e.fault || info->si_code <= 0) && sigsend(sig)) return;
  const Regs r = regsFromUcontext(uctx);
  G* gp = sigFetchG(r);
  const auto addr = reinterpret_cast<uintptr>(info->si_addr);
  if (gp != nullptr && (sig == SIGSEGV || sig == SIGBUS) && stackGuardHit(gp, addr)) stackOverflow(gp, r);
  if (!e.fault) {
    quitReport(e, info, r, gp);
    return;
  }
  const auto old = fwdSig[i];
  const bool hadHandler =
      (old.sa_flags & SA_SIGINFO) != 0 || (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN);
  if (!(GORT_SANITIZED && hadHandler)) faultReport(e, info, r, gp);
  // Back to what was there before; the instruction faults again when the handler returns. A signal that was
  // sent (kill, abort) is sent again.
  if (hadHandler) {
    os::restoreAction(sig, &old);
  } else {
    os::setDefault(sig);
  }
  if (info->si_code <= 0) os::tgkillSelf(sig);
}

}  // namespace

// Requires: one caller at a time: boot, and runMain before its goroutine starts. Handlers may run meanwhile: one that
// comes before sigaction has told what was there finds fwdSig empty, which reads as the default.
void initsig(CrashSignals which) {
  if (installed == CrashSignals::none) os::changeSignalMask(SIG_BLOCK, nullptr, &bootMask);
  if (which == installed) return;
  for (unsigned i = 0; i < kSignals; ++i) {
    const SigTabEntry& e = kSigTable[i];
    const bool had = e.from <= installed, want = e.from <= which;
    if (want && !had) os::setHandler(e.sig, sighandler, &fwdSig[i]);
    if (had && !want) os::restoreAction(e.sig, &fwdSig[i]);
  }
  initsigpipe(which == CrashSignals::all);
  installed = which;
}

uint64 signalMaskForChildren() { return bootMask; }

bool crashSignalTaken(int sig) {
  for (const SigTabEntry& e : kSigTable) {
    if (e.sig == sig) return e.from <= installed;
  }
  return false;
}

// Runs on: mp's thread, before its first goroutine; no lock held.
void minitSignals(M* mp) {
  if (mp == &m0) os::changeSignalMask(SIG_BLOCK, nullptr, &host.mask);
  GORT_DCHECK(getg() != nullptr && getg()->m == mp, "minitSignals: of another thread");
  minitSignalMask();
  if (mp->gsignal != nullptr) {
    os::setAltStack(mp->gsignal, mp->gsignalSize, nullptr);  // m0 in a second run
    return;
  }
  std::size_t frame = getauxval(AT_MINSIGSTKSZ);
  if (frame < kMinSigFrame) frame = kMinSigFrame;
  const std::size_t size = alignUp(frame + kHandlerBytes, kPageSize);
  void* p = os::sysAlloc(size);
  if (p == nullptr) fatal("runtime: out of memory: cannot allocate a signal stack");
  mp->gsignal = p;
  mp->gsignalSize = size;
  if (os::setAltStack(p, size, mp == &m0 ? &host.stack : nullptr) != 0) throw_("sigaltstack failed");
}

// Runs on: mp's thread, after its last goroutine, not on the signal stack; no lock held.
void unminitSignals(M* mp) {
  if (mp->gsignal == nullptr) return;
  const bool lent = mp == &m0 && (host.stack.ss_flags & SS_DISABLE) == 0;
  os::setAltStack(lent ? host.stack.ss_sp : nullptr, lent ? host.stack.ss_size : 0, nullptr);
  os::sysFree(mp->gsignal, mp->gsignalSize);
  mp->gsignal = nullptr;
  if (mp == &m0) os::changeSignalMask(SIG_SETMASK, &host.mask, nullptr);
}

}  // namespace gort::rt

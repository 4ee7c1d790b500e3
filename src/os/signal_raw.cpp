// SPDX-License-Identifier: Apache-2.0
#include "os/signal_raw.hpp"

#include <sys/syscall.h>

#include "os/os_linux.hpp"

namespace gort::rt::os {

// The disposition calls go through libc's sigaction (it supplies the restorer the kernel needs); it takes no lock.
int setHandler(int sig, SigHandler fn, struct sigaction* old, uint64 mask) {
  struct sigaction sa {};
  __builtin_memcpy(&sa.sa_mask, &mask, sizeof mask);
  sa.sa_sigaction = fn;
  sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  return sigaction(sig, &sa, old);
}

int setHandlerAlone(int sig, SigHandler fn) {
  struct sigaction sa {};
  sa.sa_sigaction = fn;
  sa.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  __builtin_memset(&sa.sa_mask, 0xff, sizeof sa.sa_mask);
  return sigaction(sig, &sa, nullptr);
}

int restoreAction(int sig, const struct sigaction* old) { return sigaction(sig, old, nullptr); }

int setDefault(int sig) {
  struct sigaction sa {};
  sa.sa_handler = SIG_DFL;
  return sigaction(sig, &sa, nullptr);
}

int setIgnored(int sig) {
  struct sigaction sa {};
  sa.sa_handler = SIG_IGN;
  return sigaction(sig, &sa, nullptr);
}

int currentAction(int sig, struct sigaction* now) { return sigaction(sig, nullptr, now); }

namespace {
constexpr std::size_t kKernelMaskBytes = 8;
// libc's own: with 33 setuid makes every thread follow, and waits until all have.
constexpr uint64 kLibcSignals = uint64{1} << (32 - 1) | uint64{1} << (33 - 1);
}  // namespace

const uint64 kAllButFaults =
    ~(kLibcSignals | uint64{1} << (SIGSEGV - 1) | uint64{1} << (SIGBUS - 1) | uint64{1} << (SIGFPE - 1) |
      uint64{1} << (SIGILL - 1) | uint64{1} << (SIGTRAP - 1) | uint64{1} << (SIGSYS - 1));

void blockAllSignals(sigset_t* old) {
  uint64 all = ~kLibcSignals;
  sys(SYS_rt_sigprocmask, SIG_BLOCK, &all, old, kKernelMaskBytes);
}
void setSignalMask(const sigset_t* set) {
  sys(SYS_rt_sigprocmask, SIG_SETMASK, set, nullptr, kKernelMaskBytes);
}
void unblockSignal(int sig) {
  uint64 one = uint64{1} << (sig - 1);
  sys(SYS_rt_sigprocmask, SIG_UNBLOCK, &one, nullptr, kKernelMaskBytes);
}
void changeSignalMask(int how, const uint64* set, uint64* old) {
  sys(SYS_rt_sigprocmask, how, set, old, kKernelMaskBytes);
}
uint64 pendingSignals() {
  uint64 set = 0;
  sys(SYS_rt_sigpending, &set, kKernelMaskBytes);
  return set;
}
int takeSignal(uint64 set) {
  const struct { int64 sec, nsec; } now{0, 0};
  return static_cast<int>(sys(SYS_rt_sigtimedwait, &set, nullptr, &now, kKernelMaskBytes));
}
int setAltStack(void* p, std::size_t n, stack_t* old) {
  stack_t st{};
  st.ss_sp = p;
  st.ss_size = n;
  st.ss_flags = p != nullptr ? 0 : SS_DISABLE;
  return static_cast<int>(sys(SYS_sigaltstack, &st, old));
}

}  // namespace gort::rt::os

// SPDX-License-Identifier: Apache-2.0
// The child shares our memory until it execs (CLONE_VM) and our thread waits for that (CLONE_VFORK): no page tables are
// copied, and what the child finds out it simply stores in SpawnArgs. So the child must not touch anything else of ours:
//   its stack is a block of its own; it calls nothing but the kernel, through inlined calls; no sanitizer instruments it;
//   no handler of ours may run in it: all signals are blocked around the clone, the child sets every handler back to the
//   default (its table of dispositions is a copy) before it takes the mask it is to have. SIG_IGN stays, as exec has it.
// A ^C that comes in between is pending on the child or on us, and meets whoever it was meant for.
// Descriptors: a source that lies in the way (0..2) is first moved up, with close-on-exec; then each is put in its place
//   without. All others of ours close at exec.
// Rejected: a close-on-exec pipe for the child's errno (Go): two descriptors more in every start, and EMFILE where none is
//   needed; posix_spawn: no pidfd before glibc 2.39, and no word about which step failed.
#include "os/spawn.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>

#include "base/dialect.hpp"
#include "os/os_linux.hpp"
#include "os/signal_raw.hpp"

#if !defined(CLONE_PIDFD)
#define CLONE_PIDFD 0x1000
#endif

#if defined(__clang__)
#define GORT_CHILD __attribute__((disable_sanitizer_instrumentation, noinline))
#else
#define GORT_CHILD __attribute__((no_sanitize("address,thread,undefined"), no_stack_protector, noinline))
#endif

namespace gort::rt::os {

namespace {

constexpr std::size_t kMaskBytes = 8;
constexpr int kSignals = 64;
constexpr int kExitCode = 127;
constexpr long kEnosys = -38, kEperm = -1, kEinval = -22;

struct KernelAction {  // the kernel's struct sigaction
  uintptr handler;
  uint64 flags;
  uintptr restorer;
  uint64 mask;
};

struct Child {
  SpawnArgs* a;
  volatile long error;  // the child's -errno
};

// place puts the three descriptors where they belong. Returns 0 or -errno.  (Inlined into the child it makes GCC 12's
// AddressSanitizer pass crash.)
GORT_CHILD long place(const int* want) {
  int from[3];
  for (int i = 0; i < 3; ++i) {
    from[i] = want[i];
    if (from[i] >= 3 || from[i] == i) continue;
    const long r = sys(SYS_fcntl, from[i], F_DUPFD_CLOEXEC, 3);
    if (r < 0) return r;
    from[i] = static_cast<int>(r);
  }
  for (int i = 0; i < 3; ++i) {
    const long r = from[i] == i ? sys(SYS_fcntl, i, F_SETFD, 0) : sys(SYS_dup3, from[i], i, 0);
    if (r < 0) return r;
  }
  return 0;
}

[[noreturn]] GORT_CHILD void childMain(Child* c) {
  SpawnArgs& a = *c->a;
  for (int n = 1; n <= kSignals; ++n) {
    KernelAction now{};
    if (sys(SYS_rt_sigaction, n, nullptr, &now, kMaskBytes) != 0 || now.handler <= 1) continue;
    now = {};
    sys(SYS_rt_sigaction, n, &now, nullptr, kMaskBytes);
  }
  long r = 0;
  if (a.dir != nullptr) r = sys(SYS_chdir, a.dir);
  a.failedStep = SpawnStep::chdir;
  if (r >= 0) {
    a.failedStep = SpawnStep::descriptors;
    r = place(a.fds);
  }
  if (r >= 0) {
    a.failedStep = SpawnStep::exec;
    sys(SYS_rt_sigprocmask, SIG_SETMASK, &a.mask, nullptr, kMaskBytes);
    r = sys(SYS_execve, a.path, a.argv, a.envp);
  }
  c->error = r;
  for (;;) sys(SYS_exit_group, kExitCode);
}

// cloneChild runs childMain(c) in a child, on a stack of its own. Returns its pid or -errno.
__attribute__((noinline)) long cloneChild(Child* c, long flags, int* pidfd) {
  long top = static_cast<long>(alignDown(reinterpret_cast<uintptr>(c->a->stack) + c->a->stackBytes, 16));
  register int* tid __asm__("rdx") = pidfd;
  register long zero __asm__("r10") = 0;
  register long tls __asm__("r8") = 0;
  register void (*fn)(Child*) __asm__("r9") = childMain;
  register Child* arg __asm__("r12") = c;
  long ret = SYS_clone;
  __asm__ volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"  // the child: nothing above
      "movq %%r12, %%rdi\n\t"
      "callq *%%r9\n\t"
      "1:"
      : "+a"(ret), "+D"(flags), "+S"(top), "+r"(tid), "+r"(zero), "+r"(tls), "+r"(fn), "+r"(arg)
      :
      : "rcx", "r11", "memory", "cc");
  return ret;
}

}  // namespace

long spawn(SpawnArgs& a) {
  Child c{&a, 0};
  a.pidfd = -1;
  a.failedStep = SpawnStep::exec;
  constexpr long kFlags = CLONE_VM | CLONE_VFORK | SIGCHLD;
  uint64 old = 0;
  const uint64 every = ~uint64{0};
  changeSignalMask(SIG_BLOCK, &every, &old);
  long pid = a.wantPidfd ? cloneChild(&c, kFlags | CLONE_PIDFD, &a.pidfd) : kEnosys;
  if (pid == kEnosys || pid == kEperm || pid == kEinval) {
    a.pidfd = -1;
    pid = cloneChild(&c, kFlags, nullptr);
  }
  changeSignalMask(SIG_SETMASK, &old, nullptr);
  if (pid < 0 || c.error == 0) return pid;
  int status;
  while (sys(SYS_wait4, pid, &status, 0, nullptr) == -4 /*EINTR*/) {
  }
  if (a.pidfd >= 0) close(a.pidfd);
  return c.error;
}

}  // namespace gort::rt::os

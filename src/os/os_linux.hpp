// SPDX-License-Identifier: Apache-2.0
// Raw system calls, the only ones of the runtime outside src/os.     (Go: sys_linux_amd64.s, os_linux.go)
// Every function returns a non-negative result or -errno; errno itself is never touched, so nothing here can be confused
// by a goroutine that changes threads. Runs on: any stack, in signal handlers too.
#pragma once
#include "base/types.hpp"

namespace gort::rt::os {

inline __attribute__((always_inline)) long syscall6(long n, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  long ret;
  __asm__ volatile("syscall"
                   : "=a"(ret)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return ret;
}
template <class A = long, class B = long, class C = long, class D = long, class E = long, class F = long>
inline __attribute__((always_inline)) long sys(long n, A a = {}, B b = {}, C c = {}, D d = {}, E e = {},
                                               F f = {}) {
  return syscall6(n, (long)a, (long)b, (long)c, (long)d, (long)e, (long)f);
}

void osinit();  // page size, cpu count, kernel features; once, before anything else
long read(int fd, void* p, std::size_t n);
long write(int fd, const void* p, std::size_t n);
long openRead(const char* path);
long close(int fd);
long fstatSize(int fd);
[[noreturn]] void exit(int code);  // exit_group: all threads, no destructors
int gettid();
int getpid();
int ncpuAffinity();  // CPUs this process may run on
void osyield();
void usleep(uint32 us);
int tgkillSelf(int sig);  // raise sig on the calling thread
int tgkill(int tid, int sig);
int64 threadCpu(int tid);  // ns of CPU time that a thread of this process has used; -1: it has gone
// sleepingIn tells in which system call a thread of this process sleeps, and where that returns to. -1: none, or unknown.
int sleepingIn(int tid, uintptr* pc);
uint64 randomSeed();  // getrandom, else clock and addresses

// The process environment and arguments as the kernel laid them out; found once in osinit without libc locks.
const char* getenv(const char* name);

// Kernel features, probed once in osinit. ENOSYS, EPERM and EINVAL alike mean "not here".
struct Features {
  bool membarrier = false;    // PRIVATE_EXPEDITED registered
  bool epollPwait2 = false;   // Linux 5.11
  bool guardInstall = false;  // MADV_GUARD_INSTALL, Linux 6.13
  bool shadowStack = false;   // user shadow stacks active on this thread: refused
};
extern Features features;

// membarrierAll executes a full memory barrier on every running thread of the process.
// Requires: features.membarrier.
void membarrierAll();

}  // namespace gort::rt::os

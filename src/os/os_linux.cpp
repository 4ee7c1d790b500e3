// SPDX-License-Identifier: Apache-2.0
#include "os/os_linux.hpp"

#include <fcntl.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "base/print.hpp"
#include "base/rand.hpp"
#include "os/mem_linux.hpp"
#include "os/vdso.hpp"

extern char** environ;

namespace gort::rt::os {

constinit Features features{};

namespace {

constexpr int kSysEpollPwait2 = 441;
constexpr int kArchShstkStatus = 0x5005;
constexpr std::size_t kMaskBytes = 1024;  // 8192 CPUs

// writeStderr is the default target of Printer. Short writes and EINTR are retried; errors lose the text, nothing else.
void writeStderr(void*, const char* p, std::size_t n) {
  while (n > 0) {
    const long r = write(2, p, n);
    if (r == -4 /*EINTR*/) continue;
    if (r <= 0) return;
    p += r;
    n -= static_cast<std::size_t>(r);
  }
}

void probeMembarrier() {
  const long have = sys(SYS_membarrier, MEMBARRIER_CMD_QUERY);
  if (have < 0 || (have & MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0) return;
  if (sys(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0) return;
  features.membarrier = sys(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0;
}

void probeGuard() {
  void* p = sysAlloc(kPageSize);
  if (p == nullptr) return;
  features.guardInstall = sysGuardInstall(p, kPageSize) == 0;
  sysFree(p, kPageSize);
}

void probeEpollPwait2() {
  constexpr long kEbadf = -9;
  struct {
    int64 sec, nsec;
  } zero{0, 0};
  char event[12];
  features.epollPwait2 = sys(kSysEpollPwait2, -1, event, 1, &zero, nullptr, 8) == kEbadf;
}

void probeShadowStack() {
  uint64 status = 0;
  if (sys(SYS_arch_prctl, kArchShstkStatus, &status) == 0) features.shadowStack = (status & 1) != 0;
}

}  // namespace

void osinit() {
  vdsoInit();
  Printer::setDefaultWriter(writeStderr, nullptr);
  probeMembarrier();
  probeGuard();
  probeEpollPwait2();
  probeShadowStack();
}

long read(int fd, void* p, std::size_t n) { return sys(SYS_read, fd, p, n); }
long write(int fd, const void* p, std::size_t n) { return sys(SYS_write, fd, p, n); }
long openRead(const char* path) { return sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0); }
long close(int fd) { return sys(SYS_close, fd); }
long fstatSize(int fd) {
  const long end = sys(SYS_lseek, fd, 0, 2);
  sys(SYS_lseek, fd, 0, 0);
  return end;
}

void exit(int code) {
  for (;;) sys(SYS_exit_group, code);
}

int gettid() { return static_cast<int>(sys(SYS_gettid)); }
int getpid() { return static_cast<int>(sys(SYS_getpid)); }
void osyield() { sys(SYS_sched_yield); }

int ncpuAffinity() {
  unsigned char mask[kMaskBytes] = {};
  const long n = sys(SYS_sched_getaffinity, 0, sizeof mask, mask);
  int cpus = 0;
  for (long i = 0; i < n; ++i) cpus += __builtin_popcount(mask[i]);
  return cpus > 0 ? cpus : 1;
}

void usleep(uint32 us) {
  struct {
    int64 sec, nsec;
  } ts{us / 1000000, static_cast<int64>(us % 1000000) * 1000};
  sys(SYS_nanosleep, &ts, nullptr);
}

int tgkillSelf(int sig) { return static_cast<int>(sys(SYS_tgkill, getpid(), gettid(), sig)); }

int tgkill(int tid, int sig) { return static_cast<int>(sys(SYS_tgkill, getpid(), tid, sig)); }

int64 threadCpu(int tid) {
  constexpr int kPerThread = 4, kSched = 2;  // the kernel's numbering of CPU clocks
  struct {
    int64 sec, nsec;
  } ts{};
  if (sys(SYS_clock_gettime, static_cast<int>(~static_cast<unsigned>(tid) << 3 | kPerThread | kSched), &ts) <
      0)
    return -1;
  return ts.sec * 1000000000 + ts.nsec;
}

int sleepingIn(int tid, uintptr* pc) {
  char path[48] = "/proc/self/task/";
  char* p = path + __builtin_strlen(path);
  char digits[12];
  int n = 0;
  for (int t = tid; t > 0; t /= 10) digits[n++] = static_cast<char>('0' + t % 10);
  while (n > 0) *p++ = digits[--n];
  __builtin_memcpy(p, "/syscall", sizeof "/syscall");
  const long fd = openRead(path);
  if (fd < 0) return -1;
  char text[256] = {};
  const long len = read(static_cast<int>(fd), text, sizeof text - 1);
  close(static_cast<int>(fd));
  if (len <= 0 || text[0] < '0' || text[0] > '9') return -1;  // "running", or "-1 sp pc": stopped elsewhere
  int nr = 0;
  for (long i = 0; i < len && text[i] >= '0' && text[i] <= '9'; ++i) nr = nr * 10 + (text[i] - '0');
  long last = len;  // "nr arg0 .. arg5 sp pc", pc in hexadecimal
  while (last > 0 && text[last - 1] != 'x') --last;
  uintptr v = 0;
  for (long i = last; i < len && text[i] != '\n'; ++i) {
    const char c = text[i];
    v = v << 4 | static_cast<uintptr>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  *pc = v;
  return nr;
}

uint64 randomSeed() {
  uint64 seed = 0;
  constexpr unsigned kNonBlock = 1;
  if (sys(SYS_getrandom, &seed, sizeof seed, kNonBlock) == static_cast<long>(sizeof seed)) return seed;
  uint64 x = static_cast<uint64>(nanotime()) ^ reinterpret_cast<uint64>(&seed);
  return splitmix64(x);
}

const char* getenv(const char* name) {
  for (char** e = environ; e != nullptr && *e != nullptr; ++e) {
    const char* s = *e;
    const char* n = name;
    while (*n != 0 && *s == *n) ++s, ++n;
    if (*n == 0 && *s == '=') return s + 1;
  }
  return nullptr;
}

void membarrierAll() { sys(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED); }

}  // namespace gort::rt::os

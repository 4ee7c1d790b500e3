// SPDX-License-Identifier: Apache-2.0
#include "os/thread.hpp"

#include "base/atomic.hpp"

#include <elf.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "os/os_linux.hpp"
#include "os/signal_raw.hpp"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

namespace gort::rt::os {

namespace {

// ThreadStart is handed over through pthread's argument; at most one is in flight per caller because createThread waits
// for nothing: the record lives in a small ring owned by the template thread and start-up (single caller at a time).
struct ThreadStart {
  Atomic<void (*)(void*)> fn;  // store(release) <-> load(acquire): not nullptr while the record is in use
  void* arg = nullptr;
};
constexpr unsigned kRing = 64;
constinit ThreadStart ring[kRing] = {};
constinit unsigned ringNext = 0;

void* threadMain(void* p) {
  ThreadStart* s = static_cast<ThreadStart*>(p);
  void (*fn)(void*) = s->fn.load(Order::relaxed);  // pthread_create orders it
  void* arg = s->arg;
  s->fn.store(nullptr, Order::release);
  fn(arg);
  return nullptr;
}

pthread_key_t exitKey;
constinit pthread_once_t exitOnce = PTHREAD_ONCE_INIT;
using ExitFn = void (*)(void*);
constinit ExitFn exitFn = nullptr;
void runExit(void* arg) { loadRelaxed (&exitFn)(arg); }
void makeExitKey() { pthread_key_create(&exitKey, runExit); }

}  // namespace

int createThread(void (*fn)(void*), void* arg, std::size_t stackBytes) {
  ThreadStart* s = &ring[ringNext++ % kRing];
  while (s->fn.load(Order::acquire) != nullptr) osyield();  // its previous user has not started yet
  s->arg = arg;
  s->fn.store(fn, Order::relaxed);
  pthread_attr_t attr;
  int err = pthread_attr_init(&attr);
  if (err != 0) return err;
  pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attr, stackBytes);
  sigset_t old;
  blockAllSignals(&old);
  pthread_t t;
  err = pthread_create(&t, &attr, threadMain, s);
  setSignalMask(&old);
  pthread_attr_destroy(&attr);
  if (err != 0) s->fn.store(nullptr, Order::relaxed);
  return err;
}

StackBounds threadStackBounds() {
  pthread_attr_t attr;
  void* base = nullptr;
  std::size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &attr) == 0) {
    pthread_attr_getstack(&attr, &base, &size);
    pthread_attr_destroy(&attr);
  }
  const uintptr lo = reinterpret_cast<uintptr>(base);
  return {lo, lo + size};
}

int threadCount() {
  struct stat st {};  // one link for each thread, as for subdirectories, and two more
  return sys(SYS_stat, "/proc/self/task", &st) < 0 ? 0 : static_cast<int>(st.st_nlink) - 2;
}

void setTimerSlack(uint64 ns) { sys(SYS_prctl, PR_SET_TIMERSLACK, ns, 0, 0, 0); }
void setThreadName(const char* name) { sys(SYS_prctl, PR_SET_NAME, name, 0, 0, 0); }

std::size_t minSignalStack() {
  const std::size_t n = getauxval(AT_MINSIGSTKSZ);
  return n < 2048 ? 2048 : n;
}

void atThreadExit(void (*fn)(void*), void* arg) {
  storeRelaxed(&exitFn, fn);  // always the same one
  pthread_once(&exitOnce, makeExitKey);
  pthread_setspecific(exitKey, arg);
}

int atForkInChild(void (*fn)()) { return pthread_atfork(nullptr, nullptr, fn); }

}  // namespace gort::rt::os

// SPDX-License-Identifier: Apache-2.0
// From nothing to running goroutines and back.                                       (Go: rt0_go, schedinit, main)
//
//   run:      osinit -> parse environment -> schedinit (m0, g0, Ps) -> main goroutine -> m0 runs goroutines on g0
//             ... main returns: world stopped, epoch raised (every other goroutine is abandoned), m0 leaves its loop.
//   library:  the same up to schedinit, by whichever thread comes first; m0 stays unused, threads attach (cgocall.cpp).
//
// The main goroutine may have moved to another M by the time it ends. m0's thread must return from run(), so that M asks:
// m0 asleep is woken without a P, m0 at a scheduler point sees `leaving`. If m0 is stuck in native code for 200 ms the
// main goroutine ends the process itself with exit(code): what returning from main would have done.
#include "sched/boot.hpp"

#include "arch/asm.hpp"
#include "mem/stackalloc.hpp"
#include "os/os_linux.hpp"
#include "os/thread.hpp"
#include "os/vdso.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc_internal.hpp"
#include "sched/signal_unix.hpp"

extern "C" [[noreturn]] void exit(int);
extern "C" const char
    gort_debug_descriptor;  // debug_descriptor.cpp; named here so that the linker takes it in

// Defined by the api floor: installs what needs the C++ library. Absent in programs without it.
extern "C" __attribute__((weak)) void gort_api_boot();

namespace gort::rt {

constinit Published<bool> runMode{false};
constinit Atomic<bool> booted{false};
constinit Atomic<bool> mainStarted{false};

namespace {

// What cannot be stopped, with preemption off, delays the end of run() by so much; a thread that the kernel did not run for
// so long is taken for one of those, and the timers of those left behind stay.
constexpr int64 kFreezeNs = 200 * 1000 * 1000;
constexpr int64 kLeaveNs = 200 * 1000 * 1000;
constexpr std::size_t kMainStack = std::size_t{8} << 20;

constinit Atomic<uint32> bootState{0};  // 0 not yet, 1 somebody boots, 2 done
constinit Atomic<uint32> m0Busy{0};     // a thread is in runMain
constinit RunConfig config{};
constinit Note m0left;
// The main goroutine of the run() before: on another thread it may still be on its way to its end.
struct {
  G* g = nullptr;
  uint64 goid = 0;
} constinit lastMain;

void schedinit() {
  m0.g0 = &g0;
  g0.m = &m0;
  g0.stackClass = kNoSlot;
  const os::StackBounds b = os::threadStackBounds();
  g0.stack = {b.lo, b.hi};
  setg(&g0);
  m0.id = sched.mnext++;
  mcommoninit(&m0);
  bindThread(&m0);
  netpollinit();
  const int64 now = os::nanotime();
  sched.lastpoll.store(now);
  setCoarseNow(simMode ? simNow.get() : now);
  ncpu = os::ncpuAffinity();
  int32 procs = config.maxProcs > 0 ? config.maxProcs : defaultProcs();
  if (simMode) procs = 1;
  procresize(procs);
  lock(sched.lock);
  for (int32 i = procs - 1; i > 0; --i) {
    allp[i]->status.store(static_cast<uint32>(PStatus::Pidle));
    pidleput(allp[i]);
  }
  unlock(sched.lock);
  startTemplateThread();
  if (!simMode) startSysmon();
  mainStarted.store(true);
}

// boot runs once; the caller leaves it with g = &g0, m0 and a P.
void boot() {
  os::osinit();
  refuseSecondCopy();
  __asm__ volatile("" ::"r"(&gort_debug_descriptor));
  if (os::features.shadowStack) {
    fatal(
        "gort: user shadow stacks are active and not supported: start with "
        "GLIBC_TUNABLES=glibc.cpu.x86_shstk=off");
  }
  parseDebugVars(config.godebug, config.godebugLen);
  parseTraceback();
  stackinit();
  if (config.stack != 0) stackSetDefault(config.stack);
  siminit();
  if (gort_api_boot != nullptr) gort_api_boot();
  initsig(runMode ? config.signals : CrashSignals::none);
  preemptinit(config.signals != CrashSignals::none);
  schedinit();
  watchForks();
}

// withConfigured fills in what run was not told with what configure was.
RunConfig withConfigured(RunConfig c) {
  if (c.maxProcs == 0) c.maxProcs = config.maxProcs;
  if (c.stack == 0) c.stack = config.stack;
  if (c.signals == CrashSignals::all) c.signals = config.signals;
  if (c.godebugLen == 0) {
    c.godebug = config.godebug;
    c.godebugLen = config.godebugLen;
  }
  return c;
}

bool winBoot() {
  uint32 none = 0;
  if (bootState.compareExchange(none, 1, Order::acqRel, Order::acquire)) return true;
  while (bootState.load(Order::acquire) != 2) os::futexsleep(&bootState, 1, -1);
  return false;
}

void bootDone() {
  booted.store(true, Order::release);
  bootState.store(2, Order::release);
  os::futexwakeup(&bootState, 1 << 30);
}

// takeP waits for an idle P. For start-up of a second run only: m0 has no place in a queue yet.
void takeP() {
  for (;;) {
    lock(sched.lock);
    P* pp = sched.gcwaiting.load(Order::relaxed) ? nullptr : pidleget();
    unlock(sched.lock);
    if (pp != nullptr) {
      acquirep(pp);
      return;
    }
    os::usleep(50);
  }
}

struct MainStart {
  void (*fn)(void*);
  void* arg;
  const int* code;
  int32 procs;        // wanted, 0: as it is
  std::size_t stack;  // default of goroutines wanted, 0: as it is
};

// askM0ToLeave makes m0 return from run. Requires: world stopped.
void askM0ToLeave() {
  lock(sched.lock);
  m0.leaving.store(true, Order::release);
  bool asleep = false;
  for (M** link = &sched.midle; *link != nullptr; link = &(*link)->schedlink) {
    if (*link != &m0) continue;
    *link = m0.schedlink;
    m0.schedlink = nullptr;
    --sched.nmidle;
    asleep = true;
    break;
  }
  if (m0.lockedIdle && m0.hog == nullptr) {
    m0.lockedIdle = false;
    --sched.nmidlelocked;
    asleep = true;
  }
  unlock(sched.lock);
  if (asleep) notewakeup(m0.park);
  netpollBreak();
}

// mainEnd is the end of run(): abandons all other goroutines and sends m0 home.   Runs on: the main goroutine.
[[noreturn]] void mainEnd(const int* code) {
  const Entry entry;
  runMode = false;
  getg()->systemGoroutine =
      true;  // it may outlive run() by a moment: neither counted nor reported as left over
  sched.ngsys.fetchAdd(1, Order::relaxed);
  lastMain = {getg(), getg()->goid};
  const bool stopped = stopTheWorldFor(kFreezeNs);
  getg()->epoch = sched.epoch.fetchAdd(1, Order::acqRel) + 1;
  if (stopped) {
    abandonAll();
    timersAbandon();
  }
  const bool here = getg()->m == &m0;
  if (here) {
    m0.leaving.store(true, Order::release);
  } else if (stopped) {
    askM0ToLeave();
  } else {
    m0.leaving.store(true, Order::release);
  }
  netpollBreak();  // who sleeps there for goroutines that are abandoned now has nothing to wait for
  if (stopped) startTheWorld();
  while (releaseHog()) {  // rule R6: what they hold, the end of the process may need
  }
  if (!here) {
    entersyscallblock();
    if (!notetsleep(m0left, kLeaveNs))
      ::exit(*code);  // NOLINT(concurrency-mt-unsafe): main does not come back
    exitsyscall();
  } else if (getg()->lockedm != nullptr) {
    unlockOSThread();
  }
  goexit0m();
}

// awaitLastMain: until it is gone m0left is still in use, and it would mix with the goroutines of the run that begins.
void awaitLastMain() {
  constexpr int kTries = 20000;  // 1 s; a hog that never yields may hold the only P that it needs
  for (int i = 0; i < kTries && lastMain.g != nullptr && lastMain.g->goid == lastMain.goid &&
                  readgstatus(lastMain.g) != static_cast<uint32>(GStatus::Gdead);
       ++i) {
    os::usleep(50);
  }
}

void mainGoroutine(void* p) {
  const MainStart s = *static_cast<MainStart*>(p);
  {
    const Entry entry;
    setGomaxprocs(s.procs);
    if (s.stack !=
        0) {  // as debug::set_max_stack does it: the lists of free goroutines go by the default size
      stopTheWorld("run_options.stack");
      stackSetDefault(s.stack);
      startTheWorld();
    }
  }
  s.fn(s.arg);
  mainEnd(s.code);
}

}  // namespace

bool isBooted() { return booted.load(Order::acquire); }
bool inRun() { return m0Busy.load(Order::acquire) != 0; }

bool bootConfigure(const RunConfig& c) {
  if (bootState.load(Order::acquire) != 0) return false;
  config = c;
  return true;
}

void bootLibrary() {
  if (!winBoot()) return;
  boot();
  handoffp(releasep());
  setg(nullptr);
  bootDone();
}

bool runMain(const RunConfig& c, void (*fn)(void*), void* arg, const int* code) {
  notInForkedChild();
  uint32 none = 0;
  if (!m0Busy.compareExchange(none, 1, Order::acqRel)) return false;
  detachThread();
  awaitLastMain();
  noteclear(m0left);
  runMode = true;
  const bool again = !winBoot();
  if (!again) {
    config = withConfigured(c);
    boot();
    bootDone();
  } else {
    ensureThreads();
    const os::StackBounds b = os::threadStackBounds();
    g0.stack = {b.lo, b.hi};
    setg(&g0);
    bindThread(&m0);
    initsig(c.signals);
    preemptinit(c.signals != CrashSignals::none);
    parseMoreDebugVars(c.godebug, c.godebugLen);
    takeP();
  }
  MainStart start{fn, arg, code, c.maxProcs, again ? c.stack : 0};
  NewprocOptions o;
  o.stack = kMainStack;
  o.startpc = reinterpret_cast<uintptr>(fn);
  const NewG g = newprocBegin(o, sizeof start, alignof(MainStart));
  *static_cast<MainStart*>(g.closure) = start;
  newprocStart(g.g, mainGoroutine, g.closure);
  gort_enterg0(&m0, [](G*) { return schedule(); });
  setg(nullptr);
  unminitSignals(&m0);  // the thread may go on, and end, without us; the next run may be on another one
  m0Busy.store(0, Order::release);
  return true;
}

void mainLeft() { notewakeup(m0left); }

uint64 shutdownWait(int64 ns) {
  const int64 begin = os::nanotime();
  for (;;) {
    const uint64 n = gcountUser();
    if (n == 0) {
      detachThread();
      while (!stopThreads(
          kLeaveNs)) {  // a thread may be under way, or hold a goroutine that an earlier run left
        if (os::nanotime() - begin > ns && abandonedGoroutines() > 0) return abandonedGoroutines();
      }
    }
    if (n == 0 || os::nanotime() - begin > ns) return n;
    os::usleep(200);
  }
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// sched/preempt.cpp: what can be seen from inside one process; the hogs themselves are in tests/crash/preempt_hogs.cpp.
#include "sched/preempt.hpp"

#include <gort/gort.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <stdexcept>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include "os/os_linux.hpp"
#include "sched/proc_internal.hpp"

namespace gort::rt {
namespace {

using namespace std::chrono_literals;

TEST(Preempt, InsideIsSetInTheRuntimeAndClearedWhateverWayOneLeaves) {
  gort::run([] {
    const G* gp = getg();
    EXPECT_EQ(gp->inside, 0);
    {
      const Entry outer;
      EXPECT_EQ(gp->inside, 1);
      {
        const Entry inner;
        EXPECT_EQ(gp->inside, 1);
      }
      EXPECT_EQ(gp->inside, 1) << "an inner one does not end the outer one";
    }
    EXPECT_EQ(gp->inside, 0);
    auto c = gort::make_chan<int>(1);
    c.send(1);
    EXPECT_EQ(gp->inside, 0);
    (void)c.recv();
    EXPECT_EQ(gp->inside, 0);
    c.close();
    std::uint8_t whileDeferred = 77;
    gort::func([&](auto& fn) {
      fn.recover([&](const gort::panic_info&) { whileDeferred = gp->inside; });
      c.send(2);  // panics inside the runtime
    });
    EXPECT_EQ(whileDeferred, 0) << "what a panic runs is the user's code";
    EXPECT_EQ(gp->inside, 0);
    gort::blocking([&] { EXPECT_EQ(gp->inside, 0); });
    EXPECT_EQ(gp->inside, 0);
  });
}

TEST(Preempt, AnElementsOwnCodeIsInside) {
  struct element {
    int* seen;
    explicit element(int* s) : seen(s) {}
    element(element&& o) noexcept : seen(o.seen) { *seen |= getg()->inside; }
    element& operator=(element&&) = default;
  };
  gort::run([] {
    int seen = 0;
    auto c = gort::make_chan<element>(1);
    c.send(element(&seen));
    EXPECT_EQ(seen, 1);
  });
}

TEST(Preempt, AForeignThreadIsInsideItsCallsOnly) {
  std::thread([] {
    auto c = gort::make_chan<int>(1);
    c.send(1);
    EXPECT_EQ(getg()->inside, 0);
    EXPECT_EQ(getg()->m->p, nullptr);
  }).join();
}

TEST(Preempt, AHogIsCountedAndKeepsItsThread) {
  gort::run({.max_procs = 1}, [] {
    if (!preemptsBySignal()) return;  // ThreadSanitizer
    const uint64 before = sched.npreempted.load();
    std::atomic<bool> stop = false;
    bool moved = false;
    auto hog = gort::spawn([&] {
      const int tid = os::gettid();
      while (!stop) moved |= os::gettid() != tid;
    });
    while (sched.npreempted.load() == before) gort::sleep(1ms);
    stop = true;
    hog.join();
    EXPECT_FALSE(moved);
  });
}

TEST(Preempt, AShortSystemCallDoesNotBeginANewSlice) {
  gort::run({.max_procs = 1}, [] {
    bool kept = false;
    for (int attempt = 0; attempt < 50 && !kept; ++attempt) {  // the monitor may come in between
      const P* pp = getg()->m->p;
      const uint32 tick = pp->schedtick.load();
      for (int i = 0; i < 10; ++i) gort::blocking([] {});
      kept = getg()->m->p == pp && pp->schedtick.load() == tick;
    }
    EXPECT_TRUE(kept) << "who makes short calls would never have had his time";
  });
}

std::atomic<int> urgent{0};

TEST(Preempt, SomebodyElsesSignalGoesToSomebodyElsesHandler) {
  // Our handler is there already; one that is installed later stands in front of it, and calls it as a good guest does.
  static struct sigaction ours;
  gort::run([] {
    if (!preemptsBySignal()) return;
    struct sigaction mine {};
    mine.sa_handler = [](int) { ++urgent; };
    sigaction(SIGURG, &mine, &ours);
    ::raise(SIGURG);
    sigaction(SIGURG, &ours, nullptr);
    EXPECT_EQ(urgent, 1);
    ::raise(SIGURG);  // nobody asked for it: ignored, as before Gort
  });
}

TEST(Preempt, TheKernelTellsWhereAThreadSleeps) {
  std::atomic<int> tid{0};
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread reader([&] {
    tid = os::gettid();
    char c;
    EXPECT_EQ(::read(ends[0], &c, 1), 1);
  });
  while (tid == 0) std::this_thread::yield();
  uintptr pc = 0;
  int nr = -1;
  for (int i = 0; i < 5000 && nr != SYS_read; ++i) {
    nr = os::sleepingIn(tid, &pc);
    usleep(1000);
  }
  EXPECT_EQ(nr, SYS_read);
  EXPECT_NE(pc, 0u);
  const int64 cpu = os::threadCpu(tid);
  usleep(20000);
  EXPECT_EQ(os::threadCpu(tid), cpu) << "who sleeps uses no CPU";
  EXPECT_EQ(::write(ends[1], "x", 1), 1);
  reader.join();
  for (int i = 0; i < 5000 && os::threadCpu(tid) >= 0; ++i) usleep(1000);
  EXPECT_EQ(os::threadCpu(tid), -1) << "it has gone";
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace gort::rt

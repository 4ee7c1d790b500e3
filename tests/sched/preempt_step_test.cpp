// SPDX-License-Identifier: Apache-2.0
// sched/preempt.cpp at every instruction. An operation runs with the trap flag set; at its k-th instruction, for one k after
// the other, its thread gets the signal that takes its P, in both ways that there are: as a hog, which waits for its next
// turn, and as one that was found asleep in a system call and goes on without a P. Whatever the k, the operation does what
// it does otherwise: who is inside the runtime keeps the P, and who is not looks for it again.
#if defined(__x86_64__)
#include <gort/gort.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <shared_mutex>
#include <sys/syscall.h>
#include <ucontext.h>

#include "lang/chan_util.hpp"
#include "os/os_linux.hpp"
#include "sched/preempt.hpp"
#include "sched/proc_internal.hpp"

namespace gort::rt {
namespace {

using namespace std::chrono_literals;

enum class Way { freeze, lose };
constexpr greg_t kTrapFlag = 0x100;
constexpr int kAtLeast = 8;    // instructions that are tried
constexpr int kTraps = 30000;  // of one operation and way: a trap takes microseconds

// By the goroutine that steps and by the handler on its thread.
struct Stepper {
  G* volatile gp = nullptr;
  volatile int at = 0;  // ask at this instruction
  volatile int count = 0;
  volatile bool asked = false;
  Way way = Way::freeze;
} step;

void onTrap(int, siginfo_t*, void* uctx) {
  greg_t* r = static_cast<ucontext_t*>(uctx)->uc_mcontext.gregs;
  G* gp = getg();
  if (gp != step.gp) {  // over, or another goroutine's turn on this thread
    r[REG_EFL] &= ~kTrapFlag;
    return;
  }
  step.count = step.count + 1;
  if (step.count != step.at) return;
  r[REG_EFL] &= ~kTrapFlag;
  step.asked = true;
  M* mp = gp->m;
  storeRelaxed(&gp->stackguard0, kStackPreempt);
  mp->blockedIn.store(step.way == Way::lose ? SYS_getpid : -1);
  mp->blockedPc.store(static_cast<uintptr>(r[REG_RIP]));
  mp->signalPending.store(kAskYield);
  os::tgkill(os::gettid(), SIGURG);  // comes when this handler has returned
}

GORT_ALWAYS_INLINE void setTrapFlag() {
  __asm__ volatile(
      "leaq -128(%%rsp), %%rsp\n\t"  // the red zone
      "pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"
      "leaq 128(%%rsp), %%rsp" ::
          : "memory", "cc");
}

// stepped runs op with the request at instruction k. Returns how many instructions there were up to the request, or in all.
template <class F>
GORT_NOINLINE int stepped(F& op, int k, Way way) {
  step.way = way;
  step.at = k;
  step.count = 0;
  step.asked = false;
  step.gp = getg();
  setTrapFlag();
  op();
  step.gp = nullptr;
  const int n = step.count;  // a trap clears the flag hereabouts
  return n;
}

bool consistent() {
  const Entry inside;
  const M* mp = getg()->m;
  const P* pp = mp->p;
  return mp->curg == getg() && pp != nullptr && pp->m == mp &&
         pp->status.load() == static_cast<uint32>(PStatus::Prunning);
}

const std::uint64_t first = chantest::seed();  // where the strides begin

template <class F>
void atEveryInstruction(const char* name, F op) {
  for (const Way way : {Way::freeze, Way::lose}) {
    while (!canPreempt()) gort::sleep(1ms);  // a thread that could take the P is on its way
    op();
    const int all = stepped(op, -1, way);  // where it parks, up to there
    const int stride = std::min(1 + all / 2 * (all / 100) / (kTraps / 100), 1 + all / kAtLeast);
    const uint64 before = sched.npreempted.load();
    int lost = 0, tried = 0;
    for (int k = 1 + static_cast<int>(first % static_cast<unsigned>(stride)); k <= all;
         k += stride, ++tried) {
      (void)stepped(op, k, way);
      lost += getg()->m->lostP;
      ASSERT_TRUE(consistent()) << name << " at instruction " << k << " of " << all;
    }
    std::printf("%s, %s: %d of %d instructions, %d gave up the P, %d came back without\n", name,
                way == Way::freeze ? "freeze" : "lose", tried, all,
                static_cast<int>(sched.npreempted.load() - before), lost);
    EXPECT_GT(tried, 5) << name;
    if (way == Way::freeze) {
      EXPECT_GT(sched.npreempted.load(), before) << name;
    }
  }
}

class PreemptStep : public ::testing::TestWithParam<int> {
 protected:
  // among runs f as one goroutine of two.
  template <class F>
  void among(F f) {
    gort::run({.max_procs = GetParam()}, [&] {
      if (!preemptsBySignal()) GTEST_SKIP() << "no preemption by signal in this build or mode";
      std::atomic<bool> stop = false;
      gort::wait_group neighbour;
      neighbour.go([&] {
        while (!stop) gort::yield();
      });
      struct sigaction sa {
      }, old{};  // in front of the runtime's own, which reports a crash
      sa.sa_sigaction = onTrap;
      sa.sa_flags = SA_SIGINFO | SA_ONSTACK;
      sigfillset(&sa.sa_mask);
      sigaction(SIGTRAP, &sa, &old);
      f();
      sigaction(SIGTRAP, &old, nullptr);
      stop = true;
    });
  }
};

TEST_P(PreemptStep, Channels) {
  among([] {
    auto c = gort::make_chan<int>(2);
    int next = 0;
    atEveryInstruction("buffered", [&] {
      c.send(++next);
      ASSERT_EQ(*c.recv(), next);
    });
    atEveryInstruction("try", [&] {
      ASSERT_TRUE(c.try_send(++next));
      ASSERT_EQ(*c.try_recv(), next);
      ASSERT_FALSE(c.try_recv());
    });
    auto to = gort::make_chan<int>(), back = gort::make_chan<int>();
    gort::wait_group echo;
    echo.go([=] {
      for (const int x : to) back.send(x + 1);
    });
    atEveryInstruction("unbuffered", [&] {
      to.send(next);
      ASSERT_EQ(*back.recv(), next + 1);
    });
    auto d = gort::make_chan<int>(1);
    atEveryInstruction("select", [&] {
      c.send(++next);
      int got = 0;
      gort::select(gort::on_recv(d, [](auto) {}), gort::on_recv(c, [&](auto x) { got = *x; }));
      ASSERT_EQ(got, next);
    });
    to.close();
  });
}

TEST_P(PreemptStep, Sync) {
  among([] {
    gort::mutex mu;
    gort::rw_mutex rw;
    gort::wait_group wg;
    int n = 0;
    atEveryInstruction("mutex", [&] {
      const std::lock_guard l(mu);
      ++n;
    });
    atEveryInstruction("rw_mutex", [&] {
      const std::shared_lock l(rw);
      ++n;
    });
    atEveryInstruction("wait_group", [&] {
      wg.add(1);
      wg.done();
      wg.wait();
    });
  });
}

TEST_P(PreemptStep, Goroutines) {
  among([] {
    static gort::local<int> mine{3};
    atEveryInstruction("yield", [] { gort::yield(); });
    atEveryInstruction("spawn", [] { ASSERT_EQ(gort::spawn([] { return 7; }).join(), 7); });
    atEveryInstruction("blocking", [] { ASSERT_EQ(gort::blocking([] { return 7; }), 7); });
    atEveryInstruction("local", [] { ASSERT_EQ(*mine, 3); });
    atEveryInstruction("timer", [] {
      gort::timer t(1h);
      ASSERT_TRUE(t.stop());
    });
    atEveryInstruction("lock_os_thread", [] { const gort::runtime::os_thread_lock here; });
    atEveryInstruction("panic", [] {
      bool seen = false;
      gort::func([&](auto& fn) {
        fn.recover([&](const gort::panic_info&) { seen = true; });
        gort::panic("step");
      });
      ASSERT_TRUE(seen);
    });
  });
}

INSTANTIATE_TEST_SUITE_P(Procs, PreemptStep, ::testing::Values(1, 2));

// Rule R4: who sleeps in a call that Gort knows nothing of loses its P once, and is not served as a hog.
TEST(PreemptBlocked, WhoSleepsInAForeignCallLosesItsPOnce) {
  gort::run({.max_procs = 1}, [] {
    if (!preemptsBySignal()) GTEST_SKIP() << "no preemption by signal in this build or mode";
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    bool lost = false;
    // Ten times, as the thread may be late on its way into the call: then it is asked while it computes.
    for (int attempt = 0; attempt < 10 && !lost; ++attempt) {
      const uint64 before = sched.npreempted.load();
      std::atomic<M*> where = nullptr;
      auto sleeper = gort::spawn([&] {
        where = getg()->m;
        char c;
        return ::read(ends[0], &c, 1);
      });
      gort::yield();  // comes back when somebody has taken the only P from the sleeper
      lost = where.load()->lostP && sched.npreempted.load() == before;
      EXPECT_EQ(::write(ends[1], "x", 1), 1);
      EXPECT_EQ(sleeper.join(), 1);
    }
    EXPECT_TRUE(lost) << "always frozen as a hog";
    ::close(ends[0]);
    ::close(ends[1]);
  });
}

}  // namespace
}  // namespace gort::rt
#endif

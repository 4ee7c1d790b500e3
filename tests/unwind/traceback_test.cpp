// SPDX-License-Identifier: Apache-2.0
// The unwinder against known return addresses and against the platform's unwinder, instruction by
// instruction. CMakeLists.txt builds this file several times: with and without frame pointers, at -O0 and
// -O2, static, static-pie.
#include "unwind/traceback.hpp"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/sanitizer.hpp"
#include "unwind/symtab.hpp"

namespace {

using gort::rt::callerRegs;
using gort::rt::Regs;
using gort::rt::StackBounds;
using gort::rt::unwindStack;

constexpr unsigned kMax = 256;

StackBounds threadStack() {
  static thread_local StackBounds cached;
  if (cached.hi != 0) return cached;
  pthread_attr_t a;
  void* lo;
  size_t n;
  pthread_getattr_np(pthread_self(), &a);
  pthread_attr_getstack(&a, &lo, &n);
  pthread_attr_destroy(&a);
  cached.lo = reinterpret_cast<uintptr_t>(lo);
  cached.hi = cached.lo + n;
  return cached;
}

std::string funcAt(uintptr_t returnPc) {
  const char* f;
  uintptr_t entry;
  return gort::rt::functionAt(returnPc - 1, f, entry) ? f : "?";
}

bool contains(const std::vector<uintptr_t>& pcs, const char* part) {
#if defined(GORT_TEST_STRIPPED)  // no names: that there are frames has to do
  if (pcs.size() > 1) return part != nullptr;
#endif
  for (uintptr_t pc : pcs) {
    if (funcAt(pc).find(part) != std::string::npos) return true;
  }
  return false;
}

std::string show(const std::vector<uintptr_t>& pcs) {
  std::string s;
  char b[32];
  for (uintptr_t pc : pcs) {
    snprintf(b, sizeof b, "%#lx ", pc);
    s += b + funcAt(pc) + "\n";
  }
  return s;
}

std::vector<uintptr_t> unwindFrom(const Regs& r, StackBounds b) {
  std::vector<uintptr_t> v(kMax);
  v.resize(unwindStack(r, b, v.data(), kMax));
  return v;
}

__attribute__((noinline)) std::vector<uintptr_t> here() {
  std::vector<uintptr_t> v(kMax);
  const StackBounds b = threadStack();
  v.resize(unwindStack(callerRegs(), b, v.data(), kMax));
  return v;
}

// ---- ordinary frames ----

volatile int sink;

struct Recorded {
  std::vector<uintptr_t> returns, unwound;
};

__attribute__((noinline)) void recurse(int n, Recorded& r) {
  r.returns.push_back(reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
  if (n == 0) {
    r.unwound = here();
  } else {
    volatile char pad[24];
    pad[n % 24] = static_cast<char>(n);
    recurse(n - 1, r);
    sink = pad[n % 24];
  }
  sink = n;
}

TEST(Traceback, ReturnAddressesOfNestedCalls) {
  Recorded r;
  recurse(40, r);
  ASSERT_GT(r.unwound.size(), 43u);
  // unwound: here(), recurse x 41, this function, gtest's.
  for (size_t i = 0; i < r.returns.size(); ++i) {
    EXPECT_EQ(r.unwound[i + 2], r.returns[r.returns.size() - 1 - i]) << i << "\n" << show(r.unwound);
  }
  EXPECT_TRUE(contains(r.unwound, "main")) << show(r.unwound);
}

std::vector<uintptr_t> fromCallback;

int compareInts(const void* a, const void* b) {
  if (fromCallback.empty()) fromCallback = here();
  return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

TEST(Traceback, ThroughLibcCallback) {
  fromCallback.clear();
  int v[] = {5, 3, 9, 1};
  qsort(v, 4, sizeof v[0], compareInts);
  EXPECT_TRUE(contains(fromCallback, "qsort")) << show(fromCallback);
  EXPECT_TRUE(contains(fromCallback, "ThroughLibcCallback")) << show(fromCallback);
  EXPECT_TRUE(contains(fromCallback, "main"));
}

__attribute__((noinline)) std::vector<uintptr_t> withAlloca(size_t n) {
  auto* p = static_cast<volatile char*>(__builtin_alloca(n));
  p[0] = 1;
  auto v = here();
  sink = p[0];
  return v;
}

__attribute__((noinline)) std::vector<uintptr_t> withAlignment() {
  alignas(128) volatile char buf[256];
  buf[5] = 1;
  auto v = here();
  sink = buf[5];
  return v;
}

TEST(Traceback, FramesOfVariableSizeAndAlignment) {
  for (size_t n : {1, 100, 5000}) EXPECT_TRUE(contains(withAlloca(n), "main"));
  EXPECT_TRUE(contains(withAlignment(), "main"));
}

TEST(Traceback, MaxAndSkipAreKept) {
  uintptr_t pcs[4] = {0, 0, 0, 77};
  const Regs r = callerRegs();
  EXPECT_EQ(unwindStack(r, threadStack(), pcs, 3), 3u);
  EXPECT_EQ(pcs[3], 77u);
  uintptr_t rest[2];
  EXPECT_EQ(unwindStack(r, threadStack(), rest, 2, 1), 2u);
  EXPECT_EQ(rest[0], pcs[1]);
  EXPECT_EQ(rest[1], pcs[2]);
}

TEST(Traceback, BoundsEndTheTrace) {
  const Regs r = callerRegs();
  StackBounds b = threadStack();
  b.hi = r.sp + 64;
  uintptr_t pcs[kMax];
  EXPECT_LE(unwindStack(r, b, pcs, kMax), 3u);
  EXPECT_EQ(unwindStack(r, StackBounds{}, pcs, kMax), 1u);
}

#if !defined(__OPTIMIZE__) || defined(GORT_TEST_FRAME_POINTERS)
__attribute__((noinline)) unsigned byFramePointers(uintptr_t* pcs) {
  const Regs r = callerRegs();
  return gort::rt::fpTraceback(r.pc + 1, r.bp, threadStack(), pcs, 3);
}

TEST(Traceback, FramePointersGiveTheSame) {
  uintptr_t pcs[3];
  ASSERT_EQ(byFramePointers(pcs), 3u);
  EXPECT_TRUE(contains({pcs, pcs + 1}, "byFramePointers"));
  EXPECT_TRUE(contains({pcs + 1, pcs + 2}, "FramePointersGiveTheSame"));
}
#endif

// ---- signal frames ----

std::vector<uintptr_t> inHandler;
StackBounds handlerBounds;

uintptr_t handlerPcs[kMax];
volatile unsigned handlerCount;

void onSignal(int, siginfo_t*, void*) {
  handlerCount = unwindStack(callerRegs(), handlerBounds, handlerPcs, kMax);
}

__attribute__((noinline)) void interrupted() {
  raise(SIGUSR1);
  inHandler.assign(handlerPcs, handlerPcs + handlerCount);
}

void installHandler(int sig, void (*fn)(int, siginfo_t*, void*), int flags) {
  struct sigaction sa {};
  sa.sa_sigaction = fn;
  sa.sa_flags = SA_SIGINFO | flags;
  sigaction(sig, &sa, nullptr);
}

TEST(Traceback, ThroughSignalFrame) {
  handlerBounds = threadStack();
  installHandler(SIGUSR1, onSignal, 0);
  interrupted();
  EXPECT_TRUE(contains(inHandler, "interrupted")) << show(inHandler);
  EXPECT_TRUE(contains(inHandler, "ThroughSignalFrame"));
  EXPECT_TRUE(contains(inHandler, "main"));
}

TEST(Traceback, ThroughSignalFrameOnOtherStack) {
  static char alt[65536];
  stack_t ss{}, old{};
  ss.ss_sp = alt;
  ss.ss_size = sizeof alt;
  ASSERT_EQ(sigaltstack(&ss, &old), 0);
  handlerBounds = threadStack();
  handlerBounds.altLo = reinterpret_cast<uintptr_t>(alt);
  handlerBounds.altHi = handlerBounds.altLo + sizeof alt;
  installHandler(SIGUSR1, onSignal, SA_ONSTACK);
  interrupted();
  sigaltstack(&old, nullptr);
  EXPECT_TRUE(contains(inHandler, "interrupted")) << show(inHandler);
  EXPECT_TRUE(contains(inHandler, "main"));
}

// A restorer of our own, without any unwind information.
extern "C" void gortTestRestorer();
__asm__(
    ".text\n.p2align 4\n\tret\n"  // the byte before belongs to somebody else
    ".globl gortTestRestorer\n.type gortTestRestorer,@function\n"
    "gortTestRestorer:\n\tmovq $15,%rax\n\tsyscall\n.size gortTestRestorer,.-gortTestRestorer\n");

TEST(Traceback, ThroughSignalFrameOfUnknownRestorer) {
  struct KernelSigaction {
    void (*handler)(int, siginfo_t*, void*);
    unsigned long flags;
    void (*restorer)();
    unsigned long mask;
  } sa{onSignal, SA_SIGINFO | 0x04000000, gortTestRestorer, 0};
  handlerBounds = threadStack();
  ASSERT_EQ(syscall(SYS_rt_sigaction, SIGUSR1, &sa, nullptr, 8), 0);
  interrupted();
  EXPECT_TRUE(contains(inHandler, "interrupted")) << show(inHandler);
  EXPECT_TRUE(contains(inHandler, "main"));
}

#if !GORT_SANITIZED
// Single steps through code of all kinds; at each instruction our trace of the interrupted frame must be the
// platform's.
struct Stepper {
  unsigned steps = 0, wrong = 0;
  uintptr_t ours[kMax], theirs[kMax];
  unsigned nours = 0, ntheirs = 0;
};
Stepper stepper;
volatile bool stepping;

// Filled inside a signal handler that may have interrupted malloc: fixed arrays.
struct Platform {
  uintptr_t pcs[kMax];
  unsigned n = 0;
};

_Unwind_Reason_Code onFrame(_Unwind_Context* c, void* arg) {
  int before = 0;
  const uintptr_t ip = _Unwind_GetIPInfo(c, &before);
  auto* p = static_cast<Platform*>(arg);
  if (ip != 0 && p->n < kMax) p->pcs[p->n++] = ip + (before != 0);
  return _URC_NO_REASON;
}

void compareHere(void* ucontext) {
  static Platform p;
  p.n = 0;
  _Unwind_Backtrace(onFrame, &p);
  const Regs r = gort::rt::regsFromUcontext(ucontext);
  static uintptr_t mine[kMax];
  const unsigned n = unwindStack(r, handlerBounds, mine, kMax);
  unsigned at = 0;
  while (at < p.n && p.pcs[at] != r.pc + 1) ++at;
  // We may see further (through indirect-function stubs of static programs, which have no unwind entry).
  const unsigned theirs = p.n - at;
  bool same = theirs <= n;
  for (unsigned i = 0; i < theirs && same; ++i) same = mine[i] == p.pcs[at + i];
  ++stepper.steps;
  if (same || stepper.wrong++ > 0) return;
  memcpy(stepper.ours, mine, sizeof mine);
  memcpy(stepper.theirs, p.pcs + at, theirs * sizeof(uintptr_t));
  stepper.nours = n;
  stepper.ntheirs = theirs;
}

void onTrap(int, siginfo_t*, void* uc) {
  if (stepping) compareHere(uc);
  // TF stays set while stepping; the kernel clears it for the handler itself.
  auto& flags = static_cast<ucontext_t*>(uc)->uc_mcontext.gregs[REG_EFL];
  flags = stepping ? flags | 0x100 : flags & ~0x100;
}

struct Base {
  virtual ~Base() = default;
  virtual int f(int x) const { return x + 1; }
};
struct Derived : Base {
  std::string s = "abcdefghijklmnopqrstuvwxyz0123456789";
  int f(int x) const override { return static_cast<int>(s.size()) + x; }
};

__attribute__((noinline)) void variousCode() {
  int v[] = {5, 3, 9, 1, 7};
  qsort(v, 5, sizeof v[0], [](const void* a, const void* b) {
    return *static_cast<const int*>(a) - *static_cast<const int*>(b);
  });
  char buf[128];
  snprintf(buf, sizeof buf, "%d %s %f", v[0], "text", 3.25);
  std::string s(buf);
  s += std::to_string(s.size());
  sink = sink + static_cast<int>(withAlignment().size() + strlen(s.c_str()));
  Base* b = new Derived;
  sink = b->f(3);
  delete b;
#if !defined(GORT_TEST_STATIC)  // there the platform's unwinder takes a lock around its search
  try {
    if (sink > 0) throw std::string("thrown");
  } catch (const std::string& e) {
    sink = static_cast<int>(e.size());
  }
#endif
}

TEST(Traceback, EveryInstructionAsThePlatformUnwinderSees) {
  handlerBounds = threadStack();
  installHandler(SIGTRAP, onTrap, 0);
  variousCode();
  stepper = Stepper{};
  stepping = true;
  raise(SIGTRAP);  // the handler sets TF in the interrupted context
  variousCode();
  stepping = false;
  getppid();
  signal(SIGTRAP, SIG_DFL);
  printf("%u instructions, %u differ\n", stepper.steps, stepper.wrong);
  EXPECT_GT(stepper.steps, 1000u);
  EXPECT_EQ(stepper.wrong, 0u) << "ours:\n"
                               << show({stepper.ours, stepper.ours + stepper.nours}) << "platform:\n"
                               << show({stepper.theirs, stepper.theirs + stepper.ntheirs});
}
#endif

// ---- stacks made elsewhere ----

ucontext_t mainContext, sideContext;
std::vector<uintptr_t> onSide;
char* sideStack;
constexpr size_t kSideSize = 256 * 1024;

StackBounds sideBounds() {
  const auto lo = reinterpret_cast<uintptr_t>(sideStack);
  return StackBounds{lo, lo + kSideSize};
}

__attribute__((noinline)) void parkHere() {
  std::vector<uintptr_t> v(kMax);
  v.resize(unwindStack(callerRegs(), sideBounds(), v.data(), kMax));
  onSide = v;
  swapcontext(&sideContext, &mainContext);
  sink = 2;
}

void sideEntry() {
  parkHere();
  sink = 3;
}

TEST(Traceback, OnSeparatelyMadeStackEndsAtItsEntry) {
  sideStack = static_cast<char*>(
      mmap(nullptr, kSideSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  getcontext(&sideContext);
  sideContext.uc_stack.ss_sp = sideStack;
  sideContext.uc_stack.ss_size = kSideSize;
  sideContext.uc_link = &mainContext;
  makecontext(&sideContext, sideEntry, 0);
  swapcontext(&mainContext, &sideContext);
  EXPECT_TRUE(contains(onSide, "parkHere"));
  EXPECT_TRUE(contains(onSide, "sideEntry"));
  EXPECT_LE(onSide.size(), 4u) << show(onSide);
  // The parked context is traced from outside with the registers that a switch keeps.
  Regs parked = gort::rt::regsFromUcontext(&sideContext);
  parked.valid = Regs::kCalleeSaved;
  parked.exact = false;
  const auto v = unwindFrom(parked, sideBounds());
  EXPECT_TRUE(contains(v, "parkHere")) << show(v);
  EXPECT_TRUE(contains(v, "sideEntry")) << show(v);
  swapcontext(&mainContext, &sideContext);
  munmap(sideStack, kSideSize);
}

// ---- what has no unwind table ----

extern "C" void gortTestBareFrame(void (*fn)());
__asm__(
    ".text\n.globl gortTestBareFrame\n.type gortTestBareFrame,@function\n"
    "gortTestBareFrame:\n\tpushq %rbp\n\tmovq %rsp,%rbp\n\tcall *%rdi\n\tpopq %rbp\n\tret\n"
    ".size gortTestBareFrame,.-gortTestBareFrame\n");

std::vector<uintptr_t> aboveBare;
void onBare() {
  aboveBare = here();
  sink = 4;
}

TEST(Traceback, CodeWithoutUnwindTableGoesByFramePointer) {
  gortTestBareFrame(onBare);
  EXPECT_TRUE(contains(aboveBare, "gortTestBareFrame")) << show(aboveBare);
  EXPECT_TRUE(contains(aboveBare, "CodeWithoutUnwindTable")) << show(aboveBare);
}

std::vector<uintptr_t> afterNull;

void onSegv(int, siginfo_t*, void* uc) {
  afterNull = unwindFrom(gort::rt::regsFromUcontext(uc), threadStack());
  auto& g = static_cast<ucontext_t*>(uc)->uc_mcontext.gregs;
  // Return from the call that went nowhere.
  memcpy(&g[REG_RIP], reinterpret_cast<void*>(g[REG_RSP]), 8);
  g[REG_RSP] += 8;
}

TEST(Traceback, CallThroughNullPointerShowsTheCaller) {
#if GORT_SANITIZED
  GTEST_SKIP() << "the sanitizer owns SIGSEGV";
#endif
  installHandler(SIGSEGV, onSegv, 0);
  void (*volatile fn)() = nullptr;
  fn();
  signal(SIGSEGV, SIG_DFL);
  EXPECT_TRUE(contains(afterNull, "CallThroughNullPointer")) << show(afterNull);
  EXPECT_TRUE(contains(afterNull, "main"));
}

// ---- damage ----

TEST(Traceback, GarbageOnTheStackNeitherCrashesNorLoops) {
  std::mt19937_64 rnd(42);
  std::vector<uintptr_t> stack(4096);
  const auto real = here();
  uintptr_t pcs[kMax];
  uint64_t frames = 0;
  for (int round = 0; round < 2000; ++round) {
    for (auto& w : stack) {
      const auto lo = reinterpret_cast<uintptr_t>(stack.data());
      switch (rnd() % 4) {
        case 0:
          w = rnd();
          break;
        case 1:
          w = lo + rnd() % (stack.size() * 8);
          break;
        case 2:
          w = real[rnd() % real.size()] + rnd() % 64;
          break;
        default:
          w = rnd() % 4096;
          break;
      }
    }
    Regs r;
    for (unsigned i = 0; i < Regs::kCount; ++i) r.at(i) = stack[rnd() % stack.size()];
    r.pc = real[rnd() % real.size()] + rnd() % 16;
    r.valid = static_cast<uint32_t>(rnd()) & Regs::kAll;
    r.exact = rnd() % 2 != 0;
    const auto lo = reinterpret_cast<uintptr_t>(stack.data());
    frames += unwindStack(r, StackBounds{lo, lo + stack.size() * 8}, pcs, kMax);
  }
  EXPECT_GE(frames, 2000u);
}

TEST(Traceback, ColdAndWarmRulesAgree) {
  gort::rt::forgetUnwindRules();
  std::vector<uintptr_t> a, b;
  for (int i = 0; i < 2; ++i) {
    (i == 0 ? a : b) = here();
  }
  ASSERT_EQ(a.size(), b.size());
  // The loop may have been unrolled: the pc in this function differs.
  EXPECT_TRUE(std::equal(a.begin() + 2, a.end(), b.begin() + 2));
}

}  // namespace

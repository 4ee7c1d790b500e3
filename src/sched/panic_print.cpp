// SPDX-License-Identifier: Apache-2.0
// Fatal reports and goroutine dumps; contract and protocol in panic_print.hpp.
// The texts and their order are Go's: tests of other people's log parsers depend on them.
#include "sched/panic_print.hpp"

#include <sys/auxv.h>

#include "arch/asm.hpp"
#include "os/os_linux.hpp"
#include "os/signal_raw.hpp"
#include "sched/funcname.hpp"
#include "sched/proc.hpp"
#include "sched/proc_internal.hpp"
#include "sched/runtime1.hpp"
#include "unwind/symtab.hpp"

namespace gort::rt {

namespace {

constexpr unsigned kInnerFrames = 50, kOuterFrames = 50;
constexpr std::size_t kNameBytes = 400;

constinit Atomic<uint32> paniclk{0};   // print lock; a plain spin-and-sleep word, usable in signal handlers
constinit Atomic<int32> panicking{0};  // threads that are reporting
constinit Atomic<int32> dyingWithoutM{0};  // M::dying for threads that have none

bool startsWith(const char* s, const char* prefix) {
  while (*prefix != 0) {
    if (*s++ != *prefix++) return false;
  }
  return true;
}

bool contains(const char* s, const char* what) {
  for (; *s != 0; ++s) {
    if (startsWith(s, what)) return true;
  }
  return false;
}

const char* statusString(GStatus s) {
  switch (s) {
    case GStatus::Gidle:
      return "idle";
    case GStatus::Grunnable:
      return "runnable";
    case GStatus::Grunning:
      return "running";
    case GStatus::Gsyscall:
      return "syscall";
    case GStatus::Gwaiting:
      return "waiting";
    case GStatus::Gdead:
      return "dead";
    case GStatus::Gcopystack:
      return "copystack";
    case GStatus::Gpreempted:
      return "preempted";
    default:
      return "???";
  }
}

M* currentM() {
  G* gp = getg();
  return gp == nullptr ? nullptr : gp->m;
}

void lockPrint() {
  while (paniclk.exchange(1, Order::acquire) != 0) os::usleep(200);
}

// isHiddenG: the system's goroutines, and those that a run() has left behind: they are nobody's (Note [Epochs] in proc.cpp).
bool isHiddenG(const G* gp, const TraceLevel& t) {
  const bool leftBehind = !gp->foreign && gp->epoch != sched.epoch.load(Order::relaxed);
  return (gp->systemGoroutine || leftBehind) && t.level < 2;
}

// regsOf gives where a goroutine that does not run will continue. Note [Saved registers]: the switch frame at
// sched.sp is fpstate, rbp, pc; above it lies the red zone of the function that switched
// (arch/amd64/asm_amd64.S).
bool regsOf(const G* gp, Regs& r) {
  constexpr uintptr kFrame = 24, kRedZone = 128;
  r.valid = 1u << Regs::kBp | 1u << Regs::kSp | 1u << Regs::kPc;
  const auto status = static_cast<GStatus>(readgstatus(gp) & ~static_cast<uint32>(GStatus::Gscan));
  if (const M* mp = gp->lockedm; status == GStatus::Grunnable && mp != nullptr && mp->hog == gp) {
    r = *mp->hogRegs;
    return true;
  }
  if (status == GStatus::Gsyscall) {
    if (gp->m != nullptr && gp->m->lostP) return false;  // it runs
    r.pc = gp->syscallpc;
    r.sp = gp->syscallsp;
    r.bp = gp->syscallbp;
    return r.pc != 0;
  }
  const uintptr sp = gp->sched.sp;
  if (sp == 0 || sp < gp->stack.lo || sp + kFrame > gp->stack.hi) return false;
  r.bp = reinterpret_cast<const uintptr*>(
      sp)[1];  // SAFETY: inside the goroutine's own stack, which is never unmapped
  r.pc = gp->sched.pc;
  r.sp = sp + kFrame + kRedZone;
  r.exact = true;
  return true;
}

}  // namespace

TraceLevel traceLevel() {
  TraceLevel t;
  t.level = gotraceback(&t.all, &t.crash);
  if (const M* mp = currentM(); mp != nullptr) {
    if (mp->throwing >= static_cast<int32>(Throwing::user)) t.all = true;
    if (mp->throwing >= static_cast<int32>(Throwing::runtime) && t.level == 1) t.level = 2;
  }
  return t;
}

StackBounds boundsOf(const G* gp) {
  StackBounds b;
  if (gp != nullptr) {
    b.lo = gp->stack.lo;
    b.hi = gp->stack.hi;
  }
  return b;
}

G* currentG() {
  G* gp = getg();
  if (gp == nullptr) return nullptr;
  if (gp->m != nullptr && gp == gp->m->g0) return gp->m->curg != nullptr ? gp->m->curg.get() : gp;
  return gp;
}

void onDeepStack(void (*fn)(void*), void* arg) {
  G* gp = getg();
  char here = 0;
  const uintptr sp = reinterpret_cast<uintptr>(&here);
  if (gp == nullptr || gp->m == nullptr || gp == gp->m->g0 || sp < gp->stack.lo || sp >= gp->stack.hi) {
    fn(arg);  // g0, the signal stack, or no goroutine at all
  } else {
    systemstack(fn, arg);
  }
}

bool startpanic() {
  M* mp = currentM();
  int32 level;
  if (mp != nullptr) {
    level = mp->dying++;
    if (mp->locks <= 0) mp->locks = 1;
  } else {
    level = dyingWithoutM.fetchAdd(1);
  }
  if (level == 0) {
    panicking.fetchAdd(1);
    lockPrint();
    return true;
  }
  Printer w;
  if (level == 1) {
    w << "panic during panic\n";
    return false;
  }
  w << "stack trace unavailable\n";
  w.flush();
  os::exit(2);
}

void endpanic(bool crash) {
  paniclk.store(0, Order::release);
  if (panicking.fetchSub(1) > 1) {
    for (;;) os::usleep(1000000);  // another thread is reporting; it ends the process
  }
  if (crash) {
    os::setDefault(SIGABRT);
    os::unblockSignal(SIGABRT);
    os::tgkillSelf(SIGABRT);
  }
  os::exit(2);
}

void donepanic() {
  paniclk.store(0, Order::release);
  panicking.fetchSub(1);
}

namespace {

// freezetheworld stops who still runs, so that the report can show where. As far as possible: who is inside the runtime
// runs on, and may change things.   Requires: the process ends now. Runs on: any stack, signal handlers too.
GORT_UNINSTRUMENTED void freezetheworld() {
  // Of a millisecond. A P may be on its way to a thread that wakes.
  constexpr int kRounds = 200, kStill = 20;
  if (getg() == nullptr || !preemptsBySignal()) return;
  sched.stopwait = INT32_MAX / 2;  // nobody wakes stopnote
  sched.gcwaiting.store(true);
  for (int i = 0, still = 0; i < kRounds && still < kStill; ++i) {
    still = preemptall(true) ? 0 : still + 1;
    os::usleep(1000);
  }
}

// tracebackOrAll: a build without debug information has the user's code under names of ours (goroutine_main<...>), and a
// call in the last place leaves no frame of his: then all frames are shown rather than none.
unsigned tracebackOrAll(Printer& w, const Regs& start, const StackBounds& stack, const TraceLevel& t) {
  const unsigned shown = traceback(w, start, stack, t);
  if (shown != 0 || t.level <= 0) return shown;
  TraceLevel everything = t;
  everything.level = 2;
  return traceback(w, start, stack, everything);
}

struct StacksJob {
  const Regs& start;
  const G* gp;
  bool all;
};

void printStacksHere(void* p) {
  const StacksJob& j = *static_cast<StacksJob*>(p);
  const TraceLevel t = traceLevel();
  if (t.level <= 0) return;
  Printer w;
  const bool isG0 = j.gp != nullptr && j.gp->m != nullptr && j.gp == j.gp->m->g0;
  if (j.gp != nullptr && !isG0) {
    w << '\n';
    goroutineheader(w, j.gp, t);
    (void)tracebackOrAll(w, j.start, boundsOf(j.gp), t);
    printcreatedby(w, j.gp);
  } else if (t.level >= 2) {
    w << "\nruntime stack:\n";
    traceback(w, j.start, boundsOf(j.gp), t);
  }
  if (t.all || isG0 || j.all) tracebackothers(w, j.gp, t);
}

}  // namespace

void printStacks(const Regs& start, const G* gp) {
  StacksJob job{start, gp, false};
  onDeepStack(printStacksHere, &job);
}

void printAllStacks(const Regs& start, const G* gp) {
  freezetheworld();
  StacksJob job{start, gp, true};
  onDeepStack(printStacksHere, &job);
}

void dopanic(const Regs& start, const G* gp) {
  printStacks(start, gp);
  endpanic(traceLevel().crash);
}

namespace {

[[noreturn]] void report(const char* text, Throwing kind, const Regs& start) {
  if (M* mp = currentM(); mp != nullptr && mp->throwing == 0) mp->throwing = static_cast<int32>(kind);
  const bool first = startpanic();
  {
    Printer w;
    w << "fatal error: ";
    printindented(w, text, __builtin_strlen(text));
    w << '\n';
  }
  if (!first) os::exit(2);
  dopanic(start, getg());
}

}  // namespace

void throw_(const char* text) { report(text, Throwing::runtime, callerRegs()); }
void fatal(const char* text) { report(text, Throwing::user, callerRegs()); }

void printindented(Printer& w, const char* s, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    w << s[i];
    if (s[i] == '\n') w << '\t';
  }
}

void goroutineheader(Printer& w, const G* gp, const TraceLevel& t) {
  const uint32 raw = readgstatus(gp);
  const bool scan = (raw & static_cast<uint32>(GStatus::Gscan)) != 0;
  const auto status = static_cast<GStatus>(raw & ~static_cast<uint32>(GStatus::Gscan));
  const bool blocked = status == GStatus::Gwaiting || status == GStatus::Gsyscall;
  w << "goroutine " << gp->goid;
  if (t.level >= 2) {
    const M* mp = gp->m;
    w << " gp=" << static_cast<const void*>(gp);
    if (mp != nullptr) {
      w << " m=" << mp->id << " mp=" << static_cast<const void*>(mp);
    } else {
      w << " m=nil";
    }
  }
  w << " [";
  if (status == GStatus::Gwaiting && gp->waitreason != WaitReason::zero) {
    w << waitReasonString(gp->waitreason);
  } else {
    w << statusString(status);
  }
  if (scan) w << " (scan)";
  const int64 minutes = blocked && gp->waitsince != 0 ? (nanotime() - gp->waitsince) / 60'000'000'000 : 0;
  if (minutes >= 1) w << ", " << minutes << " minutes";
  if (const M* mp = gp->lockedm; mp != nullptr && (mp->hog != gp || mp->lockedExt != 0))
    w << ", locked to thread";
  w << ']';
  if (gp->name != nullptr) w << " {name: " << gp->name << '}';
  w << ":\n";
}

bool frameHidden(const char* name) {
  static constexpr const char* kPrefixes[] = {
      "gort::frame<",
      "gort::rt::",
      "gort::detail::",
      "gort::(anonymous",
      "gort::swallowed",
      "gort::run<",
      "gort::go<",
      "gort::func<",
      "gort::block_on<",
      "gort::panic_unwind::",
      "gort_",
      "std::__",
      "std::invoke",
      "std::apply",
      "std::terminate",
      "std::rethrow_exception",
      "__cxa_",
      "__cxxabiv1::",
      "__gxx_",
      "__gnu_cxx::",
      "_Unwind_",
      "__libc_start",
      "__clang_call_terminate",
  };
  for (const char* p : kPrefixes) {
    if (startsWith(name, p)) return true;
  }
  return false;
}

namespace {

// isPanicEntry: the public function that raised; where it stands first, the interesting frame is the next
// one.
bool isPanicEntry(const char* name) {
  return startsWith(name, "gort::panic") || startsWith(name, "gort::goexit");
}

// inLibrarySource: the file is one of the library's own sources; they all stand below the parent of this file's directory.
bool inLibrarySource(const char* file) {
  static constexpr char kHere[] = __FILE__;
  static constexpr std::size_t kTail = sizeof "sched/panic_print.cpp" - 1;
  static_assert(sizeof kHere > kTail);
  for (std::size_t i = 0; i < sizeof kHere - 1 - kTail; ++i) {
    if (file[i] != kHere[i]) return false;
  }
  return true;
}

bool inPublicHeader(const char* file) { return contains(file, "include/gort/"); }

// isPlumbing: what the library does inside a public function. Of its headers only public names are shown, and of channels
// not even those: "chan receive" stands in the header line of the goroutine.
bool isPlumbing(const Frame& f, const char* name) {
  if (f.file == nullptr) return false;
  if (inLibrarySource(f.file)) return true;
  if (!inPublicHeader(f.file)) return false;
  return !startsWith(name, "gort::") || contains(name, "{lambda") || startsWith(name, "gort::recv_ops<") ||
         startsWith(name, "gort::send_ops<") || startsWith(name, "gort::select<");
}

// isUnnamedLibrary: an address in the stripped C++ library or unwinder, between a throw and our handler.
bool isUnnamedLibrary(const Frame& f, uintptr pc) {
  if (f.func != nullptr) return false;
  const char* module = moduleName(pc);
  return module != nullptr && (contains(module, "/libstdc++.so") || contains(module, "/libgcc_s.so") ||
                               contains(module, "/libc++abi.so") || contains(module, "/libunwind.so"));
}

void printFrame(Printer& w, const Frame& f, const char* name, uintptr pc) {
  w << (f.func == nullptr ? "?" : name) << "(...)\n\t";
  if (f.file != nullptr) {
    w << f.file << ':' << f.line;
  } else {
    const char* module = moduleName(pc);
    const char* self = reinterpret_cast<const char*>(getauxval(AT_EXECFN));
    if (module != nullptr && self != nullptr && startsWith(module, "/proc/self/exe")) module = self;
    w << (module != nullptr && *module != 0 ? module : "?");
  }
  if (f.entry != 0) w << " +" << Hex{pc - f.entry};
  w << '\n';
}

// printPc prints the frames at one return address, inlined calls first; returns how many it showed.
unsigned printPc(Printer& w, uintptr pc, const TraceLevel& t, bool nothingYet) {
  constexpr unsigned kMaxInlined = 24;
  Frame frames[kMaxInlined];
  const unsigned n = symbolize(pc - 1, frames, kMaxInlined);
  unsigned shown = 0;
  for (unsigned i = 0; i < n; ++i) {
    char name[kNameBytes];
    name[0] = 0;
    if (frames[i].func != nullptr) funcName(frames[i].func, name, sizeof name);
    if (t.level < 2) {
      if (frameHidden(name) || isPlumbing(frames[i], name) || isUnnamedLibrary(frames[i], pc)) continue;
      if (nothingYet && shown == 0 && isPanicEntry(name)) continue;
    }
    printFrame(w, frames[i], name, pc);
    ++shown;
  }
  return shown;
}

// The outer end of a long stack: the last kOuterFrames addresses seen.
struct OuterFrames {
  uintptr pc[kOuterFrames];
  unsigned n = 0;
  void add(uintptr p) { pc[n++ % kOuterFrames] = p; }
};

}  // namespace

unsigned traceback(Printer& w, const Regs& start, const StackBounds& stack, const TraceLevel& t) {
  constexpr unsigned kMaxFrames = 1u << 24;
  OuterFrames outer;
  unsigned shown = 0;
  Regs r = start;
  for (unsigned i = 0; i < kMaxFrames; ++i) {
    if (shown < kInnerFrames) {
      shown += printPc(w, r.returnPc(), t, shown == 0);
    } else {
      outer.add(r.returnPc());
    }
    if (!step(r, stack)) break;
  }
  const unsigned kept = outer.n < kOuterFrames ? outer.n : kOuterFrames;
  if (outer.n > kept) w << "..." << outer.n - kept << " frames elided...\n";
  for (unsigned i = outer.n - kept; i < outer.n; ++i)
    shown += printPc(w, outer.pc[i % kOuterFrames], t, false);
  return shown;
}

bool callSite(Regs r, const StackBounds& stack, CallSite& out) {
  for (unsigned depth = 0; depth < 64; ++depth) {
    Frame frames[24];
    const unsigned n = symbolize(r.returnPc() - 1, frames, 24);
    for (unsigned i = 0; i < n; ++i) {
      if (frames[i].func == nullptr) continue;
      funcName(frames[i].func, out.function, sizeof out.function);
      if (frameHidden(out.function) || isPanicEntry(out.function)) continue;
      out.file = frames[i].file;
      out.line = frames[i].line;
      return true;
    }
    if (!step(r, stack)) break;
  }
  return false;
}

namespace {

// goStatement finds the user's function around gopc: the innermost frame that is not the library's. False:
// none.
bool goStatement(uintptr gopc, Frame& out, char* name, std::size_t cap) {
  constexpr unsigned kMaxInlined = 24;
  Frame frames[kMaxInlined];
  const unsigned n = gopc != 0 ? symbolize(gopc - 1, frames, kMaxInlined) : 0;
  for (unsigned i = 0; i < n; ++i) {
    if (frames[i].func == nullptr) continue;
    funcName(frames[i].func, name, cap);
    if (startsWith(name, "gort::") || frameHidden(name)) continue;
    if (frames[i].file != nullptr && (inLibrarySource(frames[i].file) || inPublicHeader(frames[i].file)))
      continue;
    out = frames[i];
    return true;
  }
  return false;
}

}  // namespace

void printcreatedby(Printer& w, const G* gp) {
  Frame f;
  char name[kNameBytes];
  const bool found = goStatement(gp->gopc, f, name, sizeof name);
  if (!found && gp->where.file == nullptr) return;
  w << "created by " << (found ? name : gp->where.function != nullptr ? gp->where.function : "?");
  if (gp->parentGoid != 0) w << " in goroutine " << gp->parentGoid;
  if (!found || f.file == nullptr) {
    w << "\n\t" << (gp->where.file != nullptr ? gp->where.file : "?") << ':' << gp->where.line << '\n';
    return;
  }
  w << "\n\t" << f.file << ':' << f.line;
  if (f.entry != 0) w << " +" << Hex{gp->gopc - f.entry};
  w << '\n';
}

namespace {
bool notStarted(const G* gp, const Regs& r) {
  return gp->startpc != 0 && r.pc == reinterpret_cast<uintptr>(gort_gostart);
}
}  // namespace

void tracebackG(Printer& w, const G* gp, const TraceLevel& t) {
  goroutineheader(w, gp, t);
  Regs r;
  if (static_cast<GStatus>(readgstatus(gp) & ~static_cast<uint32>(GStatus::Gscan)) == GStatus::Grunning) {
    w << "\tgoroutine running on other thread; stack unavailable\n";
  } else if (!regsOf(gp, r)) {
    w << "\tgoroutine's stack unavailable\n";
  } else if (notStarted(gp, r)) {
    Regs entry;
    entry.pc = gp->startpc;
    entry.exact = true;
    TraceLevel everything = t;
    everything.level = 2;
    if (printPc(w, entry.returnPc(), t, false) == 0) printPc(w, entry.returnPc(), everything, false);
  } else {
    (void)tracebackOrAll(w, r, boundsOf(gp), t);
  }
  printcreatedby(w, gp);
}

void tracebackothers(Printer& w, const G* me, const TraceLevel& t) {
  struct Job {
    Printer& w;
    const G* me;
    const G* first;
    const TraceLevel& t;
  };
  const M* mp = currentM();
  Job job{w, me, mp != nullptr ? mp->curg.get() : nullptr, t};
  if (job.first != nullptr && job.first != me && !isHiddenG(job.first, t)) {
    w << '\n';
    tracebackG(w, job.first, t);
  }
  forEachG(
      [](G* gp, void* p) {
        const Job& j = *static_cast<Job*>(p);
        const auto status = static_cast<GStatus>(readgstatus(gp));
        if (gp == j.me || gp == j.first || status == GStatus::Gdead || status == GStatus::Gidle) return;
        if (isHiddenG(gp, j.t)) return;
        j.w << '\n';
        tracebackG(j.w, gp, j.t);
      },
      &job);
}

}  // namespace gort::rt

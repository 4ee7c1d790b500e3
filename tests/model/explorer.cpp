// SPDX-License-Identifier: Apache-2.0
// See explorer.hpp. Parts, in order: clocks and memory; fibers; the tree of choices; operations; failures and
// the trace; the search; the command line.
#include "model/explorer.hpp"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace model {
namespace {

// ---------------------------------------------------------------------------------------------- clocks and
// memory

using Tick = uint16_t;

struct VC {
  Tick c[kMaxThreads] = {};
  void join(const VC& o) {
    for (int i = 0; i < kMaxThreads; ++i) c[i] = c[i] > o.c[i] ? c[i] : o.c[i];
  }
};

// View is what a thread knows. hb: what happens-before its next operation (data races, coherence). sc: what
// seq_cst fences force on its loads, always at least hb. scTime: the last fence, in the order S of the
// seq_cst operations.
struct View {
  VC hb;
  VC sc;
  Tick scTime = 0;
  void join(const View& o) {
    hb.join(o.hb);
    sc.join(o.sc);
    if (o.scTime > scTime) scTime = o.scTime;
  }
};

struct Store {
  uint64_t v = 0;
  int author = 0;
  VC when;          // hb of the author at the store (late reads)
  VC seen;          // per thread: when it first wrote or read this store; 0 never
  Tick scSeen = 0;  // when a seq_cst operation first did, in S; 0 never
  View rel;         // what an acquire load of it learns
  uint8_t staleReads[kMaxThreads] = {};
};

}  // namespace

namespace detail {
struct LateRead {
  int reader;
  Tick when;
  size_t store;
  bool kept;
};
struct Location {
  int id = 0;
  const char* name = nullptr;
  bool live = false;
  bool late = false;
  std::vector<LateRead> reads;
  std::vector<Store> stores;
  std::vector<int> waiters;
};
struct PlainState {
  int id = 0;
  const char* name = nullptr;
  bool live = false;
  int writer = 0;
  VC written, read;
  Site writeAt, readAt[kMaxThreads];
};
}  // namespace detail

namespace {
using detail::Location;
using detail::PlainState;

// ---------------------------------------------------------------------------------------------- fibers

constexpr size_t kStackBytes = 256 * 1024;

#if defined(__x86_64__)
struct Context {
  void* sp = nullptr;
};
extern "C" void model_switch(void** save, void* to);
// void model_switch(void** save /*rdi*/, void* to /*rsi*/): callee-saved registers on the old stack, then the
// new one.
__asm__(R"(
  .text
  .globl model_switch
  .type model_switch,@function
model_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size model_switch,.-model_switch
)");
void switchContext(Context& from, Context& to) { model_switch(&from.sp, to.sp); }
void makeContext(Context& c, char* stack, void (*entry)()) {
  auto top = reinterpret_cast<uintptr_t>(stack + kStackBytes) & ~uintptr_t{15};
  auto* sp = reinterpret_cast<uintptr_t*>(top - 8);  // as after a call: 16n+8
  *--sp = reinterpret_cast<uintptr_t>(entry);
  for (int i = 0; i < 6; ++i) *--sp = 0;
  c.sp = sp;
}
#else
struct Context {
  ucontext_t uc;
};
void switchContext(Context& from, Context& to) { swapcontext(&from.uc, &to.uc); }
void makeContext(Context& c, char* stack, void (*entry)()) {
  getcontext(&c.uc);
  c.uc.uc_stack.ss_sp = stack;
  c.uc.uc_stack.ss_size = kStackBytes;
  c.uc.uc_link = nullptr;
  makecontext(&c.uc, entry, 0);
}
#endif

enum class State { kRunnable, kBlocked, kDone };

struct Thread {
  int id = 0;
  const char* name = "";
  detail::Callable* body = nullptr;
  State state = State::kRunnable;
  const char* blockedOn = "";
  Site blockedAt;
  bool yielded = false;
  bool timed = false;
  Location* futex = nullptr;
  int futexResult = 0;
  View cur;
  View acqPending;  // learnt by relaxed loads, due at the next acquire fence
  View relFence;    // what relaxed stores carry since the last release fence
  VC light;         // hb at the last light fence
  Context ctx;
  std::unique_ptr<char[]> stack;
  void tick() {
    ++cur.hb.c[id];
    cur.sc.c[id] = cur.hb.c[id];
  }
};

// ---------------------------------------------------------------------------------------------- the explorer

struct Choice {
  uint16_t picked;
  uint16_t n;
};

struct Stats {
  uint64_t executions = 0;
  uint64_t steps = 0;
  uint64_t cut = 0;
  size_t depth = 0;
  bool complete = true;
  int bound = 0;
};

struct Explorer {
  // command line
  int mutation = 0;
  uint64_t seed = 0;
  bool random = false;
  bool quick = false;
  bool first = false;  // mutants: all scenarios bound by bound, until one fails
  int preemptionsForced = -1;
  double secondsForced = 0;
  const char* filter = "";
  // one scenario
  const Scenario* scenario = nullptr;
  Options opt;
  Stats stats;
  std::set<std::string> outcomes;
  // the path
  std::vector<Choice> path;
  size_t pos = 0;
  uint64_t rng = 0;
  // one execution
  Thread threads[kMaxThreads];
  int nthreads = 0;
  Thread* cur = nullptr;
  Context root;
  int preemptions = 0, stale = 0, spurious = 0, steps = 0;
  VC scFences;  // what happened before any seq_cst fence so far
  VC heavy;     // what happened before any heavy fence so far
  Tick scClock = 0;
  std::vector<std::unique_ptr<Location>> locations;
  size_t nlocations = 0;
  std::vector<std::unique_ptr<PlainState>> plains;
  size_t nplains = 0;
  bool failed = false, wasCut = false;
  bool quiescent = false;  // thread 0 waits for the others to stand still
  std::string message;
  bool tracing = false;
};

Explorer ex;
Scenario* scenarios;

[[noreturn]] void abandon() {
  switchContext(ex.cur->ctx, ex.root);
  std::abort();
}

[[noreturn]] void failAt(std::string text, const Site& at);

const char* baseName(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

std::string where(const Site& at) { return std::string(baseName(at.file)) + ":" + std::to_string(at.line); }

std::string nameOf(const Location* loc) {
  return loc->name != nullptr ? loc->name : "a" + std::to_string(loc->id);
}
std::string nameOf(const PlainState* p) {
  return p->name != nullptr ? p->name : "plain" + std::to_string(p->id);
}

std::string show(uint64_t v) {
  char buf[32];
  if (v < 1000000) {
    std::snprintf(buf, sizeof buf, "%llu", static_cast<unsigned long long>(v));
  } else {
    std::snprintf(buf, sizeof buf, "%#llx", static_cast<unsigned long long>(v));
  }
  return buf;
}

const char* orderName(Order o) {
  switch (o) {
    case Order::relaxed:
      return "relaxed";
    case Order::acquire:
      return "acquire";
    case Order::release:
      return "release";
    case Order::acqRel:
      return "acqRel";
    case Order::seqCst:
      return "seqCst";
  }
  return "?";
}

void trace(const Site& at, const std::string& what) {
  std::printf("    %4d  %*sT%d %-10s %-26s %s\n", ex.steps, ex.cur->id * 2, "", ex.cur->id, ex.cur->name,
              where(at).c_str(), what.c_str());
}

// ---------------------------------------------------------------------------------------------- the tree of
// choices

uint64_t nextRandom() {
  ex.rng += 0x9e3779b97f4a7c15u;
  uint64_t z = ex.rng;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// pick is one branching of the tree. `eager` is the chance in 8 to leave alternative 0 in random mode.
int pick(int n, int eager) {
  if (n <= 1) return 0;
  if (ex.random && ex.pos == ex.path.size()) {
    const bool leave = static_cast<int>(nextRandom() % 8) < eager;
    const int k = leave ? 1 + static_cast<int>(nextRandom() % static_cast<unsigned>(n - 1)) : 0;
    ex.path.push_back({static_cast<uint16_t>(k), static_cast<uint16_t>(n)});
  }
  if (ex.pos == ex.path.size()) ex.path.push_back({0, static_cast<uint16_t>(n)});
  const Choice& c = ex.path[ex.pos++];
  if (c.n != n) {
    std::fprintf(stderr, "%s: the scenario is not deterministic (%d alternatives, then %d)\n",
                 ex.scenario->name, c.n, n);
    std::exit(2);
  }
  return c.picked;
}

// nextPath moves to the next leaf, depth first. False: the tree is exhausted.
bool nextPath() {
  while (!ex.path.empty() && ex.path.back().picked + 1 == ex.path.back().n) ex.path.pop_back();
  if (ex.path.empty()) return false;
  ++ex.path.back().picked;
  return true;
}

// ---------------------------------------------------------------------------------------------- scheduling

[[noreturn]] void deadlock() {
  std::string text = "deadlock:";
  for (int i = 0; i < ex.nthreads; ++i) {
    const Thread& t = ex.threads[i];
    if (t.state != State::kBlocked) continue;
    text += " T" + std::to_string(i) + " " + t.name + " waits in " + t.blockedOn + " at " +
            where(t.blockedAt) + ";";
  }
  failAt(std::move(text), Site::current());
}

// expireTimer wakes one timed futex sleeper: nothing else can run, so time passes.
bool expireTimer() {
  Thread* sleepers[kMaxThreads];
  int n = 0;
  for (int i = 0; i < ex.nthreads; ++i) {
    if (ex.threads[i].state == State::kBlocked && ex.threads[i].timed) sleepers[n++] = &ex.threads[i];
  }
  if (n == 0) return false;
  Thread* t = sleepers[pick(n, 4)];
  std::erase(t->futex->waiters, t->id);
  t->state = State::kRunnable;
  t->timed = false;
  t->futexResult = 2;
  return true;
}

// standStill resumes thread 0 if that is what it waits for.
bool standStill() {
  if (!ex.quiescent || ex.threads[0].state != State::kBlocked) return false;
  ex.threads[0].state = State::kRunnable;
  return true;
}

int runnable(Thread** out) {
  int n = 0;
  if (ex.cur->state == State::kRunnable && !ex.cur->yielded) out[n++] = ex.cur;
  for (int i = 0; i < ex.nthreads; ++i) {
    Thread& t = ex.threads[i];
    if (&t != ex.cur && t.state == State::kRunnable && !t.yielded) out[n++] = &t;
  }
  return n;
}

// nextYielding is the one to go on when all who can run yield: in turn, so that none starves.
Thread* nextYielding() {
  for (int k = 1; k <= ex.nthreads; ++k) {
    Thread& t = ex.threads[(ex.cur->id + k) % ex.nthreads];
    if (t.state == State::kRunnable) return &t;
  }
  return nullptr;
}

// reschedule lets some thread go on, the current one included if it can.
void reschedule(bool free) {
  const bool canStay = ex.cur->state == State::kRunnable && !ex.cur->yielded;
  if (canStay && !free && ex.preemptions >= ex.opt.preemptions) return;
  Thread* cand[kMaxThreads];
  const int n = runnable(cand);
  Thread* to = n > 0 ? cand[pick(n, 2)] : nextYielding();
  if (to == nullptr) {
    if (!standStill() && !expireTimer()) deadlock();
    to = nextYielding();
  }
  if (to == ex.cur) return;
  if (canStay && !free) ++ex.preemptions;
  Thread* from = ex.cur;
  ex.cur = to;
  switchContext(from->ctx, to->ctx);
}

// changed says that yielding threads may find something new.
void changed() {
  for (int i = 0; i < ex.nthreads; ++i) {
    if (i != ex.cur->id) ex.threads[i].yielded = false;
  }
}

// point is the moment before an operation at which any thread may go on; then the operation is one step of
// this one.
Thread& point(const Site& at) {
  reschedule(false);
  Thread& t = *ex.cur;
  t.yielded = false;
  t.tick();
  if (++ex.steps > ex.opt.maxSteps) {
    if (ex.opt.livelockFails) failAt("livelock: no end after " + std::to_string(ex.steps) + " steps", at);
    ex.wasCut = true;
    abandon();
  }
  return t;
}

void block(const char* what, const Site& at) {
  ex.cur->state = State::kBlocked;
  ex.cur->blockedOn = what;
  ex.cur->blockedAt = at;
  reschedule(false);
}

void wake(Thread& t) { t.state = State::kRunnable; }

void fiberMain() {
  Thread& t = *ex.cur;
  t.body->run();
  delete t.body;
  t.body = nullptr;
  t.state = State::kDone;
  changed();
  if (t.id == 0) {
    for (int i = 1; i < ex.nthreads && !ex.quiescent; ++i) {
      if (ex.threads[i].state != State::kDone)
        failAt("the scenario ended before its threads: joinAll missing", {});
    }
    switchContext(t.ctx, ex.root);
  }
  bool all = true;
  for (int i = 1; i < ex.nthreads; ++i) all = all && ex.threads[i].state == State::kDone;
  if (all && ex.threads[0].state == State::kBlocked) wake(ex.threads[0]);
  reschedule(true);
  std::abort();
}

Thread& newThread(const char* name, detail::Callable* body) {
  if (ex.nthreads == kMaxThreads) failAt("too many threads", {});
  Thread& t = ex.threads[ex.nthreads];
  auto stack = t.stack != nullptr ? std::move(t.stack) : std::make_unique<char[]>(kStackBytes);
  delete t.body;
  t = Thread{};
  t.id = ex.nthreads++;
  t.name = name;
  t.body = body;
  t.stack = std::move(stack);
  makeContext(t.ctx, t.stack.get(), fiberMain);
  return t;
}

// ---------------------------------------------------------------------------------------------- operations

bool isAcquire(Order o) { return o == Order::acquire || o == Order::acqRel || o == Order::seqCst; }
bool isRelease(Order o) { return o == Order::release || o == Order::acqRel || o == Order::seqCst; }

bool seenBy(const Store& s, const VC& known) {
  for (int u = 0; u < kMaxThreads; ++u) {
    if (s.seen.c[u] != 0 && s.seen.c[u] <= known.c[u]) return true;
  }
  return false;
}

// oldestReadable is the first store in modification order that the thread's next load may still return.
size_t oldestReadable(const Location& loc, const Thread& t, bool sc) {
  for (size_t i = loc.stores.size(); i-- > 0;) {
    const Store& s = loc.stores[i];
    if (seenBy(s, t.cur.sc)) return i;
    if (s.scSeen != 0 && (sc || s.scSeen <= t.cur.scTime)) return i;
    if (sc && seenBy(s, ex.scFences)) return i;
  }
  return 0;
}

void observe(Store& s, Thread& t, Order o) {
  if (s.seen.c[t.id] == 0) s.seen.c[t.id] = t.cur.hb.c[t.id];
  if (o == Order::seqCst && s.scSeen == 0) s.scSeen = ++ex.scClock;
  if (isAcquire(o)) {
    t.cur.join(s.rel);
  } else {
    t.acqPending.join(s.rel);
  }
}

// chooseStore is the store that a load returns: the newest first, then staler ones within the bounds. With
// `unless`, older stores of that value are left out (a failing compare-exchange does not see the value it
// expects).
size_t chooseStore(Location& loc, Thread& t, bool sc, const uint64_t* unless) {
  const size_t last = loc.stores.size() - 1;
  if (ex.stale >= ex.opt.staleReads) return last;
  const size_t first = oldestReadable(loc, t, sc);
  size_t cand[64];
  int n = 0;
  cand[n++] = last;
  for (size_t i = last; i-- > first && n < 64;) {
    const Store& s = loc.stores[i];
    if (s.staleReads[t.id] >= ex.opt.rereads || (unless != nullptr && s.v == *unless)) continue;
    cand[n++] = i;
  }
  const size_t i = cand[pick(n, 2)];
  if (i != last) {
    ++ex.stale;
    ++loc.stores[i].staleReads[t.id];
  }
  return i;
}

void checkLive(const Location* loc, const Site& at) {
  if (!loc->live) failAt("use of " + nameOf(loc) + " after its end of life", at);
}

void append(Location& loc, Thread& t, uint64_t v, Order o, bool rmw) {
  Store s;
  s.v = v;
  s.author = t.id;
  s.when = t.cur.hb;
  s.seen.c[t.id] = t.cur.hb.c[t.id];
  if (o == Order::seqCst) s.scSeen = ++ex.scClock;
  s.rel = isRelease(o) ? t.cur : t.relFence;
  if (rmw) s.rel.join(loc.stores.back().rel);  // release sequence
  loc.stores.push_back(s);
  changed();
}

std::string ordered(const char* op, Order o) { return std::string(".") + op + "(" + orderName(o) + ")"; }

std::string staleText(const Location& loc, size_t i) {
  if (i + 1 == loc.stores.size()) return "";
  return "   [stale: store " + std::to_string(i) + ", newest is " + std::to_string(loc.stores.size() - 1) +
         " = " + show(loc.stores.back().v) + "]";
}

void scFence(Thread& t) {
  t.cur.join(t.acqPending);
  ex.scFences.join(t.cur.hb);
  t.cur.sc.join(ex.scFences);
  t.cur.sc.join(ex.heavy);
  t.cur.scTime = ++ex.scClock;
  t.relFence = t.cur;
  t.light = t.cur.hb;
}

}  // namespace

namespace detail {

Location* newLocation(uint64_t init, Site) {
  if (ex.nlocations == ex.locations.size()) ex.locations.push_back(std::make_unique<Location>());
  Location* loc = ex.locations[ex.nlocations].get();
  loc->id = static_cast<int>(ex.nlocations++);
  loc->name = nullptr;
  loc->live = true;
  loc->late = false;
  loc->reads.clear();
  loc->stores.clear();
  loc->waiters.clear();
  Store s;
  s.v = init;
  s.author = ex.cur->id;
  ex.cur->tick();
  s.seen.c[s.author] = ex.cur->cur.hb.c[s.author];
  loc->stores.push_back(s);
  return loc;
}

void freeLocation(Location* loc) {
  if (!loc->waiters.empty() && !ex.quiescent)
    failAt("end of life of " + nameOf(loc) + " while a thread sleeps on it", {});
  loc->live = false;
}

void nameLocation(Location* loc, const char* name) { loc->name = name; }
void trackLate(Location* loc) { loc->late = true; }

uint64_t opLoad(Location* loc, Order o, Site at) {
  Thread& t = point(at);
  checkLive(loc, at);
  const size_t i = chooseStore(*loc, t, o == Order::seqCst, nullptr);
  Store& s = loc->stores[i];
  observe(s, t, o);
  if (loc->late) loc->reads.push_back({t.id, t.cur.hb.c[t.id], i, false});
  if (ex.tracing) trace(at, nameOf(loc) + ordered("load", o) + " = " + show(s.v) + staleText(*loc, i));
  return s.v;
}

void lateCheck(Location* loc, const LateRead& r, Site at) {
  for (size_t i = r.store + 1; r.kept && i < loc->stores.size(); ++i) {
    if (loc->stores[i].when.c[r.reader] >= r.when) continue;
    failAt("late read: a load of " + nameOf(loc) + " by T" + std::to_string(r.reader) +
               " is not ordered before the store of " + show(loc->stores[i].v) + " by T" +
               std::to_string(loc->stores[i].author),
           at);
  }
}

void opStore(Location* loc, uint64_t v, Order o, Site at) {
  Thread& t = point(at);
  checkLive(loc, at);
  append(*loc, t, v, o, false);
  for (const LateRead& r : loc->reads) lateCheck(loc, r, at);
  if (ex.tracing) trace(at, nameOf(loc) + ordered("store", o) + " := " + show(v));
}

uint64_t rmwBegin(Location* loc, Order o, Site at) {
  Thread& t = point(at);
  checkLive(loc, at);
  observe(loc->stores.back(), t, o);
  return loc->stores.back().v;
}

void rmwEnd(Location* loc, uint64_t old, uint64_t v, Order o, const char* op, Site at) {
  append(*loc, *ex.cur, v, o, true);
  if (ex.tracing) trace(at, nameOf(loc) + ordered(op, o) + ": " + show(old) + " -> " + show(v));
}

bool opCas(Location* loc, uint64_t& expected, uint64_t desired, Order ok, Order failOrder, Site at) {
  Thread& t = point(at);
  checkLive(loc, at);
  const size_t last = loc->stores.size() - 1;
  const size_t i = chooseStore(*loc, t, failOrder == Order::seqCst, &expected);
  if (i == last && loc->stores[last].v == expected) {
    observe(loc->stores[last], t, ok);
    append(*loc, t, desired, ok, true);
    if (ex.tracing)
      trace(at, nameOf(loc) + ordered("cas", ok) + ": " + show(expected) + " -> " + show(desired));
    return true;
  }
  observe(loc->stores[i], t, failOrder);
  if (ex.tracing) {
    trace(at, nameOf(loc) + ordered("cas", ok) + ": expected " + show(expected) + ", is " +
                  show(loc->stores[i].v) + staleText(*loc, i));
  }
  expected = loc->stores[i].v;
  return false;
}

int opFutexWait(Location* loc, uint64_t val, bool timed, Site at) {
  Thread& t = point(at);
  checkLive(loc, at);
  scFence(t);
  const size_t i = chooseStore(*loc, t, false, nullptr);
  observe(loc->stores[i], t, Order::relaxed);
  const uint64_t seen = loc->stores[i].v;
  if (seen != val) {
    if (ex.tracing) trace(at, "futexWait " + nameOf(loc) + " != " + show(val) + ", is " + show(seen));
    return 1;
  }
  if (ex.spurious < ex.opt.spurious && pick(2, 2) == 1) {
    ++ex.spurious;
    if (ex.tracing)
      trace(at, "futexWait " + nameOf(loc) + (timed ? " times out" : " wakes without a reason"));
    reschedule(true);
    return timed ? 2 : 0;
  }
  if (ex.tracing) trace(at, "futexWait " + nameOf(loc) + " == " + show(val) + ": sleeps");
  loc->waiters.push_back(t.id);
  t.timed = timed;
  t.futex = loc;
  t.futexResult = 0;
  block("futexWait", at);
  if (ex.tracing) trace(at, "futexWait " + nameOf(loc) + (t.futexResult == 2 ? " timed out" : " woken"));
  return t.futexResult;
}

int opFutexWake(Location* loc, int n, Site at) {
  Thread& t = point(at);
  checkLive(loc, at);
  scFence(t);
  int woken = 0;
  for (; woken < n && !loc->waiters.empty(); ++woken) {
    const size_t k = static_cast<size_t>(pick(static_cast<int>(loc->waiters.size()), 4));
    Thread& w = ex.threads[loc->waiters[k]];
    loc->waiters.erase(loc->waiters.begin() + static_cast<std::ptrdiff_t>(k));
    w.timed = false;
    wake(w);
  }
  if (ex.tracing) trace(at, "futexWake " + nameOf(loc) + ": " + std::to_string(woken) + " woken");
  return woken;
}

PlainState* newPlain(Site at) {
  if (ex.nplains == ex.plains.size()) ex.plains.push_back(std::make_unique<PlainState>());
  PlainState* p = ex.plains[ex.nplains].get();
  *p = PlainState{};
  p->id = static_cast<int>(ex.nplains++);
  p->live = true;
  ex.cur->tick();
  p->writer = ex.cur->id;
  p->written.c[p->writer] = ex.cur->cur.hb.c[p->writer];
  p->writeAt = at;
  return p;
}

void freePlain(PlainState* p) { p->live = false; }
void namePlain(PlainState* p, const char* name) { p->name = name; }

void raceCheck(PlainState* p, int other, const VC& when, const Site& whenAt, const char* kinds,
               const Site& at) {
  if (when.c[other] <= ex.cur->cur.hb.c[other]) return;
  failAt(
      "data race on " + nameOf(p) + ": " + kinds + " of T" + std::to_string(other) + " at " + where(whenAt),
      at);
}

void plainRead(PlainState* p, Site at) {
  if (!p->live) failAt("use of " + nameOf(p) + " after its end of life", at);
  if (ex.tracing) trace(at, "read " + nameOf(p));
  ex.cur->tick();  // later than any release before it
  raceCheck(p, p->writer, p->written, p->writeAt, "read here, write", at);
  p->read.c[ex.cur->id] = ex.cur->cur.hb.c[ex.cur->id];
  p->readAt[ex.cur->id] = at;
}

void plainWrite(PlainState* p, Site at) {
  if (!p->live) failAt("use of " + nameOf(p) + " after its end of life", at);
  if (ex.tracing) trace(at, "write " + nameOf(p));
  ex.cur->tick();
  raceCheck(p, p->writer, p->written, p->writeAt, "write here, write", at);
  for (int u = 0; u < kMaxThreads; ++u) raceCheck(p, u, p->read, p->readAt[u], "write here, read", at);
  p->written = VC{};
  p->writer = ex.cur->id;
  p->written.c[p->writer] = ex.cur->cur.hb.c[p->writer];
  p->writeAt = at;
}

int spawnThread(const char* name, Callable* body) {
  Thread& parent = *ex.cur;
  parent.tick();
  Thread& t = newThread(name, body);
  t.cur = parent.cur;
  t.tick();
  parent.tick();
  return t.id;
}

}  // namespace detail

void fence(Order o, Site at) {
  if (o == Order::relaxed) return;  // nothing, not even a step: a mutated fence is absent
  Thread& t = point(at);
  if (o == Order::seqCst) {
    scFence(t);
  } else {
    if (isAcquire(o)) t.cur.join(t.acqPending);
    if (isRelease(o)) t.relFence = t.cur;
  }
  if (ex.tracing) trace(at, std::string("fence(") + orderName(o) + ")");
}

void heavyFence(Site at) {
  Thread& t = point(at);
  scFence(t);
  for (int i = 0; i < ex.nthreads; ++i) t.cur.sc.join(ex.threads[i].light);
  ex.heavy.join(t.cur.hb);
  if (ex.tracing) trace(at, "heavyFence");
}

void lightFence(Site at) {
  Thread& t = point(at);
  t.cur.join(t.acqPending);
  t.cur.sc.join(ex.heavy);
  t.light = t.cur.hb;
  if (ex.tracing) trace(at, "lightFence");
}

void membarrier(Site at) {
  Thread& t = point(at);
  scFence(t);
  for (int i = 0; i < ex.nthreads; ++i) {
    if (i != t.id) scFence(ex.threads[i]);  // also one that has ended: its stores were made
  }
  scFence(t);
  if (ex.tracing) trace(at, "membarrier");
}

void keepReads(Site at) {
  for (size_t i = 0; i < ex.nlocations; ++i) {
    for (detail::LateRead& r : ex.locations[i]->reads) {
      if (r.reader != ex.cur->id || r.kept) continue;
      r.kept = true;
      detail::lateCheck(ex.locations[i].get(), r, at);
    }
  }
}

void dropReads() {
  for (size_t i = 0; i < ex.nlocations; ++i) {
    std::erase_if(ex.locations[i]->reads,
                  [](const detail::LateRead& r) { return r.reader == ex.cur->id && !r.kept; });
  }
}

void yield(Site at) {
  Thread& t = point(at);
  if (ex.tracing) trace(at, "yield");
  if (ex.preemptions < ex.opt.preemptions && pick(2, 2) == 1) {
    ++ex.preemptions;
    return;
  }
  t.yielded = true;
  reschedule(true);
}

int self() { return ex.cur->id; }
int mutation() { return ex.mutation; }

void joinAll() {
  Thread& t = *ex.cur;
  bool all = true;
  for (int i = 1; i < ex.nthreads; ++i) all = all && ex.threads[i].state == State::kDone;
  if (!all) block("joinAll", Site::current());
  for (int i = 1; i < ex.nthreads; ++i) t.cur.join(ex.threads[i].cur);
  t.tick();
}

void joinQuiescent() {
  Thread& t = *ex.cur;
  ex.quiescent = true;
  block("joinQuiescent", Site::current());
  for (int i = 1; i < ex.nthreads; ++i) t.cur.join(ex.threads[i].cur);
  t.tick();
}

int choose(int n, const char* what, Site at) {
  const int k = pick(n, 4);
  if (ex.tracing) trace(at, std::string(what) + " = " + std::to_string(k) + " of " + std::to_string(n));
  return k;
}

void outcome(const char* fmt, ...) {
  char buf[256];
  va_list ap;
  va_start(ap, fmt);
  std::vsnprintf(buf, sizeof buf, fmt, ap);
  va_end(ap);
  ex.outcomes.insert(buf);
}

void note(const char* fmt, ...) {
  if (!ex.tracing) return;
  char buf[256];
  va_list ap;
  va_start(ap, fmt);
  std::vsnprintf(buf, sizeof buf, fmt, ap);
  va_end(ap);
  std::printf("          %*s   -- %s\n", ex.cur->id * 2, "", buf);
}

// ---------------------------------------------------------------------------------------------- Lock and
// Parker

Lock::Lock(const char* name, Site at) : word_(0, at) { word_.named(name); }

void Lock::lock(Site at) {
  Thread& t = point(at);
  Location* loc = word_.location();
  checkLive(loc, at);
  while (owner_ >= 0) {
    if (owner_ == t.id) failAt("the lock " + nameOf(loc) + " is taken twice by one thread", at);
    loc->waiters.push_back(t.id);
    block("lock", at);
  }
  owner_ = t.id;
  observe(loc->stores.back(), t, Order::acquire);
  append(*loc, t, 1, Order::relaxed, true);
  if (ex.tracing) trace(at, "lock " + nameOf(loc));
}

// No scheduling point before an unlock: a switch there leads nowhere that a switch after it does not.
void Lock::unlock(Site at) {
  Thread& t = *ex.cur;
  Location* loc = word_.location();
  checkLive(loc, at);
  if (owner_ < 0) failAt("unlock of the unlocked " + nameOf(loc), at);
  t.tick();
  owner_ = -1;
  append(*loc, t, 0, Order::release, false);
  for (int w : loc->waiters) wake(ex.threads[w]);
  loc->waiters.clear();
  if (ex.tracing) trace(at, "unlock " + nameOf(loc));
}

Parker::Parker(Site at) : token_(0, at) { token_.named("parker"); }

void Parker::announce(Site at) {
  point(at);
  if (state_ != 0) failAt("park of a goroutine that is not running", at);
  state_ = 1;
  changed();
  if (ex.tracing) trace(at, "park: waiting");
}

void Parker::cancel(Site at) {
  if (state_ != 1) failAt("cancelled park of a goroutine that somebody readied", at);
  state_ = 0;
}

void Parker::block(Site at) {
  Location* loc = token_.location();
  if (state_ == 0) failAt("block without announce", at);
  if (state_ == 1) {
    loc->waiters.push_back(ex.cur->id);
    model::block("park", at);
  }
  ex.cur->tick();
  observe(loc->stores.back(), *ex.cur, Order::acquire);
  state_ = 0;
  if (ex.tracing) trace(at, "park: resumed");
}

void Parker::ready(Site at) {
  Thread& t = point(at);
  Location* loc = token_.location();
  checkLive(loc, at);
  if (state_ != 1) failAt("ready of a goroutine that does not wait (woken twice, or too early)", at);
  state_ = 2;
  append(*loc, t, 1, Order::release, false);
  for (int w : loc->waiters) wake(ex.threads[w]);
  loc->waiters.clear();
  if (ex.tracing) trace(at, "ready");
}

// ---------------------------------------------------------------------------------------------- failures

void fail(const char* text, Site at) { failAt(text, at); }

namespace {

void failAt(std::string text, const Site& at) {
  ex.failed = true;
  ex.message = std::move(text);
  if (at.line != 0) ex.message += " (" + where(at) + ")";
  if (ex.tracing) std::printf("          %*s   ** %s\n", ex.cur->id * 2, "", ex.message.c_str());
  abandon();
}

// ---------------------------------------------------------------------------------------------- the search

struct BodyCallable final : detail::Callable {
  void run() override { ex.scenario->body(); }
};

void runOnce() {
  ex.pos = 0;
  ex.nthreads = 0;
  ex.nlocations = ex.nplains = 0;
  ex.preemptions = ex.stale = ex.spurious = ex.steps = 0;
  ex.scFences = ex.heavy = VC{};
  ex.scClock = 0;
  ex.failed = ex.wasCut = ex.quiescent = false;
  ex.cur = &newThread("main", new BodyCallable);
  ex.cur->tick();
  switchContext(ex.root, ex.cur->ctx);
  ++ex.stats.executions;
  ex.stats.cut += ex.wasCut;
  ex.stats.steps += static_cast<uint64_t>(ex.steps);
  if (ex.path.size() > ex.stats.depth) ex.stats.depth = ex.path.size();
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// searchBound walks the tree under the current bounds. False: a failure was found (ex.path leads to it).
bool searchBound(double deadline) {
  ex.path.clear();
  for (;;) {
    if (ex.random) {
      ex.path.clear();
      ex.rng = ex.seed++;
    }
    runOnce();
    if (ex.failed) return false;
    if (!ex.random && !nextPath()) return true;
    if ((ex.stats.executions & 255) == 0 && now() > deadline) {
      ex.stats.complete = false;
      return true;
    }
  }
}

bool search() {
  const int top = ex.opt.preemptions;
  const double deadline = now() + ex.opt.maxSeconds;
  for (int bound = ex.random ? top : 0; bound <= top && ex.stats.complete; ++bound) {
    ex.opt.preemptions = ex.stats.bound = bound;
    if (!searchBound(deadline)) return false;
  }
  return true;
}

void replayWithTrace() {
  std::printf("  the interleaving (step, thread, place, operation):\n");
  ex.tracing = true;
  runOnce();
  ex.tracing = false;
}

std::string missingOutcome() {
  const Scenario& s = *ex.scenario;
  for (const char* const* p = s.must; p != nullptr && *p != nullptr; ++p) {
    if (!ex.outcomes.contains(*p)) return std::string("outcome not found: ") + *p;
  }
  for (const char* const* p = s.mustNot; p != nullptr && *p != nullptr; ++p) {
    if (ex.outcomes.contains(*p)) return std::string("forbidden outcome found: ") + *p;
  }
  return "";
}

void applyOptions() {
  ex.opt = ex.scenario->options;
  if (ex.quick) {
    ex.opt.preemptions = ex.opt.quickPreemptions >= 0 ? ex.opt.quickPreemptions : ex.opt.preemptions - 1;
    if (ex.opt.preemptions < 1) ex.opt.preemptions = 1;
  }
  if (ex.preemptionsForced >= 0) ex.opt.preemptions = ex.preemptionsForced;
  if (ex.secondsForced > 0) ex.opt.maxSeconds = ex.secondsForced;
  if (ex.random) ex.opt.preemptions = 1000;
}

// runScenario prints one line and says whether the scenario did what it should.
bool runScenario(const Scenario& s) {
  ex.scenario = &s;
  applyOptions();
  ex.stats = Stats{};
  ex.outcomes.clear();
  const double start = now();
  const uint64_t firstSeed = ex.seed;
  const bool clean = search();
  std::string why = clean ? missingOutcome() : ex.message;
  const bool expected =
      s.expect == Expect::kPass ? why.empty() : why.find(s.failText) != std::string::npos && !clean;
  std::printf("%s %s: %llu executions, %llu steps, depth %zu, preemptions <= %d%s%s, %.1f s\n",
              expected ? "PASS" : "FAIL", s.name, static_cast<unsigned long long>(ex.stats.executions),
              static_cast<unsigned long long>(ex.stats.steps), ex.stats.depth, ex.stats.bound,
              ex.stats.complete ? "" : " (time bound)", ex.stats.cut != 0 ? " (some cut off)" : "",
              now() - start);
  if (expected) return true;
  std::printf("  %s\n", why.empty() ? "the expected failure was not found" : why.c_str());
  if (ex.random) {
    std::printf("  replay: --filter %s --random %llu\n", s.name,
                static_cast<unsigned long long>(clean ? firstSeed : ex.seed - 1));
  }
  if (!clean) replayWithTrace();
  for (const std::string& o : ex.outcomes) std::printf("  found: %s\n", o.c_str());
  return false;
}

// killMutant walks all scenarios under bound 0, then 1 and so on, and stops at the first failure.
bool killMutant() {
  bool more = true;
  for (int bound = 0; more; ++bound) {
    more = false;
    for (const Scenario* s = scenarios; s != nullptr; s = s->next) {
      if (s->expect == Expect::kFail || std::strstr(s->name, ex.filter) == nullptr) continue;
      ex.scenario = s;
      applyOptions();
      if (bound > ex.opt.preemptions) continue;
      more = true;
      ex.opt.preemptions = bound;
      ex.stats = Stats{};
      if (searchBound(now() + ex.opt.maxSeconds)) continue;
      std::printf("KILLED by %s, preemptions <= %d: %s\n", s->name, bound, ex.message.c_str());
      replayWithTrace();
      return true;
    }
  }
  std::printf("SURVIVED\n");
  return false;
}

int usage(const char* program) {
  std::fprintf(
      stderr,
      "usage: %s [--filter TEXT] [--quick] [--mutation N] [--preemptions N] [--seconds S] [--random SEED]"
      " [--first] [--list]\n",
      program);
  return 2;
}

bool parseArgs(int argc, char** argv, bool& list) {
  for (int i = 1; i < argc; ++i) {
    const std::string a = argv[i];
    const bool more = i + 1 < argc;
    if (a == "--quick") {
      ex.quick = true;
    } else if (a == "--first") {
      ex.first = true;
    } else if (a == "--list") {
      list = true;
    } else if (a == "--filter" && more) {
      ex.filter = argv[++i];
    } else if (a == "--mutation" && more) {
      ex.mutation = std::atoi(argv[++i]);
    } else if (a == "--preemptions" && more) {
      ex.preemptionsForced = std::atoi(argv[++i]);
    } else if (a == "--seconds" && more) {
      ex.secondsForced = std::atof(argv[++i]);
    } else if (a == "--random" && more) {
      ex.random = true;
      ex.seed = std::strtoull(argv[++i], nullptr, 0);
    } else {
      return false;
    }
  }
  return true;
}

}  // namespace

Scenario::Scenario(const char* n, Body b, Options o, Expect e, const char* text)
    : name(n), body(b), options(o), expect(e), failText(text) {
  Scenario** p = &scenarios;
  while (*p != nullptr) p = &(*p)->next;
  *p = this;
}

}  // namespace model

// The fatal port of the headers under test.
namespace gort::rt {
void throw_(const char* text) { model::fail(text); }
void fatal(const char* text) { model::fail(text); }
}  // namespace gort::rt

// Exit status: 0 every scenario did what it should, 1 one did not, 2 usage or a broken scenario. --first: 1
// killed.
int main(int argc, char** argv) {
  using namespace model;
  bool list = false;
  if (!parseArgs(argc, argv, list)) return usage(argv[0]);
  if (ex.first) return killMutant() ? 1 : 0;
  int bad = 0;
  for (const Scenario* s = scenarios; s != nullptr; s = s->next) {
    if (std::strstr(s->name, ex.filter) == nullptr) continue;
    if (list) {
      std::printf("%s\n", s->name);
      continue;
    }
    if (!runScenario(*s)) ++bad;
    std::fflush(stdout);
  }
  return bad != 0 ? 1 : 0;
}

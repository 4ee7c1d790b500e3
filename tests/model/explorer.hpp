// SPDX-License-Identifier: Apache-2.0
// Explorer of small concurrent scenarios: every schedule within a preemption bound, and the weak-memory
// outcomes of each.
//
// A scenario is a function run again and again from scratch. Its threads are fibers; each operation on an
// Atomic<T> is a point where another thread may go on, and each load may return any store that C++20 lets it
// return. The choices made form one path of a tree; the tree is walked depth first (or at random, from a
// printed seed).
//
// Memory:     per location the list of its stores in modification order, which here is the order of
// execution. A load
//             reads any store not older than one that happens-before forces on it (coherence, seq_cst fences
//             included). Acquire/release, release sequences, the three fences and seq_cst operations follow
//             C++20's rules; an asymmetric pair heavyFence()/lightFence() follows P1202. A fence orders
//             nothing else by itself.
// Not found:  a load reading a store that has not been executed yet (load buffering), and a modification
// order that
//             differs from the order of execution (2+2W). Both need dependencies or hardware that Gort's
//             targets share with the RC11 model, where load buffering is forbidden; see docs/memory-order.md.
// Bounds:     preemptions (switching away from a thread that could go on), stale reads, spurious wake-ups,
// steps.
//             Switching at a block, a yield or an exit is free. The bounds grow one by one, so the first
//             failure found is a simple one.
// Failures:   assertion, data race on Plain<T>, deadlock, livelock (step bound). The failing path is run a
// second time
//             with tracing, so the printed interleaving costs the search nothing.
// Ownership:  one explorer per process, single-threaded. Model objects live inside one execution of a
// scenario.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "base/atomic.hpp"

namespace model {

using Order = gort::rt::Order;

// Site is the place of an operation: the call, not the definition (std::source_location is GCC's only, in
// 2022).
struct Site {
  const char* file = "";
  int line = 0;
  static constexpr Site current(const char* f = __builtin_FILE(), int l = __builtin_LINE()) { return {f, l}; }
};

inline constexpr int kMaxThreads = 8;

struct Options {
  int preemptions = 2;
  int staleReads = 3;         // loads per execution that may return other than the newest store
  int spurious = 1;           // futex sleeps per execution that may end without a wake-up
  int rereads = 3;            // how often one thread may return to the same stale store
  int maxSteps = 1500;        // more is a livelock
  bool livelockFails = true;  // false: executions that reach maxSteps are cut off and counted
  double maxSeconds = 60;
  int quickPreemptions = -1;  // bound under --quick; -1: one less than preemptions
};

enum class Expect { kPass, kFail };

// Scenario registers itself; `body` runs as thread 0 of every execution.
struct Scenario {
  using Body = void (*)();
  Scenario(const char* name, Body body, Options options = {}, Expect expect = Expect::kPass,
           const char* text = "");
  const char* name;
  Body body;
  Options options;
  Expect expect;
  const char* failText;                  // expected part of the message when expect is kFail
  const char* const* must = nullptr;     // litmus: outcomes that have to be found ...
  const char* const* mustNot = nullptr;  // ... and those that must not; null-terminated lists
  Scenario* next = nullptr;
};

// mutation is the number given by --mutation, 0 for none. A model weakens itself where GORT_MUT(n) says so.
int mutation();
#define GORT_MUT(n) (::model::mutation() == (n))
// GORT_ORD(n, o) is Order::o, or relaxed under mutation n.
#define GORT_ORD(n, o) (GORT_MUT(n) ? ::model::Order::relaxed : ::model::Order::o)

[[noreturn]] void fail(const char* text, Site at = Site::current());
#define MODEL_ASSERT(cond)                                  \
  do {                                                      \
    if (!(cond)) ::model::fail("assertion failed: " #cond); \
  } while (false)

// outcome records the result of one execution of a litmus test.
void outcome(const char* fmt, ...) __attribute__((format(printf, 1, 2)));
// note prints a line into the trace of a failing execution.
void note(const char* fmt, ...) __attribute__((format(printf, 1, 2)));
// choose is a choice 0..n-1 of the scenario itself (a timer fires or not, which case comes first).
int choose(int n, const char* what = "choice", Site at = Site::current());

namespace detail {
struct Location;
struct PlainState;

Location* newLocation(uint64_t init, Site at);
void freeLocation(Location* loc);
uint64_t opLoad(Location* loc, Order o, Site at);
void opStore(Location* loc, uint64_t v, Order o, Site at);
uint64_t rmwBegin(Location* loc, Order o, Site at);  // a scheduling point; then nothing until rmwEnd
void rmwEnd(Location* loc, uint64_t old, uint64_t v, Order o, const char* op, Site at);
bool opCas(Location* loc, uint64_t& expected, uint64_t desired, Order ok, Order fail, Site at);
int opFutexWait(Location* loc, uint64_t val, bool timed, Site at);
int opFutexWake(Location* loc, int n, Site at);
void trackLate(Location* loc);
void nameLocation(Location* loc, const char* name);
PlainState* newPlain(Site at);
void freePlain(PlainState* p);
void plainRead(PlainState* p, Site at);
void plainWrite(PlainState* p, Site at);
void namePlain(PlainState* p, const char* name);

struct Callable {
  virtual ~Callable() = default;
  virtual void run() = 0;
};
template <class F>
struct CallableOf final : Callable {
  explicit CallableOf(F&& f) : f_(std::move(f)) {}
  void run() override { f_(); }
  F f_;
};
int spawnThread(const char* name, Callable* body);

template <class T>
uint64_t toBits(T v) {
  uint64_t bits = 0;
  std::memcpy(&bits, &v, sizeof(T));
  return bits;
}
template <class T>
T fromBits(uint64_t bits) {
  T v;
  std::memcpy(&v, &bits, sizeof(T));
  return v;
}
}  // namespace detail

// Atomic has the interface of gort::rt::Atomic.
template <class T>
class Atomic {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "Atomic<T>: a lock-free machine word");

 public:
  // constexpr in name only: the headers under test are constant-initialised in the product.
  constexpr Atomic() : loc_(detail::newLocation(detail::toBits(T{}), {})) {}
  constexpr explicit Atomic(T v, Site at = Site::current())
      : loc_(detail::newLocation(detail::toBits(v), at)) {}
  ~Atomic() { detail::freeLocation(loc_); }
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(Order o = Order::seqCst, Site at = Site::current()) const {
    return detail::fromBits<T>(detail::opLoad(loc_, o, at));
  }
  void store(T v, Order o = Order::seqCst, Site at = Site::current()) {
    detail::opStore(loc_, detail::toBits(v), o, at);
  }
  T exchange(T v, Order o = Order::seqCst, Site at = Site::current()) {
    return rmw([&](T) { return v; }, o, "exchange", at);
  }
  bool compareExchange(T& expected, T desired, Order ok = Order::seqCst, Order fail = Order::relaxed,
                       Site at = Site::current()) {
    uint64_t bits = detail::toBits(expected);
    const bool good = detail::opCas(loc_, bits, detail::toBits(desired), ok, fail, at);
    expected = detail::fromBits<T>(bits);
    return good;
  }
  bool cas(T expected, T desired, Order ok = Order::seqCst, Site at = Site::current()) {
    return compareExchange(expected, desired, ok, Order::relaxed, at);
  }
  T fetchAdd(T v, Order o = Order::seqCst, Site at = Site::current()) {
    return rmw([&](T old) { return static_cast<T>(old + v); }, o, "fetchAdd", at);
  }
  T fetchSub(T v, Order o = Order::seqCst, Site at = Site::current()) {
    return rmw([&](T old) { return static_cast<T>(old - v); }, o, "fetchSub", at);
  }
  T fetchOr(T v, Order o = Order::seqCst, Site at = Site::current()) {
    return rmw([&](T old) { return static_cast<T>(old | v); }, o, "fetchOr", at);
  }
  T fetchAnd(T v, Order o = Order::seqCst, Site at = Site::current()) {
    return rmw([&](T old) { return static_cast<T>(old & v); }, o, "fetchAnd", at);
  }

  Atomic& named(const char* name) {
    detail::nameLocation(loc_, name);
    return *this;
  }
  detail::Location* location() const { return loc_; }

 private:
  template <class Fn>
  T rmw(Fn fn, Order o, const char* op, Site at) {
    const uint64_t old = detail::rmwBegin(loc_, o, at);
    detail::rmwEnd(loc_, old, detail::toBits(fn(detail::fromBits<T>(old))), o, op, at);
    return detail::fromBits<T>(old);
  }
  detail::Location* loc_;
};

// Plain is an ordinary variable: two accesses that no happens-before orders, one of them a write, are a
// failure.
template <class T>
class Plain {
 public:
  explicit Plain(T v = T{}, Site at = Site::current()) : v_(v), state_(detail::newPlain(at)) {}
  ~Plain() { detail::freePlain(state_); }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;
  T get(Site at = Site::current()) const {
    detail::plainRead(state_, at);
    return v_;
  }
  void set(T v, Site at = Site::current()) {
    detail::plainWrite(state_, at);
    v_ = v;
  }
  Plain& named(const char* name) {
    detail::namePlain(state_, name);
    return *this;
  }

 private:
  T v_;
  detail::PlainState* state_;
};

void fence(Order o = Order::seqCst, Site at = Site::current());
// heavyFence/lightFence: asymmetric fences (P1202). Each heavy one is ordered with every other fence; two
// light ones are not ordered with each other. membarrier(2) is the heavy one, a compiler barrier the light
// one.
void heavyFence(Site at = Site::current());
void lightFence(Site at = Site::current());
// membarrier is a seq_cst fence executed on every thread at once, wherever it stands.
void membarrier(Site at = Site::current());

// Futex: wait checks the word and goes to sleep in one step. Returns 0 woken (or spuriously), 1 value
// differed, 2 timed out. The kernel's own full barriers at both entries are modelled, a wake-up gives no
// further order.
template <class T>
int futexWait(Atomic<T>& a, T val, bool timed = false, Site at = Site::current()) {
  return detail::opFutexWait(a.location(), detail::toBits(val), timed, at);
}
template <class T>
int futexWake(Atomic<T>& a, int n, Site at = Site::current()) {
  return detail::opFutexWake(a.location(), n, at);
}

// Late reads. The explorer runs loads in program order, so it cannot show a load that the machine delays past
// a later store of its thread. Where that matters (a slot is read, then given back for reuse) the location is
// tracked: keepReads() says that the thread's tracked loads since the last call count, dropReads() that they
// do not; a store that overwrites a location which a counted load has read must be ordered after that load by
// happens-before.
template <class T>
void trackLate(Atomic<T>& a) {
  detail::trackLate(a.location());
}
void keepReads(Site at = Site::current());
void dropReads();

// yield: the thread goes on only after another one has changed something, or when nobody else can (spin
// loops). Going on at once costs a preemption.
void yield(Site at = Site::current());

// spawn makes a thread of the scenario; joinAll (thread 0 only) waits for all of them.
template <class F>
int spawn(const char* name, F f) {
  return detail::spawnThread(name, new detail::CallableOf<F>(std::move(f)));
}
void joinAll();
// joinQuiescent returns when no other thread can go on: all have ended or sleep. The scenario judges what it
// finds, and may end while they sleep.
void joinQuiescent();
int self();

// Lock is an abstract lock: one step to take, blocks while held, with acquire/release order. For protocols
// that stand above a lock proved elsewhere.
class Lock {
 public:
  explicit Lock(const char* name = "lock", Site at = Site::current());
  void lock(Site at = Site::current());
  void unlock(Site at = Site::current());
  bool held() const { return owner_ >= 0; }
  int owner() const { return owner_; }

 private:
  Atomic<uint32_t> word_;
  int owner_ = -1;
};

// Parker is a goroutine's place to stop: one park, one ready for it. ready() of a goroutine that does not
// wait is a failure (woken twice), a park that nobody ends is a deadlock. No order is implied beyond ready ->
// return of park.
class Parker {
 public:
  explicit Parker(Site at = Site::current());
  void announce(Site at = Site::current());  // Grunning -> Gwaiting; the commit function runs after it
  void cancel(Site at = Site::current());    // the commit function said no
  void block(Site at = Site::current());     // until ready
  void ready(Site at = Site::current());
  bool waiting() const { return state_ == 1; }

 private:
  int state_ = 0;  // 0 running, 1 waiting, 2 readied and not yet resumed
  Atomic<uint32_t> token_;
};

}  // namespace model

#define MODEL_CAT2(a, b) a##b
#define MODEL_CAT(a, b) MODEL_CAT2(a, b)
// MODEL(name, options...) { body }
#define MODEL(name, ...)                                                                     \
  static void name##Body();                                                                  \
  static ::model::Scenario name##Scenario{#name, name##Body, ::model::Options{__VA_ARGS__}}; \
  static void name##Body()
// MODEL_FAILS(name, "text", options...): a scenario in which the explorer has to find that failure.
#define MODEL_FAILS(name, text, ...)                                                        \
  static void name##Body();                                                                 \
  static ::model::Scenario name##Scenario{#name, name##Body, ::model::Options{__VA_ARGS__}, \
                                          ::model::Expect::kFail, text};                    \
  static void name##Body()

// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/sync.hpp: mutex, wait_group, cond, semaphore. (rw_mutex: api/rwmutex.cpp, pool:
// api/pool.cpp)
//
// The words of the public types are plain integers handled with the compiler's atomics; here they are seen as
// rt::Atomic, which is nothing else.
// Giving up: every wait with a time or a context is an rt::SemaWaiter that a timer or a context may abort;
// the primitive agrees or not under the lock of its root (sched/sema.cpp). So a wait that has been granted
// always succeeds, and one that is given up leaves no trace.
#include <gort/sync.hpp>

#include "api/wait_internal.hpp"
#include "base/check.hpp"
#include "lang/panic.hpp"
#include "os/vdso.hpp"
#include "sched/syncmutex.hpp"

namespace gort {
inline namespace GORT_ABI {

using detail::patience;
using detail::word;
using rt::Order;
using rt::SemaRoot;
using rt::SemaWaiter;

// ---- mutex

namespace {

constexpr int kActiveSpin = 4;         // rounds
constexpr rt::uint32 kSpinPause = 30;  // pauses per round

struct MutexEnv {
  template <class T>
  using Atomic = rt::Atomic<T>;
  using Waiter = SemaWaiter*;  // nullptr: waits as long as it takes

  // Spinning pays only if the holder runs right now, and if there is nothing else to do.
  static bool canSpin(int i) {
    if (i >= kActiveSpin || rt::ncpu <= 1) return false;
    if (rt::gomaxprocs <=
        rt::sched.npidle.load(Order::relaxed) + rt::sched.nmspinning.load(Order::relaxed) + 1) {
      return false;
    }
    return rt::getg()->m->p->runq.empty();
  }
  static void doSpin() { rt::os::procyield(kSpinPause); }
  static rt::int64 nanotime() { return rt::nanotime(); }
  static bool wait(Atomic<rt::uint32>& sema, SemaWaiter* w, bool lifo) {
    if (w != nullptr) return rt::semacquireAs(*w, &sema, lifo, rt::WaitReason::syncMutexLock);
    return rt::semacquire1(&sema, {.lifo = lifo, .reason = rt::WaitReason::syncMutexLock});
  }
  static void wake(Atomic<rt::uint32>& sema, bool handOff) { rt::semrelease1(&sema, handOff); }
  [[noreturn]] static void inconsistent() { rt::throw_("sync: inconsistent mutex state"); }
};
using MutexCore = rt::SyncMutex<MutexEnv>;

}  // namespace

void mutex::lock_slow() {
  rt::Entry e;
  MutexCore::lockSlow(word(state_), word(sema_), nullptr);
}

bool mutex::lock_until(const patience& p) {
  rt::Entry e;
  if (detail::is_over(p)) return false;
  SemaWaiter w;
  w.arg = &state_;
  w.giveUp = [](SemaWaiter& me) { return MutexCore::giveUp(word(*static_cast<rt::uint32*>(me.arg))); };
  detail::bounded_wait limit(w, &sema_, p);
  return MutexCore::lockSlow(word(state_), word(sema_), &w);
}

void mutex::unlock_slow() {
  rt::Entry e;
  if (!MutexCore::unlock(word(state_), word(sema_))) rt::panicString("sync: unlock of unlocked mutex");
}

// ---- wait_group: the counter and the number of waiters in one word. Who takes the counter to zero lets all
// waiters go.

namespace {

constexpr rt::uint64 kWaiterMask = 0xffffffff;

rt::int32 countOf(rt::uint64 s) { return static_cast<rt::int32>(s >> 32); }

// A waiter may leave as long as the counter is not zero; after that its token is on the way.
bool giveUpWait(SemaWaiter& me) {
  auto& state = word(*static_cast<rt::uint64*>(me.arg));
  rt::uint64 s = state.load(Order::relaxed);
  do {
    if (countOf(s) == 0) return false;
  } while (!state.compareExchange(s, s - 1, Order::relaxed));
  return true;
}

}  // namespace

void wait_group::added(std::uint64_t s, int delta) {
  const rt::int32 n = countOf(s);
  const auto waiters = static_cast<rt::uint32>(s & kWaiterMask);
  if (n > 0 && !(waiters != 0 && delta > 0 && n == delta)) return;
  rt::Entry e;
  if (n != 0) {
    word(state_).fetchSub(static_cast<rt::uint64>(static_cast<rt::int64>(delta)) << 32, Order::relaxed);
    misused_ = true;
    rt::panicString(n < 0 ? "sync: negative WaitGroup counter"
                          : "sync: WaitGroup misuse: Add called concurrently with Wait");
  }
  if (waiters == 0) return;
  if (!word(state_).cas(s, 0, Order::acqRel)) {
    misused_ = true;
    rt::panicString("sync: WaitGroup misuse: Add called concurrently with Wait");
  }
  // The last release may be the end of *this: nothing but the address is used from here on.
  auto* sema = &word(sema_);
  for (rt::uint32 i = 0; i < waiters; ++i) rt::semrelease1(sema, false);
}

bool wait_group::wait_slow(const patience& p) {
  rt::Entry e;
  if (detail::is_over(p)) return false;
  auto& state = word(state_);
  rt::uint64 s = state.load(Order::acquire);
  do {
    if (countOf(s) == 0) return true;
  } while (!state.compareExchange(s, s + 1, Order::acquire, Order::acquire));
  bool done = true;
  if (p.bounded()) {
    SemaWaiter w;
    w.arg = &state_;
    w.giveUp = giveUpWait;
    detail::bounded_wait limit(w, &sema_, p);
    done = rt::semacquireAs(w, &word(sema_), false, rt::WaitReason::syncWaitGroupWait);
  } else {
    rt::semacquire1(&word(sema_), {.reason = rt::WaitReason::syncWaitGroupWait});
  }
  if (done && state.load(Order::acquire) != 0) {
    misused_ = true;
    rt::panicString("sync: WaitGroup is reused before previous Wait has returned");
  }
  return done;
}

void wait_group::wait_in_destructor() {
  if (misused_) return;
  rt::Entry e;
  auto& state = word(state_);
  rt::uint64 s = state.load(Order::acquire);
  do {
    if (countOf(s) == 0) return;
  } while (!state.compareExchange(s, s + 1, Order::acquire, Order::acquire));
  rt::semacquire1(&word(sema_), {.reason = rt::WaitReason::waitGroupDestructor});
}

// ---- cond

namespace {

// SAFETY: a NotifyList is one atomic word, and that is what cond holds.
rt::NotifyList& listOf(std::uint32_t& w) { return *reinterpret_cast<rt::NotifyList*>(&w); }
static_assert(sizeof(rt::NotifyList) == sizeof(std::uint32_t));

// SAFETY: ticket's constructor made a SemaWaiter there.
SemaWaiter& waiterIn(unsigned char* p) { return *std::launder(reinterpret_cast<SemaWaiter*>(p)); }

}  // namespace

cond::ticket::ticket(cond& c) : c_(c) {
  static_assert(sizeof(SemaWaiter) <= sizeof(waiter_) && alignof(SemaWaiter) <= alignof(std::max_align_t));
  rt::Entry e;
  rt::notifyListAdd(listOf(c.waiters_), *::new (static_cast<void*>(waiter_)) SemaWaiter);
}

bool cond::ticket::park(const patience& p) {
  rt::Entry e;
  parked_ = true;
  SemaWaiter& w = waiterIn(waiter_);
  if (!p.bounded()) return rt::notifyListWait(listOf(c_.waiters_), w, rt::WaitReason::syncCondWait);
  detail::bounded_wait limit(w, w.addr, p);
  return rt::notifyListWait(listOf(c_.waiters_), w, rt::WaitReason::syncCondWait);
}

cond::ticket::~ticket() {
  if (parked_) return;  // *c_ may be gone
  rt::Entry e;
  rt::notifyListCancel(listOf(c_.waiters_), waiterIn(waiter_));
}

void cond::notify(bool all) noexcept {
  rt::Entry e;
  if (all) {
    rt::notifyListNotifyAll(listOf(waiters_));
  } else {
    rt::notifyListNotifyOne(listOf(waiters_));
  }
}

// ---- semaphore: available << 1 | somebody waits. While the bit is set only the holder of the root's lock
// changes the word.

namespace {

constexpr rt::int64 kQueue = 1;

// Lets in from the front whoever fits. Requires: the root's lock; the queue bit set. Its store may be the
// last access.
void admit(SemaRoot& root, rt::int64* at, rt::int64 available, rt::GQueue& ready) {
  SemaWaiter* w = root.front(at);
  while (w != nullptr && w->aux <= available) {
    available -= w->aux;
    root.remove(*w);
    w->granted = true;
    ready.push(w->g);
    w = root.front(at);
  }
  word(*at).store(available << 1 | (w != nullptr ? kQueue : 0), Order::release);
}

void leaveSemaphore(SemaRoot& root, SemaWaiter& me, rt::GQueue& ready) {
  auto* at = static_cast<rt::int64*>(me.arg);
  root.remove(me);
  admit(root, at, word(*at).load(Order::relaxed) >> 1, ready);
}

// Takes n or sets the queue bit. Requires: the root's lock.
bool takeOrQueue(rt::Atomic<rt::int64>& state, rt::int64 n) {
  rt::int64 s = state.load(Order::relaxed);
  for (;;) {
    if ((s & kQueue) != 0) return false;
    if ((s >> 1) >= n) {
      if (state.compareExchange(s, s - (n << 1), Order::acquire)) return true;
    } else if (state.compareExchange(s, s | kQueue, Order::relaxed)) {
      return false;
    }
  }
}

}  // namespace

bool semaphore::acquire_slow(std::int64_t n, const patience& p) {
  rt::Entry e;
  if (n < 0) rt::panicString("semaphore: acquire of a negative amount");
  if (detail::is_over(p)) return false;
  SemaWaiter w;
  w.g = rt::getg();
  w.aux = n;
  w.arg = &state_;
  const bool possible = n <= size_;
  // Too much for ever: wait aside, so as not to stand in the way of others.
  const void* at = possible ? static_cast<const void*>(&state_) : &w;
  if (possible) w.leave = leaveSemaphore;
  detail::bounded_wait limit(w, at, p);
  SemaRoot& root = rt::semrootOf(at);
  rt::lock(root.lock);
  if (w.wantAbort || (possible && takeOrQueue(word(state_), n))) {
    rt::unlock(root.lock);
    return !w.wantAbort;
  }
  root.push(w, false);
  root.park(w, rt::WaitReason::semaphoreAcquire);
  return !w.aborted;
}

void semaphore::release_slow(std::int64_t n) {
  rt::Entry e;
  auto& state = word(state_);
  SemaRoot& root = rt::semrootOf(&state_);
  rt::GQueue ready;
  rt::lock(root.lock);
  rt::int64 s = state.load(Order::relaxed);
  for (;;) {
    if (n < 0 || n > size_ - (s >> 1)) {
      rt::unlock(root.lock);
      rt::panicString("semaphore: released more than held");
    }
    if ((s & kQueue) != 0) {
      admit(root, &state_, (s >> 1) + n, ready);
      break;
    }
    if (state.compareExchange(s, s + (n << 1), Order::release)) break;
  }
  rt::unlock(root.lock);
  rt::readyAll(ready);
}

}  // namespace GORT_ABI
}  // namespace gort

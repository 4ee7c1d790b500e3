// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/sync.hpp: rw_mutex.      (Go: sync/rwmutex.go)
//
//   state   bit 0 written | bit 1 queue: somebody waits | readers << 2
//
//            lock_shared: readers + 1, if neither bit is set            lock: 0 -> written
//            unlock_shared: readers - 1; the last one, with a queue, lets the first writer in
//            unlock with a queue: all waiting readers enter; if there are none, the first writer is woken
//
// Fairness:   a queue keeps new readers out, so a writer waits for the readers before it only; when it
//             leaves, the readers that came meanwhile enter together before the next writer. Between writers,
//             who is running may overtake the one that was woken; after 1 ms of waiting a writer is handed
//             the lock instead.
// Ownership:  readers wait at the address of state_, writers at the word beside it; both in the same root.
//             While the queue bit is set, only the holder of the root's lock changes the word, except that
//             readers leave.
// No access after publish: the last reader decides under the root's lock, after it has left: it looks at the
// object again
//             only if somebody waits there, and who waits keeps the object.
// Rejected:   Go's reader count with a bias: a writer that gives up waiting cannot tell the readers it waits
//             for from those that wait for it.
#include "api/wait_internal.hpp"
#include "lang/panic.hpp"

namespace gort {
inline namespace GORT_ABI {

using detail::patience;
using detail::word;
using rt::Order;
using rt::SemaRoot;
using rt::SemaWaiter;

namespace {

constexpr rt::uint32 kWriter = 1, kQueue = 2, kReader = 4;
constexpr rt::int64 kStarvationNs = 1000000;

// Lot is the waiting side of one rw_mutex, under its root's lock.
struct Lot {
  SemaRoot& root;
  rt::Atomic<rt::uint32>& state;
  const void* readers;
  const void* writers;

  explicit Lot(rt::uint32* st) : root(rt::semrootOf(st)), state(word(*st)), readers(st), writers(st + 1) {}
  SemaWaiter* writer() const { return root.front(writers); }
  bool anybody() const { return root.front(readers) != nullptr || writer() != nullptr; }

  void wake(SemaWaiter& w, bool granted, rt::GQueue& ready) {
    root.remove(w);
    w.granted = granted;
    ready.push(w.g);
  }
  rt::uint32 wakeReaders(rt::GQueue& ready) {
    rt::uint32 n = 0;
    for (; SemaWaiter* w = root.front(readers); ++n) wake(*w, true, ready);
    return n;
  }
  // change replaces the word, but keeps the readers that leave meanwhile apart: f maps old to new.
  template <class F>
  void change(F f, Order order) {
    rt::uint32 s = state.load(Order::relaxed);
    while (!state.compareExchange(s, f(s), order)) {
    }
  }
  rt::uint32 queueBit() const { return anybody() ? kQueue : 0; }
};

// The writer leaves: all readers enter, else a writer is handed the lock or woken to try.
void passOn(Lot& lot, rt::GQueue& ready) {
  if (const rt::uint32 n = lot.wakeReaders(ready); n != 0) {
    lot.state.store(n * kReader | lot.queueBit(), Order::release);
    return;
  }
  SemaWaiter* w = lot.writer();
  const bool starving = w != nullptr && rt::nanotime() - w->aux > kStarvationNs;
  if (w != nullptr) lot.wake(*w, starving, ready);
  lot.state.store((starving ? kWriter : 0) | lot.queueBit(), Order::release);
}

// Nobody holds the lock for writing; lets in who may enter now that something has changed. Requires: the
// queue bit set.
void admit(Lot& lot, rt::GQueue& ready) {
  const rt::uint32 s = lot.state.load(Order::relaxed);
  if ((s & kWriter) != 0) return;
  if (lot.writer() == nullptr) {  // only readers wait: they and those inside get on
    const rt::uint32 n = lot.wakeReaders(ready);
    lot.change([n](rt::uint32 old) { return (old & ~kQueue) + n * kReader; }, Order::acqRel);
    return;
  }
  if (s >= kReader) return;  // the last reader will come by
  lot.wake(*lot.writer(), true, ready);
  lot.state.store(kWriter | lot.queueBit(), Order::release);
}

// One that waited gives up.
void leave(SemaRoot& root, SemaWaiter& me, rt::GQueue& ready) {
  Lot lot(static_cast<rt::uint32*>(me.arg));
  root.remove(me);
  if (lot.anybody()) return admit(lot, ready);
  lot.change([](rt::uint32 s) { return s & ~kQueue; }, Order::relaxed);
}

// Takes the lock or announces a waiter. Requires: the root's lock.
bool takeOrQueue(Lot& lot, bool shared) {
  rt::uint32 s = lot.state.load(Order::relaxed);
  for (;;) {
    const bool free = shared ? (s & kWriter) == 0 && lot.writer() == nullptr : (s & ~kQueue) == 0;
    const rt::uint32 next = !free ? s | kQueue : shared ? s + kReader : s | kWriter;
    if (lot.state.compareExchange(s, next, Order::acquire)) return free;
  }
}

bool lockSlow(rt::uint32* state, bool shared, const patience& p) {
  rt::Entry e;
  if (detail::is_over(p)) return false;
  Lot lot(state);
  SemaWaiter w;
  w.g = rt::getg();
  w.arg = state;
  w.aux = rt::nanotime();
  w.leave = leave;
  detail::bounded_wait limit(w, shared ? lot.readers : lot.writers, p);
  for (bool first = true;; first = false) {
    rt::lock(lot.root.lock);
    if (takeOrQueue(lot, shared)) {
      rt::unlock(lot.root.lock);
      return true;
    }
    if (w.wantAbort) {
      if (!lot.anybody()) lot.change([](rt::uint32 s) { return s & ~kQueue; }, Order::relaxed);
      rt::unlock(lot.root.lock);
      return false;
    }
    lot.root.push(w, !first);  // who was woken in vain goes to the front again
    lot.root.park(w, shared ? rt::WaitReason::syncRWMutexRLock : rt::WaitReason::syncRWMutexLock);
    if (w.aborted) return false;
    if (w.granted) return true;
  }
}

}  // namespace

bool rw_mutex::lock_slow(const patience& p) { return lockSlow(&state_, false, p); }
bool rw_mutex::lock_shared_slow(const patience& p) { return lockSlow(&state_, true, p); }

void rw_mutex::unlock_slow() {
  rt::Entry e;
  if ((word(state_).load(Order::relaxed) & kWriter) == 0) rt::panicString("sync: Unlock of unlocked RWMutex");
  Lot lot(&state_);
  rt::GQueue ready;
  rt::lock(lot.root.lock);
  passOn(lot, ready);
  rt::unlock(lot.root.lock);
  rt::readyAll(ready);
}

// s: the word before this reader left.
void rw_mutex::unlock_shared_slow(std::uint32_t s) {
  rt::Entry e;
  if (s < kReader) {
    word(state_).fetchAdd(kReader, Order::relaxed);
    rt::panicString("sync: RUnlock of unlocked RWMutex");
  }
  if (s >= 2 * kReader) return;  // not the last
  Lot lot(&state_);
  rt::GQueue ready;
  rt::lock(lot.root.lock);
  if (lot.anybody()) admit(lot, ready);  // else whoever waited has been served, and *this may be gone
  rt::unlock(lot.root.lock);
  rt::readyAll(ready);
}

}  // namespace GORT_ABI
}  // namespace gort

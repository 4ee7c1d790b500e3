// SPDX-License-Identifier: Apache-2.0
// Operations on regular files through io_uring, where the kernel lets us.                                    (ours)
//
// One ring for the process, set up at the first use; ENOSYS, EPERM (a filter, a sysctl) and a kernel that lacks what we need
// all mean "none", once and for all: the callers then hand a thread off. An operation is an entry, an `io_uring_enter` that
// does not wait, and a park in a semaphore of its own; the collector, a goroutine of the runtime, waits for the ring's
// descriptor in the netpoller and wakes them.
// Bounds:     no more operations are in the ring than its queue of completions has places (kMost), those of earlier runs
//             counted: nothing overflows. The turns of by_turns() let kHandOff of each run come; who finds it full
//             uses a thread.
// Idleness:   the collector waits in the netpoller only while operations are under way (inflight > 0), else in a semaphore:
//             a program whose goroutines are all stuck is still seen to be deadlocked.
// Ownership:  an operation's record lies on the stack of its waiter, whom the collector wakes last. The waiter may be left
//             behind by its run(); then the operation outlives it. Its record stays where it is, as stacks of goroutines
//             left behind are never used again; a collector of a later run takes the completion, sees whose it was and
//             touches nothing. The buffer is the user's: he must not end its life before the call returns, and it never
//             does. Foreign threads do not come here: they outlive a run() that no collector does, and have a thread
//             to wait.
// Epochs:     session is what the goroutines of one run share; its collector ends with that run. submitMu is the session's,
//             since its holder may be left behind with it. Both ends of the ring also have a lock of their own, contended
//             only by a goroutine of a run that ended while it was running (the world did not stop in time).
#include "api/os_uring.hpp"

#include <utility>

#include "api/os_file.hpp"
#include "api/per_run.hpp"
#include "os/uring_raw.hpp"
#include "sched/netpoll.hpp"
#include "sched/proc.hpp"
#include "sched/runtime1.hpp"
#include "sched/sema.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace os {
namespace detail {

namespace {

constexpr rt::uint32 kMost = 2 * kHandOff;  // the kernel makes the second queue twice as long as the first

struct session {
  mutex submitMu;
  rt::PollDesc* pd = nullptr;  // by submitMu until the collector starts, then constant
  rt::Atomic<rt::uint32> inflight{0}, work{0};
};

struct {
  rt::Mutex submitting, taking;
  rt::os::Uring u;             // set by submitting; its two ends by their locks
  bool tried = false;          // by submitting
  rt::PollDesc* pd = nullptr;  // the one registration of the ring, by whoever is pinned in begin()
  rt::Atomic<rt::uint32> inside{0};
  rt::Atomic<rt::uint64> done{0};
} constinit ring;

constinit gort::detail::per_run<session> sessions;

struct operation {
  session* of;
  rt::Atomic<rt::uint32> ready{0};
  long result = 0;
};

operation* take(rt::int32* result) {
  void* user = nullptr;
  const rt::LockGuard l(ring.taking);
  if (!rt::os::uringTake(ring.u, &user, result)) return nullptr;
  ring.inside.fetchSub(1, rt::Order::relaxed);
  return static_cast<operation*>(user);
}

void collect(void* arg) {
  const rt::Entry inside;  // what it does needs the P: no preemption but at its waits
  session& s = **static_cast<session**>(arg);
  for (;;) {
    rt::semacquire(&s.work);
    while (s.inflight.load() != 0) {
      rt::pollReset(s.pd, rt::PollMode::read);
      bool any = false;
      rt::int32 result = 0;
      while (operation* op = take(&result)) {
        any = true;
        if (op->of != &s) continue;  // of a run that is over: nobody waits for it any more
        op->result = result;
        s.inflight.fetchSub(1);
        rt::semrelease(&op->ready);
      }
      if (!any) rt::pollWait(s.pd, rt::PollMode::read);
    }
  }
}

bool opened() {
  const rt::LockGuard l(ring.submitting);
  if (!ring.tried) {
    ring.tried = true;
    (void)rt::os::uringOpen(ring.u, kHandOff);
  }
  return ring.u.fd >= 0;
}

// begin gives s the registration and a collector. False: no ring.   Requires: s.submitMu.
bool begin(session& s) {
  if (!opened()) return false;
  rt::M* mp = rt::acquirem();  // a run that ends here must not leave a registration that nobody knows of
  if (rt::PollDesc* old = std::exchange(ring.pd, nullptr);
      old != nullptr) {  // its collector gets no P any more
    rt::pollUnblock(old);
    rt::pollClose(old);
  }
  if (rt::pollOpen(ring.u.fd, &s.pd) < 0) s.pd = nullptr;
  ring.pd = s.pd;
  rt::releasem(mp);
  if (s.pd == nullptr) return false;
  rt::NewprocOptions o;
  o.systemGoroutine = true;
  o.name = "io_uring";
  o.startpc = reinterpret_cast<rt::uintptr>(&collect);
  const rt::NewG n = rt::newprocBegin(o, sizeof(session*), alignof(session*));
  *static_cast<session**>(n.closure) = &s;
  rt::newprocStart(n.g, collect, n.closure);
  return true;
}

bool submit(session& s, const rt::os::UringEntry& e) {
  const std::lock_guard turn(s.submitMu);
  if (s.pd == nullptr && !begin(s)) return false;
  if (ring.inside.fetchAdd(1, rt::Order::relaxed) >= kMost) {
    ring.inside.fetchSub(1, rt::Order::relaxed);
    return false;
  }
  const bool first = s.inflight.fetchAdd(1) == 0;
  rt::lock(ring.submitting);
  const bool given = rt::os::uringSubmit(ring.u, e) == 0;
  rt::unlock(ring.submitting);
  if (!given) {
    s.inflight.fetchSub(1);
    ring.inside.fetchSub(1, rt::Order::relaxed);
  } else if (first) {
    rt::semrelease(&s.work);
  }
  return given;
}

}  // namespace

int ring_mode() { return rt::simMode ? 0 : rt::loadRelaxed(&rt::debug.iouring); }
rt::uint64 ring_operations() { return ring.done.load(rt::Order::relaxed); }

bool through_ring(rt::os::UringEntry e, long* result) {
  const rt::Entry entry;
  if (rt::getg()->foreign) return false;
  operation op{};
  op.of = &sessions.mine([] { return session{}; });
  e.user = &op;
  if (!submit(*op.of, e)) return false;
  rt::semacquire1(&op.ready, {.reason = rt::WaitReason::ioWait});
  ring.done.fetchAdd(1, rt::Order::relaxed);
  *result = op.result;
  return true;
}

}  // namespace detail
}  // namespace os
}  // namespace GORT_ABI
}  // namespace gort

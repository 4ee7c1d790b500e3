// SPDX-License-Identifier: Apache-2.0
// Operations on regular files through io_uring, where the kernel lets us.                                    (ours)
//
// One ring for the process, set up at the first use; ENOSYS, EPERM (a filter, a sysctl) and a kernel that lacks what we need
// all mean "none", once and for all: the callers then hand a thread off. An operation is an entry, an `io_uring_enter` that
// does not wait, and a park in a semaphore of its own; the collector, a goroutine of the runtime, waits for the ring's
// descriptor in the netpoller and wakes them.
// Bounds:     at most kHandOff operations at once (the turns of apart()), so neither queue can overflow.
// Idleness:   the collector waits in the netpoller only while operations are under way (inflight > 0), else in a semaphore:
//             a program whose goroutines are all stuck is still seen to be deadlocked.
// Ownership:  submission by submitMu; completions by the collector; an operation's record by its waiter, whom the collector
//             wakes last. A run() that ends abandons waiters with their stacks, which stay: the kernel may still write.
// Epochs:     the collector ends with its run(); the next use starts another, with a registration of its own.
#include "api/os_uring.hpp"

#include "api/os_file.hpp"
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

// session is what a collector and the operations of one run share. Never freed: an abandoned collector stays queued in it.
struct session {
  rt::uint32 epoch;
  rt::PollDesc* pd = nullptr;
  rt::Atomic<rt::uint32> inflight{0}, work{0};
};

struct {
  mutex submitMu;
  rt::os::Uring u;  // by submitMu until ready; then see above
  bool tried = false;
  session* now = nullptr;  // by submitMu
  rt::Atomic<rt::uint64> done{0};
} constinit ring;

struct operation {
  session* of;
  rt::Atomic<rt::uint32> ready{0};
  long result = 0;
};

void collect(void* arg) {
  session& s = **static_cast<session**>(arg);
  for (;;) {
    rt::semacquire(&s.work);
    while (s.inflight.load() != 0) {
      rt::pollReset(s.pd, rt::PollMode::read);
      bool any = false;
      void* user = nullptr;
      rt::int32 result = 0;
      while (rt::os::uringTake(ring.u, &user, &result)) {
        any = true;
        auto* op = static_cast<operation*>(user);
        if (op->of != &s) continue;  // of a run that is over: nobody waits for it any more
        op->result = result;
        s.inflight.fetchSub(1);
        rt::semrelease(&op->ready);
      }
      if (!any) rt::pollWait(s.pd, rt::PollMode::read);
    }
  }
}

// current sets up what is missing: the ring, the registration, the collector. nullptr: no ring.   Requires: submitMu.
session* current() {
  if (!ring.tried) {
    ring.tried = true;
    (void)rt::os::uringOpen(ring.u, kHandOff);
  }
  if (ring.u.fd < 0) return nullptr;
  const rt::uint32 epoch = rt::sched.epoch.load();
  if (ring.now != nullptr && ring.now->epoch == epoch) return ring.now;
  if (ring.now != nullptr && ring.now->pd != nullptr) {  // its collector gets no P any more
    rt::pollUnblock(ring.now->pd);
    rt::pollClose(ring.now->pd);
    ring.now->pd = nullptr;
  }
  auto* s = new session{epoch, nullptr, {}, {}};
  if (rt::pollOpen(ring.u.fd, &s->pd) < 0) {
    delete s;
    return nullptr;
  }
  ring.now = s;
  rt::NewprocOptions o;
  o.systemGoroutine = true;
  o.name = "io_uring";
  o.startpc = reinterpret_cast<rt::uintptr>(&collect);
  const rt::NewG n = rt::newprocBegin(o, sizeof s, alignof(session*));
  *static_cast<session**>(n.closure) = s;
  rt::newprocStart(n.g, collect, n.closure);
  return s;
}

}  // namespace

int ring_mode() { return rt::simMode ? 0 : rt::loadRelaxed(&rt::debug.iouring); }
rt::uint64 ring_operations() { return ring.done.load(rt::Order::relaxed); }

bool through_ring(rt::os::UringEntry e, long* result) {
  const rt::Entry entry;
  operation op{};
  e.user = &op;
  {
    const std::lock_guard l(ring.submitMu);
    session* s = current();
    if (s == nullptr) return false;
    op.of = s;
    const bool first = s->inflight.fetchAdd(1) == 0;
    if (rt::os::uringSubmit(ring.u, e) != 0) {
      s->inflight.fetchSub(1);
      return false;
    }
    if (first) rt::semrelease(&s->work);
  }
  rt::semacquire1(&op.ready, {.reason = rt::WaitReason::ioWait});
  ring.done.fetchAdd(1, rt::Order::relaxed);
  *result = op.result;
  return true;
}

}  // namespace detail
}  // namespace os
}  // namespace GORT_ABI
}  // namespace gort

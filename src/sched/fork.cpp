// SPDX-License-Identifier: Apache-2.0
// The child of a fork has one thread and a copy of a scheduler whose other threads are gone: it may exec or _exit.   (ours)
//
// A park in the child would wait for Ms that do not exist, a lock may be held by one of them for ever. So the first use is a
// clear fatal error. Nothing on a hot path asks: the handler that libc runs in the child raises what the hot paths look at
// anyway, gcwaiting (every switch leaves the fast path, into gcstopm) and mainStarted (newproc tests it), and where these
// lead, and wherever a thread is started or waited for, notInForkedChild() stands before the first lock.
// Not seen: a fork by a bare system call. vfork and posix_spawn share our memory and run no handler: nothing changes.
// Rejected: a MADV_WIPEONFORK word: it sees bare system calls too, but each look at it costs, and the hot paths have none.
#include "os/thread.hpp"
#include "sched/proc_internal.hpp"

namespace gort::rt {

constinit Atomic<bool> forkedChild{false};

namespace {

void inChild() {
  forkedChild.store(true, Order::relaxed);
  sched.gcwaiting.store(true, Order::relaxed);
  mainStarted.store(false, Order::relaxed);
  // The monitor of the parent may just have asked us to yield: the child is not to die for that.
  if (G* gp = getg(); gp != nullptr) storeRelaxed(&gp->stackguard0, gp->stack.lo);
}

}  // namespace

void usedInForkedChild() { fatal("gort: used in the child of a fork"); }

void watchForks() {
  if (os::atForkInChild(inChild) != 0) fatal("out of memory: pthread_atfork");
}

}  // namespace gort::rt

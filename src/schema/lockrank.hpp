// SPDX-License-Identifier: Apache-2.0
// Ranks of the runtime's locks. A thread may only take a lock whose rank is greater than that of every lock it holds;
// docs/locks.dag is the partial order behind the numbers (tools/locks checks that the two agree); debug builds check each
// lock() (lock/lockrank.cpp).      (Go: lockrank.go)
#pragma once
#include "base/types.hpp"

namespace gort::rt {

enum class LockRank : uint8 {
  unranked,  // leaf test locks; never nested
  sysmon,
  sudogSema,  // a root of the parking lot (semaphores, notify lists, rw_mutex)
  timerUser,  // a public timer: held while its channel is drained and its Timer armed
  hchan,      // several at once: in address order (select)
  context,
  pollDesc,   // deadlines and closing of one file; held while its timers are armed and its waiters readied
  pollFiles,  // who waits for files of others, by number; held while the kernel is told
  timers,
  sched,
  allg,
  gFree,
  stackpool,
  pollCache,  // free poll descriptors
  persistent,
};

}  // namespace gort::rt

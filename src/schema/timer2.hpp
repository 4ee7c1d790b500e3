// SPDX-License-Identifier: Apache-2.0
// Timer and the heap of timers of one P: data only; behaviour and the essay are in sched/time.cpp.     (Go:
// time.go)
#pragma once
#include "base/atomic.hpp"
#include "base/types.hpp"
#include "schema/mutex.hpp"

namespace gort::rt {

struct Timers;

using TimerFunc = void (*)(void* arg, uint64 seq, int64 delta);

// Timer calls f(arg, seq, delta) at `when`; delta: how late it is, ns. It may live anywhere (a goroutine's
// stack, an object) and must be stopped before it goes away, even after it fired. f runs on the M that found
// it due, on g0, and must not park. Calls about one Timer are serialised by its owner; different Timers are
// independent.
struct Timer {
  // immutable while armed
  TimerFunc f = nullptr;
  void* arg = nullptr;
  uint64 seq = 0;
  int64 slackNs = 0;  // > 0: `when` is rounded up to a multiple; 0: the process default; < 0: precise
  // by ts->mu while armed
  int64 when = 0;  // ns, monotonic (virtual under sim); the heap's key may be earlier (lazy modify)
  int64 period = 0;
  uint32 heapIndex = 0;
  Atomic<uint32> running{0};    // f runs right now
  Atomic<Timers*> ts{nullptr};  // the heap it is in; changes under the lock of that heap only
};

// TimerEntry is one slot of a heap: a Timer, or a sleeping G (low bit set), which needs no Timer at all.
struct TimerEntry {
  uintptr what;
  int64 when;
};

struct Timers {
  Mutex mu{LockRank::timers};
  TimerEntry* heap = nullptr;  // 4-ary heap, by mu
  uint32 n = 0, cap = 0;       // by mu
  Atomic<uint32> len{0};       // n, for unlocked looks
  Atomic<int64> minWhen{0};    // heap[0].when, 0: empty; written with mu held, read by anyone
};

}  // namespace gort::rt

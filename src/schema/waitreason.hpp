// SPDX-License-Identifier: Apache-2.0
// Why a goroutine waits; the texts are Go's and appear in dumps.     (Go: runtime2.go, waitReasonStrings)
#pragma once
#include "base/types.hpp"

namespace gort::rt {

#define GORT_WAIT_REASONS(X)                       \
  X(zero, "")                                      \
  X(ioWait, "IO wait")                             \
  X(chanReceiveNilChan, "chan receive (nil chan)") \
  X(chanSendNilChan, "chan send (nil chan)")       \
  X(panicWait, "panicwait")                        \
  X(select, "select")                              \
  X(selectNoCases, "select (no cases)")            \
  X(chanReceive, "chan receive")                   \
  X(chanSend, "chan send")                         \
  X(semacquire, "semacquire")                      \
  X(sleep, "sleep")                                \
  X(syncCondWait, "sync.Cond.Wait")                \
  X(syncMutexLock, "sync.Mutex.Lock")              \
  X(syncRWMutexRLock, "sync.RWMutex.RLock")        \
  X(syncRWMutexLock, "sync.RWMutex.Lock")          \
  X(syncWaitGroupWait, "sync.WaitGroup.Wait")      \
  X(waitGroupDestructor, "wait_group destructor")  \
  X(taskJoin, "task join")                         \
  X(semaphoreAcquire, "semaphore acquire")         \
  X(errgroupWait, "errgroup wait")                 \
  X(contextWait, "context wait")                   \
  X(preempted, "preempted")                        \
  X(stoppingTheWorld, "stopping the world")        \
  X(synctestRun, "synctest.Run")                   \
  X(synctestWait, "synctest.Wait")                 \
  X(signalWait, "signal wait")                     \
  X(lockedThread, "locked to thread")

enum class WaitReason : uint8 {
#define X(name, text) name,
  GORT_WAIT_REASONS(X)
#undef X
};

inline const char* waitReasonString(WaitReason w) {
  static constexpr const char* kText[] = {
#define X(name, text) text,
      GORT_WAIT_REASONS(X)
#undef X
  };
  const auto i = static_cast<unsigned>(w);
  return i < sizeof kText / sizeof kText[0] ? kText[i] : "unknown wait reason";
}

}  // namespace gort::rt

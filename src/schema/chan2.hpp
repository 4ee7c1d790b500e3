// SPDX-License-Identifier: Apache-2.0
// Hchan and SelectCase: a channel and one case of a select, as data.     (Go: chan.go hchan, select.go scase)
// Behaviour in lang/chan.cpp and lang/select.cpp.
//
// Hchan is one block: this header, then the ring. The api floor allocates it, counts the handles and frees
// it; the core only initialises it. The first cache line holds what operations write, the second what they
// only read (and the count of handles), so that two Ps that use one channel exchange one line.
//
// Protected by `lock`: everything in the first line. The atomics among it are written under the lock and also
// read without it, by the checks described in Note [Looking without the lock] in lang/chan.hpp.
#pragma once
#include "schema/runtime2.hpp"

namespace gort::rt {

// ElemOps says how values of one C++ type move; nullptr in Hchan: trivially copyable, memcpy does it.
// The two moves return false when the type's move constructor threw: then the value is still at src, dst is
// as before, and the exception is stored in *exc (the api floor's std::exception_ptr); exc == nullptr drops
// it. They run under the channel's lock. Layout known to include/gort/chan.hpp (detail::elem_ops).
struct ElemOps {
  bool (*moveIn)(void* slot, void* src, void* exc);     // constructs a T at slot (uninitialised memory)
  bool (*deliver)(void* result, void* src, void* exc);  // result: std::optional<T>*, becomes engaged
  void (*destroy)(void* slot);
};

// WaitQ is a list of waiting sudogs, oldest first. `first` is read without the lock.
struct WaitQ {
  Atomic<Sudog*> first{nullptr};
  Sudog* last = nullptr;
};

struct alignas(kCacheLineSize) Hchan {
  // by lock
  Mutex lock{LockRank::hchan};
  Atomic<uint32> closed{0};
  Atomic<uint32> version{0};  // +1 before every change under the lock
  Atomic<uint32> qcount{0};   // values in the ring
  uint32 sendx = 0;           // ring index of the next send
  uint32 recvx = 0;           // ring index of the next receive
  WaitQ recvq;                // blocked receivers
  WaitQ sendq;                // blocked senders
  // immutable
  alignas(kCacheLineSize) void* buf = nullptr;
  uint32 dataqsiz = 0;  // capacity of the ring; 0: unbuffered
  uint32 elemsize = 0;  // bytes
  const ElemOps* ops = nullptr;
  // atomic: handles; the api floor's
  Atomic<uint64> refcount{1};
  GORT_NOTINHEAP
};
static_assert(kDebug || sizeof(Hchan) == 2 * kCacheLineSize,
              "one line for what changes, one for what does not");

inline constexpr uint32 kMaxChanCap = 0xfffffffe;  // ring indices are 32 bits

enum class CaseKind : uint8 { recv, send, timer, def };

// What became of a case in the select that has just returned.
enum class CaseState : uint8 { idle, done, closed };

// SelectCase: one case of a select; it is its own wait node and its own slot in the lock order. Lives in a
// case object of the caller, which is parked while others can see it. Owner: the selecting goroutine, except
// `sg`, which is protected by the channel's lock. Layout known to include/gort/select.hpp
// (detail::case_node).
struct SelectCase {
  Hchan* c;                      // nullptr: nil channel, never ready
  void* external;                // address of the value, or nullptr: at this + elemOffset
  void (*prepare)(SelectCase*);  // the api floor's: empties the case's result before the select
  SelectCase* listNext;          // all cases, in argument order
  SelectCase* lockNext;          // cases with a channel, in lock order
  int64 when;                    // timer: ns from now (relative) or on the clock
  int32 elemOffset;
  uint32 arg;  // argument position of select()
  uint32 tie;  // random order among cases of one channel
  CaseKind kind;
  bool enabled;
  bool relative;
  CaseState state;
  Sudog sg;

  void* elem() { return external != nullptr ? external : reinterpret_cast<uint8*>(this) + elemOffset; }
};
static_assert(sizeof(SelectCase) == 64 + sizeof(Sudog));

}  // namespace gort::rt

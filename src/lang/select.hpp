// SPDX-License-Identifier: Apache-2.0
// select over case objects, and single operations with a deadline or a cancel channel.   (Go: select.go;
// essay there)
#pragma once
#include "lang/chan.hpp"

namespace gort::rt {

// selectgo waits until a case of `list` (linked by listNext) can go ahead and does it; uniform choice among
// several. Returns that case, its `state` set (all others idle); nullptr: a move constructor threw into *exc.
// Panics when the chosen case sends on a closed channel. Without a case that can ever fire it waits forever.
// A default_case makes it return at once; of several timer cases the earliest counts.
// Requires: each case once in the list, its state idle. `reason` is what dumps say of the waiting goroutine.
// Runs on: a goroutine's stack inside the runtime.   May: park.
GORT_NOSPLIT SelectCase* selectgo(SelectCase* list, WaitReason reason, void* exc);

// block waits forever: select without cases.
[[noreturn]] void block();

enum class UntilResult : uint8 {
  ok,
  closed,
  timeout = 3,
  canceled,
  threw
};  // as chan_status of the api floor

inline constexpr int64 kForever = INT64_MAX;

// One operation, and what ends the wait for it.
struct UntilOp {
  Hchan* c;
  CaseKind kind;  // recv or send
  void* elem;     // as for chansend and chanrecv
  int64 until;    // ns on the runtime's clock; kForever
  Hchan* cancel;  // a channel of unit whose closing cancels; nullptr: none
};
UntilResult chanUntil(const UntilOp& op, void* exc);

}  // namespace gort::rt

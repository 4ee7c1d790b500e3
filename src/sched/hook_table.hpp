// SPDX-License-Identifier: Apache-2.0
// What the runtime offers to libgort_hook.so (src/hook). The two are linked apart: the runtime may be inside of the program,
// with all its names hidden, and the hook library may be preloaded. So they meet at boot: the hook library carries an ELF
// note that says where its slot is, and the boot, which lists the notes of all loaded objects anyway (copies.cpp), puts the
// address of this table there. An empty slot means that no Gort runs, and every hooked call is libc's.
#pragma once
#include "sched/netpoll_file.hpp"
#include "schema/waitreason.hpp"

namespace gort::rt {

// The note: name "GortHook", type kHookVersion, contents: an int64, from itself to the slot.
inline constexpr char kHookNote[] = "GortHook";
#define GORT_HOOK_VERSION \
  1  // raised with every change of HookTable: the two libraries must be of one version

enum class LotResult : uint8 { woken, refused, timeout };

struct HookTable {
  // canPark: the caller is a goroutine, on its own stack, that runs with a P and holds no lock of the runtime.
  bool (*canPark)();
  // goid: the goroutine that the caller is, wherever it stands; 0: a thread that is not ours, g0, a signal's stack.
  uint64 (*goid)();
  int (*tid)();  // of the calling thread, which is one of ours
  int64 (*nanotime)();

  // Requires (all below up to leaveSyscall): canPark.
  void (*sleepUntil)(int64 when);
  int32 (*waitFiles)(FileWait* files, int32 n, int64 until);
  // lotPark waits at addr for lotUnpark. still(arg) is asked under the lot's lock: false: do not wait.
  LotResult (*lotPark)(const void* addr, bool (*still)(void*), void* arg, int64 until, WaitReason reason);
  void (*pin)();    // the goroutine keeps its thread
  void (*unpin)();  // as often as pin
  // enterSyscall: from here to leaveSyscall the thread may block; atOnce: the P is given away now, else it stays in reach.
  // False: it has no P; no leaveSyscall then.
  bool (*enterSyscall)(bool atOnce);

  void (*leaveSyscall)();
  // Any thread, also one that Gort has never seen: it becomes known.
  void (*filesClosed)(int fd);
  void (*lotUnpark)(const void* addr, bool all);
};

// offerToHook fills the slot, whose note contents lie at `desc`; false: another version.
bool offerToHook(uint32 version, const void* desc);

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// gort_debug_descriptor: one exported table from which debuggers, core readers and out-of-process profilers find every
// goroutine without debug information: addresses of the roots and offsets of the fields. tools/gdb/gort.py reads it.
// The layout of the table is stable: new fields go to the end and raise `size`; `version` changes when a meaning does.
#include <cstddef>

#include "arch/asm.hpp"
#include "sched/proc_internal.hpp"

namespace gort::rt {

extern Atomic<G**> allgDir[];
extern Atomic<uint64> allglen;

struct DebugDescriptor {
  char magic[8];
  uint32 version, size;
  const void* allgDir;  // array of pointers to chunks of pointers to G
  const void* allglen;  // number of Gs
  uint64 allgChunk;     // Gs per chunk
  const void* epoch;    // uint32: goroutines with another epoch are abandoned
  const char* const* waitReasons;
  uint32 waitReasonCount;
  // offsets in G
  uint32 stackLo, stackHi, schedSp, schedPc, status, waitreason, goid, name, m, epochOfG, startpc, whereFile,
      whereLine, parentGoid, bits;
  // of the frame at sched.sp: see SwitchFrame; the stack pointer after the switch is sched.sp + frameBytes
  uint32 frameRbp, framePc, frameBytes;
  uint32 mId;  // offset in M
};

namespace {
constexpr const char* kWaitReasons[] = {
#define X(name, text) text,
    GORT_WAIT_REASONS(X)
#undef X
};

}  // namespace

extern "C" {
__attribute__((visibility("default"))) extern const DebugDescriptor gort_debug_descriptor;
[[gnu::used]] const DebugDescriptor gort_debug_descriptor = {
    {'g', 'o', 'r', 't', 'd', 'b', 'g', 0},
    1,
    sizeof(DebugDescriptor),
    allgDir,
    &allglen,
    kAllgChunk,
    &sched.epoch,
    kWaitReasons,
    sizeof kWaitReasons / sizeof kWaitReasons[0],
    offsetof(G, stack.lo),
    offsetof(G, stack.hi),
    offsetof(G, sched.sp),
    offsetof(G, sched.pc),
    offsetof(G, atomicstatus),
    offsetof(G, waitreason),
    offsetof(G, goid),
    offsetof(G, name),
    offsetof(G, m),
    offsetof(G, epoch),
    offsetof(G, startpc),
    offsetof(G, where.file),
    offsetof(G, where.line),
    offsetof(G, parentGoid),
    offsetof(G, inside) + 1,  // the bits; systemGoroutine is the lowest
    offsetof(SwitchFrame, rbp),
    offsetof(SwitchFrame, pc),
    sizeof(SwitchFrame) + kRedZone,
    offsetof(M, id),
};
}

}  // namespace gort::rt

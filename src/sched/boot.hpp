// SPDX-License-Identifier: Apache-2.0
// Start and end of the runtime.       (Go: rt0, schedinit, main in proc.go)
#pragma once
#include "sched/signal_unix.hpp"

namespace gort::rt {

struct RunConfig {
  int32 maxProcs = 0;                        // 0: GOMAXPROCS or the machine's
  std::size_t stack = 0;                     // default stack of goroutines, bytes; 0: 256 KiB
  CrashSignals signals = CrashSignals::all;  // crash handlers (run only)
  const char* godebug = "";                  // more GODEBUG settings; win over the environment
  std::size_t godebugLen = 0;
};

// configure remembers settings for the boot that comes; false: it has happened.
bool bootConfigure(const RunConfig& c);
// runMain boots if needed, makes the calling thread m0 and runs fn(arg) as the main goroutine; returns after it ended.
// *code is read when the process must be ended because m0 is stuck in native code.
// Not inside a goroutine (the caller checks).   Returns false: another thread is in runMain.
bool runMain(const RunConfig& c, void (*fn)(void*), void* arg, const int* code);
// bootLibrary boots on first use from a foreign thread.
void bootLibrary();
bool isBooted();
bool inRun();
// shutdownWait waits at most ns for all user goroutines to end; returns how many are left. Foreign threads only.
uint64 shutdownWait(int64 ns);

// detachThread gives up the calling foreign thread's M, if it has one.
void detachThread();

}  // namespace gort::rt

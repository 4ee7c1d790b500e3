// SPDX-License-Identifier: Apache-2.0
// Crash signals.      (Go: signal_unix.go, signal_amd64.go)
// Under run() the fault signals and SIGQUIT are Gort's: they print what happened and the goroutines' stacks.
// A fault is not turned into a panic: the signal then takes its own course, so that a core file shows the
// place. As a library in somebody else's program Gort leaves them all alone.
#pragma once
#include "schema/runtime2.hpp"

namespace gort::rt {

enum class CrashSignals : uint8 {
  none,
  faults,  // those that an instruction raises
  all,     // and SIGABRT, SIGQUIT
};

// initsig installs the handlers of the signals it is told and gives back those it took before and no longer wants.
// Runs on: the booting thread, any number of times.
void initsig(CrashSignals which);
// crashSignalTaken: the handler of initsig is there for sig; it offers what was sent to sigsend first.
bool crashSignalTaken(int sig);
// signalMaskForChildren: that of the thread that booted; our own threads may have all blocked.
uint64 signalMaskForChildren();
// minitSignals gives the calling thread, which is mp's, an alternate signal stack and its signal mask.
void minitSignals(M* mp);
// unminitSignals takes it away again, before the thread ends.
void unminitSignals(M* mp);

}  // namespace gort::rt

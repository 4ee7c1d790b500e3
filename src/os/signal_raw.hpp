// SPDX-License-Identifier: Apache-2.0
// Signal dispositions facade.      (Go: os_linux.go, sigaction wrappers)
#pragma once
#include <signal.h>

#include "base/types.hpp"

namespace gort::rt::os {

using SigHandler = void (*)(int sig, siginfo_t* info, void* uctx);
// setHandler installs fn with SA_SIGINFO | SA_ONSTACK | SA_RESTART; while it runs, the signals of mask are blocked (bit n-1
// stands for signal n). old may be nullptr.
int setHandler(int sig, SigHandler fn, struct sigaction* old, uint64 mask = 0);
extern const uint64 kAllButFaults;  // and but libc's own
// setHandlerAlone is setHandler with every other signal blocked while fn runs.
int setHandlerAlone(int sig, SigHandler fn);
int restoreAction(int sig, const struct sigaction* old);
int setDefault(int sig);
int setIgnored(int sig);
int currentAction(int sig, struct sigaction* now);
void blockAllSignals(sigset_t* old);
void setSignalMask(const sigset_t* set);
void unblockSignal(int sig);
// changeSignalMask: how is SIG_BLOCK, SIG_UNBLOCK or SIG_SETMASK; bit n-1 stands for signal n. old may be nullptr.
void changeSignalMask(int how, const uint64* set, uint64* old);
uint64 pendingSignals();     // of this thread or of the process
int takeSignal(uint64 set);  // takes one pending signal of the set without waiting; its number, or -errno
// setAltStack: of the calling thread; p == nullptr: none. old may be nullptr. 0 or -errno.
int setAltStack(void* p, std::size_t n, stack_t* old);

}  // namespace gort::rt::os

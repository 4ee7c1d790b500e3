// SPDX-License-Identifier: Apache-2.0
// Signal dispositions facade.      (Go: os_linux.go, sigaction wrappers)
#pragma once
#include <signal.h>

#include "base/types.hpp"

namespace gort::rt::os {

using SigHandler = void (*)(int sig, siginfo_t* info, void* uctx);
// setHandler installs fn with SA_SIGINFO | SA_ONSTACK | SA_RESTART and an empty extra mask; old may be nullptr.
int setHandler(int sig, SigHandler fn, struct sigaction* old);
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
int setAltStack(void* p, std::size_t n);  // of the calling thread; nullptr: none. 0 or -errno

}  // namespace gort::rt::os

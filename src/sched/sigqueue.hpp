// SPDX-License-Identifier: Apache-2.0
// Signals that the program asks for, and SIGPIPE.                       (Go: sigqueue.go; signal_unix.go, sigpipe)
// The api floor keeps who wants what (api/signal.cpp); here is one bit for each signal. Essay in sigqueue.cpp.
#pragma once
#include "base/types.hpp"

namespace gort::rt {

inline constexpr int kMaxSignal = 64;
constexpr uint64 signalBit(int sig) { return uint64{1} << (sig - 1); }

// sigsend notes sig for the receiver. False: nobody wants it, or nobody is there to take it.
// Runs on: a signal handler, any thread.
bool sigsend(int sig);

// ---- Requires for the rest: one caller at a time, on a goroutine or an attached thread (Entry).
// signalAvailable: whether a program may ask for sig at all.
bool signalAvailable(int sig);
// signalEnable makes sig come to us; signalDisable gives it back to whoever had it; signalIgnore drops it for good.
void signalEnable(int sig);
void signalDisable(int sig);
void signalIgnore(int sig);
bool signalIgnored(int sig);  // by us or by whoever started the process
// signalStart makes the queue ready for a receiver. False: there is one. Out of descriptors: fatal, as there is no other way
// to wait.
bool signalStart();
// signalWait waits until something has arrived.   Runs on: the receiver, a goroutine.
void signalWait();
// signalTake returns what has arrived and was not taken, after handlers that run now have ended.
uint64 signalTake();

// initsigpipe installs (want) Go's rule for SIGPIPE, or takes it away: a broken pipe on descriptor 1 or 2 kills, on others
// write fails with EPIPE. What the process had chosen before us stays in force.
void initsigpipe(bool want);
// pipeWrite is write(2) to what may have lost its reader: -EPIPE and no SIGPIPE, whoever owns the disposition and whatever
// he has made of it since run() began; then Go's rule: who asked for SIGPIPE gets it, and under run() descriptors 1 and 2
// end the process, unless the program ignores SIGPIPE or handles it itself.   Runs on: any thread.
long pipeWrite(int fd, const void* p, std::size_t n);
// quietly runs f, another system call that writes: EPIPE, and never a SIGPIPE that kills or that a handler of the program's
// sees. The caller must not change threads in f.   Runs on: any thread.
long quietly(long (*f)(void*), void* arg);
template <class F>
long quietly(F f) {
  return quietly([](void* p) -> long { return (*static_cast<F*>(p))(); }, &f);
}

}  // namespace gort::rt

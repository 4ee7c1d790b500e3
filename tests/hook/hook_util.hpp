// SPDX-License-Identifier: Apache-2.0
// What the tests of the hook library share: pairs of files, and the question whether a call parks.
#pragma once
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "lang/chan_util.hpp"
#include "sched/proc.hpp"

namespace hooktest {

// Ends is a connected pair of files that block.
struct Ends {
  int a = -1, b = -1;
  enum Kind { socket, pipe, datagram };
  explicit Ends(Kind kind = socket) {
    int fds[2];
    const int r = kind == pipe ? ::pipe2(fds, O_CLOEXEC)
                               : ::socketpair(AF_UNIX, kind == socket ? SOCK_STREAM : SOCK_DGRAM, 0, fds);
    EXPECT_EQ(r, 0);
    a = fds[0];  // the pipe's reading end
    b = fds[1];
  }
  ~Ends() {
    closeA();
    closeB();
  }
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;
  void closeA() { closeOne(a); }
  void closeB() { closeOne(b); }

 private:
  static void closeOne(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

inline int threads() {
  int n = 0;
  FILE* f = std::fopen("/proc/self/status", "re");
  char line[128];
  while (std::fgets(line, sizeof line, f) != nullptr) {
    if (std::sscanf(line, "Threads: %d", &n) == 1) break;
  }
  std::fclose(f);
  return n;
}
// idleThreads are those that the scheduler keeps for later: on a busy machine a burst of goroutines leaves some behind.
inline int idleThreads() {
  const gort::rt::Entry e;
  gort::rt::lock(gort::rt::sched.lock);
  const int n = gort::rt::sched.nmidle;
  gort::rt::unlock(gort::rt::sched.lock);
  return n;
}

// parks lets 64 goroutines run wait(i) at once, looks how many threads there are, calls wake() and joins them. True: far
// fewer threads than goroutines, and all were waiting.
template <class Wait, class Wake>
bool parks(Wait wait, Wake wake) {
  constexpr int kWaiters = 64, kFewThreads = 24;
  std::atomic<int> started = 0, done = 0;
  const int before = threads();
  gort::wait_group wg;
  for (int i = 0; i < kWaiters; ++i) {
    wg.go([&, i] {
      ++started;
      wait(i);
      ++done;
    });
  }
  while (started < kWaiters) gort::yield();
  for (int i = 0; i < 5; ++i) chantest::settle();
  const int all = threads(), n = all - idleThreads(), early = done;
  wake();
  wg.wait();
  EXPECT_EQ(early, 0) << "did not wait";
  EXPECT_LT(all - before, kWaiters) << "new threads: one each, though they may be idle by now";
  EXPECT_LT(n, kFewThreads) << "threads, for " << kWaiters << " waiting goroutines";
  return early == 0 && n < kFewThreads;
}

// eachParks: 64 goroutines wait each for its own pair; then a byte comes on each.
template <class Wait>
bool eachParks(Ends::Kind kind, Wait wait) {
  std::vector<std::unique_ptr<Ends>> pairs;
  for (int i = 0; i < 64; ++i) pairs.push_back(std::make_unique<Ends>(kind));
  return parks([&](int i) { wait(pairs[static_cast<std::size_t>(i)]->a); },
               [&] {
                 for (auto& p : pairs) EXPECT_EQ(::write(p->b, "x", 1), 1);
               });
}

inline void expectX(ssize_t n, char c) {
  EXPECT_EQ(n, 1);
  EXPECT_EQ(c, 'x');
}

// lastError asks for errno in a function of its own: compilers keep its address over a call that parks (docs/hook.md).
[[gnu::noinline]] inline int lastError() { return errno; }

// since is the time from t0 in milliseconds.
inline long long since(gort::clock::time_point t0) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(gort::clock::now() - t0).count();
}

}  // namespace hooktest

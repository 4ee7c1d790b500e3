// SPDX-License-Identifier: Apache-2.0
// What lies between the runtime and the rest of the process: system calls that may block, threads that are not Gort's,
// goroutines that compute without calling anybody. Workloads and names are those of bench/go/os.go.
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "bench.hpp"

namespace {

void shortCall() { (void)::syscall(SYS_getppid); }

// What gort::blocking adds to a call that does not block: the best of ten loops with it less the best of ten without.
double blockingCallExtra(long n) {
  double plain = 1e9, handedOver = 1e9;
  for (int round = 0; round < 10; ++round) {
    plain = std::min(plain, bench::nsPerOp(n, [&] {
                       for (long i = 0; i < n; ++i) shortCall();
                     }));
    handedOver = std::min(handedOver, bench::nsPerOp(n, [&] {
                            for (long i = 0; i < n; ++i) gort::blocking(shortCall);
                          }));
  }
  return handedOver - plain;
}

// A thread of the program's own sends to a buffered channel and receives from it; the figure is one of the two calls.
double foreignThreadCall(long n) {
  double ns = 0;
  gort::blocking([&] {
    std::thread([&] {
      auto c = gort::make_chan<int>(1);
      c.send(1);
      (void)c.recv();
      ns = bench::nsPerOp(2 * n, [&] {
        for (long i = 0; i < n; ++i) {
          c.send(1);
          (void)c.recv();
        }
      });
    }).join();
  });
  return ns;
}

// One goroutine per P computes and calls nobody; how late do n sleeps of 1 ms beside them end, in milliseconds: the 99th
// percentile; median and worst go to stderr.
double neighbourWaitP99(long n) {
  std::atomic<bool> stop = false;
  gort::wait_group wg;
  for (int i = 0; i < gort::runtime::max_procs(); ++i) {
    wg.go([&] {
      while (!stop.load(std::memory_order_relaxed)) asm volatile("");
    });
  }
  std::vector<double> late(static_cast<std::size_t>(n));
  for (double& ms : late) {
    const double start = bench::nowNs();
    gort::sleep(std::chrono::milliseconds{1});
    ms = (bench::nowNs() - start) / 1e6 - 1;
  }
  stop = true;
  wg.wait();
  std::sort(late.begin(), late.end());
  std::fprintf(stderr, "median %.2f worst %.2f\n", late[late.size() / 2], late.back());
  return late[late.size() * 99 / 100];
}

constexpr bench::Entry kEntries[] = {
    {"blocking_call_extra_ns", 1, "ns/op", blockingCallExtra},
    {"foreign_thread_call_ns", 1, "ns/op", foreignThreadCall},
    {"foreign_thread_call_2p_ns", 2, "ns/op", foreignThreadCall},
    {"preempt_neighbour_wait_p99_ms", 0, "ms", neighbourWaitP99},
};

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, kEntries); }

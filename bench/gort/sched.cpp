// SPDX-License-Identifier: Apache-2.0
// Scheduler: yield, spawn and join, a tree of spawns, the prime sieve.
// Workloads and names are those of bench/go/sched.go; the _2p forms run the same body on two Ps.
#include "bench.hpp"

namespace {

// Two goroutines yield in turn: n switches.
double yieldTurns(long n) {
  gort::wait_group wg;
  return bench::nsPerOp(n, [&] {
    for (int g = 0; g < 2; ++g) {
      wg.go([n] {
        for (long i = 0; i < n / 2; ++i) gort::yield();
      });
    }
    wg.wait();
  });
}

// One empty goroutine at a time, each waited for.
double spawnJoin(long n) {
  gort::wait_group wg;
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      wg.go([] {});
      wg.wait();
    }
  });
}

// The same through task<R>, which carries a result and an exception.
double spawnTaskJoin(long n) {
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) gort::spawn([] {}).join();
  });
}

// One batch goes before the clock starts: afterwards stacks are reused, as in a program that runs for a
// while.
double spawnBatch1000(long n) {
  constexpr long kBatch = 1000;
  gort::wait_group wg;
  auto batch = [&wg] {
    for (long k = 0; k < kBatch; ++k) wg.go([] {});
    wg.wait();
  };
  batch();
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; i += kBatch) batch();
  });
}

int fib(int n) {
  if (n < 2) return n;
  auto c = gort::make_chan<int>(1);
  gort::go([c, n] { c.send(fib(n - 1)); });
  const int b = fib(n - 2);
  return *c.recv() + b;
}

// One tree goes before the clock starts.
double fib23Tree(long n) {
  auto tree = [] { bench::require(fib(23) == 28657, "fib(23)"); };
  tree();
  return bench::nsPerOp(n,
                        [&] {
                          for (long i = 0; i < n; ++i) tree();
                        }) /
         1e6;
}

void generate(gort::send_chan<int> out) {
  for (int i = 2;; ++i) out.send(i);
}

void filter(gort::recv_chan<int> in, gort::send_chan<int> out, int prime) {
  for (;;) {
    const int i = *in.recv();
    if (i % prime != 0) out.send(i);
  }
}

// The 500th prime through a chain of 500 filters; the goroutines of a round stay parked when it is over.
double sieve500(long n) {
  return bench::nsPerOp(n,
                        [&] {
                          for (long r = 0; r < n; ++r) {
                            auto ch = gort::make_chan<int>();
                            gort::go([ch] { generate(ch); });
                            int prime = 0;
                            for (int i = 0; i < 500; ++i) {
                              prime = *ch.recv();
                              auto next = gort::make_chan<int>();
                              gort::go([ch, next, prime] { filter(ch, next, prime); });
                              ch = next;
                            }
                            bench::require(prime == 3571, "500th prime");
                          }
                        }) /
         1e6;
}

constexpr bench::Entry kEntries[] = {
    {"yield", 1, "ns/op", yieldTurns},
    {"spawn_join", 1, "ns/op", spawnJoin},
    {"spawn_task_join", 1, "ns/op", spawnTaskJoin},
    {"spawn_batch1000", 1, "ns/op", spawnBatch1000},
    {"fib23_tree", 1, "ms", fib23Tree},
    {"fib23_tree_2p", 2, "ms", fib23Tree},
    {"sieve500", 1, "ms", sieve500},
    {"sieve500_2p", 2, "ms", sieve500},
};

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, kEntries); }

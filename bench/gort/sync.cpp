// SPDX-License-Identifier: Apache-2.0
// Locks and counters: mutex free and fought over, rw_mutex, wait_group, once.
// Workloads and names are those of bench/go/sync.go.
#include <mutex>
#include <shared_mutex>

#include "bench.hpp"

namespace {

double mutexUncontended(long n) {
  gort::mutex mu;
  long x = 0;
  const double ns = bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      std::lock_guard lock{mu};
      ++x;
    }
  });
  bench::require(x == n, "count");
  return ns;
}

// Eight goroutines on two Ps; nobody waits inside the lock.
double mutexContended8(long n) {
  constexpr int kGoroutines = 8;
  gort::mutex mu;
  gort::wait_group wg;
  const long each = n / kGoroutines;
  long x = 0;
  const double ns = bench::nsPerOp(n, [&] {
    for (int g = 0; g < kGoroutines; ++g) {
      wg.go([&mu, &x, each] {
        for (long i = 0; i < each; ++i) {
          std::lock_guard lock{mu};
          ++x;
        }
      });
    }
    wg.wait();
  });
  bench::require(x == each * kGoroutines, "count");
  return ns;
}

double rwmutexRlock(long n) {
  gort::rw_mutex mu;
  long x = 0;
  const double ns = bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      mu.lock_shared();
      ++x;
      mu.unlock_shared();
    }
  });
  bench::require(x == n, "count");
  return ns;
}

double waitGroupAddDone(long n) {
  gort::wait_group wg;
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      wg.add(1);
      wg.done();
    }
  });
}

double onceDone(long n) {
  gort::once once;
  long x = 0;
  const double ns = bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      once([&] { ++x; });
      bench::keep(once);
    }
  });
  bench::require(x == 1, "once");
  return ns;
}

constexpr bench::Entry kEntries[] = {
    {"mutex_uncontended", 1, "ns/op", mutexUncontended},
    {"mutex_contended8", 2, "ns/op", mutexContended8},
    {"rwmutex_rlock", 1, "ns/op", rwmutexRlock},
    {"waitgroup_add_done", 1, "ns/op", waitGroupAddDone},
    {"once_done", 1, "ns/op", onceDone},
};

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, kEntries); }

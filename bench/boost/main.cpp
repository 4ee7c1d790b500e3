// SPDX-License-Identifier: Apache-2.0
// The benchmarks in Boost.Fiber: `prog BENCH N`, as bench/gort.
//
// Nearest equivalents, not identities.  A fiber stays on its thread, so the _2p forms pin fibers to two
// std::threads by hand.  There is no select and no timer object.  Stacks are the library's default (128 KiB
// from malloc, no guard page); main tells malloc to keep them, otherwise each batch of fibers is a batch of
// page faults. Channel capacities are powers of two of at least 2 here, so a "capacity 1" channel has 2.
#include <malloc.h>
#include <sys/resource.h>

#include <boost/fiber/all.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

namespace {

namespace bf = boost::fibers;
using Unbuffered = bf::unbuffered_channel<int>;
using Buffered = bf::buffered_channel<int>;

double nowNs() {
  timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return static_cast<double>(ts.tv_sec) * 1e9 + static_cast<double>(ts.tv_nsec);
}

template <class F>
double nsPerOp(long n, F&& f) {
  const double start = nowNs();
  f();
  return (nowNs() - start) / static_cast<double>(n);
}

void require(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "bench: wrong result: %s\n", what);
  std::exit(3);
}

double yieldTurns(long n) {
  return nsPerOp(n, [n] {
    auto body = [n] {
      for (long i = 0; i < n / 2; ++i) boost::this_fiber::yield();
    };
    bf::fiber a{body}, b{body};
    a.join();
    b.join();
  });
}

double spawnJoin(long n) {
  return nsPerOp(n, [n] {
    for (long i = 0; i < n; ++i) bf::fiber([] {}).join();
  });
}

double spawnBatch1000(long n) {
  std::vector<bf::fiber> fibers;
  fibers.reserve(1000);
  auto batch = [&fibers] {
    for (int k = 0; k < 1000; ++k) fibers.emplace_back([] {});
    for (auto& f : fibers) f.join();
    fibers.clear();
  };
  batch();
  return nsPerOp(n, [&] {
    for (long i = 0; i < n; i += 1000) batch();
  });
}

int fib(int n) {
  if (n < 2) return n;
  Buffered c{2};
  bf::fiber child{[&c, n] { c.push(fib(n - 1)); }};
  const int b = fib(n - 2);
  const int a = c.value_pop();
  child.join();
  return a + b;
}

double fib23Tree(long n) {
  auto tree = [] { require(fib(23) == 28657, "fib(23)"); };
  tree();
  return nsPerOp(n,
                 [&] {
                   for (long i = 0; i < n; ++i) tree();
                 }) /
         1e6;
}

void filter(Unbuffered& in, Unbuffered& out, int prime) {
  int v = 0;
  while (in.pop(v) == bf::channel_op_status::success) {
    if (v % prime != 0) out.push(v);
  }
}

// The 500th prime through a chain of 500 filters.  They stay parked when the round is over (1.74 crashes when
// such a chain is closed while pushers wait), which is why main leaves by _Exit.
double sieve500(long n) {
  return nsPerOp(n,
                 [n] {
                   for (long r = 0; r < n; ++r) {
                     auto* ch = new Unbuffered;
                     bf::fiber([ch] {
                       for (int i = 2; ch->push(i) == bf::channel_op_status::success; ++i) {
                       }
                     }).detach();
                     int prime = 0;
                     for (int i = 0; i < 500; ++i) {
                       prime = ch->value_pop();
                       auto* next = new Unbuffered;
                       bf::fiber([ch, next, prime] { filter(*ch, *next, prime); }).detach();
                       ch = next;
                     }
                     require(prime == 3571, "500th prime");
                   }
                 }) /
         1e6;
}

void echo(Unbuffered& a, Unbuffered& b) {
  int v = 0;
  while (a.pop(v) == bf::channel_op_status::success) b.push(v);
}

double roundTrips(Unbuffered& a, Unbuffered& b, long n) {
  const double ns = nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      a.push(static_cast<int>(i));
      require(b.value_pop() == static_cast<int>(i), "echo");
    }
  });
  a.close();
  return ns;
}

double unbufferedRt(long n) {
  Unbuffered a, b;
  bf::fiber f{[&] { echo(a, b); }};
  const double ns = roundTrips(a, b, n);
  f.join();
  return ns;
}

double unbufferedRtCrossing(long n) {
  Unbuffered a, b;
  std::thread t{[&] { echo(a, b); }};
  const double ns = roundTrips(a, b, n);
  t.join();
  return ns;
}

void produce(Buffered& c, long n) {
  for (long i = 0; i < n; ++i) c.push(static_cast<int>(i));
  c.close();
}

void drain(Buffered& c, long n) {
  long count = 0;
  int v = 0;
  while (c.pop(v) == bf::channel_op_status::success) ++count;
  require(count == n, "count");
}

// The library keeps one slot of the ring empty: 256 holds at least 128 elements.
double buffered1p(long n) {
  Buffered c{256};
  return nsPerOp(n, [&] {
    bf::fiber f{[&] { produce(c, n); }};
    drain(c, n);
    f.join();
  });
}

double buffered2p(long n) {
  Buffered c{256};
  return nsPerOp(n, [&] {
    std::thread t{[&] { produce(c, n); }};
    drain(c, n);
    t.join();
  });
}

double fan(int producers, int consumers, long n) {
  Buffered c{64};
  const long each = n / producers;
  long sum = 0;
  const double ns = nsPerOp(n, [&] {
    std::vector<bf::fiber> from, to;
    for (int p = 0; p < producers; ++p) {
      from.emplace_back([&] {
        for (long i = 0; i < each; ++i) c.push(1);
      });
    }
    for (int k = 0; k < consumers; ++k) {
      to.emplace_back([&] {
        int v = 0;
        while (c.pop(v) == bf::channel_op_status::success) sum += v;
      });
    }
    for (auto& f : from) f.join();
    c.close();
    for (auto& f : to) f.join();
  });
  require(sum == each * producers, "fan sum");
  return ns;
}

double fan8x1(long n) { return fan(8, 1, n); }
double fan1x8(long n) { return fan(1, 8, n); }
double fan8x8(long n) { return fan(8, 8, n); }

double mutexUncontended(long n) {
  bf::mutex mu;
  long x = 0;
  const double ns = nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      std::lock_guard lock{mu};
      ++x;
    }
  });
  require(x == n, "count");
  return ns;
}

double mutexContended8(long n) {
  bf::mutex mu;
  long x = 0;
  const long each = n / 8;
  auto thread = [&] {
    std::vector<bf::fiber> fibers;
    for (int g = 0; g < 4; ++g) {
      fibers.emplace_back([&] {
        for (long i = 0; i < each; ++i) {
          std::lock_guard lock{mu};
          ++x;
        }
      });
    }
    for (auto& f : fibers) f.join();
  };
  const double ns = nsPerOp(n, [&] {
    std::thread t{thread};
    thread();
    t.join();
  });
  require(x == each * 8, "count");
  return ns;
}

double cpuNs() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  const double sec = static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec);
  return sec * 1e9 + static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e3;
}

double sleepersCpu(long n) {
  std::vector<bf::fiber> fibers;
  fibers.reserve(static_cast<std::size_t>(n));
  const double start = cpuNs();
  for (long i = 0; i < n; ++i) {
    fibers.emplace_back([seed = static_cast<unsigned>(i)] {
      unsigned state = seed;
      for (int k = 0; k < 5; ++k) {
        state = state * 1664525u + 1013904223u;
        boost::this_fiber::sleep_for(std::chrono::milliseconds{1 + (state >> 16) % 100});
      }
    });
  }
  for (auto& f : fibers) f.join();
  return (cpuNs() - start) / static_cast<double>(n * 5);
}

double sleepOvershoot50us(long n) {
  double sum = 0;
  for (long i = 0; i < n; ++i) {
    const double start = nowNs();
    boost::this_fiber::sleep_for(std::chrono::microseconds{50});
    sum += (nowNs() - start) / 1e3 - 50;
  }
  return sum / static_cast<double>(n);
}

double residentBytes() {
  std::FILE* f = std::fopen("/proc/self/status", "r");
  require(f != nullptr, "/proc/self/status");
  char line[256];
  long kib = 0;
  long total = 0;
  while (std::fgets(line, sizeof line, f) != nullptr) {
    if (std::sscanf(line, "VmRSS: %ld", &kib) == 1 || std::sscanf(line, "VmPTE: %ld", &kib) == 1)
      total += kib;
  }
  std::fclose(f);
  return static_cast<double>(total) * 1024;
}

double parked(long n) {
  Unbuffered gate;
  std::vector<bf::fiber> fibers;
  fibers.reserve(static_cast<std::size_t>(n));
  const double before = residentBytes();
  long up = 0;
  for (long i = 0; i < n; ++i) {
    fibers.emplace_back([&] {
      ++up;
      int v = 0;
      (void)gate.pop(v);
    });
  }
  while (up < n) boost::this_fiber::yield();
  const double bytes = (residentBytes() - before) / static_cast<double>(n);
  gate.close();
  for (auto& f : fibers) f.join();
  return bytes;
}

struct Entry {
  std::string_view name;
  const char* unit;
  double (*body)(long n);
};

constexpr Entry kEntries[] = {
    {"yield", "ns/op", yieldTurns},
    {"spawn_join", "ns/op", spawnJoin},
    {"spawn_batch1000", "ns/op", spawnBatch1000},
    {"fib23_tree", "ms", fib23Tree},
    {"sieve500", "ms", sieve500},
    {"chan_unbuffered_rt", "ns/op", unbufferedRt},
    {"chan_unbuffered_rt_2p", "ns/op", unbufferedRtCrossing},
    {"chan_buffered_1p", "ns/op", buffered1p},
    {"chan_buffered_2p", "ns/op", buffered2p},
    {"fan_8x1", "ns/op", fan8x1},
    {"fan_1x8", "ns/op", fan1x8},
    {"fan_8x8", "ns/op", fan8x8},
    {"mutex_uncontended", "ns/op", mutexUncontended},
    {"mutex_contended8", "ns/op", mutexContended8},
    {"sleepers_100k_cpu", "ns/op", sleepersCpu},
    {"sleep_overshoot_50us", "us", sleepOvershoot50us},
    {"parked_1m_bytes", "B", parked},
};

}  // namespace

int main(int argc, char** argv) {
  const long n = argc == 3 ? std::atol(argv[2]) : 0;
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  for (const Entry& e : kEntries) {
    if (n <= 0 || e.name != argv[1]) continue;
    std::printf("%s %.4g %s\n", argv[1], e.body(n), e.unit);
    std::fflush(stdout);
    std::_Exit(0);
  }
  std::fprintf(stderr, "usage: %s BENCH N (a benchmark this program has)\n", argv[0]);
  return 64;
}

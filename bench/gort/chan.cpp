// SPDX-License-Identifier: Apache-2.0
// Channels and select: round trips, buffered streams, select over 2, 4, 8 channels, fan-in and fan-out.
// Workloads and names are those of bench/go/chan.go.
#include <vector>

#include "bench.hpp"

namespace {

// Receives on a and answers on b until a is closed.
void echo(const gort::chan<int>& a, const gort::chan<int>& b) {
  for (int v : a) b.send(v);
}

// One round trip is two messages, four goroutine switches at most.
double roundTrips(const gort::chan<int>& a, const gort::chan<int>& b, long n) {
  const double ns = bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      a.send(static_cast<int>(i));
      bench::require(*b.recv() == static_cast<int>(i), "echo");
    }
  });
  a.close();
  return ns;
}

double unbufferedRt(long n) {
  auto a = gort::make_chan<int>(), b = gort::make_chan<int>();
  gort::go([=] { echo(a, b); });
  return roundTrips(a, b, n);
}

// Both goroutines are locked to their own thread: every message crosses threads.
double unbufferedRtCrossing(long n) {
  auto a = gort::make_chan<int>(), b = gort::make_chan<int>();
  gort::go([=] {
    gort::runtime::os_thread_lock lock;
    echo(a, b);
  });
  gort::runtime::os_thread_lock lock;
  return roundTrips(a, b, n);
}

double buffered(long n) {
  auto c = gort::make_chan<int>(128);
  return bench::nsPerOp(n, [&] {
    gort::go([=] {
      for (long i = 0; i < n; ++i) c.send(static_cast<int>(i));
      c.close();
    });
    long sum = 0;
    for (int v : c) sum += v;
    bench::keep(sum);
  });
}

// One element to and fro in the same goroutine: the bare path through the lock and the ring.
double sameGoroutine(long n) {
  auto c = gort::make_chan<int>(1);
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      c.send(static_cast<int>(i));
      bench::require(c.recv().has_value(), "value");
    }
  });
}

std::vector<gort::chan<int>> endlessSenders(std::size_t k) {
  std::vector<gort::chan<int>> chans(k);
  for (auto& c : chans) {
    c = gort::make_chan<int>();
    gort::go([c] {
      for (;;) c.send(1);
    });
  }
  return chans;
}

double select2(long n) {
  auto ch = endlessSenders(2);
  gort::recv_case a{ch[0]}, b{ch[1]};
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) (void)gort::select(a, b);
  });
}

double select4(long n) {
  auto ch = endlessSenders(4);
  gort::recv_case a{ch[0]}, b{ch[1]}, c{ch[2]}, d{ch[3]};
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) (void)gort::select(a, b, c, d);
  });
}

double select8(long n) {
  auto ch = endlessSenders(8);
  gort::recv_case a{ch[0]}, b{ch[1]}, c{ch[2]}, d{ch[3]}, e{ch[4]}, f{ch[5]}, g{ch[6]}, h{ch[7]};
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) (void)gort::select(a, b, c, d, e, f, g, h);
  });
}

// A receive, a send and a default; nobody is at the other ends.
double selectDefault(long n) {
  auto in = gort::make_chan<int>(), out = gort::make_chan<int>();
  gort::recv_case get{in};
  gort::send_case put{out, 0};
  gort::default_case none;
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) {
      put.arm(static_cast<int>(i));
      bench::require(gort::select(get, put, none) == none, "default");
    }
  });
}

// One receive and a default: Go compiles this form to a plain non-blocking receive, as try_recv is.
double selectDefault1(long n) {
  auto in = gort::make_chan<int>();
  return bench::nsPerOp(n, [&] {
    for (long i = 0; i < n; ++i) bench::require(!in.try_recv(), "default");
  });
}

double fan(int producers, int consumers, long n) {
  auto c = gort::make_chan<int>(64);
  auto results = gort::make_chan<long>();
  const long each = n / producers;
  gort::wait_group wg;
  return bench::nsPerOp(n, [&] {
    for (int p = 0; p < producers; ++p) {
      wg.go([c, each] {
        for (long i = 0; i < each; ++i) c.send(1);
      });
    }
    for (int k = 0; k < consumers; ++k) {
      gort::go([c, results] {
        long sum = 0;
        for (int v : c) sum += v;
        results.send(sum);
      });
    }
    wg.wait();
    c.close();
    long sum = 0;
    for (int k = 0; k < consumers; ++k) sum += *results.recv();
    bench::require(sum == each * producers, "fan sum");
  });
}

double fan8x1(long n) { return fan(8, 1, n); }
double fan1x8(long n) { return fan(1, 8, n); }
double fan8x8(long n) { return fan(8, 8, n); }

constexpr bench::Entry kEntries[] = {
    {"chan_unbuffered_rt", 1, "ns/op", unbufferedRt},
    {"chan_unbuffered_rt_2p", 2, "ns/op", unbufferedRtCrossing},
    {"chan_unbuffered_rt_2p_free", 2, "ns/op", unbufferedRt},
    {"chan_buffered_1p", 1, "ns/op", buffered},
    {"chan_buffered_2p", 2, "ns/op", buffered},
    {"chan_cap1_same_g", 1, "ns/op", sameGoroutine},
    {"select2", 1, "ns/op", select2},
    {"select4", 1, "ns/op", select4},
    {"select8", 1, "ns/op", select8},
    {"select_default", 1, "ns/op", selectDefault},
    {"select_default1", 1, "ns/op", selectDefault1},
    {"fan_8x1", 1, "ns/op", fan8x1},
    {"fan_1x8", 1, "ns/op", fan1x8},
    {"fan_8x8", 1, "ns/op", fan8x8},
    {"fan_8x1_2p", 2, "ns/op", fan8x1},
    {"fan_1x8_2p", 2, "ns/op", fan1x8},
    {"fan_8x8_2p", 2, "ns/op", fan8x8},
};

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, kEntries); }

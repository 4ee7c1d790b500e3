// SPDX-License-Identifier: Apache-2.0
// Echo, dialing and deadlines for a while under chaos: no wake-up is lost, every deadline is honoured, nothing is left over.
//   scale_net_soak [SECONDS]     default 15; `GODEBUG=chaos=7 scale_net_soak 600` for ten minutes
// A read that is to time out may come late by 20 ms and what the machine's load adds: that is measured beside it, as the
// lateness of a plain sleep at the same time.
// RUN-ENV: GODEBUG=chaos=7 GOMAXPROCS=2
// STDOUT: echoes [1-9]\d*, dials [1-9]\d*, deadlines [1-9]\d*, late 0, hung 0\n
// STDOUT: left over: descriptors 0, goroutines 0\n\Z
// TIMEOUT: 120
#include <gort/gort.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "descriptors.hpp"

using namespace std::chrono_literals;
namespace net = gort::net;
namespace io = gort::io;

namespace {

constexpr int kEchoers = 40, kDialers = 8, kSitters = 40;
constexpr std::chrono::nanoseconds kGrace = 20ms, kHung = 10s;

struct counts {
  std::atomic<long> echoes{0}, dials{0}, deadlines{0}, late{0};
  std::atomic<gort::clock::rep> load{0};  // ns that the worst plain sleep of the last while came late
  std::array<std::atomic<gort::clock::rep>, kEchoers + kDialers + kSitters> alive{};
  void touch(int who) {
    alive[static_cast<std::size_t>(who)] = gort::clock::now().time_since_epoch().count();
  }
};

void serve(net::listener& l) {
  for (;;) {
    auto c = l.accept();
    if (!c) return;
    gort::go([conn = std::move(*c)]() mutable {
      std::array<std::byte, 4096> b;
      for (;;) {
        const auto n = conn.read(b);
        if (!n || *n == 0 || !conn.write(io::const_bytes(b).first(*n))) return;
      }
    });
  }
}

void echo(const std::string& addr, gort::clock::time_point end, counts& k, int me) {
  auto c = net::dial("tcp", addr);
  if (!c) return;
  std::string out(static_cast<std::size_t>(1 + me * 97), 'a'), in(out.size(), 0);
  while (gort::clock::now() < end) {
    c->set_timeout(kHung);
    if (!c->write(out) || !io::read_full(*c, std::as_writable_bytes(std::span(in))) || in != out) {
      std::printf("echo %d failed\n", me);
      return;
    }
    ++k.echoes;
    k.touch(me);
  }
}

void churn(const std::string& addr, gort::clock::time_point end, counts& k, int me) {
  while (gort::clock::now() < end) {
    auto c = net::dial("tcp", addr, {.timeout = kHung});
    if (!c) {
      std::printf("dial: %s\n", c.error().message().c_str());
      return;
    }
    if (me % 2 == 0) (void)c->write("x");
    ++k.dials;
    k.touch(me);
    gort::sleep(1ms);  // the ports of closed connections rest for a minute
  }
}

// A read that nothing answers: its deadline moves about before it stands.
void sit(const std::string& addr, gort::clock::time_point end, counts& k, int me) {
  auto c = net::dial("tcp", addr);
  if (!c) return;
  std::array<std::byte, 8> b;
  unsigned r = 12345u + static_cast<unsigned>(me);
  while (gort::clock::now() < end) {
    r = r * 1664525 + 1013904223;
    const auto wait = std::chrono::microseconds(500 + r % 20000);
    c->set_read_deadline(gort::clock::now() + 1h);
    c->set_read_deadline(net::no_deadline);
    const auto due = gort::clock::now() + wait;
    c->set_read_deadline(due);
    const auto n = c->read(b);
    const auto late = gort::clock::now() - due;
    if (n || !n.error().timeout()) {
      std::printf("a read without data: %s\n", n ? "bytes" : n.error().message().c_str());
      ++k.late;
      return;
    }
    if (late > kGrace) gort::sleep(10ms);  // the measure of the load comes as late
    if (late < 0ns || late > kGrace + 3 * std::chrono::nanoseconds(k.load)) {
      std::fprintf(stderr, "deadline late by %lld us, load %lld us\n",
                   static_cast<long long>(late.count()) / 1000, static_cast<long long>(k.load) / 1000);
      ++k.late;
    }
    ++k.deadlines;
    k.touch(me);
  }
}

// Two plain measures of the machine's own lateness: the worst of the last second or so.
void measure_load(gort::clock::time_point end, counts& k) {
  while (gort::clock::now() < end + 100ms) {
    const auto due = gort::clock::now() + 1ms;
    gort::sleep_until(due);
    const auto late = (gort::clock::now() - due).count();
    k.load = std::max(late, k.load - k.load / 256);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 15;
  return gort::run([&] {
    const auto end = gort::clock::now() + std::chrono::seconds(seconds);
    auto listener = net::listen("tcp", "127.0.0.1:0");
    if (!listener) {
      std::printf("%s\n", listener.error().message().c_str());
      return;
    }
    (void)gort::blocking(descriptors);  // the netpoller has its own by now
    const int before = descriptors();
    const auto goroutines = gort::runtime::num_goroutine();
    const std::string addr = listener->addr().string();
    counts k;
    auto server = gort::spawn([&] { serve(*listener); });
    gort::wait_group wg;
    for (int i = 0; i < kEchoers; ++i) wg.go([&, i] { echo(addr, end, k, i); });
    for (int i = 0; i < kDialers; ++i) wg.go([&, i] { churn(addr, end, k, kEchoers + i); });
    for (int i = 0; i < kSitters; ++i) wg.go([&, i] { sit(addr, end, k, kEchoers + kDialers + i); });
    wg.go([&] { measure_load(end, k); });
    wg.wait();
    int hung = 0;
    for (auto& t : k.alive) hung += end.time_since_epoch() - std::chrono::nanoseconds(t) > kHung / 2;
    std::printf("echoes %ld, dials %ld, deadlines %ld, late %ld, hung %d\n", k.echoes.load(), k.dials.load(),
                k.deadlines.load(), k.late.load(), seconds > 5 ? hung : 0);
    (void)listener->close();
    server.join();
    for (int i = 0; i < 2000 && (gort::runtime::num_goroutine() > goroutines || descriptors() > before - 1);
         ++i)
      gort::sleep(1ms);
    std::printf("left over: descriptors %d, goroutines %lld\n", descriptors() - (before - 1),
                static_cast<long long>(gort::runtime::num_goroutine()) - static_cast<long long>(goroutines));
  });
}

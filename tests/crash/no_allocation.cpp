// SPDX-License-Identifier: Apache-2.0
// send, recv, select, lock and sleep allocate nothing, and starting a goroutine allocates nothing: counted by a malloc of
// the program's own, after a first round that may make what is kept (goroutines, wait records).
// SKIP-IN: address thread (their malloc stands in the place of ours)
// STDOUT: \Athe counter sees a channel: yes, a task: yes, a closure of 2000 bytes: yes\n(?:[a-z ,_]+: 0\n){14}\Z
#include <gort/gort.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <mutex>
#include <shared_mutex>
#include <vector>

using namespace std::chrono_literals;

namespace {
constinit std::atomic<long> allocations{0};
}  // namespace

// The two that Gort and operator new call. Not calloc: glibc takes a new thread's table from it, and when a thread is
// wanted is the scheduler's affair. Behind them glibc's own, under the names that it has for this purpose.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t n) {
  ++allocations;
  return __libc_malloc(n);
}
void* aligned_alloc(std::size_t align, std::size_t n) {
  ++allocations;
  return __libc_memalign(align, n);
}
}

namespace {

template <class F>
void count(const char* what, F f) {
  for (int i = 0; i < 50; ++i) f();
  const long before = allocations;
  for (int i = 0; i < 200; ++i) f();
  const long made = allocations - before;
  std::printf("%s: %ld\n", what, made);
}

void channels() {
  auto buffered = gort::make_chan<int>(1);
  auto meet = gort::make_chan<int>(), back = gort::make_chan<int>();
  gort::go([=] {
    for (int v : meet) back.send(v);
  });
  count("send, recv", [=] {
    buffered.send(1);
    (void)buffered.recv();
  });
  count("send, recv that park", [=] {
    meet.send(1);
    (void)back.recv();
  });
  count("recv_for that times out", [=] { (void)meet.recv_for(1us); });
  gort::recv_case get{back};
  gort::timeout_case late{1us};
  count("select that times out", [&] { (void)gort::select(get, late); });
  std::vector<gort::recv_case<int>> many(1000, gort::recv_case<int>(back));
  count("select of a thousand cases", [&] {
    meet.send(1);
    (void)gort::select(many, get);
  });
  count("select with default", [&] {
    gort::default_case none;
    (void)gort::select(get, none);
  });
  meet.close();
}

// contended runs f here and on another goroutine, so that both wait for each other now and then.
template <class F>
void contended(const char* what, F f) {
  auto turn = gort::make_chan(), done = gort::make_chan();
  gort::go([=] {
    for ([[maybe_unused]] gort::unit u : turn) {
      f();
      done.send();
    }
  });
  count(what, [=] {
    turn.send();
    f();
    (void)done.recv();
  });
  turn.close();
}

void locks() {
  static gort::mutex mu;
  static gort::rw_mutex rw;
  static gort::semaphore sem{1};
  contended("mutex", [] {
    const std::scoped_lock l(mu);
    gort::yield();
  });
  contended("rw_mutex", [] {
    {
      const std::shared_lock l(rw);
      gort::yield();
    }
    const std::scoped_lock l(rw);
    gort::yield();
  });
  contended("semaphore", [] {
    sem.acquire();
    gort::yield();
    sem.release();
  });
  count("wait_group and go", [] {
    gort::wait_group wg;
    wg.add(2);
    gort::go([&] { wg.done(); });
    gort::go([&] { wg.done(); });
    wg.wait();
  });
}

void rest() {
  count("sleep", [] { gort::sleep(1us); });
  count("yield", [] { gort::yield(); });
  auto c = gort::make_chan<int>();
  count("go", [=] {
    gort::go([=] { c.send(1); });
    (void)c.recv();
  });
  gort::timer t(1h);
  count("timer reset", [&] { t.reset(1h); });
}

template <class F>
const char* seen(F f) {
  const long before = allocations;
  f();
  return allocations > before ? "yes" : "no";
}

}  // namespace

int main() {
  return gort::run([] {
    const char* channel = seen([] { (void)gort::make_chan<int>(); });
    const char* task = seen([] { gort::spawn([] {}).join(); });
    const char* closure = seen([] { gort::go([room = std::array<char, 2000>{}] { (void)room; }); });
    std::printf("the counter sees a channel: %s, a task: %s, a closure of 2000 bytes: %s\n", channel, task,
                closure);
    channels();
    locks();
    rest();
  });
}

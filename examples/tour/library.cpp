// SPDX-License-Identifier: Apache-2.0
// Gort as a library inside a foreign program: an ordinary main, its own std::threads, no boot call anywhere.
// The first use starts the runtime; any thread may call anything. A wait that parks a goroutine blocks a thread instead.
//
// What to look at: `resize` keeps at most two decoders going, whatever number of host threads call it; threads and
// goroutines share channels and locks; `shutdown` waits for what is still running.
//
// RUN:
// STDOUT: \Ahost: 4 threads, 40 images$
// STDOUT: ^at most 2 decoders at once: yes$
// STDOUT: ^thread received 1\.\.100: sum 5050$
// STDOUT: ^exception came through: no such image$
// STDOUT: ^shutdown: clean$
#include <gort/gort.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

// ---- the library

gort::semaphore decoders{2};
std::atomic<int> decoding{0}, most{0};

int decode(int image) {
  if (image < 0) throw std::runtime_error("no such image");
  const int now = ++decoding;
  int seen = most.load();
  while (seen < now && !most.compare_exchange_weak(seen, now)) {
  }
  gort::sleep(1ms);
  --decoding;
  return image * 2;
}

// resize may be called on any thread.
int resize(int image) {
  return gort::block_on([&] {
    decoders.acquire();
    gort::defer d{[] { decoders.release(); }};
    return decode(image);
  });
}

// ---- the host program

void render() {
  gort::mutex mu;
  int images = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        (void)resize(i);
        std::lock_guard l{mu};  // a goroutine lock, taken by a thread
        ++images;
      }
    });
  }
  for (auto& t : threads) t.join();
  std::printf("host: 4 threads, %d images\n", images);
  std::printf("at most 2 decoders at once: %s\n", most.load() <= 2 ? "yes" : "no");
}

void listen() {
  auto numbers = gort::make_chan<int>(4);
  gort::go([=] {
    for (int i = 1; i <= 100; ++i) numbers.send(i);
    numbers.close();
  });
  int sum = 0;
  std::thread reader([&] {  // receives on a plain thread
    for (int n : numbers) sum += n;
  });
  reader.join();
  std::printf("thread received 1..100: sum %d\n", sum);
}

void fail() {
  try {
    (void)resize(-1);
  } catch (const std::runtime_error& e) {
    std::printf("exception came through: %s\n", e.what());
  }
}

}  // namespace

int main() {
  render();
  listen();
  fail();
  gort::go([] { gort::sleep(50ms); });  // still running when the host wants to go
  const gort::error left = gort::shutdown(2s);
  std::printf("shutdown: %s\n", left ? left.message().c_str() : "clean");
  return left ? 1 : 0;
}

// SPDX-License-Identifier: Apache-2.0
// shutdown ends every thread of the runtime; the next use starts them again. With foreign threads in between.
// EXIT: 0
// STDOUT: ^20 rounds, 20 times alone$
// TIMEOUT: 60
#include <dirent.h>

#include <chrono>
#include <cstdio>
#include <gort/gort.hpp>
#include <thread>

#include "base/sanitizer.hpp"

using namespace std::chrono_literals;

namespace {

constexpr int kOthers = GORT_TSAN;  // it has a thread of its own

int threads() {
  int n = -kOthers;
  DIR* d = opendir("/proc/self/task");
  while (const dirent* e = readdir(d)) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

// alone waits for the kernel to have taken the threads away: they have ended when shutdown returns, but not yet gone.
bool alone() {
  for (int i = 0; i < 1000 && threads() > 1; ++i) std::this_thread::sleep_for(2ms);
  return threads() == 1;
}

int round() {
  auto c = gort::make_chan<int>(4);
  int sum = gort::block_on([&] {
    gort::wait_group wg;
    for (int i = 0; i < 8; ++i) {
      wg.go([=] {
        c.send(i);
        gort::sleep(1ms);
      });
    }
    int s = 0;
    for (int i = 0; i < 8; ++i) s += *c.recv();
    wg.wait();
    return s;
  });
  std::thread host([&] {
    gort::go([=] { c.send(5); });
    sum += *c.recv();
  });
  host.join();
  return sum;
}

}  // namespace

int main() {
  int rounds = 0, times = 0;
  for (; rounds < 20 && round() == 33; ++rounds) {
    if (gort::error e = gort::shutdown(10s)) {
      std::printf("%s\n", e.message().c_str());
      return 1;
    }
    times += alone() ? 1 : 0;
  }
  std::printf("%d rounds, %d times alone\n", rounds, times);
}

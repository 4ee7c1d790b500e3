// SPDX-License-Identifier: Apache-2.0
// A P on its way to a thread that cannot be born: the birth waits for malloc, whose lock a frozen goroutine holds. That one
// is let go on without a P (rule R3), though the P that stands idle has switched since the monitor looked last.
// RUN-ENV: GOMAXPROCS=1
// STDOUT: \Aall rounds done\n\Z
// TIMEOUT: 120
// SKIP-IN: thread address (they replace calloc, too)
#include <atomic>
#include <pthread.h>

#include "scenes.hpp"

using namespace std::chrono_literals;
using namespace scenes;

extern "C" void* __libc_calloc(std::size_t, std::size_t);

namespace {
pthread_mutex_t heap = PTHREAD_MUTEX_INITIALIZER;
std::atomic<bool> on{false};
}  // namespace

// Every birth of a thread comes by here.
extern "C" void* calloc(std::size_t n, std::size_t m) {
  if (!on) return __libc_calloc(n, m);
  pthread_mutex_lock(&heap);
  void* p = __libc_calloc(n, m);
  pthread_mutex_unlock(&heap);
  return p;
}

int main() {
  return gort::run([] {
    gort::blocking([] { usleep(20000); });
    gort::sleep(20ms);
    on = true;
    for (int i = 0; i < 20; ++i) {
      auto holder = gort::spawn([] {
        pthread_mutex_lock(&heap);
        spin(0.05);
        pthread_mutex_unlock(&heap);
      });
      gort::yield();
      gort::blocking([] { usleep(8000); });
      holder.join();
    }
    on = false;
    std::puts("all rounds done");
  });
}

// SPDX-License-Identifier: Apache-2.0
// Goroutines that never call the runtime stop nobody.
// STDOUT: \A(?:[a-z_0-9]+ on [12]: ok\n){26}\Z
// TIMEOUT: 300
// SKIP-IN: thread (the sanitizer delivers signals when it likes; Gort does without them there)
#include <gort/gort.hpp>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <link.h>
#include <mutex>
#include <poll.h>
#include <semaphore.h>
#include <stdexcept>
#include <string>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <vector>

#include "scenes.hpp"

using namespace std::chrono_literals;
using namespace scenes;

namespace {

// others_run: a goroutine that sleeps, yields and starts others comes along.
void others_run() {
  for (int i = 0; i < 10; ++i) {
    gort::sleep(1ms);
    gort::spawn([] { gort::yield(); }).join();
  }
}

void loops() {
  for (int i = 0; i < 3; ++i) gort::go([] { endless(); });
  others_run();
}

void locked_loop() {
  gort::go([] {
    const gort::runtime::os_thread_lock here;
    endless();
  });
  others_run();
}

int slow_compare(const void* a, const void* b) {
  for (int i = 0; i < 2000; ++i) __asm__ volatile("");
  return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

void sorts() {
  for (int k = 0; k < 3; ++k) {
    gort::go([k] {
      for (auto seed = static_cast<unsigned>(k);; ++seed) {
        int a[500];
        for (int& x : a) x = static_cast<int>(seed = seed * 1103515245 + 12345) >> 1;
        std::qsort(a, std::size(a), sizeof a[0], slow_compare);
      }
    });
  }
  others_run();
}

void mallocs() {
  for (int k = 0; k < 4; ++k) {
    gort::go([k] {
      void* held[200] = {};
      for (unsigned r = 77 + static_cast<unsigned>(k);; r = r * 1664525 + 1013904223) {
        void*& p = held[r >> 8 & 127];
        std::free(p);
        p = std::malloc(r >> 16 & 0xfff);
      }
    });
  }
  others_run();
}

// An element is copied under its channel's lock, inside the runtime: its malloc waits for a lock that a frozen
// goroutine holds.
void copies() {
  mallocs();
  auto c = gort::make_chan<std::string>(1);
  for (int i = 0; i < 300; ++i) {
    const std::string s(static_cast<std::size_t>(5000 + i), 'x');
    c.send(s);
    CHECK(c.recv()->size() == s.size());
  }
}

std::mutex shared;

// Rule R3, for sure: an element is moved inside the runtime, and waits there for a lock that a frozen goroutine holds.
struct locks_at_move {
  locks_at_move() = default;
  locks_at_move(locks_at_move&&) noexcept { const std::lock_guard mine(shared); }
  locks_at_move& operator=(locks_at_move&&) = default;
};

void move_waits() {
  static std::atomic<bool> held;
  gort::go([] {
    const std::lock_guard hold(shared);
    held = true;
    spin(0.3);
  });
  while (!held) gort::sleep(1ms);  // the holder computes: with one P it is frozen when this ends
  auto c = gort::make_chan<locks_at_move>(1);
  c.send(locks_at_move());
  CHECK(c.try_recv());
}

void mutex12() {
  static std::atomic<int> turns[12];
  for (std::size_t k = 0; k < std::size(turns); ++k) {
    gort::go([k] {
      for (;;) {
        const std::lock_guard hold(shared);
        spin(0.002);
        ++turns[k];
      }
    });
  }
  for (const double end = seconds() + 50; seconds() < end;) {
    gort::sleep(10ms);
    if (std::all_of(std::begin(turns), std::end(turns), [](const auto& n) { return n > 0; })) return;
  }
  CHECK(!"all twelve got the mutex");
}

void holder() {
  gort::go([] {
    const std::lock_guard hold(shared);
    spin(0.3);
  });
  gort::yield();
  others_run();
  const std::lock_guard mine(shared);
}

// One inside dl_iterate_phdr, which holds the loader's lock, while others throw.
void unwinding() {
  for (int k = 0; k < 2; ++k) {
    gort::go([] {
      for (;;) {
        dl_iterate_phdr(
            [](dl_phdr_info*, std::size_t, void*) {
              spin(0.001);
              return 0;
            },
            nullptr);
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    try {
      throw std::runtime_error("x");
    } catch (const std::exception& e) {
      CHECK(e.what()[0] == 'x');
    }
    if (i % 20 == 0) gort::sleep(1ms);
  }
}

// What a goroutine computes is not touched: integers, doubles, the condition codes, the red zone.
std::uint64_t sum(unsigned n) {
  std::uint64_t h = n;
  double d = n;
  for (unsigned i = 0; i < n; ++i) {
    h = (h ^ i) * 0x100000001b3;
    d = d * 1.0000001 + static_cast<double>(h & 0xff);
  }
  std::uint64_t bits;
  std::memcpy(&bits, &d, sizeof bits);
  return h ^ bits;
}

void registers() {
  constexpr unsigned kRounds = 3000000;
  const std::uint64_t want = sum(kRounds);
  gort::wait_group wg;
  for (int k = 0; k < 4; ++k) {
    wg.go([=] {
      for (int i = 0; i < 20; ++i) CHECK(sum(kRounds) == want);
    });
  }
  others_run();
  wg.wait();
}

// Waits of the user's code that a signal would end do not end, and do not keep their P.
void waits() {
  static std::atomic<bool> done;
  gort::go([] {
    sem_t never;
    sem_init(&never, 0, 0);
    const int ep = epoll_create1(EPOLL_CLOEXEC);
    epoll_event ev;
    for (int i = 0; i < 3; ++i) {
      timespec half{0, 120'000'000}, left{};
      double begin = seconds();
      CHECK(nanosleep(&half, &left) == 0);
      CHECK(clock_nanosleep(CLOCK_MONOTONIC, 0, &half, nullptr) == 0);
      CHECK(poll(nullptr, 0, 120) == 0);
      CHECK(epoll_wait(ep, &ev, 1, 120) == 0);
      CHECK(seconds() - begin >= 0.479);
      timespec at;
      clock_gettime(CLOCK_REALTIME, &at);
      at.tv_nsec += 120'000'000;
      at.tv_sec += at.tv_nsec / 1'000'000'000;
      at.tv_nsec %= 1'000'000'000;
      CHECK(sem_timedwait(&never, &at) == -1 && errno == ETIMEDOUT);
    }
    ::close(ep);
    done = true;
  });
  int turns = 0;
  for (; !done; ++turns) gort::sleep(1ms);
  CHECK(turns > 50);  // of some 1000
}

void stops() {
  for (int i = 0; i < 2; ++i) gort::go([] { endless(); });
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  for (int i = 0; i < 20; ++i) {
    const int had = gort::runtime::max_procs(1 + i % 3);
    CHECK(had >= 1 && !gort::debug::dump_goroutines(null));
  }
  ::close(null);
}

// run returns while goroutines are frozen inside printf; exit flushes the same stream.
void stdio() {
  static std::FILE* out = std::fopen("/dev/null", "w");
  for (int k = 0; k < 3; ++k) {
    gort::go([] {
      for (int i = 0;; ++i) std::fprintf(out, "%d %s\n", i, "some text");
    });
  }
  for (int i = 0; i < 20; ++i) gort::sleep(1ms);
}

constexpr scene kScenes[] = {{"loops", in_run<loops>},         {"locked_loop", in_run<locked_loop>},
                             {"sorts", in_run<sorts>},         {"mallocs", in_run<mallocs>},
                             {"copies", in_run<copies>},       {"move_waits", in_run<move_waits>},
                             {"mutex12", in_run<mutex12>},     {"holder", in_run<holder>},
                             {"unwinding", in_run<unwinding>}, {"registers", in_run<registers>},
                             {"waits", in_run<waits>},         {"stops", in_run<stops>},
                             {"stdio", in_run<stdio>}};

}  // namespace

int main(int argc, char** argv) { return main_of(kScenes, argc, argv); }

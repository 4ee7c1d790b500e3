// SPDX-License-Identifier: Apache-2.0
// GODEBUG=chaos does something: each of its four effects is seen on one P, where without it none would be.
// RUN-ENV: GODEBUG=chaos=1 GOMAXPROCS=1
// STDOUT: \Aqueues of four overflow: yes\nbuffered sends yield: yes\nsemaphore waiters wake for nothing: yes\nfutexes wake for nothing: yes\n\Z
#include <gort/gort.hpp>

#include <cstdio>

#include "os/futex.hpp"
#include "sched/proc.hpp"
#include "sched/sema.hpp"

namespace rt = gort::rt;
using namespace std::chrono_literals;

namespace {

void report(const char* what, int times) {
  std::printf("%s: %s\n", what, times > 0 ? "yes" : "no");
  std::fprintf(stderr, "%s: %d times\n", what, times);
}

// Fifty new goroutines fit into the ring of 256; of a ring of four, half goes to the global queue.
int overflows() {
  int n = 0;
  gort::wait_group wg;
  for (int i = 0; i < 50; ++i) {
    wg.go([] {});
    n += rt::sched.runqsize.load(rt::Order::relaxed) > 0;
  }
  wg.wait();
  return n;
}

// A send that finds room has no reason to let another goroutine run.
int yields() {
  auto room = gort::make_chan<int>(500);
  int turns = 0, n = 0;
  bool stop = false;
  auto other = gort::spawn([&] {
    while (!stop) {
      ++turns;
      gort::yield();
    }
  });
  for (int i = 0; i < 500; ++i) {
    const int before = turns;
    room.send(i);
    n += turns != before;
  }
  stop = true;
  other.join();
  return n;
}

// A waiter of a semaphore that nobody releases is parked for good; one that was woken for nothing is runnable again.
int wakeups() {
  int n = 0;
  for (int i = 0; i < 100; ++i) {
    rt::Atomic<rt::uint32> word{0};
    rt::G* gp = nullptr;
    auto waiter = gort::spawn([&] {
      gp = rt::getg();
      rt::semacquire(&word);
    });
    while (gp == nullptr) gort::yield();
    n += static_cast<rt::GStatus>(rt::readgstatus(gp)) == rt::GStatus::Grunnable;
    rt::semrelease(&word);
    waiter.join();
  }
  return n;
}

int futexes() {
  int n = 0;
  for (int i = 0; i < 20; ++i) {
    rt::Atomic<rt::uint32> word{0};
    const auto begin = gort::clock::now();
    rt::os::futexsleep(&word, 0, 20000000);
    n += gort::clock::now() - begin < 10ms;
  }
  return n;
}

}  // namespace

int main() {
  return gort::run([] {
    report("queues of four overflow", overflows());
    report("buffered sends yield", yields());
    report("semaphore waiters wake for nothing", wakeups());
    report("futexes wake for nothing", futexes());
  });
}

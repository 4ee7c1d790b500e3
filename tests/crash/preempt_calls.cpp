// SPDX-License-Identifier: Apache-2.0
// System calls of the user's that the preemption signal meets: they last as long as they should, they leave the P to
// others, and signals of the user's still end them. And threads: who leaves run(), who shuts down.
// STDOUT: \A(?:[a-z_0-9]+ on [12]: ok\n){18}\Z
// TIMEOUT: 300
// SKIP-IN: thread (the sanitizer delivers signals when it likes; Gort does without them there)
#include <atomic>
#include <cerrno>
#include <optional>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <thread>

#include "scenes.hpp"

using namespace std::chrono_literals;
using namespace scenes;

namespace {

// sleep(3) passes one timespec as request and as remainder.
void remainder_is_request() {
  gort::go([] {
    for (int i = 0; i < 20; ++i) gort::sleep(25ms);
  });
  gort::yield();
  const double begin = seconds();
  std::this_thread::sleep_for(500ms);
  CHECK(seconds() - begin >= 0.5);
}

// There is no thread yet that could take the P when the sleep begins: a neighbour's timer fires all the same.
void neighbour_of_sleeper() {
  static std::atomic<int> turns{0};
  gort::go([] {
    for (;; ++turns) gort::sleep(50ms);
  });
  gort::yield();
  ::usleep(2000000);
  CHECK(turns > 0);
}

// A stop of the world does not know for how long a thread has slept.
void stops_shorten_nothing() {
  static std::atomic<int> stage{0};
  auto sleeper = gort::spawn([] {
    const gort::runtime::os_thread_lock here;
    stage = 1;
    ::poll(nullptr, 0, 100);
    gort::sleep(300ms);
    stage = 2;
    const double begin = seconds();
    const timespec half{0, 500'000'000};
    ::nanosleep(&half, nullptr);
    CHECK(seconds() - begin >= 0.5);
    stage = 3;
  });
  while (stage != 2) gort::sleep(1ms);
  for (int i = 0; stage != 3; ++i) {
    gort::sleep(20ms);
    (void)gort::runtime::max_procs(1 + i % 2);
  }
  sleeper.join();
}

// The user's own handler, which blocks all signals, ends a poll: so late that ours is waiting behind it.
void own_signal_ends_poll() {
  static std::atomic<int> fired{0};
  struct sigaction sa {};
  sa.sa_handler = [](int) {
    ++fired;
    spin(0.04);
  };
  sigfillset(&sa.sa_mask);
  sigaction(SIGALRM, &sa, nullptr);
  gort::go([] {
    for (;;) gort::sleep(5ms);
  });
  gort::yield();
  const gort::runtime::os_thread_lock here;
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_t self = pthread_self();
  std::thread later([self] {
    usleep(100000);
    pthread_kill(self, SIGALRM);
  });
  const int r = ::poll(nullptr, 0, 30000);
  CHECK(r == -1 && errno == EINTR && fired == 1);
  later.join();
}

// A signal that only sigsuspend lets in wakes it, whatever ours is doing at that moment.
void sigsuspend_wakes() {
  constexpr int kRounds = 100;
  static std::atomic<int> handled{0}, wanted{0}, tid{0};
  struct sigaction sa {};
  sa.sa_handler = [](int) { ++handled; };
  sigaction(SIGUSR1, &sa, nullptr);
  std::atomic<bool> stop = false;
  auto busy = gort::spawn([&] {
    while (!stop) {
      spin(50e-6);
      gort::yield();
    }
  });
  std::thread killer([] {
    unsigned r = 77;
    for (int sent = 0; sent < kRounds;) {
      if (wanted == sent) {
        usleep(50);
        continue;
      }
      r = r * 1664525 + 1013904223;
      usleep(8000 + (r >> 16) % 8000);
      ++sent;
      syscall(SYS_tgkill, getpid(), tid.load(), SIGUSR1);
    }
  });
  auto waiter = gort::spawn([] {
    const gort::runtime::os_thread_lock here;
    sigset_t usr1, old;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, &old);
    sigset_t open = old;
    sigdelset(&open, SIGUSR1);
    tid = gettid();
    for (int i = 0; i < kRounds; ++i) {
      gort::yield();
      wanted = i + 1;
      while (handled <= i) sigsuspend(&open);  // for ever, if the signal was handled in between
    }
    pthread_sigmask(SIG_SETMASK, &old, nullptr);
  });
  waiter.join();
  killer.join();
  stop = true;
  busy.join();
}

// The signal came when the first run() had just ended: the second one preempts its thread all the same.
int second_run() {
  sigset_t urg;
  sigemptyset(&urg);
  sigaddset(&urg, SIGURG);
  gort::run([&] {
    pthread_sigmask(SIG_BLOCK, &urg, nullptr);
    gort::go([] {
      for (;;) gort::yield();
    });
    spin(0.1);
  });
  pthread_sigmask(SIG_UNBLOCK, &urg, nullptr);
  return gort::run([] {
    static std::atomic<bool> ran = false;
    gort::go([] { ran = true; });
    for (const double end = seconds() + 20; !ran && seconds() < end;) {
    }
    CHECK(ran);
  });
}

// A goroutine that is locked to the thread of run(), and comes back into the runtime when the run is over.
int locked_to_the_first_thread() {
  static const int first = gettid();
  static std::atomic<bool> there = false;
  gort::run([] {
    gort::blocking([] { usleep(20000); });
    for (int i = 0; i < 400 && !there; ++i) {
      gort::go([] {
        if (gettid() != first || there) gort::sleep(50us);
        if (gettid() != first || there.exchange(true)) return;
        const gort::runtime::os_thread_lock here;
        spin(0.08);
        gort::yield();
        for (;;) gort::sleep(1ms);
      });
      gort::sleep(200us);
      gort::blocking([] { usleep(300); });
    }
    for (int i = 0; i < 500 && gettid() == first && there; ++i) gort::sleep(100us);
  });
  return 0;
}

int shutdown_with_a_hog() {
  gort::run([] {
    gort::go([] { endless(); });
    gort::sleep(50ms);
  });
  (void)gort::shutdown(100ms);  // an error or none, but it returns
  _exit(0);
}

int signal_stack_comes_back() {
  static char mine[1 << 16];
  stack_t st{}, now{};
  st.ss_sp = mine;
  st.ss_size = sizeof mine;
  sigaltstack(&st, nullptr);
  sigset_t urg, mask;
  sigemptyset(&urg);
  sigaddset(&urg, SIGURG);
  pthread_sigmask(SIG_BLOCK, &urg, nullptr);
  gort::run([] { gort::sleep(1ms); });
  sigaltstack(nullptr, &now);
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  CHECK(now.ss_sp == mine && now.ss_size == sizeof mine);
  CHECK(sigismember(&mask, SIGURG) == 1);
  return 0;
}

constexpr scene kScenes[] = {{"remainder_is_request", in_run<remainder_is_request>},
                             {"neighbour_of_sleeper", in_run<neighbour_of_sleeper>},
                             {"stops_shorten_nothing", in_run<stops_shorten_nothing>},
                             {"own_signal_ends_poll", in_run<own_signal_ends_poll>},
                             {"sigsuspend_wakes", in_run<sigsuspend_wakes>},
                             {"second_run", second_run},
                             {"locked_to_the_first_thread", locked_to_the_first_thread},
                             {"shutdown_with_a_hog", shutdown_with_a_hog},
                             {"signal_stack_comes_back", signal_stack_comes_back}};

}  // namespace

int main(int argc, char** argv) { return main_of(kScenes, argc, argv); }

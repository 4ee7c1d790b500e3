// SPDX-License-Identifier: Apache-2.0
// GODEBUG=chaos=1..20: tiny queues, steals first, random yields, spurious wake-ups; results are right all the same.
// TIMEOUT: 100
// STDOUT: \Achaos 1: right\n
// STDOUT: ^chaos 20: right\n\Z
// STDOUT-NOT: wrong
#include <gort/gort.hpp>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>

using namespace std::chrono_literals;

namespace {

// Sieve of primes: a chain of goroutines, one for each prime found.
int sieve(int n) {
  auto numbers = gort::produce<int>(0, [](const gort::send_chan<int>& out) {
    for (int i = 2; i < 100; ++i) out.send(i);
  });
  for (int k = 0;; ++k) {
    const int prime = numbers.recv().value_or(-1);
    if (k == n) {
      while (numbers.recv()) {
      }
      return prime;
    }
    numbers = gort::produce<int>(0, [=](const gort::send_chan<int>& out) {
      for (int i : numbers) {
        if (i % prime != 0) out.send(i);
      }
    });
  }
}

int sum_of_workers() {
  auto jobs = gort::make_chan<int>(3);
  gort::mutex mu;
  gort::cond changed;
  int sum = 0, done = 0;
  gort::wait_group wg;
  for (int w = 0; w < 8; ++w) {
    wg.go([&] {
      for (int j : jobs) {
        if (j % 50 == 0) gort::sleep(10us);
        std::lock_guard l{mu};
        sum += j;
        ++done;
        changed.notify_one();
      }
    });
  }
  for (int i = 1; i <= 500; ++i) jobs.send(i);
  jobs.close();
  {
    std::unique_lock l{mu};
    changed.wait(l, [&] { return done == 500; });
  }
  wg.wait();
  return sum;
}

int timeouts() {
  auto never = gort::make_chan<int>();
  int n = 0;
  gort::recv_case r{never};
  gort::timeout_case t{100us};
  for (int i = 0; i < 20; ++i) n += gort::select(r, t) == t ? 1 : 0;
  return n;
}

int program() {
  const bool right = sieve(20) == 73 && sum_of_workers() == 125250 && timeouts() == 20;
  std::puts(right ? "right" : "wrong");
  return right ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return gort::run(program);
  int failed = 0;
  for (int seed = 1; seed <= 20; ++seed) {
    std::printf("chaos %d: ", seed);
    std::fflush(stdout);
    const std::string command = "GODEBUG=chaos=" + std::to_string(seed) + " " + argv[0] + " child";
    const int status = std::system(command.c_str());
    if (status != 0) std::printf("wrong: status %d\n", status);
    failed += status != 0;
  }
  return failed == 0 ? 0 : 1;
}

// SPDX-License-Identifier: Apache-2.0
// A goroutine dump of a program that goes on running: who waits for what, since when, where, started by whom.
// The same text comes with SIGQUIT (Ctrl-\), and with every panic under GOTRACEBACK=all.
//
// RUN:
// STDOUT: \Agoroutine 1 \[running\]:\n
// STDOUT: \[select\] \{name: dispatcher\}:
// STDOUT: \[sleep\] \{name: heartbeat\}:
// STDOUT: \[sync\.Mutex\.Lock\] \{name: writer\}:
// STDOUT: ^and the program goes on: 3$
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <cstdio>
#include <mutex>

using namespace std::chrono_literals;

namespace {

void dispatcher(gort::recv_chan<int> jobs, gort::recv_chan<> quit, gort::send_chan<int> results) {
  gort::recv_case job{std::move(jobs)};
  gort::recv_case stop{std::move(quit)};
  while (gort::select(job, stop) == job) results.send(*job + 1);
}

void heartbeat() {
  for (;;) gort::sleep(1h);
}

void writer(gort::mutex& mu) { std::lock_guard l{mu}; }

gort::error program() {
  auto jobs = gort::make_chan<int>();
  auto results = gort::make_chan<int>();
  auto quit = gort::make_chan();
  gort::mutex mu;
  {
    std::unique_lock held{mu};
    gort::go({.name = "dispatcher"}, dispatcher, jobs, quit, results);
    gort::go({.name = "heartbeat"}, heartbeat);
    gort::go({.name = "writer"}, writer, std::ref(mu));
    gort::sleep(20ms);  // let them reach their places
    if (auto err = gort::debug::dump_goroutines(1)) return err;
  }
  jobs.send(2);
  std::printf("\nand the program goes on: %d\n", results.recv().value_or(-1));
  quit.close();
  return {};
}

}  // namespace

int main() { return gort::run(program); }

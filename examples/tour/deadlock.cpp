// SPDX-License-Identifier: Apache-2.0
// A deadlock, on purpose: two goroutines take two locks in opposite orders, and main waits for both.
// Nothing can ever run again; the runtime says so, shows every goroutine with what it waits for and where it was started,
// and ends the process with status 2.
//
// RUN:
// EXIT: 2
// STDERR: \Afatal error: all goroutines are asleep - deadlock!\n\ngoroutine 1 \[sync\.WaitGroup\.Wait\]:\n
// STDERR: ^goroutine \d+ \[sync\.Mutex\.Lock\] \{name: left first\}:\n
// STDERR: ^goroutine \d+ \[sync\.Mutex\.Lock\] \{name: right first\}:\n
// STDERR: ^created by
#include <gort/gort.hpp>

#include <mutex>

using namespace std::chrono_literals;

namespace {

struct table {
  gort::mutex left, right;
};

void eat(gort::mutex& first, gort::mutex& second) {
  std::lock_guard a{first};
  gort::sleep(20ms);  // the other one takes its first lock meanwhile
  std::lock_guard b{second};
}

void program() {
  table t;
  gort::wait_group done;
  done.add(2);
  gort::go({.name = "left first"}, [&] {
    eat(t.left, t.right);
    done.done();
  });
  gort::go({.name = "right first"}, [&] {
    eat(t.right, t.left);
    done.done();
  });
  done.wait();
}

}  // namespace

int main() { return gort::run(program); }

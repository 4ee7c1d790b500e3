// SPDX-License-Identifier: Apache-2.0
// A deadlock with another goroutine locked to its thread.   Origin: Go runtime/crash_test.go (LockedDeadlock2).
// EXIT: 2
// STDERR: \Afatal error: all goroutines are asleep - deadlock!\n
// STDERR: ^goroutine 1 \[select \(no cases\)\]:
// STDERR: ^goroutine \d+ \[chan receive, locked to thread\]:
#include <gort/gort.hpp>
#include <gort/runtime.hpp>
int main() {
  return gort::run([] {
    gort::go([] {
      gort::runtime::os_thread_lock lock;
      auto c = gort::make_chan<int>();
      (void)c.recv();
    });
    gort::sleep(std::chrono::milliseconds(10));
    gort::select();
  });
}

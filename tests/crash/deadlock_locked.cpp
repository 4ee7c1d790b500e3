// SPDX-License-Identifier: Apache-2.0
// A deadlock with main locked to its thread.   Origin: Go runtime/crash_test.go (LockedDeadlock).
// EXIT: 2
// STDERR: \Afatal error: all goroutines are asleep - deadlock!\n
// STDERR: ^goroutine 1 \[select \(no cases\), locked to thread\]:
#include <gort/gort.hpp>
#include <gort/runtime.hpp>
int main() {
  return gort::run([] {
    gort::runtime::os_thread_lock lock;
    gort::select();
  });
}

// SPDX-License-Identifier: Apache-2.0
// A goroutine that waits while another one fails or asks, for traceback_*.cpp and others that print stacks.
#pragma once
#include <gort/gort.hpp>

[[gnu::noinline]] inline void waiter() {
  auto c = gort::make_chan<int>();
  (void)c.recv();
  asm volatile("");
}

// fail_beside_a_waiter runs fail() as the main goroutine when a waiter has parked.
template <class F>
int fail_beside_a_waiter(F fail) {
  return gort::run([fail] {
    gort::go(waiter);
    gort::sleep(std::chrono::milliseconds(10));
    fail();
  });
}

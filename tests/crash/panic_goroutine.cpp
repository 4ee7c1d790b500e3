// SPDX-License-Identifier: Apache-2.0
// The dump of a goroutine names who started it and where.
// EXIT: 2
// STDERR: \Apanic: boom\n\ngoroutine \d+ \[running\]:\n
// STDERR: ^worker\(\.\.\.\)\n\t.*panic_goroutine\.cpp:\d+
// STDERR: ^created by start\S* in goroutine 1\n\t.*panic_goroutine\.cpp:1\d
#include <gort/gort.hpp>

[[gnu::noinline]] void worker() { gort::panic("boom"); }
[[gnu::noinline]] void start() {
  gort::go(worker);
  gort::select();
}
int main() {
  return gort::run([] { start(); });
}

// SPDX-License-Identifier: Apache-2.0
// abort() (a failed assert, say) shows the goroutine that called it.
// SIGNAL: 6
// STDERR: ^\[signal SIGABRT: abort code=0x[0-9a-f]+ pc=0x[0-9a-f]+\]\n\ngoroutine 1 \[running\]:
// STDERR: ^give_up\(
#include <gort/gort.hpp>

#include <cstdlib>
[[gnu::noinline]] void give_up() { std::abort(); }
int main() {
  return gort::run([] { give_up(); });
}

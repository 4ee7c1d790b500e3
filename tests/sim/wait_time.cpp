// SPDX-License-Identifier: Apache-2.0
// A report says how long a goroutine has waited, in whole minutes, from one on.
// RUN-ENV: GODEBUG=sim=3
// STDOUT: \[chan receive, 5 minutes\] \{name: long\}:
// STDOUT: \[sleep, 5 minutes\] \{name: sleeper\}:
// STDOUT: \[chan receive\] \{name: soon\}:
#include <gort/gort.hpp>
#include <gort/runtime.hpp>

using namespace std::chrono_literals;
int main() {
  return gort::run([] {
    auto never = gort::make_chan();
    gort::go({.name = "long"}, [=] { (void)never.recv(); });
    gort::go({.name = "sleeper"}, [] { gort::sleep(1h); });
    gort::sleep(5min);
    gort::go({.name = "soon"}, [=] { (void)never.recv(); });
    gort::sleep(30s);
    (void)gort::debug::dump_goroutines(1);
    return 0;
  });
}

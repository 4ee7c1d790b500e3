// SPDX-License-Identifier: Apache-2.0
// After goexit of the main goroutine the others go on.   Origin: Go runtime.Goexit's documentation.
// EXIT: 7
// STDOUT: still here
#include <gort/gort.hpp>

#include <cstdio>
#include <cstdlib>
using namespace std::chrono_literals;
int main() {
  return gort::run([] {
    gort::go([] {
      gort::sleep(20ms);
      std::puts("still here");
      std::fflush(stdout);
      std::_Exit(7);
    });
    gort::goexit();
  });
}

// SPDX-License-Identifier: Apache-2.0
// catch (...) that does not rethrow a panic's unwinding: a fatal error that names the place.
// EXIT: 2
// STDERR: ^fatal error: catch \(\.\.\.\) swallowed a panic; it must rethrow it \(throw;\)
// STDERR: caught in greedy near .*panic_swallowed\.cpp:1\d
// STDERR: the panic was: boom
// STDOUT-NOT: went on
#include <gort/gort.hpp>

#include <cstdio>
[[gnu::noinline]] void greedy() {
  try {
    gort::panic("boom");
  } catch (...) {
    std::puts("caught");
  }
  std::puts("went on");
}
int main() {
  return gort::run([] {
    gort::func([](auto& fn) {
      fn.recover([](const gort::panic_info&) {});
      greedy();
    });
  });
}

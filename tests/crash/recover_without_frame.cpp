// SPDX-License-Identifier: Apache-2.0
// Go's recover() in a block's defer, without a func around it, ends the goroutine as goexit does.
// EXIT: 0
// STDOUT: \Arecovered boom\nlocal gone\nmain ends\n\Z
#include <gort/gort.hpp>

#include <cstdio>
struct noisy {
  ~noisy() { std::puts("local gone"); }
};
int main() {
  return gort::run([] {
    gort::wait_group wg;
    wg.add(1);
    gort::go([&] {
      gort::defer done{[&] { wg.done(); }};
      noisy n;
      gort::defer d{[] {
        if (const gort::panic_info* p = gort::recover()) std::printf("recovered %s\n", p->message().c_str());
      }};
      gort::panic("boom");
    });
    wg.wait();
    gort::sleep(std::chrono::milliseconds(20));
    std::puts("main ends");
  });
}

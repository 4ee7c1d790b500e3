// SPDX-License-Identifier: Apache-2.0
// Files through io_uring in two runs, and a deadlock is still seen afterwards: the ring's collector waits for nothing.
// RUN-ENV: GODEBUG=iouring=2
// EXIT: 2
// STDOUT: \Aabc\nabc\n\Z
// STDERR: ^fatal error: all goroutines are asleep - deadlock!
#include <gort/gort.hpp>

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>
void use() {
  char path[] = "/tmp/gort-ring-XXXXXX";
  auto f = gort::os::adopt(::mkostemp(path, O_CLOEXEC), path).value();
  ::unlink(path);
  (void)f.write("abc");
  std::string back(3, ' ');
  if (f.pread(gort::io::as_writable_bytes(back), 0).value_or(0) == 3) std::printf("%s\n", back.c_str());
  std::fflush(stdout);
}
int main() {
  gort::run(use);
  return gort::run([] {
    use();
    (void)gort::make_chan<int>().recv();
  });
}

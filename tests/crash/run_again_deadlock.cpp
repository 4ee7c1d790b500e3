// SPDX-License-Identifier: Apache-2.0
// Goroutines that a run() has left behind in the netpoller are waited for by nobody: a deadlock in a later run is reported,
// also when the sockets become ready meanwhile. The report shows the run's own goroutines, not those left behind.
// EXIT: 2
// STDOUT: \Aparked 48\nparked 48\n\Z
// STDERR: \Afatal error: all goroutines are asleep - deadlock!\n\ngoroutine \d+ \[chan receive\]:\n
// STDERR: ^main_waits\(
// STDERR-NOT: leave_readers_behind
#include <gort/gort.hpp>

#include <cstdio>
#include <sys/socket.h>
#include <unistd.h>
using namespace std::chrono_literals;
constexpr int kSockets = 16;
int ends[kSockets][2];
void leave_readers_behind() {
  gort::wait_group parked;
  parked.add(3 * kSockets);
  for (auto& pair : ends) {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return;
    gort::go([&parked, fd = pair[0]] {
      auto f = gort::os::adopt(fd, "socket").value();
      parked.done();
      std::byte b[1];
      (void)f.read(b);
    });
    gort::go([&parked] {
      auto l = gort::net::listen("tcp", "127.0.0.1:0").value();
      parked.done();
      (void)l.accept();
    });
    gort::go([&parked] {
      auto p = gort::os::pipe().value();
      (void)p.reader.set_read_deadline(gort::clock::now() + 1h);
      parked.done();
      std::byte b[1];
      (void)p.reader.read(b);
    });
  }
  parked.wait();
  gort::sleep(5ms);
  std::printf("parked %d\n", 3 * kSockets);
  std::fflush(stdout);
}
[[gnu::noinline]] void main_waits() {
  for (auto& pair : ends) (void)!::write(pair[1], "x", 1);
  gort::sleep(5ms);
  auto c = gort::make_chan<int>();
  (void)c.recv();
  asm volatile("");
}
int main() {
  gort::run(leave_readers_behind);
  gort::run(leave_readers_behind);
  return gort::run(main_waits);
}

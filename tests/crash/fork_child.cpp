// SPDX-License-Identifier: Apache-2.0
// The child of a fork has none of the threads: its first use of Gort is a clear fatal error; exec and _exit work.
// SKIP-IN: thread (the sanitizer itself refuses threads after a fork)
// STDOUT: \Asend: exit 2\nsleep: exit 2\ngo: exit 2\nyield: exit 2\nblocking: exit 2\nlocked: exit 2\nstop: exit 2\nexec: exit 7\n_exit: exit 8\n
// STDOUT: one processor\nsend: exit 2\nsleep: exit 2\ngo: exit 2\nyield: exit 2\nblocking: exit 2\nlocked: exit 2\nstop: exit 2\nexec: exit 7\n_exit: exit 8\nparent lives\n\Z
// STDERR: \Afatal error: gort: used in the child of a fork\n\ngoroutine 1 \[chan send\]:\n
// STDERR-NOT: fatal error: (?!gort: used in the child of a fork\n)
#include <sys/wait.h>
#include <unistd.h>

#include <gort/gort.hpp>
#include <gort/runtime.hpp>

#include <chrono>
#include <cstdio>
using namespace std::chrono_literals;
// child runs what in a child of this process and prints how it ended; one that hangs is ended by a signal.
template <class F>
void child(const char* name, F what) {
  std::fflush(stdout);
  const pid_t p = fork();
  if (p == 0) {
    alarm(10);
    what();
    _exit(1);
  }
  int st = 0;
  gort::blocking([&] { waitpid(p, &st, 0); });
  if (WIFEXITED(st)) std::printf("%s: exit %d\n", name, WEXITSTATUS(st));
  if (WIFSIGNALED(st)) std::printf("%s: signal %d\n", name, WTERMSIG(st));
}
void all() {
  child("send", [] { gort::make_chan<int>().send(1); });
  child("sleep", [] { gort::sleep(1ms); });
  child("go", [] { gort::go([] {}); });
  child("yield", [] { gort::yield(); });
  child("blocking", [] { gort::blocking([] {}); });
  child("locked", [] {
    gort::runtime::os_thread_lock lock;
    (void)gort::make_chan<int>().recv();
  });
  child("stop", [] { gort::runtime::max_procs(gort::runtime::max_procs() + 1); });
  child("exec", [] { execl("/bin/sh", "sh", "-c", "exit 7", nullptr); });
  child("_exit", [] { _exit(8); });
}
int main() {
  return gort::run([] {
    all();
    gort::runtime::max_procs(1);
    std::puts("one processor");
    all();
    gort::spawn([] { gort::sleep(1ms); }).join();
    std::puts("parent lives");
  });
}

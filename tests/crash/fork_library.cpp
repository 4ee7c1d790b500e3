// SPDX-License-Identifier: Apache-2.0
// As fork_child.cpp without gort::run: a thread of the host forks, and a program whose run() has ended does.
// SKIP-IN: thread (the sanitizer itself refuses threads after a fork)
// STDOUT: \Ablock_on: exit 2\ncall: exit 2\nexec: exit 7\nrun: exit 2\nparent lives\n\Z
// STDERR: \Afatal error: gort: used in the child of a fork\n
// STDERR-NOT: fatal error: (?!gort: used in the child of a fork\n)
#include <sys/wait.h>
#include <unistd.h>

#include <gort/gort.hpp>

#include <cstdio>
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
  waitpid(p, &st, 0);
  if (WIFEXITED(st)) std::printf("%s: exit %d\n", name, WEXITSTATUS(st));
  if (WIFSIGNALED(st)) std::printf("%s: signal %d\n", name, WTERMSIG(st));
}
int main() {
  auto c = gort::make_chan<int>(1);
  gort::block_on([=] { c.send(1); });
  child("block_on", [] { gort::block_on([] {}); });
  child("call", [=] { (void)c.recv(); });
  child("exec", [] { execl("/bin/sh", "sh", "-c", "exit 7", nullptr); });
  gort::run([] {});
  child("run", [] { gort::run([] {}); });
  if (c.recv() == 1) std::puts("parent lives");
}

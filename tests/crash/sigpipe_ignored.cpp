// SPDX-License-Identifier: Apache-2.0
// Who had SIGPIPE ignored before run keeps it so: a write to a broken standard output fails and no more.
// STDERR: \AEPIPE\n\Z
#include <gort/gort.hpp>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <unistd.h>
int main() {
  std::signal(SIGPIPE, SIG_IGN);
  return gort::run([] {
    int p[2];
    if (::pipe(p) != 0) return;
    ::dup2(p[1], 1);
    ::close(p[0]);
    ::close(p[1]);
    if (::write(1, "x", 1) < 0 && errno == EPIPE) std::fputs("EPIPE\n", stderr);
  });
}

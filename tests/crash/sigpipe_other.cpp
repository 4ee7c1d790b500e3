// SPDX-License-Identifier: Apache-2.0
// On other descriptors the write fails with EPIPE; one who asks for SIGPIPE gets it, for standard output too.
// SKIP-IN: thread (the sanitizer delays signals)
// STDERR: \Abroken: Broken pipe\nSIGPIPE\nSIGPIPE, and still here\n\Z
#include <gort/gort.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unistd.h>
int main() {
  return gort::run([] {
    int p[2];
    if (::pipe(p) != 0) return;
    ::close(p[0]);
    if (::write(p[1], "x", 1) < 0) std::fprintf(stderr, "broken: %s\n", std::strerror(errno));
    auto c = gort::make_chan<int>(1);
    auto sub = gort::signal::notify(c, {SIGPIPE});
    (void)!::write(p[1], "x", 1);
    if (c.recv() == SIGPIPE) std::fputs("SIGPIPE\n", stderr);
    ::dup2(p[1], 1);
    (void)!::write(1, "x", 1);
    if (c.recv() == SIGPIPE) std::fputs("SIGPIPE, and still here\n", stderr);
  });
}

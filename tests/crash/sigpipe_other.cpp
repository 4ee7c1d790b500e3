// SPDX-License-Identifier: Apache-2.0
// On other descriptors the write fails with EPIPE; one who asks for SIGPIPE gets it, for standard output too.
// SKIP-IN: thread (the sanitizer delays signals)
// STDERR: \Abroken: Broken pipe\nSIGPIPE\nSIGPIPE, and still here\n\Z
#include "sigpipe.hpp"
int main() {
  return gort::run([] {
    const int fd = broken_pipe();
    if (::write(fd, "x", 1) < 0) std::fprintf(stderr, "broken: %s\n", std::strerror(errno));
    auto c = gort::make_chan<int>(1);
    auto sub = gort::signal::notify(c, {SIGPIPE});
    (void)!::write(fd, "x", 1);
    if (c.recv() == SIGPIPE) say("SIGPIPE");
    break_stdout();
    (void)!::write(1, "x", 1);
    if (c.recv() == SIGPIPE) say("SIGPIPE, and still here");
  });
}

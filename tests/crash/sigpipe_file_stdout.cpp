// SPDX-License-Identifier: Apache-2.0
// Standard output as an os::file ends the process by SIGPIPE as well, unless the program has chosen to ignore that signal.
// SIGNAL: 13
// STDERR: \Aignored: EPIPE\nasked for: EPIPE, SIGPIPE\n\Z
#include "sigpipe.hpp"
int main() {
  return gort::run([] {
    break_stdout();
    auto out = gort::os::adopt(1, "stdout").value();
    std::signal(SIGPIPE, SIG_IGN);
    if (out.write("x").error() == std::errc::broken_pipe) say("ignored: EPIPE");
    std::signal(SIGPIPE, SIG_DFL);
    {
      auto c = gort::make_chan<int>(1);
      auto sub = gort::signal::notify(c, {SIGPIPE});
      const bool failed = out.write("x").error() == std::errc::broken_pipe;
      if (failed && c.recv() == SIGPIPE) say("asked for: EPIPE, SIGPIPE");
    }
    (void)out.write("x");
    say("still here");
  });
}

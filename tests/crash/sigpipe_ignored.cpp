// SPDX-License-Identifier: Apache-2.0
// Who had SIGPIPE ignored before run keeps it so: a write to a broken standard output fails and no more.
// STDERR: \AEPIPE\n\Z
#include "sigpipe.hpp"
int main() {
  std::signal(SIGPIPE, SIG_IGN);
  return gort::run([] {
    break_stdout();
    if (::write(1, "x", 1) < 0 && errno == EPIPE) say("EPIPE");
  });
}

// SPDX-License-Identifier: Apache-2.0
// Who gives SIGPIPE its default back after run has begun: the library's own writes fail all the same, and nobody dies.
// STDERR: \Apipe: EPIPE\nconn: EPIPE\nsend_file: EPIPE\nsocket: EPIPE\n\Z
#include "sigpipe.hpp"
int main() {
  return gort::run([] {
    std::signal(SIGPIPE, SIG_DFL);
    write_everywhere();
  });
}

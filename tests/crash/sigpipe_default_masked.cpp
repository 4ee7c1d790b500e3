// SPDX-License-Identifier: Apache-2.0
// As sigpipe_default, on a kernel that knows no write without the signal. A handler of the program's sees nothing either.
// RUN-ENV: GODEBUG=rwnosignal=0
// STDERR: \A(pipe: EPIPE\nconn: EPIPE\nsend_file: EPIPE\nsocket: EPIPE\n){3}\Z
#include "sigpipe.hpp"
int main() {
  return gort::run([] {
    write_everywhere();
    std::signal(SIGPIPE, SIG_DFL);
    write_everywhere();
    std::signal(SIGPIPE, [](int) { ::_exit(9); });
    write_everywhere();
  });
}

// SPDX-License-Identifier: Apache-2.0
// signal_policy::minimal takes the faults and leaves SIGABRT, SIGQUIT and all others as they were; later runs change it.
// SIGURG is the scheduler's, except under signal_policy::none.
// SKIP-IN: address thread undefined (they take the fault signals themselves)
// STDOUT: \Aminimal: SEGV BUS FPE ILL URG\nstandard: SEGV BUS FPE ILL ABRT QUIT PIPE URG\nnone:\nminimal: SEGV BUS FPE ILL URG\n\Z
#include <gort/gort.hpp>

#include <csignal>
#include <cstdio>

namespace {

void show(const char* policy) {
  constexpr struct {
    int number;
    const char* name;
  } kSignals[] = {{SIGSEGV, "SEGV"}, {SIGBUS, "BUS"},   {SIGFPE, "FPE"},   {SIGILL, "ILL"},
                  {SIGABRT, "ABRT"}, {SIGQUIT, "QUIT"}, {SIGPIPE, "PIPE"}, {SIGURG, "URG"},
                  {SIGPROF, "PROF"}, {SIGINT, "INT"},   {SIGTERM, "TERM"}, {SIGHUP, "HUP"}};
  std::printf("%s:", policy);
  for (const auto& s : kSignals) {
    struct sigaction now {};
    sigaction(s.number, nullptr, &now);
    if (now.sa_handler != SIG_DFL) std::printf(" %s", s.name);
  }
  std::puts("");
}

}  // namespace

int main() {
  using gort::signal_policy;
  gort::run({.signals = signal_policy::minimal}, [] { show("minimal"); });
  gort::run([] { show("standard"); });
  gort::run({.signals = signal_policy::none}, [] { show("none"); });
  gort::run({.signals = signal_policy::minimal}, [] { show("minimal"); });
}

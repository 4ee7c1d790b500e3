// SPDX-License-Identifier: Apache-2.0
// Huge pages set to "always" must not turn every stack into a huge page. Changes the system's setting, where it may, for
// the moment that the child needs; restored by the parent, however the child ends.
// SKIP-IN: thread address (their memory is not ours)
// MAY-SKIP: needs the right to change the setting, or a machine where it is "always"
// STDOUT: less than 32 KiB a goroutine: yes
#include <gort/gort.hpp>

#include <cstdio>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr const char* setting = "/sys/kernel/mm/transparent_hugepage/enabled";

std::string active() {  // the word in brackets
  std::string all;
  std::getline(std::ifstream(setting), all);
  const auto a = all.find('['), b = all.find(']');
  return a == std::string::npos || b == std::string::npos ? "" : all.substr(a + 1, b - a - 1);
}

long resident_kib() {
  std::ifstream in("/proc/self/statm");
  long size = 0, resident = 0;
  in >> size >> resident;
  return resident * ::sysconf(_SC_PAGESIZE) / 1024;
}

void child() {
  auto never = gort::make_chan();
  gort::sleep(std::chrono::milliseconds(5));
  const long before = resident_kib();
  constexpr int n = 1000;
  for (int i = 0; i < n; ++i) gort::go([=] { (void)never.recv(); });
  gort::sleep(std::chrono::milliseconds(50));
  const double each = static_cast<double>(resident_kib() - before) / n;
  std::printf("less than 32 KiB a goroutine: %s\n", each < 32 ? "yes" : "no");
  std::fprintf(stderr, "%.1f KiB, huge pages: %s\n", each, active().c_str());
}

}  // namespace

int main() {
  const std::string was = active();
  if (!was.empty()) std::ofstream(setting) << "always";
  if (active() != "always") {
    std::printf("huge pages are '%s' and may not be set to 'always'\n", was.c_str());
    return 77;
  }
  const pid_t pid = ::fork();
  if (pid == 0) return gort::run(child);
  int status = 1;
  ::waitpid(pid, &status, 0);
  if (!was.empty()) std::ofstream(setting) << was;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// SPDX-License-Identifier: Apache-2.0
// GODEBUG=sim=SEED on a whole program: the same seed gives the same output and trace hash in every process; most seeds
// differ; an hour of sleeping takes no time.
// STDOUT: ^each seed the same twice: yes\nmost of them different: yes\n
// TIMEOUT: 100
#include <gort/gort.hpp>
#include <gort/sim.hpp>

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "base/sanitizer.hpp"

using namespace std::chrono_literals;

namespace {

void program() {
  auto c = gort::make_chan<int>();
  gort::wait_group wg;
  for (int g = 0; g < 5; ++g) {
    wg.go([=] {
      for (int i = 0; i < 3; ++i) {
        if (i == g % 3) gort::sleep(20min);
        c.send(g);
      }
    });
  }
  gort::go([&] {
    wg.wait();
    c.close();
  });
  for (int g : c) std::printf("%d", g);
  std::printf(" %llx\n", static_cast<unsigned long long>(gort::sim::trace_hash()));
}

// Twenty seeds; six where each process first sets up shadow memory.
constexpr int seeds = GORT_SANITIZED ? 6 : 20;

std::string child(const char* self, int seed) {
  const std::string command = "GODEBUG=sim=" + std::to_string(seed) + " " + self + " child";
  std::FILE* f = ::popen(command.c_str(), "r");
  if (f == nullptr) return "";
  char line[200] = {};
  const bool got = std::fgets(line, sizeof line, f) != nullptr;
  return ::pclose(f) == 0 && got ? line : "";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return gort::run(program);
  std::set<std::string> seen;
  bool same = true;
  for (int seed = 1; seed <= seeds; ++seed) {
    const std::string first = child(argv[0], seed), second = child(argv[0], seed);
    same &= !first.empty() && first == second;
    if (first != second) std::fprintf(stderr, "seed %d: %s and %s", seed, first.c_str(), second.c_str());
    seen.insert(first);
  }
  std::printf("each seed the same twice: %s\n", same ? "yes" : "no");
  std::printf("most of them different: %s\n", seen.size() > seeds * 3 / 4 ? "yes" : "no");
}

// SPDX-License-Identifier: Apache-2.0
// Scenes of a crash test: each runs in a process of its own with one and with two Ps, and with one malloc arena, so that
// every lock of libc is contended. A scene that does not end is killed after 60 s.
#pragma once
#include <gort/gort.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vector>

#define CHECK(c)                                                   \
  do {                                                             \
    if (!(c)) {                                                    \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c); \
      ::_exit(1);                                                  \
    }                                                              \
  } while (0)

namespace scenes {

inline double seconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

inline void spin(double s) {
  for (const double end = seconds() + s; seconds() < end;) {
  }
}

[[noreturn]] inline void endless() {
  for (;;) __asm__ volatile("");
}

struct scene {
  const char* name;
  int (*run)();
};

// in_run makes a scene of what is to run as the main goroutine.
template <void (*F)()>
int in_run() {
  return gort::run([] { F(); });
}

inline bool child(const scene& s, int procs) {
  std::string p = "GOMAXPROCS=" + std::to_string(procs), arenas = "MALLOC_ARENA_MAX=1",
              path = "PATH=/usr/bin:/bin";
  char* env[] = {p.data(), arenas.data(), path.data(), nullptr};
  char self[] = "/proc/self/exe";
  char* argv[] = {self, const_cast<char*>(s.name), nullptr};
  pid_t pid;
  if (posix_spawn(&pid, self, nullptr, nullptr, argv, env) != 0) return false;
  for (const double end = seconds() + 60;;) {
    int status;
    if (waitpid(pid, &status, WNOHANG) == pid) return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (seconds() > end) break;
    usleep(2000);
  }
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  return false;
}

// main_of runs the scene that argv names, or all, each in a child with one P and in one with two.
template <std::size_t N>
int main_of(const scene (&all)[N], int argc, char** argv) {
  for (const scene& s : all) {
    if (argc > 1 && s.name == std::string(argv[1])) return s.run();
  }
  bool ok = true;
  for (const scene& s : all) {
    for (int procs = 1; procs <= 2; ++procs) {
      const bool good = child(s, procs);
      std::printf("%s on %d: %s\n", s.name, procs, good ? "ok" : "FAILED");
      std::fflush(stdout);
      ok &= good;
    }
  }
  return ok ? 0 : 1;
}

}  // namespace scenes

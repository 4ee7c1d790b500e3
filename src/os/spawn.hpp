// SPDX-License-Identifier: Apache-2.0
// A child process, from clone to exec.                                    (Go: syscall/exec_linux.go, forkAndExecInChild1)
#pragma once
#include <signal.h>

#include "base/types.hpp"

namespace gort::rt::os {

enum class SpawnStep : uint8 { exec, chdir, descriptors };

struct SpawnArgs {
  const char* path;
  char* const* argv;
  char* const* envp;
  const char* dir;  // nullptr: the caller's
  int fds[3];       // what the child has as 0, 1, 2; any of the caller's numbers, the same one twice too
  uint64 mask;      // signals that the child starts with blocked
  void* stack;      // for the child until it execs
  std::size_t stackBytes;
  bool wantPidfd;
  // out
  int pidfd;             // -1: the kernel has none
  SpawnStep failedStep;  // what failed in the child
};
inline constexpr std::size_t kSpawnStack = std::size_t{16} << 10;

// spawn returns the pid of a child that runs path, or -errno. The thread waits until the child has exec'd or failed.
// Runs on: any thread that may block; no libc, no lock, no allocation.
long spawn(SpawnArgs& a);

}  // namespace gort::rt::os

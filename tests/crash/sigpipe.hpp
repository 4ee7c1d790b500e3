// SPDX-License-Identifier: Apache-2.0
// Pipes without a reader, for sigpipe_*.cpp.
#pragma once
#include <gort/gort.hpp>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

// broken_pipe is the end to write to of a pipe that has lost its reader.
inline int broken_pipe() {
  int p[2];
  if (::pipe(p) != 0) std::abort();
  ::close(p[0]);
  return p[1];
}

inline void break_stdout() {
  const int fd = broken_pipe();
  ::dup2(fd, 1);
  ::close(fd);
}

inline void say(const char* what) { std::fprintf(stderr, "%s\n", what); }

// write_everywhere writes by every way that gort has to a descriptor whose reader has gone.
inline void write_everywhere() {
  auto pipe = gort::os::adopt(broken_pipe(), "pipe").value();
  if (pipe.write("x").error() == std::errc::broken_pipe) say("pipe: EPIPE");
  auto l = gort::net::listen("unix", "@gort-sigpipe-" + std::to_string(::getpid())).value();
  auto c = gort::net::dial("unix", l.addr().string()).value();
  (void)l.accept().value().close();
  if (c.write("x").error() == std::errc::broken_pipe) say("conn: EPIPE");
  char path[] = "/tmp/gort-sigpipe-XXXXXX";
  auto f = gort::os::adopt(::mkstemp(path), path).value();
  ::unlink(path);
  (void)f.write("text");
  if (c.send_file(f, 0, 4).error() == std::errc::broken_pipe) say("send_file: EPIPE");
  auto socket = gort::os::adopt(::dup(c.native_handle()), "socket").value();
  if (socket.write("x").error() == std::errc::broken_pipe) say("socket: EPIPE");
}

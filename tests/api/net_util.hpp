// SPDX-License-Identifier: Apache-2.0
// Shared pieces of the tests of net: connected pairs and whole reads.
#pragma once
#include <gort/go.hpp>
#include <gort/net.hpp>

#include <dirent.h>
#include <gtest/gtest.h>

#include <span>
#include <string>
#include <string_view>

namespace nettest {

inline int openFiles() {
  int n = 0;
  DIR* d = opendir("/proc/self/fd");
  while (const dirent* e = readdir(d)) n += e->d_name[0] != '.';
  closedir(d);
  return n;
}

struct Pair {
  gort::net::conn client, server;
};

inline gort::net::listener listenLocal(gort::net::network n = "tcp", std::string_view where = "127.0.0.1:0") {
  auto l = gort::net::listen(n, where);
  EXPECT_TRUE(l) << l.error().message();
  return std::move(*l);
}

inline Pair connected(gort::net::listener& l, gort::net::network n = "tcp") {
  auto accepted = gort::spawn([&] { return l.accept(); });
  auto client = gort::net::dial(n, l.addr().string());
  EXPECT_TRUE(client) << client.error().message();
  auto server = accepted.join();
  EXPECT_TRUE(server) << server.error().message();
  return {std::move(*client), std::move(*server)};
}

inline Pair connected(gort::net::network n = "tcp", const std::string& where = "127.0.0.1:0") {
  gort::net::listener l = listenLocal(n, where);
  return connected(l, n);
}

// readAll reads until the peer ends.
inline std::string readAll(gort::net::conn& c) {
  std::string all;
  char buf[4096];
  for (;;) {
    auto n = c.read(std::as_writable_bytes(std::span(buf)));
    EXPECT_TRUE(n) << n.error().message();
    if (!n || *n == 0) return all;
    all.append(buf, *n);
  }
}

// readFull reads n bytes, in however many pieces the stream gives them.
inline std::string readFull(gort::net::conn& c, std::size_t n) {
  std::string s(n, 0);
  auto got = gort::io::read_full(c, gort::io::as_writable_bytes(s));
  EXPECT_TRUE(got) << got.error().message();
  return s;
}

}  // namespace nettest

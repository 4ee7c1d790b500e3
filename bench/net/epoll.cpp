// SPDX-License-Identifier: Apache-2.0
// The peer to measure by: an echo server of one thread, level-triggered epoll, and nothing but the system calls that each
// message needs.  `prog serve_echo 1`, as bench/gort/net.cpp.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

int check(int r, const char* what) {
  if (r >= 0) return r;
  std::perror(what);
  std::exit(3);
}

void watch(int epoll, int fd) {
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.fd = fd;
  check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e), "epoll_ctl");
}

void echo(int fd) {
  char buf[4096];
  const ssize_t n = read(fd, buf, sizeof buf);
  if (n <= 0 || write(fd, buf, static_cast<std::size_t>(n)) != n) close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || !std::string_view(argv[1]).starts_with("serve_echo")) return 64;
  const int listener = check(socket(AF_INET, SOCK_STREAM, 0), "socket");
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t len = sizeof at;
  check(bind(listener, reinterpret_cast<sockaddr*>(&at), len), "bind");
  check(listen(listener, 1024), "listen");
  check(getsockname(listener, reinterpret_cast<sockaddr*>(&at), &len), "getsockname");
  std::printf("port %d\n", ntohs(at.sin_port));
  std::fflush(stdout);
  const int epoll = check(epoll_create1(0), "epoll");
  watch(epoll, listener);
  for (;;) {
    epoll_event events[128];
    const int ready = check(epoll_wait(epoll, events, 128, -1), "epoll_wait");
    for (int i = 0; i < ready; ++i) {
      const int fd = events[i].data.fd;
      if (fd != listener) {
        echo(fd);
        continue;
      }
      const int c = check(accept4(listener, nullptr, nullptr, SOCK_NONBLOCK), "accept");
      const int on = 1;
      check(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
      watch(epoll, c);
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
// The load client of the group net, the same for every implementation: `load SERVER BENCH N` starts SERVER in a process of
// its own (`SERVER serve_echo 1`, which prints "port P"), keeps C connections busy, one request each at a time, until
// N requests have been answered, and prints `BENCH value unit`.
//
// One thread, level-triggered epoll, no allocation in the loop. A warm-up comes before the figures. Processor time is the
// server's own clock (utime + stime, in ns); latency is from the write of a request to its last byte back.
// It is a closed loop: with all connections waiting at the client, throughput is bound by client and server together,
// and a slow answer delays the next request. Compare implementations, do not read it as a service time.
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace {

using std::string_view;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(3);
}
long check(long r, const char* what) {
  if (r < 0) die(what);
  return r;
}

long long nowNs(clockid_t clock = CLOCK_MONOTONIC) {
  timespec ts;
  check(clock_gettime(clock, &ts), "clock_gettime");
  return ts.tv_sec * 1'000'000'000LL + ts.tv_nsec;
}

struct Bench {
  string_view name;
  const char* mode;  // what the server is asked to do
  int connections;
  bool http;
  enum { cpu, p50, p99, rate } figure;
};
constexpr Bench kBenches[] = {
    {"echo_64b_100c_server_cpu", "serve_echo", 100, false, Bench::cpu},
    {"echo_64b_100c_server_cpu_1p", "serve_echo_1p", 100, false, Bench::cpu},
    {"echo_64b_100c_p50", "serve_echo", 100, false, Bench::p50},
    {"echo_64b_100c_p99", "serve_echo", 100, false, Bench::p99},
    {"http_hello_64c", "serve_http", 64, true, Bench::rate},
};

struct Server {
  pid_t pid = -1;
  int port = 0;
  clockid_t clock{};
};

// start runs the server; it leaves with the server's status if that ends without a port (64: no such mode).
Server start(char* program, const char* mode) {
  int pipe_ends[2];
  check(pipe(pipe_ends), "pipe");
  Server s;
  s.pid = static_cast<pid_t>(check(fork(), "fork"));
  if (s.pid == 0) {
    dup2(pipe_ends[1], 1);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    execl(program, program, mode, "1", nullptr);
    _exit(127);
  }
  close(pipe_ends[1]);
  FILE* from = fdopen(pipe_ends[0], "r");
  if (std::fscanf(from, "port %d", &s.port) != 1) {
    int status = 0;
    waitpid(s.pid, &status, 0);
    std::exit(WIFEXITED(status) ? WEXITSTATUS(status) : 3);
  }
  check(-clock_getcpuclockid(s.pid, &s.clock), "clock_getcpuclockid");
  return s;
}

struct Connection {
  int fd;
  std::size_t got;
  long long sent_at;
  char buf[2048];
};

constexpr char kMessage[65] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.\n";
constexpr string_view kEcho(kMessage, 64);
constexpr string_view kGet = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

class Load {
 public:
  Load(const Bench& b, int port) : bench_(b), epoll_(static_cast<int>(check(epoll_create1(0), "epoll"))) {
    connections_.resize(static_cast<std::size_t>(b.connections));
    for (Connection& c : connections_) open(c, port);
  }

  // run sends n requests and collects their latencies.
  void run(long n) {
    latencies.clear();
    latencies.reserve(static_cast<std::size_t>(n));
    to_send_ = n;
    to_answer_ = n;
    for (Connection& c : connections_) send(c);
    epoll_event events[128];
    while (to_answer_ > 0) {
      const long ready = check(epoll_wait(epoll_, events, 128, 10'000), "epoll_wait");
      if (ready == 0) {
        std::fprintf(stderr, "load: no answer for 10 s\n");
        std::exit(3);
      }
      for (long i = 0; i < ready; ++i) receive(*static_cast<Connection*>(events[i].data.ptr));
    }
  }

  std::vector<long long> latencies;

 private:
  void open(Connection& c, int port) const {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c.fd = static_cast<int>(check(socket(AF_INET, SOCK_STREAM, 0), "socket"));
    check(connect(c.fd, reinterpret_cast<sockaddr*>(&to), sizeof to), "connect");
    const int on = 1;
    check(setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "setsockopt");
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.ptr = &c;
    check(epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &e), "epoll_ctl");
  }

  void send(Connection& c) {
    if (to_send_ == 0) return;
    --to_send_;
    const string_view message = bench_.http ? kGet : kEcho;
    c.got = 0;
    c.sent_at = nowNs();
    if (write(c.fd, message.data(), message.size()) != static_cast<ssize_t>(message.size())) die("write");
  }

  void receive(Connection& c) {
    const long n = check(read(c.fd, c.buf + c.got, sizeof c.buf - c.got), "read");
    if (n == 0) {
      std::fprintf(stderr, "load: the server closed a connection\n");
      std::exit(3);
    }
    c.got += static_cast<std::size_t>(n);
    if (!complete({c.buf, c.got})) return;
    latencies.push_back(nowNs() - c.sent_at);
    --to_answer_;
    send(c);
  }

  bool complete(string_view s) const {
    if (!bench_.http) {
      if (s.size() < kEcho.size()) return false;
      if (s != kEcho) wrong(s);
      return true;
    }
    const auto end = s.find("\r\n\r\n");
    if (end == string_view::npos) return false;
    const auto length = s.find("Content-Length: ");
    if (!s.starts_with("HTTP/1.1 200 ") || length >= end) wrong(s);
    const auto body = static_cast<std::size_t>(std::strtol(s.data() + length + 16, nullptr, 10));
    return s.size() >= end + 4 + body;
  }
  [[noreturn]] static void wrong(string_view s) {
    std::fprintf(stderr, "load: wrong answer: %.*s\n", static_cast<int>(s.size()), s.data());
    std::exit(3);
  }

  const Bench& bench_;
  const int epoll_;
  std::vector<Connection> connections_;
  long to_send_ = 0, to_answer_ = 0;
};

int measure(const Bench& b, char* program, long n) {
  const Server server = start(program, b.mode);
  Load load(b, server.port);
  load.run(std::max(n / 10, 2000L));
  const long long begin = nowNs(), cpu_begin = nowNs(server.clock);
  load.run(n);
  const double cpu = static_cast<double>(nowNs(server.clock) - cpu_begin);
  const double elapsed = static_cast<double>(nowNs() - begin);
  kill(server.pid, SIGKILL);
  waitpid(server.pid, nullptr, 0);
  const auto at = [&](std::size_t percent) {
    const auto nth = load.latencies.begin() + static_cast<long>(load.latencies.size() * percent / 100);
    std::nth_element(load.latencies.begin(), nth, load.latencies.end());
    return static_cast<double>(*nth) / 1e3;
  };
  const double count = static_cast<double>(n);
  const double value = b.figure == Bench::cpu   ? cpu / count / 1e3
                       : b.figure == Bench::p50 ? at(50)
                       : b.figure == Bench::p99 ? at(99)
                                                : count / (elapsed / 1e9);
  std::printf("%.*s %.6g %s\n", static_cast<int>(b.name.size()), b.name.data(), value,
              b.figure == Bench::rate ? "req/s" : "us");
  if (std::getenv("LOAD_VERBOSE") != nullptr) {
    std::fprintf(stderr, "%.0f req/s, server %.3f us of cpu, p50 %.1f us, p99 %.1f us\n",
                 count / (elapsed / 1e9), cpu / count / 1e3, at(50), at(99));
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const long n = argc == 4 ? std::atol(argv[3]) : 0;
  for (const Bench& b : kBenches) {
    if (n > 0 && b.name == argv[2]) return measure(b, argv[1], n);
  }
  std::fprintf(stderr, "usage: load SERVER BENCH N\nbenches:");
  for (const Bench& b : kBenches) {
    std::fprintf(stderr, " %.*s", static_cast<int>(b.name.size()), b.name.data());
  }
  std::fprintf(stderr, "\n");
  return 64;
}

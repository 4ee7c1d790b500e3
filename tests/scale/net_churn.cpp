// SPDX-License-Identifier: Apache-2.0
// A hundred thousand connections are opened, used and closed: descriptors, goroutines, memory and timers stay as they were.
// STDOUT: \Aconnections 100000\ndescriptors left 0\ngoroutines left 0\nmemory grew by less than 8 MiB: yes\n\Z
// TIMEOUT: 240
#include <gort/gort.hpp>

#include <array>
#include <cstdio>
#include <cstring>
#include <sys/socket.h>
#include <unistd.h>

#include "descriptors.hpp"

using namespace std::chrono_literals;
namespace net = gort::net;
namespace io = gort::io;

namespace {

long resident() {
  long size = 0, pages = 0;
  std::FILE* f = std::fopen("/proc/self/statm", "r");
  if (std::fscanf(f, "%ld %ld", &size, &pages) != 2) pages = 0;
  std::fclose(f);
  return pages * sysconf(_SC_PAGESIZE);
}

// One connection with a deadline that does not come; closed by a reset, so that its port is free again.
bool once(const std::string& addr) {
  auto c = net::dial("tcp", addr, {.timeout = 30s});
  if (!c) {
    std::printf("%s\n", c.error().message().c_str());
    return false;
  }
  const linger now{1, 0};
  setsockopt(c->native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  std::array<std::byte, 4> b;
  c->set_timeout(30s);
  return c->write("ping") && c->read(b);
}

long churn(const std::string& addr, int each) {
  constexpr int kClients = 20;
  gort::wait_group wg;
  std::array<long, kClients> good{};
  for (long& n : good) {
    wg.go([&addr, &n, each] {
      for (int i = 0; i < each; ++i) n += once(addr);
    });
  }
  wg.wait();
  long sum = 0;
  for (const long n : good) sum += n;
  return sum;
}

}  // namespace

int main() {
  return gort::run([] {
    auto l = net::listen("tcp", "127.0.0.1:0");
    const std::string addr = l->addr().string();
    gort::go([&] {
      for (auto c = l->accept(); c; c = l->accept()) {
        gort::go([conn = std::move(*c)]() mutable {
          std::array<std::byte, 16> b;
          for (auto n = conn.read(b); n && *n > 0; n = conn.read(b))
            (void)conn.write(io::const_bytes(b).first(*n));
        });
      }
    });
    churn(addr, 250);  // what is kept for reuse is there after this
    gort::sleep(50ms);
    const int files = descriptors();
    const auto goroutines = gort::runtime::num_goroutine();
    const long memory = resident();
    std::printf("connections %ld\n", churn(addr, 5000));
    for (int i = 0; i < 5000 && (descriptors() > files || gort::runtime::num_goroutine() > goroutines); ++i)
      gort::sleep(1ms);
    std::printf("descriptors left %d\n", descriptors() - files);
    std::printf("goroutines left %lld\n",
                static_cast<long long>(gort::runtime::num_goroutine()) - static_cast<long long>(goroutines));
    const long grew = resident() - memory;
    std::printf("memory grew by less than 8 MiB: %s\n", grew < 8 << 20 ? "yes" : "no");
    std::fprintf(stderr, "%ld KiB\n", grew / 1024);
  });
}

// SPDX-License-Identifier: Apache-2.0
// Lookups that never end hold the places of the run() that began them, not those of later ones: names are found in each.
// STDOUT: \Arun 1: found, \d+ hang\nrun 2: found, \d+ hang\nrun 3: found, \d+ hang\n\Z
// STDERR: \A\Z
#include <gort/gort.hpp>

#include <arpa/inet.h>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netdb.h>
#include <unistd.h>
using namespace std::chrono_literals;
constexpr int kPlaces = 64;
std::atomic<int> hanging{0};
// The resolver of this program: "here" is 127.0.0.1, for all else it waits for ever, but not on the thread that must
// return from run().
extern "C" int getaddrinfo(const char* host, const char*, const addrinfo*, addrinfo** out) {
  if (std::strcmp(host, "here") != 0) {
    if (::gettid() == ::getpid()) return EAI_AGAIN;
    hanging.fetch_add(1);
    for (;;) ::pause();
  }
  struct answer {
    addrinfo info;
    sockaddr_in at;
  };
  auto* a = static_cast<answer*>(std::calloc(1, sizeof(answer)));
  a->at.sin_family = AF_INET;
  a->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a->info.ai_family = AF_INET;
  a->info.ai_addr = reinterpret_cast<sockaddr*>(&a->at);
  a->info.ai_addrlen = sizeof a->at;
  *out = &a->info;
  return 0;
}
extern "C" void freeaddrinfo(addrinfo* a) { std::free(a); }
void use(int run) {
  const auto end = gort::with_timeout(gort::background(), 20s);
  const auto found = gort::net::lookup_ip(end, "here");
  for (int i = 0; i < kPlaces + 10; ++i) {  // ten wait for a place
    gort::go([] {
      while (!gort::net::lookup_ip(gort::background(), "nowhere")) gort::sleep(100us);
    });
  }
  while (hanging.load() < run * kPlaces && !end.err()) gort::sleep(1ms);
  gort::sleep(5ms);
  std::printf("run %d: %s, %d hang\n", run, found ? "found" : found.error().message().c_str(),
              hanging.load());
  std::fflush(stdout);
}
int main() {
  for (int run = 1; run <= 3; ++run) gort::run([run] { use(run); });
  ::_exit(0);
}

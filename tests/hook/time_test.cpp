// SPDX-License-Identifier: Apache-2.0
// Hooked sleeps and name resolution.
#include <arpa/inet.h>
#include <netdb.h>
#include <time.h>

#include "base/sanitizer.hpp"
#include "hook/hook_util.hpp"

namespace {

using gort::clock;
using hooktest::since;

// together runs f in 64 goroutines and returns the milliseconds until all are done.
template <class F>
long long together(F f) {
  const auto t0 = clock::now();
  gort::wait_group wg;
  for (int i = 0; i < 64; ++i) wg.go([&] { f(); });
  wg.wait();
  EXPECT_LT(hooktest::threads(), 24);
  return since(t0);
}

void expectOnce(long long ms, long long one) {
  EXPECT_GE(ms, one);
  EXPECT_LT(ms, 64 * one / 4);
}

GO_TEST(HookSleep, ParksInEveryForm) {
  expectOnce(together([] { EXPECT_EQ(::usleep(100000), 0); }), 100);
  expectOnce(together([] {
               const timespec ts{0, 100000000};
               EXPECT_EQ(::nanosleep(&ts, nullptr), 0);
             }),
             100);
  for (const clockid_t id : {CLOCK_MONOTONIC, CLOCK_REALTIME}) {
    expectOnce(together([=] {
                 timespec ts{};
                 ::clock_gettime(id, &ts);
                 ts.tv_nsec += 100000000;
                 ts.tv_sec += ts.tv_nsec / 1000000000;
                 ts.tv_nsec %= 1000000000;
                 EXPECT_EQ(::clock_nanosleep(id, TIMER_ABSTIME, &ts, nullptr), 0);
               }),
               100);
  }
  expectOnce(together([] { EXPECT_EQ(::sleep(1), 0u); }), 1000);
}

GO_TEST(HookSleep, RefusesNonsenseAsLibcDoes) {
  const timespec bad{0, 1000000000}, past{1, 0};
  EXPECT_EQ(::nanosleep(&bad, nullptr), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::clock_nanosleep(CLOCK_MONOTONIC, 0, &bad, nullptr), EINVAL);
  EXPECT_EQ(::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &past, nullptr), 0);
  EXPECT_EQ(::clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &past, nullptr), EINVAL);
  EXPECT_EQ(::usleep(0), 0);
  EXPECT_EQ(::sleep(0), 0u);
}

GO_TEST(HookResolve, GivesLibcsAnswer) {
  gort::wait_group wg;
  for (int i = 0; i < 8; ++i) {
    wg.go([] {
      addrinfo hints{}, *out = nullptr;
      hints.ai_socktype = SOCK_STREAM;
      EXPECT_EQ(::getaddrinfo("127.0.0.1", "80", &hints, &out), 0);
      char host[64];
      EXPECT_EQ(::getnameinfo(out->ai_addr, out->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST),
                0);
      EXPECT_STREQ(host, "127.0.0.1");
      ::freeaddrinfo(out);
      hints.ai_flags = AI_NUMERICHOST;
      EXPECT_EQ(::getaddrinfo("no number", nullptr, &hints, &out), EAI_NONAME);
    });
  }
  wg.wait();
}

#if !GORT_TSAN
GO_TEST(HookResolve, GethostbynameAndItsKinGiveLibcsAnswer) {
  gort::wait_group wg;
  const in_addr loopback{htonl(INADDR_LOOPBACK)};
  for (int i = 0; i < 8; ++i) {
    wg.go([&] {
      hostent entry, *out = nullptr;
      char room[4096], small[1];
      int error = 0;
      EXPECT_EQ(::gethostbyname_r("127.0.0.1", &entry, room, sizeof room, &out, &error), 0);
      ASSERT_NE(out, nullptr);
      EXPECT_EQ(std::memcmp(out->h_addr_list[0], &loopback, sizeof loopback), 0);
      EXPECT_EQ(::gethostbyname2_r("127.0.0.1", AF_INET, &entry, room, sizeof room, &out, &error), 0);
      EXPECT_EQ(::gethostbyname_r("127.0.0.1", &entry, small, sizeof small, &out, &error), ERANGE);
      EXPECT_EQ(error, NETDB_INTERNAL);
      EXPECT_NE(::gethostbyaddr_r(&loopback, 1, AF_INET, &entry, room, sizeof room, &out, &error), 0);
    });
  }
  wg.wait();
  const hostent* h = ::gethostbyname("127.0.0.1");
  ASSERT_NE(h, nullptr);
  EXPECT_EQ(std::memcmp(h->h_addr_list[0], &loopback, sizeof loopback), 0);
  EXPECT_NE(::gethostbyname2("127.0.0.1", AF_INET), nullptr);
  EXPECT_EQ(::gethostbyaddr(&loopback, 1, AF_INET), nullptr);
}
#endif

}  // namespace

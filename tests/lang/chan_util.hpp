// SPDX-License-Identifier: Apache-2.0
// What the tests of channels and select share: bodies on a goroutine, seeds, panics as texts.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <gort/gort.hpp>
#include <random>
#include <string>

namespace chantest {

// GO_TEST(Suite, Name) { body } runs its body as a goroutine.
#define GO_TEST(suite, name)                         \
  static void suite##_##name##_body();               \
  TEST(suite, name) {                                \
    gort::block_on([] { suite##_##name##_body(); }); \
  }                                                  \
  static void suite##_##name##_body()

// seed comes from GORT_SEED or from the system; printed, so that a failure can be repeated.
inline std::uint64_t seed() {
  const char* given = std::getenv("GORT_SEED");
  const std::uint64_t s = given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::printf("GORT_SEED=%llu\n", static_cast<unsigned long long>(s));
  return s;
}

// panicOf runs f and returns the text of its panic, "" if there was none.
template <class F>
std::string panicOf(F f) {
  std::string text;
  gort::func([&](auto& fn) {
    fn.recover([&](const gort::panic_info& p) { text = p.message(); });
    f();
  });
  return text;
}

// settle lets every goroutine run until it waits, as far as yielding and a moment of time can tell.
inline void settle() {
  for (int i = 0; i < 20; ++i) gort::yield();
  gort::sleep(std::chrono::milliseconds(2));
}

// eventually waits until f() holds. False: it does not after ten seconds.
template <class F>
bool eventually(F f) {
  for (int i = 0; i < 10000 && !f(); ++i) gort::sleep(std::chrono::milliseconds(1));
  return f();
}

}  // namespace chantest

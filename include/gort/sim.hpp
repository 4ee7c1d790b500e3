// SPDX-License-Identifier: Apache-2.0
// Deterministic runs: one seed, one schedule, virtual time.                      (Go: testing/synctest, and beyond)
//
//   gort::sim::run({.seed = 42}, [] { ... });
//
// Inside, one goroutine runs at a time, every choice of the scheduler is drawn from the seed, and the clock stands still
// while anybody can run: sleeps of hours take no time. Same program, same seed: the same schedule, told by trace_hash().
// Outside its reach: real sockets and files, foreign threads, clocks of others.
#pragma once
#include <gort/go.hpp>

namespace gort {
inline namespace GORT_ABI {
namespace sim {

struct options {
  std::uint64_t seed = 1;
  bool check_leaks = true;  // goroutines left over at the end are reported and the run fails with a panic
};

namespace detail {
GORT_API void run(const options& o, void (*fn)(void*), void* arg);
}

// run calls f on a goroutine of a simulated world and returns when f has returned. Called where no runtime runs it boots
// one and ends it; on a goroutine of a simulated world it re-seeds. An exception or panic of f comes out of run.
template <std::invocable F>
void run(const options& o, F f) {
  detail::run(
      o, [](void* p) { (*static_cast<F*>(p))(); }, &f);
}

// wait returns when every other goroutine is blocked (Go: synctest.Wait). Time does not pass.
GORT_API void wait();

// trace_hash mixes every scheduling event so far; equal for equal schedules.
[[nodiscard]] GORT_API std::uint64_t trace_hash() noexcept;

}  // namespace sim
}  // namespace GORT_ABI
}  // namespace gort

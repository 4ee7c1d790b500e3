// SPDX-License-Identifier: Apache-2.0
// Cheap per-M random numbers (steal order, select order, fairness): wyrand.   (Go: rand.go, cheaprand)
// Not for secrets. Single owner: the M that holds the state; no atomics. Under sim the M's state is drawn from the seed.
#pragma once
#include "base/bits.hpp"
#include "base/types.hpp"

namespace gort::rt {

struct CheapRand {
  uint64 state = 0;

  constexpr uint64 next64() {
    state += 0xa0761d6478bd642fULL;
    const auto wide = static_cast<unsigned __int128>(state) * (state ^ 0xe7037ed1a0b428dbULL);
    return static_cast<uint64>(wide >> 64) ^ static_cast<uint64>(wide);
  }
  constexpr uint32 next() { return static_cast<uint32>(next64()); }
  constexpr uint32 below(uint32 n) { return reduce(next(), n); }
};

// splitmix64 spreads one seed over many states.
constexpr uint64 splitmix64(uint64& x) {
  x += 0x9e3779b97f4a7c15ULL;
  uint64 z = x;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

constexpr uint32 gcd(uint32 a, uint32 b) {
  while (b != 0) {
    const uint32 t = a % b;
    a = b;
    b = t;
  }
  return a;
}

// RandomOrder walks 0..n-1, each once, from behind `start` with the first stride from `least` on that is coprime to n.
// (Go: randomOrder in proc.go)
struct RandomOrder {
  constexpr RandomOrder(uint32 count, uint32 start, uint32 least) : n(count), pos(start), stride(least) {
    while (gcd(stride, n) != 1) stride = stride % n + 1;
  }
  constexpr uint32 next() {
    pos = (pos + stride) % n;
    return pos;
  }
  uint32 n, pos, stride;
};

}  // namespace gort::rt

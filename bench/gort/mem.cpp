// SPDX-License-Identifier: Apache-2.0
// Bytes of a parked goroutine: what the process's resident set and page tables grow by, divided by the number
// parked. Page tables are counted because a sparse stack layout moves its cost there; the resident set alone
// hides it.
#include "bench.hpp"

namespace {

// residentBytes is VmRSS + VmPTE of this process.
double residentBytes() {
  std::FILE* f = std::fopen("/proc/self/status", "r");
  bench::require(f != nullptr, "/proc/self/status");
  char line[256];
  long kib = 0;
  long total = 0;
  while (std::fgets(line, sizeof line, f) != nullptr) {
    if (std::sscanf(line, "VmRSS: %ld", &kib) == 1 || std::sscanf(line, "VmPTE: %ld", &kib) == 1)
      total += kib;
  }
  std::fclose(f);
  return static_cast<double>(total) * 1024;
}

double parked(long n, std::size_t stack) {
  constexpr long kBatch = 1024;
  auto gate = gort::make_chan<>();
  auto up = gort::make_chan<>(kBatch);
  const double before = residentBytes();
  long waiting = 0;
  for (long i = 0; i < n; ++i) {
    gort::go({.stack = stack}, [gate, up] {
      up.send();
      (void)gate.recv();
      up.send();
    });
    if (++waiting < kBatch && i + 1 < n) continue;
    for (; waiting > 0; --waiting) (void)up.recv();
  }
  gort::yield();
  const double bytes = (residentBytes() - before) / static_cast<double>(n);
  gate.close();
  for (long i = 0; i < n; ++i) (void)up.recv();
  return bytes;
}

double parkedDefault(long n) { return parked(n, 0); }
double parked64k(long n) { return parked(n, std::size_t{64} << 10); }

constexpr bench::Entry kEntries[] = {
    {"parked_1m_bytes", 1, "B", parkedDefault},
    {"parked_1m_bytes_64k", 1, "B", parked64k},
};

}  // namespace

int main(int argc, char** argv) { return bench::run(argc, argv, kEntries); }

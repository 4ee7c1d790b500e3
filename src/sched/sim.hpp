// SPDX-License-Identifier: Apache-2.0
// Seeded modes: virtual clock and trace hash of sim.
#pragma once
#include "base/types.hpp"

namespace gort::rt {

int64 simNanotime();  // virtual monotonic ns; begins at 1 h, so that subtractions stay positive
int64 simWalltime();  // virtual wall clock: 2000-01-01 00:00:00 UTC + virtual time

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// CPU limit of the process's cgroup (v1 cpu.cfs_quota_us, v2 cpu.max), as Go 1.25 reads it for the default of GOMAXPROCS.
#pragma once
#include "base/types.hpp"

namespace gort::rt::os {

// cgroupCpuLimitMilli returns the smallest limit of the process's cgroup and its ancestors in thousandths of a CPU,
// 0 when there is none. Reads /proc/self/cgroup, mountinfo and the limit files; called once at start.
uint64 cgroupCpuLimitMilli();

// For tests: the same computation over a directory that stands in for "/" (proc and cgroup files below it).
uint64 cgroupCpuLimitMilliAt(const char* root);

}  // namespace gort::rt::os

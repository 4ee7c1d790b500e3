// SPDX-License-Identifier: Apache-2.0
// The CPU limit of a container, read from directories that stand in for "/".
// Rules as of Go 1.25 (internal/runtime/cgroup, its tests' ideas): v2 and v1, nested limits, mounts that show only a part.
#include "os/cgroup_linux.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace {

namespace fs = std::filesystem;
using gort::rt::os::cgroupCpuLimitMilliAt;

class Cgroup : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/gort_cgroup_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root = name;
  }
  void TearDown() override { fs::remove_all(root); }
  void file(const std::string& path, const std::string& text) const {
    const fs::path p = root + path;
    fs::create_directories(p.parent_path());
    std::ofstream(p) << text;
  }
  gort::rt::uint64 limit() const { return cgroupCpuLimitMilliAt(root.c_str()); }

  // A process in /a/b of a v2 hierarchy mounted at /sys/fs/cgroup.
  void v2(const std::string& path) const {
    file("/proc/self/cgroup", "0::" + path + "\n");
    file("/proc/self/mountinfo",
         "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
         "30 21 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  std::string root;
};

TEST_F(Cgroup, NothingThereIsNoLimit) { EXPECT_EQ(limit(), 0U); }

TEST_F(Cgroup, QuotaOverPeriodInThousandths) {
  v2("/a");
  file("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  EXPECT_EQ(limit(), 1500U);
}

TEST_F(Cgroup, MaxIsNoLimit) {
  v2("/a");
  file("/sys/fs/cgroup/a/cpu.max", "max 100000\n");
  EXPECT_EQ(limit(), 0U);
}

TEST_F(Cgroup, TheSmallestAncestorCounts) {
  v2("/a/b/c");
  file("/sys/fs/cgroup/a/cpu.max", "400000 100000\n");
  file("/sys/fs/cgroup/a/b/cpu.max", "200000 100000\n");
  file("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
  EXPECT_EQ(limit(), 2000U);
}

TEST_F(Cgroup, AContainersOwnRootIsRead) {
  v2("/");
  file("/sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(limit(), 500U);
}

TEST_F(Cgroup, GarbageIsNoLimit) {
  v2("/a");
  for (const char* text :
       {"", "\n", "abc", "-1 100000\n", "100000\n", "100000 0\n", "1 2 3 4", "99999999999999999999999 1"}) {
    file("/sys/fs/cgroup/a/cpu.max", text);
    EXPECT_EQ(limit(), 0U) << '"' << text << '"';
  }
}

TEST_F(Cgroup, VersionOneReadsQuotaAndPeriod) {
  file("/proc/self/cgroup", "4:memory:/m\n3:cpu,cpuacct:/job\n0::/\n");
  file("/proc/self/mountinfo",
       "25 20 0:22 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
       "26 20 0:23 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  file("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "300000\n");
  file("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(limit(), 3000U);
  file("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(limit(), 0U);
}

// A bind-mounted part of the hierarchy: the mount's root is a prefix of the process's path.
TEST_F(Cgroup, AMountOfASubtreeIsUnderstood) {
  file("/proc/self/cgroup", "0::/outer/inner\n");
  file("/proc/self/mountinfo", "30 21 0:26 /outer /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  file("/sys/fs/cgroup/inner/cpu.max", "250000 100000\n");
  EXPECT_EQ(limit(), 2500U);
}

TEST_F(Cgroup, ThisMachineCanBeRead) { EXPECT_LT(gort::rt::os::cgroupCpuLimitMilli(), 1000000U); }

}  // namespace

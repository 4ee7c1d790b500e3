// SPDX-License-Identifier: Apache-2.0
// Where the limit stands: /proc/self/cgroup gives the process's path in each hierarchy, /proc/self/mountinfo where the
// hierarchy is mounted and which part of it (its root field). The limit is the smallest one from the leaf up to the mount.
//   v2: <mount><path>/cpu.max            "max 100000" | "<quota> <period>"
//   v1: <mount><path>/cpu.cfs_quota_us   -1 | quota ;  cpu.cfs_period_us
// Anything that cannot be read or parsed counts as "no limit": a default must never fail the start.
#include "os/cgroup_linux.hpp"

#include "os/os_linux.hpp"

namespace gort::rt::os {

namespace {

constexpr std::size_t kPathMax = 512, kTextMax = 16384;

struct Text {
  char s[kTextMax];
  std::size_t n = 0;
};

struct Path {
  char s[kPathMax] = {};
  std::size_t n = 0;
  bool ok = true;
  void add(const char* p, std::size_t len) {
    if (n + len >= kPathMax) {
      ok = false;
      return;
    }
    for (std::size_t i = 0; i < len; ++i) s[n++] = p[i];
    s[n] = 0;
  }
  void add(const char* p) {
    std::size_t len = 0;
    while (p[len] != 0) ++len;
    add(p, len);
  }
};

// Word is a piece of a line; next splits at `sep`.
struct Word {
  const char* p = nullptr;
  std::size_t n = 0;
  bool is(const char* w) const {
    std::size_t i = 0;
    while (i < n && w[i] != 0 && w[i] == p[i]) ++i;
    return i == n && w[i] == 0;
  }
};

Word next(const char*& p, const char* end, char sep) {
  Word w{p, 0};
  while (p < end && *p != sep) ++p, ++w.n;
  if (p < end) ++p;
  return w;
}

bool hasItem(Word list, const char* item) {
  const char* p = list.p;
  const char* end = list.p + list.n;
  while (p < end) {
    if (next(p, end, ',').is(item)) return true;
  }
  return false;
}

bool readFile(const Path& path, Text& t) {
  t.n = 0;
  if (!path.ok) return false;
  const long fd = openRead(path.s);
  if (fd < 0) return false;
  long r;
  while (t.n < kTextMax - 1 && (r = read(static_cast<int>(fd), t.s + t.n, kTextMax - 1 - t.n)) > 0) {
    t.n += static_cast<std::size_t>(r);
  }
  close(static_cast<int>(fd));
  t.s[t.n] = 0;
  return true;
}

// number parses an unsigned decimal; 0 for anything else ("max", "-1", "").
uint64 number(Word w) {
  uint64 v = 0;
  for (std::size_t i = 0; i < w.n; ++i) {
    if (w.p[i] < '0' || w.p[i] > '9' || v > uint64{1} << 50) return 0;
    v = v * 10 + static_cast<uint64>(w.p[i] - '0');
  }
  return v;
}

struct Hierarchy {
  bool v2 = false;
  Word path;  // of the process
};

// findPath picks the cgroup path: the v1 "cpu" controller wins over the unified line, as the kernel has it.
bool findPath(const Text& t, Hierarchy& h) {
  bool found = false;
  const char* p = t.s;
  const char* end = t.s + t.n;
  while (p < end) {
    Word line = next(p, end, '\n');
    const char* q = line.p;
    const char* lineEnd = line.p + line.n;
    const Word id = next(q, lineEnd, ':');
    const Word controllers = next(q, lineEnd, ':');
    const Word path{q, static_cast<std::size_t>(lineEnd - q)};
    if (hasItem(controllers, "cpu")) {
      h = {false, path};
      return true;
    }
    if (id.is("0") && controllers.n == 0) {
      h = {true, path};
      found = true;
    }
  }
  return found;
}

struct Mount {
  Word root, point;
};

bool findMount(const Text& t, bool v2, Mount& m) {
  const char* p = t.s;
  const char* end = t.s + t.n;
  while (p < end) {
    Word line = next(p, end, '\n');
    const char* q = line.p;
    const char* lineEnd = line.p + line.n;
    Word field[5];
    for (auto& f : field) f = next(q, lineEnd, ' ');
    Word w;
    do w = next(q, lineEnd, ' ');
    while (q < lineEnd && !w.is("-"));
    const Word type = next(q, lineEnd, ' ');
    next(q, lineEnd, ' ');
    const Word options = next(q, lineEnd, ' ');
    if (v2 ? type.is("cgroup2") : type.is("cgroup") && hasItem(options, "cpu")) {
      m = {field[3], field[4]};
      return true;
    }
  }
  return false;
}

uint64 limitAt(const Path& dir, bool v2, Text& t) {
  Path file = dir;
  file.add(v2 ? "/cpu.max" : "/cpu.cfs_quota_us");
  if (!readFile(file, t)) return 0;
  const char* p = t.s;
  const char* end = t.s + t.n;
  Word line = next(p, end, '\n');
  const char* q = line.p;
  const uint64 quota = number(next(q, line.p + line.n, ' '));
  uint64 period = number(Word{q, static_cast<std::size_t>(line.p + line.n - q)});
  if (!v2) {
    Path periodFile = dir;
    periodFile.add("/cpu.cfs_period_us");
    if (!readFile(periodFile, t)) return 0;
    p = t.s;
    period = number(next(p, t.s + t.n, '\n'));
  }
  return quota == 0 || period == 0 ? 0 : quota * 1000 / period;
}

}  // namespace

uint64 cgroupCpuLimitMilliAt(const char* root) {
  static Text t;  // start-up is single-threaded; too large for a goroutine stack
  Path file;
  file.add(root);
  file.add("/proc/self/cgroup");
  static char ownPath[kPathMax];
  Hierarchy h;
  if (!readFile(file, t) || !findPath(t, h) || h.path.n >= kPathMax) return 0;
  for (std::size_t i = 0; i < h.path.n; ++i) ownPath[i] = h.path.p[i];
  h.path.p = ownPath;
  Path info;
  info.add(root);
  info.add("/proc/self/mountinfo");
  Mount m;
  if (!readFile(info, t) || !findMount(t, h.v2, m)) return 0;
  // The mount shows the subtree below m.root: cut that prefix from the process's path.
  std::size_t cut = 0;
  if (m.root.n > 1 && h.path.n >= m.root.n) {
    while (cut < m.root.n && h.path.p[cut] == m.root.p[cut]) ++cut;
    if (cut != m.root.n) cut = 0;
  }
  Path dir;
  dir.add(root);
  dir.add(m.point.p, m.point.n);
  const std::size_t mountLen = dir.n;
  dir.add(h.path.p + cut, h.path.n - cut);
  uint64 best = 0;
  for (;;) {
    const uint64 here = limitAt(dir, h.v2, t);
    if (here != 0 && (best == 0 || here < best)) best = here;
    if (dir.n <= mountLen) break;
    while (dir.n > mountLen && dir.s[dir.n - 1] != '/') --dir.n;
    if (dir.n > mountLen) --dir.n;
    dir.s[dir.n] = 0;
  }
  return best;
}

uint64 cgroupCpuLimitMilli() { return cgroupCpuLimitMilliAt(""); }

}  // namespace gort::rt::os

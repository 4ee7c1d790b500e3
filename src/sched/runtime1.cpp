// SPDX-License-Identifier: Apache-2.0
#include "sched/runtime1.hpp"

#include "base/print.hpp"
#include "mem/stackalloc.hpp"
#include "os/cgroup_linux.hpp"
#include "os/os_linux.hpp"
#include "arch/getg.hpp"
#include "schema/runtime2.hpp"

namespace gort::rt {

constinit DebugVars debug{};

namespace {

struct Span {
  const char* p;
  std::size_t n;
  bool is(const char* s) const {
    std::size_t i = 0;
    while (i < n && s[i] != 0 && s[i] == p[i]) ++i;
    return i == n && s[i] == 0;
  }
};

std::size_t length(const char* s) {
  std::size_t n = 0;
  while (s[n] != 0) ++n;
  return n;
}

bool parseUint(Span v, uint64* out) {
  if (v.n == 0) return false;
  uint64 r = 0;
  for (std::size_t i = 0; i < v.n; ++i) {
    const auto d = static_cast<uint64>(v.p[i] - '0');
    if (d > 9 || r > (~uint64{0} - d) / 10) return false;
    r = r * 10 + d;
  }
  *out = r;
  return true;
}

// parseDuration reads a whole number with its unit: ns, us, ms or s.
bool parseDuration(Span v, int64* out) {
  struct {
    const char* name;
    uint64 ns;
  } constexpr kUnits[] = {{"ns", 1}, {"us", 1000}, {"ms", 1000 * 1000}, {"s", 1000 * 1000 * 1000}};
  std::size_t digits = 0;
  while (digits < v.n && v.p[digits] >= '0' && v.p[digits] <= '9') ++digits;
  uint64 n = 0;
  if (!parseUint({v.p, digits}, &n)) return false;
  for (const auto& u : kUnits) {
    if (!Span{v.p + digits, v.n - digits}.is(u.name)) continue;
    if (n == 0 || n > static_cast<uint64>(INT64_MAX) / u.ns) return false;
    *out = static_cast<int64>(n * u.ns);
    return true;
  }
  return false;
}

void warn(const char* what, Span key, Span value, const char* fix) {
  Printer p;
  p << "runtime: ignoring " << what << " ";
  p.write(key.p, key.n);
  p << "=";
  p.write(value.p, value.n) << ": " << fix << "\n";
}

struct IntVar {
  const char* name;
  int32* value;
};

void setOne(Span key, Span value) {
  const IntVar kVars[] = {
      {"schedtrace", &debug.schedtrace}, {"scheddetail", &debug.scheddetail},
      {"panicnil", &debug.panicnil},     {"asyncpreemptoff", &debug.asyncpreemptoff},
      {"pidfd", &debug.pidfd},           {"iouring", &debug.iouring},
      {"rwnosignal", &debug.rwnosignal},
  };
  uint64 n = 0;
  if (key.is("stackguard")) {
    if (value.is("install")) return stackForceGuardMode(GuardMode::install);
    if (value.is("mprotect")) return stackForceGuardMode(GuardMode::protect);
    if (value.is("canary")) return stackForceGuardMode(GuardMode::canary);
    return warn("GODEBUG", key, value, "want install, mprotect or canary");
  }
  if (key.is("stall")) {
    int64 ns = 0;
    if (!parseDuration(value, &ns)) return warn("GODEBUG", key, value, "want a duration: 500us, 100ms or 2s");
    return storeRelaxed(&debug.stallNs, ns);
  }
  const bool number = parseUint(value, &n);
  if (key.is("sim") || key.is("chaos")) {
    if (!number) return warn("GODEBUG", key, value, "want a seed, a decimal number");
    (key.is("sim") ? debug.sim : debug.chaos) = true;
    (key.is("sim") ? debug.simSeed : debug.chaosSeed) = n;
    return;
  }
  for (const IntVar& v : kVars) {
    if (!key.is(v.name)) continue;
    if (!number || n > 0x7fffffff) return warn("GODEBUG", key, value, "want a small decimal number");
    storeRelaxed(v.value, static_cast<int32>(n));
  }
}

// forEachSetting calls f(key, value) for each key=value of a list with commas.
template <class F>
void forEachSetting(const char* s, std::size_t len, F f) {
  std::size_t i = 0;
  while (i < len) {
    std::size_t end = i;
    while (end < len && s[end] != ',') ++end;
    std::size_t eq = i;
    while (eq < end && s[eq] != '=') ++eq;
    if (eq < end) f(Span{s + i, eq - i}, Span{s + eq + 1, end - eq - 1});
    i = end + 1;
  }
}

// traceback: bit 0 crash, bit 1 all, level << 2; as Go packs it.
constexpr uint32 kCrash = 1, kAll = 2, kShift = 2;
constinit Atomic<uint32> tracebackCache{2 << kShift};
constinit uint32 tracebackEnv = 0;

bool tracebackWord(Span level, uint32* out) {
  uint64 n = 0;
  if (level.is("none")) {
    *out = 0;
  } else if (level.is("single") || level.n == 0) {
    *out = 1 << kShift;
  } else if (level.is("all")) {
    *out = 1 << kShift | kAll;
  } else if (level.is("system")) {
    *out = 2 << kShift | kAll;
  } else if (level.is("crash")) {
    *out = 2 << kShift | kAll | kCrash;
  } else if (parseUint(level, &n) && n < 1000) {
    *out = static_cast<uint32>(n) << kShift | kAll;
  } else {
    return false;
  }
  return true;
}

}  // namespace

void parseDebugVars(const char* extra, std::size_t extraLen) {
  if (const char* env = os::getenv("GODEBUG"); env != nullptr) forEachSetting(env, length(env), setOne);
  forEachSetting(extra, extraLen, setOne);
}

void parseMoreDebugVars(const char* extra, std::size_t extraLen) { forEachSetting(extra, extraLen, setOne); }

const char* debugVarOfTheBoot(const char* extra, std::size_t extraLen) {
  constexpr const char* kNames[] = {"sim", "chaos", "stackguard", "asyncpreemptoff"};
  const char* found = nullptr;
  forEachSetting(extra, extraLen, [&](Span key, Span) {
    for (const char* name : kNames) {
      if (key.is(name)) found = name;
    }
  });
  return found;
}

void parseTraceback() {
  const char* env = os::getenv("GOTRACEBACK");
  const Span level{env == nullptr ? "" : env, env == nullptr ? 0 : length(env)};
  uint32 t = 1 << kShift;
  if (!tracebackWord(level, &t)) {
    warn("environment", {"GOTRACEBACK", 11}, level, "want none, single, all, system, crash or a number");
  }
  tracebackEnv = t;
  tracebackCache.store(t, Order::relaxed);
}

int32 gotraceback(bool* all, bool* crash) {
  const uint32 t = tracebackCache.load(Order::relaxed);
  *crash = (t & kCrash) != 0;
  *all = (t & kAll) != 0;
  const G* gp = getg();
  if (gp != nullptr && gp->m->throwing > 0) {
    *all = true;
    if (gp->m->throwing > 1) return 2;
  }
  return static_cast<int32>(t >> kShift);
}

bool setTraceback(const char* level, std::size_t n) {
  uint32 t = 0;
  if (!tracebackWord({level, n}, &t)) return false;
  const uint32 env = tracebackEnv;
  const uint32 lvl = (t >> kShift) > (env >> kShift) ? t >> kShift : env >> kShift;
  tracebackCache.store(lvl << kShift | ((t | env) & (kAll | kCrash)), Order::relaxed);
  return true;
}

int32 defaultProcs() {
  int32 n = ncpu;
  if (const uint64 milli = os::cgroupCpuLimitMilli(); milli != 0) {
    auto limit = static_cast<int32>((milli + 999) / 1000);
    if (limit < 2) limit = 2;  // Go 1.25: at least two, so that the collector does not starve the one
    if (limit < n) n = limit;
  }
  const char* env = os::getenv("GOMAXPROCS");
  if (env == nullptr) return n;
  uint64 v = 0;
  if (parseUint({env, length(env)}, &v) && v >= 1) return v > 1024 ? 1024 : static_cast<int32>(v);
  if (env[0] != 0) warn("environment", {"GOMAXPROCS", 10}, {env, length(env)}, "want a number of at least 1");
  return n;
}

}  // namespace gort::rt

// SPDX-License-Identifier: Apache-2.0
// sleep, usleep, nanosleep, clock_nanosleep: a goroutine's sleep, never interrupted. getaddrinfo, gethostbyname, their kin.
#include "hook/hook.hpp"

#include <netdb.h>
#include <time.h>
#include <unistd.h>

extern "C" int* gort_hook_h_errno_location() __asm__("__h_errno_location");

namespace gort::hook {

namespace {

constexpr int64 kNsPerSec = 1000000000;

// sleepFor sleeps sec seconds and ns nanoseconds, which may be more than a goroutine can count.
void sleepFor(const HookTable* t, int64 sec, int64 ns) {
  const int64 now = t->nanotime();
  const bool never = sec >= (kTimeNever - now) / kNsPerSec - 1;
  if (sec > 0 || ns > 0) t->sleepUntil(never ? kTimeNever : now + sec * kNsPerSec + ns);
}

// canSleepBy: the clocks that go on while a thread sleeps.
bool canSleepBy(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME || clock == CLOCK_TAI;
}

}  // namespace

}  // namespace gort::hook

using namespace gort::hook;

GORT_HOOKED unsigned sleep(unsigned seconds) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(sleep)(seconds);
  sleepFor(t, seconds, 0);
  return 0;
}

GORT_HOOKED int usleep(useconds_t us) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(usleep)(us);
  sleepFor(t, us / 1000000, us % 1000000 * int64{1000});
  return 0;
}

GORT_HOOKED int nanosleep(const timespec* time, timespec* left) {
  const HookTable* t = parker();
  if (t == nullptr || time == nullptr) return GORT_NEXT(nanosleep)(time, left);
  if (badTime(time)) return static_cast<int>(ret(-EINVAL));
  sleepFor(t, time->tv_sec, time->tv_nsec);
  return 0;
}

GORT_HOOKED int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  const HookTable* t = parker();
  if (t == nullptr || time == nullptr) return GORT_NEXT(clock_nanosleep)(clock, flags, time, left);
  if (badTime(time)) return EINVAL;
  if (!canSleepBy(clock)) {
    return static_cast<int>(
        blocking(t, [&] { return GORT_NEXT(clock_nanosleep)(clock, flags, time, left); }));
  }
  timespec now{};
  if ((flags & TIMER_ABSTIME) != 0) clock_gettime(clock, &now);
  int64 sec = time->tv_sec - now.tv_sec, ns = time->tv_nsec - now.tv_nsec;
  if (ns < 0) {
    --sec;
    ns += kNsPerSec;
  }
  if (sec >= 0) sleepFor(t, sec, ns);
  return 0;
}

// Name resolution is libc's own code, whose calls do not come through here: it runs without the P, on the thread. Its errors
// are left in the thread's errno and h_errno, and are carried to the thread that goes on.
namespace gort::hook {

namespace {

template <class F>
auto resolve(const HookTable* t, F f) {
  int e = 0, h = 0;
  decltype(f()) result{};
  blocking(t, [&] {
    result = f();
    e = getErrno();
    h = *gort_hook_h_errno_location();
    return 0L;
  });
  *gort_hook_h_errno_location() = h;
  setErrno(e);
  return result;
}

}  // namespace

}  // namespace gort::hook

GORT_HOOKED int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** out) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(getaddrinfo)(host, service, hints, out);
  return resolve(t, [&] { return GORT_NEXT(getaddrinfo)(host, service, hints, out); });
}

GORT_HOOKED int getnameinfo(const sockaddr* addr, socklen_t len, char* host, socklen_t hostLen, char* service,
                            socklen_t serviceLen, int flags) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(getnameinfo)(addr, len, host, hostLen, service, serviceLen, flags);
  return resolve(
      t, [&] { return GORT_NEXT(getnameinfo)(addr, len, host, hostLen, service, serviceLen, flags); });
}

GORT_HOOKED hostent* gethostbyname(const char* name) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(gethostbyname)(name);
  return resolve(t, [&] { return GORT_NEXT(gethostbyname)(name); });
}

GORT_HOOKED hostent* gethostbyname2(const char* name, int family) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(gethostbyname2)(name, family);
  return resolve(t, [&] { return GORT_NEXT(gethostbyname2)(name, family); });
}

GORT_HOOKED hostent* gethostbyaddr(const void* addr, socklen_t len, int family) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(gethostbyaddr)(addr, len, family);
  return resolve(t, [&] { return GORT_NEXT(gethostbyaddr)(addr, len, family); });
}

GORT_HOOKED int gethostbyname_r(const char* name, hostent* entry, char* room, size_t size, hostent** out,
                                int* error) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(gethostbyname_r)(name, entry, room, size, out, error);
  return resolve(t, [&] { return GORT_NEXT(gethostbyname_r)(name, entry, room, size, out, error); });
}

GORT_HOOKED int gethostbyname2_r(const char* name, int family, hostent* entry, char* room, size_t size,
                                 hostent** out, int* error) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(gethostbyname2_r)(name, family, entry, room, size, out, error);
  return resolve(t, [&] { return GORT_NEXT(gethostbyname2_r)(name, family, entry, room, size, out, error); });
}

GORT_HOOKED int gethostbyaddr_r(const void* addr, socklen_t len, int family, hostent* entry, char* room,
                                size_t size, hostent** out, int* error) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(gethostbyaddr_r)(addr, len, family, entry, room, size, out, error);
  return resolve(
      t, [&] { return GORT_NEXT(gethostbyaddr_r)(addr, len, family, entry, room, size, out, error); });
}

// SPDX-License-Identifier: Apache-2.0
// sleep, usleep, nanosleep, clock_nanosleep: a goroutine's sleep, never interrupted; getaddrinfo and its kin.
#include "hook/hook.hpp"

#include <netdb.h>
#include <time.h>
#include <unistd.h>

namespace gort::hook {

namespace {

constexpr int64 kNsPerSec = 1000000000;

bool badTime(const timespec& ts) { return ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= kNsPerSec; }

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
  if (badTime(*time)) return static_cast<int>(ret(-EINVAL));
  sleepFor(t, time->tv_sec, time->tv_nsec);
  return 0;
}

GORT_HOOKED int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  const HookTable* t = parker();
  if (t == nullptr || time == nullptr) return GORT_NEXT(clock_nanosleep)(clock, flags, time, left);
  if (badTime(*time)) return EINVAL;
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

// Name resolution is libc's own code, whose calls do not come through here: it runs without the P, on the thread.
GORT_HOOKED int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** out) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(getaddrinfo)(host, service, hints, out);
  int e = 0;
  const long r = blocking(t, [&] {
    const int result = GORT_NEXT(getaddrinfo)(host, service, hints, out);
    e = getErrno();
    return result;
  });
  if (r == EAI_SYSTEM) setErrno(e);
  return static_cast<int>(r);
}

GORT_HOOKED int getnameinfo(const sockaddr* addr, socklen_t len, char* host, socklen_t hostLen, char* service,
                            socklen_t serviceLen, int flags) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(getnameinfo)(addr, len, host, hostLen, service, serviceLen, flags);
  int e = 0;
  const long r = blocking(t, [&] {
    const int result = GORT_NEXT(getnameinfo)(addr, len, host, hostLen, service, serviceLen, flags);
    e = getErrno();
    return result;
  });
  if (r == EAI_SYSTEM) setErrno(e);
  return static_cast<int>(r);
}

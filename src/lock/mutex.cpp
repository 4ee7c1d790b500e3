// SPDX-License-Identifier: Apache-2.0
// lock/unlock with the M's count; lock ranks in debug builds.
#include "schema/mutex.hpp"

#include "arch/getg.hpp"
#include "base/check.hpp"
#include "base/print.hpp"
#include "schema/runtime2.hpp"

namespace gort::rt {

#if GORT_DEBUG
namespace {

constexpr uint8 kMaxHeld = 12;

// rankCheck: every lock held has a lower rank; hchan locks may nest among themselves in address order (select).
void rankCheck(M* mp, const Mutex& l) {
  if (l.rank() == LockRank::unranked) return;
  for (uint8 i = 0; i < mp->heldCount; ++i) {
    const Mutex* h = mp->held[i];
    if (h->rank() < l.rank() || h->rank() == LockRank::unranked) continue;
    if (h->rank() == l.rank() && l.rank() == LockRank::hchan && h < &l) continue;
    Printer p;
    p << "runtime: lock rank " << static_cast<int>(l.rank()) << " taken while holding rank "
      << static_cast<int>(h->rank()) << "\n";
    p.flush();
    throw_("lock ordering problem");
  }
}

void rankPush(M* mp, const Mutex& l) {
  GORT_CHECK(mp->heldCount < kMaxHeld, "runtime: too many locks held");
  mp->held[mp->heldCount++] = &l;
}

void rankPop(M* mp, const Mutex& l) {
  for (uint8 i = mp->heldCount; i-- > 0;) {
    if (mp->held[i] != &l) continue;
    for (uint8 j = i; j + 1 < mp->heldCount; ++j) mp->held[j] = mp->held[j + 1];
    --mp->heldCount;
    return;
  }
  // Taken when the list was full: a select over many channels.
  if (mp->locks > static_cast<int32>(mp->heldCount)) return;
  throw_("runtime: unlock of a lock that this thread does not hold");
}

}  // namespace

bool lockHeld(const Mutex& l) {
  const G* gp = getg();
  if (gp == nullptr || gp->m->dying != 0) return true;  // not recorded
  const M* mp = gp->m;
  for (uint8 i = 0; i < mp->heldCount; ++i) {
    if (mp->held[i] == &l) return true;
  }
  return mp->locks > static_cast<int32>(mp->heldCount) && mp->heldCount == kMaxHeld;
}
#endif

void lock(Mutex& l) {
  if (G* gp = getg(); GORT_LIKELY(gp != nullptr)) {
    M* mp = gp->m;
    ++mp->locks;
#if GORT_DEBUG
    if (mp->heldCount < kMaxHeld && mp->dying == 0) {
      rankCheck(mp, l);
      rankPush(mp, l);
    }
#endif
  }
  l.lock();
}

void unlock(Mutex& l) {
#if GORT_DEBUG
  if (G* gp = getg(); gp != nullptr && gp->m->dying == 0) rankPop(gp->m, l);
#endif
  l.unlock();
  if (G* gp = getg(); GORT_LIKELY(gp != nullptr)) --gp->m->locks;
}

void unlockLast(Mutex& l) {
#if GORT_DEBUG
  if (G* gp = getg(); gp != nullptr && gp->m->dying == 0) rankPop(gp->m, l);
#endif
  l.unlockLast();
  if (G* gp = getg(); GORT_LIKELY(gp != nullptr)) --gp->m->locks;
}

}  // namespace gort::rt

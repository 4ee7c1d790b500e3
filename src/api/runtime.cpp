// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/runtime.hpp; dumps are in debug.cpp.
#include <gort/runtime.hpp>

#include <utility>

#include "mem/stackalloc.hpp"
#include "sched/proc.hpp"

extern "C" const char gort_version_string[];  // generated, cmake/version.cpp.in

namespace gort {
inline namespace GORT_ABI {

namespace runtime {

int max_procs(int n) {
  rt::Entry e;
  return rt::setGomaxprocs(n);
}

int num_cpu() noexcept {
  rt::Entry e;
  return rt::ncpu;
}

std::size_t num_goroutine() noexcept {
  rt::Entry e;
  return rt::gcount();
}

std::uint64_t goid() noexcept {
  const rt::G* gp = rt::getg();
  return gp == nullptr ? 0 : gp->goid;
}

void set_name(std::string_view name) {
  rt::Entry e;
  rt::getg()->name = name.empty() ? nullptr : rt::internName(name.data(), name.size());
}

os_thread_lock::os_thread_lock() {
  rt::Entry e;
  if (!rt::getg()->foreign) rt::lockOSThread();
}

os_thread_lock::~os_thread_lock() {
  rt::Entry e;
  if (!rt::getg()->foreign) rt::unlockOSThread();
}

stack_stats_t stack_stats() {
  const rt::StackStats s = rt::stackStats();
  return {s.slots, s.guardInstalled, s.guardProtected, s.canaryOnly, s.reservedBytes, s.readyBytes};
}

std::string_view version() noexcept { return gort_version_string; }

}  // namespace runtime

namespace debug {

namespace {

// Dead goroutines in the global list: as the monitor thread does, one at a time.
void releaseDead() {
  for (;;) {
    rt::lock(rt::sched.gFree.lock);
    rt::G* gp = rt::sched.gFree.dirty.pop();
    if (gp != nullptr) {
      rt::sched.gFree.nDirty.fetchSub(1, rt::Order::relaxed);
      rt::sched.gFree.n.fetchSub(1, rt::Order::relaxed);
    }
    rt::unlock(rt::sched.gFree.lock);
    if (gp == nullptr) return;
    rt::stackUnused(gp);
    rt::lock(rt::sched.gFree.lock);
    rt::sched.gFree.clean.push(gp);
    rt::sched.gFree.n.fetchAdd(1, rt::Order::relaxed);
    rt::unlock(rt::sched.gFree.lock);
  }
}

// Requires: world stopped.
void releaseIdle() {
  for (rt::int32 i = 0; i < rt::gomaxprocs; ++i) {
    for (rt::G* gp = rt::allp[i]->gFree.top(); gp != nullptr; gp = gp->schedlink) rt::stackUnused(gp);
  }
  rt::forEachG(
      [](rt::G* gp, void*) {
        const auto status = static_cast<rt::GStatus>(rt::readgstatus(gp));
        if (status == rt::GStatus::Gwaiting && gp->stackClass != rt::kNoSlot) rt::stackReleaseBelow(gp);
      },
      nullptr);
}

}  // namespace

void free_os_memory() {
  rt::Entry e;
  releaseDead();
  rt::stopTheWorld("free_os_memory");
  rt::systemstack([] { releaseIdle(); });
  rt::startTheWorld();
}

std::size_t set_max_stack(std::size_t bytes) {
  rt::Entry e;
  const std::size_t old = rt::stackSlotBytes(rt::stackDefaultClass());
  rt::stopTheWorld("set_max_stack");  // free goroutines of the old default size are sorted by it
  rt::stackSetDefault(bytes);
  rt::startTheWorld();
  return old;
}

}  // namespace debug
}  // namespace GORT_ABI
}  // namespace gort

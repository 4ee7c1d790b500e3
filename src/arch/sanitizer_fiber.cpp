// SPDX-License-Identifier: Apache-2.0
// Tells ASan and TSan about every change of stack. Called only by asm_amd64.S, on the stack that is being left or was
// just entered; never instrumented itself (attributes below), because the sanitizers' per-stack state is in between.
//   leave(from): on from's stack, next is its M's g0.   goto(to): on g0, next is to.   arrive(to): on to's stack.
// Switching fibers also tells TSan that what the old fiber did happens before what the new one does on this thread,
// which is true: it is one thread.
#include "arch/sanitizer_fiber.hpp"

#include "schema/runtime2.hpp"

#if GORT_ASAN
extern "C" {
void __sanitizer_start_switch_fiber(void** fakeStackSave, const void* bottom, std::size_t size);
void __sanitizer_finish_switch_fiber(void* fakeStackSave, const void** bottomOld, std::size_t* sizeOld);
void __lsan_register_root_region(const void* p, std::size_t size);
void __asan_unpoison_memory_region(const volatile void* addr, std::size_t size);
}
#endif
#if GORT_TSAN
extern "C" {
void* __tsan_get_current_fiber(void);
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
}
#endif

#if defined(__clang__)
#define GORT_NO_SANITIZE __attribute__((disable_sanitizer_instrumentation, no_sanitize("address", "thread")))
#else
#define GORT_NO_SANITIZE __attribute__((no_sanitize("address", "thread")))
#endif

namespace gort::rt {

#if GORT_SANITIZED

extern "C" {

GORT_NO_SANITIZE void gort_fiber_leave(G* from) {
  [[maybe_unused]] G* to = from->m->g0;
#if GORT_ASAN
  const bool dying = from->atomicstatus.load(Order::relaxed) == static_cast<uint32>(GStatus::Gdead);
  __sanitizer_start_switch_fiber(dying ? nullptr : &from->fakeStack, reinterpret_cast<void*>(to->stack.lo),
                                 to->stack.hi - to->stack.lo);
#endif
#if GORT_TSAN
  __tsan_switch_to_fiber(to->fiber, 0);
#endif
}

GORT_NO_SANITIZE void gort_fiber_goto(G* to) {
#if GORT_ASAN
  G* from = to->m->g0;
  __sanitizer_start_switch_fiber(&from->fakeStack, reinterpret_cast<void*>(to->stack.lo),
                                 to->stack.hi - to->stack.lo);
#endif
#if GORT_TSAN
  __tsan_switch_to_fiber(to->fiber, 0);
#endif
}

GORT_NO_SANITIZE void gort_fiber_arrive([[maybe_unused]] G* to) {
#if GORT_ASAN
  void* fake = to->fakeStack;
  to->fakeStack = nullptr;
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

}  // extern "C"

void fiberCreate([[maybe_unused]] G* gp) {
#if GORT_ASAN
  gp->fakeStack = nullptr;
#endif
#if GORT_TSAN
  if (gp->fiber == nullptr) gp->fiber = __tsan_create_fiber(0);
#endif
}

void fiberOfThread([[maybe_unused]] G* gp) {
#if GORT_TSAN
  gp->fiber = __tsan_get_current_fiber();
#endif
}

void fiberDestroy([[maybe_unused]] G* gp) {
#if GORT_ASAN
  __asan_unpoison_memory_region(reinterpret_cast<void*>(gp->stack.lo), gp->stack.hi - gp->stack.lo);
#endif
}

#if GORT_ASAN
void leakRoot(unsigned long at, unsigned long bytes) {
  __lsan_register_root_region(reinterpret_cast<void*>(at), bytes);
}
#endif

#endif

}  // namespace gort::rt

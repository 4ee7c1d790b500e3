// SPDX-License-Identifier: Apache-2.0
// libgort_hook.so: libc's blocking calls park the goroutine that makes them.                                   (ours)
//
// The library defines libc's names, and stands before libc in the program's search order because it is linked or preloaded.
// What a hooked call does depends on who calls:
//
//   no Gort in the process, not booted, a forked child   libc's function, untouched
//   a thread that is no goroutine, g0, a signal handler
//     on its own stack, a goroutine inside blocking()    libc's function; unlock, signal and close also wake goroutines
//   a goroutine                                          the call is tried without waiting; if it would wait, the goroutine
//                                                        parks until it makes sense to try again
//
// Files:      nothing is remembered about a file between two calls (sched/netpoll_file.cpp), and O_NONBLOCK is never set:
//             sockets are tried with MSG_DONTWAIT, other files are asked with poll first. So a file may be closed,
//             duplicated, inherited and shared with plain threads behind our back. connect alone sets O_NONBLOCK, for the
//             moment of the call. Another reader may be faster between poll and read: then the thread blocks, as it would
//             without us, but its P is taken away (inSyscall).
// errno:      raw system calls return -errno; errno is written last, after the last park, through a declaration of
//             __errno_location that is not const: the goroutine may have changed threads.
// Threads:    hooked functions may be called from any thread at any time, before our constructors too.
// Allocation: none but in select and poll with many files (malloc), on the goroutine's stack.
// Sharing:    no lock of ours. What must be locked is the runtime's (HookTable), whose holder is not preempted.
// No C++ library: the object is preloaded into C programs. -fno-exceptions, -fno-rtti, header-only parts of src/ only.
#include "hook/hook.hpp"

#include <dlfcn.h>
#include <pthread.h>

// The note that the boot of the runtime looks for: sched/hook_table.hpp.
#define GORT_STRING2(x) #x
#define GORT_STRING(x) GORT_STRING2(x)
__asm__(
    ".pushsection .note.gorthook,\"a\",@note\n"
    ".balign 4\n"
    ".long 9, 8, " GORT_STRING(GORT_HOOK_VERSION) "\n"
    ".asciz \"GortHook\"\n"
    ".balign 4\n"
    ".quad gort_hook_slot - .\n"
    ".popsection\n");

constinit gort::rt::Atomic<const gort::rt::HookTable*> gort_hook_slot{nullptr};

extern "C" int* gort_hook_errno_location() __asm__("__errno_location");

namespace gort::hook {

namespace {

// In the child of a fork there is no runtime.
void inChild() { gort_hook_slot.store(nullptr, Order::release); }

__attribute__((constructor)) void watchForks() { pthread_atfork(nullptr, nullptr, inChild); }

}  // namespace

void* nextOf(const char* name, const char* version) {
  void* p = dlsym(RTLD_NEXT, name);
  if (p == nullptr) __builtin_trap();  // a name of libc that libc does not have
  // An interposer behind us, whose names have no versions, is asked in all calls or in none; dlvsym leaves it out.
  void* versioned = version != nullptr ? dlvsym(RTLD_NEXT, name, version) : nullptr;
  Dl_info mine{}, libcs{};
  if (versioned == nullptr || dladdr(p, &mine) == 0 || dladdr(versioned, &libcs) == 0) return p;
  return mine.dli_fbase == libcs.dli_fbase ? versioned : p;
}

void setErrno(int e) { *gort_hook_errno_location() = e; }
int getErrno() { return *gort_hook_errno_location(); }

}  // namespace gort::hook

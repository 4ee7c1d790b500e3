// SPDX-License-Identifier: Apache-2.0
// Questions to the runtime and its knobs.                                     (Go: packages runtime and runtime/debug)
#pragma once
#include <gort/error.hpp>
#include <gort/time.hpp>

#include <string>
#include <vector>

namespace gort {
inline namespace GORT_ABI {

namespace runtime {

// max_procs sets how many goroutines run at once and returns the old number; n <= 0 only asks. Stops the world.
GORT_API int max_procs(int n = 0);
// num_cpu is the number of CPUs this process may run on.
[[nodiscard]] GORT_API int num_cpu() noexcept;
[[nodiscard]] GORT_API std::size_t num_goroutine() noexcept;
// goid is the number of the calling goroutine, as dumps show it; 0 on a thread that Gort does not know.
[[nodiscard]] GORT_API std::uint64_t goid() noexcept;
// set_name names the calling goroutine in dumps and profiles; copied.
GORT_API void set_name(std::string_view name);
[[nodiscard]] GORT_API std::string_view version() noexcept;

// os_thread_lock keeps the calling goroutine on its thread while it lives (counted; Go: LockOSThread).
class [[nodiscard]] GORT_API os_thread_lock {
 public:
  os_thread_lock();
  ~os_thread_lock();
  os_thread_lock(const os_thread_lock&) = delete;
  os_thread_lock& operator=(const os_thread_lock&) = delete;
};

// stack is a text with the calling goroutine's frames, or with those of all goroutines (stops the world).
[[nodiscard]] GORT_API std::string stack(bool all = false);

// keep_alive keeps *p alive up to this point for the collector and the optimiser.
inline void keep_alive(const void* p) noexcept { asm volatile("" ::"g"(p) : "memory"); }

// stack_stats: how goroutine stacks are laid out and guarded.
struct stack_stats_t {
  std::uint64_t slots;            // made so far, all sizes
  std::uint64_t guard_installed;  // guards that cost no mapping (Linux 6.13)
  std::uint64_t guard_protected;  // guards that cost mappings
  std::uint64_t canary_only;      // slots without a real guard: overflow is found late
  std::uint64_t reserved_bytes, ready_bytes;
};
[[nodiscard]] GORT_API stack_stats_t stack_stats();

}  // namespace runtime

namespace debug {

// free_os_memory gives unused stack pages back to the system now: of dead goroutines, and below the stack pointer of
// parked ones (stops the world).
GORT_API void free_os_memory();
// set_max_stack sets the default stack of goroutines started from now on, bytes; returns the old value.
GORT_API std::size_t set_max_stack(std::size_t bytes);
GORT_API void print_stack();             // the calling goroutine's, to stderr
GORT_API error dump_goroutines(int fd);  // all goroutines, as a crash would print them (stops the world)
// set_traceback raises GOTRACEBACK: none, single, all, system, crash. Unknown words are an error.
GORT_API error set_traceback(std::string_view level);

}  // namespace debug
}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// Version, export macro, and the few types that every other header needs. See docs/api.md section 11 for the rules of
// these headers. Everything public is in namespace gort (inline v1); gort::detail is private.
#pragma once
#define GORT_VERSION 100  // major*10000 + minor*100 + patch
#define GORT_ABI v1
#if defined(GORT_BUILD)
#define GORT_API [[gnu::visibility("default")]]
#else
#define GORT_API
#endif

// What this version carries; 0: not in it, and no header for it.
#define GORT_HAS_GC 0          // gort/gc.hpp: the collected heap
#define GORT_HAS_GO_SURFACE 0  // C++ and Go in one process on one runtime
#define GORT_HAS_IO_URING 1    // os::file uses io_uring where the kernel offers it

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace gort {
inline namespace GORT_ABI {

// unit is the value that says nothing: chan<> carries units.
struct unit {
  friend constexpr bool operator==(unit, unit) = default;
};

// location names a place in the source; pass location::current() as a default argument. (std::source_location is missing
// with Clang 14 and libstdc++ 12.) The strings live as long as the program.
struct location {
  const char* file;
  const char* function;
  unsigned line;
  static constexpr location current(const char* f = __builtin_FILE(), const char* fn = __builtin_FUNCTION(),
                                    unsigned l = __builtin_LINE()) noexcept {
    return {f, fn, l};
  }
};

namespace detail {
template <class>
inline constexpr bool no = false;
template <class T>
struct must_use : std::false_type {};  // results that nobody may drop: error, result, task
template <class T>
struct gc_transparent : std::false_type {};
}  // namespace detail

template <class T>
concept must_use_result = detail::must_use<std::remove_cvref_t<T>>::value;

}  // namespace GORT_ABI
}  // namespace gort

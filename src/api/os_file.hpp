// SPDX-License-Identifier: Apache-2.0
// What os_file.cpp and os_exec.cpp share.
#pragma once
#include <gort/os.hpp>

#include "api/poll_fd.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace os {

error path_error(const char* op, std::string_view name, const error& cause);  // "open /x: ..."

inline bool has_nul(std::string_view s) { return s.find('\0') != s.npos; }  // C would see its beginning only

namespace detail {

struct file_fd final : gort::detail::poll_fd {
  file_fd(int sysfd, std::string_view n, bool can_break) : poll_fd(sysfd), name(n), breaks(can_break) {}
  explicit file_fd(never_open n) : poll_fd(n), breaks(false) {}
  ~file_fd() override = default;

  // make takes over sysfd, also when it fails.
  static result<file_fd*> make(int sysfd, std::string_view name);

  const std::string name;
  const bool breaks;  // a pipe or a socket: its reader may go away
  bool quick = true;  // by rmu or not at all: preadv2 knows RWF_NOWAIT here
};

struct file_access {
  static file_fd& of(const file& f) { return *f.p_; }
};

// outside runs f, a system call that may block, on a thread without a P, again if it was interrupted.
long outside_slow(long (*f)(void*), void* arg);
template <class F>
long outside(F f) {
  return outside_slow([](void* p) -> long { return (*static_cast<F*>(p))(); }, &f);
}
// apart is outside for at most kHandOff calls of a run() at once; the others park until it is their turn. A foreign thread
// needs none: what it waits for costs no thread but its own.
inline constexpr int kHandOff = 64;
semaphore* turn_begins();
template <class F>
long by_turns(F f) {
  semaphore* places = turn_begins();
  const long r = f();
  if (places != nullptr) places->release();
  return r;
}
template <class F>
long apart(F f) {
  return by_turns([&] { return outside(f); });
}

}  // namespace detail
}  // namespace os
}  // namespace GORT_ABI
}  // namespace gort

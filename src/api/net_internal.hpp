// SPDX-License-Identifier: Apache-2.0
// What net.cpp and net_dial.cpp share.
#pragma once
#include "api/net_fd.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace net {

void tune(detail::net_fd& f, const dial_options& o);  // options of a new stream
address name_of(int fd, bool peer);                   // getpeername or getsockname; empty if it has none

namespace detail {

// reference keeps the record of an fd alive in a callback that may come after its handle has gone.
class reference {
 public:
  explicit reference(gort::detail::poll_fd* f) : f_(f) { f_->retain(); }
  reference(reference&& o) noexcept : f_(std::exchange(o.f_, nullptr)) {}
  ~reference() {
    if (f_ != nullptr) f_->release();
  }
  [[nodiscard]] gort::detail::poll_fd* get() const { return f_; }

 private:
  gort::detail::poll_fd* f_;
};

}  // namespace detail
}  // namespace net
}  // namespace GORT_ABI
}  // namespace gort

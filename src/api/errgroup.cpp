// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/sync.hpp: errgroup.      (Go: x/sync/errgroup)
// The first failure is kept by `first_`; wait() reads it after all children have left (the wait_group orders
// the two).
#include "api/wait_internal.hpp"

namespace gort {
inline namespace GORT_ABI {

namespace {
constexpr std::int64_t kUnlimited = std::int64_t{1} << 40;
}

errgroup::errgroup(const context& parent) : ctx_(with_cancel(parent)), limit_(kUnlimited) {}

errgroup::~errgroup() noexcept(false) {
  ctx_.cancel();
  wg_.wait();
  if (!waited_ && std::uncaught_exceptions() == 0) rethrow();  // nothing is swallowed
}

void errgroup::set_limit(int n) {
  if (limited_) {
    if (!limit_.try_acquire(kept_))
      panic("errgroup: modify limit while goroutines in the group are still active");
  } else if (!wg_.wait_for(clock::duration::zero())) {
    panic("errgroup: modify limit while goroutines in the group are still active");
  }
  if (limited_) limit_.release(kUnlimited);
  limited_ = n >= 0;
  kept_ = n;
  if (limited_) limit_.acquire(kUnlimited - n);
}

bool errgroup::enter(bool may_wait) {
  if (limited_) {
    if (may_wait) {
      limit_.acquire();
    } else if (!limit_.try_acquire()) {
      return false;
    }
  }
  wg_.add(1);
  return true;
}

void errgroup::leave() noexcept {
  if (limited_) limit_.release();
  wg_.done();
}

void errgroup::fail(error e, std::exception_ptr x, std::string panicked) noexcept {
  first_([&] {
    failure_ = std::move(e);
    thrown_ = std::move(x);
    panicked_ = std::move(panicked);
    ctx_.cancel(failure_);
  });
}

void errgroup::run(error (*f)(void*, const context&), void* arg) {
  func([&](auto& frame) {
    frame.recover([this](const panic_info& p) {
      std::string text;
      if (!p.exception()) {
        text =
            p.message() + "\n\ngoroutine " + std::to_string(rt::getg()->goid) + " [errgroup]:\n" + p.stack();
      }
      fail(p.as_error(), p.exception(), std::move(text));
    });
    if (error e = f(arg, ctx_)) fail(std::move(e), nullptr, {});
  });
}

void errgroup::rethrow() {
  if (thrown_) std::rethrow_exception(thrown_);
  if (!panicked_.empty()) panic(std::string_view(panicked_));
}

error errgroup::wait() {
  wg_.wait();
  waited_ = true;
  ctx_.cancel();
  rethrow();
  return failure_;
}

}  // namespace GORT_ABI
}  // namespace gort

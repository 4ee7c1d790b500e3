// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/sim.hpp.
#include <gort/sim.hpp>

#include <string>

#include "sched/proc.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace sim {

namespace {

// Left collects goroutines younger than `after` that still live.
struct left {
  std::uint64_t after;
  std::string text;
};

void collect(rt::G* gp, void* p) {
  auto& l = *static_cast<left*>(p);
  const auto status = static_cast<rt::GStatus>(rt::readgstatus(gp));
  if (status == rt::GStatus::Gdead || gp->systemGoroutine || gp->goid <= l.after || gp == rt::getg()) return;
  if (gp->epoch != rt::getg()->epoch) return;
  l.text += "\n\tgoroutine " + std::to_string(gp->goid);
  if (gp->name != nullptr) l.text += std::string(" \"") + gp->name + "\"";
  l.text += std::string(" [") + rt::waitReasonString(gp->waitreason) + "]";
  if (gp->where.file != nullptr) {
    l.text += std::string(", created at ") + gp->where.file + ":" + std::to_string(gp->where.line);
  }
}

}  // namespace

namespace detail {

void run(const options& o, void (*fn)(void*), void* arg) {
  rt::G* gp = rt::getg();
  const bool outside = gp == nullptr || gp->foreign;
  auto body = [&] {
    rt::simEnter(o.seed, outside);
    defer leave{[] { rt::simLeave(); }};
    left l{rt::getg()->goid, {}};
    if (!outside) l.after = rt::sched.goidgen.load(rt::Order::relaxed);
    fn(arg);
    if (!o.check_leaks) return;
    rt::simSettle();
    rt::forEachG(collect, &l);
    if (!l.text.empty())
      panic(std::string_view(l.text.insert(0, "gort::sim::run: goroutines left at its end:")));
  };
  if (!outside) return body();
  std::exception_ptr failure;
  gort::run([&] {
    try {
      body();
    } catch (const panic_unwind&) {
      throw;
    } catch (...) {
      failure = std::current_exception();
    }
  });
  if (failure != nullptr) std::rethrow_exception(failure);
}

}  // namespace detail

void wait() { rt::simSettle(); }

std::uint64_t trace_hash() noexcept { return rt::simTraceHash(); }

}  // namespace sim
}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/timer.hpp.      (Go: time/sleep.go, time/tick.go, runtime/time.go for the channel timers)
//
// Until somebody asks for its channel a timer is only a deadline in the object: making and stopping one is
// reading the clock and one exchange. Asking makes the box, which has the channel and the scheduler's Timer,
// and arms it; a deadline that has passed by then fires at once. after_func has a box from the start.
//
// Ownership:  the box belongs to the timer object; detached, to the armed Timer. A goroutine that runs
//             after_func's f holds a reference too. The Timer's function runs on g0, where nothing may be
//             freed: a detached channel timer that has fired puts its box on the garbage list, which the next
//             maker of a box empties.
// Ordering:   box_ is published (release) before when_ is taken (exchange): stop and rearm, who take when_
//             first and then look for a box, cannot miss an armed one.
// No stale value: stop and rearm hold box.lock, wait until the Timer's function is not running, then empty
// the channel.
#include <gort/go.hpp>
#include <gort/timer.hpp>

#include "lang/chan.hpp"
#include "lang/panic.hpp"
#include "sched/proc.hpp"
#include "sched/time.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace detail {

using rt::Order;

struct timer_box {
  rt::Mutex lock{rt::LockRank::timerUser};  // serialises stop, rearm, detach; not the function
  rt::Timer timer;
  rt::Atomic<rt::uint32> refs{1};
  rt::Atomic<bool> detached{false};
  chan<clock::time_point> c;  // nil: after_func
  timer_call f = nullptr;
  timer_call destroy = nullptr;
  void* arg = nullptr;
  timer_box* nextGarbage = nullptr;
};

namespace {

constinit rt::Atomic<timer_box*> garbage{nullptr};

void unref(timer_box* b) {
  if (b->refs.fetchSub(1, Order::acqRel) != 1) return;
  rt::timerStop(b->timer);  // its function may be on its last instructions
  if (b->destroy != nullptr) b->destroy(b->arg);
  delete b;
}

void emptyGarbage() {
  if (garbage.load(Order::relaxed) == nullptr) return;
  timer_box* b = garbage.exchange(nullptr, Order::acquire);
  while (b != nullptr) {
    timer_box* next = b->nextGarbage;
    unref(b);
    b = next;
  }
}

// Runs on g0.
void discard(timer_box* b) {
  timer_box* head = garbage.load(Order::relaxed);
  do {
    b->nextGarbage = head;
  } while (!garbage.compareExchange(head, b, Order::release));
}

// Channel timers: the time goes in if there is room. Runs on g0.
void sendTime(void* arg, rt::uint64, rt::int64) {
  auto* b = static_cast<timer_box*>(arg);
  clock::time_point now = clock::now();
  rt::chansend(b->c.raw(), &now, false, nullptr);
  if (b->detached.load(Order::relaxed)) discard(b);
}

// The closure of the goroutine that runs after_func's f.
struct call_closure {
  timer_box* b;
  explicit call_closure(timer_box* box) noexcept : b(box) {}
  call_closure(const call_closure&) = delete;
  call_closure& operator=(const call_closure&) = delete;
  ~call_closure() { unref(b); }
  void operator()() const { b->f(b->arg); }
};

// after_func: starts the goroutine. Runs on g0.
void startCall(void* arg, rt::uint64, rt::int64) {
  auto* b = static_cast<timer_box*>(arg);
  if (!b->detached.load(Order::relaxed))
    b->refs.fetchAdd(1, Order::relaxed);  // else ours becomes the goroutine's
  rt::NewprocOptions o;
  o.name = "after_func";
  o.startpc = reinterpret_cast<rt::uintptr>(b->f);
  const rt::NewG made = rt::newprocBegin(o, sizeof(call_closure), alignof(call_closure));
  ::new (made.closure) call_closure(b);
  rt::newprocStart(made.g, goroutine_main<call_closure>, made.closure);
}

// Empties the channel; true: there was a value. Requires: the Timer is not running and not armed.
bool drain(timer_box& b) {
  clock::time_point stale;
  return b.c && rt::chanrecv(b.c.raw(), &stale, false, nullptr) == rt::ChanResult::ok;
}

bool stopLocked(timer_box& b) {
  const bool pending = rt::timerStop(b.timer);
  return drain(b) || pending;
}

}  // namespace

std::int64_t timer_core::time_in(clock::duration d) noexcept {
  if (d == clock::duration::max()) return rt::kTimeNever;
  return rt::whenAfter(d.count());
}

void timer_core::bad_interval(const char* text) {
  rt::Entry e;
  rt::panicString(text);
}

recv_chan<clock::time_point> timer_core::channel() const {
  timer_box* b = __atomic_load_n(&box_, __ATOMIC_ACQUIRE);
  if (b != nullptr) return b->c;
  auto c = make_chan<clock::time_point>(1);
  rt::Entry e;
  emptyGarbage();
  auto* fresh = new timer_box;
  fresh->c = std::move(c);
  rt::timerInit(fresh->timer, sendTime, fresh);
  rt::timerSetSlack(fresh->timer, slack_);
  rt::lock(fresh->lock);  // before others see it: their stop must come after our arming
  if (!__atomic_compare_exchange_n(&box_, &b, fresh, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    rt::unlock(fresh->lock);
    unref(fresh);
    return b->c;
  }
  const std::int64_t when = __atomic_exchange_n(&when_, 0, __ATOMIC_ACQ_REL);
  if (when != 0) rt::timerModify(fresh->timer, when, __atomic_load_n(&period_, __ATOMIC_RELAXED));
  rt::unlock(fresh->lock);
  return fresh->c;
}

bool timer_core::stop_box() noexcept {
  rt::Entry e;
  rt::LockGuard l(box_->lock);
  return stopLocked(*box_);
}

bool timer_core::rearm(std::int64_t when, std::int64_t period) {
  bool pending = false;
  std::int64_t mine = when;
  if (__atomic_load_n(&box_, __ATOMIC_ACQUIRE) == nullptr) {
    __atomic_store_n(&period_, period, __ATOMIC_RELAXED);
    pending = __atomic_exchange_n(&when_, when, __ATOMIC_ACQ_REL) != 0;
    if (__atomic_load_n(&box_, __ATOMIC_ACQUIRE) == nullptr) return pending;
    mine = __atomic_exchange_n(&when_, 0,
                               __ATOMIC_ACQ_REL);  // a box has come meanwhile: who took the deadline armed it
    if (mine == 0) return pending;
  }
  rt::Entry e;
  rt::LockGuard l(box_->lock);
  pending = stopLocked(*box_) || pending;
  rt::timerModify(box_->timer, mine, period);
  return pending;
}

void timer_core::call(std::int64_t when, timer_call f, timer_call destroy, void* arg) {
  timer_box* b = nullptr;
  try {
    b = new timer_box;
  } catch (...) {
    destroy(arg);
    throw;
  }
  rt::Entry e;
  emptyGarbage();
  b->f = f;
  b->destroy = destroy;
  b->arg = arg;
  box_ = b;
  rt::timerInit(b->timer, startCall, b);
  rt::timerSetSlack(b->timer, slack_);
  rt::timerModify(b->timer, when, 0);
}

void timer_core::detach() noexcept {
  timer_box* b = std::exchange(box_, nullptr);
  when_ = 0;
  if (b == nullptr) return;  // nobody has the channel
  rt::Entry e;
  bool armed = false;
  {
    rt::LockGuard l(b->lock);
    const std::int64_t when = b->timer.when;
    armed = rt::timerStop(b->timer) && when != rt::kTimeNever;  // one that never fires needs no box
    if (armed) {
      b->detached.store(true, Order::relaxed);
      rt::timerModify(b->timer, when, 0);
    }
  }
  if (!armed) unref(b);
}

void timer_core::drop() noexcept {
  timer_box* b = std::exchange(box_, nullptr);
  rt::Entry e;
  {
    rt::LockGuard l(b->lock);
    rt::timerStop(b->timer);
  }
  unref(b);
}

}  // namespace detail

void set_timer_slack(clock::duration slack) noexcept {
  rt::timerSetDefaultSlack(slack.count() < 0 ? 0 : slack.count());
}

}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// Properties of the public types, and every spelling that docs/api.md promises to compile.  Nothing here runs: it is
// built by both compilers with all warnings, and linked, so every function named exists.
#include <gort/gort.hpp>
#include <gort/stop_token.hpp>

#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <vector>

namespace {
using namespace std::chrono_literals;

struct MoveOnly {
  std::unique_ptr<int> p;
};
struct ThrowingMove {
  ThrowingMove() = default;
  ThrowingMove(ThrowingMove&&) noexcept(false) {}
  ThrowingMove& operator=(ThrowingMove&&) = delete;
};
struct Node;
using NodeChan = gort::chan<Node>;  // a channel of an incomplete type may be named
struct Node {
  NodeChan next;
};

static_assert(sizeof(gort::chan<int>) == sizeof(void*) && sizeof(gort::error) == sizeof(void*));
static_assert(sizeof(gort::context) == sizeof(void*));

// Sizes are part of the ABI: one that changes is a new inline namespace (docs/api.md section 11).
constexpr std::size_t kWord = sizeof(void*);
static_assert(sizeof(gort::recv_chan<MoveOnly>) == kWord && sizeof(gort::send_chan<MoveOnly>) == kWord);
static_assert(sizeof(gort::close_guard<int>) == kWord && sizeof(gort::scoped_context) == kWord);
static_assert(sizeof(gort::task<int>) == kWord && sizeof(gort::task<void>) == kWord);
static_assert(sizeof(gort::timer) == 4 * kWord && sizeof(gort::ticker) == 4 * kWord);
static_assert(sizeof(gort::after_guard) == kWord);
static_assert(sizeof(gort::mutex) == 8 && sizeof(gort::rw_mutex) == 8 && sizeof(gort::wait_group) == 16);
static_assert(sizeof(gort::cond) == 4 && sizeof(gort::once) == 12 && sizeof(gort::semaphore) == 16);
static_assert(sizeof(gort::pool<int>) == 24 && sizeof(gort::errgroup) == 120);
static_assert(sizeof(gort::select_case) == 152 && sizeof(gort::timeout_case) == 152 &&
              sizeof(gort::default_case) == 152 && sizeof(gort::selected) == 16);
static_assert(sizeof(gort::recv_case<int>) == 160 && sizeof(gort::send_case<int>) == 160);
static_assert(sizeof(gort::local<int>) == 16);
static_assert(sizeof(gort::go_options) == 48 && sizeof(gort::run_options) == 40 &&
              sizeof(gort::location) == 24);

static_assert(GORT_HAS_GC == 0 && GORT_HAS_GO_SURFACE == 0 && GORT_HAS_IO_URING == 1);

static_assert(gort::receivable<gort::chan<MoveOnly>> && gort::sendable<gort::chan<MoveOnly>>);
static_assert(gort::receivable<gort::recv_chan<MoveOnly>> && !gort::sendable<gort::recv_chan<MoveOnly>>);
static_assert(!gort::receivable<gort::send_chan<MoveOnly>> && gort::sendable<gort::send_chan<MoveOnly>>);
static_assert(std::convertible_to<gort::chan<int>, gort::recv_chan<int>>);
static_assert(std::convertible_to<gort::chan<int>, gort::send_chan<int>>);
static_assert(!std::convertible_to<gort::recv_chan<int>, gort::chan<int>>);
static_assert(!std::convertible_to<gort::recv_chan<int>, gort::send_chan<int>>);
static_assert(std::input_iterator<gort::chan<int>::iterator>);
static_assert(std::sentinel_for<std::default_sentinel_t, gort::chan<MoveOnly>::iterator>);
static_assert(!gort::chan_value<int&> && !gort::chan_value<const int>);
static_assert(gort::chan_value<MoveOnly> && gort::chan_value<ThrowingMove>);

// Traits, not concepts: a task's destructor may throw on a panic through it, and std::movable wants it noexcept.
static_assert(!std::is_copy_constructible_v<gort::task<int>> && !std::is_copy_assignable_v<gort::task<int>>);
static_assert(std::is_move_constructible_v<gort::task<int>> && std::is_move_assignable_v<gort::task<int>>);
static_assert(!std::is_copy_constructible_v<gort::scoped_context> &&
              std::is_move_constructible_v<gort::scoped_context>);
static_assert(std::copyable<gort::error> && std::copyable<gort::context> &&
              std::copyable<gort::chan<MoveOnly>>);

constinit gort::mutex g_mu;
constinit gort::rw_mutex g_rw;
constinit gort::once g_once;
constinit gort::wait_group g_wg;
constinit gort::cond g_cv;
inline constexpr gort::context_key<std::string> request_id{"request_id"};

[[maybe_unused]] void locks() {
  std::scoped_lock l(g_mu);
  std::shared_lock r(g_rw);
  std::unique_lock u(g_mu, 5ms);
  std::unique_lock<gort::mutex> u2(g_mu, std::defer_lock);
  if (u2.try_lock_for(1h)) return;
  g_cv.wait(u, [] { return true; });
  g_once([] {});
  g_wg.go([] {});
  gort::semaphore sem{3};
  sem.acquire();
  if (auto e = sem.acquire(gort::background())) return;
  gort::guarded<std::map<int, int>> gm;
  (*gm.lock())[1] = 2;
  gm.with([](auto& x) { x.clear(); });
  (void)gort::once_value([] { return 3; })();
}

[[maybe_unused]] void channels() {
  gort::chan<MoveOnly> c = gort::make_chan<MoveOnly>(3);
  c.send({std::make_unique<int>(1)});
  MoveOnly m;
  if (!c.try_send(std::move(m))) return;
  gort::recv_chan<MoveOnly> rc = c;
  auto v = rc.recv();
  gort::chan<ThrowingMove> tc;
  auto tv = tc.recv();
  gort::chan<> done;
  done.send();
  done.recv();
  done.close();
  if (auto x = c.recv_for(1ms)) {
    (void)x->p;
  } else if (x.closed()) {
    return;
  }
  (void)v, (void)tv;
}

[[maybe_unused]] void contexts(gort::chan<MoveOnly> c) {
  auto ctx = gort::with_timeout(gort::background(), 2s);
  auto named = gort::with_value(ctx, request_id, "abc");
  (void)named.value(request_id);
  auto s = gort::with_stop(ctx, std::stop_token{});
  if (gort::error e = gort::sleep(ctx, 1s); e == gort::errc::canceled || e.timeout()) return;
  if (auto x = c.recv(ctx)) return;
}

[[maybe_unused]] void goroutines(const gort::context& ctx) {
  auto t = gort::spawn([](int a, std::unique_ptr<int> p) { return a + *p; }, 1, std::make_unique<int>(3));
  int n = t.join();
  auto t2 = gort::spawn(
      ctx, [](gort::context k, int a) { return k.err() ? 0 : a; }, n);
  t2.cancel();
  (void)t2.join();
  gort::go(
      {.name = "x", .stack = 1 << 20}, [](std::string s) { (void)s; }, "hello");
  struct S {
    void m(int) {}
  } obj;
  gort::go(&S::m, std::ref(obj), 3);
  gort::go(&S::m, &obj, 3);
}

[[maybe_unused]] void panics() {
  int rv = gort::func<int>([&](auto& fn) {
    fn.defer([] {});
    fn.recover([](const gort::panic_info& p) { return p.message().empty() ? -1 : -2; });
    return 1;
  });
  (void)rv;
  gort::func([&](auto& fn) {
    fn.defer([] {});
    fn.recover([](const gort::panic_info&) {});
  });
  gort::defer d{[] {}};
}

[[maybe_unused]] int selects(gort::chan<MoveOnly> c, gort::chan<> done, const gort::context& ctx) {
  int code = gort::select(gort::on_recv(done, [](auto v) { return v ? 1 : 2; }),
                          gort::on_timeout(1s, [] { return 3; }));
  gort::select(gort::on_recv(c, [](std::optional<MoveOnly>) {}), gort::on_send(done, gort::unit{}, [] {}),
               gort::on_default([] {}));
  std::vector<gort::recv_case<MoveOnly>> many;
  many.emplace_back(c);
  gort::recv_case quit{ctx.done()};
  gort::timeout_case to{1s};
  auto hit = gort::select(many, quit, to);
  if (hit == quit) return code;
  if (auto i = hit.in(many)) many.erase(many.begin() + static_cast<long>(*i));
  gort::select_case* dyn[] = {&quit, &to};
  auto h2 = gort::select(std::span<gort::select_case*>(dyn));
  (void)h2.index();
  MoveOnly q;
  gort::send_case put{c, gort::take_from(q)};
  gort::send_case put2{c, MoveOnly{}};
  gort::send_case<MoveOnly> put3{c};
  put3.arm(MoveOnly{});
  switch (gort::select(put, put2, quit).index()) {
    case 0:
      return 0;
    default:
      return 1;
  }
}
}  // namespace

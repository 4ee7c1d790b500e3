// SPDX-License-Identifier: Apache-2.0
// What goroutines share memory with: mutex, rw_mutex, wait_group, once, cond, semaphore, guarded, pool,
// errgroup.
//                                                            (Go: package sync, x/sync/semaphore,
//                                                            x/sync/errgroup)
//   gort::mutex mu;                          gort::wait_group wg;
//   { std::lock_guard l{mu}; ++n; }          wg.go([&] { work(); });          wg.wait();
//
// Waiting parks the goroutine, not its thread; on a foreign thread it blocks the thread. Nothing here
// allocates, except where it says so. All types are constant-initialised, immovable and cheap to construct;
// none has an owner: what one goroutine has locked another may unlock.
// Lifetime: an object may be destroyed as soon as the last wait on it has returned. unlock(), done() and
// release() touch nothing after they have let somebody in.
// Memory: what happened before unlock, done, notify, release, or the end of once's function happens before
// what follows the lock, wait, acquire or once that it lets through: the edges of Go's memory model.
// Misuse is a bug and panics with Go's text; the object is as before and stays usable.
// Time: the forms with a duration or time_point return false when it is over. A context comes first; its form
// returns nil, or the context's error without having done anything. What needs no waiting succeeds, whatever
// the time or the context.
#pragma once
#include <gort/context.hpp>
#include <gort/defer.hpp>
#include <gort/go.hpp>

#include <exception>
#include <memory>
#include <mutex>
#include <string>

namespace gort {
inline namespace GORT_ABI {

namespace detail {

// The words below are handled with the compiler's atomics, so that the library proper can lay its own type
// over them.
template <class T>
[[nodiscard]] inline T load_acquire(const T& w) noexcept {
  return __atomic_load_n(&w, __ATOMIC_ACQUIRE);
}
template <class T>
[[nodiscard]] inline bool cas_acquire(T& w, std::type_identity_t<T> expected,
                                      std::type_identity_t<T> desired) noexcept {
  return __atomic_compare_exchange_n(&w, &expected, desired, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
template <class T>
[[nodiscard]] inline bool cas_release(T& w, std::type_identity_t<T> expected,
                                      std::type_identity_t<T> desired) noexcept {
  return __atomic_compare_exchange_n(&w, &expected, desired, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}
template <class T>
[[nodiscard]] inline T load_relaxed(const T& w) noexcept {
  return __atomic_load_n(&w, __ATOMIC_RELAXED);
}

// How long an operation may wait: until a time, or until a context is done.
struct patience {
  clock::time_point until = clock::time_point::max();
  const context* ctx = nullptr;
  bool bounded() const noexcept { return ctx != nullptr || until != clock::time_point::max(); }
};

}  // namespace detail

// mutex: one holder. Waiters are served in order after 1 ms of waiting (starvation mode); until then whoever
// is running may overtake. A TimedLockable: std::lock_guard, unique_lock and scoped_lock fit.
class mutex {
 public:
  constexpr mutex() noexcept = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  void lock() {
    if (!detail::cas_acquire(state_, 0, kLocked)) lock_slow();
  }
  [[nodiscard]] bool try_lock() noexcept {
    const std::uint32_t s = detail::load_relaxed(state_);
    return (s & (kLocked | kStarving)) == 0 && detail::cas_acquire(state_, s, s | kLocked);
  }
  void unlock() {
    if (!detail::cas_release(state_, kLocked, 0)) unlock_slow();
  }
  template <class R, class P>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<R, P> d) {
    return try_lock() || lock_until({detail::deadline_after(detail::to_ns(d)), nullptr});
  }
  template <class C, class D>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<C, D> t) {
    return try_lock() || lock_until({detail::to_tp(t), nullptr});
  }
  [[nodiscard]] error lock(const context& ctx) {
    return try_lock() || lock_until({clock::time_point::max(), &ctx}) ? error{} : ctx.err();
  }

 private:
  static constexpr std::uint32_t kLocked = 1, kStarving = 4;
  GORT_API void lock_slow();
  GORT_API void unlock_slow();
  GORT_API bool lock_until(const detail::patience& p);

  std::uint32_t state_ = 0;
  std::uint32_t sema_ = 0;
};

// rw_mutex: one writer or many readers. A waiting writer keeps new readers out; when it leaves, the readers
// that came meanwhile go first: neither side starves. So a goroutine that reads must not lock for reading
// again. A SharedTimedLockable: std::shared_lock fits.
class alignas(8) rw_mutex {
 public:
  constexpr rw_mutex() noexcept = default;
  rw_mutex(const rw_mutex&) = delete;
  rw_mutex& operator=(const rw_mutex&) = delete;

  void lock() {
    if (!detail::cas_acquire(state_, 0, kWriter)) (void)lock_slow({});
  }
  [[nodiscard]] bool try_lock() noexcept { return detail::cas_acquire(state_, 0, kWriter); }
  void unlock() {
    if (!detail::cas_release(state_, kWriter, 0)) unlock_slow();
  }
  void lock_shared() {
    if (!detail::cas_acquire(state_, 0, kReader) && !try_lock_shared()) (void)lock_shared_slow({});
  }
  [[nodiscard]] bool try_lock_shared() noexcept {
    std::uint32_t s = detail::load_relaxed(state_);
    while ((s & (kWriter | kQueue)) == 0) {
      if (__atomic_compare_exchange_n(&state_, &s, s + kReader, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return true;
    }
    return false;
  }
  void unlock_shared() {
    const std::uint32_t s = __atomic_fetch_sub(&state_, kReader, __ATOMIC_RELEASE);
    if ((s & kQueue) != 0 || s < kReader) unlock_shared_slow(s);
  }
  template <class R, class P>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<R, P> d) {
    return try_lock() || lock_slow({detail::deadline_after(detail::to_ns(d)), nullptr});
  }
  template <class C, class D>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<C, D> t) {
    return try_lock() || lock_slow({detail::to_tp(t), nullptr});
  }
  template <class R, class P>
  [[nodiscard]] bool try_lock_shared_for(std::chrono::duration<R, P> d) {
    return try_lock_shared() || lock_shared_slow({detail::deadline_after(detail::to_ns(d)), nullptr});
  }
  template <class C, class D>
  [[nodiscard]] bool try_lock_shared_until(std::chrono::time_point<C, D> t) {
    return try_lock_shared() || lock_shared_slow({detail::to_tp(t), nullptr});
  }
  [[nodiscard]] error lock(const context& ctx) {
    return try_lock() || lock_slow({clock::time_point::max(), &ctx}) ? error{} : ctx.err();
  }
  [[nodiscard]] error lock_shared(const context& ctx) {
    return try_lock_shared() || lock_shared_slow({clock::time_point::max(), &ctx}) ? error{} : ctx.err();
  }

 private:
  // kQueue: somebody waits. While it is set nobody enters without asking the queue.
  static constexpr std::uint32_t kWriter = 1, kQueue = 2, kReader = 4;
  GORT_API bool lock_slow(const detail::patience& p);
  GORT_API bool lock_shared_slow(const detail::patience& p);
  GORT_API void unlock_slow();
  GORT_API void unlock_shared_slow(std::uint32_t before);

  std::uint32_t state_ = 0;
  [[maybe_unused]] std::uint32_t writers_ =
      0;  // readers wait at the address of state_, writers at this one's
};

// wait_group waits for a number of things to end. The destructor waits too, so that goroutines started by
// go() may refer to the enclosing scope; not after a misuse panic, when it could wait for ever.
class wait_group {
 public:
  constexpr wait_group() noexcept = default;
  wait_group(const wait_group&) = delete;
  wait_group& operator=(const wait_group&) = delete;
  ~wait_group() {
    if (detail::load_acquire(state_) >> 32 != 0) wait_in_destructor();
  }

  // add may be negative; below zero it panics. From zero, it must happen before wait.
  void add(int delta = 1) {
    const auto n = static_cast<std::uint64_t>(static_cast<std::int64_t>(delta)) << 32;
    const std::uint64_t s = __atomic_add_fetch(&state_, n, __ATOMIC_ACQ_REL);
    if (static_cast<std::int64_t>(s) < kOne || static_cast<std::uint32_t>(s) != 0) added(s, delta);
  }
  void done() {
    const std::uint64_t s = __atomic_sub_fetch(&state_, kOne, __ATOMIC_ACQ_REL);
    if (static_cast<std::int64_t>(s) < kOne && s != 0) added(s, -1);
  }
  void wait() {
    if (detail::load_acquire(state_) >> 32 != 0) (void)wait_slow({});
  }
  [[nodiscard]] error wait(const context& ctx) {
    return detail::load_acquire(state_) >> 32 == 0 || wait_slow({clock::time_point::max(), &ctx}) ? error{}
                                                                                                  : ctx.err();
  }
  template <class R, class P>
  [[nodiscard]] bool wait_for(std::chrono::duration<R, P> d) {
    return detail::load_acquire(state_) >> 32 == 0 ||
           wait_slow({detail::deadline_after(detail::to_ns(d)), nullptr});
  }
  template <class C, class D>
  [[nodiscard]] bool wait_until(std::chrono::time_point<C, D> t) {
    return detail::load_acquire(state_) >> 32 == 0 || wait_slow({detail::to_tp(t), nullptr});
  }
  // go starts f(args...) on a new goroutine and counts it: `[&]` is sound here.
  template <class F, class... A>
  [[gnu::always_inline]] inline void go(F&& f, A&&... a) {
    detail::check_go<F, A...>();
    if constexpr (std::invocable<std::decay_t<F>, detail::captured<A>...>) {
      add(1);
      pending p{this};
      ::gort::go(
          detail::no_options,
          // p first, so that it goes last: what f captured may point into the scope that waits.
          [p = std::move(p), f = detail::pack(std::forward<F>(f), std::forward<A>(a)...)]() mutable { f(); });
    }
  }

 private:
  static constexpr std::int64_t kOne = std::int64_t{1} << 32;
  struct pending {  // one done(), by whoever holds it last
    wait_group* w;
    explicit pending(wait_group* g) noexcept : w(g) {}
    pending(pending&& o) noexcept : w(std::exchange(o.w, nullptr)) {}
    pending& operator=(pending&&) = delete;
    ~pending() {
      if (w != nullptr) w->done();
    }
  };
  GORT_API void added(std::uint64_t state, int delta);
  GORT_API bool wait_slow(const detail::patience& p);
  GORT_API void wait_in_destructor();

  std::uint64_t state_ = 0;  // what is still to come << 32 | how many wait
  std::uint32_t sema_ = 0;
  bool misused_ = false;
};

// once runs the first function it is given, and only that; everybody else waits until it has ended. It counts
// as done even if the function threw or panicked.
class once {
 public:
  constexpr once() noexcept = default;
  once(const once&) = delete;
  once& operator=(const once&) = delete;

  template <std::invocable F>
  void operator()(F&& f) {
    if (!detail::load_acquire(done_)) slow(std::forward<F>(f));
  }
  [[nodiscard]] bool done() const noexcept { return detail::load_acquire(done_); }

 private:
  template <class F>
  __attribute__((noinline)) void slow(F&& f) {
    std::lock_guard l{mu_};
    if (done_) return;
    struct finish {
      bool& done;
      ~finish() { __atomic_store_n(&done, true, __ATOMIC_RELEASE); }
    } end{done_};
    std::forward<F>(f)();
  }

  bool done_ = false;
  mutex mu_;
};

namespace detail {

// The shared half of once_value: copies of the callable are one value.
template <class F>
struct once_state {
  using value = std::conditional_t<std::is_void_v<std::invoke_result_t<F&>>, unit, std::invoke_result_t<F&>>;

  explicit once_state(F f) : fn(std::move(f)) {}
  void compute() {
    result<unit> r = func<result<unit>>([this](auto& frame) -> result<unit> {
      frame.recover([this](const panic_info& p) -> result<unit> {
        thrown = p.exception();
        return p.as_error();
      });
      if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
        fn();
        out.emplace();
      } else {
        out.emplace(fn());
      }
      return unit{};
    });
    if (!r) failure = r.error();
  }

  once guard;
  F fn;
  std::optional<value> out;
  std::exception_ptr thrown;
  error failure;
};

}  // namespace detail

// once_value(f) is a callable that computes f() at its first call and returns that value at every call. If f
// threw or panicked, every call does so again; f is not run twice. Copies share the value. Allocates once.
template <std::invocable F>
[[nodiscard]] auto once_value(F f) {
  using state = detail::once_state<F>;
  return [s = std::make_shared<state>(std::move(f))]() -> const typename state::value& {
    s->guard([&] { s->compute(); });
    if (s->thrown) std::rethrow_exception(s->thrown);
    if (s->failure) panic(s->failure);
    return *s->out;
  };
}

// cond: wait for a condition that others announce. Works with any lock that has lock() and unlock(). The lock
// guards the condition; notify_one and notify_all may be called with or without it. Waiters are woken in the
// order they came. A wait returns only when notified (or when its time or context is over), but by then the
// condition may have changed again: use the forms with a predicate.
class cond {
 public:
  constexpr cond() noexcept = default;
  cond(const cond&) = delete;
  cond& operator=(const cond&) = delete;

  void notify_one() noexcept {
    if (__atomic_load_n(&waiters_, __ATOMIC_SEQ_CST) != 0) notify(false);
  }
  void notify_all() noexcept {
    if (__atomic_load_n(&waiters_, __ATOMIC_SEQ_CST) != 0) notify(true);
  }

  template <class L>
  void wait(L& lk) {
    (void)wait_once(lk, {});
  }
  template <class L, std::predicate Pr>
  void wait(L& lk, Pr pred) {
    while (!pred()) (void)wait_once(lk, {});
  }
  // The timed forms without predicate return whether they were notified, those with one what it says in the
  // end.
  template <class L, class R, class P>
  [[nodiscard]] bool wait_for(L& lk, std::chrono::duration<R, P> d) {
    return wait_once(lk, {detail::deadline_after(detail::to_ns(d)), nullptr});
  }
  template <class L, class C, class D>
  [[nodiscard]] bool wait_until(L& lk, std::chrono::time_point<C, D> t) {
    return wait_once(lk, {detail::to_tp(t), nullptr});
  }
  template <class L, class R, class P, std::predicate Pr>
  [[nodiscard]] bool wait_for(L& lk, std::chrono::duration<R, P> d, Pr pred) {
    return wait_all(lk, {detail::deadline_after(detail::to_ns(d)), nullptr}, pred);
  }
  template <class L, class C, class D, std::predicate Pr>
  [[nodiscard]] bool wait_until(L& lk, std::chrono::time_point<C, D> t, Pr pred) {
    return wait_all(lk, {detail::to_tp(t), nullptr}, pred);
  }
  template <class L, std::predicate Pr>
  [[nodiscard]] error wait(const context& ctx, L& lk, Pr pred) {
    return wait_all(lk, {clock::time_point::max(), &ctx}, pred) ? error{} : ctx.err();
  }

 private:
  // A place in the queue. Notifications reach it from its construction on: the lock may be released then.
  class GORT_API ticket {
   public:
    explicit ticket(cond& c);
    ~ticket();
    ticket(const ticket&) = delete;
    ticket& operator=(const ticket&) = delete;
    bool park(const detail::patience& p);

   private:
    cond& c_;
    bool parked_ = false;
    alignas(std::max_align_t) unsigned char waiter_[176];
  };
  template <class L>
  bool wait_once(L& lk, const detail::patience& p) {
    struct relock {
      L& l;
      explicit relock(L& x) : l(x) { l.unlock(); }
      ~relock() noexcept(false) { l.lock(); }
    };
    ticket t{*this};
    relock r{lk};
    return t.park(p);
  }
  template <class L, class Pr>
  bool wait_all(L& lk, const detail::patience& p, Pr& pred) {
    while (!pred()) {
      if (!wait_once(lk, p)) return pred();
    }
    return true;
  }
  GORT_API void notify(bool all) noexcept;

  std::uint32_t waiters_ = 0;
};

// semaphore counts what may be held at once; acquire(k) takes k. First come, first served: a large request is
// not starved by small ones behind it, nor by try_acquire. One larger than the whole waits for ever, or for
// its time or context. A negative amount panics.
class semaphore {
 public:
  constexpr explicit semaphore(std::int64_t n) noexcept : state_(n << 1), size_(n) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;

  void acquire(std::int64_t n = 1) {
    if (!try_acquire(n)) (void)acquire_slow(n, {});
  }
  [[nodiscard]] error acquire(const context& ctx, std::int64_t n = 1) {
    return try_acquire(n) || acquire_slow(n, {clock::time_point::max(), &ctx}) ? error{} : ctx.err();
  }
  template <class R, class P>
  [[nodiscard]] bool try_acquire_for(std::chrono::duration<R, P> d, std::int64_t n = 1) {
    return try_acquire(n) || acquire_slow(n, {detail::deadline_after(detail::to_ns(d)), nullptr});
  }
  [[nodiscard]] bool try_acquire(std::int64_t n = 1) noexcept {
    std::int64_t s = detail::load_relaxed(state_);
    while ((s & kQueue) == 0 && (s >> 1) >= n && n >= 0) {
      if (__atomic_compare_exchange_n(&state_, &s, s - (n << 1), false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return true;
    }
    return false;
  }
  // release gives back; more than was acquired panics.
  void release(std::int64_t n = 1) {
    std::int64_t s = detail::load_relaxed(state_);
    while ((s & kQueue) == 0 && n >= 0 && n <= size_ - (s >> 1)) {
      if (__atomic_compare_exchange_n(&state_, &s, s + (n << 1), false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        return;
    }
    release_slow(n);
  }

 private:
  static constexpr std::int64_t kQueue = 1;  // somebody waits: ask the queue
  GORT_API bool acquire_slow(std::int64_t n, const detail::patience& p);
  GORT_API void release_slow(std::int64_t n);

  std::int64_t state_;  // available << 1 | kQueue
  std::int64_t size_;
};

// guarded<T> is a T that can only be reached with its lock held.
template <class T>
class guarded {
 public:
  template <class... A>
  constexpr explicit guarded(A&&... a) : v_(std::forward<A>(a)...) {}

  // ref holds the lock as long as it lives.
  class [[nodiscard]] ref {
   public:
    explicit ref(guarded& g) : l_(g.mu_), p_(&g.v_) {}
    T* operator->() const { return p_; }
    T& operator*() const { return *p_; }
    std::unique_lock<mutex>& lock() { return l_; }  // for cond

   private:
    std::unique_lock<mutex> l_;
    T* p_;
  };
  ref lock() { return ref(*this); }
  template <std::invocable<T&> F>
  decltype(auto) with(F&& f) {
    std::lock_guard l{mu_};
    return std::forward<F>(f)(v_);
  }

 private:
  mutex mu_;
  T v_;
};

namespace detail {

// pool_core keeps idle objects: one slot and a list per P, and the lists of the last period (victims), which
// are dropped at the end of the next one.
struct pool_node {
  pool_node* next = nullptr;
};
class GORT_API pool_core {
 public:
  constexpr explicit pool_core(void (*destroy)(pool_node*)) noexcept : destroy_(destroy) {}
  pool_core(const pool_core&) = delete;
  pool_core& operator=(const pool_core&) = delete;
  ~pool_core();
  pool_node* get() noexcept;  // nullptr: none idle
  void put(pool_node* n) noexcept;

 private:
  struct shard;
  struct shards;
  shards* make_shards() noexcept;
  pool_node* get_slow(shards* s, int pid) noexcept;
  void put_slow(shards* s, int pid, pool_node* n) noexcept;
  void new_period(shards* s) noexcept;
  static void drop_all(shards* s, void (*destroy)(pool_node*)) noexcept;

  void (*destroy_)(pool_node*);
  shards* shards_ = nullptr;
};

}  // namespace detail

// pool<T> reuses objects that are costly to make. get() gives an idle or a new one; its pointer gives it
// back, as it is: reset it yourself. make is a plain function, without captures. Idle objects may be dropped
// at any time; all are gone with the pool, which outlives its pointers.
template <class T>
class pool {
  struct node : detail::pool_node {
    T value;
    template <class... A>
    explicit node(A&&... a) : value(std::forward<A>(a)...) {}
  };

 public:
  pool() requires std::default_initializable<T> : pool([] { return T(); }) {}
  explicit pool(T (*make)()) : make_(make) {}

  class [[nodiscard]] ptr {
   public:
    ptr(ptr&& o) noexcept : n_(std::exchange(o.n_, nullptr)), p_(o.p_) {}
    ptr& operator=(ptr&& o) noexcept {
      ptr(std::move(o)).swap(*this);
      return *this;
    }
    ~ptr() {
      if (n_ != nullptr) p_->core_.put(n_);
    }
    T& operator*() const { return n_->value; }
    T* operator->() const { return &n_->value; }
    void swap(ptr& o) noexcept {
      std::swap(n_, o.n_);
      std::swap(p_, o.p_);
    }

   private:
    friend class pool;
    ptr(node* n, pool* p) noexcept : n_(n), p_(p) {}
    node* n_;
    pool* p_;
  };
  ptr get() {
    if (detail::pool_node* n = core_.get()) return ptr(static_cast<node*>(n), this);
    return ptr(new node(make_()), this);
  }

 private:
  detail::pool_core core_{[](detail::pool_node* n) { delete static_cast<node*>(n); }};
  T (*make_)();
};

// errgroup runs goroutines for one purpose. The first error cancels ctx() with that error as its cause and is
// what wait() returns; a panic or exception of a child cancels too and reappears in wait(), with the child's
// traceback. The destructor cancels and waits, so `[&]` is sound; a panic or exception that wait() was not
// called for reappears there, but an error is dropped: call wait().
class GORT_API errgroup {
 public:
  errgroup() : errgroup(background()) {}
  explicit errgroup(const context& parent);
  errgroup(const errgroup&) = delete;
  errgroup& operator=(const errgroup&) = delete;
  ~errgroup() noexcept(false);

  const context& ctx() const noexcept { return ctx_; }
  // set_limit: at most n goroutines at once, go() waits for a place; n < 0: no limit, 0: no place at all.
  // Panics while one runs.
  void set_limit(int n);
  // go starts f() or f(ctx()), which returns void or error.
  template <class F>
  void go(F f) {
    if constexpr (fits<F>()) {
      enter(true);
      start(std::move(f));
    }
  }
  // try_go is go, unless it would have to wait: false, and f is not started.
  template <class F>
  [[nodiscard]] bool try_go(F f) {
    if constexpr (fits<F>()) {
      if (!enter(false)) return false;
      start(std::move(f));
    }
    return true;
  }
  error wait();

 private:
  // fits says with words what go and try_go take.
  template <class F>
  static constexpr bool fits() {
    constexpr bool callable = std::invocable<F&, const context&> || std::invocable<F&>;
    static_assert(callable, "gort::errgroup::go: the function takes () or (const gort::context&)");
    if constexpr (callable) {
      static_assert(returns_well<F>(), "gort::errgroup::go: the function returns void or gort::error");
    }
    return callable;
  }
  template <class F>
  static constexpr bool returns_well() {
    if constexpr (std::invocable<F&, const context&>) {
      using R = std::invoke_result_t<F&, const context&>;
      return std::is_void_v<R> || std::same_as<R, error>;
    } else {
      using R = std::invoke_result_t<F&>;
      return std::is_void_v<R> || std::same_as<R, error>;
    }
  }
  // One child: leaves the group when it goes away, whether it ran or not.
  class member {
   public:
    explicit member(errgroup* g) noexcept : g_(g) {}
    member(member&& o) noexcept : g_(std::exchange(o.g_, nullptr)) {}
    member& operator=(member&&) = delete;
    ~member() {
      if (g_ != nullptr) g_->leave();
    }
    errgroup* operator->() const noexcept { return g_; }

   private:
    errgroup* g_;
  };
  template <class F>
  static error call(F& f, const context& c) {
    auto invoke = [&]() -> decltype(auto) {
      if constexpr (std::invocable<F&, const context&>) {
        return f(c);
      } else {
        return f();
      }
    };
    if constexpr (std::is_void_v<decltype(invoke())>) {
      invoke();
      return {};
    } else {
      return invoke();
    }
  }
  template <class F>
  void start(F f) {
    member m{this};
    ::gort::go(go_options{},
               [m = std::move(m), f = std::move(f)]() mutable {  // m goes last, as in wait_group::go
                 m->run([](void* p, const context& c) { return call(*static_cast<F*>(p), c); }, &f);
               });
  }
  bool enter(bool may_wait);
  void leave() noexcept;
  void run(error (*f)(void*, const context&), void* arg);
  void fail(error e, std::exception_ptr x, std::string panicked) noexcept;
  void rethrow();

  scoped_context ctx_;
  wait_group wg_;
  semaphore limit_;
  bool limited_ = false;
  int kept_ = 0;
  once first_;
  error failure_;  // by first_
  std::exception_ptr thrown_;
  std::string panicked_;  // by first_: what to panic with again
  bool waited_ = false;
};

}  // namespace GORT_ABI
}  // namespace gort

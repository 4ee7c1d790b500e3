// SPDX-License-Identifier: Apache-2.0
// Goroutines and the life of the runtime: go, spawn, produce, run, block_on.
//
//   int main() {
//     return gort::run([] {                                     // boots; this lambda is the main goroutine
//       gort::go(handle, conn);                                 // like `go handle(conn)`
//       gort::task<int> t = gort::spawn([] { return 42; });     // joinable; its destructor cancels and joins
//       return t.join();
//     });
//   }
//
// Captures: the function and its arguments are copied or moved into the goroutine, as std::thread does, and passed as
// rvalues; a parameter of type T& needs std::ref. An lvalue scoped_context arrives as a plain context. The closure lies on
// the goroutine's own stack: starting allocates nothing (closures over 1 KiB: one allocation).
// Programs call run; a library in a foreign program needs no boot call: the first use boots, from any thread.
#pragma once
#include <gort/chan.hpp>
#include <gort/context.hpp>
#include <gort/defer.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>

namespace gort {
inline namespace GORT_ABI {

struct go_options {
  std::string_view name = {};  // shows in dumps and profiles; copied
  std::size_t stack =
      0;  // bytes reserved, 16 KiB .. 1 GiB, rounded up to a power of two; 0: the process default
  location where = location::current();
};

template <class T>
class task;

namespace detail {

template <class T>
using captured = std::conditional_t<std::is_lvalue_reference_v<T> &&
                                        std::derived_from<std::remove_cvref_t<T>, scoped_context>,
                                    context, std::decay_t<T>>;
template <class T>
inline constexpr bool opts_like = std::same_as<std::remove_cvref_t<T>, go_options>;

template <class F, class... A>
constexpr void check_start() {
  if constexpr (!std::invocable<std::decay_t<F>, captured<A>...>) {
    static_assert(no<F>,
                  "gort::go/spawn: the function cannot be called with these arguments; they are copied or "
                  "moved into the "
                  "goroutine and passed as rvalues, so a parameter of type T& needs std::ref(x)");
  }
}
template <class F, class... A>
constexpr void check_go() {
  check_start<F, A...>();
  if constexpr (std::invocable<std::decay_t<F>, captured<A>...>) {
    static_assert(
        !must_use_result<std::invoke_result_t<std::decay_t<F>, captured<A>...>>,
        "gort::go: the function returns an error, result or task that nobody would see; use gort::spawn or "
        "errgroup::go");
  }
}

// A goroutine is made in two steps, so that the closure can be built on its stack; see src/sched/proc.hpp.
struct new_goroutine {
  void* g;
  void* closure;
};
GORT_API new_goroutine newproc_begin(const go_options& o, std::size_t size, std::size_t align,
                                     void (*entry)(void*));
GORT_API void newproc_start(void* g, void (*entry)(void*), void* closure) noexcept;
GORT_API void newproc_abort(void* g) noexcept;
GORT_API void destroy_locals() noexcept;

// goroutine_main is the first C++ function of a goroutine. goexit and recovered panics unwind to goroutine_root.
template <class Fn>
void goroutine_main(void* closure) {
  goroutine_root(
      [](void* p) {
        struct guard {
          Fn* f;
          ~guard() {
            destroy_locals();  // before whoever waits for the closure's end goes on
            f->~Fn();
          }
        } own{static_cast<Fn*>(p)};
        (*own.f)();
      },
      closure);
}

inline constexpr std::size_t max_inline_closure = 1024;
// No place given: reports find the go statement from the return address.
inline constexpr go_options no_options{{}, 0, {nullptr, nullptr, 0}};

// start_closure and launch are inlined into the caller, so that the address newproc_begin is called from is the go
// statement: "created by" in dumps.
template <class Fn>
[[gnu::always_inline]] inline void start_closure(const go_options& o, Fn fn) {
  const new_goroutine n = newproc_begin(o, sizeof(Fn), alignof(Fn), goroutine_main<Fn>);
  // Nothing, but different for each Fn: else two go statements in two branches become one call, with one creation site.
  asm volatile("" : : "X"(goroutine_main<Fn>));
  if constexpr (std::is_nothrow_move_constructible_v<Fn>) {
    ::new (n.closure) Fn(std::move(fn));
  } else {
    struct guard {
      void* g;
      ~guard() {
        if (g != nullptr) newproc_abort(g);
      }
    } own{n.g};
    ::new (n.closure) Fn(std::move(fn));
    own.g = nullptr;
  }
  newproc_start(n.g, goroutine_main<Fn>, n.closure);
}

template <class Fn>
[[gnu::always_inline]] inline void launch(const go_options& o, Fn fn) {
  if constexpr (sizeof(Fn) > max_inline_closure || alignof(Fn) > 64) {
    start_closure(o, [p = std::make_unique<Fn>(std::move(fn))]() mutable { (*p)(); });
  } else {
    start_closure(o, std::move(fn));
  }
}

template <class F, class... A>
auto pack(F&& f, A&&... a) {
  if constexpr (sizeof...(A) == 0) {
    return std::decay_t<F>(std::forward<F>(f));
  } else {
    return [t = std::tuple<std::decay_t<F>, captured<A>...>(
                std::forward<F>(f), std::forward<A>(a)...)]() mutable -> decltype(auto) {
      return std::apply([](auto&... x) -> decltype(auto) { return std::invoke(std::move(x)...); }, t);
    };
  }
}

}  // namespace detail

// go starts f(args...) as a goroutine. Its result is dropped; a result that must be looked at does not compile. An
// exception that leaves it is an unrecovered panic: the process ends with Go's report and exit status 2.
template <class F, class... A>
requires(!detail::opts_like<F>) [[gnu::always_inline]] inline void go(F&& f, A&&... a) {
  detail::check_go<F, A...>();
  if constexpr (std::invocable<std::decay_t<F>, detail::captured<A>...>) {
    detail::launch(detail::no_options, detail::pack(std::forward<F>(f), std::forward<A>(a)...));
  }
}
template <class F, class... A>
[[gnu::always_inline]] inline void go(const go_options& o, F&& f, A&&... a) {
  detail::check_go<F, A...>();
  if constexpr (std::invocable<std::decay_t<F>, detail::captured<A>...>) {
    detail::launch(o, detail::pack(std::forward<F>(f), std::forward<A>(a)...));
  }
}

namespace detail {

// What a task and its goroutine share. Counted: the task holds one, the goroutine one.
class GORT_API task_base {
 public:
  task_base() = default;
  task_base(const task_base&) = delete;
  task_base& operator=(const task_base&) = delete;
  virtual ~task_base();

  void retain() noexcept;
  void release() noexcept;
  void run(void (*body)(task_base*, void*),
           void* arg) noexcept(false);  // the goroutine: runs body, keeps its failure
  void wait() noexcept(false);          // parks until the goroutine has ended
  void rethrow();                       // the failure again; nothing if there was none
  [[noreturn]] void unjoined();         // an unrecovered panic about the failure
  bool failed() const noexcept { return exception_ != nullptr || panic_ != nullptr; }
  recv_chan<> done();
  void cancel() noexcept;

  std::optional<scoped_context> ctx;

 private:
  struct panicked;
  void finish() noexcept;

  std::uint32_t refs_ = 2;   // atomic
  std::uint32_t sema_ = 0;   // atomic; 1 once finished
  std::uint32_t state_ = 0;  // atomic: bit 0 finished, bit 1 done channel closed
  void* done_ = nullptr;     // atomic: hchan*
  std::exception_ptr exception_;
  panicked* panic_ = nullptr;
};

template <class R>
struct task_state final : task_base {
  std::optional<R> value;
};
template <>
struct task_state<void> final : task_base {};

template <class R, class Fn>
task<R> spawn_on(std::unique_ptr<task_state<R>> own, const go_options& o, Fn fn);

}  // namespace detail

// task<R> owns a goroutine that computes an R. Move-only. One thread or goroutine uses a task object at a time.
template <class R>
class [[nodiscard]] task {
 public:
  task() noexcept = default;
  task(task&& o) noexcept : st_(std::exchange(o.st_, nullptr)) {}
  task& operator=(task&& o) {
    if (this != &o) {
      end();
      st_ = std::exchange(o.st_, nullptr);
    }
    return *this;
  }
  // Cancels the task's context, if spawn was given one, and waits. A failure that nobody joined is an unrecovered panic,
  // unless an exception is unwinding this scope already.
  ~task() noexcept(false) { end(); }

  bool joinable() const noexcept { return st_ != nullptr; }

  // join waits for the result. Rethrows the goroutine's exception; panics again with both tracebacks if it panicked, and
  // if it ended by goexit and so has no R to give. (A task<void> that ended by goexit has just ended.)
  R join() {
    need();
    const reference own{st_};
    st_->wait();
    st_ = nullptr;
    own.p->rethrow();
    if constexpr (!std::is_void_v<R>) {
      if (!own.p->value) panic("gort: join of a task that ended by goexit: there is no result");
      return *std::move(own.p->value);
    }
  }

  // done is closed when the goroutine has ended; for select.
  recv_chan<> done() const {
    need();
    return st_->done();
  }
  void cancel() noexcept {
    if (st_ != nullptr) st_->cancel();
  }
  void detach() && noexcept {
    if (st_ != nullptr) std::exchange(st_, nullptr)->release();
  }

 private:
  template <class R2, class Fn>
  friend task<R2> detail::spawn_on(std::unique_ptr<detail::task_state<R2>>, const go_options&, Fn);
  explicit task(detail::task_state<R>* st) noexcept : st_(st) {}
  void need() const {
    if (st_ == nullptr) panic("gort: join or done of a task that was joined, moved from or detached");
  }
  // reference gives the state back, also when a panic leaves.
  struct reference {
    detail::task_state<R>* p;
    ~reference() { p->release(); }
  };
  void end() {
    if (st_ == nullptr) return;
    const reference own{std::exchange(st_, nullptr)};
    own.p->cancel();
    own.p->wait();
    if (own.p->failed() && std::uncaught_exceptions() == 0) own.p->unjoined();
  }

  detail::task_state<R>* st_ = nullptr;
};

namespace detail {

template <class T>
struct must_use<task<T>> : std::true_type {};
template <class T>
struct gc_transparent<task<T>> : std::true_type {};

// The task is made last: if moving fn throws there is no goroutine that ~task could wait for.
template <class R, class Fn>
[[gnu::always_inline]] inline task<R> spawn_on(std::unique_ptr<task_state<R>> own, const go_options& o,
                                               Fn fn) {
  task_state<R>* st = own.get();
  launch(o, [st, fn = std::optional<Fn>(std::move(fn))]() mutable {
    struct both {
      task_state<R>* st;
      std::optional<Fn>* fn;
    } b{st, &fn};
    st->run(
        [](task_base*, void* p) {
          auto* x = static_cast<both*>(p);
          // fn ends before the task does: what it captured may point into the scope that joins.
          struct ending {
            std::optional<Fn>* fn;
            ~ending() { fn->reset(); }
          } end{x->fn};
          if constexpr (std::is_void_v<R>) {
            (**x->fn)();
          } else {
            x->st->value.emplace((**x->fn)());
          }
        },
        &b);
  });
  return task<R>(own.release());
}

template <class F, class... A>
using spawn_result = std::decay_t<std::invoke_result_t<std::decay_t<F>, A...>>;

}  // namespace detail

// spawn starts f(args...) as a joinable goroutine.
template <class F, class... A>
requires(!detail::opts_like<F> && !std::derived_from<std::remove_cvref_t<F>, context>)
    [[nodiscard, gnu::always_inline]] inline auto spawn(F&& f, A&&... a) {
  detail::check_start<F, A...>();
  if constexpr (std::invocable<std::decay_t<F>, detail::captured<A>...>) {
    using R = detail::spawn_result<F, detail::captured<A>...>;
    return detail::spawn_on(std::make_unique<detail::task_state<R>>(), detail::no_options,
                            detail::pack(std::forward<F>(f), std::forward<A>(a)...));
  }
}
template <class F, class... A>
[[nodiscard, gnu::always_inline]] inline auto spawn(const go_options& o, F&& f, A&&... a) {
  detail::check_start<F, A...>();
  if constexpr (std::invocable<std::decay_t<F>, detail::captured<A>...>) {
    using R = detail::spawn_result<F, detail::captured<A>...>;
    return detail::spawn_on(std::make_unique<detail::task_state<R>>(), o,
                            detail::pack(std::forward<F>(f), std::forward<A>(a)...));
  }
}
// spawn with a context: f(context, args...) gets a child context that task::cancel and the destructor cancel.
template <class F, class... A>
[[nodiscard, gnu::always_inline]] inline auto spawn(const context& c, F&& f, A&&... a) {
  detail::check_start<F, context, A...>();
  if constexpr (std::invocable<std::decay_t<F>, context, detail::captured<A>...>) {
    using R = detail::spawn_result<F, context, detail::captured<A>...>;
    auto st = std::make_unique<detail::task_state<R>>();
    st->ctx.emplace(with_cancel(c));
    context child = *st->ctx;
    auto fn = detail::pack(std::forward<F>(f), std::move(child), std::forward<A>(a)...);
    return detail::spawn_on(std::move(st), detail::no_options, std::move(fn));
  }
}

// produce starts f(send_chan<T>) as a goroutine and returns the channel it feeds; the channel is closed when f ends,
// however it ends.
template <class T, std::invocable<send_chan<T>> F>
[[nodiscard]] recv_chan<T> produce(std::size_t cap, F f, location where = location::current()) {
  auto c = make_chan<T>(cap);
  detail::launch({.where = where}, [c, f = std::move(f)]() mutable {
    auto closing = c.close_on_exit();
    (void)f(send_chan<T>(c));
  });
  return c;
}
template <class T, class F>
requires std::invocable<F, const context&, send_chan<T>>
[[nodiscard]] recv_chan<T> produce(const context& ctx, std::size_t cap, F f,
                                   location where = location::current()) {
  auto c = make_chan<T>(cap);
  detail::launch({.where = where}, [c, ctx = context(ctx), f = std::move(f)]() mutable {
    auto closing = c.close_on_exit();
    (void)f(ctx, send_chan<T>(c));
  });
  return c;
}

// yield lets others run; the goroutine stays runnable (Go: runtime.Gosched).
GORT_API void yield() noexcept;
// goexit ends the calling goroutine: deferred functions and destructors run, others go on.
[[noreturn]] GORT_API void goexit();

// ---- the life of the runtime

enum class signal_policy : unsigned char {
  standard,  // Go's: crash reports, SIGQUIT dumps, stack overflow reports, SIGPIPE only for standard output
  minimal,  // reports of faults only (stack overflow, bad address, trap); SIGQUIT and SIGABRT stay the process's
  none,
};

// What is left at its default: the first run takes it from configure, a later one leaves it as it was (signals: standard).
struct run_options {
  int max_procs = 0;      // goroutines running at once; 0: GOMAXPROCS, else CPUs and cgroup limit
  std::size_t stack = 0;  // default stack of goroutines but the main one (8 MiB), bytes; 0: 256 KiB
  signal_policy signals = signal_policy::standard;
  std::string_view godebug = {};  // as in GODEBUG, and wins over it; sim, chaos, stackguard: first use only
};

namespace detail {
GORT_API int run_main(const run_options& o, void (*fn)(void*), void* arg, int* code);
GORT_API void print_error(const error& e);
GORT_API void call_on_goroutine(void (*fn)(void*), void* arg);
struct GORT_API syscall_scope {
  syscall_scope();
  ~syscall_scope();
  syscall_scope(const syscall_scope&) = delete;
  syscall_scope& operator=(const syscall_scope&) = delete;

 private:
  bool active_;
};
}  // namespace detail

// run boots the runtime on this thread and runs f as the main goroutine; returns its exit code: f's int, 0 for void, 1 for
// an error (printed to stderr). When f returns, all other goroutines are frozen for good. Panics inside a goroutine.
template <std::invocable F>
int run(const run_options& o, F&& f) {
  using R = std::invoke_result_t<F>;
  static_assert(std::is_void_v<R> || std::same_as<R, int> || std::same_as<R, error>,
                "gort::run: the main goroutine returns void, int (the exit code) or gort::error");
  int code = 0;
  auto body = [&] {
    if constexpr (std::is_void_v<R>) {
      std::forward<F>(f)();
    } else if constexpr (std::same_as<R, int>) {
      code = std::forward<F>(f)();
    } else if (error e = std::forward<F>(f)()) {
      detail::print_error(e);
      code = 1;
    }
  };
  using body_type = decltype(body);
  return detail::run_main(
      o, [](void* p) { (*static_cast<body_type*>(p))(); }, &body, &code);
}
template <std::invocable F>
int run(F&& f) {
  return run(run_options{}, std::forward<F>(f));
}

// configure sets what the first use will boot with; false: it is too late.
GORT_API bool configure(const run_options& o) noexcept;

// block_on runs f on a goroutine and waits for it, from any thread; returns its result or rethrows its exception. On a
// goroutine it simply calls f.
template <std::invocable F>
std::invoke_result_t<F> block_on(F&& f) {
  using R = std::invoke_result_t<F>;
  if constexpr (std::is_void_v<R>) {
    auto body = [&] { std::forward<F>(f)(); };
    using body_type = decltype(body);
    detail::call_on_goroutine([](void* p) { (*static_cast<body_type*>(p))(); }, &body);
  } else {
    std::optional<R> r;
    auto body = [&] { r.emplace(std::forward<F>(f)()); };
    using body_type = decltype(body);
    detail::call_on_goroutine([](void* p) { (*static_cast<body_type*>(p))(); }, &body);
    if (!r) panic("gort: block_on: the function ended by goexit: there is no result");
    return *std::move(r);
  }
}

// shutdown waits at most `grace` for all goroutines to end (library mode; call it from a thread, not a goroutine). The
// error names how many are left.
GORT_API error shutdown(clock::duration grace);

// blocking calls f, which may block the thread in foreign code; other goroutines go on meanwhile.
template <std::invocable F>
std::invoke_result_t<F> blocking(F&& f) {
  detail::syscall_scope x;
  return std::forward<F>(f)();
}

namespace detail {
GORT_API std::uint64_t local_new_key(std::uint64_t& word) noexcept;
GORT_API void* local_find(std::uint64_t key) noexcept;
GORT_API void local_add(std::uint64_t key, void* value, void (*destroy)(void*));
}  // namespace detail

// local<T> is a goroutine-local variable: each goroutine has its own T, made on first use and destroyed when the goroutine
// ends (any order among several), before a join or a wait for it returns. It starts as a copy of init; as T() without one,
// and always if T cannot be copied. On a foreign thread: one per thread while it is attached. Meant for static storage; the
// values of a local that dies early stay with their goroutines until those end.
template <class T>
class local {
 public:
  constexpr local() = default;
  explicit local(T init) : init_(std::move(init)) {
    static_assert(std::copy_constructible<T>,
                  "gort::local: every goroutine gets a copy of the initial value, so T is copyable");
  }
  local(const local&) = delete;
  local& operator=(const local&) = delete;

  T& operator*() { return get(); }
  T* operator->() { return &get(); }

 private:
  T& get() {
    std::uint64_t key = __atomic_load_n(&key_, __ATOMIC_RELAXED);
    if (key == 0) key = detail::local_new_key(key_);
    if (void* p = detail::local_find(key)) return *static_cast<T*>(p);
    std::unique_ptr<T> v;
    if constexpr (std::copy_constructible<T>) {
      v = init_ ? std::make_unique<T>(*init_) : std::make_unique<T>();
    } else {
      v = std::make_unique<T>();
    }
    detail::local_add(key, v.get(), [](void* p) { delete static_cast<T*>(p); });
    return *v.release();
  }
  // Not the address: that of a dead local may come back with another T. Taken from a counter at first use, so that the
  // constructor stays constexpr.
  std::uint64_t key_ = 0;  // atomic
  std::optional<T> init_;
};

}  // namespace GORT_ABI
}  // namespace gort

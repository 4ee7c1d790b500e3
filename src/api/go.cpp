// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/go.hpp: starting goroutines, tasks, run, block_on, goroutine-local slots.
#include <gort/go.hpp>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "arch/asm.hpp"
#include "base/dialect.hpp"
#include "lang/panic.hpp"
#include "sched/boot.hpp"
#include "sched/proc.hpp"
#include "sched/runtime1.hpp"
#include "sched/sema.hpp"

namespace gort {
inline namespace GORT_ABI {

namespace {

// SAFETY: the words that task_base and others keep as plain integers in public headers are only touched through this view.
template <class T>
rt::Atomic<T>& atomic(T& v) {
  static_assert(sizeof(rt::Atomic<T>) == sizeof(T) && alignof(rt::Atomic<T>) == alignof(T));
  return reinterpret_cast<rt::Atomic<T>&>(v);
}

}  // namespace

namespace detail {

new_goroutine newproc_begin(const go_options& o, std::size_t size, std::size_t align, void (*entry)(void*)) {
  rt::Entry e;
  const rt::NewG n = rt::newprocAlloc(o.stack, size, align);
  n.g->name = o.name.empty() ? nullptr : rt::internName(o.name.data(), o.name.size());
  n.g->where = {o.where.file, o.where.function, o.where.line};
  n.g->startpc = reinterpret_cast<rt::uintptr>(entry);
  n.g->gopc = reinterpret_cast<rt::uintptr>(__builtin_return_address(0));
  return {n.g, n.closure};
}

void newproc_start(void* g, void (*entry)(void*), void* closure) noexcept {
  rt::Entry e;
  rt::newprocStart(static_cast<rt::G*>(g), entry, closure);
}

void newproc_abort(void* g) noexcept {
  rt::Entry e;
  rt::newprocAbort(static_cast<rt::G*>(g));
}

// ---- task: refs_ counts the task object and the goroutine. finish() publishes; after it the goroutine only releases.

namespace {
constexpr std::uint32_t kFinished = 1, kDoneClosed = 2;
}

struct task_base::panicked {
  std::string message, stack;
  std::uint64_t goid;
};

task_base::~task_base() {
  delete panic_;
  if (done_ != nullptr) chan_release(static_cast<hchan*>(done_));
}

void task_base::retain() noexcept { atomic(refs_).fetchAdd(1, rt::Order::relaxed); }

void task_base::release() noexcept {
  if (atomic(refs_).fetchSub(1, rt::Order::acqRel) == 1) delete this;
}

void task_base::run(void (*body)(task_base*, void*), void* arg) {
  struct guard {
    task_base* t;
    ~guard() {
      destroy_locals();
      t->finish();
      t->release();
    }
  } own{this};
  func([&](auto& fn) {
    fn.recover([&](const panic_info& p) {
      exception_ = p.exception();
      if (exception_ == nullptr) panic_ = new panicked{p.message(), p.stack(), rt::getg()->goid};
    });
    body(this, arg);
  });
}

void task_base::finish() noexcept {
  atomic(state_).fetchOr(kFinished, rt::Order::seqCst);
  if (atomic(done_).load(rt::Order::seqCst) != nullptr) (void)done();
  rt::Entry e;
  rt::semrelease(&atomic(sema_));
}

void task_base::wait() {
  rt::Entry e;
  rt::semacquire1(&atomic(sema_), {.reason = rt::WaitReason::taskJoin});
  rt::semrelease(&atomic(sema_));  // done() and a second wait stay possible
}

// done makes the channel on first use; whoever sees both "finished" and the channel closes it, once.
recv_chan<> task_base::done() {
  auto& word = atomic(done_);
  void* have = word.load(rt::Order::acquire);
  if (have == nullptr) {
    constexpr elem_type type = type_of<unit>();
    hchan* fresh = chan_make(type, 0);
    if (word.compareExchange(have, fresh, rt::Order::seqCst, rt::Order::acquire)) {
      have = fresh;
    } else {
      chan_release(fresh);
    }
  }
  auto* c = static_cast<hchan*>(have);
  if ((atomic(state_).load(rt::Order::seqCst) & kFinished) != 0 &&
      (atomic(state_).fetchOr(kDoneClosed, rt::Order::acqRel) & kDoneClosed) == 0) {
    chan_close(c);
  }
  chan_retain(c);
  return recv_chan<>(c);
}

void task_base::cancel() noexcept {
  if (ctx) ctx->cancel();
}

void task_base::rethrow() {
  if (exception_ != nullptr) std::rethrow_exception(exception_);
  if (panic_ == nullptr) return;
  const std::string text =
      panic_->message + "\n\ngoroutine " + std::to_string(panic_->goid) + " [task]:\n" + panic_->stack;
  panic(std::string_view(text));
}

void task_base::unjoined() {
  if (panic_ != nullptr) rethrow();
  std::string text = "unjoined task failed";
#if defined(__cpp_exceptions)
  try {
    std::rethrow_exception(exception_);
  } catch (const std::exception& x) {
    text = std::string("unjoined task failed: ") + x.what();
  } catch (...) {
    text = "unjoined task failed with an exception of unknown type";
  }
#endif
  panic(std::string_view(text));
}

// ---- goroutine-local slots: a short vector per goroutine, searched linearly

namespace {

constinit rt::Atomic<std::uint64_t> localKeys{0};  // the last one given out; none is used twice

struct local_slot {
  std::uint64_t key;
  void* value;
  void (*destroy)(void*);
};
using slots = std::vector<local_slot>;

}  // namespace

// local_new_key gives a local its key; of several threads at once one wins.
std::uint64_t local_new_key(std::uint64_t& word) noexcept {
  std::uint64_t have = 0;
  const std::uint64_t fresh = localKeys.fetchAdd(1, rt::Order::relaxed) + 1;
  return atomic(word).compareExchange(have, fresh, rt::Order::relaxed, rt::Order::relaxed) ? fresh : have;
}

void* local_find(std::uint64_t key) noexcept {
  rt::Entry e;
  const auto* all = static_cast<slots*>(rt::getg()->locals);
  if (all == nullptr) return nullptr;
  for (const local_slot& s : *all) {
    if (s.key == key) return s.value;
  }
  return nullptr;
}

void local_add(std::uint64_t key, void* value, void (*destroy)(void*)) {
  rt::Entry e;
  rt::G* gp = rt::getg();
  if (gp->locals == nullptr) gp->locals = new slots;
  static_cast<slots*>(rt::getg()->locals)->push_back({key, value, destroy});
}

void destroy_locals() noexcept {
  while (void* p = rt::getg()->locals) {
    rt::getg()->locals = nullptr;
    const std::unique_ptr<slots> all(static_cast<slots*>(p));
    for (auto s = all->rbegin(); s != all->rend(); ++s) s->destroy(s->value);
  }
}

// ---- run, block_on

namespace {

rt::RunConfig configOf(const run_options& o) {
  rt::RunConfig c;
  c.maxProcs = o.max_procs;
  c.stack = o.stack;
  c.signals = o.signals == signal_policy::standard  ? rt::CrashSignals::all
              : o.signals == signal_policy::minimal ? rt::CrashSignals::faults
                                                    : rt::CrashSignals::none;
  c.godebug = o.godebug.data();
  c.godebugLen = o.godebug.size();
  return c;
}

struct call {
  void (*fn)(void*);
  void* arg;
};

void runAtRoot(void* p) {
  const call c = *static_cast<call*>(p);
  goroutine_root(c.fn, c.arg);
}

}  // namespace

int run_main(const run_options& o, void (*fn)(void*), void* arg, int* code) {
  rt::G* gp = rt::getg();
  if (gp != nullptr && !gp->foreign) panic("gort::run called inside gort::run");
  panic_init();
  if (const char* name = rt::debugVarOfTheBoot(o.godebug.data(), o.godebug.size());
      name != nullptr && rt::isBooted()) {
    const std::string text =
        "gort::run: " + std::string(name) + " can only be set before the first use of Gort";
    panic(std::string_view(text));
  }
  call c{fn, arg};
  if (!rt::runMain(configOf(o), runAtRoot, &c, code)) {
    panic("gort::run is already running on another thread");
  }
  return *code;
}

void print_error(const error& e) {
  const std::string text = e.message() + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void call_on_goroutine(void (*fn)(void*), void* arg) {
  if (rt::G* gp = rt::getg(); gp != nullptr && !gp->foreign) return fn(arg);
  auto t = spawn([=] { fn(arg); });
  t.join();
}

syscall_scope::syscall_scope() : active_(false) {
  rt::G* gp = rt::getg();
  if (gp == nullptr || rt::simMode) return;
  const rt::uint8 was = gp->inside;
  gp->inside = 1;  // so that no preemption comes between the look and the call
  rt::compilerBarrier();
  if (gp->m->p != nullptr) {
    active_ = true;
    rt::entersyscall();
  }
  rt::compilerBarrier();
  gp->inside = was;
}

syscall_scope::~syscall_scope() {
  if (!active_) return;
  rt::G* gp = rt::getg();
  const rt::uint8 was = gp->inside;
  gp->inside = 1;
  rt::compilerBarrier();
  rt::exitsyscall();
  rt::compilerBarrier();
  gp->inside = was;
}

}  // namespace detail

// yield is Gosched without a frame of its own: one return behind the switch, not two.
GORT_JUMP_RETURN void yield() noexcept {
  rt::G* gp = rt::getg();
  if (GORT_UNLIKELY(gp == nullptr || gp->foreign)) return;
  rt::M* mp = gp->m;
  const rt::EhGlobals* eh = mp->eh;
  if (GORT_UNLIKELY(mp->p == nullptr ||
                    (eh != nullptr && (eh->caughtExceptions != nullptr || eh->uncaughtExceptions != 0)))) {
    rt::Entry e;
    return rt::Gosched();
  }
  rt::switchToG0(rt::gosched_m);
}

void goexit() {
  rt::G* gp = rt::getg();
  if (gp == nullptr || gp->foreign) panic("gort::goexit on a thread that is not a goroutine");
  rt::goexit();
}

bool configure(const run_options& o) noexcept {
  static std::string godebug;  // outlives the boot; configure is called before other threads use Gort
  rt::RunConfig c = detail::configOf(o);
  godebug.assign(o.godebug);
  c.godebug = godebug.c_str();
  return rt::bootConfigure(c);
}

error shutdown(clock::duration grace) {
  rt::G* gp = rt::getg();
  if (gp != nullptr && !gp->foreign)
    return error("gort::shutdown: called on a goroutine; call it from a thread");
  if (!rt::isBooted()) return {};
  const std::uint64_t left = rt::shutdownWait(grace.count());
  if (left == 0) return {};
  return error(errc::deadline_exceeded)
      .wrap("gort::shutdown: " + std::to_string(left) + " goroutines still alive");
}

}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// Bodies of gort/sync.hpp: pool.      (Go: sync/pool.go)
//
//   shards: one per P      slot     one object, touched only by who is pinned to that P: get and put in a few
//   instructions
//                          list     the others, under a lock of their own: stolen from when a P has none
//                          victims  what was idle for a whole period; gone at the end of the next one
//
// Ownership:  an idle object belongs to its shard. shards_ is made at the first put and replaced when
//             GOMAXPROCS has grown; the old one stays reachable through `older` until the pool goes away, so
//             nobody pinned reads freed memory.
// Periods:    Go drops victims at each collection; here a period is kPeriodNs of use, looked at only when a
//             list is touched.
// Destroying an object runs user code: never pinned, never with a lock held.
#include "api/wait_internal.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace detail {

using rt::Order;

namespace {

constexpr rt::int64 kPeriodNs = 1000000000;

// Pin keeps this goroutine on its P: no preemption, no other goroutine of this P in between.
class Pin {
 public:
  Pin() : m_(rt::getg()->m) { ++m_->locks; }
  ~Pin() { --m_->locks; }
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  int pid() const { return m_->p->id; }

 private:
  rt::M* m_;
};

}  // namespace

struct alignas(rt::kCacheLineSize) pool_core::shard {
  pool_node* slot = nullptr;  // by who is pinned to the P
  rt::Mutex lock{rt::LockRank::unranked};
  pool_node* list = nullptr;     // by lock
  pool_node* victims = nullptr;  // by lock

  pool_node* pop() {
    rt::LockGuard l(lock);
    pool_node*& from = list != nullptr ? list : victims;
    pool_node* n = from;
    if (n != nullptr) from = n->next;
    return n;
  }
  void push(pool_node* n) {
    rt::LockGuard l(lock);
    n->next = list;
    list = n;
  }
};

struct pool_core::shards {
  int n = 0;
  shards* older = nullptr;
  rt::Atomic<rt::int64> periodEnd{0};
  shard* at = nullptr;

  explicit shards(int count) : n(count), at(new shard[static_cast<std::size_t>(count)]) {}
  ~shards() { delete[] at; }
  shards(const shards&) = delete;
  shards& operator=(const shards&) = delete;
};

namespace {

void drop_list(pool_node* n, void (*destroy)(pool_node*)) {
  while (n != nullptr) {
    pool_node* next = n->next;
    destroy(n);
    n = next;
  }
}

}  // namespace

void pool_core::drop_all(shards* s, void (*destroy)(pool_node*)) noexcept {
  for (int i = 0; i < s->n; ++i) {
    if (s->at[i].slot != nullptr) destroy(s->at[i].slot);
    drop_list(s->at[i].list, destroy);
    drop_list(s->at[i].victims, destroy);
  }
}

pool_core::~pool_core() {
  for (shards* s = shards_; s != nullptr;) {
    drop_all(s, destroy_);
    shards* older = s->older;
    delete s;
    s = older;
  }
}

// make_shards gives shards for all Ps there are now; nullptr: no memory.
pool_core::shards* pool_core::make_shards() noexcept {
  auto& current = word(shards_);
  shards* old = current.load(Order::acquire);
  for (;;) {
    const int want = rt::gomaxprocs;
    if (old != nullptr && old->n >= want) return old;
    shards* made = nullptr;
    try {
      made = new shards(want);
    } catch (...) {
      return nullptr;
    }
    made->older = old;
    made->periodEnd.store(rt::nanotime() + kPeriodNs, Order::relaxed);
    if (current.compareExchange(old, made, Order::acqRel, Order::acquire)) return made;
    delete made;
  }
}

pool_node* pool_core::get() noexcept {
  rt::Entry e;
  shards* s = word(shards_).load(Order::acquire);
  if (s == nullptr) return nullptr;
  int pid = 0;
  {
    Pin pin;
    pid = pin.pid();
    if (pid < s->n && s->at[pid].slot != nullptr) return std::exchange(s->at[pid].slot, nullptr);
  }
  return get_slow(s, pid);
}

pool_node* pool_core::get_slow(shards* s, int pid) noexcept {
  for (; s != nullptr; s = s->older) {
    for (int i = 0; i < s->n; ++i) {  // our own list first
      if (pool_node* n = s->at[(pid + i) % s->n].pop()) return n;
    }
  }
  return nullptr;
}

void pool_core::put(pool_node* n) noexcept {
  rt::Entry e;
  shards* s = word(shards_).load(Order::acquire);
  int pid = 0;
  if (s != nullptr) {
    Pin pin;
    pid = pin.pid();
    if (pid < s->n && s->at[pid].slot == nullptr) {
      s->at[pid].slot = n;
      return;
    }
  }
  put_slow(s, pid, n);
}

void pool_core::put_slow(shards* s, int pid, pool_node* n) noexcept {
  if (s == nullptr || pid >= s->n) s = make_shards();
  if (s == nullptr) return destroy_(n);
  s->at[pid % s->n].push(n);
  if (rt::nanotime() >= s->periodEnd.load(Order::relaxed)) new_period(s);
}

// new_period makes what is idle the victims and drops the last ones.
void pool_core::new_period(shards* s) noexcept {
  const rt::int64 now = rt::nanotime();
  rt::int64 end = s->periodEnd.load(Order::relaxed);
  if (now < end || !s->periodEnd.cas(end, now + kPeriodNs, Order::acqRel)) return;
  for (int i = 0; i < s->n; ++i) {
    pool_node* gone = nullptr;
    {
      rt::LockGuard l(s->at[i].lock);
      gone = std::exchange(s->at[i].victims, std::exchange(s->at[i].list, nullptr));
    }
    drop_list(gone, destroy_);
  }
}

}  // namespace detail
}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// per_run<T>: one T for each run() of the process.                                                           (ours)
//
// A run() that ends leaves goroutines behind that get no P any more (Note [Epochs] in sched/proc.cpp). What they hold they
// never give back: places, locks, turns in a queue. So what the library shares between goroutines, and would be missed,
// belongs to a run: the next one finds a new one, and those left behind keep theirs.
// Ownership:  a T is never destroyed: somebody left behind may be queued in it, or come back to it from the kernel. A run
//             that never asks has none; one that does costs sizeof(T) and two words for good.
// Ordering:   the list only grows, at its head, by CAS(release) <-> load(acquire).
#pragma once
#include "base/atomic.hpp"
#include "sched/proc.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace detail {

template <class T>
class per_run {
 public:
  // mine is that of the run to which the calling goroutine belongs; of the last one for who belongs to none.
  // make() returns what a new T is initialised with.   Runs on: a goroutine or an attached thread (Entry).
  template <class F>
  T& mine(F make) {
    const rt::G* gp = rt::getg();
    const rt::uint32 epoch = gp->foreign ? rt::sched.epoch.load(rt::Order::acquire) : gp->epoch;
    node* head = last_.load(rt::Order::acquire);
    if (head != nullptr && head->epoch == epoch) return head->value;
    return find_or_make(epoch, head, make);
  }

 private:
  struct node {
    rt::uint32 epoch;
    node* older;
    T value;
  };

  template <class F>
  T& find_or_make(rt::uint32 epoch, node* head, F make) {
    auto* fresh = new node{epoch, nullptr, T(make())};
    for (;;) {
      node* n = head;  // the newest comes first
      while (n != nullptr && static_cast<rt::int32>(n->epoch - epoch) > 0) n = n->older;
      if (n != nullptr && n->epoch == epoch) {  // somebody was faster
        delete fresh;
        return n->value;
      }
      if (n != head)
        return fresh->value;  // the caller was left behind and has not noticed yet: its own affair
      fresh->older = head;
      if (last_.compareExchange(head, fresh, rt::Order::release, rt::Order::acquire)) return fresh->value;
    }
  }

  rt::Atomic<node*> last_{nullptr};
};

}  // namespace detail
}  // namespace GORT_ABI
}  // namespace gort

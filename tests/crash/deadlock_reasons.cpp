// SPDX-License-Identifier: Apache-2.0
// Every kind of waiting, by its text in the report.
// EXIT: 2
// STDERR: \Afatal error: all goroutines are asleep - deadlock!\n
// STDERR: \[chan receive\] \{name: a\}:
// STDERR: \[chan send\] \{name: b\}:
// STDERR: \[chan receive \(nil chan\)\] \{name: c\}:
// STDERR: \[chan send \(nil chan\)\] \{name: d\}:
// STDERR: \[select\] \{name: e\}:
// STDERR: \[select \(no cases\)\] \{name: f\}:
// STDERR: \[sync\.Mutex\.Lock\] \{name: g\}:
// STDERR: \[sync\.RWMutex\.RLock\] \{name: h\}:
// STDERR: \[sync\.RWMutex\.Lock\] \{name: i\}:
// STDERR: \[sync\.WaitGroup\.Wait\] \{name: j\}:
// STDERR: \[wait_group destructor\] \{name: k\}:
// STDERR: \[sync\.Cond\.Wait\] \{name: l\}:
// STDERR: \[semaphore acquire\] \{name: m\}:
// STDERR: \[task join\] \{name: n\}:
// STDERR: ^created by main
#include <gort/gort.hpp>

#include <mutex>

namespace {

struct shared {
  gort::chan<int> full = gort::make_chan<int>();
  gort::mutex mu;
  gort::rw_mutex rw, rw2;
  gort::semaphore sem{0};
  gort::wait_group wg;
  gort::cond cv;
};

}  // namespace

int main() {
  return gort::run([] {
    static shared s;
    s.mu.lock();
    s.rw.lock();
    s.rw2.lock_shared();
    s.wg.add();
    gort::go({.name = "a"}, [] { (void)gort::make_chan<int>().recv(); });
    gort::go({.name = "b"}, [] { s.full.send(1); });
    gort::go({.name = "c"}, [] { (void)gort::chan<int>().recv(); });
    gort::go({.name = "d"}, [] { gort::chan<int>().send(1); });
    gort::go({.name = "e"}, [] {
      gort::recv_case x{gort::make_chan<int>()};
      gort::recv_case y{gort::make_chan<int>()};
      (void)gort::select(x, y);
    });
    gort::go({.name = "f"}, [] { gort::select(); });
    gort::go({.name = "g"}, [] { s.mu.lock(); });
    gort::go({.name = "h"}, [] { s.rw.lock_shared(); });
    gort::go({.name = "i"}, [] { s.rw2.lock(); });
    gort::go({.name = "j"}, [] { s.wg.wait(); });
    gort::go({.name = "k"}, [] {
      gort::wait_group mine;
      mine.add();
    });
    gort::go({.name = "l"}, [] {
      gort::mutex mine;
      std::unique_lock l{mine};
      s.cv.wait(l);
    });
    gort::go({.name = "m"}, [] { s.sem.acquire(); });
    gort::go({.name = "n"}, [] { gort::spawn([] { (void)gort::make_chan<int>().recv(); }).join(); });
    gort::select();
  });
}

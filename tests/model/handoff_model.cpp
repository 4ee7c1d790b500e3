// SPDX-License-Identifier: Apache-2.0
// Model of the spinning handshake: submit work against stop spinning.     (Go: proc.go, "Worker thread
// parking/unparking") Transcribed from src/sched/proc.cpp and proc_m.cpp, same names, same order of
// operations: wakep, resetspinning, findRunnable (localWork, stealWork, idle, checkRunqsNoP), injectglist,
// startm, stopm, pidleput/pidleget. Left out: timers and the network (timers_model), stop the world, system
// calls. sched.lock is an abstract lock; a run queue is a pair of indices.
//
// Claim: nobody stands still beside work. When everything has come to rest, no P is idle while a run queue
// holds work; every goroutine of the global queue has run as long as a P was free; nmspinning is zero and
// never negative. "forever" goroutines never give their P back: what waits behind them must be taken by
// somebody else.
//
// The full barrier of a submitter: a put to the ring or to the global queue is a store, and needs a fence
// before wakep looks. A put to runnext is a CAS, which is that fence on x86 (fenceAfterRmw), unless the old
// runnext was kicked to the ring by a store behind it.
#include "model/explorer.hpp"

namespace {
using model::Atomic;
using model::Order;
using model::Plain;

constexpr int kMaxP = 4, kMaxM = 6;

struct Machine;

struct Runq {  // the ring without its slots: head by CAS, tail by the owner; and runnext
  Atomic<uint32_t> head{0}, tail{0};
  Atomic<uint32_t> next{0};
  bool usesNext = false;
  bool used = false;     // the scenario puts work here; others are empty for ever and cost no step
  bool forever = false;  // the goroutines on it never end
  void put() { tail.store(tail.load(Order::relaxed) + 1, Order::release); }
  // putNext returns whether it ended in a read-modify-write.
  bool putNext() {
    const uint32_t old = next.exchange(1, Order::release);
    model::fence();  // that was a locked instruction
    if (old == 0) return true;
    put();
    return false;
  }
  bool take() {
    for (; used;) {
      uint32_t h = head.load(Order::relaxed);
      const uint32_t t = tail.load(Order::acquire);
      if (static_cast<int32_t>(t - h) <= 0) return usesNext && next.exchange(0, Order::acquire) == 1;
      if (head.compareExchange(h, h + 1, Order::release)) return true;
    }
    return false;
  }
  bool empty() const {
    if (!used) return true;
    const uint32_t h = head.load(Order::relaxed);
    if (!usesNext) return h == tail.load(Order::relaxed);
    for (;;) {
      const uint32_t t = tail.load(Order::relaxed);
      const uint32_t n = next.load(Order::acquire);
      if (t == tail.load(Order::relaxed)) return h == t && n == 0;
    }
  }
};

struct P {
  int id = 0;
  P* link = nullptr;
  Runq runq;
};

struct M {
  int id = 0;
  P* p = nullptr;
  Plain<P*> nextp{nullptr};
  bool spinning = false;  // written by the M, or by startm while the M sleeps
  M* schedlink = nullptr;
  Atomic<uint32_t> park{0};  // a Note, proved in lock_model
};

struct Goroutine {
  bool any = false;
  bool forever = false;
};

struct Machine {
  model::Lock lock{"sched.lock"};
  // by lock
  P* pidle = nullptr;
  M* midle = nullptr;
  int global = 0;
  // atomic
  Atomic<int> npidle{0}, nmspinning{0}, runqsize{0};
  P ps[kMaxP];
  M ms[kMaxM];
  int np;
  int nm = 1;  // M0 runs on P0 for ever and needs no thread
  int ran = 0;
  bool globalForever = false;  // the goroutines of the global queue never end

  explicit Machine(int nps) : np(nps) {
    npidle.named("npidle");
    nmspinning.named("nmspinning");
    runqsize.named("runqsize");
    for (int i = 0; i < kMaxP; ++i) {
      ps[i].id = i;
      ps[i].runq.head.named("runqhead");
      ps[i].runq.tail.named("runqtail");
    }
    for (int i = 0; i < kMaxM; ++i) {
      ms[i].id = i;
      ms[i].park.named("park");
      ms[i].nextp.named("nextp");
    }
  }

  // ---- idle lists; lock held
  void pidleput(P* pp) {
    pp->link = pidle;
    pidle = pp;
    npidle.fetchAdd(1, Order::relaxed);
  }
  P* pidleget() {
    P* pp = pidle;
    if (pp != nullptr) {
      pidle = pp->link;
      npidle.fetchSub(1, Order::relaxed);
    }
    return pp;
  }

  // ---- threads
  void startm(P* pp, bool spinning) {
    lock.lock();
    M* mp = midle;
    if (mp != nullptr) midle = mp->schedlink;
    lock.unlock();
    if (mp == nullptr) return newm(pp, spinning);
    mp->spinning = spinning;
    mp->nextp.set(pp);
    mp->park.exchange(1, Order::release);
    model::futexWake(mp->park, 1);
  }
  void newm(P* pp, bool spinning) {
    MODEL_ASSERT(nm < kMaxM);
    M* mp = &ms[nm++];
    mp->p = pp;
    mp->spinning = spinning;
    model::spawn("newM", [this, mp] { run(mp); });
  }
  void stopm(M* mp) {
    lock.lock();
    mp->schedlink = midle;
    midle = mp;
    lock.unlock();
    mpark(mp);
  }
  void mpark(M* mp) {
    while (mp->park.load(Order::acquire) == 0) model::futexWait(mp->park, 0u);
    mp->park.store(0, Order::relaxed);
    mp->p = mp->nextp.get();
    mp->nextp.set(nullptr);
  }
  void startSpinning(M* mp) {
    mp->spinning = true;
    nmspinning.fetchAdd(1, Order::relaxed);
  }
  void dropSpinning() {
    const int old = nmspinning.fetchSub(1, Order::relaxed);
    MODEL_ASSERT(old >= 1);
  }

  // ---- submit
  // wakep. fenced: the submitter's last operation on its queue was one.
  void wakep(bool fenced = false) {
    if (!fenced && !GORT_MUT(1)) model::fence();  // work queued before the looks <-> idle
    if (npidle.load(Order::relaxed) == 0) return;
    if (nmspinning.load(Order::relaxed) != 0) return;
    int none = 0;
    if (!nmspinning.compareExchange(none, 1, Order::relaxed)) return;
    lock.lock();
    P* pp = pidleget();
    if (pp == nullptr) {
      if (!GORT_MUT(2)) dropSpinning();
      lock.unlock();
      return;
    }
    lock.unlock();
    startm(pp, true);
  }
  void submitLocal(P* pp) {
    pp->runq.put();
    wakep();
  }
  void globrunqput() {
    lock.lock();
    ++global;
    runqsize.store(global, Order::relaxed);
    lock.unlock();
  }
  // injectglist from a thread without a P.
  void submitGlobal() {
    globrunqput();
    lock.lock();
    P* pp = GORT_MUT(3) ? nullptr : pidleget();
    lock.unlock();
    if (pp != nullptr) startm(pp, false);
  }
  // gopreempt_m, on a P that then finds something to run for ever in its own queue.
  void submitPreempted() {
    globrunqput();
    wakep();
  }
  bool globrunqget() {
    if (global == 0) return false;
    --global;
    runqsize.store(global, Order::relaxed);
    return true;
  }

  // ---- find
  void resetspinning(M* mp) {
    mp->spinning = false;
    dropSpinning();
    if (!GORT_MUT(4)) wakep();
  }
  Goroutine stealWork(M* mp) {
    for (int i = 1; i < np; ++i) {
      P& p2 = ps[(mp->p->id + i) % np];
      if (p2.runq.take()) return {true, p2.runq.forever};
    }
    return {};
  }
  P* checkRunqsNoP() {
    bool found = !GORT_MUT(5) && runqsize.load(Order::relaxed) > 0;
    for (int i = 0; i < np && !found && !GORT_MUT(6); ++i) found = !ps[i].runq.empty();
    if (!found) return nullptr;
    lock.lock();
    P* pp = pidleget();
    lock.unlock();
    return pp;
  }
  Goroutine idle(M* mp) {
    lock.lock();
    if (global > 0) {  // saves a round; the look below would find it as well
      globrunqget();
      lock.unlock();
      return {true, globalForever};
    }
    pidleput(mp->p);
    mp->p = nullptr;
    lock.unlock();
    const bool wasSpinning = mp->spinning;
    mp->spinning = false;
    if (wasSpinning && !GORT_MUT(8)) dropSpinning();
    if (!GORT_MUT(9))
      model::fence();  // npidle + 1 and nmspinning - 1 before the look at the queues <-> wakep
    P* pp = GORT_MUT(10) && !wasSpinning ? nullptr : checkRunqsNoP();
    if (wasSpinning && GORT_MUT(8)) dropSpinning();
    if (pp != nullptr) {
      mp->p = pp;
      if (!GORT_MUT(11)) startSpinning(mp);
      return {};
    }
    stopm(mp);
    return {};
  }
  Goroutine findRunnable(M* mp) {
    for (;;) {
      P* pp = mp->p;
      if (pp->runq.take()) return {true, pp->runq.forever};
      if (runqsize.load(Order::relaxed) > 0) {
        lock.lock();
        const bool got = globrunqget();
        lock.unlock();
        if (got) return {true, globalForever};
      }
      if (mp->spinning || 2 * nmspinning.load(Order::relaxed) < np - npidle.load(Order::relaxed)) {
        if (!mp->spinning) startSpinning(mp);
        if (const Goroutine g = stealWork(mp); g.any) return g;
      }
      if (const Goroutine g = idle(mp); g.any) return g;
    }
  }
  // handoffp gives up a P that has no M (taken from a system call); it holds no work itself.
  void handoffp(P* pp) {
    if (runqsize.load(Order::relaxed) != 0) return startm(pp, false);
    if (nmspinning.load(Order::seqCst) + npidle.load(Order::seqCst) == 0) {
      int none = 0;
      if (nmspinning.compareExchange(none, 1, Order::seqCst)) return startm(pp, true);
    }
    lock.lock();
    pidleput(pp);
    lock.unlock();
    if (!GORT_MUT(12)) model::fence();  // npidle + 1 before the second look <-> wakep
    if (!GORT_MUT(13) && !npEmpty()) {
      lock.lock();
      P* idle = pidleget();
      lock.unlock();
      if (idle != nullptr) startm(idle, false);
    }
  }
  bool npEmpty() const {
    bool found = runqsize.load(Order::relaxed) > 0;
    for (int i = 0; i < np && !found; ++i) found = !ps[i].runq.empty();
    return !found;
  }
  // run is schedule() for ever; a forever goroutine ends the thread and keeps its P.
  void run(M* mp) {
    for (;;) {
      const Goroutine g = findRunnable(mp);
      if (mp->spinning) resetspinning(mp);
      ++ran;
      model::note("M%d runs a goroutine%s", mp->id, g.forever ? " for ever" : "");
      if (g.forever) return;
    }
  }
  // ---- the scenarios' set-up
  // running is an M with that P that looks for work.
  void running(int p, bool spinning) {
    M* mp = &ms[nm++];
    mp->p = &ps[p];
    mp->spinning = spinning;
    if (spinning) nmspinning.fetchAdd(1, Order::relaxed);
    model::spawn("M", [this, mp] { run(mp); });
  }
  // work says that P0 runs a goroutine for ever and submits others like it.
  void work(int n) {
    ps[0].runq.used = ps[0].runq.forever = true;
    for (int i = 0; i < n; ++i) ps[0].runq.put();
  }
  void idleP(int p) {
    ps[p].link = pidle;
    pidle = &ps[p];
    npidle.fetchAdd(1, Order::relaxed);
  }
  void judge() {
    model::joinQuiescent();
    int waiting = 0;
    for (int i = 0; i < np; ++i) {
      const int n =
          static_cast<int>(ps[i].runq.tail.load(Order::relaxed) - ps[i].runq.head.load(Order::relaxed));
      waiting += n + static_cast<int>(ps[i].runq.next.load(Order::relaxed));
    }
    model::note("at rest: %d in local queues, %d in the global one, %s", waiting, global,
                pidle != nullptr ? "a P is idle" : "no P is idle");
    MODEL_ASSERT(pidle == nullptr || waiting + global == 0);
    MODEL_ASSERT(nmspinning.load(Order::relaxed) == 0);
  }
};

// A busy P submits one goroutine while the last spinner gives up.
MODEL(SubmitAgainstLastSpinner, .preemptions = 4) {
  Machine s(2);
  s.work(0);
  s.running(1, true);
  model::spawn("busy", [&] { s.submitLocal(&s.ps[0]); });
  s.judge();
}
MODEL(SubmitNextKicks, .preemptions = 3, .staleReads = 2) {
  Machine s(3);
  s.work(0);
  s.ps[0].runq.usesNext = true;
  s.idleP(2);
  s.running(1, true);
  model::spawn("busy", [&] {
    for (int i = 0; i < 2; ++i) {
      const bool byRmw = s.ps[0].runq.putNext();
      s.wakep(byRmw || GORT_MUT(7));
    }
  });
  s.judge();
}
// The same with an idle P and two goroutines: the spinner that finds the first has to wake another.
MODEL(FoundWorkWakesNext, .preemptions = 3, .staleReads = 3) {
  Machine s(3);
  s.work(0);
  s.idleP(2);
  s.running(1, true);
  model::spawn("busy", [&] {
    s.ps[0].runq.put();
    s.submitLocal(&s.ps[0]);
  });
  s.judge();
}
// All Ps are busy, and there is work. Two spinners find some of it; the one that goes idle has not looked
// because of them: it has to look once more when its P is idle (Go: "Delicate dance", by other means).
MODEL(AllBusyThenIdle, .preemptions = 2, .staleReads = 3) {
  Machine s(4);
  s.work(3);
  s.running(2, true);
  s.running(3, true);
  s.running(1, false);
  s.judge();
}
// The same seen from the submitter: nobody spins any more, no P is idle, one is about to be.
MODEL(SubmitWhileAllBusy, .preemptions = 4, .staleReads = 3) {
  Machine s(2);
  s.work(0);
  s.nmspinning.fetchAdd(1, Order::relaxed);
  s.running(1, false);
  model::spawn("busy", [&] {
    s.dropSpinning();  // holds M1 back from looking around, then is gone
    s.submitLocal(&s.ps[0]);
  });
  s.judge();
}
MODEL(GlobalAgainstSpinner, .preemptions = 2, .staleReads = 3) {
  Machine s(2);
  s.idleP(0);
  s.running(1, true);
  model::spawn("noP", [&] { s.submitGlobal(); });
  s.judge();
  MODEL_ASSERT(s.ran == 1);
}
MODEL(GlobalWhileAllBusy, .preemptions = 4, .staleReads = 3) {
  Machine s(2);  // P0 runs a goroutine for ever
  s.running(1, true);
  model::spawn("noP", [&] { s.submitGlobal(); });
  s.judge();
  MODEL_ASSERT(s.ran == 1);
}
MODEL(GlobalAgainstNonSpinner, .preemptions = 4, .staleReads = 3) {
  Machine s(2);
  s.nmspinning.fetchAdd(1, Order::relaxed);  // keeps M1 from looking around
  s.running(1, false);
  model::spawn("noP", [&] {
    s.dropSpinning();
    s.submitGlobal();
  });
  s.judge();
  MODEL_ASSERT(s.ran == 1);
}
MODEL(PreemptedAgainstSpinner, .preemptions = 4, .staleReads = 3) {
  Machine s(2);
  s.running(1, true);
  model::spawn("busy", [&] { s.submitPreempted(); });
  s.judge();
}
MODEL(PreemptedAgainstNonSpinner, .preemptions = 4, .staleReads = 3) {
  Machine s(2);
  s.nmspinning.fetchAdd(1, Order::relaxed);
  s.running(1, false);
  model::spawn("busy", [&] {
    s.dropSpinning();
    s.submitPreempted();
  });
  s.judge();
}
// Two are preempted while the only spinner gives up: it finds both in its last look and has to wake somebody.
MODEL(TwoPreempted, .preemptions = 2, .staleReads = 3) {
  Machine s(3);
  s.globalForever = true;
  s.idleP(2);
  s.running(1, true);
  model::spawn("busy", [&] {
    s.globrunqput();
    s.submitPreempted();
  });
  s.judge();
}
// Somebody comes back from a system call and takes the P that the last spinner has just put down. The spinner
// then finds work but no P; the other one has to find it.
MODEL(IdlePIsTakenAway, .preemptions = 2, .staleReads = 2) {
  Machine s(2);
  s.work(0);
  s.running(1, true);
  model::spawn("busy", [&] { s.submitLocal(&s.ps[0]); });
  model::spawn("exitsyscall", [&] {
    s.lock.lock();
    P* pp = s.pidleget();
    s.lock.unlock();
    if (pp == nullptr) return;
    M* mp = &s.ms[s.nm++];
    mp->p = pp;
    s.run(mp);
  });
  s.judge();
}
// sysmon hands a P over while the only spinner finds something: nobody else looks for what is submitted now.
MODEL(HandedOver, .preemptions = 2, .staleReads = 1) {
  Machine s(3);
  s.work(1);
  s.running(1, true);
  model::spawn("busy", [&] { s.submitLocal(&s.ps[0]); });
  model::spawn("sysmon", [&] { s.handoffp(&s.ps[2]); });
  s.judge();
}
MODEL(EverybodyAsleep, .preemptions = 3, .staleReads = 3) {
  Machine s(3);
  s.work(0);
  s.idleP(1);
  s.idleP(2);
  model::spawn("busy", [&] {
    s.submitLocal(&s.ps[0]);
    s.submitLocal(&s.ps[0]);
  });
  s.judge();
}

}  // namespace

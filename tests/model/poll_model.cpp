// SPDX-License-Identifier: Apache-2.0
// Model of a wait for I/O.      (src/base/poll_word.hpp, the product's own; pollReset, pollWait, stopWaiter and expire of
// src/sched/netpoll.cpp transcribed; Go: netpoll.go) A goroutine tries, finds nothing and waits; against it come the
// kernel's edge, a close, a deadline, in every order. Claims: nobody sleeps through an edge that came after his attempt, a
// close or a deadline; a parked goroutine is readied once; a timer of an older deadline ends nothing that is not due.
// Second part, Stream: Note [A socket that was emptied]. Claim: a reader that leaves out the attempt after a short read
// gets every byte and the end, however bytes, end and their events fall; and leaves it out when nothing is to be had.
#include "base/poll_word.hpp"
#include "model/explorer.hpp"

namespace {
using model::Atomic;
using model::Order;

struct Env {
  template <class T>
  using Atomic = model::Atomic<T>;
  static void fence(Order o) { model::fence(o); }
};

struct File {
  gort::rt::PollWord<Env, model::Parker> rg;
  Atomic<uint32_t> data{0};  // what the kernel holds: bytes to read
  Atomic<uint32_t> closing{0};
  Atomic<int> deadline{0};  // 0 none, -1 passed, else the time
  model::Parker g;
  model::Plain<int> saved{0};   // the goroutine's state: written when it parks, read by who wakes it
  model::Plain<int> before{0};  // what happened before the edge
  File() {
    data.named("data");
    saved.named("saved");
    before.named("before");
    closing.named("closing");
    deadline.named("deadline");
  }

  bool stopped() { return closing.load(Order::acquire) != 0 || deadline.load(Order::acquire) == -1; }
  void wake(model::Parker* p) {
    if (p == nullptr) return;
    MODEL_ASSERT(saved.get() == 1);
    saved.set(0);
    p->ready();
  }
  // The kernel: bytes come, then the edge is reported.
  void arrive() {
    before.set(1);
    data.store(1, Order::seqCst);
    wake(rg.unblock(true));
  }
  void close() {
    closing.store(1, Order::release);
    if (!GORT_MUT(1)) model::fence(Order::seqCst);
    wake(rg.unblock(false));
  }
  // deadlineTimer at time `now`.
  void expire(int now) {
    int when = deadline.load(Order::acquire);
    if (GORT_MUT(2) ? when == 0 : when <= 0 || when > now) return;
    if (!deadline.compareExchange(when, -1, Order::acqRel)) return;
    if (!GORT_MUT(3)) model::fence(Order::seqCst);
    wake(rg.unblock(false));
  }

  // pollWait, and pollWaitEmptied: with `stays`. True: try again.
  bool wait(const Atomic<uint32_t>* stays = nullptr) {
    using Word = gort::rt::PollWord<Env, model::Parker>;
    for (;;) {
      if (stopped()) return false;
      const Word::Begin b = rg.begin();
      MODEL_ASSERT(b != Word::Begin::twice);
      if (b == Word::Begin::ready) return true;
      const bool go = stays != nullptr && stays->load(Order::relaxed) != 0;
      if (!go && (GORT_MUT(4) || !stopped())) {
        g.announce();
        saved.set(1);
        if (rg.commit(&g)) {
          g.block();
        } else {
          g.cancel();
        }
      }
      if (rg.end() || go) return true;
    }
  }
  // read: 1 got the byte, 0 stopped.
  int read() {
    if (stopped()) return 0;
    rg.reset();
    for (;;) {
      if (data.load(Order::seqCst) != 0) return 1;
      if (GORT_MUT(5)) rg.reset();
      if (!wait()) return 0;
      MODEL_ASSERT(before.get() == 1);
    }
  }
};

MODEL(ByteAgainstWait, .preemptions = 4) {
  File f;
  model::spawn("reader", [&] { MODEL_ASSERT(f.read() == 1); });
  model::spawn("kernel", [&] { f.arrive(); });
  model::joinAll();
}

MODEL(CloseAgainstWait, .preemptions = 4) {
  File f;
  model::spawn("reader", [&] { MODEL_ASSERT(f.read() == 0); });
  model::spawn("closer", [&] { f.close(); });
  model::joinAll();
}

MODEL(ByteAndCloseAgainstWait, .preemptions = 3) {
  File f;
  model::spawn("reader", [&] { f.read(); });
  model::spawn("kernel", [&] { f.arrive(); });
  model::spawn("closer", [&] { f.close(); });
  model::joinAll();
}

MODEL(DeadlineAgainstWait, .preemptions = 4) {
  File f;
  f.deadline.store(5, Order::relaxed);
  model::spawn("reader", [&] { MODEL_ASSERT(f.read() == 0); });
  model::spawn("timer", [&] { f.expire(7); });
  model::joinAll();
}

// The timer of a deadline that was moved fires late: the newer deadline is not due.
MODEL(OldTimerAgainstNewDeadline, .preemptions = 4) {
  File f;
  f.deadline.store(5, Order::relaxed);
  model::spawn("reader", [&] { MODEL_ASSERT(f.read() == 1); });
  model::spawn("mover", [&] {
    f.deadline.store(50, Order::release);
    f.expire(7);  // the timer, which was on its way
    f.arrive();
  });
  model::joinAll();
}

// An edge that an earlier attempt has used up costs one attempt, not a wrong answer.
MODEL(TwoReadsTwoEdges, .preemptions = 3) {
  File f;
  model::spawn("reader", [&] {
    if (f.read() == 0) return;
    f.data.store(0, Order::seqCst);
    f.read();
  });
  model::spawn("kernel", [&] {
    f.arrive();
    f.close();
  });
  model::joinAll();
}

// A stream. The kernel's side of it is one word, which its lock makes one: bytes to read, and the end, which stays. Whoever
// adds to it queues an event; the poller takes the event from the queue, and only then looks at the socket, so that one
// event may tell of several changes, or of what has been read already.
struct Stream : File {
  static constexpr uint32_t kByte = 1, kEnd = 0x100;
  Atomic<uint32_t> sock{0}, event{0}, sticky{0};
  bool emptied = false;  // the reader's
  Stream() {
    sock.named("sock");
    event.named("event");
    sticky.named("sticky");
    before.set(1);
  }
  void segment(uint32_t what) {
    sock.fetchAdd(what, Order::seqCst);
    event.store(1, Order::seqCst);
  }
  void pollSticky() {
    sticky.store(1, Order::relaxed);
    if (!GORT_MUT(9)) model::fence(Order::seqCst);
  }
  // netpoll: one look at the queue.
  void poll() {
    if (event.exchange(0, Order::seqCst) == 0) return;
    const uint32_t seen = sock.load(Order::seqCst);
    if (seen == 0) return;  // read already: nothing for a reader
    const bool stays = (seen & kEnd) != 0 && !GORT_MUT(6);
    if (stays && !GORT_MUT(7)) pollSticky();
    wake(rg.unblock(true));
    if (stays && GORT_MUT(7)) pollSticky();
  }
  // A read that asks for more than there ever is: -1 the end, 0 nothing now, else bytes.
  int recv() {
    const uint32_t had = sock.fetchAnd(kEnd, Order::seqCst);
    const int n = static_cast<int>(had & ~kEnd);
    return n > 0 ? n : had != 0 ? -1 : 0;
  }
  // conn::read. -1: the end; -2: stopped.
  int readSome() {
    const bool skip = emptied;
    emptied = false;
    if (skip) {
      if (GORT_MUT(8)) rg.reset();
      if (GORT_MUT(10)) {
        if (sticky.load(Order::relaxed) == 0 && !wait()) return -2;
      } else if (!wait(&sticky)) {
        return -2;
      }
    } else {
      if (stopped()) return -2;
      rg.reset();
    }
    for (;;) {
      if (const int n = recv(); n != 0) {
        emptied = n > 0;
        return n;
      }
      if (!wait()) return -2;
    }
  }
  // readAll reads to the end; it must get `bytes`.
  void readAll(int bytes) {
    int sum = 0;
    for (int n; (n = readSome()) != -1; sum += n) MODEL_ASSERT(n > 0);
    MODEL_ASSERT(sum == bytes);
  }
};

// Byte and end in one segment: one event, no other.
MODEL(ByteWithTheEnd, .preemptions = 4) {
  Stream f;
  model::spawn("reader", [&] { f.readAll(1); });
  model::spawn("kernel", [&] {
    f.segment(Stream::kByte + Stream::kEnd);
    f.poll();
  });
  model::joinAll();
}

// The reader has his short read behind him when the rest comes.
MODEL(BytesThenTheEnd, .preemptions = 3) {
  Stream f;
  model::spawn("reader", [&] { f.readAll(2); });
  model::spawn("kernel", [&] {
    f.segment(Stream::kByte);
    f.poll();
    f.segment(Stream::kByte + Stream::kEnd);
    f.poll();
  });
  model::joinAll();
}

// Two threads take events: the older event may be the last to reach the word.
MODEL(TwoPollers, .preemptions = 3, .maxSeconds = 100) {
  Stream f;
  model::spawn("reader", [&] { f.readAll(2); });
  model::spawn("kernel", [&] {
    f.segment(Stream::kByte);
    f.segment(Stream::kByte + Stream::kEnd);
    f.poll();
  });
  model::spawn("poller", [&] { f.poll(); });
  model::joinAll();
}

// An edge that comes between the short read and the wait.
MODEL(ByteBeforeTheWait, .preemptions = 4) {
  Stream f;
  f.sock.store(1, Order::seqCst);
  model::spawn("reader", [&] {
    for (int sum = 0, n; sum < 3; sum += n) {
      n = f.readSome();
      MODEL_ASSERT(n > 0);
    }
  });
  model::spawn("kernel", [&] {
    f.segment(Stream::kByte);
    f.poll();
    f.segment(Stream::kByte);
    f.poll();
  });
  model::joinAll();
}

// What stops a wait stops this one.
MODEL(CloseAfterAShortRead, .preemptions = 4) {
  Stream f;
  f.sock.store(1, Order::seqCst);
  model::spawn("reader", [&] {
    if (f.readSome() == -2) return;
    MODEL_ASSERT(f.readSome() == -2);
  });
  model::spawn("closer", [&] { f.close(); });
  model::joinAll();
}

}  // namespace

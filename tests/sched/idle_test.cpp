// SPDX-License-Identifier: Apache-2.0
// The protocol of going to sleep, seen from outside: a few goroutines do now and then one of everything that waits, so that
// the machine rests in between and every wake-up is the only one. What is forgotten stays so until the monitor's look,
// once in a minute; each operation here is over in milliseconds.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <functional>
#include <thread>
#include <vector>

#include "lang/chan_util.hpp"
#include "sched/proc.hpp"

namespace {

using namespace std::chrono_literals;
using Rnd = std::mt19937_64;
using std::chrono::microseconds;

constexpr auto kForgotten = 10s;

microseconds aMoment(Rnd& rnd) { return microseconds(rnd() % 2500); }
void rest(microseconds t) { ::usleep(static_cast<useconds_t>(t.count())); }

// Outside is a thread of the host's that does one thing after the other.
class Outside {
 public:
  Outside() : thread_([this] { work(); }) {}
  Outside(const Outside&) = delete;
  ~Outside() {
    jobs_.send(nullptr);
    gort::blocking([this] { thread_.join(); });
  }
  void ask(std::function<void()> f) { jobs_.send(std::move(f)); }

 private:
  void work() {
    while (auto f = *jobs_.recv()) f();
  }
  gort::chan<std::function<void()>> jobs_ = gort::make_chan<std::function<void()>>(64);
  std::thread thread_;
};

// TSan's list of open files does not see what the library closes, and takes the next user of the number for a race: so files
// are made and closed behind its back.
void closeFile(int fd) { ::syscall(SYS_close, fd); }

struct Pipe {
  int fd[2];
  Pipe() { EXPECT_EQ(::syscall(SYS_pipe2, fd, O_CLOEXEC), 0); }
  Pipe(const Pipe&) = delete;
  ~Pipe() {
    closeFile(fd[0]);
    closeFile(fd[1]);
  }
  void write() const { EXPECT_EQ(::write(fd[1], "x", 1), 1); }
  void readBlocking() const {
    char c;
    while (::read(fd[0], &c, 1) < 0 && errno == EINTR) {
    }
  }
};

// readFrom reads one byte, which start(bring) has brought by calling bring() somewhere else.
template <class Start>
void readFrom(Start start) {
  int ends[2];
  ASSERT_EQ(::syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  auto f = gort::os::adopt(ends[0], "pair").value();
  gort::wait_group brought;
  brought.add(1);
  start([&brought, fd = ends[1]] {
    EXPECT_EQ(::write(fd, "x", 1), 1);
    brought.done();
  });
  std::byte b[1];
  EXPECT_EQ(f.read(b).value_or(0), 1u);
  brought.wait();
  closeFile(ends[1]);
}

void waitsForBytes(Rnd& rnd, Outside& outside) {
  const auto t = aMoment(rnd);
  switch (rnd() % 3) {
    case 0:
      return readFrom([&](auto bring) { outside.ask([=] { rest(t), bring(); }); });
    case 1:
      return readFrom([&](auto bring) { gort::go([=] { gort::blocking([t] { rest(t); }), bring(); }); });
    default:
      return readFrom([&](auto bring) { gort::go([=] { gort::sleep(t), bring(); }); });
  }
}

void waitsForAChannel(Rnd& rnd, Outside& outside) {
  const auto t = aMoment(rnd);
  auto c = gort::make_chan<int>();
  switch (rnd() % 4) {
    case 0:
      outside.ask([t, c] { rest(t), c.send(1); });
      break;
    case 1:
      gort::go([t, c] { gort::blocking([t] { rest(t); }), c.send(1); });
      break;
    case 2:
      gort::go([t, c] { gort::sleep(t), c.send(1); });
      break;
    default:
      EXPECT_FALSE(c.recv_for(t));
      return;
  }
  EXPECT_TRUE(c.recv());
}

// blocking gives the P away at once, as operations of files do, or as soon as the monitor takes it.
template <class F>
void blocking(bool atOnce, F f) {
  if (!atOnce) return gort::blocking(f);
  const gort::rt::Entry e;
  gort::rt::entersyscallblock();
  f();
  gort::rt::exitsyscall();
}

// The thread stands in the kernel until somebody else's sleep is over, which may have begun before what came last.
void blocksUntilAnother(Rnd& rnd, Outside& outside) {
  const auto t = 2 * aMoment(rnd);
  Pipe p;
  auto other = gort::spawn([&] {
    gort::sleep(t);
    p.write();
  });
  if (rnd() % 2 == 0) waitsForBytes(rnd, outside);
  blocking(rnd() % 2 == 0, [&] { p.readBlocking(); });
  other.join();
}

void sleepsLocked(Rnd& rnd, Outside&) {
  const gort::runtime::os_thread_lock lock;
  gort::sleep(aMoment(rnd));
}
void sleeps(Rnd& rnd, Outside&) { gort::sleep(aMoment(rnd)); }
void blocks(Rnd& rnd, Outside&) {
  blocking(rnd() % 2 == 0, [t = aMoment(rnd)] { rest(t); });
}
void works(Rnd& rnd, Outside&) {
  for (const auto end = gort::clock::now() + aMoment(rnd); gort::clock::now() < end;) {
  }
}

struct Kind {
  const char* name;
  void (*f)(Rnd&, Outside&);
};
constexpr Kind kKinds[] = {
    {"sleep", sleeps},        {"sleep, locked to the thread", sleepsLocked},
    {"blocking", blocks},     {"blocking until another's sleep is over", blocksUntilAnother},
    {"bytes", waitsForBytes}, {"channel", waitsForAChannel},
    {"work", works}};

void actor(std::uint64_t seed, int rounds, Outside& outside) {
  Rnd rnd(seed);
  for (int i = 0; i < rounds; ++i) {
    const Kind& k = kKinds[rnd() % std::size(kKinds)];
    const auto begin = gort::clock::now();
    k.f(rnd, outside);
    EXPECT_LT(gort::clock::now() - begin, kForgotten) << k.name << ", round " << i;
  }
}

class Idle : public ::testing::TestWithParam<int> {};

TEST_P(Idle, NothingIsForgotten) {
  const auto seed = chantest::seed();
  gort::block_on([&] {
    const int procs = gort::runtime::max_procs(GetParam());
    {
      Outside outside;
      for (std::uint64_t actors = 1; actors <= 4; ++actors) {
        gort::wait_group wg;
        for (std::uint64_t i = 0; i < actors; ++i)
          wg.go([&, i] { actor(seed + 10 * actors + i, 60, outside); });
        wg.wait();
      }
    }
    gort::runtime::max_procs(procs);
  });
}
INSTANTIATE_TEST_SUITE_P(Procs, Idle, ::testing::Values(1, 2, 3));

}  // namespace

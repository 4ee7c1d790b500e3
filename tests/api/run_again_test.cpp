// SPDX-License-Identifier: Apache-2.0
// Several run()s in one process, each ended with operations on files under way: the next one has its full number of places,
// and nothing that the kernel completes late disturbs it. (Names and sockets: tests/crash/run_again_*.cpp.)
#include <gort/gort.hpp>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <string>

#include "api/os_file.hpp"
#include "api/os_uring.hpp"
#include "os/os_linux.hpp"
#include "sched/runtime1.hpp"

namespace {

namespace io = gort::io;
namespace os = gort::os;
using namespace std::chrono_literals;

constexpr int kRuns = 3, kMore = 20;
constexpr std::size_t kRoom = 4096;

// Slow is a descriptor to read from that gives nothing before `release`.
struct Slow {
  int ends[2] = {-1, -1};
  Slow() { EXPECT_EQ(::pipe(ends), 0); }
  ~Slow() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  Slow(const Slow&) = delete;
  Slow& operator=(const Slow&) = delete;
  void release(std::size_t n) const {
    const std::string text(n, 'x');
    EXPECT_EQ(::write(ends[1], text.data(), n), static_cast<ssize_t>(n));
  }
};

// fileWorks writes and reads a file back. False: no answer within twenty seconds.
bool fileWorks() {
  auto answer = gort::make_chan<bool>(1);
  gort::go([answer] {
    char path[] = "/tmp/gort-again-XXXXXX";
    const int fd = ::mkostemp(path, O_CLOEXEC);
    ::unlink(path);
    auto f = os::adopt(fd, "file");
    std::string back(5, ' ');
    bool good = f && f->write("hello").value_or(0) == 5 && !f->sync() && !f->truncate(5);
    good = good && f->pread(io::as_writable_bytes(back), 0).value_or(0) == 5 && back == "hello";
    answer.send(good);
  });
  auto got = answer.recv_for(20s);
  return got && *got;
}

// manyFiles has more operations than places.
bool manyFiles() {
  auto results = gort::make_chan<bool>();
  for (int i = 0; i < 2 * os::detail::kHandOff; ++i) gort::go([results] { results.send(fileWorks()); });
  for (int i = 0; i < 2 * os::detail::kHandOff; ++i) {
    if (!results.recv().value_or(false)) return false;
  }
  return true;
}

TEST(RunAgain, OperationsThatThreadsDoLeaveTheNextRunItsPlaces) {
  const int usual = gort::rt::debug.iouring;
  gort::rt::debug.iouring = 0;
  const Slow slow;
  std::atomic<int> begun{0};
  for (int run = 1; run <= kRuns; ++run) {
    gort::run([&] {
      EXPECT_TRUE(fileWorks()) << "run " << run;
      for (int i = 0; i < os::detail::kHandOff + kMore; ++i) {  // the last ones wait for a place
        gort::go([&begun, fd = slow.ends[0]] {
          std::byte b[1];
          const auto slowly = [&]() -> long {
            if (::gettid() == ::getpid()) return -EAGAIN;  // it must return from run()
            begun.fetch_add(1);
            return gort::rt::os::sys(SYS_read, fd, b, sizeof b);
          };
          while (os::detail::apart(slowly) == -EAGAIN) gort::sleep(100us);
        });
      }
      while (begun.load() < run * os::detail::kHandOff) gort::sleep(1ms);
      gort::sleep(5ms);
      EXPECT_EQ(begun.load(), run * os::detail::kHandOff) << "no more than there are places";
    });
  }
  slow.release(kRuns * os::detail::kHandOff);  // their threads come back now, to nobody
  gort::run([] { EXPECT_TRUE(manyFiles()); });
  gort::rt::debug.iouring = usual;
}

// Those of the first two runs fill the ring, so that what comes later is done by threads. The buffers must live until the
// kernel has filled them, whenever that is.
TEST(RunAgain, OperationsOfTheRingLeaveTheNextRunItsPlaces) {
  const int usual = gort::rt::debug.iouring;
  gort::rt::debug.iouring = 2;
  const Slow slow;
  static std::byte rooms[kRuns][os::detail::kHandOff][kRoom];
  bool offered = true;
  for (int run = 0; run < kRuns && offered; ++run) {
    gort::run([&] {
      const auto before = os::detail::ring_operations();
      if (run > 0) slow.release(kRoom);  // what an earlier run waited for comes in the middle of this one
      EXPECT_TRUE(fileWorks()) << "run " << run;
      if (run == 0) offered = os::detail::ring_operations() != before;
      if (!offered) return;
      std::atomic<int> begun{0};
      for (auto& room : rooms[run]) {
        gort::go([&begun, &room, fd = slow.ends[0]] {
          long n = 0;
          const gort::rt::os::UringEntry e{gort::rt::os::UringOp::read, fd,     room, kRoom,
                                           ~gort::rt::uint64{0},        nullptr};
          (void)os::detail::by_turns([&] {
            begun.fetch_add(1);
            return os::detail::through_ring(e, &n) ? n : -1;
          });
        });
      }
      while (begun.load() < os::detail::kHandOff) gort::sleep(1ms);
      gort::sleep(5ms);
    });
  }
  for (int i = 0; i < kRuns * os::detail::kHandOff; ++i) slow.release(64);
  if (offered) gort::run([] { EXPECT_TRUE(manyFiles()); });
  if (!offered) std::puts("this kernel offers no io_uring");
  gort::rt::debug.iouring = usual;
}

TEST(RunAgain, ReadersOfFifosLeaveTheNextRunItsPoller) {
  char dir[] = "/tmp/gort-again-XXXXXX";
  ASSERT_NE(::mkdtemp(dir), nullptr);
  const std::string fifo = std::string(dir) + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (int run = 0; run < kRuns; ++run) {
    gort::run([&] {
      auto f = os::open(fifo, os::open_mode::read_write);
      ASSERT_TRUE(f) << f.error().message();
      EXPECT_EQ(f->write("abc").value_or(0), 3u);
      std::byte b[3];
      EXPECT_EQ(io::read_full(*f, b).value_or(0), 3u) << "run " << run;
      for (int i = 0; i < os::detail::kHandOff + kMore; ++i) {
        gort::go([fifo] {
          auto mine = os::open(fifo, os::open_mode::read_write);
          std::byte one[1];
          (void)mine->read(one);
        });
      }
      gort::sleep(5ms);
      EXPECT_TRUE(fileWorks()) << "run " << run;
    });
  }
  ::unlink(fifo.c_str());
  ::rmdir(dir);
}

}  // namespace

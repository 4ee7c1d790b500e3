// SPDX-License-Identifier: Apache-2.0
// Waiting for files that are not the runtime's: rules of src/sched/netpoll_file.cpp as sentences.
#include "sched/netpoll_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <thread>
#include <vector>

#include "lang/chan_util.hpp"
#include "sched/proc.hpp"

namespace {

namespace rt = gort::rt;
using chantest::settle;
using rt::FileWait;

struct Pipe {
  int in = -1, out = -1;
  Pipe() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    in = fds[0];
    out = fds[1];
  }
  ~Pipe() {
    ::close(in);
    ::close(out);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void put() const { EXPECT_EQ(::write(out, "x", 1), 1); }
  void take() const {
    char c;
    EXPECT_EQ(::read(in, &c, 1), 1);
  }
};

FileWait waitFor(int fd, rt::uint32 events = POLLIN) {
  FileWait f;
  f.fd = fd;
  f.events = events;
  return f;
}

GO_TEST(NetpollFile, AFileThatIsReadyDoesNotWait) {
  Pipe p;
  p.put();
  FileWait f = waitFor(p.in);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(rt::waitFiles(&f, 1, rt::kTimeNever), 1);  // as often as asked
  EXPECT_EQ(f.revents & POLLIN, rt::uint32{POLLIN});
}

GO_TEST(NetpollFile, OneOfManyWakesAndTheOthersAreForgotten) {
  std::vector<std::unique_ptr<Pipe>> pipes;
  for (int i = 0; i < 300; ++i) pipes.push_back(std::make_unique<Pipe>());  // more than there are shards
  for (const std::size_t which : {0u, 17u, 299u}) {
    auto t = gort::spawn([&] {
      std::vector<FileWait> files;
      for (const auto& p : pipes) files.push_back(waitFor(p->in));
      EXPECT_EQ(rt::waitFiles(files.data(), static_cast<rt::int32>(files.size()), rt::kTimeNever), 1);
      EXPECT_NE(files[which].revents, 0u);
    });
    settle();
    pipes[which]->put();
    t.join();
    pipes[which]->take();
  }
}

GO_TEST(NetpollFile, AnEventWakesWhomItConcernsAndArmsTheFileForTheRest) {
  Pipe p;
  std::atomic<int> early = 0;
  auto hangup = gort::spawn([&] {
    FileWait f = waitFor(p.in, 0);  // only errors and the hang-up
    EXPECT_EQ(rt::waitFiles(&f, 1, rt::kTimeNever), 1);
    early += f.revents == POLLIN;
  });
  settle();
  for (int i = 0; i < 3; ++i) {
    auto t = gort::spawn([&] {
      FileWait f = waitFor(p.in);
      EXPECT_EQ(rt::waitFiles(&f, 1, rt::kTimeNever), 1);
    });
    settle();
    p.put();
    t.join();
    p.take();
  }
  ::close(p.out);
  hangup.join();
  p.out = -1;
  EXPECT_EQ(early, 0);
}

GO_TEST(NetpollFile, WhoComesLaterAndWantsLessTakesNothingAway) {
  Pipe p;
  auto reader = gort::spawn([&] {
    FileWait f = waitFor(p.in);
    EXPECT_EQ(rt::waitFiles(&f, 1, rt::kTimeNever), 1);
  });
  settle();
  auto hangup = gort::spawn([&] {
    FileWait f = waitFor(p.in, 0);
    EXPECT_EQ(rt::waitFiles(&f, 1, rt::kTimeNever), 1);
  });
  settle();
  p.put();
  reader.join();
  ::close(p.out);
  hangup.join();
  p.out = -1;
}

GO_TEST(NetpollFile, TimeAndClosingEndAWait) {
  Pipe p;
  FileWait f = waitFor(p.in);
  EXPECT_EQ(rt::waitFiles(&f, 1, rt::nanotime() + 5000000), 0);
  EXPECT_EQ(rt::waitFiles(&f, 1, 1), 0);  // a time that is over
  EXPECT_EQ(rt::waitFiles(nullptr, 0, rt::nanotime() + 1000000), 0);
  auto t = gort::spawn([&] {
    FileWait g = waitFor(p.in);
    EXPECT_EQ(rt::waitFiles(&g, 1, rt::kTimeNever), 1);
    EXPECT_EQ(g.revents, rt::kFileClosed);
  });
  settle();
  std::thread th([&] { rt::filesClosed(p.in); });
  t.join();
  th.join();
}

GO_TEST(NetpollFile, WhatCannotBeWatchedIsAnError) {
  FileWait f = waitFor(1 << 20);
  EXPECT_EQ(rt::waitFiles(&f, 1, rt::kTimeNever), -EBADF);
  FILE* file = std::tmpfile();
  Pipe p;
  FileWait two[2] = {waitFor(p.in), waitFor(::fileno(file))};
  EXPECT_EQ(rt::waitFiles(two, 2, rt::kTimeNever), -EPERM);
  std::fclose(file);
}

// Slot is a number under which one pipe follows another.
struct Slot {
  Pipe pipe;
  void put() const { (void)!::write(pipe.out, "x", 1); }
  // turn puts another pipe under the number, as a library does, and then lets the old one speak.
  void turn() {
    Pipe next;
    const int twin = ::fcntl(pipe.in, F_DUPFD_CLOEXEC, 0), old = pipe.out;
    EXPECT_EQ(::dup3(next.in, pipe.in, O_CLOEXEC), pipe.in);
    rt::filesClosed(pipe.in);
    pipe.out = next.out;
    next.out = old;
    (void)!::write(old, "x", 1);
    ::close(twin);
  }
};

GO_TEST(NetpollFile, EventsTimesClosingAndReusedNumbersForgetNobody) {
  constexpr int kSlots = 6, kWaiters = 8, kRounds = 400;
  std::vector<std::unique_ptr<Slot>> slots;
  for (int i = 0; i < kSlots; ++i) slots.push_back(std::make_unique<Slot>());
  std::vector<std::atomic<int>> rounds(kWaiters);
  gort::wait_group wg;
  for (int w = 0; w < kWaiters; ++w) {
    wg.go([&, w] {
      for (int i = 0; i < kRounds; ++i) {
        const int a = slots[static_cast<std::size_t>((w * 7 + i) % kSlots)]->pipe.in;
        const int b = slots[static_cast<std::size_t>((w + i * 5) % kSlots)]->pipe.in;
        FileWait f[2] = {waitFor(a), waitFor(b)};
        const rt::int64 until = i % 3 == 0 ? rt::nanotime() + i % 7 * 20000 : rt::kTimeNever;
        const rt::int32 n = rt::waitFiles(f, 1 + i % 2, until);
        EXPECT_TRUE(n > 0 || (n == 0 && until != rt::kTimeNever)) << n;
        char c;
        for (const FileWait& one : f) {
          EXPECT_FALSE(one.queued);
          if (one.revents != 0) (void)!::read(one.fd, &c, 1);
        }
        ++rounds[static_cast<std::size_t>(w)];
      }
    });
  }
  const auto putAll = [&] {
    for (const auto& s : slots) s->put();
    gort::yield();
  };
  for (int turn = 0, done = 0; done < kWaiters;) {
    for (int i = 0; i < 20; ++i) {
      slots[static_cast<std::size_t>(turn++ % kSlots)]->turn();
      putAll();
    }
    done = 0;
    // Closing wakes everybody, and would hide who was forgotten: now events alone must bring each one on.
    for (auto& r : rounds) {
      for (const int before = r; r == before && before < kRounds;) putAll();
      done += r == kRounds ? 1 : 0;
    }
  }
  wg.wait();
}

}  // namespace

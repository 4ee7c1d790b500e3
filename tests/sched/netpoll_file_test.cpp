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

}  // namespace

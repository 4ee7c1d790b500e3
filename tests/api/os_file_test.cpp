// SPDX-License-Identifier: Apache-2.0
// os: files and pipes; rules of include/gort/os.hpp as sentences. Ideas carried over, in our own words, from Go's
// os/{os,pipe,timeout,fifo}_test.go.
#include <gort/os.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <random>
#include <thread>

#include "api/os_uring.hpp"
#include "lang/chan_util.hpp"
#include "sched/runtime1.hpp"

namespace {

namespace io = gort::io;
namespace os = gort::os;
using gort::errc;
using namespace std::chrono_literals;

// Dir is a directory that goes away with what is in it.
class Dir {
 public:
  Dir() { EXPECT_NE(::mkdtemp(path_.data()), nullptr); }
  ~Dir() {
    for (const std::string& f : made_) ::unlink(f.c_str());
    ::rmdir(path_.c_str());
  }
  Dir(const Dir&) = delete;
  Dir& operator=(const Dir&) = delete;
  std::string file(const std::string& name) {
    made_.push_back(path_ + '/' + name);
    return made_.back();
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/gort-os-XXXXXX";
  std::vector<std::string> made_;
};

std::string readAll(os::file& f) {
  std::string all;
  std::array<std::byte, 1000> room;
  for (;;) {
    auto n = f.read(room);
    EXPECT_TRUE(n) << n.error().message();
    if (!n || *n == 0) return all;
    all.append(reinterpret_cast<const char*>(room.data()), *n);
  }
}

GO_TEST(OsFile, WhatIsWrittenIsRead) {
  Dir d;
  auto f = os::create(d.file("a"));
  ASSERT_TRUE(f) << f.error().message();
  EXPECT_EQ(*f->write("hello "), 6u);
  EXPECT_EQ(*f->write("world"), 5u);
  EXPECT_EQ(*f->seek(0), 0u);
  EXPECT_EQ(readAll(*f), "hello world");
  EXPECT_EQ(*f->size(), 11u);
  EXPECT_TRUE(f->stat()->is_regular());
  EXPECT_EQ(*f->seek(-5, os::seek_from::end), 6u);
  EXPECT_EQ(readAll(*f), "world");
}

GO_TEST(OsFile, PreadAndPwriteLeaveTheOffsetAlone) {
  Dir d;
  auto f = os::create(d.file("a"));
  (void)f->write("0123456789");
  EXPECT_EQ(*f->pwrite(io::as_bytes("ab"), 3), 2u);
  std::string got(4, ' ');
  EXPECT_EQ(*f->pread(io::as_writable_bytes(got), 2), 4u);
  EXPECT_EQ(got, "2ab5");
  EXPECT_EQ(*f->pread(io::as_writable_bytes(got), 8), 2u);  // only at the end fewer than asked
  EXPECT_EQ(*f->pread(io::as_writable_bytes(got), 10), 0u);
  EXPECT_EQ(*f->seek(0, os::seek_from::current), 10u);
  EXPECT_FALSE(f->pread(io::as_writable_bytes(got), ~std::uint64_t{0}));
}

GO_TEST(OsFile, OpenModesDoWhatTheySay) {
  Dir d;
  const std::string path = d.file("a");
  using enum os::open_mode;
  EXPECT_EQ(os::open(path).error(), std::errc::no_such_file_or_directory);
  {
    auto f = os::open(path, write | os::open_mode::create | exclusive, 0600);
    ASSERT_TRUE(f);
    EXPECT_EQ(f->stat()->mode & 0777u, 0600u);
    (void)f->write("one");
    char b[1];
    auto n = f->read(std::as_writable_bytes(std::span(b)));
    EXPECT_EQ(n.error(), std::errc::bad_file_descriptor);
  }
  EXPECT_EQ(os::open(path, write | os::open_mode::create | exclusive).error(), std::errc::file_exists);
  (void)os::open(path, write | append)->write("two");
  auto f = os::open(path);
  EXPECT_EQ(readAll(*f), "onetwo");
  EXPECT_FALSE(f->write("x"));
  (void)os::open(path, write | truncate);
  EXPECT_EQ(*f->size(), 0u);
}

GO_TEST(OsFile, ErrorsNameOperationAndFile) {
  EXPECT_EQ(os::open("/no/such/file").error().message(), "open /no/such/file: no such file or directory");
  auto d = os::open("/");
  ASSERT_TRUE(d);
  char b[1];
  EXPECT_EQ(d->read(std::as_writable_bytes(std::span(b))).error().message(), "read /: is a directory");
  EXPECT_TRUE(d->stat()->is_directory());
}

GO_TEST(OsFile, TruncateAndSync) {
  Dir d;
  auto f = os::create(d.file("a"));
  (void)f->write("0123456789");
  EXPECT_FALSE(f->sync());
  EXPECT_FALSE(f->truncate(4));
  EXPECT_EQ(*f->size(), 4u);
  EXPECT_FALSE(f->truncate(1 << 20));
  EXPECT_EQ(*f->size(), 1u << 20);
}

GO_TEST(OsFile, AClosedFileSaysSo) {
  Dir d;
  auto f = os::create(d.file("a"));
  EXPECT_GE(f->native_handle(), 0);
  EXPECT_FALSE(f->close());
  EXPECT_EQ(f->close(), errc::closed);
  EXPECT_EQ(f->native_handle(), -1);
  EXPECT_EQ(f->write("x").error(), errc::closed);
  EXPECT_EQ(f->sync(), errc::closed);
  EXPECT_EQ(f->seek(0).error(), errc::closed);
}

GO_TEST(OsFile, EveryDescriptorIsClosedOnExec) {
  Dir d;
  auto f = os::create(d.file("a"));
  auto p = os::pipe();
  for (const int fd : {f->native_handle(), p->reader.native_handle(), p->writer.native_handle()}) {
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
}

// Seeded: many goroutines on one file, each in its own part; at the end all parts are as the last writer left them.
GO_TEST(OsFile, ManyGoroutinesMayUsePreadAndPwriteAtOnce) {
  Dir d;
  auto f = os::create(d.file("a"));
  constexpr int kParts = 100, kRounds = 20;
  const std::size_t kPart = 3000;
  const std::uint64_t seed = chantest::seed();
  gort::wait_group wg;
  for (int i = 0; i < kParts; ++i) {
    wg.go([&f, i, seed, kPart] {
      std::mt19937_64 r(seed + static_cast<std::uint64_t>(i));
      for (int k = 0; k < kRounds; ++k) {
        const std::string text(kPart, static_cast<char>('a' + r() % 26));
        std::string back(kPart, ' ');
        EXPECT_EQ(*f->pwrite(io::as_bytes(text), static_cast<std::size_t>(i) * kPart), kPart);
        EXPECT_EQ(*f->pread(io::as_writable_bytes(back), static_cast<std::size_t>(i) * kPart), kPart);
        EXPECT_EQ(back, text);
      }
    });
  }
  wg.wait();
  EXPECT_EQ(*f->size(), kParts * kPart);
}

GO_TEST(OsFile, ClosingUnderUseEndsTheUseOrLetsItFinish) {
  Dir d;
  const std::string path = d.file("a");
  for (int round = 0; round < 50; ++round) {
    auto f = os::create(path);
    gort::wait_group wg;
    for (int i = 0; i < 4; ++i) {
      wg.go([&] {
        for (;;) {
          auto n = f->write("some text");
          if (n) continue;
          EXPECT_EQ(n.error(), errc::closed);
          return;
        }
      });
    }
    gort::yield();
    EXPECT_FALSE(f->close());
    wg.wait();
  }
}

TEST(OsFile, WorksOnAForeignThread) {
  Dir d;
  auto f = os::create(d.file("a"));
  ASSERT_TRUE(f);
  EXPECT_EQ(*f->write("abc"), 3u);
  (void)f->seek(0);
  EXPECT_EQ(readAll(*f), "abc");
}

GO_TEST(OsFile, RegularFilesHaveNoDeadlines) {
  Dir d;
  auto f = os::create(d.file("a"));
  EXPECT_TRUE(f->set_deadline(gort::clock::now() + 1s));
}

GO_TEST(OsFile, DevNullTakesEverythingAndGivesNothing) {
  auto f = os::open("/dev/null", os::open_mode::read_write);
  ASSERT_TRUE(f) << f.error().message();
  EXPECT_EQ(*f->write("abc"), 3u);
  EXPECT_EQ(readAll(*f), "");
}

// The three ways give the same bytes, offsets and errors: never the ring, the ring for what must wait, always the ring.
GO_TEST(OsFile, TheRingAndTheThreadsGiveTheSameResults) {
  Dir d;
  const std::string path = d.file("a");
  const std::uint64_t seed = chantest::seed();
  const int usual = gort::rt::debug.iouring;
  for (const int mode : {0, 1, 2}) {
    gort::rt::debug.iouring = mode;
    const std::uint64_t before = os::detail::ring_operations();
    auto f = os::create(path);
    ASSERT_TRUE(f);
    EXPECT_EQ(*f->write("head "), 5u);
    EXPECT_EQ(*f->write("tail"), 4u);
    EXPECT_EQ(*f->seek(0, os::seek_from::current), 9u);
    EXPECT_EQ(*f->pwrite(io::as_bytes("H"), 0), 1u);
    EXPECT_FALSE(f->sync());
    (void)f->seek(0);
    EXPECT_EQ(readAll(*f), "Head tail");
    gort::wait_group wg;
    for (int i = 0; i < 200; ++i) {  // more than there are places
      wg.go([&f, i, seed] {
        std::mt19937_64 r(seed + static_cast<std::uint64_t>(i));
        const std::string text(1 + r() % 5000, static_cast<char>('a' + i % 26));
        std::string back(text.size(), ' ');
        const std::uint64_t at = 100 + static_cast<std::uint64_t>(i) * 5000;
        EXPECT_EQ(*f->pwrite(io::as_bytes(text), at), text.size());
        EXPECT_EQ(*f->pread(io::as_writable_bytes(back), at), text.size());
        EXPECT_EQ(back, text);
      });
    }
    wg.wait();
    (void)::posix_fadvise(f->native_handle(), 0, 0, POSIX_FADV_DONTNEED);
    std::string back(4, ' ');
    EXPECT_EQ(*f->pread(io::as_writable_bytes(back), 0), 4u);
    EXPECT_EQ(back, "Head");
    std::byte b[1];
    auto writeOnly = os::open(path, os::open_mode::write);
    EXPECT_EQ(writeOnly->read(b).error(), std::errc::bad_file_descriptor);
    EXPECT_EQ(os::open("/")->read(b).error(), std::errc::is_a_directory);
    if (mode == 0) {
      EXPECT_EQ(os::detail::ring_operations(), before);
    }
    if (mode == 2 && os::detail::ring_operations() == before) std::puts("this kernel offers no io_uring");
  }
  gort::rt::debug.iouring = usual;
}

TEST(OsFile, AForeignThreadWaitsByItselfNotForTheRing) {
  Dir d;
  const int usual = gort::rt::debug.iouring;
  gort::rt::debug.iouring = 2;
  const std::uint64_t before = os::detail::ring_operations();
  auto f = os::create(d.file("a"));
  EXPECT_EQ(*f->write("abc"), 3u);
  (void)f->seek(0);
  EXPECT_EQ(readAll(*f), "abc");
  EXPECT_EQ(os::detail::ring_operations(), before);
  gort::rt::debug.iouring = usual;
}

// ---- pipes

GO_TEST(OsPipe, AReaderParksUntilSomethingIsWritten) {
  auto p = os::pipe();
  ASSERT_TRUE(p);
  auto t = gort::spawn([&] { return readAll(p->reader); });
  chantest::settle();
  (void)p->writer.write("one ");
  chantest::settle();
  (void)p->writer.write("two");
  (void)p->writer.close();
  EXPECT_EQ(t.join(), "one two");
}

GO_TEST(OsPipe, AWriterParksUntilThereIsRoom) {
  auto p = os::pipe();
  const std::string big(1 << 20, 'x');
  auto t = gort::spawn([&] {
    auto n = p->writer.write(big);
    (void)p->writer.close();
    return n.value_or(0);
  });
  EXPECT_EQ(readAll(p->reader).size(), big.size());
  EXPECT_EQ(t.join(), big.size());
}

GO_TEST(OsPipe, ADeadlineEndsTheWait) {
  auto p = os::pipe();
  EXPECT_FALSE(p->reader.set_read_deadline(gort::clock::now() + 5ms));
  char b[1];
  auto n = p->reader.read(std::as_writable_bytes(std::span(b)));
  ASSERT_FALSE(n);
  EXPECT_TRUE(n.error().timeout()) << n.error().message();
  EXPECT_FALSE(p->reader.set_read_deadline(gort::clock::time_point::max()));
  (void)p->writer.write("x");
  EXPECT_EQ(*p->reader.read(std::as_writable_bytes(std::span(b))), 1u);
}

GO_TEST(OsPipe, CloseWakesTheReader) {
  auto p = os::pipe();
  auto t = gort::spawn([&] {
    char b[1];
    return p->reader.read(std::as_writable_bytes(std::span(b))).error();
  });
  chantest::settle();
  EXPECT_FALSE(p->reader.close());
  EXPECT_EQ(t.join(), errc::closed);
}

// SIGPIPE has its default where this test runs alone: the process would die of it.
GO_TEST(OsPipe, WritingWithoutAReaderIsAnError) {
  struct sigaction now {};
  ::sigaction(SIGPIPE, nullptr, &now);
  if (now.sa_handler != SIG_DFL) return;  // the run() of another test has taken it
  auto p = os::pipe();
  (void)p->reader.close();
  EXPECT_EQ(p->writer.write("x").error(), std::errc::broken_pipe);
  sigset_t pending;
  ::sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

GO_TEST(OsPipe, AFifoParksItsReader) {
  Dir d;
  const std::string path = d.file("fifo");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  auto reader = gort::spawn([&] {
    auto f = os::open(path);  // waits for a writer, on a thread of its own
    return readAll(*f);
  });
  auto f = os::open(path, os::open_mode::write);
  chantest::settle();
  (void)f->write("through");
  EXPECT_FALSE(f->set_deadline(gort::clock::now() + 10s));
  (void)f->close();
  EXPECT_EQ(reader.join(), "through");
}

GO_TEST(OsPipe, AdoptTakesAnyDescriptor) {
  int fds[2];
  ASSERT_EQ(::pipe(fds), 0);
  auto r = os::adopt(fds[0], "mine"), w = os::adopt(fds[1], "mine");
  ASSERT_TRUE(r);
  ASSERT_TRUE(w);
  (void)w->write("x");
  (void)w->close();
  EXPECT_EQ(readAll(*r), "x");
  EXPECT_EQ(os::adopt(9999, "none").error(), std::errc::bad_file_descriptor);
}

}  // namespace

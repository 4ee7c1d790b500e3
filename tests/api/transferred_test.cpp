// SPDX-License-Identifier: Apache-2.0
// io_error: a write or a copy that failed says how far it came, and that is what the other side has, or can still read.
#include <gort/gort.hpp>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "api/net_util.hpp"
#include "lang/chan_util.hpp"

namespace {

namespace io = gort::io;
namespace net = gort::net;
namespace os = gort::os;
using gort::errc;
using namespace std::chrono_literals;

constexpr std::size_t kMuch = std::size_t{32} << 20;  // more than any socket here holds

using nettest::connected;
using nettest::Pair;

Pair unixPair() { return connected("unix", "@gort-transferred-" + std::to_string(::getpid())); }

// came is what the error of r says; a number that nothing equals if it says nothing.
template <class R>
std::uint64_t came(const R& r) {
  if (r) ADD_FAILURE() << "no failure";
  const auto* e = r.error().template as<gort::io_error>();
  return e != nullptr ? e->transferred : ~std::uint64_t{0};
}

// restOf reads to the end and counts.
template <class R>
std::uint64_t restOf(R& r) {
  std::vector<std::byte> room(1 << 16);
  std::uint64_t n = 0;
  for (;;) {
    auto got = r.read(room);
    EXPECT_TRUE(got) << got.error().message();
    if (!got || *got == 0) return n;
    n += *got;
  }
}

const std::string& much() {
  static const std::string text(kMuch, 'x');
  return text;
}

// soon is when a write that fills all buffers has come to its end, and waits.
gort::clock::time_point soon() {
  (void)much();  // takes its time
  return gort::clock::now() + 200ms;
}

os::file someFile(std::size_t n) {
  char path[] = "/tmp/gort-transferred-XXXXXX";
  auto f = os::adopt(::mkostemp(path, O_CLOEXEC), path);
  ::unlink(path);
  EXPECT_EQ(::ftruncate(f->native_handle(), static_cast<off_t>(n)), 0);
  return std::move(*f);
}

GO_TEST(Transferred, AfterADeadlineThePeerReadsExactlyThat) {
  for (const bool tcp : {true, false}) {
    Pair p = tcp ? connected() : unixPair();
    p.server.set_write_deadline(soon());
    const auto w = p.server.write(much());
    ASSERT_FALSE(w);
    EXPECT_TRUE(w.error().timeout()) << w.error().message();
    EXPECT_GT(came(w), 0u);
    EXPECT_LT(came(w), kMuch);
    (void)p.server.close();
    EXPECT_EQ(restOf(p.client), came(w));
  }
}

GO_TEST(Transferred, AfterACancelledContextToo) {
  Pair p = connected();
  auto ctx = gort::with_cancel(gort::background());
  const auto b = p.server.bind(ctx);
  auto w = gort::spawn([&] { return p.server.write(much()); });
  gort::sleep(20ms);
  ctx.cancel();
  const auto r = w.join();
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error(), errc::canceled);
  (void)p.server.close();
  EXPECT_EQ(restOf(p.client), came(r));
}

GO_TEST(Transferred, OfManyParts) {
  Pair p = connected();
  const std::string part(kMuch / 200, 'y');
  std::vector<io::const_bytes> parts(200, io::as_bytes(part));  // more than go in one call
  parts[3] = {};
  p.server.set_write_deadline(soon());
  const auto w = p.server.writev(parts);
  ASSERT_FALSE(w);
  EXPECT_TRUE(w.error().timeout());
  (void)p.server.close();
  EXPECT_EQ(restOf(p.client), came(w));
}

GO_TEST(Transferred, WithDescriptors) {
  Pair p = unixPair();
  const int fd = 0;
  p.server.set_write_deadline(soon());
  const auto w = p.server.write_msg(io::as_bytes(much()), {&fd, 1});
  ASSERT_FALSE(w);
  (void)p.server.close();
  EXPECT_EQ(restOf(p.client), came(w));
}

GO_TEST(Transferred, AfterAResetNoLessThanWhatThePeerHasRead) {
  for (const std::size_t wanted : {std::size_t{1}, std::size_t{1000}, std::size_t{1} << 20}) {
    Pair p = connected();
    auto w = gort::spawn([&] { return p.server.write(much()); });
    std::vector<std::byte> room(wanted);
    EXPECT_EQ(io::read_full(p.client, room).value_or(0), wanted);
    const linger now{1, 0};
    EXPECT_EQ(setsockopt(p.client.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    (void)p.client.close();
    const auto r = w.join();
    ASSERT_FALSE(r);
    EXPECT_GE(came(r), wanted);
    EXPECT_LT(came(r), kMuch);
  }
}

GO_TEST(Transferred, NothingThroughAClosedConn) {
  Pair p = connected();
  (void)p.server.close();
  EXPECT_EQ(came(p.server.write("x")), 0u);
  const std::vector<io::const_bytes> parts(2, io::as_bytes("ab"));
  EXPECT_EQ(came(p.server.writev(parts)), 0u);
  os::file f = someFile(10);
  EXPECT_EQ(came(p.server.send_file(f, 0, 10)), 0u);
  EXPECT_EQ(came(io::copy(p.server, f)), 0u);
  (void)f.close();
  EXPECT_EQ(came(f.write("x")), 0u);
  EXPECT_EQ(came(f.pwrite(io::as_bytes("x"), 0)), 0u);
}

GO_TEST(Transferred, OfAFileThatIsSentAndTheOffsetStandsThere) {
  os::file f = someFile(kMuch);
  Pair p = connected();
  p.server.set_write_deadline(soon());
  const auto w = io::copy(p.server, f);
  ASSERT_FALSE(w);
  EXPECT_TRUE(w.error().timeout()) << w.error().message();
  EXPECT_EQ(*f.seek(0, os::seek_from::current), came(w));
  p.server.set_write_deadline(net::no_deadline);
  auto got = gort::spawn([&] { return restOf(p.client); });
  EXPECT_EQ(io::copy(p.server, f).value_or(0), kMuch - came(w)) << "the copy goes on where it stopped";
  (void)p.server.close();
  EXPECT_EQ(got.join(), kMuch);
}

GO_TEST(Transferred, OfAPipe) {
  auto p = os::pipe();
  EXPECT_FALSE(p->writer.set_write_deadline(soon()));
  const auto w = p->writer.write(much());
  ASSERT_FALSE(w);
  EXPECT_TRUE(w.error().timeout());
  (void)p->writer.close();
  EXPECT_EQ(restOf(p->reader), came(w));
}

GO_TEST(Transferred, OfAFileThatMayGrowNoFurther) {
  constexpr rlim_t kLimit = 10000;
  rlimit usual{};
  ::getrlimit(RLIMIT_FSIZE, &usual);
  const auto before = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit low{kLimit, usual.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &low), 0);
  os::file f = someFile(0);
  const auto w = f.write(std::string(3 * kLimit, 'z'));
  EXPECT_EQ(came(w), kLimit);
  EXPECT_EQ(w.error(), std::errc::file_too_large);
  EXPECT_EQ(came(f.pwrite(io::as_bytes(std::string(kLimit, 'z')), kLimit / 2)), kLimit / 2);
  EXPECT_EQ(*f.size(), kLimit);
  ::setrlimit(RLIMIT_FSIZE, &usual);
  std::signal(SIGXFSZ, before);
}

// Bounded takes n bytes and then fails, telling how far it came.
struct Bounded {
  std::size_t room;
  gort::result<std::size_t> write(io::const_bytes b) {
    if (b.size() <= room) {
      room -= b.size();
      return b.size();
    }
    return gort::error("full").with(gort::io_error{std::exchange(room, 0)});
  }
};
// Broken gives n bytes and then fails.
struct Broken {
  std::size_t left;
  gort::result<std::size_t> read(io::bytes b) {
    if (left == 0) return gort::error("broken");
    const std::size_t n = std::min(b.size(), left);
    left -= n;
    return n;
  }
};

TEST(Transferred, OfACopyIsWhatTheWriterTook) {
  Bounded dst{100000};
  Broken endless{~std::size_t{0}};
  const auto full = io::copy(dst, endless);
  EXPECT_EQ(came(full), 100000u);
  EXPECT_EQ(full.error().message(), "full");
  Bounded wide{~std::size_t{0}};
  Broken src{70000};
  const auto broken = io::copy(wide, src);
  EXPECT_EQ(came(broken), 70000u);
  EXPECT_EQ(broken.error().message(), "broken");
}

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// net against peers that misbehave: they reset after any number of bytes, never read, never answer, go away in the middle.
#include <gort/gort.hpp>
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "api/net_util.hpp"

namespace {

namespace io = gort::io;
namespace net = gort::net;
using namespace nettest;
using namespace std::chrono_literals;

// abort_on_close makes the close of c a reset, with whatever is under way lost.
void abort_on_close(net::conn& c) {
  const linger now{1, 0};
  EXPECT_EQ(setsockopt(c.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
}

bool is_reset(const gort::error& e) { return e.code().value() == ECONNRESET || e.code().value() == EPIPE; }

TEST(NetFault, APeerMayResetAfterEveryByte) {
  gort::run([] {
    const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    for (std::size_t sent = 0; sent <= text.size(); ++sent) {
      Pair t = connected();
      abort_on_close(t.server);
      auto peer = gort::spawn([&] {
        if (sent > 0) {
          EXPECT_TRUE(t.server.write(std::string_view(text).substr(0, sent)));
        }
        EXPECT_FALSE(t.server.close());
      });
      std::string got;
      std::byte b[7];
      for (;;) {
        t.client.set_timeout(30s);
        const auto n = t.client.read(b);
        if (!n) {
          EXPECT_TRUE(is_reset(n.error())) << sent << ": " << n.error().message();
          break;
        }
        ASSERT_NE(*n, 0u) << sent << ": a reset is not an end";
        got.append(reinterpret_cast<const char*>(b), *n);
      }
      EXPECT_EQ(got, text.substr(0, got.size())) << "what came is what was sent";
      EXPECT_LE(got.size(), sent);
      peer.join();
      const auto w = t.client.write("more");
      EXPECT_TRUE(!w && is_reset(w.error())) << sent;
    }
  });
}

TEST(NetFault, AResetEndsAWriteThatWaits) {
  gort::run([] {
    Pair t = connected();
    abort_on_close(t.server);
    auto writer = gort::spawn([&] {
      const std::string much(1 << 20, 'x');
      for (;;) {
        const auto n = t.client.write(much);
        if (!n) return n.error();
      }
    });
    gort::sleep(20ms);
    EXPECT_FALSE(t.server.close());
    const gort::error e = writer.join();
    EXPECT_TRUE(is_reset(e)) << e.message();
  });
}

TEST(NetFault, APeerThatNeverReadsEndsAWriteAtItsDeadline) {
  gort::run([] {
    Pair t = connected();
    const std::string much(64 << 20, 'x');
    t.client.set_write_deadline(gort::clock::now() + 50ms);
    const auto n = t.client.write(much);
    EXPECT_TRUE(!n && n.error().timeout());
    t.client.set_write_deadline(gort::clock::now() + 20ms);
    EXPECT_FALSE(t.client.write(much)) << "its buffers are still full";
    EXPECT_FALSE(t.client.close());
  });
}

TEST(NetFault, APeerThatIsSilentEndsAReadAtItsDeadlineAndStaysUsable) {
  gort::run([] {
    Pair t = connected();
    std::byte b[8];
    for (int i = 0; i < 3; ++i) {
      t.client.set_read_deadline(gort::clock::now() + 5ms);
      const auto n = t.client.read(b);
      EXPECT_TRUE(!n && n.error().timeout());
    }
    t.client.set_read_deadline(net::no_deadline);
    EXPECT_TRUE(t.server.write("late"));
    EXPECT_EQ(readFull(t.client, 4), "late");
  });
}

TEST(NetFault, APeerThatHalfClosesCanStillBeWrittenTo) {
  gort::run([] {
    Pair t = connected();
    EXPECT_FALSE(t.server.close_write());
    std::byte b[8];
    EXPECT_EQ(*t.client.read(b), 0u);
    EXPECT_TRUE(t.client.write("still"));
    EXPECT_EQ(readFull(t.server, 5), "still");
  });
}

TEST(NetFault, AClientThatIsGoneBeforeItIsAcceptedDoesNotStopTheListener) {
  gort::run([] {
    auto l = net::listen("tcp", "127.0.0.1:0");
    ASSERT_TRUE(l);
    for (int i = 0; i < 10; ++i) {
      auto gone = net::dial("tcp", l->addr().string());
      ASSERT_TRUE(gone);
      abort_on_close(*gone);
      EXPECT_FALSE(gone->close());
    }
    auto last = net::dial("tcp", l->addr().string());
    ASSERT_TRUE(last);
    EXPECT_TRUE(last->write("hello"));
    for (int i = 0; i <= 10; ++i) {  // the aborted ones are accepted, or have vanished
      auto c = l->accept();
      ASSERT_TRUE(c) << c.error().message();
      std::byte b[8];
      const auto n = c->read(b);
      if (n && *n == 5) return;
      EXPECT_TRUE(!n && is_reset(n.error()));
    }
    ADD_FAILURE() << "the live connection never came";
  });
}

}  // namespace

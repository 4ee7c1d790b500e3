// SPDX-License-Identifier: Apache-2.0
// os: child processes; rules of include/gort/os.hpp as sentences. Ideas carried over, in our own words, from Go's
// os/exec/exec_test.go and syscall/exec_linux_test.go.
#include <gort/os.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "lang/chan_util.hpp"
#include "sched/runtime1.hpp"

namespace {

namespace os = gort::os;
using gort::errc;
using os::command;
using os::stdio;
using namespace std::chrono_literals;

command sh(const char* script) { return command{"/bin/sh", "-c", script}; }

std::string readAll(os::file& f) {
  std::string all;
  std::array<std::byte, 1000> room;
  for (;;) {
    auto n = f.read(room);
    if (!n || *n == 0) return all;
    all.append(reinterpret_cast<const char*>(room.data()), *n);
  }
}

int openFiles() {
  int n = 0;
  DIR* d = ::opendir("/proc/self/fd");
  while (const dirent* e = ::readdir(d)) n += e->d_name[0] != '.';
  ::closedir(d);
  return n;
}

bool noChildren() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

GO_TEST(OsExec, OutputHasWhatTheChildWrites) {
  auto o = sh("echo out; echo err >&2; exit 3").output();
  ASSERT_TRUE(o) << o.error().message();
  EXPECT_EQ(o->out, "out\n");
  EXPECT_EQ(o->err, "err\n");
  EXPECT_EQ(o->status.code(), 3);
  EXPECT_FALSE(o->status.success());
  EXPECT_EQ(o->status.string(), "exit status 3");
  EXPECT_EQ(sh("echo one; echo two >&2; echo three").combined_output()->out, "one\ntwo\nthree\n");
}

GO_TEST(OsExec, ANameIsLookedForInPath) {
  auto o = command{"echo", "-n", "found"}.output();
  ASSERT_TRUE(o) << o.error().message();
  EXPECT_EQ(o->out, "found");
  auto none = command{"no-such-program-anywhere"}.start();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message(), "exec: \"no-such-program-anywhere\": executable file not found in $PATH");
}

GO_TEST(OsExec, AFailedStartNamesWhatFailed) {
  const int before = openFiles();
  EXPECT_EQ(command{"/no/such/program"}.start().error().message(),
            "fork/exec /no/such/program: no such file or directory");
  EXPECT_EQ(command{"/etc/passwd"}.start().error().message(), "fork/exec /etc/passwd: permission denied");
  EXPECT_EQ(sh("true").dir("/no/such/dir").start().error().message(),
            "chdir /no/such/dir: no such file or directory");
  EXPECT_EQ(sh("true").in(stdio::fd(9999)).start().error().message(),
            "fork/exec /bin/sh: bad file descriptor");
  EXPECT_EQ(command(std::vector<std::string>{}).start().error().message(), "exec: no command");
  EXPECT_FALSE(command(std::vector<std::string>{"/bin/sh", std::string("a\0b", 3)}).start());
  EXPECT_EQ(openFiles(), before);
  EXPECT_TRUE(noChildren());
}

GO_TEST(OsExec, EnvironmentAndDirectory) {
  EXPECT_EQ(sh("echo $A$B; pwd").env({"A=1", "B=2", "A=3"}).dir("/").output()->out, "32\n/\n");
  ::setenv("GORT_TEST_OURS", "inherited", 1);
  EXPECT_EQ(sh("echo $GORT_TEST_OURS $NEW").add_env("NEW=x").output()->out, "inherited x\n");
  EXPECT_EQ(sh("echo $GORT_TEST_OURS").add_env("GORT_TEST_OURS=over").output()->out, "over\n");
}

GO_TEST(OsExec, AConversationThroughPipes) {
  auto p = command{"/bin/cat"}.in(stdio::pipe()).out(stdio::pipe()).start();
  ASSERT_TRUE(p) << p.error().message();
  (void)p->in().write("hello");
  std::array<std::byte, 5> b;
  EXPECT_EQ(*gort::io::read_full(p->out(), b), 5u);
  (void)p->in().close();
  EXPECT_EQ(readAll(p->out()), "");
  EXPECT_TRUE(p->wait()->success());
  EXPECT_NE(chantest::panicOf([&] { (void)p->err(); }), "");
}

GO_TEST(OsExec, WithoutPipesAChildHasTheNullDevice) {
  auto p = sh("read x; test -z \"$x\" && echo into nothing").start();
  EXPECT_TRUE(p->wait()->success());
}

GO_TEST(OsExec, FilesCanBeGiven) {
  auto pipe = os::pipe();
  auto p = sh("echo one; echo two >&2").out(stdio::to(pipe->writer)).err(stdio::same()).start();
  ASSERT_TRUE(p);
  (void)pipe->writer.close();
  EXPECT_EQ(readAll(pipe->reader), "one\ntwo\n");
  EXPECT_TRUE(p->wait()->success());
}

// Descriptors 0, 1, 2 given in another order must not overwrite each other.
GO_TEST(OsExec, StandardDescriptorsMayBeSwapped) {
  auto a = os::pipe(), b = os::pipe();
  const int save1 = ::fcntl(1, F_DUPFD_CLOEXEC, 10), save2 = ::fcntl(2, F_DUPFD_CLOEXEC, 10);
  ::dup2(a->writer.native_handle(), 1);
  ::dup2(b->writer.native_handle(), 2);
  auto p = sh("echo to1; echo to2 >&2").out(stdio::fd(2)).err(stdio::fd(1)).start();
  ::dup2(save1, 1);
  ::dup2(save2, 2);
  ::close(save1);
  ::close(save2);
  ASSERT_TRUE(p);
  (void)a->writer.close();
  (void)b->writer.close();
  EXPECT_EQ(readAll(a->reader), "to2\n");
  EXPECT_EQ(readAll(b->reader), "to1\n");
  EXPECT_TRUE(p->wait()->success());
}

GO_TEST(OsExec, WaitParksAndOthersGoOn) {
  auto p = sh("sleep 0.1").start();
  std::atomic<bool> done{false};
  gort::go([&] {
    gort::sleep(1ms);
    done = true;
  });
  EXPECT_TRUE(p->wait()->success());
  EXPECT_TRUE(done);
  EXPECT_TRUE(p->wait()->success());  // the same answer again
  EXPECT_EQ(p->kill().message(), "process already finished");
}

GO_TEST(OsExec, ASignalShowsInTheStatus) {
  auto p = command{"sleep", "100"}.start();
  EXPECT_FALSE(p->signal(SIGTERM));
  auto s = p->wait();
  EXPECT_EQ(s->signal(), SIGTERM);
  EXPECT_EQ(s->code(), -1);
  EXPECT_EQ(s->string(), "signal: terminated");
  EXPECT_EQ(os::exit_status(-1, SIGSEGV, true).string(), "signal: segmentation fault (core dumped)");
  EXPECT_EQ(os::exit_status(-1, 40).string(), "signal: signal 40");
  EXPECT_EQ(os::exit_status(7).string(), "exit status 7");
}

GO_TEST(OsExec, TheEndOfAContextKills) {
  auto p = command{"sleep", "100"}.start();
  auto ctx = gort::with_timeout(gort::background(), 20ms);
  auto s = p->wait(ctx);
  ASSERT_FALSE(s);
  EXPECT_EQ(s.error(), errc::deadline_exceeded);
  EXPECT_EQ(p->wait()->signal(), SIGKILL);
  EXPECT_EQ(command({"sleep", "100"}).run(ctx), errc::deadline_exceeded);
  // The grandchild keeps the pipe open: output does not wait for it.
  auto late = gort::with_timeout(gort::background(), 50ms);
  EXPECT_EQ(sh("sleep 100 & wait").output(late).error(), errc::deadline_exceeded);
}

GO_TEST(OsExec, AContextThatEndsLaterDoesNoHarm) {
  auto ctx = gort::with_cancel(gort::background());
  auto p = sh("exit 7").start();
  EXPECT_EQ(p->wait(ctx)->code(), 7);
  EXPECT_EQ(sh("exit 7").run(ctx).message(), "exit status 7");
  EXPECT_FALSE(sh("exit 0").run());
}

GO_TEST(OsExec, AProcessThatGoesOutOfScopeIsKilledAndCollected) {
  int pid;
  {
    auto p = command{"sleep", "100"}.start();
    pid = p->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_EQ(::kill(pid, 0), -1);
  EXPECT_TRUE(noChildren());
}

GO_TEST(OsExec, ADetachedOneIsCollectedWhenItEnds) {
  std::move(*sh("exit 1").start()).detach();
  for (int i = 0; i < 2000 && !noChildren(); ++i) gort::sleep(5ms);
  // waitpid above may have taken it itself: either way nothing is left.
  EXPECT_TRUE(noChildren());
}

GO_TEST(OsExec, AHundredAtOnceAndNothingIsLeft) {
  (void)sh("true").run();
  chantest::settle();
  const int before = openFiles();
  {
    gort::wait_group wg;
    std::atomic<int> good{0};
    for (int i = 0; i < 100; ++i) {
      wg.go([&, i] {
        auto o = sh(("echo " + std::to_string(i)).c_str()).output();
        if (o && o->out == std::to_string(i) + "\n" && o->status.success()) ++good;
      });
    }
    wg.wait();
    EXPECT_EQ(good, 100);
  }
  EXPECT_EQ(openFiles(), before);
  EXPECT_TRUE(noChildren());
}

// With a list of its own descriptors a child shows what leaked into it: none but the three and the list itself.
GO_TEST(OsExec, NoDescriptorOfOursReachesTheChild) {
  auto f = os::open("/dev/null");
  auto p = os::pipe();
  const std::string before = sh("ls /proc/self/fd | wc -l").output()->out;
  std::vector<os::pipe_ends> more;
  for (int i = 0; i < 20; ++i) more.push_back(std::move(*os::pipe()));
  EXPECT_EQ(sh("ls /proc/self/fd | wc -l").output()->out, before);
}

GO_TEST(OsExec, HandlersOfOursDoNotRunInTheChild) {
  static std::atomic<int> calls{0};
  static int us;
  us = ::getpid();
  static std::atomic<int> elsewhere{0};
  struct sigaction sa {
  }, old{};
  sa.sa_handler = [](int) {
    ++calls;
    if (::getpid() != us) ++elsewhere;
  };
  sa.sa_flags = SA_RESTART;
  ::sigaction(SIGUSR1, &sa, &old);
  std::atomic<bool> stop{false};
  std::thread storm([&] {
    while (!stop) {
      ::kill(us, SIGUSR1);
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < 100; ++i) {
    auto o = command{"/bin/echo", "x"}.output();
    ASSERT_TRUE(o) << o.error().message();
    ASSERT_EQ(o->out, "x\n");
  }
  stop = true;
  gort::blocking([&] { storm.join(); });
  ::signal(SIGUSR1, SIG_IGN);  // discards the one that is still pending
  ::sigaction(SIGUSR1, &old, nullptr);
  if (calls == 0) std::puts("no signal came while children were started");
  EXPECT_EQ(elsewhere, 0);
}

// Whatever our threads have blocked: a child starts with what the process had, and with default dispositions.
GO_TEST(OsExec, AChildStartsWithUnblockedSignals) {
  struct sigaction sa {
  }, old{};
  sa.sa_handler = [](int) {};
  ::sigaction(SIGUSR2, &sa, &old);
  auto o = command{"cat", "/proc/self/status"}.output();
  ::sigaction(SIGUSR2, &old, nullptr);
  EXPECT_NE(o->out.find("SigBlk:\t0000000000000000\n"), std::string::npos) << o->out;
  EXPECT_NE(o->out.find("SigCgt:\t0000000000000000\n"), std::string::npos) << o->out;
}

GO_TEST(OsExec, WithoutDescriptorsLeftItFailsAndLeaksNothing) {
  const int before = openFiles();
  rlimit old{};
  ::getrlimit(RLIMIT_NOFILE, &old);
  for (int room = 0; room < 10; ++room) {
    const rlimit tight{static_cast<rlim_t>(before + room), old.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &tight);
    auto o = sh("exit 0").output();
    ::setrlimit(RLIMIT_NOFILE, &old);
    EXPECT_TRUE(o || o.error() == std::errc::too_many_files_open) << o.error().message();
    EXPECT_EQ(openFiles(), before) << room;
    if (o) break;
    ASSERT_LT(room, 9);
  }
  EXPECT_TRUE(noChildren());
}

GO_TEST(OsExec, WithoutPidfdsItWorksTheSame) {
  gort::rt::debug.pidfd = 0;
  EXPECT_EQ(sh("exit 5").output()->status.code(), 5);
  auto p = command{"sleep", "100"}.start();
  auto ctx = gort::with_timeout(gort::background(), 20ms);
  EXPECT_EQ(p->wait(ctx).error(), errc::deadline_exceeded);
  gort::wait_group wg;
  std::atomic<int> good{0};
  for (int i = 0; i < 20; ++i) wg.go([&] { good += sh("exit 0").run() ? 0 : 1; });
  wg.wait();
  EXPECT_EQ(good, 20);
  gort::rt::debug.pidfd = 1;
  EXPECT_TRUE(noChildren());
}

TEST(OsExec, WorksOnAForeignThread) { EXPECT_EQ(sh("echo hi").output()->out, "hi\n"); }

}  // namespace

// SPDX-License-Identifier: Apache-2.0
// Child processes; contracts in include/gort/os.hpp, the way from clone to exec in os/spawn.cpp.           (Go: os/exec)
//
// Note [Waiting for a child]
//   Each child comes with a pidfd, which becomes readable when it ends: who waits parks in the netpoller. Without one (an
//   old kernel, a filter) a thread waits in waitid. Both look first (WNOWAIT) and then collect the status under wmu, which
//   signal() holds too: a signal never goes to a number that has been given to somebody else.
// Ownership:  child::status is by wmu; the record lives as long as the process object or its collector, or a context's
//             callback that is to kill.
#include <gort/chan.hpp>
#include <gort/go.hpp>
#include <gort/os.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <cstring>
#include <memory>

#include "api/os_file.hpp"
#include "os/os_linux.hpp"
#include "os/spawn.hpp"
#include "sched/runtime1.hpp"
#include "sched/signal_unix.hpp"

extern char** environ;

namespace gort {
inline namespace GORT_ABI {
namespace os {

using gort::detail::sys_error;
using rt::os::sys;

namespace detail {

struct child final : gort::detail::poll_fd {
  child(int number, int pidfd, std::string n) : poll_fd(pidfd), pid(number), name(std::move(n)) {}
  ~child() override = default;

  result<exit_status> wait();
  error signal(int sig);

  const int pid;
  const std::string name;             // the program
  std::optional<exit_status> status;  // by wmu
};

}  // namespace detail

namespace {

using detail::child;

constexpr int kSysPidfdSendSignal = 424, kPidfd = 3;  // waitid's P_PIDFD
constexpr unsigned kMfdCloexec = 1;
constexpr std::size_t kPiece = std::size_t{1} << 20;  // preemption may wait for one

// own_fd closes a descriptor that has no file yet.
class own_fd {
 public:
  own_fd() = default;
  explicit own_fd(int n) : n_(n) {}
  own_fd(own_fd&& o) noexcept : n_(std::exchange(o.n_, -1)) {}
  own_fd& operator=(own_fd&& o) noexcept {
    std::swap(n_, o.n_);
    return *this;
  }
  ~own_fd() {
    if (n_ >= 0) sys(SYS_close, n_);
  }
  [[nodiscard]] int get() const { return n_; }
  int release() { return std::exchange(n_, -1); }

 private:
  int n_ = -1;
};

std::vector<char*> pointers(std::vector<std::string>& v) {
  std::vector<char*> p;
  p.reserve(v.size() + 1);
  for (std::string& s : v) p.push_back(s.data());
  p.push_back(nullptr);
  return p;
}

bool any_has_nul(const std::vector<std::string>& v) {
  for (const std::string& s : v) {
    if (os::has_nul(s)) return true;
  }
  return false;
}

std::string_view name_in(std::string_view name_value) { return name_value.substr(0, name_value.find('=')); }

// our_env is the process's environment as it is now.
std::vector<std::string> our_env() {
  std::vector<std::string> all;
  for (char** e = environ; e != nullptr && *e != nullptr; ++e) all.emplace_back(*e);
  return all;
}

// without_repeats keeps the last one of each name.
std::vector<std::string> without_repeats(std::vector<std::string> all) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size(); ++j) {
      if (name_in(all[i]) != name_in(all[j])) continue;
      all.erase(all.begin() + static_cast<std::ptrdiff_t>(i--));
      break;
    }
  }
  return all;
}

bool runnable(const std::string& path) {
  struct stat st {};
  return sys(SYS_stat, path.c_str(), &st) == 0 && S_ISREG(st.st_mode) &&
         sys(SYS_faccessat, AT_FDCWD, path.c_str(), X_OK) == 0;
}

error exec_error(const std::string& name, const error& cause) { return cause.wrap("exec: \"" + name + '"'); }

// look_path finds a name without a slash in PATH. Only directories with a full path count, as what is found must not
// depend on where we stand.
result<std::string> look_path(const std::string& name) {
  if (name.find('/') != name.npos) return name;
  const char* path = rt::os::getenv("PATH");
  std::string_view rest = path == nullptr ? std::string_view() : path;
  while (!rest.empty()) {
    const std::size_t colon = rest.find(':');
    const std::string_view dir = rest.substr(0, colon);
    rest = colon == rest.npos ? std::string_view() : rest.substr(colon + 1);
    if (dir.empty() || dir[0] != '/') continue;
    std::string full(dir);
    full += '/';
    full += name;
    if (runnable(full)) return full;
  }
  return exec_error(name, {std::make_error_code(std::errc::no_such_file_or_directory),
                           "executable file not found in $PATH"});
}

exit_status status_of(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return exit_status(info.si_status);
  return exit_status(-1, info.si_status, info.si_code == CLD_DUMPED);
}

}  // namespace

namespace detail {

result<exit_status> child::wait() {
  const std::lock_guard turn(rmu);
  {
    const std::lock_guard l(wmu);
    if (status) return *status;
  }
  siginfo_t info{};
  long r = 0;
  if (pd != nullptr) {
    rt::PollError stop = rt::PollError::none;
    r = until_ready(
        rt::PollMode::read,
        [&]() -> long {
          info.si_pid = 0;
          const long got = sys(SYS_waitid, kPidfd, fd, &info, WEXITED | WNOHANG | WNOWAIT, nullptr);
          return got == 0 && info.si_pid == 0 ? -EAGAIN : got;
        },
        stop);
  } else {
    r = outside([&] { return sys(SYS_waitid, P_PID, pid, &info, WEXITED | WNOWAIT, nullptr); });
  }
  const std::lock_guard l(wmu);
  if (r == 0) r = sys(SYS_waitid, P_PID, pid, &info, WEXITED, nullptr);
  if (r < 0) return path_error("wait", name, sys_error(r));
  status = status_of(info);
  return *status;
}

error child::signal(int sig) {
  const std::lock_guard l(wmu);
  if (status) {
    return {std::make_error_code(std::errc::no_such_process), "process already finished"};
  }
  const long r = fd >= 0 ? sys(kSysPidfdSendSignal, fd, sig, nullptr, 0) : sys(SYS_kill, pid, sig);
  return r < 0 ? sys_error(r).wrap("signal") : error();
}

}  // namespace detail

std::string exit_status::string() const {
  if (signal_ == 0) return "exit status " + std::to_string(code_);
  const char* words = ::sigdescr_np(signal_);
  std::string text = words != nullptr ? words : "signal " + std::to_string(signal_);
  text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  return "signal: " + text + (core_ ? " (core dumped)" : "");
}

// ---- process

process::~process() {
  if (p_ == nullptr) return;
  (void)p_->signal(SIGKILL);  // does nothing if it has been waited for
  (void)p_->wait();
  (void)p_->shut();
  p_->release();
}

result<exit_status> process::wait() { return wait(background()); }

result<exit_status> process::wait(const context& ctx) {
  child* c = p_;
  if (c == nullptr) return error(errc::closed).wrap("wait");
  struct keep {
    child* c;
    explicit keep(child* x) : c(x) { c->retain(); }
    keep(keep&& o) noexcept : c(std::exchange(o.c, nullptr)) {}
    ~keep() {
      if (c != nullptr) c->release();
    }
  };
  const after_guard guard = after_func(ctx, [k = keep(c)] { (void)k.c->signal(SIGKILL); });
  if (ctx.err()) (void)c->signal(SIGKILL);  // over before we came: not only when the callback gets its turn
  auto r = c->wait();
  if (r && r->signal() == SIGKILL && ctx.err()) return path_error("wait", c->name, ctx.err());
  return r;
}

error process::signal(int sig) {
  return p_ != nullptr ? p_->signal(sig) : error(errc::closed).wrap("signal");
}
int process::pid() const noexcept { return p_ != nullptr ? p_->pid : 0; }

void process::detach() && noexcept {
  child* c = std::exchange(p_, nullptr);
  if (c == nullptr) return;
  go({.name = "child's collector"}, [c] {
    (void)c->wait();
    (void)c->shut();
    c->release();
  });
}

file& process::need(std::optional<file>& f) {
  if (!f) panic("gort: os::process: the command asked for no pipe there");
  return *f;
}

// ---- command

command& command::env(std::vector<std::string> all) {
  env_ = std::move(all);
  own_env_ = true;
  return *this;
}
command& command::add_env(std::string name_value) {
  if (!own_env_) env(our_env());
  env_.push_back(std::move(name_value));
  return *this;
}
command& command::dir(std::string path) {
  dir_ = std::move(path);
  return *this;
}
command& command::in(stdio s) {
  io_[0] = s;
  text_.reset();
  return *this;
}
command& command::in_text(std::string text) {
  text_ = std::move(text);
  return *this;
}
command& command::out(stdio s) {
  io_[1] = s;
  return *this;
}
command& command::err(stdio s) {
  io_[2] = s;
  return *this;
}

result<process> command::start() { return start(io_); }

namespace detail {

// starting gathers what spawn needs: the descriptors of both sides, strings as the kernel wants them.
struct starting {
  rt::os::SpawnArgs a{};
  std::array<own_fd, 3> theirs, ours;
  std::vector<std::string> args, env;
  std::string path;

  error failed(long r) const { return path_error("fork/exec", path, sys_error(r)); }
  error give(int i, const stdio& s);
  error give_text(std::string_view text);
  result<child*> launch(const std::string& dir);
};

// give fills in what the child has as descriptor i.
error starting::give(int i, const stdio& s) {
  switch (s.kind_) {
    case stdio::kind::null: {
      const long n = sys(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
      if (n < 0) return path_error("open", "/dev/null", sys_error(n));
      theirs[i] = own_fd(static_cast<int>(n));
      a.fds[i] = theirs[i].get();
      return {};
    }
    case stdio::kind::inherit:
      a.fds[i] = i;
      return {};
    case stdio::kind::pipe: {
      int ends[2] = {-1, -1};
      if (const long r = sys(SYS_pipe2, ends, O_CLOEXEC); r < 0) return failed(r);
      theirs[i] = own_fd(ends[i == 0 ? 0 : 1]);
      ours[i] = own_fd(ends[i == 0 ? 1 : 0]);
      a.fds[i] = theirs[i].get();
      return {};
    }
    case stdio::kind::same:
      a.fds[i] = a.fds[1];
      return i == 2 ? error() : failed(-EINVAL);
    case stdio::kind::fd:
      a.fds[i] = s.fd_;
      return {};
  }
  return {};
}

// give_text puts text where the child reads it at leisure: nobody has to stand by and feed it.
error starting::give_text(std::string_view text) {
  const long n = sys(SYS_memfd_create, "stdin", kMfdCloexec);
  if (n < 0) return failed(n);
  theirs[0] = own_fd(static_cast<int>(n));
  a.fds[0] = theirs[0].get();
  while (!text.empty()) {
    const long w = sys(SYS_write, a.fds[0], text.data(), std::min(text.size(), kPiece));
    if (w < 0 && w != -EINTR) return failed(w);
    if (w > 0) text.remove_prefix(static_cast<std::size_t>(w));
  }
  const long r = sys(SYS_lseek, a.fds[0], 0, SEEK_SET);
  return r < 0 ? failed(r) : error();
}

result<child*> starting::launch(const std::string& dir) {
  const std::vector<char*> argv = pointers(args), envp = pointers(env);
  const std::unique_ptr<char[]> stack(new char[rt::os::kSpawnStack]);
  a.path = path.c_str();
  a.argv = argv.data();
  a.envp = envp.data();
  a.dir = dir.empty() ? nullptr : dir.c_str();
  a.mask = rt::signalMaskForChildren();
  a.stack = stack.get();
  a.stackBytes = rt::os::kSpawnStack;
  a.wantPidfd = rt::loadRelaxed(&rt::debug.pidfd) != 0;
  const long pid = outside([&] {
    const long r = rt::os::spawn(a);
    return r == -EINTR ? -EAGAIN : r;  // never again by itself
  });
  if (pid < 0 && a.failedStep == rt::os::SpawnStep::chdir) return path_error("chdir", dir, sys_error(pid));
  if (pid < 0) return failed(pid);
  auto* c = new child(static_cast<int>(pid), a.pidfd, path);
  if (a.pidfd >= 0) {
    const rt::Entry e;
    if (rt::pollOpen(a.pidfd, &c->pd) < 0) c->pd = nullptr;
  }
  return c;
}

}  // namespace detail

result<process> command::start(const stdio (&io)[3]) {
  if (argv_.empty()) return error("exec: no command");
  detail::starting s;
  s.args = argv_;
  s.env = own_env_ ? without_repeats(env_) : our_env();
  s.path = argv_[0];
  if (any_has_nul(s.args) || any_has_nul(s.env) || has_nul(dir_)) return s.failed(-EINVAL);
  auto path = look_path(argv_[0]);
  if (!path) return path.error();
  s.path = *path;
  for (int i = 0; i < 3; ++i) {
    if (error e = i == 0 && text_ ? s.give_text(*text_) : s.give(i, io[i])) return e;
  }
  constexpr const char* kNames[] = {"|stdin", "|stdout", "|stderr"};
  std::optional<file> files[3];
  for (int i = 0; i < 3; ++i) {
    if (s.ours[i].get() < 0) continue;
    auto f = adopt(s.ours[i].release(), kNames[i]);
    if (!f) return f.error();
    files[i].emplace(std::move(*f));
  }
  auto c = s.launch(dir_);
  if (!c) return c.error();
  process p(*c);
  p.in_ = std::move(files[0]);
  p.out_ = std::move(files[1]);
  p.err_ = std::move(files[2]);
  return p;
}

error command::run() { return run(background()); }

// ready_for is the error of a call that starts a child and waits for it: it must end by itself.
error command::ready_for(const context& ctx, bool collects) const {
  if (error e = ctx.err()) return argv_.empty() ? e : exec_error(argv_[0], e);
  bool pipe = io_[0].is_pipe() && !text_;
  if (!collects) pipe = pipe || io_[1].is_pipe() || io_[2].is_pipe();
  if (!pipe || argv_.empty()) return {};
  return exec_error(argv_[0], error("nobody would hold the other end of the pipe; use start()"));
}

error command::run(const context& ctx) {
  if (error e = ready_for(ctx, false)) return e;
  auto p = start();
  if (!p) return p.error();
  auto status = p->wait(ctx);
  if (!status) return status.error();
  return status->success() ? error() : error::of(*status);
}

namespace {

error read_all(file& f, std::string& into) {
  std::array<std::byte, 16384> room;
  for (;;) {
    auto n = f.read(room);
    if (!n) return n.error();
    if (*n == 0) return {};
    into.append(reinterpret_cast<const char*>(room.data()), *n);
  }
}

}  // namespace

result<command_output> command::collect(const context& ctx, bool combined) {
  if (error e = ready_for(ctx, true)) return e;
  const stdio io[3] = {io_[0], stdio::pipe(), combined ? stdio::same() : stdio::pipe()};
  auto p = start(io);
  if (!p) return p.error();
  command_output all{exit_status(0), {}, {}};
  wait_group readers;
  readers.go([&] { (void)read_all(p->out(), all.out); });
  if (!combined) readers.go([&] { (void)read_all(p->err(), all.err); });
  auto status = p->wait(ctx);
  if (!status) {  // a grandchild may hold the other ends for ever
    (void)p->out().close();
    if (!combined) (void)p->err().close();
  }
  readers.wait();
  if (!status) return status.error();
  all.status = *status;
  return all;
}

result<command_output> command::output() { return collect(background(), false); }
result<command_output> command::output(const context& ctx) { return collect(ctx, false); }
result<command_output> command::combined_output() { return collect(background(), true); }
result<command_output> command::combined_output(const context& ctx) { return collect(ctx, true); }

}  // namespace os
}  // namespace GORT_ABI
}  // namespace gort

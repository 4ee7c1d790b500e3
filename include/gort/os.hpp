// SPDX-License-Identifier: Apache-2.0
// Files, pipes and child processes that park the goroutine, not its thread.                   (Go: packages os, os/exec)
//
//   auto f = gort::os::open("data.bin");            if (!f) return f.error();     // "open data.bin: no such file ..."
//   auto n = f->pread(buf, offset);
//
//   auto p = gort::os::command{"sort", "-u"}.in(gort::os::stdio::pipe()).start();
//   (void)p->in().write(text);   (void)p->in().close();   auto status = p->wait(ctx);
//
// Rules: one reader and one writer may use a file at once through its offset (others wait for their turn); pread and pwrite
// by any number. close() may come from anywhere: it wakes who waits for a pipe, FIFO or terminal with errc::closed; the
// descriptor is released when all have left. A file or process that was moved from is as a closed one. Every descriptor made
// here is closed on exec. Errors name operation and file.
// Works on goroutines and on any other thread (which then sleeps).
#pragma once
#include <gort/context.hpp>
#include <gort/io.hpp>
#include <gort/time.hpp>

#include <initializer_list>
#include <optional>
#include <vector>

namespace gort {
inline namespace GORT_ABI {
namespace os {

namespace detail {
struct file_fd;  // src/api/os_file.hpp
struct child;    // src/api/os_exec.cpp
struct starting;
struct file_access;
// file_handle owns one file_fd. Moved from, it shows one that is closed.
class GORT_API file_handle {
 public:
  explicit file_handle(file_fd* p) noexcept : p_(p) {}
  file_handle(file_handle&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  file_handle& operator=(file_handle&& o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~file_handle() {
    if (p_ != nullptr) drop(p_);
  }
  [[nodiscard]] file_fd& operator*() const noexcept { return p_ != nullptr ? *p_ : moved_from(); }
  [[nodiscard]] file_fd* operator->() const noexcept { return &**this; }

 private:
  static void drop(file_fd* p) noexcept;
  static file_fd& moved_from() noexcept;
  file_fd* p_;
};
}  // namespace detail

// mode of open: one of read, write, read_write, and any of the others.
enum class open_mode : unsigned {
  read = 0,
  write = 1,
  read_write = 2,
  append = 4,      // writes go to the end
  create = 8,      // make it if it is not there
  exclusive = 16,  // with create: fail if it is there
  truncate = 32,   // drop what is in it
  sync = 64,       // writes return when the device has them
};
[[nodiscard]] constexpr open_mode operator|(open_mode a, open_mode b) noexcept {
  return static_cast<open_mode>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

enum class seek_from { begin, current, end };

struct file_info {
  std::uint64_t size;
  unsigned mode;             // the kernel's: type and permissions
  std::int64_t modified_ns;  // since 1970
  [[nodiscard]] bool is_regular() const noexcept { return (mode & 0170000) == 0100000; }
  [[nodiscard]] bool is_directory() const noexcept { return (mode & 0170000) == 0040000; }
};

// file is an open file: regular, or a pipe, FIFO, terminal or device. Move-only; closes itself. What epoll can wait for is
// waited for in the poller and has deadlines. For the others (regular files) an operation that the page cache cannot serve
// goes through io_uring, or blocks a thread without its P where there is none; at most 64 at once, more park until it is
// their turn.
class [[nodiscard]] GORT_API file {
 public:
  explicit file(detail::file_fd* p) noexcept : p_(p) {}
  file(file&&) noexcept = default;
  file& operator=(file&&) noexcept = default;
  ~file() = default;

  // read gives some bytes; 0 is the end (or b is empty). write writes everything, or returns an error with an io_error: how
  // far it came; pwrite too.
  [[nodiscard]] result<std::size_t> read(io::bytes b);
  result<std::size_t> write(io::const_bytes b);
  result<std::size_t> write(std::string_view s) { return write(io::as_bytes(s)); }
  // pread and pwrite leave the file's offset alone. pread gives fewer bytes than asked only at the end.
  [[nodiscard]] result<std::size_t> pread(io::bytes b, std::uint64_t offset);
  result<std::size_t> pwrite(io::const_bytes b, std::uint64_t offset);
  result<std::uint64_t> seek(std::int64_t offset, seek_from from = seek_from::begin);  // the new offset
  [[nodiscard]] result<file_info> stat() const;
  [[nodiscard]] result<std::uint64_t> size() const;
  error truncate(std::uint64_t size);
  error sync();            // when it returns the device has what was written
  error close() noexcept;  // closing twice: errc::closed

  // Deadlines as net::conn has them, for what can be waited for; an error for others. max() takes it away.
  template <class C, class D>
  error set_deadline(std::chrono::time_point<C, D> t) {
    return set_deadline(3, gort::detail::to_tp(t));
  }
  template <class C, class D>
  error set_read_deadline(std::chrono::time_point<C, D> t) {
    return set_deadline(1, gort::detail::to_tp(t));
  }
  template <class C, class D>
  error set_write_deadline(std::chrono::time_point<C, D> t) {
    return set_deadline(2, gort::detail::to_tp(t));
  }

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] int native_handle() const noexcept;  // belongs to the file; -1 once closed

 private:
  error set_deadline(int mode, gort::clock::time_point t);
  detail::file_handle p_;
  friend struct detail::file_access;
};

// open opens a file; perm counts for a file that it makes. create makes or empties one for reading and writing.
[[nodiscard]] GORT_API result<file> open(std::string_view path, open_mode mode = open_mode::read,
                                         unsigned perm = 0666);
[[nodiscard]] GORT_API result<file> create(std::string_view path);
// adopt takes over a descriptor, also when it fails. One that can be waited for becomes non-blocking, and with it all
// descriptors that share its open file description: not for a terminal that other programs read.
[[nodiscard]] GORT_API result<file> adopt(int fd, std::string_view name);

struct pipe_ends {
  file reader, writer;
};
// pipe: what is written to writer can be read from reader. Writing without a reader is an error, never SIGPIPE.
[[nodiscard]] GORT_API result<pipe_ends> pipe();

// ---- child processes

// exit_status is how a process ended.
class exit_status {
 public:
  constexpr explicit exit_status(int code, int signal = 0, bool core = false) noexcept
      : code_(code), signal_(signal), core_(core) {}
  [[nodiscard]] bool success() const noexcept { return code_ == 0 && signal_ == 0; }
  [[nodiscard]] int code() const noexcept { return code_; }      // -1: ended by a signal
  [[nodiscard]] int signal() const noexcept { return signal_; }  // 0: it exited
  [[nodiscard]] bool core_dumped() const noexcept { return core_; }
  [[nodiscard]] GORT_API std::string string()
      const;  // "exit status 1", "signal: killed", "... (core dumped)"
  friend bool operator==(exit_status, exit_status) = default;

 private:
  int code_, signal_;
  bool core_;
};

// stdio says what a child has as standard input, output or error.
class stdio {
 public:
  static stdio null() noexcept { return stdio(kind::null, -1); }
  static stdio inherit() noexcept { return stdio(kind::inherit, -1); }
  static stdio pipe() noexcept {
    return stdio(kind::pipe, -1);
  }  // the other end: process::in(), out(), err()
  static stdio same() noexcept { return stdio(kind::same, -1); }  // error goes where output goes
  static stdio fd(int n) noexcept { return stdio(kind::fd, n); }  // stays the caller's
  static stdio to(const file& f) noexcept {
    return fd(f.native_handle());
  }  // must be open until start returns

 private:
  enum class kind : unsigned char { null, inherit, pipe, same, fd };
  stdio(kind k, int n) noexcept : kind_(k), fd_(n) {}
  kind kind_;
  int fd_;
  [[nodiscard]] bool is_pipe() const noexcept { return kind_ == kind::pipe; }
  friend struct detail::starting;
  friend class command;
};

// process is a started child. Move-only. Its destructor kills a child that nobody waited for, and waits.
class [[nodiscard]] GORT_API process {
 public:
  process(process&& o) noexcept
      : p_(std::exchange(o.p_, nullptr)),
        in_(std::move(o.in_)),
        out_(std::move(o.out_)),
        err_(std::move(o.err_)) {}
  process& operator=(process&&) = delete;
  ~process();

  // wait parks until the child has ended; again: the same answer. With a context whose end comes first: kills the child,
  // waits for it, and returns the context's error.
  result<exit_status> wait();
  result<exit_status> wait(const context& ctx);
  error signal(int sig);  // "process already finished" once it has been waited for
  error kill() { return signal(9); }
  [[nodiscard]] int pid() const noexcept;  // 0: moved from
  // detach leaves the child alone: a goroutine of its own collects its status.
  void detach() && noexcept;

  // Our ends of pipes; they panic if the command did not ask for one.
  [[nodiscard]] file& in() { return need(in_); }
  [[nodiscard]] file& out() { return need(out_); }
  [[nodiscard]] file& err() { return need(err_); }

 private:
  explicit process(detail::child* p) noexcept : p_(p) {}
  static file& need(std::optional<file>& f);
  detail::child* p_;
  std::optional<file> in_, out_, err_;
  friend class command;
};

struct command_output {
  exit_status status;
  std::string out, err;
};

// command describes a child to start; it can be started any number of times. By default all three descriptors are
// /dev/null, the environment and the directory ours.
class GORT_API command {
 public:
  command(std::initializer_list<std::string_view> argv) : argv_(argv.begin(), argv.end()) {}
  explicit command(std::vector<std::string> argv) : argv_(std::move(argv)) {}

  command& env(std::vector<std::string> all);  // "NAME=value"; instead of ours
  command& add_env(std::string name_value);    // on top of ours, or of env(); the last one of a name counts
  command& dir(std::string path);
  command& in(stdio s);
  command& in_text(std::string text);  // instead of in(): the child reads it as it would read a file
  command& out(stdio s);
  command& err(stdio s);

  // start: a name without a slash is looked for in our PATH. Errors name what failed: "fork/exec /x: no such file or
  // directory", "exec: \"x\": executable file not found in $PATH".
  [[nodiscard]] result<process> start();
  // run starts and waits; an error also if the child did not succeed: "exit status 3", with as<exit_status>(). A context
  // that is already over: its error, and nothing is started. A pipe whose other end only start() could give: an error.
  error run();
  error run(const context& ctx);
  // output collects what the child writes to both, combined_output all of it in `out`. Whether it succeeded: status. Of
  // contexts and of in(stdio::pipe()): as run.
  [[nodiscard]] result<command_output> output();
  [[nodiscard]] result<command_output> output(const context& ctx);
  [[nodiscard]] result<command_output> combined_output();
  [[nodiscard]] result<command_output> combined_output(const context& ctx);

 private:
  result<command_output> collect(const context& ctx, bool combined);
  result<process> start(const stdio (&io)[3]);
  error ready_for(const context& ctx, bool collects) const;

  std::vector<std::string> argv_, env_;
  bool own_env_ = false;
  std::string dir_;
  std::optional<std::string> text_;
  stdio io_[3] = {stdio::null(), stdio::null(), stdio::null()};
};

}  // namespace os
}  // namespace GORT_ABI
}  // namespace gort

// SPDX-License-Identifier: Apache-2.0
// Files and pipes; contracts in include/gort/os.hpp.                       (Go: os/file_unix.go, internal/poll/fd_unix.go)
//
// Note [Two kinds of files]
//   What epoll takes (pipes, FIFOs, terminals, sockets) does not block and parks in the netpoller. epoll refuses regular
//   files: they are "always ready" and block all the same when the device is asked. Their reads try the page cache first
//   (RWF_NOWAIT: a copy, no wait); what is not there, and every sync, goes through io_uring (os_uring.cpp) where the
//   kernel has one, else is done in a system call that has given its P away (entersyscallblock), as every write and open:
//   a write mostly copies to the page cache, which a ring only makes longer. At most kHandOff of them at once: a slow disk
//   must not cost a thousand threads. The semaphore in front is first in, first out, and belongs to a run() (per_run.hpp):
//   its end leaves operations behind whose threads come back to nobody, or never, and whose places nobody gives back. open
//   is outside of the bound: that of a FIFO waits for the other end, which may be waiting for its turn.
#include "api/os_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <new>

#include "api/os_uring.hpp"
#include "api/per_run.hpp"
#include "os/os_linux.hpp"
#include "sched/sigqueue.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace os {

using detail::file_fd;
using gort::detail::came_to;
using gort::detail::inside;
using gort::detail::poll_error;
using gort::detail::sys_error;
using rt::os::sys;

namespace {

constexpr std::size_t kMost = std::size_t{1} << 30;  // the kernel takes no more than 2 GiB at once
constexpr int kNoWait = 8;                           // RWF_NOWAIT
constexpr long kHere = -1;                           // preadv2: the file's own offset

error failed(const file_fd& f, const char* op, const error& cause) { return path_error(op, f.name, cause); }

// in_turn does an operation that may wait: through io_uring if mode says so and there is one, else by g on a thread of its
// own.
template <class G>
long in_turn(bool ring, const rt::os::UringEntry& e, G g) {
  if (!ring) return detail::apart(g);
  return detail::by_turns([&] {
    long r = 0;
    for (;;) {
      if (!detail::through_ring(e, &r)) return detail::outside(g);
      if (r != -EINTR && r != -EAGAIN) return r;
    }
  });
}

long read_at(file_fd& f, io::bytes b, long offset) {
  using rt::os::UringOp;
  const std::size_t n = std::min(b.size(), kMost);
  const int mode = detail::ring_mode();
  if (mode < 2 && rt::loadRelaxed(&f.quick)) {
    iovec v{b.data(), n};
    const long r = sys(SYS_preadv2, f.fd, &v, 1, offset, 0, kNoWait);
    if (r != -EAGAIN && r != -EOPNOTSUPP && r != -ENOSYS && r != -EINVAL && r != -EINTR) return r;
    if (r == -EOPNOTSUPP || r == -ENOSYS) rt::storeRelaxed(&f.quick, false);
  }
  return in_turn(
      mode != 0,
      {UringOp::read, f.fd, b.data(), static_cast<rt::uint32>(n), static_cast<rt::uint64>(offset), nullptr},
      [&]() -> long {
        if (offset == kHere) return sys(SYS_read, f.fd, b.data(), n);
        return sys(SYS_pread64, f.fd, b.data(), n, offset);
      });
}

long plain_write(const file_fd& f, io::const_bytes b) {
  const std::size_t n = std::min(b.size(), kMost);
  return f.breaks ? rt::pipeWrite(f.fd, b.data(), n) : sys(SYS_write, f.fd, b.data(), n);
}

long write_at(file_fd& f, io::const_bytes b, long offset) {
  const std::size_t n = std::min(b.size(), kMost);
  return in_turn(detail::ring_mode() >= 2,
                 {rt::os::UringOp::write, f.fd, const_cast<std::byte*>(b.data()), static_cast<rt::uint32>(n),
                  static_cast<rt::uint64>(offset), nullptr},
                 [&]() -> long {
                   if (offset == kHere) return plain_write(f, b);
                   return sys(SYS_pwrite64, f.fd, b.data(), n, offset);
                 });
}

// one does one operation: in the poller if there is something to wait for, else by g.   Requires: entered, the mutex.
template <class F, class G>
result<std::size_t> one(file_fd& f, rt::PollMode mode, const char* op, F nonblocking, G blocking) {
  rt::PollError stop = rt::PollError::none;
  const long n = f.pd != nullptr ? f.until_ready(mode, nonblocking, stop) : blocking();
  if (stop != rt::PollError::none) return failed(f, op, poll_error(stop));
  if (n < 0) return failed(f, op, sys_error(n));
  return static_cast<std::size_t>(n);
}

int flags_of(open_mode m) {
  static_assert(O_RDONLY == 0 && O_WRONLY == 1 && O_RDWR == 2);
  const auto bits = static_cast<unsigned>(m);
  const auto has = [bits](open_mode x) { return (bits & static_cast<unsigned>(x)) != 0; };
  int flags = static_cast<int>(bits & 3) | O_CLOEXEC;
  if (has(open_mode::append)) flags |= O_APPEND;
  if (has(open_mode::create)) flags |= O_CREAT;
  if (has(open_mode::exclusive)) flags |= O_EXCL;
  if (has(open_mode::truncate)) flags |= O_TRUNC;
  if (has(open_mode::sync)) flags |= O_SYNC;
  return flags;
}

}  // namespace

error path_error(const char* op, std::string_view name, const error& cause) {
  return cause.wrap(name.empty() ? std::string(op) : std::string(op) + ' ' + std::string(name));
}

namespace detail {

namespace {
constinit gort::detail::per_run<semaphore> turns;
}

long outside_slow(long (*f)(void*), void* arg) {
  const rt::Entry e;
  for (;;) {
    if (!rt::simMode) rt::entersyscallblock();
    const long r = f(arg);
    if (!rt::simMode) rt::exitsyscall();
    if (r != -EINTR) return r;
  }
}

semaphore* turn_begins() {
  const rt::Entry e;
  if (rt::getg()->foreign) return nullptr;
  semaphore& places = turns.mine([] { return std::int64_t{kHandOff}; });
  places.acquire();
  return &places;
}

result<file_fd*> file_fd::make(int sysfd, std::string_view name) {
  struct stat st {};
  if (const long r = sys(SYS_fstat, sysfd, &st); r < 0) return sys_error(r);
  auto* f = new file_fd(sysfd, name, S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
  if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)) return f;
  const rt::Entry e;
  const int err = rt::pollOpen(sysfd, &f->pd);
  if (err == -EPERM) return f;  // a device that is always ready
  if (err < 0) {
    sys(SYS_close, sysfd);
    f->release();
    return sys_error(err);
  }
  const long flags = sys(SYS_fcntl, sysfd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) sys(SYS_fcntl, sysfd, F_SETFL, flags | O_NONBLOCK);
  return f;
}

}  // namespace detail

result<std::size_t> file::read(io::bytes b) {
  file_fd& f = *p_;
  if (b.empty()) return std::size_t{0};
  const inside in(f);
  if (!in) return failed(f, "read", errc::closed);
  const std::lock_guard l(f.rmu);
  return one(
      f, rt::PollMode::read, "read",
      [&] { return sys(SYS_read, f.fd, b.data(), gort::detail::partly(std::min(b.size(), kMost))); },
      [&] { return read_at(f, b, kHere); });
}

result<std::size_t> file::write(io::const_bytes b) {
  file_fd& f = *p_;
  const inside in(f);
  if (!in) return came_to(failed(f, "write", errc::closed), 0);
  const std::lock_guard l(f.wmu);
  std::size_t total = 0;
  do {
    const io::const_bytes rest = b.subspan(total);
    auto n = one(
        f, rt::PollMode::write, "write", [&] { return plain_write(f, rest); },
        [&] { return write_at(f, rest, kHere); });
    if (!n) return came_to(n.error(), total);
    total += *n;
  } while (total < b.size());
  return total;
}

result<std::size_t> file::pread(io::bytes b, std::uint64_t offset) {
  file_fd& f = *p_;
  const inside in(f);
  if (!in) return failed(f, "read", errc::closed);
  if (offset > INT64_MAX) return failed(f, "read", std::make_error_code(std::errc::invalid_argument));
  std::size_t total = 0;
  while (total < b.size()) {
    const long n = read_at(f, b.subspan(total), static_cast<long>(offset + total));
    if (n < 0) return failed(f, "read", sys_error(n));
    if (n == 0) break;
    total += static_cast<std::size_t>(n);
  }
  return total;
}

result<std::size_t> file::pwrite(io::const_bytes b, std::uint64_t offset) {
  file_fd& f = *p_;
  const inside in(f);
  if (!in) return came_to(failed(f, "write", errc::closed), 0);
  if (offset > INT64_MAX)
    return came_to(failed(f, "write", std::make_error_code(std::errc::invalid_argument)), 0);
  std::size_t total = 0;
  while (total < b.size()) {
    const long n = write_at(f, b.subspan(total), static_cast<long>(offset + total));
    if (n < 0) return came_to(failed(f, "write", sys_error(n)), total);
    total += static_cast<std::size_t>(n);
  }
  return total;
}

result<std::uint64_t> file::seek(std::int64_t offset, seek_from from) {
  file_fd& f = *p_;
  const inside in(f);
  if (!in) return failed(f, "seek", errc::closed);
  const std::lock_guard r(f.rmu);  // not under a read or write that uses the offset
  const std::lock_guard w(f.wmu);
  const long n = sys(SYS_lseek, f.fd, offset, static_cast<int>(from));
  if (n < 0) return failed(f, "seek", sys_error(n));
  return static_cast<std::uint64_t>(n);
}

result<file_info> file::stat() const {
  file_fd& f = *p_;
  const inside in(f);
  if (!in) return failed(f, "stat", errc::closed);
  struct stat st {};
  const long r = sys(SYS_fstat, f.fd, &st);
  if (r < 0) return failed(f, "stat", sys_error(r));
  constexpr std::int64_t kSecond = 1'000'000'000;
  return file_info{static_cast<std::uint64_t>(st.st_size), st.st_mode,
                   st.st_mtim.tv_sec * kSecond + st.st_mtim.tv_nsec};
}

result<std::uint64_t> file::size() const {
  auto i = stat();
  if (!i) return i.error();
  return i->size;
}

error file::truncate(std::uint64_t size) {
  file_fd& f = *p_;
  const inside in(f);
  if (!in) return failed(f, "truncate", errc::closed);
  const long r = detail::apart([&] { return sys(SYS_ftruncate, f.fd, size); });
  return r < 0 ? failed(f, "truncate", sys_error(r)) : error();
}

error file::sync() {
  file_fd& f = *p_;
  const inside in(f);
  if (!in) return failed(f, "sync", errc::closed);
  const long r = in_turn(detail::ring_mode() != 0, {rt::os::UringOp::fsync, f.fd, nullptr, 0, 0, nullptr},
                         [&] { return sys(SYS_fsync, f.fd); });
  return r < 0 ? failed(f, "sync", sys_error(r)) : error();
}

error file::close() noexcept { return p_->shut() ? error() : failed(*p_, "close", errc::closed); }

error file::set_deadline(int mode, gort::clock::time_point t) {
  file_fd& f = *p_;
  const inside in(f);
  if (!in) return failed(f, "set deadline", errc::closed);
  if (f.pd == nullptr) return failed(f, "set deadline", error("file type does not support deadlines"));
  f.set_deadline(mode, t);
  return {};
}

const std::string& file::name() const noexcept { return p_->name; }

int file::native_handle() const noexcept {
  const inside in(*p_);
  return in ? p_->fd : -1;
}

void detail::file_handle::drop(file_fd* p) noexcept {
  (void)p->shut();
  p->release();
}

// Never destroyed: a file may be a static.
file_fd& detail::file_handle::moved_from() noexcept {
  alignas(file_fd) static unsigned char room[sizeof(file_fd)];
  static file_fd* const one = new (room) file_fd(file_fd::never_open{});
  return *one;
}

// ---- opening

result<file> adopt(int fd, std::string_view name) {
  if (has_nul(name)) {
    sys(SYS_close, fd);
    return path_error("open", name, sys_error(-EINVAL));
  }
  auto f = file_fd::make(fd, name);
  if (!f) return path_error("open", name, f.error());
  return file(*f);
}

result<file> open(std::string_view path, open_mode mode, unsigned perm) {
  if (has_nul(path)) return path_error("open", path, sys_error(-EINVAL));
  const std::string name(path);
  const long fd =
      detail::outside([&] { return sys(SYS_openat, AT_FDCWD, name.c_str(), flags_of(mode), perm); });
  if (fd < 0) return path_error("open", path, sys_error(fd));
  return adopt(static_cast<int>(fd), path);
}

result<file> create(std::string_view path) {
  return open(path, open_mode::read_write | open_mode::create | open_mode::truncate);
}

result<pipe_ends> pipe() {
  int fds[2] = {-1, -1};
  if (const long r = sys(SYS_pipe2, fds, O_CLOEXEC | O_NONBLOCK); r < 0) return sys_error(r).wrap("pipe");
  auto reader = adopt(fds[0], "|0");
  if (!reader) {
    sys(SYS_close, fds[1]);
    return reader.error();
  }
  auto writer = adopt(fds[1], "|1");
  if (!writer) return writer.error();
  return pipe_ends{std::move(*reader), std::move(*writer)};
}

}  // namespace os
}  // namespace GORT_ABI
}  // namespace gort

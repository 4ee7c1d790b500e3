// SPDX-License-Identifier: Apache-2.0
// What a conn does beyond reading and writing: contexts, files, descriptors.        (Go: net/sendfile_linux.go, unixsock.go)
//
// Note [Bound contexts]
//   A binding is shared by its guard and the context's callback. When the context ends, the callback counts itself in
//   net_fd::ended and raises PollError::canceled in the poller; when the guard goes it takes that back, and with the last
//   one the conn works again. All by net_fd::endMu: a callback that comes after its guard has gone finds `live` false. This
//   is apart from the deadlines: setting one does not undo the end of a context, nor the other way round.
#include <gort/os.hpp>

#include <sys/sendfile.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "api/net_internal.hpp"
#include "api/os_file.hpp"
#include "os/os_linux.hpp"
#include "sched/sigqueue.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace net {

using detail::net_fd;
using gort::detail::came_to;
using rt::os::sys;

namespace detail {

struct bound {
  bound(net_fd& f, context c) : fd(f), ctx(std::move(c)) { fd.retain(); }
  ~bound() { fd.release(); }
  bound(const bound&) = delete;
  bound& operator=(const bound&) = delete;

  void context_ended() {
    const std::lock_guard l(fd.endMu);
    if (!live) return;
    over = true;
    if (fd.ended++ == 0) fd.end = ctx.err();
    fd.cancel(true);
  }
  void drop() {
    if (refs.fetchSub(1, rt::Order::acqRel) == 1) delete this;
  }

  net_fd& fd;
  context ctx;
  bool live = true, over = false;  // by fd.endMu
  std::optional<after_guard> guard;
  rt::Atomic<rt::uint32> refs{2};  // the binding's, the callback's
};

}  // namespace detail

namespace {

constexpr std::size_t kMostFds = 253;                     // the kernel's SCM_MAX_FD
constexpr std::uint64_t kChunk = std::uint64_t{4} << 20;  // of sendfile: the P is without us meanwhile

// callback is the function of after_func: it gives up its share of the record with itself.
class callback {
 public:
  explicit callback(detail::bound* b) : b_(b) {}
  callback(callback&& o) noexcept : b_(std::exchange(o.b_, nullptr)) {}
  ~callback() {
    if (b_ != nullptr) b_->drop();
  }
  void operator()() const { b_->context_ended(); }

 private:
  detail::bound* b_;
};

}  // namespace

bool binding::stop() noexcept {
  detail::bound* b = std::exchange(p_, nullptr);
  if (b == nullptr) return true;
  bool over = false;
  {
    const std::lock_guard l(b->fd.endMu);
    b->live = false;
    over = b->over;
    if (over && --b->fd.ended == 0) {
      b->fd.end = {};
      b->fd.cancel(false);
    }
  }
  b->guard.reset();
  b->drop();
  return !over;
}

binding::binding(const detail::fd_handle& h, const context& ctx) : p_(nullptr) {
  net_fd& f = *h.get();
  if (f.fd < 0) return;  // moved from
  p_ = new detail::bound(f, ctx);
  p_->guard.emplace(after_func(ctx, callback(p_)));
}

binding conn::bind(const context& ctx) { return {h_, ctx}; }
binding packet_conn::bind(const context& ctx) { return {h_, ctx}; }

// ---- files

namespace {

// copy_through is send_file where the kernel does not do it.
result<std::uint64_t> copy_through(conn& c, os::file& f, std::uint64_t offset, std::uint64_t n) {
  std::vector<std::byte> room(std::size_t{64} << 10);
  std::uint64_t total = 0;
  while (total < n) {
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(room.size(), n - total));
    auto got = f.pread(io::bytes(room).first(want), offset + total);
    if (!got) return came_to(got.error(), total);
    if (*got == 0) break;
    if (auto w = c.write(io::const_bytes(room).first(*got)); !w) return came_to(w.error(), total);
    total += *got;
  }
  return total;
}

}  // namespace

result<std::uint64_t> conn::send_file(os::file& f, std::uint64_t offset, std::uint64_t n) {
  net_fd& to = *h_.get();
  os::detail::file_fd& from = os::detail::file_access::of(f);
  const gort::detail::inside in(from);
  if (!in) return came_to(os::path_error("read", from.name, errc::closed), 0);
  std::uint64_t total = 0;
  while (total < n) {
    long at = static_cast<long>(offset + total);
    const std::uint64_t want = std::min(n - total, kChunk);
    long refused = 0;
    auto sent = to.attempt(rt::PollMode::write, "write", [&]() -> long {
      if (!rt::simMode) rt::entersyscall();  // the file may have to be read from its device
      const long r = rt::quietly([&] { return sys(SYS_sendfile, to.fd, from.fd, &at, want); });
      if (!rt::simMode) rt::exitsyscall();
      if (r == -EINVAL || r == -ENOSYS || r == -EOPNOTSUPP || r == -EOVERFLOW) refused = r;
      return refused != 0 ? 0 : r;
    });
    if (!sent) return came_to(sent.error(), total);
    if (refused != 0) {
      auto rest = copy_through(*this, f, offset + total, n - total);
      return rest ? result<std::uint64_t>(total + *rest) : came_to(rest.error(), total);
    }
    if (*sent == 0) break;
    total += *sent;
  }
  return total;
}

result<std::uint64_t> conn::copy_from(os::file& f) {
  auto info = f.stat();
  if (!info) return came_to(info.error(), 0);
  if (info->is_regular()) {
    auto at = f.seek(0, os::seek_from::current);
    if (!at) return came_to(at.error(), 0);
    auto n = send_file(f, *at, ~std::uint64_t{0} - *at);
    (void)f.seek(static_cast<std::int64_t>(*at + (n ? *n : n.error().as<io_error>()->transferred)));
    return n;
  }
  std::vector<std::byte> room(std::size_t{32} << 10);
  std::uint64_t total = 0;
  for (;;) {
    auto n = f.read(room);
    if (!n) return came_to(n.error(), total);
    if (*n == 0) return total;
    if (auto w = write(io::const_bytes(room).first(*n)); !w) return came_to(w.error(), total);
    total += *n;
  }
}

// ---- descriptors

descriptor::~descriptor() {
  if (fd_ >= 0) sys(SYS_close, fd_);
}

result<std::size_t> conn::write_msg(io::const_bytes b, std::span<const int> fds) {
  net_fd& f = *h_.get();
  if (fds.empty()) return write(b);
  const char* wrong = nullptr;
  if (!is_unix(f.net)) wrong = "only Unix sockets carry descriptors";
  if (b.empty()) wrong = "descriptors need at least one byte to travel with";
  if (fds.size() > kMostFds) wrong = "more than 253 descriptors";
  if (wrong != nullptr && f.fd >= 0) {
    return came_to(f.fail("write", {std::make_error_code(std::errc::invalid_argument), wrong}), 0);
  }
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(kMostFds * sizeof(int))] = {};
  iovec v{const_cast<std::byte*>(b.data()), b.size()};
  msghdr m{};
  m.msg_iov = &v;
  m.msg_iovlen = 1;
  m.msg_control = control;
  m.msg_controllen = CMSG_SPACE(fds.size_bytes());
  cmsghdr* c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(fds.size_bytes());
  __builtin_memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  auto n = f.attempt(rt::PollMode::write, "write",
                     [&] { return sys(SYS_sendmsg, f.fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT); });
  if (!n) return came_to(n.error(), 0);
  if (*n == b.size()) return n;
  auto rest = write(b.subspan(*n));
  return rest ? result<std::size_t>(b.size()) : came_to(rest.error(), *n);
}

result<message> conn::read_msg(io::bytes b) {
  net_fd& f = *h_.get();
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(kMostFds * sizeof(int))] = {};
  iovec v{b.data(), b.size()};
  msghdr m{};
  auto n = f.attempt(rt::PollMode::read, "read", [&] {
    m = {};
    m.msg_iov = &v;
    m.msg_iovlen = 1;
    m.msg_control = control;
    m.msg_controllen = sizeof control;
    return sys(SYS_recvmsg, f.fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  });
  if (!n) return n.error();
  message got{*n, {}};
  got.fds.reserve(kMostFds);  // nothing below may fail: what has come is ours to close
  for (cmsghdr* c = CMSG_FIRSTHDR(&m); c != nullptr; c = CMSG_NXTHDR(&m, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count && got.fds.size() < kMostFds; ++i) {
      int fd;
      __builtin_memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      got.fds.emplace_back(fd);
    }
  }
  return got;
}

}  // namespace net
}  // namespace GORT_ABI
}  // namespace gort

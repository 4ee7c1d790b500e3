// SPDX-License-Identifier: Apache-2.0
// read, write, recv, send, connect, accept, close, and their kin.
//
// A call on a file that the user left blocking must look blocking:
//   sockets      MSG_DONTWAIT; on EAGAIN park until ready or SO_RCVTIMEO/SO_SNDTIMEO is over. A stream's send and a receive
//                with MSG_WAITALL go on until all is done.
//   other files  park until poll says ready, then the plain call inside inSyscall. A pipe is written with RWF_NOWAIT, or
//                PIPE_BUF bytes at a time where the kernel has not got that: poll promises room for so many.
// With O_NONBLOCK or MSG_DONTWAIT the result of the first try stands; so does that of MSG_ERRQUEUE and of reading MSG_OOB,
// which the kernel never lets wait.
// Ready, but not for this call: a datagram's socket may be written while the receiver that this one goes to has no room.
// Waiting for such a file would be a busy loop; after a few lies in a row the thread blocks, without its P (onSocket).
#include "hook/hook.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace gort::hook {

namespace {

constexpr int kRwfNowait = 8, kMaxIov = 1024;
constexpr int kLies = 8;                                            // in a row, see above
constexpr int kNeverWaits = MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB;  // of receiving

constexpr int64 kNsPerSec = 1000000000;

struct Way {
  uint32 events;
  int option;  // of the time limit
};
constexpr Way kIn{POLLIN, SO_RCVTIMEO}, kOut{POLLOUT, SO_SNDTIMEO};

// onSocket calls f(flag), which returns -errno, with MSG_DONTWAIT until it says something else than "not now".
template <class F>
long onSocket(const HookTable* t, int fd, const Way& way, bool dontWait, F f) {
  int64 until = 0;
  for (int lies = 0;;) {
    const long r = f(MSG_DONTWAIT);
    if (r != -EAGAIN || dontWait || nonblocking(fd)) return r;
    if (until == 0) {
      until = socketUntil(t, fd, way.option);
    } else {
      lies = readyNow(fd, way.events) ? lies + 1 : 0;
      if (lies == kLies) return blocking(t, [&] { return f(0); });
    }
    bool late = false;
    if (waitFile(t, fd, way.events, until, &late)) continue;
    if (late) return -EAGAIN;
    return blocking(t, [&] { return f(0); });  // it cannot be watched
  }
}

// onFile calls f when fd is ready. For files that are no sockets, and for accept.
template <class F>
long onFile(const HookTable* t, int fd, const Way& way, F f) {
  int64 until = 0;
  while (!readyNow(fd, way.events)) {
    if (nonblocking(fd)) return f();
    if (until == 0) until = socketUntil(t, fd, way.option);
    bool late = false;
    if (waitFile(t, fd, way.events, until, &late)) continue;
    if (late) return -EAGAIN;
    return blocking(t, f);
  }
  return inSyscall(t, f);
}

bool isStream(int fd) {
  int type = 0;
  socklen_t n = sizeof type;
  return sys(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

struct Bytes {
  char* p;
  std::size_t n;
};

// goesOn: a stream's operation that did a part must do the rest, because its caller expects to be blocked.
bool goesOn(int fd, int flags) { return (flags & MSG_DONTWAIT) == 0 && isStream(fd) && !nonblocking(fd); }

struct From {
  sockaddr* addr = nullptr;
  socklen_t* len = nullptr;
};

long recvParking(const HookTable* t, int fd, Bytes b, int flags, From from) {
  std::size_t done = 0;
  for (;;) {
    const long r = onSocket(t, fd, kIn, (flags & kNeverWaits) != 0, [&](int extra) {
      const int plain = extra != 0 ? flags & ~MSG_WAITALL : flags;
      return sys(SYS_recvfrom, fd, b.p + done, b.n - done, plain | extra, from.addr, from.len);
    });
    if (r <= 0) return done > 0 ? static_cast<long>(done) : r;
    done += static_cast<std::size_t>(r);
    if (done >= b.n || (flags & MSG_WAITALL) == 0 || (flags & MSG_PEEK) != 0 || !goesOn(fd, flags))
      return static_cast<long>(done);
  }
}

struct To {
  const sockaddr* addr = nullptr;
  socklen_t len = 0;
};

long sendParking(const HookTable* t, int fd, Bytes b, int flags, To to) {
  std::size_t done = 0;
  for (;;) {
    const long r = onSocket(t, fd, kOut, (flags & MSG_DONTWAIT) != 0, [&](int extra) {
      return sys(SYS_sendto, fd, b.p + done, b.n - done, flags | extra, to.addr, to.len);
    });
    if (r < 0) return done > 0 ? static_cast<long>(done) : r;
    done += static_cast<std::size_t>(r);
    if (done >= b.n || !goesOn(fd, flags)) return static_cast<long>(done);
  }
}

Bytes bytesOf(const void* p, std::size_t n) { return {static_cast<char*>(const_cast<void*>(p)), n}; }

// restOf does what `done` left of the pieces, each by itself: a stream does not care.
template <class F>
long restOf(const iovec* iov, std::size_t count, long done, F piece) {
  std::size_t skip = static_cast<std::size_t>(done);
  for (std::size_t i = 0; i < count; ++i) {
    if (skip >= iov[i].iov_len) {
      skip -= iov[i].iov_len;
      continue;
    }
    const Bytes b{static_cast<char*>(iov[i].iov_base) + skip, iov[i].iov_len - skip};
    skip = 0;
    const long r = piece(b);
    if (r < 0) return done;
    done += r;
    if (static_cast<std::size_t>(r) < b.n) return done;
  }
  return done;
}

std::size_t total(const iovec* iov, std::size_t count) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < count; ++i) n += iov[i].iov_len;
  return n;
}

long sendmsgParking(const HookTable* t, int fd, const msghdr* m, int flags) {
  const long r = onSocket(t, fd, kOut, (flags & MSG_DONTWAIT) != 0,
                          [&](int extra) { return sys(SYS_sendmsg, fd, m, flags | extra); });
  if (r < 0 || static_cast<std::size_t>(r) >= total(m->msg_iov, m->msg_iovlen) || !goesOn(fd, flags))
    return r;
  return restOf(m->msg_iov, m->msg_iovlen, r, [&](Bytes b) { return sendParking(t, fd, b, flags, {}); });
}

long recvmsgParking(const HookTable* t, int fd, msghdr* m, int flags) {
  const bool all = (flags & MSG_WAITALL) != 0 && goesOn(fd, flags) && (flags & MSG_PEEK) == 0;
  // What comes with the pieces, such as files, must not get lost: the kernel knows where to stop.
  if (all && m->msg_controllen != 0) return blocking(t, [&] { return sys(SYS_recvmsg, fd, m, flags); });
  const long r = onSocket(t, fd, kIn, (flags & kNeverWaits) != 0,
                          [&](int extra) { return sys(SYS_recvmsg, fd, m, (flags & ~MSG_WAITALL) | extra); });
  if (r <= 0 || !all) return r;
  return restOf(m->msg_iov, m->msg_iovlen, r, [&](Bytes b) { return recvParking(t, fd, b, flags, {}); });
}

// recvmmsgParking takes what is there, and waits again until it has n. As in the kernel, the time limit is looked at when
// something has come: it does not end a wait.
long recvmmsgParking(const HookTable* t, int fd, mmsghdr* m, unsigned n, int flags, timespec* limit) {
  const int64 until = untilTs(t, limit);
  unsigned done = 0;
  while (done < n) {
    const long r = onSocket(t, fd, kIn, (flags & kNeverWaits) != 0, [&](int extra) {
      return sys(SYS_recvmmsg, fd, m + done, n - done, flags | (extra != 0 ? extra : MSG_WAITFORONE),
                 nullptr);
    });
    if (r <= 0) return done > 0 ? static_cast<long>(done) : r;
    done += static_cast<unsigned>(r);
    if (limit != nullptr) {
      const int64 now = t->nanotime();
      const int64 left = now >= until ? 0 : until - now;
      *limit = {left / kNsPerSec, left % kNsPerSec};
      if (left == 0) break;
    }
    if ((flags & (MSG_WAITFORONE | kNeverWaits)) != 0 || nonblocking(fd)) break;
  }
  return static_cast<long>(done);
}

long sendmmsgParking(const HookTable* t, int fd, mmsghdr* m, unsigned n, int flags) {
  unsigned done = 0;
  while (done < n) {
    const long r = onSocket(t, fd, kOut, (flags & MSG_DONTWAIT) != 0, [&](int extra) {
      return sys(SYS_sendmmsg, fd, m + done, n - done, flags | extra);
    });
    if (r <= 0) return done > 0 ? static_cast<long>(done) : r;
    done += static_cast<unsigned>(r);
    mmsghdr& last = m[done - 1];
    const std::size_t whole = total(last.msg_hdr.msg_iov, last.msg_hdr.msg_iovlen);
    if (last.msg_len >= whole) continue;
    if (!goesOn(fd, flags)) break;
    last.msg_len = static_cast<unsigned>(restOf(last.msg_hdr.msg_iov, last.msg_hdr.msg_iovlen,
                                                static_cast<long>(last.msg_len),
                                                [&](Bytes b) { return sendParking(t, fd, b, flags, {}); }));
    if (last.msg_len < whole) break;
  }
  return static_cast<long>(done);
}

bool isPipe(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

// writePipe writes more than PIPE_BUF bytes to a pipe that blocks.
long writePipe(const HookTable* t, int fd, Bytes b) {
  std::size_t done = 0;
  while (done < b.n) {
    const long r = onFile(t, fd, kOut, [&] {
      const iovec left{b.p + done, b.n - done};
      const long now = sys(SYS_pwritev2, fd, &left, 1, -1L, -1L, kRwfNowait);
      if (now != -EOPNOTSUPP && now != -ENOSYS && now != -EINVAL) return now;
      return sys(SYS_write, fd, b.p + done, b.n - done < PIPE_BUF ? b.n - done : PIPE_BUF);
    });
    if (r == -EAGAIN) {  // poll saw the room that another writer took
      t->sleepUntil(t->nanotime() + 100000);
      continue;
    }
    if (r < 0) return done > 0 ? static_cast<long>(done) : r;
    done += static_cast<std::size_t>(r);
  }
  return static_cast<long>(done);
}

long writeFile(const HookTable* t, int fd, Bytes b) {
  if (b.n > PIPE_BUF && isPipe(fd) && !nonblocking(fd)) return writePipe(t, fd, b);
  return onFile(t, fd, kOut, [&] { return sys(SYS_write, fd, b.p, b.n); });
}

long connectParking(const HookTable* t, int fd, const sockaddr* addr, socklen_t len) {
  const long flags = sys(SYS_fcntl, fd, F_GETFL);
  const bool inet = addr != nullptr && len >= sizeof(sa_family_t) &&
                    (addr->sa_family == AF_INET || addr->sa_family == AF_INET6);
  if (flags < 0 || (flags & O_NONBLOCK) != 0 || !inet || !isStream(fd)) {
    return inSyscall(t, [&] { return sys(SYS_connect, fd, addr, len); });
  }
  sys(SYS_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
  const long r = sys(SYS_connect, fd, addr, len);
  sys(SYS_fcntl, fd, F_SETFL, flags);
  if (r != -EINPROGRESS) return r;
  const int64 until = socketUntil(t, fd, SO_SNDTIMEO);
  while (!readyNow(fd, POLLOUT)) {
    bool late = false;
    if (waitFile(t, fd, POLLOUT, until, &late)) continue;
    if (late) return -EINPROGRESS;  // as the kernel says it
    blocking(t, [&] {
      pollfd p{fd, POLLOUT, 0};
      return sys(SYS_poll, &p, 1, -1);
    });
  }
  int err = 0;
  socklen_t n = sizeof err;
  const long got = sys(SYS_getsockopt, fd, SOL_SOCKET, SO_ERROR, &err, &n);
  return got < 0 ? got : -err;
}

// wakeWaiters follows every close.
void wakeWaiters(int fd) {
  if (const HookTable* t = table(); t != nullptr && fd >= 0) {
    const int e = getErrno();
    t->filesClosed(fd);
    setErrno(e);
  }
}

}  // namespace

int64 socketUntil(const HookTable* t, int fd, int option) {
  timeval tv{};
  socklen_t n = sizeof tv;
  if (sys(SYS_getsockopt, fd, SOL_SOCKET, option, &tv, &n) < 0 || (tv.tv_sec == 0 && tv.tv_usec == 0))
    return kTimeNever;
  return t->nanotime() + tv.tv_sec * kNsPerSec + tv.tv_usec * int64{1000};
}

}  // namespace gort::hook

using namespace gort::hook;

GORT_HOOKED ssize_t recv(int fd, void* p, size_t n, int flags) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(recv)(fd, p, n, flags);
  return ret(recvParking(t, fd, {static_cast<char*>(p), n}, flags, {}));
}

GORT_HOOKED ssize_t recvfrom(int fd, void* p, size_t n, int flags, sockaddr* addr, socklen_t* len) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(recvfrom)(fd, p, n, flags, addr, len);
  return ret(recvParking(t, fd, {static_cast<char*>(p), n}, flags, {addr, len}));
}

GORT_HOOKED ssize_t recvmsg(int fd, msghdr* m, int flags) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(recvmsg)(fd, m, flags);
  return ret(recvmsgParking(t, fd, m, flags));
}

GORT_HOOKED int recvmmsg(int fd, mmsghdr* m, unsigned n, int flags, timespec* timeout) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(recvmmsg)(fd, m, n, flags, timeout);
  if (badTime(timeout)) return static_cast<int>(ret(-EINVAL));
  return static_cast<int>(ret(recvmmsgParking(t, fd, m, n, flags, timeout)));
}

GORT_HOOKED ssize_t send(int fd, const void* p, size_t n, int flags) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(send)(fd, p, n, flags);
  return ret(sendParking(t, fd, bytesOf(p, n), flags, {}));
}

GORT_HOOKED ssize_t sendto(int fd, const void* p, size_t n, int flags, const sockaddr* addr, socklen_t len) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(sendto)(fd, p, n, flags, addr, len);
  return ret(sendParking(t, fd, bytesOf(p, n), flags, {addr, len}));
}

GORT_HOOKED ssize_t sendmsg(int fd, const msghdr* m, int flags) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(sendmsg)(fd, m, flags);
  return ret(sendmsgParking(t, fd, m, flags));
}

GORT_HOOKED int sendmmsg(int fd, mmsghdr* m, unsigned n, int flags) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(sendmmsg)(fd, m, n, flags);
  return static_cast<int>(ret(sendmmsgParking(t, fd, m, n < kMaxIov ? n : kMaxIov, flags)));
}

GORT_HOOKED ssize_t read(int fd, void* p, size_t n) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(read)(fd, p, n);
  if (n == 0) return ret(sys(SYS_read, fd, p, n));
  const long r = recvParking(t, fd, {static_cast<char*>(p), n}, 0, {});
  if (r != -ENOTSOCK) return ret(r);
  return ret(onFile(t, fd, kIn, [&] { return sys(SYS_read, fd, p, n); }));
}

GORT_HOOKED ssize_t write(int fd, const void* p, size_t n) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(write)(fd, p, n);
  if (n == 0) return ret(sys(SYS_write, fd, p, n));
  const long r = sendParking(t, fd, bytesOf(p, n), 0, {});
  return ret(r != -ENOTSOCK ? r : writeFile(t, fd, bytesOf(p, n)));
}

GORT_HOOKED ssize_t readv(int fd, const iovec* iov, int count) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(readv)(fd, iov, count);
  if (count <= 0 || count > kMaxIov) return ret(sys(SYS_readv, fd, iov, count));
  msghdr m{};
  m.msg_iov = const_cast<iovec*>(iov);
  m.msg_iovlen = static_cast<std::size_t>(count);
  const long r = recvmsgParking(t, fd, &m, 0);
  if (r != -ENOTSOCK) return ret(r);
  return ret(onFile(t, fd, kIn, [&] { return sys(SYS_readv, fd, iov, count); }));
}

GORT_HOOKED ssize_t writev(int fd, const iovec* iov, int count) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(writev)(fd, iov, count);
  if (count <= 0 || count > kMaxIov) return ret(sys(SYS_writev, fd, iov, count));
  const auto k = static_cast<std::size_t>(count);
  msghdr m{};
  m.msg_iov = const_cast<iovec*>(iov);
  m.msg_iovlen = k;
  const long r = sendmsgParking(t, fd, &m, 0);
  if (r != -ENOTSOCK) return ret(r);
  if (total(iov, k) > PIPE_BUF && isPipe(fd) && !nonblocking(fd)) {
    return ret(restOf(iov, k, 0, [&](Bytes b) { return writeFile(t, fd, b); }));
  }
  return ret(onFile(t, fd, kOut, [&] { return sys(SYS_writev, fd, iov, count); }));
}

GORT_HOOKED int connect(int fd, const sockaddr* addr, socklen_t len) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(connect)(fd, addr, len);
  return static_cast<int>(ret(connectParking(t, fd, addr, len)));
}

GORT_HOOKED int accept4(int fd, sockaddr* addr, socklen_t* len, int flags) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(accept4)(fd, addr, len, flags);
  return static_cast<int>(ret(onFile(t, fd, kIn, [&] { return sys(SYS_accept4, fd, addr, len, flags); })));
}

GORT_HOOKED int accept(int fd, sockaddr* addr, socklen_t* len) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(accept)(fd, addr, len);
  return static_cast<int>(ret(onFile(t, fd, kIn, [&] { return sys(SYS_accept4, fd, addr, len, 0); })));
}

GORT_HOOKED int close(int fd) {
  const HookTable* t = parker();
  const int r = t == nullptr
                    ? GORT_NEXT(close)(fd)
                    : static_cast<int>(ret(inSyscall(t, [&] { return withErrno(GORT_NEXT(close)(fd)); })));
  if (r == 0) wakeWaiters(fd);
  return r;
}

GORT_HOOKED int dup2(int from, int to) {
  const int r = GORT_NEXT(dup2)(from, to);
  if (r >= 0 && from != to) wakeWaiters(to);
  return r;
}

GORT_HOOKED int dup3(int from, int to, int flags) {
  const int r = GORT_NEXT(dup3)(from, to, flags);
  if (r >= 0) wakeWaiters(to);
  return r;
}

// What _FORTIFY_SOURCE makes of them.
extern "C" [[noreturn]] void chkFail() __asm__("__chk_fail");
GORT_HOOKED ssize_t readChk(int fd, void* p, size_t n, size_t room) __asm__("__read_chk");
GORT_HOOKED ssize_t recvChk(int fd, void* p, size_t n, size_t room, int flags) __asm__("__recv_chk");
GORT_HOOKED ssize_t recvfromChk(int fd, void* p, size_t n, size_t room, int flags, sockaddr* addr,
                                socklen_t* len) __asm__("__recvfrom_chk");

ssize_t readChk(int fd, void* p, size_t n, size_t room) {
  if (n > room) chkFail();
  return read(fd, p, n);
}

ssize_t recvChk(int fd, void* p, size_t n, size_t room, int flags) {
  if (n > room) chkFail();
  return recv(fd, p, n, flags);
}

ssize_t recvfromChk(int fd, void* p, size_t n, size_t room, int flags, sockaddr* addr, socklen_t* len) {
  if (n > room) chkFail();
  return recvfrom(fd, p, n, flags, addr, len);
}

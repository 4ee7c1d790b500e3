// SPDX-License-Identifier: Apache-2.0
// sendfile, splice, preadv2, pwritev2: what moves data between files, or by position.
//
// These have no MSG_DONTWAIT. The goroutine parks until both ends are ready, then the kernel moves no more than an end that
// is ready has room for: a pipe is asked with SPLICE_F_NONBLOCK, a socket gets a piece at a time. Where the room is smaller
// (SO_SNDBUF), or somebody else took it, the thread blocks, without its P.
#include "hook/hook.hpp"

#include <fcntl.h>
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace gort::hook {

namespace {

// poll promises room for a third of the buffer of a socket, which has 16 KiB at least unless the user made it smaller.
constexpr std::size_t kPiece = 16 << 10, kMost = 0x7ffff000;  // what the kernel moves at most in one call
constexpr int64 kLookAgainNs = 100000;

bool isSocket(int fd) {
  int type = 0;
  socklen_t n = sizeof type;
  return sys(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0;
}

// await parks until fd is ready. False: the time is over.
bool await(const HookTable* t, int fd, uint32 events, int64 until) {
  bool late = false;
  while (!readyNow(fd, events) && !nonblocking(fd)) {
    if (!waitFile(t, fd, events, until, &late)) return !late;
  }
  return true;
}

long sendfileParking(const HookTable* t, int out, int in, off_t* at, std::size_t n) {
  const bool pieces = isSocket(out) && !nonblocking(out);
  const int64 until = pieces ? socketUntil(t, out, SO_SNDTIMEO) : kTimeNever;
  if (n > kMost) n = kMost;
  std::size_t done = 0;
  do {
    const bool inTime = await(t, out, POLLOUT, until);
    const std::size_t now = pieces && n - done > kPiece ? kPiece : n - done;
    const long r = inTime ? inSyscall(t, [&] { return sys(SYS_sendfile, out, in, at, now); }) : -EAGAIN;
    if (r <= 0) return done > 0 ? static_cast<long>(done) : r;
    done += static_cast<std::size_t>(r);
  } while (done < n && pieces);
  return static_cast<long>(done);
}

struct End {
  int fd;
  off64_t* at;
};

long spliceParking(const HookTable* t, End in, End out, std::size_t n, unsigned flags) {
  const auto call = [&](unsigned extra) {
    return inSyscall(t, [&] { return sys(SYS_splice, in.fd, in.at, out.fd, out.at, n, flags | extra); });
  };
  if ((flags & SPLICE_F_NONBLOCK) != 0 || nonblocking(in.fd) || nonblocking(out.fd)) return call(0);
  const bool toSocket = isSocket(out.fd);
  const int64 inUntil = socketUntil(t, in.fd, SO_RCVTIMEO);
  const int64 outUntil = toSocket ? socketUntil(t, out.fd, SO_SNDTIMEO) : kTimeNever;
  if (toSocket && n > kPiece) n = kPiece;  // less than asked for is a result that splice has
  for (;;) {
    if (!await(t, in.fd, POLLIN, inUntil) || !await(t, out.fd, POLLOUT, outUntil)) return -EAGAIN;
    const long r = call(SPLICE_F_NONBLOCK);
    if (r != -EAGAIN) return r;
    t->sleepUntil(t->nanotime() +
                  kLookAgainNs);  // somebody else was faster, or a pipe's slots are taken by small pieces
  }
}

}  // namespace

}  // namespace gort::hook

using namespace gort::hook;

GORT_HOOKED ssize_t sendfile(int out, int in, off_t* at, size_t n) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(sendfile)(out, in, at, n);
  return ret(sendfileParking(t, out, in, at, n));
}

GORT_HOOKED ssize_t splice(int in, off64_t* inAt, int out, off64_t* outAt, size_t n, unsigned flags) {
  const HookTable* t = parker();
  if (t == nullptr) return GORT_NEXT(splice)(in, inAt, out, outAt, n, flags);
  return ret(spliceParking(t, {in, inAt}, {out, outAt}, n, flags));
}

// Position -1 is the file's own, which pipes and sockets have; with any other the file is no stream. RWF_NOWAIT never waits.
GORT_HOOKED ssize_t preadv2(int fd, const iovec* iov, int count, off_t at, int flags) {
  const HookTable* t = parker();
  if (t == nullptr || at != -1 || (flags & RWF_NOWAIT) != 0) {
    return GORT_NEXT(preadv2)(fd, iov, count, at, flags);
  }
  if (flags == 0) return readv(fd, iov, count);
  return ret(blocking(t, [&] { return withErrno(GORT_NEXT(preadv2)(fd, iov, count, at, flags)); }));
}

GORT_HOOKED ssize_t pwritev2(int fd, const iovec* iov, int count, off_t at, int flags) {
  const HookTable* t = parker();
  if (t == nullptr || at != -1 || (flags & RWF_NOWAIT) != 0) {
    return GORT_NEXT(pwritev2)(fd, iov, count, at, flags);
  }
  if (flags == 0) return writev(fd, iov, count);
  return ret(blocking(t, [&] { return withErrno(GORT_NEXT(pwritev2)(fd, iov, count, at, flags)); }));
}

// The names that _FILE_OFFSET_BITS=64 makes of them.
static_assert(sizeof(off_t) == sizeof(off64_t));
GORT_HOOKED ssize_t sendfile64(int out, int in, off64_t* at, size_t n) { return sendfile(out, in, at, n); }

GORT_HOOKED ssize_t preadv64v2(int fd, const iovec* iov, int count, off64_t at, int flags) {
  return preadv2(fd, iov, count, at, flags);
}

GORT_HOOKED ssize_t pwritev64v2(int fd, const iovec* iov, int count, off64_t at, int flags) {
  return pwritev2(fd, iov, count, at, flags);
}

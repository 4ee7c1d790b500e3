// SPDX-License-Identifier: Apache-2.0
// Names to addresses, listening and dialling.                   (Go: net/dial.go, lookup.go, sock_posix.go, ipsock_posix.go)
//
// Note [Two families race]
//   The addresses are parted by the family of the first. Each part is tried in order by its own goroutine; the second part
//   starts fallback_delay later, or when the first has failed. The first connection wins; the other side is cancelled and,
//   should it connect all the same, closed. The error is that of the first part (RFC 6555, as Go does it).
#include <gort/chan.hpp>
#include <gort/go.hpp>
#include <gort/select.hpp>
#include <gort/timer.hpp>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cerrno>

#include "api/net_internal.hpp"
#include "api/per_run.hpp"
#include "os/os_linux.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace net {

using detail::net_fd;
using rt::os::sys;

namespace {

constexpr int kLookups = 64;
constexpr std::size_t kResolverStack = std::size_t{256}
                                       << 10;  // whatever the default is: the C library takes what it likes
constexpr int kLongestQueue = 65535;           // the kernel cuts it to net.core.somaxconn

int family_wanted(network n) {
  switch (n.value()) {
    case network::tcp4:
    case network::udp4:
      return AF_INET;
    case network::tcp6:
    case network::udp6:
      return AF_INET6;
    default:
      return AF_UNSPEC;
  }
}

int family_of(const address& a) { return a.is_unix() ? AF_UNIX : a.ip().is_v4() ? AF_INET : AF_INET6; }

int socket_type(network n) {
  if (n.value() == network::unix_packet) return SOCK_SEQPACKET;
  return is_datagram(n) ? SOCK_DGRAM : SOCK_STREAM;
}

error lookup_error(std::string_view host, const error& cause) {
  return cause.wrap("lookup " + std::string(host));
}

// ask calls the system's resolver.   Runs on: a goroutine that may block its thread.
result<std::vector<address>> ask(const std::string& host, const std::string& service, network n) {
  addrinfo hints{};
  hints.ai_family = family_wanted(n);
  hints.ai_socktype = socket_type(n);
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int r = gort::blocking([&] {
    return getaddrinfo(host.empty() ? nullptr : host.c_str(), service.empty() ? nullptr : service.c_str(),
                       &hints, &list);
  });
  if (r != 0) {
    const bool nothing = r == EAI_NONAME || r == EAI_NODATA || r == EAI_ADDRFAMILY;
    if (nothing) return lookup_error(host, errc::no_such_host);
    if (r == EAI_SERVICE) return lookup_error(service, errc::unknown_port);
    return lookup_error(host, error(gai_strerror(r)));
  }
  std::vector<address> found;
  for (const addrinfo* i = list; i != nullptr; i = i->ai_next) {
    sock_addr s;
    s.len = i->ai_addrlen;
    __builtin_memcpy(&s.storage, i->ai_addr, i->ai_addrlen);
    found.push_back(from_sock_addr(s));
  }
  freeaddrinfo(list);
  return found;
}

// lookup is ask with an end: the answer comes through a channel that nobody may read any more.
result<std::vector<address>> lookup(const context& ctx, const std::string& host, const std::string& service,
                                    network n) {
  if (has_nul(host)) return lookup_error(host, error(errc::bad_address));
  static constinit gort::detail::per_run<semaphore> slots;
  semaphore* mine = nullptr;
  {
    const rt::Entry e;
    mine = &slots.mine([] { return std::int64_t{kLookups}; });
  }
  if (error e = mine->acquire(ctx)) return lookup_error(host, e);
  auto answer = make_chan<result<std::vector<address>>>(1);
  go({.name = "resolver", .stack = kResolverStack}, [answer, host, service, n, mine] {
    result<std::vector<address>> r = ask(host, service, n);
    mine->release();
    answer.send(std::move(r));
  });
  auto got = answer.recv(ctx);
  if (!got) return lookup_error(host, ctx.err());
  return std::move(*got);
}

bool fits(network n, const address& a) {
  const int f = family_wanted(n);
  return f == AF_UNSPEC || f == family_of(a);
}

// resolve finds the addresses that addr stands for; an empty host is `anywhere`.
result<std::vector<address>> resolve(const context& ctx, network n, std::string_view addr,
                                     const ip& anywhere) {
  if (is_unix(n)) return std::vector<address>{address::unix_path(std::string(addr))};
  result<host_and_port> h = split_host_port(addr);
  if (!h) return h.error();
  result<std::optional<std::uint16_t>> port = port_number(h->port, addr);
  if (!port) return port.error();
  if (*port) {  // no resolver needed
    result<ip> literal = h->host.empty() ? result<ip>(anywhere) : ip::parse(h->host);
    if (literal) {
      const address a(*literal, **port);
      if (!fits(n, a)) {
        return error(errc::bad_address).wrap("no suitable address for " + std::string(n.string()));
      }
      return std::vector<address>{a};
    }
  }
  return lookup(ctx, std::string(h->host), std::string(h->port), n);
}

// open_socket makes one that does not block, in the poller.
result<net_fd*> open_socket(network n, const address& a) {
  const long fd = sys(SYS_socket, family_of(a), socket_type(n) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return sys_error(fd).wrap("socket");
  return net_fd::make(static_cast<int>(fd), n);
}

long set_on(int fd, int level, int name, int v = 1) {
  return sys(SYS_setsockopt, fd, level, name, &v, sizeof v);
}

// connect_one dials one address; `until` and ctx end the wait.
result<conn> connect_one(const context& ctx, network n, const address& to, const dial_options& o,
                         gort::clock::time_point until) {
  result<net_fd*> made = open_socket(n, to);
  if (!made) return op_error("dial", n, nullptr, &to, made.error());
  conn c{detail::fd_handle(*made)};
  net_fd& f = **made;
  const auto failed = [&](const error& e) { return op_error("dial", n, nullptr, &to, e); };
  if (o.local) {
    result<sock_addr> from = to_sock_addr(*o.local);
    if (!from) return failed(from.error());
    if (const long r = sys(SYS_bind, f.fd, from->get(), from->len); r < 0)
      return failed(sys_error(r).wrap("bind"));
  }
  result<sock_addr> target = to_sock_addr(to);
  if (!target) return failed(target.error());
  f.set_deadline(2, until);
  binding bound = c.bind(ctx);
  bool asked = false;
  const auto done = f.attempt(rt::PollMode::write, "connect", [&]() -> long {
    if (!asked) {
      asked = true;
      const long r = sys(SYS_connect, f.fd, target->get(), target->len);
      return r == -EINPROGRESS || r == -EINTR ? -EAGAIN : r;  // interrupted: it goes on all the same
    }
    int err = 0;
    socklen_t len = sizeof err;
    if (const long r = sys(SYS_getsockopt, f.fd, SOL_SOCKET, SO_ERROR, &err, &len); r < 0) return r;
    if (err != 0) return -err;
    sock_addr peer;  // no error and no peer: woken for nothing
    const long r = sys(SYS_getpeername, f.fd, peer.get(), &peer.len);
    return r == -ENOTCONN ? -EAGAIN : r;
  });
  if (!done) {
    if (error e = ctx.err()) return failed(e);
    if (done.error().timeout()) return failed(errc::io_timeout);
    return failed(done.error().unwrap().wrap("connect"));
  }
  if (!bound.stop()) return failed(ctx.err());  // it ended just now
  f.set_deadline(3, no_deadline);
  f.local = name_of(f.fd, false);
  f.remote = to;
  tune(f, o);
  return c;
}

// connect_any tries the addresses in turn. What is left of the time is shared out, so that one that does not answer leaves
// something to the next.
result<conn> connect_any(const context& ctx, network n, std::span<const address> all, const dial_options& o,
                         gort::clock::time_point until) {
  std::optional<error> first;
  for (std::size_t i = 0; i < all.size(); ++i) {
    gort::clock::time_point mine = until;
    if (until != gort::clock::time_point::max()) {
      const gort::clock::duration left = until - gort::clock::now();
      const auto share =
          std::max<gort::clock::duration>(left / static_cast<long>(all.size() - i),
                                          std::min<gort::clock::duration>(left, std::chrono::seconds(2)));
      mine = gort::clock::now() + share;
    }
    result<conn> c = connect_one(ctx, n, all[i], o, mine);
    if (c) return c;
    if (!first) first = c.error();
    if (ctx.err()) break;
  }
  return first ? *first : error(errc::no_route).wrap("dial " + std::string(n.string()));
}

// race: see Note [Two families race].
result<conn> race(const context& parent, network n, std::vector<address> first, std::vector<address> second,
                  const dial_options& o, gort::clock::time_point until) {
  struct outcome {
    bool primary;
    result<conn> c;
  };
  const scoped_context ctx = with_cancel(parent);
  auto results = make_chan<outcome>(2);
  const auto start = [&](bool primary, std::vector<address> part) {
    go([ctx = context(ctx), results, primary, part = std::move(part), n, o, until] {
      results.send({primary, connect_any(ctx, n, part, o, until)});
    });
  };
  start(true, std::move(first));
  int running = 1;
  std::optional<error> why;
  auto got = results.recv_for(o.fallback_delay);
  if (got && got->c) return std::move(got->c);
  if (got) {
    why = got->c.error();
    --running;
  }
  start(false, std::move(second));
  for (++running; running > 0; --running) {
    auto next = results.recv();
    if (next->c) return std::move(next->c);
    if (next->primary || !why) why = next->c.error();
  }
  return *why;
}

}  // namespace

result<conn> dial(network n, std::string_view addr, const dial_options& o) {
  return dial(background(), n, addr, o);
}

result<conn> dial(const context& ctx, network n, std::string_view addr, const dial_options& o) {
  const std::string words = "dial " + std::string(n.string()) + ' ' + std::string(addr);
  if (error e = ctx.err()) return e.wrap(words);
  gort::clock::time_point until = gort::clock::time_point::max();
  if (o.timeout.count() < 0) return error(errc::io_timeout).wrap(words);
  if (o.timeout.count() > 0) until = gort::detail::deadline_after(o.timeout);
  if (const auto d = ctx.deadline(); d && *d < until) until = *d;
  result<std::vector<address>> all = resolve(ctx, n, addr, ip::v4({127, 0, 0, 1}));
  if (!all) return all.error().wrap(words);
  std::vector<address> first, second;
  for (const address& a : *all) (family_of(a) == family_of(all->front()) ? first : second).push_back(a);
  if (second.empty()) return connect_any(ctx, n, first, o, until);
  return race(ctx, n, std::move(first), std::move(second), o, until);
}

namespace {

// bound makes a socket and binds it; listen and listen_packet.
result<detail::fd_handle> bound(network n, std::string_view addr, bool reuse_port) {
  const std::string words = "listen " + std::string(n.string()) + ' ' + std::string(addr);
  const bool any6 = family_wanted(n) != AF_INET && !is_unix(n);
  result<std::vector<address>> all = resolve(background(), n, addr, any6 ? ip::v6({}) : ip::v4({0, 0, 0, 0}));
  if (!all) return all.error().wrap(words);
  address a = all->front();
  for (const address& other : *all) {  // a name: IPv4 first, as Go does
    if (family_of(a) != AF_INET && family_of(other) == AF_INET) a = other;
  }
  result<net_fd*> made = open_socket(n, a);
  const bool no6 = !made && made.error() == std::errc::address_family_not_supported;
  if (no6 && family_wanted(n) == AF_UNSPEC && a.ip().is_unspecified()) {
    a = address(ip::v4({0, 0, 0, 0}), a.port());
    made = open_socket(n, a);
  }
  if (!made) return made.error().wrap(words);
  detail::fd_handle h(*made);
  const int fd = h.get()->fd;
  if (family_of(a) == AF_INET6) {
    const bool both = a.ip().is_unspecified() && family_wanted(n) == AF_UNSPEC;
    set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, both ? 0 : 1);
  }
  if (!is_unix(n) && !is_datagram(n)) set_on(fd, SOL_SOCKET, SO_REUSEADDR);
  if (reuse_port) {
    if (const long r = set_on(fd, SOL_SOCKET, SO_REUSEPORT); r < 0) return sys_error(r).wrap(words);
  }
  result<sock_addr> s = to_sock_addr(a);
  if (!s) return s.error().wrap(words);
  if (const long r = sys(SYS_bind, fd, s->get(), s->len); r < 0) return sys_error(r).wrap("bind").wrap(words);
  h.get()->local = name_of(fd, false);
  if (is_unix(n) && !addr.empty() && addr[0] != '@') h.get()->unlink_path = addr;
  return h;
}

}  // namespace

result<listener> listen(network n, std::string_view addr, const listen_options& o) {
  if (is_datagram(n)) return error("listen " + std::string(n.string()) + ": datagrams: use listen_packet");
  result<detail::fd_handle> h = bound(n, addr, o.reuse_port);
  if (!h) return h.error();
  const int backlog = o.backlog > 0 ? o.backlog : kLongestQueue;
  if (const long r = sys(SYS_listen, h->get()->fd, backlog); r < 0) {
    return sys_error(r).wrap("listen " + std::string(n.string()) + ' ' + std::string(addr));
  }
  return listener(std::move(*h));
}

result<packet_conn> listen_packet(network n, std::string_view addr, const listen_options& o) {
  if (!is_datagram(n)) return error("listen " + std::string(n.string()) + ": a stream: use listen");
  result<detail::fd_handle> h = bound(n, addr, o.reuse_port);
  if (!h) return h.error();
  return packet_conn(std::move(*h));
}

// ---- sockets from elsewhere

namespace {

result<int> option_of(int fd, int name) {
  int v = 0;
  socklen_t len = sizeof v;
  const long r = sys(SYS_getsockopt, fd, SOL_SOCKET, name, &v, &len);
  if (r < 0) return sys_error(r);
  return v;
}

result<network> kind_of(int fd) {
  const result<int> domain = option_of(fd, SO_DOMAIN), type = option_of(fd, SO_TYPE),
                    protocol = option_of(fd, SO_PROTOCOL);
  for (const result<int>* r : {&domain, &type, &protocol}) {
    if (!*r) return r->error();
  }
  if (*domain == AF_UNIX) {
    if (*type == SOCK_SEQPACKET) return network(network::unix_packet);
    return network(*type == SOCK_DGRAM ? network::unix_gram : network::unix_stream);
  }
  if (*domain == AF_INET || *domain == AF_INET6) {
    if (*protocol == IPPROTO_TCP) return network(network::tcp);
    if (*protocol == IPPROTO_UDP) return network(network::udp);
  }
  return error(std::make_error_code(std::errc::protocol_not_supported));
}

// taken_over is a socket of ours now, of which SO_ACCEPTCONN is what is wanted.
result<detail::fd_handle> taken_over(int fd, bool listening) {
  const auto closing = [fd](const error& e) {
    sys(SYS_close, fd);
    return e.wrap("adopt");
  };
  result<network> n = kind_of(fd);
  if (!n) return closing(n.error());
  result<int> accepts = option_of(fd, SO_ACCEPTCONN);
  if (!accepts) return closing(accepts.error());
  if ((*accepts != 0) != listening) {
    return closing({std::make_error_code(std::errc::invalid_argument),
                    listening ? "the socket does not listen" : "the socket listens: use adopt_listener"});
  }
  const long flags = sys(SYS_fcntl, fd, F_GETFL);
  if (flags < 0) return closing(sys_error(flags));
  sys(SYS_fcntl, fd, F_SETFL, flags | O_NONBLOCK);
  sys(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
  result<net_fd*> made = net_fd::make(fd, *n);
  if (!made) return made.error().wrap("adopt");
  (*made)->local = name_of(fd, false);
  return detail::fd_handle(*made);
}

}  // namespace

result<conn> adopt(int fd) {
  result<detail::fd_handle> h = taken_over(fd, false);
  if (!h) return h.error();
  net_fd& f = *h->get();
  sock_addr peer;
  if (const long r = sys(SYS_getpeername, fd, peer.get(), &peer.len); r < 0)
    return sys_error(r).wrap("adopt");
  f.remote = from_sock_addr(peer);
  tune(f, {});
  conn c(std::move(*h));
  (void)c.native_handle();  // others know the number, or have copies
  return c;
}

result<listener> adopt_listener(int fd) {
  result<detail::fd_handle> h = taken_over(fd, true);
  if (!h) return h.error();
  return listener(std::move(*h));
}

result<std::vector<ip>> lookup_ip(const context& ctx, std::string_view host) {
  if (result<ip> literal = ip::parse(host)) return std::vector<ip>{*literal};
  result<std::vector<address>> all = lookup(ctx, std::string(host), {}, network::tcp);
  if (!all) return all.error();
  std::vector<ip> out;
  for (const address& a : *all) out.push_back(a.ip());
  return out;
}

}  // namespace net
}  // namespace GORT_ABI
}  // namespace gort

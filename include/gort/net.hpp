// SPDX-License-Identifier: Apache-2.0
// Sockets that park the goroutine, not the thread.                                                (Go: package net)
//
//   auto l = gort::net::listen("tcp", ":8080");         if (!l) return l.error();
//   while (auto c = l->accept()) gort::go([c = std::move(*c)]() mutable { serve(c); });
//
//   auto c = gort::net::dial("tcp", "localhost:8080", {.timeout = 2s});
//   c->set_timeout(5s);   (void)c->write("hello\n");
//
// Rules: one reader and one writer may use a conn at once (others wait for their turn). close() may come from anywhere and
// wakes both; the descriptor is released when they have left. A conn must outlive the calls on it: share it by reference
// inside an errgroup, else through a shared_ptr. One that was moved from is as a closed one. Errors name operation, network
// and addresses ("dial tcp 127.0.0.1:1: connect: connection refused"); a deadline that passed is error::timeout(), a closed
// conn is errc::closed.
// Works on goroutines and on any other thread (which then sleeps).
#pragma once
#include <gort/context.hpp>
#include <gort/io.hpp>
#include <gort/time.hpp>

#include <array>
#include <optional>
#include <vector>

namespace gort {
inline namespace GORT_ABI {
namespace os {
class file;
}
namespace net {

void unknown_network_use_tcp_udp_unix_unixgram_or_unixpacket();  // never defined: its name is the message

// network is the kind of a connection. From a literal, checked at compile time; from configuration, with parse.
class network {
 public:
  enum kind : unsigned char { tcp, tcp4, tcp6, udp, udp4, udp6, unix_stream, unix_gram, unix_packet };
  consteval network(const char* s) : k_(lookup(s)) {}
  constexpr network(kind k) noexcept : k_(k) {}
  [[nodiscard]] GORT_API static result<network> parse(std::string_view s);
  [[nodiscard]] constexpr kind value() const noexcept { return k_; }
  [[nodiscard]] constexpr std::string_view string() const noexcept { return names[k_]; }

 private:
  static constexpr std::string_view names[] = {"tcp",  "tcp4", "tcp6",     "udp",       "udp4",
                                               "udp6", "unix", "unixgram", "unixpacket"};
  static constexpr kind lookup(std::string_view s) {
    for (unsigned i = 0; i < std::size(names); ++i) {
      if (names[i] == s) return static_cast<kind>(i);
    }
    unknown_network_use_tcp_udp_unix_unixgram_or_unixpacket();
    return tcp;
  }
  kind k_;
};

// ip is an IPv4 or IPv6 address, with the number of its interface if it is link-local. The default is 0.0.0.0.
class GORT_API ip {
 public:
  constexpr ip() noexcept = default;
  [[nodiscard]] static result<ip> parse(std::string_view s);  // "192.0.2.1", "2001:db8::1", "fe80::1%eth0"
  [[nodiscard]] static ip v4(std::array<std::uint8_t, 4> b) noexcept;
  [[nodiscard]] static ip v6(std::array<std::uint8_t, 16> b, std::uint32_t scope = 0) noexcept;
  [[nodiscard]] bool is_v4() const noexcept { return v4_; }
  [[nodiscard]] bool is_unspecified() const noexcept;
  [[nodiscard]] bool is_loopback() const noexcept;
  [[nodiscard]] std::array<std::uint8_t, 16> bytes() const noexcept { return b_; }  // IPv4: the first four
  [[nodiscard]] std::uint32_t scope() const noexcept { return scope_; }
  [[nodiscard]] std::string string() const;
  friend auto operator<=>(const ip&, const ip&) = default;

 private:
  bool v4_ = true;
  std::array<std::uint8_t, 16> b_{};
  std::uint32_t scope_ = 0;
};

// address is where a socket is: IP address and port, or the path of a Unix socket (empty: unnamed; '@' in front: abstract).
class GORT_API address {
 public:
  address() = default;
  address(net::ip a, std::uint16_t port) noexcept : ip_(a), port_(port) {}
  [[nodiscard]] static result<address> parse(std::string_view hostport);  // "192.0.2.1:80", "[::1]:80"
  [[nodiscard]] static address unix_path(std::string path);
  [[nodiscard]] net::ip ip() const noexcept { return ip_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] bool is_unix() const noexcept { return unix_; }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }
  [[nodiscard]] std::string string() const;
  friend auto operator<=>(const address&, const address&) = default;

 private:
  net::ip ip_;
  std::uint16_t port_ = 0;
  bool unix_ = false;
  std::string path_;
};

namespace detail {
struct net_fd;
struct bound;
// fd_handle owns one net_fd. Moved from, it shows one that is closed.
class GORT_API fd_handle {
 public:
  explicit fd_handle(net_fd* p) noexcept : p_(p) {}
  fd_handle(fd_handle&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  fd_handle& operator=(fd_handle&& o) noexcept {
    fd_handle(std::move(o)).swap(*this);
    return *this;
  }
  ~fd_handle() {
    if (p_ != nullptr) drop(p_);
  }
  void swap(fd_handle& o) noexcept { std::swap(p_, o.p_); }
  [[nodiscard]] net_fd* get() const noexcept { return p_ != nullptr ? p_ : moved_from(); }

 private:
  static void drop(net_fd* p) noexcept;
  static net_fd* moved_from() noexcept;
  net_fd* p_;
};
template <class B>
struct buffers {
  static_assert(gort::detail::no<B>,
                "net::conn: to use Boost.Asio buffers include <gort/asio.hpp> before this call");
};
}  // namespace detail

inline constexpr gort::clock::time_point no_deadline = gort::clock::time_point::max();

// binding holds a context and a conn together; see conn::bind. Move-only.
class [[nodiscard]] GORT_API binding {
 public:
  binding(binding&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  binding& operator=(binding&&) = delete;
  ~binding() { stop(); }
  // stop parts them: true if the context had not ended calls before. Again: true.
  bool stop() noexcept;

 private:
  binding(const detail::fd_handle& h, const context& ctx);
  detail::bound* p_;
  friend class conn;
  friend class packet_conn;
};

// descriptor owns one that came from another process. Move-only.
class [[nodiscard]] GORT_API descriptor {
 public:
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(descriptor&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  descriptor& operator=(descriptor&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~descriptor();
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }  // now the caller's

 private:
  int fd_;
};

struct message {
  std::size_t n;  // bytes; 0: the end of the stream
  std::vector<descriptor> fds;
};

// conn is a connected stream (or a connected datagram socket: one read is one datagram). Move-only; closes itself.
class [[nodiscard]] GORT_API conn {
 public:
  explicit conn(detail::fd_handle h) noexcept : h_(std::move(h)) {}
  conn(conn&&) noexcept = default;
  conn& operator=(conn&&) noexcept = default;
  ~conn() = default;

  // read gives some bytes; 0 is the end of the stream (or b is empty).
  [[nodiscard]] result<std::size_t> read(io::bytes b);
  // write writes everything, or returns an error with an io_error: how far it came.
  result<std::size_t> write(io::const_bytes b);
  result<std::size_t> write(std::string_view s) { return write(io::as_bytes(s)); }
  [[nodiscard]] result<std::size_t> readv(std::span<const io::bytes> b);
  result<std::size_t> writev(std::span<const io::const_bytes> b);

  // A deadline holds for all later and current calls until it is changed; no_deadline takes it away. The calls then fail
  // with error::timeout(). set_timeout is a deadline for both directions, counted from now.
  template <class C, class D>
  void set_deadline(std::chrono::time_point<C, D> t) {
    set_deadline(3, gort::detail::to_tp(t));
  }
  template <class C, class D>
  void set_read_deadline(std::chrono::time_point<C, D> t) {
    set_deadline(1, gort::detail::to_tp(t));
  }
  template <class C, class D>
  void set_write_deadline(std::chrono::time_point<C, D> t) {
    set_deadline(2, gort::detail::to_tp(t));
  }
  template <class R, class P>
  void set_timeout(std::chrono::duration<R, P> d) {
    set_deadline(3, gort::detail::deadline_after(gort::detail::to_ns(d)));
  }
  // bind: once ctx ends, all calls on this conn fail with its error (errc::canceled, errc::deadline_exceeded), as long as
  // the binding lives; deadlines do not change that. Any number of contexts may be bound.
  binding bind(const context& ctx);

  // send_file sends n bytes of f from offset on, fewer if f ends before; f's own offset stays. The kernel does it without a
  // copy where it can. copy_from sends f from its offset to its end and moves the offset; io::copy(conn, file) uses it.
  result<std::uint64_t> send_file(os::file& f, std::uint64_t offset, std::uint64_t n);
  result<std::uint64_t> copy_from(os::file& f);

  // write_msg sends b and, with its first byte, descriptors: the peer gets copies of its own (Unix sockets only, at most
  // 253). read_msg is read that also takes descriptors; they are closed on exec. Those that come along with a plain read
  // are closed by the kernel.
  result<std::size_t> write_msg(io::const_bytes b, std::span<const int> fds);
  [[nodiscard]] result<message> read_msg(io::bytes b);

  error close() noexcept;                            // closing twice: errc::closed
  error close_write() noexcept;                      // the peer reads the end; reading goes on
  error set_no_delay(bool on);                       // on from the start
  error set_keep_alive(gort::clock::duration idle);  // 0 or less: off; whole seconds, rounded up
  [[nodiscard]] address local_addr() const;
  [[nodiscard]] address remote_addr() const;
  [[nodiscard]] int native_handle()
      const noexcept;  // the conn's, does not block; -1 once closed; reads cost a bit more then

  // Boost.Asio's SyncReadStream and SyncWriteStream; need <gort/asio.hpp>.
  template <class MB, class EC>
  std::size_t read_some(const MB& b, EC& ec) {
    return detail::buffers<MB>::read(*this, b, ec);
  }
  template <class MB>
  std::size_t read_some(const MB& b) {
    return detail::buffers<MB>::read(*this, b);
  }
  template <class CB, class EC>
  std::size_t write_some(const CB& b, EC& ec) {
    return detail::buffers<CB>::write(*this, b, ec);
  }
  template <class CB>
  std::size_t write_some(const CB& b) {
    return detail::buffers<CB>::write(*this, b);
  }

 private:
  void set_deadline(int mode, gort::clock::time_point t);
  detail::fd_handle h_;
};

// listener accepts connections. Any number of goroutines may wait in accept. A Unix listener removes its path when closed.
class [[nodiscard]] GORT_API listener {
 public:
  explicit listener(detail::fd_handle h) noexcept : h_(std::move(h)) {}
  listener(listener&&) noexcept = default;
  listener& operator=(listener&&) noexcept = default;
  ~listener() = default;

  // accept waits for a connection. Out of descriptors it waits, longer each time, up to a second, and tries again.
  [[nodiscard]] result<conn> accept();
  [[nodiscard]] result<conn> accept(const context& ctx);
  // A deadline for all accepts, now and later, until it is changed; they then fail with error::timeout().
  template <class C, class D>
  void set_deadline(std::chrono::time_point<C, D> t) {
    set_deadline_at(gort::detail::to_tp(t));
  }
  [[nodiscard]] address addr() const;
  error close() noexcept;                            // wakes all accepts with errc::closed
  [[nodiscard]] int native_handle() const noexcept;  // as conn's

 private:
  void set_deadline_at(gort::clock::time_point t);
  detail::fd_handle h_;
};

// packet_conn sends and receives datagrams.
class [[nodiscard]] GORT_API packet_conn {
 public:
  explicit packet_conn(detail::fd_handle h) noexcept : h_(std::move(h)) {}
  packet_conn(packet_conn&&) noexcept = default;
  packet_conn& operator=(packet_conn&&) noexcept = default;
  ~packet_conn() = default;

  struct packet {
    std::size_t n;  // what did not fit into the buffer is lost
    address from;
  };
  [[nodiscard]] result<packet> read_from(io::bytes b);
  result<std::size_t> write_to(io::const_bytes b, const address& to);
  // Deadlines, contexts and the descriptor: as conn's.
  template <class C, class D>
  void set_deadline(std::chrono::time_point<C, D> t) {
    set_deadline_at(3, gort::detail::to_tp(t));
  }
  template <class C, class D>
  void set_read_deadline(std::chrono::time_point<C, D> t) {
    set_deadline_at(1, gort::detail::to_tp(t));
  }
  template <class C, class D>
  void set_write_deadline(std::chrono::time_point<C, D> t) {
    set_deadline_at(2, gort::detail::to_tp(t));
  }
  template <class R, class P>
  void set_timeout(std::chrono::duration<R, P> d) {
    set_deadline_at(3, gort::detail::deadline_after(gort::detail::to_ns(d)));
  }
  binding bind(const context& ctx);
  [[nodiscard]] address local_addr() const;
  error close() noexcept;
  [[nodiscard]] int native_handle() const noexcept;

 private:
  void set_deadline_at(int mode, gort::clock::time_point t);
  detail::fd_handle h_;
};

struct dial_options {
  gort::clock::duration timeout{};                              // 0: none of its own; negative: over
  gort::clock::duration keep_alive = std::chrono::seconds(15);  // 0 or less: off
  gort::clock::duration fallback_delay =
      std::chrono::milliseconds(300);  // head start of the first address family
  bool no_delay = true;
  std::optional<address> local = {};
};
struct listen_options {
  int backlog = 0;  // 0: the system's limit
  bool reuse_port = false;
};

// dial connects to "host:port" or to a Unix path. A name may stand for several addresses: they are tried in turn, and the
// two families race, the second one with fallback_delay (RFC 6555). The first error is returned if all fail.
[[nodiscard]] GORT_API result<conn> dial(network n, std::string_view addr, const dial_options& o = {});
[[nodiscard]] GORT_API result<conn> dial(const context& ctx, network n, std::string_view addr,
                                         const dial_options& o = {});
// listen: ":8080" and "[::]:8080" take both families with "tcp"; port 0 chooses one, see listener::addr.
[[nodiscard]] GORT_API result<listener> listen(network n, std::string_view addr,
                                               const listen_options& o = {});
// listen_packet has no backlog: that option says nothing here.
[[nodiscard]] GORT_API result<packet_conn> listen_packet(network n, std::string_view addr,
                                                         const listen_options& o = {});
// adopt makes a conn of a connected socket that came from elsewhere (conn::read_msg, another library); adopt_listener a
// listener of one that listens (socket activation). Both find out what it is, take the descriptor over, also when they fail,
// and make it not block and close on exec; the former holds for all copies of it. A Unix listener's path stays when closed.
[[nodiscard]] GORT_API result<conn> adopt(int fd);
[[nodiscard]] GORT_API result<listener> adopt_listener(int fd);
// lookup_ip asks the system's resolver (on a thread of its own, at most 64 at once). When ctx ends it returns; the
// resolver's own work goes on behind.
[[nodiscard]] GORT_API result<std::vector<ip>> lookup_ip(const context& ctx, std::string_view host);

}  // namespace net
}  // namespace GORT_ABI
}  // namespace gort

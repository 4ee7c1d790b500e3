// SPDX-License-Identifier: Apache-2.0
// Networks, addresses, names.                                          (Go: net/ip.go, ipsock.go, unixsock.go, net/netip)
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstddef>

#include "api/net_fd.hpp"

namespace gort {
inline namespace GORT_ABI {
namespace net {

namespace {

error bad(std::string_view what, std::string_view text) {
  std::string words(what);
  words += " \"";
  words += text;
  words += '"';
  return error(errc::bad_address).wrap(words);
}

bool all_zero(const std::array<std::uint8_t, 16>& b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    if (b[i] != 0) return false;
  }
  return true;
}

// scope_of reads what stands behind '%': a number or the name of an interface.
bool scope_of(std::string_view s, std::uint32_t& scope) {
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), scope);
  if (ec == std::errc() && end == s.data() + s.size()) return scope != 0;
  scope = if_nametoindex(std::string(s).c_str());
  return scope != 0;
}

}  // namespace

result<network> network::parse(std::string_view s) {
  for (unsigned i = 0; i < std::size(names); ++i) {
    if (names[i] == s) return network(static_cast<kind>(i));
  }
  return error("unknown network \"" + std::string(s) +
               "\"; there are tcp, tcp4, tcp6, udp, udp4, udp6, unix, unixgram, unixpacket");
}

// ---- ip

result<ip> ip::parse(std::string_view s) {
  if (has_nul(s)) return bad("invalid IP address", s);
  ip a;
  const std::size_t percent = s.find('%');
  const std::string text(s.substr(0, percent));
  if (percent == s.npos && inet_pton(AF_INET, text.c_str(), a.b_.data()) == 1) return a;
  a.v4_ = false;
  if (inet_pton(AF_INET6, text.c_str(), a.b_.data()) != 1) return bad("invalid IP address", s);
  if (percent != s.npos && !scope_of(s.substr(percent + 1), a.scope_))
    return bad("invalid zone of IP address", s);
  return a;
}

ip ip::v4(std::array<std::uint8_t, 4> b) noexcept {
  ip a;
  for (std::size_t i = 0; i < b.size(); ++i) a.b_[i] = b[i];
  return a;
}

ip ip::v6(std::array<std::uint8_t, 16> b, std::uint32_t scope) noexcept {
  ip a;
  a.v4_ = false;
  a.b_ = b;
  a.scope_ = scope;
  return a;
}

bool ip::is_unspecified() const noexcept { return all_zero(b_, v4_ ? 4 : 16); }

bool ip::is_loopback() const noexcept { return v4_ ? b_[0] == 127 : all_zero(b_, 15) && b_[15] == 1; }

std::string ip::string() const {
  char text[INET6_ADDRSTRLEN];
  if (inet_ntop(v4_ ? AF_INET : AF_INET6, b_.data(), text, sizeof text) == nullptr) return "?";
  std::string s = text;
  if (scope_ != 0) {
    char name[IF_NAMESIZE];
    s += '%';
    s += if_indextoname(scope_, name) != nullptr ? std::string(name) : std::to_string(scope_);
  }
  return s;
}

// ---- address

result<host_and_port> split_host_port(std::string_view addr) {
  if (has_nul(addr)) return bad("NUL in address", addr);
  const std::size_t colon = addr.rfind(':');
  if (colon == addr.npos) return bad("missing port in address", addr);
  host_and_port p{addr.substr(0, colon), addr.substr(colon + 1)};
  if (addr[0] == '[') {
    const std::size_t end = addr.find(']');
    if (end == addr.npos) return bad("missing ']' in address", addr);
    if (end + 1 != colon) {
      const bool colons = end + 1 < addr.size() && addr[end + 1] == ':';
      return bad(colons ? "too many colons in address" : "missing port in address", addr);
    }
    p.host = addr.substr(1, end - 1);
  } else if (p.host.find(':') != p.host.npos) {
    return bad("too many colons in address (use [host]:port)", addr);
  }
  if (p.host.find('[') != p.host.npos) return bad("unexpected '[' in address", addr);
  if (p.host.find(']') != p.host.npos) return bad("unexpected ']' in address", addr);
  if (p.port.empty()) return bad("missing port in address", addr);
  return p;
}

// getaddrinfo reads a port as strtoul does: blanks, signs. So it is asked for what looks like a name only.
result<std::optional<std::uint16_t>> port_number(std::string_view s, std::string_view addr) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto printable = [](char c) { return c > ' ' && c < 0x7f; };
  if (letter(s[0]) && std::all_of(s.begin(), s.end(), printable)) return std::optional<std::uint16_t>();
  std::uint16_t port = 0;
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), port);
  if (ec != std::errc() || end != s.data() + s.size()) return bad("invalid port in address", addr);
  return std::optional(port);
}

result<address> address::parse(std::string_view hostport) {
  result<host_and_port> p = split_host_port(hostport);
  if (!p) return p.error();
  result<std::optional<std::uint16_t>> port = port_number(p->port, hostport);
  if (!port) return port.error();
  if (!*port) return bad("invalid port in address", hostport);
  result<net::ip> a = ip::parse(p->host);
  if (!a) return a.error();
  return address(*a, **port);
}

address address::unix_path(std::string path) {
  address a;
  a.unix_ = true;
  a.path_ = std::move(path);
  return a;
}

std::string address::string() const {
  if (unix_) return path_;
  const std::string port = ':' + std::to_string(port_);
  return ip_.is_v4() ? ip_.string() + port : '[' + ip_.string() + ']' + port;
}

// ---- the kernel's form

result<sock_addr> to_sock_addr(const address& a) {
  sock_addr s;
  if (a.is_unix()) {
    auto* un = reinterpret_cast<sockaddr_un*>(&s.storage);
    un->sun_family = AF_UNIX;
    const bool abstract = a.path().starts_with('@');  // the name has a length: NULs are as good as any
    if (!abstract && has_nul(a.path())) return bad("NUL in the path of a Unix socket", a.path());
    if (a.path().size() >= sizeof un->sun_path) return bad("too long a path for a Unix socket", a.path());
    a.path().copy(un->sun_path, sizeof un->sun_path - 1);
    s.len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + a.path().size());
    if (!a.path().empty()) {
      if (abstract) un->sun_path[0] = 0;
      if (!abstract) ++s.len;  // its final zero
    }
    return s;
  }
  const auto b = a.ip().bytes();
  if (a.ip().is_v4()) {
    auto* in = reinterpret_cast<sockaddr_in*>(&s.storage);
    in->sin_family = AF_INET;
    in->sin_port = htons(a.port());
    __builtin_memcpy(&in->sin_addr, b.data(), 4);
    s.len = sizeof *in;
  } else {
    auto* in = reinterpret_cast<sockaddr_in6*>(&s.storage);
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(a.port());
    __builtin_memcpy(&in->sin6_addr, b.data(), 16);
    in->sin6_scope_id = a.ip().scope();
    s.len = sizeof *in;
  }
  return s;
}

address from_sock_addr(const sock_addr& s) {
  switch (s.storage.ss_family) {
    case AF_INET: {
      const auto* in = reinterpret_cast<const sockaddr_in*>(&s.storage);
      std::array<std::uint8_t, 4> b;
      __builtin_memcpy(b.data(), &in->sin_addr, 4);
      return {ip::v4(b), ntohs(in->sin_port)};
    }
    case AF_INET6: {
      const auto* in = reinterpret_cast<const sockaddr_in6*>(&s.storage);
      std::array<std::uint8_t, 16> b;
      __builtin_memcpy(b.data(), &in->sin6_addr, 16);
      const bool mapped =
          all_zero(b, 10) && b[10] == 0xff && b[11] == 0xff;  // IPv4 on a socket of both families
      if (mapped) return {ip::v4({b[12], b[13], b[14], b[15]}), ntohs(in->sin6_port)};
      return {ip::v6(b, in->sin6_scope_id), ntohs(in->sin6_port)};
    }
    case AF_UNIX: {
      const auto* un = reinterpret_cast<const sockaddr_un*>(&s.storage);
      const std::size_t n = s.len - offsetof(sockaddr_un, sun_path);
      if (s.len <= offsetof(sockaddr_un, sun_path)) return address::unix_path({});
      if (un->sun_path[0] == 0) return address::unix_path('@' + std::string(un->sun_path + 1, n - 1));
      return address::unix_path(std::string(un->sun_path, strnlen(un->sun_path, n)));
    }
    default:
      return {};
  }
}

}  // namespace net
}  // namespace GORT_ABI
}  // namespace gort

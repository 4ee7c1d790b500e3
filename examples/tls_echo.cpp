// SPDX-License-Identifier: Apache-2.0
// TLS over net::conn, with OpenSSL: an echo server and its clients, each on its own goroutine.
//
// OpenSSL never sees the socket. It works on two buffers in memory (BIOs): what it wants to send is written to the conn,
// what it waits for is read from the conn, and these two calls park the goroutine. tls_stream is an io::reader and an
// io::writer, so io::buffered and io::copy work on it as on the conn itself. (asio::ssl::stream asks its next layer for an
// executor, and a conn has none: it does not need one.)
//
// What to look at: drive(), the loop around every call of OpenSSL. Its error queue belongs to the thread, so what failed is
// read from it before anything parks.
//
// RUN:
// STDOUT: ^8 clients, 400 lines echoed over TLSv1\.3$
// STDOUT: ^a stranger's certificate is refused: tls handshake: .*certificate verify failed
#include <gort/gort.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>

namespace {

namespace io = gort::io;
namespace net = gort::net;

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* p) const {
    Free(p);
  }
};
using ssl_ptr = std::unique_ptr<SSL, freed_by<SSL_free>>;
using ssl_ctx = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using cert_ptr = std::unique_ptr<X509, freed_by<X509_free>>;

gort::error tls_error(const char* what) {
  const unsigned long code = ERR_get_error();
  const char* reason = ERR_reason_error_string(code);
  return gort::error(std::string_view(reason != nullptr ? reason : "the stream is broken")).wrap(what);
}

// tls_stream is TLS on a conn that outlives it. For one goroutine at a time: an SSL object has no lock.
class tls_stream {
 public:
  tls_stream(net::conn& c, SSL_CTX* ctx) : conn_(c), ssl_(SSL_new(ctx)) {
    in_ = BIO_new(BIO_s_mem());
    out_ = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl_.get(), in_, out_);  // they belong to ssl_ now
  }
  gort::error accept() {
    return drive("tls handshake", [this] { return SSL_accept(ssl_.get()); }).error();
  }
  // connect wants the server's certificate to be one for `host`.
  gort::error connect(const char* host) {
    SSL_set1_host(ssl_.get(), host);
    SSL_set_tlsext_host_name(ssl_.get(), host);
    return drive("tls handshake", [this] { return SSL_connect(ssl_.get()); }).error();
  }
  // read gives some bytes; 0: the peer has said that it is done. A connection that just ends is an error.
  gort::result<std::size_t> read(io::bytes b) {
    return drive("tls read", [&] { return SSL_read(ssl_.get(), b.data(), static_cast<int>(b.size())); });
  }
  gort::result<std::size_t> write(io::const_bytes b) {
    if (b.empty()) return std::size_t{0};
    return drive("tls write", [&] { return SSL_write(ssl_.get(), b.data(), static_cast<int>(b.size())); });
  }
  // shutdown says that nothing more will come.
  gort::error shutdown() {
    SSL_shutdown(ssl_.get());
    return flush();
  }
  [[nodiscard]] const char* version() const { return SSL_get_version(ssl_.get()); }

 private:
  template <class F>
  gort::result<std::size_t> drive(const char* what, F call) {
    for (;;) {
      ERR_clear_error();
      const int n = call();
      const int why = SSL_get_error(ssl_.get(), n);
      const bool failed = why == SSL_ERROR_SSL || why == SSL_ERROR_SYSCALL;
      gort::error broken = failed ? tls_error(what) : gort::error();
      if (gort::error e = flush(); e || failed) return failed ? broken : e.wrap(what);
      if (why == SSL_ERROR_NONE) return static_cast<std::size_t>(n);
      if (why == SSL_ERROR_ZERO_RETURN) return std::size_t{0};
      if (gort::error e = fill()) return e.wrap(what);  // SSL_ERROR_WANT_READ: memory takes every write
    }
  }
  // flush sends what OpenSSL has written.
  gort::error flush() {
    std::byte buf[4096];
    for (;;) {
      const int n = BIO_read(out_, buf, sizeof buf);
      if (n <= 0) return {};
      if (auto w = conn_.write(io::const_bytes(buf, static_cast<std::size_t>(n))); !w) return w.error();
    }
  }
  // fill gives OpenSSL what has come.
  gort::error fill() {
    std::byte buf[4096];
    auto n = conn_.read(buf);
    if (!n) return n.error();
    if (*n == 0) return gort::error(gort::errc::eof).wrap("unexpected");
    BIO_write(in_, buf, static_cast<int>(*n));
    return {};
  }

  net::conn& conn_;
  ssl_ptr ssl_;
  BIO *in_, *out_;
};
static_assert(io::reader<tls_stream> && io::writer<tls_stream>);

// A certificate that signs itself, good for an hour.
cert_ptr self_signed(EVP_PKEY* key, const char* host) {
  cert_ptr x(X509_new());
  X509_set_version(x.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(x.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(x.get()), 3600);
  X509_NAME* name = X509_get_subject_name(x.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(host), -1, -1,
                             0);
  X509_set_issuer_name(x.get(), name);
  X509_set_pubkey(x.get(), key);
  X509_sign(x.get(), key, EVP_sha256());
  return x;
}

ssl_ctx client_ctx(X509* trusted) {  // nullptr: nobody
  ssl_ctx ctx(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_PEER, nullptr);
  if (trusted != nullptr) X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx.get()), trusted);
  return ctx;
}

void serve(net::conn c, SSL_CTX* ctx) {
  tls_stream tls(c, ctx);
  if (tls.accept()) return;
  if (auto copied = io::copy(tls, tls)) (void)tls.shutdown();
}

gort::error client(const std::string& where, SSL_CTX* ctx, int lines, std::atomic<int>& echoed,
                   std::string& version) {
  auto c = net::dial("tcp", where);
  if (!c) return c.error();
  tls_stream tls(*c, ctx);
  if (gort::error e = tls.connect("localhost")) return e;
  io::buffered in(tls);
  for (int i = 0; i < lines; ++i) {
    const std::string line =
        "line " + std::to_string(i) + std::string(static_cast<std::size_t>(i) * 400, '.') + "\n";
    if (auto w = tls.write(io::as_bytes(line)); !w) return w.error();
    auto back = in.read_until('\n');
    if (!back) return back.error();
    if (*back == line) ++echoed;
  }
  version = tls.version();
  return tls.shutdown();
}

gort::error program() {
  const key_ptr key(EVP_EC_gen("P-256"));
  const cert_ptr cert = self_signed(key.get(), "localhost");
  const ssl_ctx server(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_use_certificate(server.get(), cert.get());
  SSL_CTX_use_PrivateKey(server.get(), key.get());
  const ssl_ctx trusting = client_ctx(cert.get()), wary = client_ctx(nullptr);

  auto l = net::listen("tcp", "127.0.0.1:0");
  if (!l) return l.error();
  gort::wait_group sessions;
  sessions.go([&] {
    while (auto c = l->accept()) sessions.go(serve, std::move(*c), server.get());
  });
  const gort::defer closing{[&] { (void)l->close(); }};

  constexpr int kClients = 8, kLines = 50;
  std::atomic<int> echoed{0};
  std::string where = l->addr().string(), versions[kClients], none;
  gort::errgroup clients;
  for (std::string& v : versions) {
    clients.go([&] { return client(where, trusting.get(), kLines, echoed, v); });
  }
  if (gort::error e = clients.wait()) return e;
  std::printf("%d clients, %d lines echoed over %s\n", kClients, echoed.load(), versions[0].c_str());
  const gort::error refused = client(where, wary.get(), 1, echoed, none);
  std::printf("a stranger's certificate is refused: %s\n", refused.message().c_str());
  return {};
}

}  // namespace

int main() { return gort::run(program); }

// SPDX-License-Identifier: Apache-2.0
// libcurl: argv[1] goroutines, each with a transfer of argv[2]/N, which answers slowly with N.
#include <curl/curl.h>

#include <string>

#include "real.hpp"

namespace {

std::size_t append(char* p, std::size_t size, std::size_t n, void* to) {
  static_cast<std::string*>(to)->append(p, size * n);
  return size * n;
}

}  // namespace

int main(int, char** argv) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  const std::string where = argv[2];
  return concurrently(std::atoi(argv[1]), [=](int i) {
    CURL* c = curl_easy_init();
    std::string body;
    curl_easy_setopt(c, CURLOPT_URL, (where + "/" + std::to_string(i)).c_str());
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &body);
    const CURLcode r = curl_easy_perform(c);
    const bool good = r == CURLE_OK && body == std::to_string(i);
    if (!good) std::fprintf(stderr, "%d: %s, \"%s\"\n", i, curl_easy_strerror(r), body.c_str());
    curl_easy_cleanup(c);
    return good;
  });
}

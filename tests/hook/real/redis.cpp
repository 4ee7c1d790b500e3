// SPDX-License-Identifier: Apache-2.0
// hiredis: argv[1] goroutines, each with a connection to port argv[2] and a command that waits for a second.
#include <hiredis.h>

#include "real.hpp"

int main(int, char** argv) {
  const int port = std::atoi(argv[2]);
  return concurrently(std::atoi(argv[1]), [=](int i) {
    redisContext* c = redisConnect("127.0.0.1", port);
    bool good = c != nullptr && c->err == 0;
    if (good) {
      auto* waited = static_cast<redisReply*>(redisCommand(c, "BLPOP nothing%d 1", i));
      auto* echo = static_cast<redisReply*>(redisCommand(c, "ECHO %d", i));
      good = waited != nullptr && waited->type == REDIS_REPLY_NIL && echo != nullptr &&
             echo->type == REDIS_REPLY_STRING && std::atoi(echo->str) == i;
      freeReplyObject(waited);
      freeReplyObject(echo);
    }
    if (!good) std::fprintf(stderr, "%d: %s\n", i, c != nullptr ? c->errstr : "no memory");
    redisFree(c);
    return good;
  });
}

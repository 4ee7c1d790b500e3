// SPDX-License-Identifier: Apache-2.0
// libpq: argv[1] goroutines, each with a connection to argv[2], of which each asks for one slow answer.
#include <libpq-fe.h>

#include <cstring>

#include "real.hpp"

int main(int, char** argv) {
  const char* where = argv[2];
  return concurrently(std::atoi(argv[1]), [=](int i) {
    PGconn* c = PQconnectdb(where);
    bool good = PQstatus(c) == CONNECTION_OK;
    if (!good) std::fprintf(stderr, "%d: %s", i, PQerrorMessage(c));
    if (good) {
      const std::string query = "select pg_sleep(0.2), " + std::to_string(i);
      PGresult* r = PQexec(c, query.c_str());
      good = PQresultStatus(r) == PGRES_TUPLES_OK && std::atoi(PQgetvalue(r, 0, 1)) == i;
      if (!good) std::fprintf(stderr, "%d: %s", i, PQerrorMessage(c));
      PQclear(r);
    }
    PQfinish(c);
    return good;
  });
}

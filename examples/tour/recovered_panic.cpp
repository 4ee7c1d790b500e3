// SPDX-License-Identifier: Apache-2.0
// Panics: a bug in one request does not take the server down.
//
// What to look at: as in Go, deferred functions and the handler run while the panic is under way, on top of its stack, last
// one first; once the panic is recovered the frames in between are left, and their destructors run. `recover` turns the
// panic into the function's result; a C++ exception takes the same road.
//
// RUN:
// STDOUT: \Arequest 1: ok \(10\)$
// STDOUT: ^request 0: deferred: log the end$
// STDOUT: ^request 0: panicked: division by zero$
// STDOUT: ^request 0: destructor: transaction rolled back$
// STDOUT: ^request 0: failed \(-1\)$
// STDOUT: ^request 2: ok \(5\)$
// STDOUT: ^parse: vector::_M_range_check
// STDOUT: ^3 requests served, 1 failed, the process lives$
#include <gort/gort.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace {

struct transaction {
  int request;
  bool committed = false;
  ~transaction() {
    if (!committed) std::printf("request %d: destructor: transaction rolled back\n", request);
  }
};

int divide(int a, int b) {
  if (b == 0) gort::panic("division by zero");
  return a / b;
}

int compute(int request) {
  transaction t{request};
  const int result = divide(10, request);
  t.committed = true;
  return result;
}

// handle is where a panic stops: the border of a request.
int handle(int request) {
  return gort::func<int>([&](auto& fn) {
    fn.recover([&](const gort::panic_info& p) {
      std::printf("request %d: panicked: %s\n", request, p.message().c_str());
      return -1;  // func's result
    });
    if (request == 0) fn.defer([] { std::puts("request 0: deferred: log the end"); });
    return compute(request);
  });
}

// catch_panic makes an error of a panic or of a C++ exception.
gort::result<int> parse(const std::vector<int>& v) {
  return gort::catch_panic([&] { return v.at(7); });
}

void program() {
  auto answers = gort::make_chan<int>();
  gort::go([=] {
    auto closing = answers.close_on_exit();
    for (int request : {1, 0, 2}) {
      const int r = handle(request);
      std::printf("request %d: %s (%d)\n", request, r < 0 ? "failed" : "ok", r);
      answers.send(r);
    }
  });
  int served = 0, failed = 0;
  for (int r : answers) {
    ++served;
    failed += r < 0 ? 1 : 0;
  }
  if (auto n = parse({1, 2, 3}); !n) std::printf("parse: %s\n", n.error().message().c_str());
  std::printf("%d requests served, %d failed, the process lives\n", served, failed);
}

}  // namespace

int main() { return gort::run(program); }

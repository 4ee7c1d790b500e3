// SPDX-License-Identifier: Apache-2.0
// Stack texts and dumps behind gort::debug and gort::runtime::stack.
#include "diag/debug.hpp"

#include <errno.h>
#include <gort/error.hpp>
#include <gort/runtime.hpp>

#include "api/panic_api.hpp"
#include "os/mem_linux.hpp"
#include "os/os_linux.hpp"
#include "sched/proc.hpp"
#include "sched/runtime1.hpp"

namespace gort {
inline namespace GORT_ABI {

namespace {

// What a dump may need at most; address space only until it is written.
constexpr std::size_t kOneStackBytes = 1 << 20, kAllStacksBytes = std::size_t{256} << 20;

struct FdSink {
  int fd;
  long error = 0;
  static void write(void* self, const char* s, std::size_t n) {
    auto& f = *static_cast<FdSink*>(self);
    while (n > 0 && f.error == 0) {
      const long k = rt::os::write(f.fd, s, n);
      if (k == -EINTR) continue;
      if (k <= 0) {
        f.error = k == 0 ? -EIO : k;
        return;
      }
      s += k;
      n -= static_cast<std::size_t>(k);
    }
  }
};

}  // namespace

std::string stack_text(const rt::Regs* start, bool all) {
  rt::Entry entry;
  const std::size_t cap = all ? kAllStacksBytes : kOneStackBytes;
  void* room = rt::os::sysAlloc(cap);
  if (room == nullptr) return {};
  rt::FixedBuffer buf{static_cast<char*>(room), cap};
  rt::dumpStacks(rt::FixedBuffer::write, &buf, start != nullptr ? *start : rt::callerRegs(), all);
  std::string s(buf.data, buf.len);
  rt::os::sysFree(room, cap);
  return s;
}

namespace runtime {

std::string stack(bool all) {
  const rt::Regs here = rt::callerRegs();
  return stack_text(&here, all);
}

}  // namespace runtime

namespace debug {

void print_stack() {
  rt::Entry entry;
  FdSink sink{2};
  rt::dumpStacks(FdSink::write, &sink, rt::callerRegs(), false);
}

error dump_goroutines(int fd) {
  rt::Entry entry;
  FdSink sink{fd};
  rt::dumpStacks(FdSink::write, &sink, rt::callerRegs(), true);
  if (sink.error == 0) return {};
  return error(std::error_code(static_cast<int>(-sink.error), std::system_category()))
      .wrap("dump_goroutines");
}

error set_traceback(std::string_view level) {
  rt::Entry entry;
  if (rt::setTraceback(level.data(), level.size())) return {};
  return error(std::make_error_code(std::errc::invalid_argument)).wrap("set_traceback");
}

}  // namespace debug

}  // namespace GORT_ABI
}  // namespace gort

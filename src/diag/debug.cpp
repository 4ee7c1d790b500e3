// SPDX-License-Identifier: Apache-2.0
// Goroutine dumps of a living process; contract in debug.hpp.
// The level of detail is GOTRACEBACK's, but at least 1: who asks for a dump wants one.
#include "diag/debug.hpp"

#include "sched/panic_print.hpp"
#include "sched/proc.hpp"

namespace gort::rt {

void dumpStacks(WriteFn write, void* arg, const Regs& start, bool all) {
  struct Job {
    WriteFn write;
    void* arg;
    const Regs& start;
    const G* gp;
    bool all;
  } job{write, arg, start, getg(), all};
  if (all) stopTheWorld("all goroutines stack trace");
  onDeepStack(
      [](void* p) {
        const Job& j = *static_cast<Job*>(p);
        TraceLevel t = traceLevel();
        if (t.level < 1) t.level = 1;
        Printer w(j.write, j.arg);
        goroutineheader(w, j.gp, t);
        traceback(w, j.start, boundsOf(j.gp), t);
        printcreatedby(w, j.gp);
        if (j.all) tracebackothers(w, j.gp, t);
      },
      &job);
  if (all) startTheWorld();
}

}  // namespace gort::rt

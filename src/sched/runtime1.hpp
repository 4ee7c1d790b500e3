// SPDX-License-Identifier: Apache-2.0
// The environment variables GODEBUG, GOMAXPROCS and GOTRACEBACK, parsed once at start.     (Go: runtime1.go)
// A later run may bring more settings; the numbers are read relaxed by whoever runs meanwhile.
#pragma once
#include "base/types.hpp"

namespace gort::rt {

struct DebugVars {
  int32 schedtrace = 0;  // ms between lines, 0: off
  int32 scheddetail = 0;
  int32 panicnil = 0;
  int32 asyncpreemptoff = 0;
  int64 stallNs = 0;     // report goroutines that keep a P for longer; 0: off
  int32 iouring = 1;     // 0: never; 2: for every operation on a regular file
  int32 pidfd = 1;       // 0: children are waited for without one
  int32 rwnosignal = 1;  // 0: writes to pipes without RWF_NOSIGNAL; set by who finds that the kernel has none
  bool sim = false, chaos = false;
  uint64 simSeed = 0, chaosSeed = 0;
};
extern DebugVars debug;

// parseDebugVars reads GODEBUG, then `extra` (run_options.godebug; wins). Unknown names are ignored, as Go does; a value
// that is not a number is reported on stderr and ignored.
void parseDebugVars(const char* extra, std::size_t extraLen);
// parseMoreDebugVars reads the settings of a second run.   Requires: debugVarOfTheBoot(extra, extraLen) == nullptr.
void parseMoreDebugVars(const char* extra, std::size_t extraLen);
// debugVarOfTheBoot finds a setting that only the boot can act on; nullptr: there is none.
const char* debugVarOfTheBoot(const char* extra, std::size_t extraLen);
void parseTraceback();                      // GOTRACEBACK
int32 gotraceback(bool* all, bool* crash);  // level for this moment; crash: raise SIGABRT at the end
bool setTraceback(const char* level,
                  std::size_t n);  // debug::set_traceback: can only raise; false: unknown word
int32 defaultProcs();              // GOMAXPROCS, else affinity and cgroup limit

}  // namespace gort::rt

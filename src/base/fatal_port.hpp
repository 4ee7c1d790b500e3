// SPDX-License-Identifier: Apache-2.0
// Port "fatal": how any floor ends the process. Defined by the sched floor (panic_print.cpp); tests link fakes.
// Three words, as in Go: panic (the user may recover; lang floor), fatal (the user's fault, cannot), throw_ (ours).
#pragma once

namespace gort::rt {

// throw_ reports a broken invariant of the runtime: "fatal error: " + text, all goroutines, exit status 2.
// Runs on: any stack. Never returns.
[[noreturn]] void throw_(const char* text);
// fatal reports the user's mistake that cannot be recovered; runtime frames are hidden. Never returns.
[[noreturn]] void fatal(const char* text);

}  // namespace gort::rt

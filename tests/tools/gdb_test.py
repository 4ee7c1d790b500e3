# SPDX-License-Identifier: Apache-2.0
"""tools/gdb/gort.py lists goroutines and shows the stack of a parked one, without debug information of Gort."""
import os
import re
import shutil
import subprocess
import unittest

import support
from support import ROOT, TreeTest

PROGRAM = """
#include <gort/gort.hpp>
__attribute__((noinline)) void wait_here(gort::chan<int> c) { c.recv(); asm volatile(""); }
__attribute__((noinline)) void stop_here() { asm volatile(""); }
int main() {
  return gort::run([] {
    auto c = gort::make_chan<int>();
    gort::go({.name = "waiter"}, [=] { wait_here(c); });
    while (gort::runtime::num_goroutine() < 2) gort::yield();
    for (int i = 0; i < 10; ++i) gort::yield();
    stop_here();
  });
}
"""


@unittest.skipUnless(shutil.which("gdb"), "gdb is not installed")
class Gdb(TreeTest):
    def test_list_and_backtrace(self):
        library = os.path.join(os.environ.get("GORT_BUILD_DIR", os.path.join(ROOT, "build", "release")), "libgort.a")
        if not os.path.exists(library):
            self.skipTest(f"{library} is not built")
        source = self.put("t.cpp", PROGRAM)
        built = self.run_tool("g++", "-std=c++20", "-O1", "-g", "-fno-omit-frame-pointer", f"-I{ROOT}/include", source, library,
                              "-pthread", "-o", "t")
        self.assertEqual(built.returncode, 0, built.stderr)
        script = os.path.join(ROOT, "tools", "gdb", "gort.py")
        first = self.gdb(script, "info goroutines")
        self.assertTrue(re.search(r'^  (\d+) chan receive "waiter" .*\(started at .*t\.cpp:8\)$', first, re.M), first)
        self.assertRegex(first, r"(?m)^\* 1 running ")
        second = self.gdb(script, "goroutine all bt", "bt 2", "goroutine 999 bt")
        self.assertRegex(second, r"wait_here")
        self.assertRegex(second, r"stop_here")  # the registers are back
        self.assertIn("no goroutine 999", second)

    def gdb(self, script, *commands):
        args = ["gdb", "-q", "-batch", "-nx", "-ex", f"source {script}", "-ex", "set auto-load off", "-ex", "break stop_here",
                "-ex", "run"]
        for c in commands:
            args += ["-ex", c]
        done = subprocess.run([*args, "./t"], capture_output=True, text=True, cwd=self.root, timeout=120,
                              stdin=subprocess.DEVNULL)
        return done.stdout + done.stderr


if __name__ == "__main__":
    support.main()

# SPDX-License-Identifier: Apache-2.0
"""tlscheck finds what it should in the output of every compiler there is, and nothing in clean code."""
import os
import shutil
import unittest

from support import ROOT, TreeTest

SAMPLE = """
#include <cerrno>
namespace gort { inline namespace v1 { void yield() noexcept; } }
thread_local int counter[4];
void wrapper();
int stale_errno(int i) { errno = 3; gort::yield(); if (errno == i) return 1; errno = 5; return 0; }
int stale_variable(int i) { counter[i]++; gort::yield(); counter[i]++; return counter[i]; }
__attribute__((noinline)) void inner() { gort::yield(); asm volatile(""); }
int stale_through_caller(int i) { errno = 4; inner(); return errno == i; }
int clean_before(int i) { counter[i]++; int r = counter[i]; gort::yield(); return r; }
int clean_after(int i) { gort::yield(); return ++counter[i]; }
int clean_other_call(int i) { counter[i]++; wrapper(); return ++counter[i]; }
"""


class TlsCheck(TreeTest):
    def check(self, *flags):
        source = self.put("t.cpp", SAMPLE)
        results = []
        for compiler in ("g++", "clang++-14"):
            if not shutil.which(compiler):
                continue
            built = self.run_tool(compiler, "-std=c++20", "-O2", *flags, "-c", source, "-o", "t.o")
            self.assertEqual(built.returncode, 0, built.stderr)
            results.append(self.run_tool("python3", os.path.join(ROOT, "tools", "tlscheck.py"), "t.o"))
        self.assertTrue(results, "no compiler")
        return results

    def test_position_independent_code_keeps_variable_and_errno(self):
        for r in self.check("-fPIC"):
            self.assertEqual(r.returncode, 1, r.stdout)
            for name in ("stale_errno", "stale_variable", "stale_through_caller"):
                self.assertIn(name, r.stdout)
            self.assertNotIn("clean", r.stdout)

    def test_executable_code_keeps_errno_only(self):
        for r in self.check("-fno-pic"):
            self.assertIn("stale_errno", r.stdout)
            self.assertNotIn("stale_variable", r.stdout)
            self.assertNotIn("clean", r.stdout)

    def test_bad_file_is_named(self):
        r = self.run_tool("python3", os.path.join(ROOT, "tools", "tlscheck.py"), "no-such-file.o")
        self.assertNotEqual(r.returncode, 0)
        self.assertIn("no-such-file.o", r.stderr)


if __name__ == "__main__":
    unittest.main()

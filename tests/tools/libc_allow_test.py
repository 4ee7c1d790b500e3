# SPDX-License-Identifier: Apache-2.0
"""tools/libc_allow.py and tools/freestanding.py catch what the core must not call."""
import os
import unittest

from support import ROOT, TreeTest
import libc_allow


class LibcAllowTest(TreeTest):
    def archive(self, code, name="x.cpp"):
        source = self.put(name, code)
        obj, lib = os.path.join(self.root, name + ".o"), os.path.join(self.root, "x.a")
        for command in (("g++", "-O2", "-fno-exceptions", "-c", source, "-o", obj), ("ar", "rcs", lib, obj)):
            done = self.run_tool(*command)
            self.assertEqual(done.returncode, 0, done.stderr)
        return lib

    def check(self, code, table):
        undefined, defined = libc_allow.archive_symbols(self.archive(code))
        return libc_allow.check(undefined, defined, libc_allow.parse_table(table))

    CODE = '#include <cstdlib>\nvoid* f(long n) { return malloc(n); }\n'

    def test_a_forbidden_call(self):
        self.assertFound(self.check(self.CODE, ""), r"x\.cpp: uses malloc")

    def test_allowed_for_everybody_or_for_one_object(self):
        self.assertEqual(self.check(self.CODE, "malloc # why"), [])
        self.assertEqual(self.check(self.CODE, "malloc x.cpp # why"), [])
        self.assertFound(self.check(self.CODE, "malloc other.cpp # why"), "uses malloc")

    def test_lines_without_use_or_reason(self):
        self.assertFound(self.check("int f() { return 1; }\n", "malloc # why"), "nothing uses malloc")
        self.assertEqual(self.check("int f() { return 1; }\n", "?memcpy # compilers may"), [])
        with self.assertRaises(ValueError):
            libc_allow.parse_table("malloc\n")

    def freestanding(self, code):
        lib = self.archive(code)
        main = self.put("main.c", "int f(void);\nint main(void) { return f(); }\n")
        return self.run_tool("python3", os.path.join(ROOT, "tools/freestanding.py"), "--cc", "gcc", "--archive", lib,
                             "--main", main, "--out", os.path.join(self.root, "out"))

    def test_freestanding_link(self):
        self.assertEqual(self.freestanding('extern "C" int f() { return 0; }\n').returncode, 0)
        done = self.freestanding('int* p; extern "C" int f() { p = new int(0); return 0; }\n')
        self.assertEqual(done.returncode, 1)
        self.assertIn("the core needs operator new", done.stdout)
        self.assertEqual(self.freestanding('extern "C" int f() { return 3; }\n').returncode, 1)


if __name__ == "__main__":
    unittest.main()

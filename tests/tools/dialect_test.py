# SPDX-License-Identifier: Apache-2.0
"""tools/dialect.py on a small program: recursion, deep frames, indirect calls, g0 code called from outside."""
import os
import unittest

from support import ROOT, TreeTest

PRELUDE = """
#define NOSPLIT __attribute__((section(".text.gort_nosplit"), noinline))
#define SYSSTACK __attribute__((section(".text.gort_sysstack"), noinline))
#define NOINLINE __attribute__((noinline))
volatile int sink;
"""
MAIN = "int main() { return entry(1); }\n"


class DialectTest(TreeTest):
    def check(self, code, table="", flags=(), compiler="g++"):
        source = self.put("x.cpp", PRELUDE + code + "int entry(int);\n" + MAIN)
        self.put("table.txt", table)
        out = {k: os.path.join(self.root, k) for k in ("x.o", "x.a", "x")}
        for command in ((compiler, "-O2", "-fno-omit-frame-pointer", *flags, "-c", source, "-o", out["x.o"]),
                        ("ar", "rcs", out["x.a"], out["x.o"]), (compiler, "-no-pie", out["x.o"], "-o", out["x"])):
            done = self.run_tool(*command)
            self.assertEqual(done.returncode, 0, done.stderr)
        done = self.run_tool("python3", os.path.join(ROOT, "tools/dialect.py"), "--archive", out["x.a"], "--program",
                             out["x"], "--root", self.root, "--table", os.path.join(self.root, "table.txt"))
        return done.returncode, done.stdout

    def good(self, *a, **k):
        status, said = self.check(*a, **k)
        self.assertEqual(status, 0, said)
        return said

    def bad(self, pattern, *a, **k):
        status, said = self.check(*a, **k)
        self.assertEqual(status, 1, said)
        self.assertRegex(said, pattern)

    def test_a_shallow_chain_is_fine(self):
        said = self.good("NOINLINE int leaf(int x) { int b[64]; b[x] = sink; sink = b[x + 1]; return b[x]; }\n"
                         "NOSPLIT int entry(int x) { return leaf(x) + 1; }\n")
        self.assertRegex(said, "1 NOSPLIT")

    def test_a_deep_chain(self):
        for flags in ((), ("-fstack-clash-protection",)):
            self.bad(r"NOSPLIT chain of \d+ bytes exceeds the slack of 16384",
                     "NOINLINE int leaf(int x) { volatile char b[12000]; b[x] = 1; return b[x + 1]; }\n"
                     "NOINLINE int mid(int x) { volatile char b[8000]; b[x] = 1; return b[x + 1] + leaf(x); }\n"
                     "NOSPLIT int entry(int x) { return mid(x) + 1; }\n", flags=flags)

    def test_recursion_and_its_bound(self):
        code = ("NOINLINE int even(int x);\nNOINLINE int odd(int x) { sink = x; return x ? even(x - 1) + 1 : 0; }\n"
                "NOINLINE int even(int x) { sink = x; return x ? odd(x - 1) + 2 : 1; }\n"
                "NOSPLIT int entry(int x) { return even(x) + 1; }\n")
        self.bad("recursion in NOSPLIT code: .*even", code)
        self.good(code, "depth even\\( = 400  # at most four deep\n")

    def test_indirect_call_needs_the_table(self):
        code = ("int (*volatile fn)(int);\nNOINLINE int leaf(int x) { return x + sink; }\n"
                "NOSPLIT int entry(int x) { fn = leaf; return fn(x) + 1; }\n")
        self.bad("unresolved indirect call in NOSPLIT code: entry", code)
        self.good(code, "call ^entry\\( -> ^leaf\\(  # set above\n")

    def test_frame_of_unknown_size(self):
        self.bad("frame of unknown size", "NOSPLIT int entry(int x) {\n  volatile char* p = (volatile char*)"
                 "__builtin_alloca(x * sink);\n  p[0] = 1;\n  return p[0];\n}\n")

    def test_a_switch_ends_the_chain(self):
        code = ("extern \"C\" NOINLINE int systemstack(int x) { volatile char b[40000]; b[x] = 1; return b[x + 1]; }\n"
                "NOSPLIT int entry(int x) { return systemstack(x) + 1; }\n")
        self.bad("exceeds the slack", code)
        self.good(code, "end ^systemstack$  # on g0\n")

    def test_g0_code_called_from_outside(self):
        code = "SYSSTACK int onG0(int x) { return x + sink; }\nNOINLINE int entry(int x) { return onG0(x) + 1; }\n"
        self.bad(r"SYSTEMSTACK function onG0\(int\) is called from entry", code)
        self.good(code.replace("NOINLINE int entry", "SYSSTACK int helper(int x) { return onG0(x) + 2; }\nNOINLINE int entry", 1),
                  "g0 ^entry\\(  # a thread's entry\n")

    def test_write_barrier_is_reached(self):
        self.put("src/gc/x.cpp", "GORT_NOWRITEBARRIER int entry(int x) {\n}\n")
        code = "NOINLINE void gcWriteBarrier() { sink = 1; }\nint entry(int x) { gcWriteBarrier(); return x; }\n"
        self.bad("NOWRITEBARRIER function entry.* reaches gcWriteBarrier", code)

    def test_clang_frames_from_stack_sizes(self):
        clang = next((c for c in ("clang++-14", "clang++") if self.run_tool("sh", "-c", f"command -v {c}").stdout), None)
        if not clang:
            self.skipTest("no clang on this machine")
        self.bad("exceeds the slack", "NOINLINE int leaf(int x) { volatile char b[18000]; b[x] = 1; return b[x + 1]; }\n"
                 "NOSPLIT int entry(int x) { return leaf(x) + 1; }\n", flags=("-fstack-size-section",), compiler=clang)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""tools/crash_test.py fails what does not behave as its header comment says."""
import os
import sys
import unittest

from support import TreeTest
import crash_test


class CrashTestTest(TreeTest):
    def judge(self, header, script):
        program = self.put("prog", "#!/bin/sh\n" + script)
        os.chmod(program, 0o755)
        spec = crash_test.parse(header)
        status, out, err = crash_test.run(spec, [program])
        return crash_test.judge(spec, status, out, err) if status is not None else ["time-out"]

    def test_good(self):
        self.assertEqual(self.judge("// RUN: a b\n// RUN-ENV: X=1 Y=2\n// EXIT: 3\n// STDOUT: ^a b 1 2$\n// STDERR: oops",
                                    'echo "$@ $X $Y"; echo oops >&2; exit 3'), [])

    def test_wrong_status_and_signal(self):
        self.assertFound(self.judge("", "exit 2"), "exit status 2, expected exit status 0")
        self.assertFound(self.judge("// SIGNAL: 6", "exit 2"), "expected signal 6")
        self.assertEqual(self.judge("// SIGNAL: 6", "kill -6 $$"), [])

    def test_order_of_lines(self):
        self.assertEqual(self.judge("// STDOUT: a\n// STDOUT: b", "echo a; echo b"), [])
        self.assertFound(self.judge("// STDOUT: b\n// STDOUT: a", "echo a; echo b"), "order")

    def test_forbidden_line(self):
        self.assertFound(self.judge("// STDERR-NOT: panic", "echo a panic >&2"), "must not match")

    def test_time_out(self):
        self.assertEqual(self.judge("// TIMEOUT: 0.2", "exec sleep 5"), ["time-out"])

    def test_skipping_must_be_announced(self):
        source = self.put("t.cpp", "// MAY-SKIP: no such kernel\n// STDOUT: never\n")
        program = self.put("prog", "#!/bin/sh\necho no frobnication here\nexit ${STATUS:-77}\n")
        os.chmod(program, 0o755)
        tool = crash_test.__file__
        done = self.run_tool(sys.executable, tool, source, program)
        self.assertEqual((done.returncode, done.stdout), (77, f"{source}: skipped: no frobnication here\n"))
        self.put("t.cpp", "// STDOUT: never\n")
        self.assertEqual(self.run_tool(sys.executable, tool, source, program).returncode, 1)
        self.put("t.cpp", "// MAY-SKIP: no such kernel\n// STDOUT: never\n")
        os.environ["STATUS"] = "0"
        self.addCleanup(os.environ.pop, "STATUS")
        self.assertEqual(self.run_tool(sys.executable, tool, source, program).returncode, 1)

    def test_bad_header(self):
        with self.assertRaises(ValueError):
            crash_test.parse("// MAY-SKIP:")
        with self.assertRaises(ValueError):
            crash_test.parse("// RUN: a\n// RUN: b")
        with self.assertRaises(ValueError):
            crash_test.parse("// RUN-ENV: novalue")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""tools/captures.py reports a dangling [&] of gort::go, and no other lambda."""
import os
import shutil
import unittest

import support
from support import TreeTest
import captures

TOOLS = [f"clang-query-{n}" for n in range(14, 22)] + ["clang-query"]
TOOL = os.environ.get("CLANG_QUERY") or next(filter(shutil.which, TOOLS), None)


@unittest.skipUnless(TOOL, "clang-query is not installed")
class Captures(TreeTest):
    def setUp(self):
        super().setUp()
        os.environ["CLANG_QUERY"] = TOOL

    def lines(self, body):
        problems = captures.check([self.put("t.cpp", "#include <gort/gort.hpp>\n" + body)])
        for p in problems:
            self.assertIn("a goroutine may outlive what its lambda captures by reference", p)
        return [int(p.split(":")[1]) for p in problems]

    def test_references_into_a_frame_that_nobody_keeps(self):
        self.assertEqual(self.lines("void f() {\n  int x = 0;\n  gort::go([&] { ++x; });\n"
                                    '  gort::go({.name = "n"}, [&x] { ++x; });\n'
                                    "  for (int i = 0; i < 3; ++i) gort::go([&] { ++i; });\n}\n"), [4, 5, 6])

    def test_captures_by_value(self):
        self.assertEqual(self.lines("void f() {\n  int x = 0;\n  gort::go([x] { (void)x; });\n  gort::go([=] { (void)x; });\n"
                                    "  gort::go([y = &x] { (void)y; });\n  gort::go([&] {});\n}\n"), [])

    def test_a_block_that_waits(self):
        self.assertEqual(self.lines("void f() {\n  int x = 0;\n  gort::wait_group wg;\n  wg.add(1);\n"
                                    "  gort::go([&] {\n    ++x;\n    wg.done();\n  });\n  wg.wait();\n}\n"
                                    "void g() {\n  auto c = gort::make_chan();\n  gort::go([&] { c.close(); });\n"
                                    "  (void)c.recv();\n}\n"), [])

    def test_groups_and_tasks_are_there_to_be_waited_for(self):
        self.assertEqual(self.lines("void f() {\n  int x = 0;\n  gort::errgroup g;\n  g.go([&] { ++x; });\n"
                                    "  auto t = gort::spawn([&] { ++x; });\n}\n"), [])

    def test_a_file_that_cannot_be_read(self):
        self.assertFound(captures.check([self.put("t.cpp", "nonsense;\n")]), "error: ")
        self.assertFound(captures.check([os.path.join(self.root, "gone.cpp")]), "error|ended with")


if __name__ == "__main__":
    support.main()

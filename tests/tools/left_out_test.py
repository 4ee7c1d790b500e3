# SPDX-License-Identifier: Apache-2.0
"""tools/left_out.py finds each way to leave a test out of the TSan build, and lines that are out of date."""
import unittest

from support import ROOT, TreeTest
import left_out

PRESETS = '{"configurePresets": [{"name": "tsan", "cacheVariables": {"GORT_SANITIZE": "thread"}}]}'


class LeftOut(TreeTest):
    def setUp(self):
        super().setUp()
        self.put("CMakePresets.json", PRESETS)
        self.put(left_out.LIST, "# nothing\n")

    def test_this_repository(self):
        self.assertEqual(left_out.check(ROOT), [])

    def test_a_program_that_skips_itself(self):
        self.put("tests/crash/a.cpp", "// SKIP-IN: address (not here)\n")
        self.assertEqual(left_out.check(self.root), [])
        self.put("tests/crash/a.cpp", "// SKIP-IN: address thread (no reason)\n")
        self.assertFound(left_out.check(self.root), r"tests/crash/a\.cpp is left out of the TSan build and not in")
        self.put(left_out.LIST, "tests/crash/a.cpp: a good reason\n")
        self.assertEqual(left_out.check(self.root), [])

    def test_tests_under_a_condition(self):
        self.put("tests/x/a_test.cpp", "#if __has_feature(thread_sanitizer)\n#define SAN 1\n#endif\n"
                 "TEST(X, Runs) {\n}\n#ifndef SAN\nGO_TEST(X, Hidden) {\n}\n#endif\n"
                 'TEST(X, Skips) {\n#if SAN\n  GTEST_SKIP() << "no";\n#endif\n}\n'
                 "#if !GORT_TSAN\nTEST(X, ByOurName) {\n}\n#endif\n"
                 "#if defined(OTHER)\nTEST(X, Elsewhere) {\n}\n#endif\n")
        self.assertEqual(left_out.left_out(self.root), {"X.Hidden", "X.Skips", "X.ByOurName"})

    def test_a_build_file_that_ends_early(self):
        self.put("tests/y/CMakeLists.txt", "if(GORT_SANITIZE OR GORT_DEBUG)\n  return()\nendif()\nadd_test(NAME y)\n")
        self.assertFound(left_out.check(self.root), r"tests/y/CMakeLists\.txt is left out")

    def test_an_option_that_the_preset_switches_off(self):
        self.put("CMakePresets.json", PRESETS.replace('"thread"', '"thread", "GORT_TESTS": "OFF"'))
        self.assertFound(left_out.check(self.root), "GORT_TESTS=OFF is left out")

    def test_lines_out_of_date_and_without_a_reason(self):
        self.put(left_out.LIST, "X.Gone: was once too slow\nX.Bare\n")
        self.assertFound(left_out.check(self.root), "X.Gone is not left out")
        self.assertFound(left_out.check(self.root), ":2: wants NAME: reason")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""./dev run: the tour with its own checks, and programs of users with their arguments, output and exit status."""
import os
import re
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "tools"))
import support

DEV = os.path.join(ROOT, "dev")


class Run(support.TreeTest):
    def test_the_tour_holds_all_its_checks(self):
        done = self.run_tool(DEV, "run")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("[FAIL]", done.stdout)
        checks = int(re.search(r"all (\d+) checks held", done.stdout).group(1))
        self.assertEqual(checks, done.stdout.count("[ok]"))
        self.assertGreaterEqual(checks, 20)
        self.assertRegex(done.stdout, r"(?m)^ *\[ok\] +1200 requests, 1200 times 200$")
        self.assertRegex(done.stdout, r"(?m)^   \| +\d+ \[sleep\] \{name: http \.\.\.\}")
        self.assertRegex(done.stdout, r"same files and counts as grep -c \([1-9]\d+ files\)")

    def test_arguments_reach_the_program_and_its_status_comes_back(self):
        search = os.path.join(ROOT, "examples", "tour", "search.cpp")
        self.put("a/one.txt", "struct\nnothing\n a struct here\n")
        self.put("a/two.txt", "nothing\n")
        done = self.run_tool(DEV, "run", search, "a", "struct", "30000")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^a/one\.txt:2$")
        self.assertNotIn("two.txt", done.stdout)
        self.put("status.cpp", "#include <gort/gort.hpp>\n#include <string>\nint main(int argc, char** argv) {\n"
                 "  return gort::run([&] { return argc == 3 ? std::stoi(argv[2]) : 99; });\n}\n")
        self.assertEqual(self.run_tool(DEV, "run", "status.cpp", "two words", "7").returncode, 7)

    def test_the_program_of_the_readme(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
            self.put("hello.cpp", re.search(r"```cpp\n(.*?)```", f.read(), re.S).group(1))
        done = self.run_tool(DEV, "run", "hello.cpp")
        self.assertEqual((done.returncode, done.stdout), (0, "385\n"), done.stderr)

    def test_what_cannot_run_says_why(self):
        self.put("broken.cpp", "int main() { return nonsense; }\n")
        self.put("notes.txt", "no program\n")
        for file, text in (("broken.cpp", "broken.cpp does not compile"), ("gone.cpp", "no such file: gone.cpp"),
                           ("notes.txt", "wants a C\\+\\+ source")):
            done = self.run_tool(DEV, "run", file)
            self.assertNotEqual(done.returncode, 0, file)
            self.assertRegex(done.stderr, "dev: .*" + text)

    def test_the_compiler_options_are_those_of_consumers(self):
        with open(os.path.join(ROOT, "cmake", "GortLibrary.cmake"), encoding="utf-8") as f:
            options = re.search(r"set\(GORT_CONSUMER_OPTIONS ([^)]*)\)", f.read()).group(1).split()
        with open(DEV, encoding="utf-8") as f:
            used = re.search(r"local cxxflags=\(([^)]*)\)", f.read()).group(1).split()
        self.assertEqual(set(options) - set(used), set())


if __name__ == "__main__":
    support.count()

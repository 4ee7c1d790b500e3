# SPDX-License-Identifier: Apache-2.0
"""A scratch tree for the checkers' own tests."""
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))


class TreeTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.root = self.dir.name

    def tearDown(self):
        self.dir.cleanup()

    def put(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)
        return full

    def assertFound(self, problems, pattern):
        self.assertTrue(any(__import__("re").search(pattern, p) for p in problems), f"/{pattern}/ not in {problems}")

    def run_tool(self, *command):
        return subprocess.run(command, capture_output=True, text=True, cwd=self.root)


def main():
    """unittest.main, but exit status 77 (ctest: not run) where every test was skipped."""
    result = unittest.main(module="__main__", exit=False).result
    if result.wasSuccessful() and result.testsRun == len(result.skipped):
        sys.exit(77)
    sys.exit(not result.wasSuccessful())


def count():
    """unittest.main for a stage of .ci/run: ends with "N passed, N failed"."""
    result = unittest.main(module="__main__", exit=False, verbosity=2).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad - len(result.skipped)} passed, {bad} failed", flush=True)
    sys.exit(bad != 0)

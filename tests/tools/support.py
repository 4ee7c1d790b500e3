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

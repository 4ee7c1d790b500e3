# SPDX-License-Identifier: Apache-2.0
"""./dev bench: every benchmark runs, and the JSON is what other tools read.  Its figures are not judged here."""
import json
import math
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "tools"))
import support

DEV = os.path.join(ROOT, "dev")
UNITS = {"ns/op", "us", "ms", "B", "req/s", "instr/op"}


class Bench(support.TreeTest):
    def bench(self, *args):
        done = self.run_tool(DEV, "bench", "--impl", "gort", "--quick", "--rounds", "1", "--json", "out.json", *args)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(os.path.join(self.root, "out.json"), encoding="utf-8") as f:
            return json.load(f)

    def check(self, entries):
        self.assertIsInstance(entries, list)
        for e in entries:
            self.assertEqual(set(e), {"bench", "impl", "value", "unit"})
            self.assertEqual(e["impl"], "gort")
            self.assertIn(e["unit"], UNITS)
            self.assertTrue(math.isfinite(e["value"]) and e["value"] > 0, e)

    def test_every_benchmark_of_the_list_has_one_figure(self):
        listed = self.run_tool(DEV, "bench", "--list").stdout.split("\n")
        names = [line.split()[1] for line in listed if line]
        entries = self.bench("--no-instr")
        self.check(entries)
        self.assertEqual(sorted(e["bench"] for e in entries), sorted(names))

    def test_instructions_are_entries_of_their_own(self):
        entries = self.bench("yield")
        self.check(entries)
        self.assertEqual({(e["bench"], e["unit"]) for e in entries}, {("yield", "ns/op"), ("yield", "instr/op")})

    def test_the_document_names_what_there_is(self):
        listed = self.run_tool(DEV, "bench", "--list").stdout.split("\n")
        with open(os.path.join(ROOT, "docs", "performance.md"), encoding="utf-8") as f:
            rows = set(re.findall(r"^\| (\w+) \| \w", f.read(), re.M))
        missing = [line.split()[1] for line in listed if line and line.split()[1] not in rows]
        self.assertEqual(missing, [], "docs/performance.md has no figures of these")

    def test_a_wrong_name_is_an_error(self):
        done = self.run_tool(DEV, "bench", "--impl", "gort", "nonsense")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no group or benchmark nonsense", done.stderr)


if __name__ == "__main__":
    support.count()

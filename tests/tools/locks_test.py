# SPDX-License-Identifier: Apache-2.0
"""tools/locks.py catches ranks that contradict the partial order, and names that only one side knows."""
import unittest

from support import TreeTest
import locks

RANKS = "enum class LockRank : uint8 {\n  unranked,\n  a,  // first\n  b,\n  c,\n};\n"


class LocksTest(TreeTest):
    def ranks(self, text=RANKS):
        self.put("src/schema/lockrank.hpp", text)
        self.put("src/sched/locks.cpp", "".join(f"Mutex {n}{{LockRank::{n}}};\n" for n in "abc"))

    def dag(self, text):
        self.put("docs/locks.dag", text)
        return locks.check(self.root)

    def test_agreeing(self):
        self.ranks()
        self.assertEqual(self.dag("a < b < c;\na < a;  # several, in address order\nleaf: c;"), [])

    def test_wrong_order(self):
        self.ranks(RANKS.replace("a,  // first\n  b", "b,\n  a"))
        self.assertFound(self.dag("a < b < c;"), "b is taken under a, so its rank must be greater")

    def test_names_on_one_side(self):
        self.ranks()
        problems = self.dag("a < b < d;")
        self.assertFound(problems, "rank c .* is not in docs/locks.dag")
        self.assertFound(problems, "lock d .* has no rank")

    def test_leaf_with_something_below(self):
        self.ranks()
        self.assertFound(self.dag("a < b < c; leaf: b;"), "b is a leaf but c is taken under it")

    def test_rank_without_a_lock(self):
        self.ranks()
        self.put("src/sched/locks.cpp", "Mutex a{LockRank::a}, b{LockRank::b};\n")
        self.assertFound(self.dag("a < b < c;"), "rank c: no lock has it")

    def test_use_of_an_unknown_rank(self):
        self.ranks()
        self.put("src/sched/x.cpp", "Mutex m{LockRank::zzz};\n")
        self.assertFound(self.dag("a < b < c;"), "unknown rank LockRank::zzz")


if __name__ == "__main__":
    unittest.main()

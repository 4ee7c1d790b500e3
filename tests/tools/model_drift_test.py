# SPDX-License-Identifier: Apache-2.0
"""tests/model/drift.py: the product is as its models were transcribed from it, and a weakened product is noticed."""
import os
import pathlib
import re
import shutil
import sys
import unittest

from support import ROOT, TreeTest
sys.path.insert(0, os.path.join(ROOT, "tests", "model"))
import drift

PRODUCT = os.path.join(ROOT, "tests", "model", "product.txt")


def listed():
    with open(PRODUCT, encoding="utf-8") as f:
        return drift.read_list(f.read())


class ProductTest(unittest.TestCase):
    def test_the_product_is_as_modelled(self):
        problems = drift.check(pathlib.Path(ROOT), listed())
        self.assertEqual(problems, [], "\n".join(problems))

    def test_every_model_of_a_transcription_is_named(self):
        named = {m for models, _ in listed().values() for m in models.split()}
        for model in ("handoff", "park", "sema", "select", "timers"):
            self.assertIn(model, named)


class DriftTest(TreeTest):
    def setUp(self):
        super().setUp()
        for path in drift.FILES:
            os.makedirs(os.path.dirname(os.path.join(self.root, path)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, path), os.path.join(self.root, path))
        shutil.copytree(os.path.join(ROOT, "tests", "model"), os.path.join(self.root, "tests", "model"),
                        ignore=lambda _, names: [n for n in names if not n.endswith("_model.cpp")])

    def change(self, path, function, old, new):
        """Replaces the first `old` in the body of a function; what drift says of it."""
        full = os.path.join(self.root, path)
        with open(full, encoding="utf-8") as f:
            text = f.read()
        begin = re.search(r"^[^\n/]*\b%s\([^\n;]*\{$" % function, text, re.M).start()
        at = text.index(old, begin)
        self.assertLess(at, text.index("\n}\n", begin), f"{old} is not in {function}")
        with open(full, "w", encoding="utf-8") as f:
            f.write(text[:at] + new + text[at + len(old):])
        problems = drift.check(pathlib.Path(self.root), listed())
        with open(full, "w", encoding="utf-8") as f:
            f.write(text)
        return problems

    def assertDrift(self, model, path, function, old, new=""):
        problems = self.change(path, function, old, new)
        self.assertFound(problems, rf"{path}: {function}\(\) synchronises differently(.|\n)*{model}_model\.cpp")
        self.assertEqual(len(problems), 1)

    def test_a_fence_removed(self):
        self.assertDrift("handoff", "src/sched/proc.cpp", "submitted", "fence(Order::seqCst);")
        self.assertDrift("handoff", "src/sched/proc.cpp", "idle", "fence(Order::seqCst);")
        self.assertDrift("handoff", "src/sched/proc_m.cpp", "handoffp", "fence(Order::seqCst);")
        self.assertDrift("handoff", "src/sched/proc_m.cpp", "restP", "fence(Order::seqCst);")
        self.assertDrift("timers", "src/sched/proc_m.cpp", "wakeNetPoller", "fence(Order::seqCst);")

    def test_an_order_weakened(self):
        self.assertDrift("timers", "src/sched/time.cpp", "lockHeapOf", "Order::acquire", "Order::relaxed")
        self.assertDrift("timers", "src/sched/time.cpp", "takeTimer", "Order::release", "Order::relaxed")
        self.assertDrift("sema", "src/sched/sema.cpp", "cansemacquire", "Order::acqRel", "Order::relaxed")

    def test_a_second_look_removed(self):
        self.assertDrift("handoff", "src/sched/proc_m.cpp", "restP", "if (anyWork()) startm(nullptr, false, false);")
        self.assertDrift("timers", "src/sched/proc.cpp", "idle", "pollUntil = checkTimersNoP(pollUntil);")

    def test_two_steps_exchanged(self):
        self.assertDrift("park", "src/sched/proc.cpp", "park_m", "gp->m = nullptr;\n", "")

    def test_each_statement_of_each_modelled_function(self):
        kept = listed()
        actual = drift.fingerprints(pathlib.Path(self.root))
        for key, (models, found) in kept.items():
            for i in range(len(found)) if models != "-" else ():
                shorter = dict(kept)
                shorter[key] = (models, found[:i] + found[i + 1:])
                self.assertNotEqual(shorter[key][1], actual[key], key)

    def test_a_new_function_that_synchronises(self):
        with open(os.path.join(self.root, "src/sched/sema.cpp"), "a", encoding="utf-8") as f:
            f.write("namespace gort::rt {\nvoid sneak() {\n  fence(Order::acquire);\n}\n}\n")
        self.assertFound(drift.check(pathlib.Path(self.root), listed()), r"sneak\(\) synchronises(.|\n)*no model has it")

    def test_comments_and_layout_do_not_matter(self):
        problems = self.change("src/sched/proc.cpp", "idle", "fence(Order::seqCst);", "fence( // why\n Order::seqCst );")
        self.assertEqual(len(problems), 1, "tokens are compared with their spaces")
        self.assertEqual(self.change("src/sched/proc.cpp", "idle", "fence(Order::seqCst);", "\n\n  fence(Order::seqCst);  // x"), [])

    def test_a_model_that_does_not_exist(self):
        os.remove(os.path.join(self.root, "tests/model/park_model.cpp"))
        self.assertFound(drift.check(pathlib.Path(self.root), listed()), "names the model 'park', which does not exist")


if __name__ == "__main__":
    unittest.main()

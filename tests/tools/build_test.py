# SPDX-License-Identifier: Apache-2.0
"""The build itself: a planted include of a higher floor fails ./dev build and is shown; a preset without tests fails."""
import json
import os
import shutil
import unittest

from support import ROOT, TreeTest

COPIED = ("CMakeLists.txt", "CMakePresets.json", "cmake", "dev", "docs/layers.dag", "include", "src", "tools")


class BuildTest(TreeTest):
    def setUp(self):
        super().setUp()
        for name in COPIED:
            source, target = os.path.join(ROOT, name), os.path.join(self.root, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            (shutil.copytree if os.path.isdir(source) else shutil.copy)(source, target)

    def build(self):
        shutil.rmtree(os.path.join(self.root, "build"), ignore_errors=True)
        release = os.path.join(self.root, "build", "release")
        made = self.run_tool("cmake", "--preset", "release", "-DGORT_TESTS=OFF", "-DGORT_EXAMPLES=OFF", "-DGORT_BENCH=OFF")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertTrue(os.path.exists(release))
        return self.run_tool("env", "GORT_NO_INSTALL=1", "./dev", "build", "check_layers")

    def test_a_layer_violation_fails_the_build_with_its_text(self):
        good = self.build()
        self.assertEqual(good.returncode, 0, good.stderr)
        with open(os.path.join(self.root, "src/base/planted.hpp"), "w", encoding="utf-8") as f:
            f.write('#pragma once\n#include "sched/proc.hpp"\n')
        bad = self.build()
        self.assertNotEqual(bad.returncode, 0)
        self.assertRegex(bad.stderr, r"src/base/planted\.hpp:2: floor base must not include sched")

    def test_everything_built_by_default_depends_on_the_check(self):
        self.build()
        listed = self.run_tool("ninja", "-C", "build/release", "-t", "query", "all")
        self.assertIn("check_layers", listed.stdout)


class Presets(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(ROOT, "CMakePresets.json"), encoding="utf-8") as f:
            self.presets = json.load(f)

    def test_no_tests_is_an_error(self):
        tests = {p["name"]: p for p in self.presets["testPresets"]}
        self.assertEqual(tests["quiet"]["execution"]["noTestsAction"], "error")
        for name, preset in tests.items():
            if name != "quiet":
                self.assertEqual(preset["inherits"], "quiet", name)
                self.assertNotIn("execution", preset, name)

    def test_each_workflow_configures_builds_and_tests_one_preset(self):
        flows = {w["name"]: w["steps"] for w in self.presets["workflowPresets"]}
        self.assertEqual(set(flows), {p["name"] for p in self.presets["testPresets"] if not p.get("hidden")})
        for name, steps in flows.items():
            self.assertEqual([(s["type"], s["name"]) for s in steps],
                             [(t, name) for t in ("configure", "build", "test")])


if __name__ == "__main__":
    unittest.main()

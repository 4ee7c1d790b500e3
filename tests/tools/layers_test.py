# SPDX-License-Identifier: Apache-2.0
"""tools/layers.py catches upward includes, cycles and fat ports."""
import unittest

from support import TreeTest
import layers

DAG = "config < base < os < sched < api;\napi !< gccgo;\nconfig < public < api;  # a comment\n"


class LayersTest(TreeTest):
    def setUp(self):
        super().setUp()
        self.put("docs/layers.dag", DAG)
        self.put("src/base/bits.hpp", "#pragma once\n")
        self.put("src/os/mem.hpp", '#pragma once\n#include "base/bits.hpp"\n#include <cstdint>\n')

    def test_downward_includes_are_fine(self):
        self.put("src/sched/proc.cpp", '#include "os/mem.hpp"\n#include "base/bits.hpp"\n// #include "api/go.hpp"\n')
        self.assertEqual(layers.check(self.root), [])

    def test_upward_include(self):
        self.put("src/sched/proc.hpp", "#pragma once\n")
        self.put("src/base/bad.cpp", '#include "sched/proc.hpp"\n')
        self.assertFound(layers.check(self.root), r"src/base/bad\.cpp:1: floor base must not include sched")

    def test_public_headers_see_only_themselves(self):
        self.put("include/gort/config.hpp", "#pragma once\n")
        self.put("include/gort/chan.hpp", '#pragma once\n#include <gort/config.hpp>\n#include "sched/proc.hpp"\n')
        self.assertFound(layers.check(self.root), "floor public must not include sched")
        self.assertEqual(len(layers.check(self.root)), 1)

    def test_only_api_includes_public_headers(self):
        self.put("include/gort/chan.hpp", "#pragma once\n")
        self.put("src/api/chan.cpp", "#include <gort/chan.hpp>\n")
        self.assertEqual(layers.check(self.root), [])
        self.put("src/sched/proc.cpp", "#include <gort/chan.hpp>\n")
        self.assertFound(layers.check(self.root), "floor sched must not include public")

    def test_unknown_floor_and_missing_floor(self):
        self.put("src/extra/x.cpp", "\n")
        self.put("src/os/y.cpp", '#include "mem.hpp"\n')
        problems = layers.check(self.root)
        self.assertFound(problems, "'extra' is not in docs/layers.dag")
        self.assertFound(problems, r'write the floor too: "os/mem\.hpp"')

    def test_header_cycle(self):
        self.put("src/os/a.hpp", '#include "os/b.hpp"\n')
        self.put("src/os/b.hpp", '#include "os/a.hpp"\n')
        self.assertFound(layers.check(self.root), "include cycle: src/os/a.hpp -> src/os/b.hpp -> src/os/a.hpp")

    def test_port_of_thirteen_functions(self):
        self.put("src/os/fatal_port.hpp", "".join(f"void f{i}(int a, int b);\n" for i in range(12)))
        self.assertEqual(layers.check(self.root), [])
        self.put("src/os/fatal_port.hpp", "".join(f"[[noreturn]] void f{i}(int a);\n" for i in range(13)))
        self.assertFound(layers.check(self.root), "13 functions; a port has at most 12")

    def test_seven_ports(self):
        for i in range(7):
            self.put(f"src/os/p{i}_port.hpp", "void f();\n")
        self.assertFound(layers.check(self.root), "7 ports")

    def test_dag_with_a_cycle(self):
        self.put("docs/layers.dag", "a < b < a;")
        self.assertFound(layers.check(self.root), "cycle through a")

    def test_forbidden_beats_transitive(self):
        _, allowed, _ = layers.parse_dag("a < b < c; a !< c;")
        self.assertNotIn(("a", "c"), allowed)


if __name__ == "__main__":
    unittest.main()

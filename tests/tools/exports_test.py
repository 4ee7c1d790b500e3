# SPDX-License-Identifier: Apache-2.0
"""consumer.shared's look at the exported names finds each kind of leak."""
import os
import sys
import unittest

from support import ROOT, TreeTest

sys.path.insert(0, os.path.join(ROOT, "tests", "consumer"))
import consumer_test

PUBLIC = """
#include <string>
namespace gort { inline namespace v1 { void f() {} int object = 1; struct S { virtual ~S(); int g() const; };
S::~S() {} int S::g() const { static int n = object; return n; } } }
extern "C" { int gort_version = 1; }
"""


class Exports(TreeTest):
    def library(self, more):
        source, library = self.put("l.cpp", PUBLIC + more), os.path.join(self.root, "lib.so")
        made = self.run_tool("g++", "-shared", "-fPIC", source, "-o", library)
        self.assertEqual(made.returncode, 0, made.stderr)
        consumer_test.check_exports(library)

    def leaks(self, more, name):
        with self.assertRaisesRegex(consumer_test.Failed, "exports foreign names: .*" + name):
            self.library(more)

    def test_public_names_may_leave(self):
        self.library("namespace gort { inline namespace v1 { std::string text() { return std::to_string(1); } } }")

    def test_the_inside_may_not(self):
        self.leaks("namespace gort::rt { void park() {} }", "_ZN4gort2rt4parkEv")
        self.leaks("namespace gort::rt { int sched = 1; }", "_ZN4gort2rt5schedE")
        self.leaks("namespace gort::rt { struct V { virtual ~V(); }; V::~V() {} }", "_ZTVN4gort2rt1VE")

    def test_nor_anybody_elses(self):
        self.leaks('extern "C" int helper() { return 1; }', "helper")
        self.leaks("namespace std { int mine() { return 1; } }", "_ZSt4minev")
        self.leaks("int other() { return 2; }", "_Z5otherv")


if __name__ == "__main__":
    unittest.main()

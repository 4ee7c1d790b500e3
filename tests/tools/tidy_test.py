# SPDX-License-Identifier: Apache-2.0
"""tools/tidy.py: one planted violation for each rule, and the scanner behind the length rule."""
import unittest

from support import TreeTest
import cxx
import tidy

HEAD = "// SPDX-License-Identifier: Apache-2.0\n// What it is for.\n"


class TidyTest(TreeTest):
    def found(self, path, text, pattern):
        self.put(path, text)
        self.assertFound(tidy.check(self.root), pattern)

    def test_clean_file(self):
        self.put("src/base/a.cpp", HEAD + "namespace gort::rt {\nint f() { return 1; }\n}  // namespace gort::rt\n")
        self.assertEqual(tidy.check(self.root), [])

    def test_long_line(self):
        self.found("src/base/a.cpp", HEAD + "// " + "x" * 130 + "\n", "133 columns; at most 125")

    def test_trailing_blank_and_tab(self):
        self.found("src/base/a.cpp", HEAD + "int f(); \n", ":3: tab or trailing blank")
        self.found("src/base/a.cpp", HEAD + "\tint f();\n", ":3: tab or trailing blank")

    def test_no_licence_and_no_head_comment(self):
        self.found("src/base/a.cpp", "int f();\n", "SPDX")
        self.found("src/base/a.cpp", HEAD.splitlines()[0] + "\n#include <cstdint>\n", "no head comment")
        self.found("tools/x.py", "print()\n", r"tools/x\.py:1: no SPDX")

    def test_long_function_and_exemption(self):
        body = HEAD + "void big() {\n" + "  f();\n" * 70 + "}\n"
        self.found("src/base/a.cpp", body, "function big has 72 lines; at most 70")
        self.put("tools/long_functions.txt", "big\n")
        self.assertFound(tidy.check(self.root), "no '// Phase n:' marks")
        self.put("src/base/a.cpp", body.replace("{\n", "{\n  // Phase 1: all\n", 1))
        self.assertEqual(tidy.check(self.root), [])
        self.put("tools/long_functions.txt", "big\nsmall\n")
        self.assertFound(tidy.check(self.root), "small is not longer than 70")
        self.put("tools/long_functions.txt", "".join(f"f{i}\n" for i in range(11)))
        self.assertFound(tidy.check(self.root), "11 names; at most 10")

    def test_banned_words(self):
        for code, pattern in (("std::atomic<int> x;", "base/atomic.hpp"), ("assert(x);", "GORT_CHECK"),
                              ("int* p = NULL;", "nullptr"), ("using namespace std;", "qualified names"),
                              ("typedef int T;", "using"), ("thread_local int x;", "getg"),
                              ("long r = syscall(1);", "os floor"), ("// TO" + "DO later", "an issue"),
                              ("// see /ho" + "me/me/x", "every machine")):
            self.found("src/mem/a.cpp", HEAD + code + "\n", pattern)
        self.put("src/mem/a.cpp", HEAD + "// std::atomic is not used here; \"assert(\"\n")
        self.assertEqual(tidy.check(self.root), [])

    def test_core_headers(self):
        self.found("src/lang/a.cpp", HEAD + "#include <vector>\n", "<vector> is not for the core")
        self.put("src/lang/a.cpp", HEAD)
        self.put("src/api/a.cpp", HEAD + "#include <vector>\n")
        self.assertEqual(tidy.check(self.root), [])

    def test_names(self):
        self.found("src/base/a.cpp", HEAD + "struct my_type {\n};\n", "type my_type: UpperCamel")
        self.found("src/base/a.cpp", HEAD + "void Bad_name() {}\n", "function Bad_name: lowerCamel")
        self.found("include/gort/a.hpp", HEAD + "#pragma once\nstruct MyType {\n};\n", "type MyType: snake_case")
        self.found("include/gort/a.hpp", HEAD + "#pragma once\ninline void badName() {}\n", "function badName")

    def test_pragma_once_dead_header_and_same_name(self):
        self.found("src/base/a.hpp", HEAD, "no #pragma once")
        self.found("src/base/a.hpp", HEAD + "#pragma once\n", "no file includes this header")
        self.put("src/base/b.cpp", HEAD)
        self.found("src/mem/b.cpp", HEAD, "the name is taken by src/base/b.cpp")


class ScannerTest(unittest.TestCase):
    def names(self, text):
        return [(f.name, f.lines) for f in cxx.functions(text)]

    def test_functions(self):
        self.assertEqual(self.names("namespace a {\nint f(int x) {\n  return [&] { return x; }();\n}\n}\n"), [("f", 3)])
        self.assertEqual(self.names("struct S {\n  S() : a{1}, b(2) {\n  }\n  int a{0};\n  ~S() {}\n};\n"),
                         [("S", 2), ("~S", 1)])
        self.assertEqual(self.names("template <class T>\nT g(T t)\n  requires true\n{\n  return t;\n}\n"), [("g", 6)])
        self.assertEqual(self.names("bool operator==(A a, B b) { return 1; }\n"), [("operator==", 1)])
        self.assertEqual(self.names("constinit Foo x{1};\nint y[] = {1, 2};\nenum class E { a, b };\nvoid h();\n"), [])
        self.assertEqual(self.names('#define M(x) { x }\nvoid f() { const char* s = "}{"; /* { */ }\n'), [("f", 1)])

    def test_blank_keeps_lines(self):
        text = 'int a; // x\n"a\\"b" /* y\n z */ R"(\n})" \'{\'\n'
        self.assertEqual(cxx.blank(text).count("\n"), text.count("\n"))
        self.assertNotIn("{", cxx.blank(text))
        self.assertEqual(cxx.blank("1'000'000; '{'").split(";")[0], "1'000'000")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/api.md and README.md compile with every compiler, without a warning.

usage: examples_test.py --root ROOT
An example is a ```cpp block that starts with "// ex: name" (docs/api.md), or any ```cpp block of README.md.  Examples
that use a header which this version does not have (net, gc, signal) are counted as later, by name.
"""
import argparse
import os
import re
import sys

import compilers

PRELUDE = "".join(f"#include <{h}>\n" for h in (
    "gort/gort.hpp", "array", "csignal", "cstdio", "deque", "map", "memory", "mutex", "string", "thread", "vector"))
PRELUDE += "using namespace std::chrono_literals;\n"
LATER = {"net.hpp": r"gort::net::", "gc.hpp": r"gort::gc_", "signal.hpp": r"gort::signal::", "io.hpp": r"gort::io::"}
OPTIONS = ["-O1", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]


def examples(root):
    with open(os.path.join(root, "docs/api.md"), encoding="utf-8") as f:
        for code, name in re.findall(r"```cpp\n(// ex: ([^\n]*)\n.*?)```", f.read(), re.S):
            yield "api.md: " + name, code
    with open(os.path.join(root, "README.md"), encoding="utf-8") as f:
        for i, code in enumerate(re.findall(r"```cpp\n(.*?)```", f.read(), re.S), 1):
            yield f"README.md: block {i}", code


def later(root, code):
    return [h for h, use in LATER.items()
            if re.search(use, code) and not os.path.exists(os.path.join(root, "include/gort", h))]


def check(root):
    problems, count, put_off = [], 0, []
    for name, code in examples(root):
        missing = later(root, code)
        if missing:
            put_off.append(name)
            continue
        for cxx in compilers.found():
            count += 1
            good, said = compilers.syntax(cxx, root, PRELUDE + code, OPTIONS)
            if not good:
                errors = [line for line in said.splitlines() if "error" in line][:5]
                problems.append(f"{name}, {cxx}:\n    " + "\n    ".join(errors))
    return count, problems, put_off


def main(argv):
    p = argparse.ArgumentParser()
    p.add_argument("--root", required=True)
    count, problems, put_off = check(p.parse_args(argv).root)
    for problem in problems:
        print(problem)
    print(f"examples: {count} compilations, {len(problems)} problem(s); later: {', '.join(put_off) or 'none'}")
    return 1 if problems or not count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compiles what must not compile, with every compiler there is, and looks for the message in its output.

usage: compile_fail_test.py --root ROOT --list | --root ROOT CASE...      ("all": every case)
A case passes when it does not compile and the message is there; that the prelude alone compiles is headers_test's job.
"""
import argparse
import re
import sys

import cases
import compilers


def check(root, name, cxx):
    code, want = cases.CASES[name]
    good, text = compilers.syntax(cxx, root, cases.PRELUDE + code, compilers.STRICT)
    if good:
        return "compiles, but must not"
    if not re.search(want, text):
        errors = [line for line in text.splitlines() if "error" in line][:4]
        return f"the message is not /{want}/:\n    " + "\n    ".join(errors)
    return ""


def main(argv):
    p = argparse.ArgumentParser()
    p.add_argument("--root", required=True)
    p.add_argument("--list", action="store_true")
    p.add_argument("names", nargs="*")
    a = p.parse_args(argv)
    if a.list:
        print(";".join(cases.CASES), end="")
        return 0
    bad = 0
    for name in cases.CASES if a.names == ["all"] else a.names:
        for cxx in compilers.found():
            problem = check(a.root, name, cxx)
            if problem:
                print(f"{name}, {cxx}: {problem}\n  {cases.CASES[name][0]}")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

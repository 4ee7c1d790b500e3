#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the TSan build leaves out: tests/left_out_tsan.txt names it all, with reasons, and nothing else is left out.

usage: left_out.py [ROOT]

A line of the list is "NAME: reason".  The tree is asked four ways, each with its kind of name:
  tests/crash/x.cpp        a program whose header comment says SKIP-IN: thread
  Suite.Name               a GoogleTest test inside "#if" on the sanitizer, or that skips itself under such an "#if"
  tests/x/CMakeLists.txt   a build file that ends early ("if(GORT_SANITIZE ...) return()")
  GORT_X=OFF               an option that the preset tsan switches off
"""
import json
import os
import re
import sys

import cxx

LIST = "tests/left_out_tsan.txt"
FEATURE = re.compile(r"thread_sanitizer|__SANITIZE_THREAD__|\bGORT_TSAN\b|\bGORT_SANITIZED\b")
DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w+)[ \t]*(.*)$")
TEST = re.compile(r"^(?:GO_TEST|TEST|TEST_F|TEST_P|TYPED_TEST)\((\w+), (\w+)\)")


def names_of_sanitizer(lines):
    """Macros that are defined under a condition on the sanitizer, so that a condition on them is one too."""
    names, depth = set(), []
    for line in lines:
        m = DIRECTIVE.match(line)
        if not m:
            continue
        word, rest = m.groups()
        if word in ("if", "ifdef", "ifndef"):
            depth.append(bool(FEATURE.search(rest)))
        elif word == "elif" and depth:
            depth[-1] = bool(FEATURE.search(rest))
        elif word == "endif" and depth:
            depth.pop()
        elif word == "define" and any(depth):
            names.add(rest.split()[0])
    return names


def tests_of(text):
    """Suite.Name of each test that stands or skips itself under a condition on the sanitizer."""
    lines = text.splitlines()
    macros = names_of_sanitizer(lines)
    about = re.compile("|".join([FEATURE.pattern] + [rf"\b{m}\b" for m in sorted(macros)]))
    found, depth, test = set(), [], None
    for line in lines:
        d, t = DIRECTIVE.match(line), TEST.match(line)
        if d and d.group(1) in ("if", "ifdef", "ifndef"):
            depth.append(bool(about.search(d.group(2))))
        elif d and d.group(1) == "endif" and depth:
            depth.pop()
        if t:
            test = ".".join(t.groups())
        if any(depth) and (t or "GTEST_SKIP" in line) and test:
            found.add(test)
    return found


def build_file_ends(text):
    """Whether the file returns where there is a sanitizer, so that the rest registers nothing."""
    return re.search(r"^if\([^)]*\bGORT_SANITIZE\b[^)]*\)\s*\n\s*return\(\)", text, re.M) is not None


def left_out(root):
    found = set()
    for path in cxx.files(root, ("tests", "examples"), (".cpp",)):
        text = cxx.read(root, path)
        if re.search(r"^// SKIP-IN:[^(\n]*\bthread\b", text, re.M):
            found.add(path)
        found |= tests_of(text)
    for path in cxx.files(root, ("tests", "cmake", "examples"), ("CMakeLists.txt", ".cmake")):
        if build_file_ends(cxx.read(root, path)):
            found.add(path)
    presets = json.loads(cxx.read(root, "CMakePresets.json"))["configurePresets"]
    tsan = next(p for p in presets if p["name"] == "tsan")
    return found | {f"{k}=OFF" for k, v in tsan["cacheVariables"].items() if v == "OFF"}


def parse(text):
    """(name -> reason, problems)"""
    listed, problems = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, reason = line.partition(": ")
        if not colon or len(reason.strip()) < 10:
            problems.append(f"{LIST}:{number}: wants NAME: reason")
        elif name in listed:
            problems.append(f"{LIST}:{number}: {name} stands there twice")
        listed[name] = reason
    return listed, problems


def check(root):
    listed, problems = parse(cxx.read(root, LIST))
    found = left_out(root)
    problems += [f"{name} is left out of the TSan build and not in {LIST}" for name in sorted(found - set(listed))]
    problems += [f"{LIST}: {name} is not left out" for name in sorted(set(listed) - found)]
    return problems


if __name__ == "__main__":
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(cxx.report(check(sys.argv[1] if len(sys.argv) > 1 else here), "left_out"))

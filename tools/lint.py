#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev lint: clang-format, clang-tidy over the sources of the library, and the checkers that read text.

usage: lint.py [format|tidy|style|captures ...]     (all by default)
       lint.py FILE.cpp...                          only the captures check, of programs of yours

CLANG_FORMAT, CLANG_TIDY and CLANG_QUERY name the tools; build/release/compile_commands.json must exist (./dev makes it).
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys

import captures
import cxx
import layers
import left_out
import locks
import tidy

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FORMAT, TIDY = os.environ.get("CLANG_FORMAT", "clang-format"), os.environ.get("CLANG_TIDY", "clang-tidy")
JOBS = max(1, int(os.environ.get("GORT_JOBS", "2")))


def run_format():
    """(number of files looked at, files that differ)"""
    files = [f for f in cxx.files(ROOT) if f.endswith((".cpp", ".hpp", ".h", ".c"))]
    bad = set()
    for i in range(0, len(files), 50):
        done = subprocess.run([FORMAT, "--dry-run", "-Werror", *files[i:i + 50]], cwd=ROOT, capture_output=True, text=True)
        bad |= set(re.findall(r"^(\S+?):\d+:\d+: error: code should be clang-formatted", done.stderr, re.M))
        if done.returncode != 0 and not bad:
            print(done.stderr)
            bad.add("clang-format itself")
    for f in sorted(bad):
        print(f"{f}: not formatted; ./dev format")
    return len(files), len(bad)


def tidy_one(entry):
    # GCC's options that Clang lacks would be errors; warnings are the compiler's own business.
    done = subprocess.run([TIDY, "--quiet", "-p", os.path.join(ROOT, "build/release"), "--extra-arg=-Wno-everything",
                           "--extra-arg=-Wno-error", entry], cwd=ROOT, capture_output=True, text=True)
    return entry, done.returncode, done.stdout + ("" if done.returncode in (0, 1) else done.stderr)


def run_tidy():
    with open(os.path.join(ROOT, "build/release/compile_commands.json"), encoding="utf-8") as f:
        entries = sorted({e["file"] for e in json.load(f)})
    entries = [e for e in entries if e.startswith(ROOT + "/src/") and e.endswith(".cpp") and os.path.exists(e)]
    bad, seen = 0, set()
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for entry, status, text in pool.map(tidy_one, entries):
            bad += status != 0
            for line in text.splitlines():
                if re.search(r": (warning|error):", line) and line not in seen:
                    seen.add(line)
                    print(line.replace(ROOT + "/", ""))
            if status != 0 and not re.search(r": (warning|error):", text):
                print(f"{entry}: clang-tidy ended with {status}: {text[-500:]}")
    return len(entries), bad


def run_style():
    problems = [p for checker in (layers, left_out, locks, tidy) for p in checker.check(ROOT)]
    for p in problems:
        print(p)
    return 4, min(4, len(problems))


def run_captures():
    """What users see first: the examples and the benchmarks."""
    files = [os.path.join(ROOT, f) for f in cxx.files(ROOT, ("examples", "bench/gort")) if f.endswith(".cpp")]
    problems = captures.check(files)
    for p in problems:
        print(p)
    return len(files), min(len(files), len(problems))


def main(argv):
    if argv and all(a.endswith((".cpp", ".cc", ".cxx")) for a in argv):
        return captures.main(argv)
    what = argv or ["format", "style", "captures", "tidy"]
    runs = {"format": run_format, "tidy": run_tidy, "style": run_style, "captures": run_captures}
    total = failed = 0
    for name in what:
        if name not in runs:
            sys.stderr.write(__doc__)
            return 2
        count, bad = runs[name]()
        print(f"lint: {name}: {count} looked at, {bad} bad", flush=True)
        total, failed = total + count, failed + bad
    print(f"{total - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

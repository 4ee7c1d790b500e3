#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the undefined symbols of libgort_core.a against tools/libc_allow.txt.

usage: libc_allow.py ARCHIVE [--table FILE]

The core may be stopped anywhere, inside libc's malloc too, and links into programs without libstdc++; so it calls only
what the table names.  Lines: SYMBOL [OBJECT ...] # reason.  OBJECT is a source's base name (thread.cpp): only that
object may use the symbol.  SYMBOL may be a pattern with '*'.  A line that nothing uses is an error too.
"""
import argparse
import fnmatch
import os
import re
import sys

import cxx
import elfcode


def parse_table(text):
    rules = []
    for n, line in enumerate(text.splitlines(), 1):
        body, _, reason = line.partition("#")
        words = body.split()
        if not words:
            continue
        if not reason.strip():
            raise ValueError(f"libc_allow.txt:{n}: {words[0]} has no reason")
        optional = words[0].startswith("?")
        rules.append((words[0].lstrip("?"), set(words[1:]), optional))
    return rules


def archive_symbols(archive):
    """(object -> undefined symbols, all defined symbols)"""
    undefined, defined, member = {}, set(), "?"
    for line in elfcode.output(elfcode.NM, "-A", archive).splitlines():
        m = re.match(r"[^:]*:([^:]+):\s*([0-9a-f]*)\s+(\S)\s+(\S+)$", line)
        if not m:
            continue
        member, _, kind, name = m.groups()
        source = re.sub(r"\.(o|obj)$", "", member)
        if kind in "Uwv" and not m.group(2):
            undefined.setdefault(source, set()).add(name)
        else:
            defined.add(name)
    return undefined, defined


def check(undefined, defined, rules):
    problems, used = [], set()
    for source, names in sorted(undefined.items()):
        for name in sorted(names - defined):
            plain = name.split("@")[0]
            for i, (pattern, objects, _) in enumerate(rules):
                if fnmatch.fnmatchcase(plain, pattern) and (not objects or source in objects):
                    used.add(i)
                    break
            else:
                pretty = elfcode.demangle([plain])[plain]
                problems.append(f"{source}: uses {pretty}, which tools/libc_allow.txt does not allow there")
    for i, (pattern, objects, optional) in enumerate(rules):
        if i not in used and not optional:
            problems.append(f"tools/libc_allow.txt: nothing uses {pattern} {' '.join(sorted(objects))}".rstrip())
    return problems


def main(argv):
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser()
    p.add_argument("archive")
    p.add_argument("--table", default=os.path.join(here, "libc_allow.txt"))
    a = p.parse_args(argv)
    try:
        rules = parse_table(open(a.table, encoding="utf-8").read())
        undefined, defined = archive_symbols(a.archive)
    except (OSError, ValueError, RuntimeError) as e:
        print(f"libc_allow: {e}")
        return 1
    return cxx.report(check(undefined, defined, rules), "libc_allow")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

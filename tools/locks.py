#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds src/schema/lockrank.hpp against docs/locks.dag.

usage: locks.py [ROOT]

docs/locks.dag holds statements "a, b < c;": while a (or b) is held, c may be taken.  "leaf: x, y;" marks locks below
which nothing is ever taken.  The enumerators of LockRank are one number each, so that the run-time check is one
comparison; they must be a linear extension of the partial order, name for name.
"""
import os
import re
import sys

import cxx


def parse_dag(text):
    """(set of names, set of (held, taken), set of leaves), or ValueError."""
    names, edges, leaves = set(), set(), set()
    text = re.sub(r"#[^\n]*", "", text)
    for statement in filter(None, (s.strip() for s in text.split(";"))):
        m = re.match(r"leaf\s*:\s*(.*)$", statement, re.S)
        if m:
            leaves |= {n.strip() for n in m.group(1).split(",")}
            continue
        groups = [[n.strip() for n in g.split(",")] for g in statement.split("<")]
        for g in groups:
            for n in g:
                if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", n):
                    raise ValueError(f"locks.dag: bad lock name {n!r} in {statement!r}")
                names.add(n)
        for held, taken in zip(groups, groups[1:]):
            edges |= {(a, b) for a in held for b in taken}
    return names | leaves, edges, leaves


def parse_ranks(text):
    m = re.search(r"enum\s+class\s+LockRank\b[^{]*\{(.*?)\}", cxx.blank(text), re.S)
    if not m:
        raise ValueError("lockrank.hpp: no 'enum class LockRank'")
    names = [n.split("=")[0].strip() for n in m.group(1).split(",")]
    return [n for n in names if n]


def check(root):
    try:
        names, edges, leaves = parse_dag(cxx.read(root, "docs/locks.dag"))
        ranks = parse_ranks(cxx.read(root, "src/schema/lockrank.hpp"))
    except (OSError, ValueError) as e:
        return [str(e)]
    problems, position = [], {n: i for i, n in enumerate(ranks)}
    for n in ranks:
        if n not in names and n != "unranked":
            problems.append(f"rank {n} (lockrank.hpp) is not in docs/locks.dag")
    for n in sorted(names - set(ranks)):
        problems.append(f"lock {n} (docs/locks.dag) has no rank in lockrank.hpp")
    for held, taken in sorted(edges):
        if held == taken:
            continue  # several of one rank at once; the order among them stands beside the statement
        if held in leaves:
            problems.append(f"{held} is a leaf but {taken} is taken under it")
        if held in position and taken in position and position[held] >= position[taken]:
            problems.append(f"{taken} is taken under {held}, so its rank must be greater")
    use, seen = re.compile(r"LockRank::([A-Za-z]\w*)"), set()
    for path in cxx.files(root, ("src",)):
        for m in use.finditer(cxx.blank(cxx.read(root, path))):
            seen.add(m.group(1))
            if m.group(1) not in position:
                problems.append(f"{path}: unknown rank LockRank::{m.group(1)}")
    problems += [f"rank {n}: no lock has it" for n in ranks if n not in seen and n != "unranked"]
    return problems


if __name__ == "__main__":
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(cxx.report(check(sys.argv[1] if len(sys.argv) > 1 else here), "locks"))

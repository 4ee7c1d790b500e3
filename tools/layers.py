#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Include direction between the floors, from docs/layers.dag, and the rules for ports.

usage: layers.py [ROOT]

docs/layers.dag holds statements that end in ';' ('#' starts a comment):
  a < b < c, d;    b may include a; c and d may include b (and, by transitivity, a)
  a !< b;          and b must not include a even if another statement allowed it
A floor is a directory of src/.  "public" is include/gort, "config" is include/gort/config.hpp alone.
Ports: *_port.hpp declares what a floor needs from above; at most six, of at most twelve functions each.
"""
import os
import re
import sys

import cxx

MAX_PORTS, MAX_PORT_FUNCTIONS = 6, 12
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.M)


def parse_dag(text):
    """(floors in order, set of (low, high) allowed, set of (low, high) forbidden), or ValueError."""
    text = re.sub(r"#[^\n]*", "", text)
    order, edges, forbidden = [], set(), set()
    for statement in filter(None, (s.strip() for s in text.split(";"))):
        parts = re.split(r"(!?<)", statement)
        groups = [[n.strip() for n in p.split(",")] for p in parts[::2]]
        for name in (n for g in groups for n in g):
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
                raise ValueError(f"layers.dag: bad floor name {name!r} in {statement!r}")
            if name not in order:
                order.append(name)
        for low, op, high in zip(groups, parts[1::2], groups[1:]):
            pairs = {(a, b) for a in low for b in high}
            (forbidden if op == "!<" else edges).update(pairs)
    allowed = set(edges)
    for k in order:
        for a in order:
            for b in order:
                if (a, k) in allowed and (k, b) in allowed:
                    allowed.add((a, b))
    for a in order:
        if (a, a) in allowed:
            raise ValueError(f"layers.dag: cycle through {a}")
    clash = edges & forbidden
    if clash:
        raise ValueError(f"layers.dag: both allowed and forbidden: {sorted(clash)}")
    return order, allowed - forbidden, forbidden


def floor_of(path):
    parts = path.split("/")
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    if path == "include/gort/config.hpp":
        return "config"
    if parts[:2] == ["include", "gort"]:
        return "public"
    return None


def target_of(quoted, angled):
    """Repository path that an include names, or None for a foreign header."""
    if angled:
        return "include/" + angled if angled.startswith("gort/") else None
    return "src/" + quoted


def check_includes(root, order, allowed):
    problems, graph = [], {}
    for path in cxx.files(root, ("src", "include")):
        mine = floor_of(path)
        if mine is None:
            problems.append(f"{path}: not inside a floor")
            continue
        if mine not in order:
            problems.append(f"{path}: floor {mine!r} is not in docs/layers.dag")
            continue
        text = cxx.blank(cxx.read(root, path), strings=False)
        for m in INCLUDE.finditer(text):
            line = text.count("\n", 0, m.start()) + 1
            target = target_of(*m.groups())
            if target is None:
                continue
            if m.group(1) and "/" not in m.group(1):
                problems.append(f'{path}:{line}: write the floor too: "{mine}/{m.group(1)}"')
                continue
            theirs = floor_of(target)
            graph.setdefault(path, []).append(target)
            if theirs != mine and (theirs, mine) not in allowed:
                problems.append(f"{path}:{line}: floor {mine} must not include {theirs} ({m.group(0).strip()})")
    return problems + check_cycles(graph)


def check_cycles(graph):
    state, problems = {}, []

    def visit(node, trail):
        state[node] = 1
        for nxt in graph.get(node, ()):
            if state.get(nxt) == 1:
                problems.append("include cycle: " + " -> ".join(trail[trail.index(nxt):] + [nxt]))
            elif nxt not in state:
                visit(nxt, trail + [nxt])
        state[node] = 2

    for node in sorted(graph):
        if node not in state:
            visit(node, [node])
    return problems


def port_functions(text):
    code = cxx.without_preprocessor(cxx.blank(text))
    code = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", " ", code)
    return re.findall(r"\b([A-Za-z_]\w*)\s*\([^;{}]*\)[^;{}()]*;", code)


def check_ports(root):
    problems, ports = [], []
    for path in cxx.files(root, ("src",)):
        if path.endswith("_port.hpp"):
            ports.append(path)
            names = port_functions(cxx.read(root, path))
            if len(names) > MAX_PORT_FUNCTIONS:
                problems.append(f"{path}: {len(names)} functions; a port has at most {MAX_PORT_FUNCTIONS}")
    if len(ports) > MAX_PORTS:
        problems.append(f"{len(ports)} ports ({', '.join(ports)}); there may be {MAX_PORTS}")
    return problems


def check(root):
    try:
        order, allowed, _ = parse_dag(cxx.read(root, "docs/layers.dag"))
    except (OSError, ValueError) as e:
        return [str(e)]
    return check_includes(root, order, allowed) + check_ports(root)


if __name__ == "__main__":
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(cxx.report(check(sys.argv[1] if len(sys.argv) > 1 else here), "layers"))

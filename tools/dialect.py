#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the markers of src/base/dialect.hpp on the linked core.

usage: dialect.py --archive libgort_core.a --program LINKED [--su DIR] [--table FILE] [--root ROOT] [--slack BYTES] [-v]

GORT_NOSPLIT (section .text.gort_nosplit): runs on the goroutine's stack; the deepest chain of frames from it must fit
the slack below the guard.  The chain ends where the stack is switched.  Recursion, a frame of unknown size and an
indirect call that the table does not resolve are errors.
It calls nothing of libc but what the table names: the thread may hold a P, and libc's locks may be held by a stopped one.
GORT_SYSTEMSTACK (section .text.gort_sysstack): runs on g0; called only from its like, or passed to mcall/systemstack.
GORT_NOWRITEBARRIER: reaches no function whose name says that it is a write barrier.

--su: GCC's own frame sizes (-fstack-usage) below DIR.  No function may have a smaller frame here than GCC says: the
reading of the instructions would have missed something.

The table (tools/indirect_calls.txt), one statement a line, regular expressions over demangled names, '#' comments:
  switch  RE                 changes the stack (mcall, systemstack, gogo): a chain ends there
  end     RE                 never returns and reports on another stack (throw_, fatal): a chain ends there
  g0      RE                 runs on g0 although its section cannot say so (thread entries, trampolines)
  call    RE -> NAME, NAME   what the indirect calls of RE reach (demangled names as RE); "none": nothing on this stack
  depth   RE = BYTES         bounds recursion or a dynamic frame, with the reason in the comment
  libc    NAME = BYTES       a libc function that NOSPLIT code may call, and the stack to allow for it
"""
import argparse
import os
import re
import sys

import cxx
import elfcode

NOSPLIT, SYSSTACK = ".text.gort_nosplit", ".text.gort_sysstack"
SLACK = 16 * 1024
BARRIER = re.compile(r"\b(gcWriteBarrier|wbBufFlush|bulkBarrier|writebarrierptr)\w*", re.I)


class Table:
    def __init__(self, text):
        self.switches, self.ends, self.g0, self.calls, self.depths, self.libc = [], [], [], [], [], {}
        for n, line in enumerate(text.splitlines(), 1):
            line = re.sub(r"(^|\s)#.*", "", line).strip()
            if not line:
                continue
            word, _, rest = line.partition(" ")
            rest = rest.strip()
            if word in ("switch", "end", "g0"):
                {"switch": self.switches, "end": self.ends, "g0": self.g0}[word].append(re.compile(rest))
            elif word == "call" and "->" in rest:
                left, right = rest.rsplit("->", 1)
                names = [] if right.strip() == "none" else [re.compile(r.strip()) for r in right.split(", ")]
                self.calls.append((re.compile(left.strip()), names))
            elif word == "libc" and "=" in rest:
                left, right = rest.rsplit("=", 1)
                self.libc[left.strip()] = int(right)
            elif word == "depth" and "=" in rest:
                left, right = rest.rsplit("=", 1)
                self.depths.append((re.compile(left.strip()), int(right)))
            else:
                raise ValueError(f"table line {n}: cannot read {line!r}")

    @staticmethod
    def any(patterns, name):
        return any(p.search(name) for p in patterns)


class Checker:
    def __init__(self, functions, sections, table):
        self.functions, self.table, self.problems = functions, table, []
        self.sections = sections
        names = set(functions) | {c for f in functions.values() for c in f.calls}
        self.pretty = elfcode.demangle(sorted(names))
        self.depth, self.chain = {}, {}

    def section(self, name):
        found = self.sections.get(name) or self.sections.get(elfcode.parent(name)) or set()
        return next((s for s in (NOSPLIT, SYSSTACK) if s in found), "")

    def resolve(self, f):
        """Names that the indirect calls of f may reach, or None."""
        for pattern, targets in self.table.calls:
            if pattern.search(self.pretty[f.name]):
                return [n for n in self.functions for t in targets if t.search(self.pretty[n])]
        return None

    def worst(self, name, active):
        """Deepest stack below and with `name`."""
        if name in self.depth:
            return self.depth[name]
        pretty = self.pretty.get(name, name)
        for pattern, size in self.table.depths:
            if pattern.search(pretty):
                self.depth[name], self.chain[name] = size, None
                return size
        f = self.functions.get(name)
        if "@" in name:
            return self.external(name, active)
        if f is None or self.table.any(self.table.ends, pretty):
            return 0
        if self.table.any(self.table.switches, pretty):
            return f.frame
        if name in active:
            trail = active[active.index(name):] + [name]
            self.problems.append("recursion in NOSPLIT code: " + " -> ".join(self.pretty[n] for n in trail))
            return 0
        if f.dynamic:
            self.problems.append(f"frame of unknown size in NOSPLIT code: {pretty} (called from {self.trail(active)})")
        callees = list(dict.fromkeys(f.calls))
        if f.indirect:
            targets = self.resolve(f)
            if targets is None:
                self.problems.append(f"unresolved indirect call in NOSPLIT code: {pretty}: {', '.join(f.indirect)} "
                                     f"(called from {self.trail(active)}); add it to tools/indirect_calls.txt")
                targets = []
            callees += targets
        deepest, via = 0, None
        for callee in callees:
            d = self.worst(callee, active + [name])
            if d > deepest:
                deepest, via = d, callee
        self.depth[name], self.chain[name] = f.frame + deepest, via
        return self.depth[name]

    def external(self, name, active):
        """A libc function: the linker's stub name@plt."""
        plain = name.split("@")[0]
        if plain not in self.table.libc:
            self.problems.append(f"NOSPLIT code calls libc's {plain} ({self.trail(active)})")
        self.depth[name] = self.table.libc.get(plain, 0)
        return self.depth[name]

    def trail(self, active):
        return " -> ".join(self.pretty[n] for n in active[-4:]) or "nobody"

    def path(self, name):
        parts = []
        while name:
            f = self.functions.get(name)
            parts.append(f"{self.pretty.get(name, name)} [{f.frame if f else '?'}]")
            name = self.chain.get(name)
        return "\n    ".join(parts)

    def check_nosplit(self, slack):
        roots = [n for n in self.functions if self.section(n) == NOSPLIT]
        for name in roots:
            depth = self.worst(name, [])
            if depth > slack:
                self.problems.append(f"NOSPLIT chain of {depth} bytes exceeds the slack of {slack}:\n    {self.path(name)}")
        return roots

    def check_sysstack(self):
        count = 0
        for f in self.functions.values():
            mine = self.section(f.name)
            count += mine == SYSSTACK
            pretty = self.pretty[f.name]
            if mine == SYSSTACK or self.table.any(self.table.g0, pretty):
                continue
            for callee in dict.fromkeys(f.calls):
                if self.section(callee) == SYSSTACK:
                    self.problems.append(f"SYSTEMSTACK function {self.pretty[callee]} is called from {pretty}, "
                                         "which does not run on g0")
        return count

    def check_barriers(self, marked):
        for name in self.functions:
            pretty = self.pretty[name]
            if any(re.search(r"\b" + re.escape(m) + r"\(", pretty) for m in marked):
                hit = self.reaches(name)
                if hit:
                    self.problems.append(f"NOWRITEBARRIER function {pretty} reaches {self.pretty[hit]}")

    def reaches(self, name):
        todo, seen = [name], set()
        while todo:
            n = todo.pop()
            if n in seen or n not in self.functions:
                continue
            seen.add(n)
            if BARRIER.search(self.pretty[n]):
                return n
            todo += self.functions[n].calls
        return None


def base_name(signature):
    """The plain name in a signature, or None where a plain name is not enough (lambdas, operators)."""
    if "lambda" in signature or "operator" in signature or "::_FUN" in signature:
        return None
    head = re.sub(r"\(anonymous namespace\)|\{anonymous\}", "anonymous", signature).split("(")[0].split("<")[0]
    words = head.split("::")[-1].split()
    return words[-1] if words else None


def read_stack_usage(directory):
    """plain name -> frame sizes that GCC wrote, over all .su files"""
    sizes = {}
    for base, _, names in os.walk(directory):
        for n in (n for n in names if n.endswith(".su")):
            with open(os.path.join(base, n), encoding="utf-8") as f:
                for line in f:
                    where, size, _ = line.rstrip("\n").split("\t")
                    name = base_name(where.split(":", 3)[-1])
                    if name:
                        sizes.setdefault(name, set()).add(int(size))
    return sizes


def check_stack_usage(checker, sizes):
    compared = 0
    for f in checker.functions.values():
        name = base_name(checker.pretty[f.name])
        if name in sizes and elfcode.parent(f.name) == f.name:
            compared += 1
            if f.frame < min(sizes[name]) and not f.dynamic:
                checker.problems.append(f"{checker.pretty[f.name]}: frame of {f.frame} bytes by its instructions, "
                                        f"{min(sizes[name])} by GCC")
    if compared < 50:
        checker.problems.append(f"only {compared} functions could be compared with GCC's .su files: are they there?")
    return compared


def marked_nowritebarrier(root):
    names = set()
    for path in cxx.files(root, ("src",)):
        if path.endswith("dialect.hpp"):
            continue
        code = cxx.blank(cxx.read(root, path))
        for m in re.finditer(r"\bGORT_NOWRITEBARRIER(?:REC)?\b([^;{(]*?)([A-Za-z_]\w*)\s*\(", code):
            names.add(m.group(2))
    return names


def main(argv):
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--archive", required=True)
    p.add_argument("--program", required=True)
    p.add_argument("--root", default=here)
    p.add_argument("--table")
    p.add_argument("--su")
    p.add_argument("--slack", type=int, default=SLACK)
    p.add_argument("-v", action="store_true", dest="verbose")
    a = p.parse_args(argv)
    table_file = a.table or os.path.join(here, "tools", "indirect_calls.txt")
    try:
        table = Table(open(table_file, encoding="utf-8").read())
        checker = Checker(elfcode.load(a.program), elfcode.symbol_sections(a.archive), table)
    except (OSError, ValueError, RuntimeError) as e:
        print(f"dialect: {e}")
        return 1
    roots = checker.check_nosplit(a.slack)
    sysstack = checker.check_sysstack()
    checker.check_barriers(marked_nowritebarrier(a.root))
    if a.su:
        print(f"dialect: {check_stack_usage(checker, read_stack_usage(a.su))} frames agree with GCC's own sizes")
    worst = max(roots, key=lambda n: checker.depth[n], default=None)
    print(f"dialect: {len(roots)} NOSPLIT and {sysstack} SYSTEMSTACK functions")
    if worst:
        print(f"dialect: deepest NOSPLIT chain {checker.depth[worst]} of {a.slack} bytes:\n    {checker.path(worst)}")
    if a.verbose:
        for n in sorted(roots, key=lambda n: -checker.depth[n]):
            print(f"  {checker.depth[n]:6} {checker.pretty[n]}")
    return cxx.report(list(dict.fromkeys(checker.problems)), "dialect")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

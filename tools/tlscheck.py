#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finds thread-local addresses that a function keeps in a register or on its stack across a call that may park.

    tools/tlscheck.py FILE...        object files, archives' members, executables or shared libraries (x86-64)

A goroutine that parks may go on on another thread. errno and thread_local variables named after the park are looked up
anew only if the compiler does so; it may have kept the address from before (`__errno_location` is declared const). This
tool reads the disassembly: an address of thread-local storage (from %fs:0, __tls_get_addr or __errno_location) that is
live across a call into gort, or into a function of the same file that calls into gort, and is used as a base afterwards,
is reported with function and line. What it cannot see: calls through pointers, and addresses kept in memory other than
the function's own frame. Exit status 1 if something was found, 2 on bad usage.
"""
import re
import subprocess
import sys

SOURCES = re.compile(r"__tls_get_addr|__errno_location|__h_errno_location|__cxa_get_globals")
PARKS = re.compile(r"^_ZN?[KVRO]*4gort(?!.*(local_find|local_add|chan_retain|chan_release|newproc_abort))")
VOLATILE = {"rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"}
NAMES = {}
for wide, parts in {
    "rax": "eax ax al", "rbx": "ebx bx bl", "rcx": "ecx cx cl", "rdx": "edx dx dl", "rsi": "esi si sil",
    "rdi": "edi di dil", "rbp": "ebp bp bpl", "rsp": "esp sp spl",
}.items():
    for part in [wide] + parts.split():
        NAMES[part] = wide
for i in range(8, 16):
    for suffix in ("", "d", "w", "b"):
        NAMES[f"r{i}{suffix}"] = f"r{i}"

FUNCTION = re.compile(r"^[0-9a-f]+ <([^>]+)>:$")
LINE = re.compile(r"^\s+([0-9a-f]+):\t(?:(?:data16|rex\.W|cs|notrack|bnd|lock|rep\w*)\s+)*(\S+)\s*(.*)$")
RELOC = re.compile(r"^\s+[0-9a-f]+:\s+R_X86_64_\S+\s+(\S+)")
MEMORY = re.compile(r"(%\w+:)?(-?0x[0-9a-f]+)?\(([^)]*)\)")


def functions(path):
    """Yields (name, [(address, mnemonic, operands, symbol)]) from objdump."""
    text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", path], capture_output=True, text=True)
    if text.returncode != 0:
        sys.exit(f"tlscheck: {path}: {text.stderr.strip().splitlines()[-1]}")
    name, code = None, []
    for raw in text.stdout.splitlines():
        if m := FUNCTION.match(raw):
            if name:
                yield name, code
            name, code = m[1], []
        elif (m := RELOC.match(raw)) and code:
            code[-1][3] = re.sub(r"[-+]0x[0-9a-f]+$", "", m[1])
        elif m := LINE.match(raw):
            target = re.search(r"<([^>+]+)(?:\+0x[0-9a-f]+)?>", m[3])
            code.append([int(m[1], 16), m[2], m[3].split("#")[0].strip(), target[1].split("@")[0] if target else ""])
    if name:
        yield name, code


def parking(all_functions):
    """Functions that may park: gort's, and whatever calls one."""
    calls = {n: {c[3] for c in code if c[1].startswith(("call", "jmp")) and c[3]} for n, code in all_functions}
    found = {n for targets in calls.values() for n in targets if PARKS.match(n)}
    while True:
        more = {n for n, targets in calls.items() if n not in found and targets & found}
        if not more:
            return found
        found |= more


def operands(text):
    """Splits at the commas outside parentheses."""
    return [o.strip() for o in re.split(r",(?![^(]*\))", text)] if text else []


def register(operand):
    return NAMES.get(operand[1:]) if operand.startswith("%") and ":" not in operand else None


def slot(operand):
    m = re.fullmatch(r"(-?0x[0-9a-f]+)?\(%(rsp|rbp)\)", operand)
    return f"{m[2]}{m[1] or ''}" if m else None


class Scan:
    """One pass over a function: `live` maps a register or stack slot to whether a park lies behind its address."""

    def __init__(self, parks):
        self.parks, self.live, self.found = parks, {}, []

    def uses(self, address, ops):
        for o in ops:
            for m in MEMORY.finditer(o):
                for part in m[3].split(","):
                    if self.live.get(NAMES.get(part.strip().lstrip("%"))):
                        self.found.append(address)

    def step(self, address, mnemonic, text, symbol):
        ops = operands(text)
        if mnemonic.startswith("call"):
            self.live = {k: v for k, v in self.live.items() if k not in VOLATILE}
            if symbol in self.parks:
                self.live = {k: True for k in self.live}
            if SOURCES.search(symbol):
                self.live["rax"] = False
            return
        if mnemonic.startswith(("jmp", "ret")):
            if mnemonic.startswith("ret") or not symbol:
                self.live = {}
            return
        if not mnemonic.startswith("lea"):
            self.uses(address, ops)
        if not ops:
            return
        target = register(ops[-1]) or slot(ops[-1])
        if target is None:
            return
        if mnemonic.startswith("mov") and ops[0] == "%fs:0x0":
            self.live[target] = False
        elif mnemonic.startswith("mov"):
            source = register(ops[0]) or slot(ops[0])
            self.set(target, self.live.get(source))
        elif mnemonic.startswith("lea") and (m := MEMORY.search(ops[0])):
            self.set(target, self.live.get(NAMES.get(m[3].split(",")[0].lstrip("%"))))
        elif not mnemonic.startswith(("add", "sub", "cmp", "test", "push")):
            self.live.pop(target, None)

    def set(self, target, state):
        if state is None:
            self.live.pop(target, None)
        else:
            self.live[target] = state


def line_of(path, name, address):
    out = subprocess.run(["addr2line", "-e", path, hex(address)], capture_output=True, text=True).stdout.strip()
    return "" if out.startswith("??") or not out else f" ({out})"


def check(path):
    code = list(functions(path))
    parks = parking(code)
    problems = []
    for name, body in code:
        scan = Scan(parks)
        for c in body:
            scan.step(*c)
        if scan.found and not name.startswith(("_ZN4gort2rt", "gort_")):
            readable = subprocess.run(["c++filt", name], capture_output=True, text=True).stdout.strip() or name
            problems.append(f"{path}: {readable}: thread-local address from before a park is used after it"
                            f"{line_of(path, name, scan.found[0])}; read it again in a function of its own, or use "
                            "gort::local or runtime::os_thread_lock")
    return problems


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        print(__doc__.strip())
        return 0 if sys.argv[1:2] in (["-h"], ["--help"]) else 2
    problems = [p for path in sys.argv[1:] for p in check(path)]
    print("\n".join(problems) if problems else "tlscheck: nothing found")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/hook.md says what libgort_hook.so hooks: its table names what the library defines, no less and no more.

usage: names_test.py LIBRARY DOCUMENT

Names that headers make of a documented one count as that one: __read_chk and read, sendfile64 and sendfile.
"""
import re
import subprocess
import sys


def plain(name):
    name = re.sub(r"^__(\w+)_chk$", r"\1", name)
    return re.sub(r"64$", "", name.replace("v64v2", "v2"))


def defined(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    return {plain(line.split()[-1].split("@")[0]) for line in out.splitlines() if line.split()[-2] in "TWi"}


def documented(text):
    table = text.split("## What is hooked")[1].split("##")[0]
    names = set()
    for row in re.findall(r"^\|([^|]*)\|", table, re.M):
        for group in re.findall(r"`([a-z0-9_ ]+)`", row):
            names |= set(group.split())
    return names


def main():
    with open(sys.argv[2], encoding="utf-8") as f:
        said = documented(f.read())
    done = defined(sys.argv[1])
    for name in sorted(done - said):
        print(f"hook.names: {name} is hooked, but not in the table")
    for name in sorted(said - done):
        print(f"hook.names: {name} is in the table, but not hooked")
    return 0 if said == done and len(said) > 40 else 1


if __name__ == "__main__":
    sys.exit(main())

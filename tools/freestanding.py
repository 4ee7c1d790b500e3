#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Links a C program against the whole of libgort_core.a with the C compiler and looks at what it needs.

usage: freestanding.py --cc CC --archive libgort_core.a --main MAIN.c --out PROGRAM

Holds: the link succeeds without libstdc++ (so no operator new, no exceptions thrown, no out-of-line library code); the
program needs libc and the unwinder alone; it runs.  PROGRAM is also what the dialect checker disassembles.
"""
import argparse
import re
import subprocess
import sys

import cxx
import elfcode

MAY_NEED = re.compile(r"^(libc|libgcc_s|libpthread|libdl|ld-linux-x86-64|ld-linux-aarch64)\.so")


def main(argv):
    p = argparse.ArgumentParser()
    for name in ("cc", "archive", "main", "out"):
        p.add_argument("--" + name, required=True)
    a = p.parse_args(argv)
    link = subprocess.run([a.cc, "-std=c11", "-O1", "-Wall", "-Werror", "-no-pie", a.main, "-o", a.out, "-Wl,-z,now",
                           "-Wl,--whole-archive", a.archive, "-Wl,--no-whole-archive", "-pthread"],
                          capture_output=True, text=True)
    if link.returncode != 0:
        wanted = sorted(set(re.findall(r"undefined reference to `([^']+)'", link.stderr)))
        problems = [f"the core needs {n}, which is neither its own nor libc's" for n in wanted]
        return cxx.report(problems or [link.stderr], "freestanding")
    needed = re.findall(r"\(NEEDED\).*\[(.+)\]", elfcode.output(elfcode.READELF, "-dW", a.out))
    problems = [f"the program needs {n}" for n in needed if not MAY_NEED.match(n)]
    done = subprocess.run([a.out], capture_output=True, text=True, timeout=30)
    if done.returncode != 0:
        problems.append(f"{a.out} ends with {done.returncode}: {done.stdout} {done.stderr}")
    print(f"freestanding: needs {' '.join(needed)}; says: {done.stdout.strip()}")
    return cxx.report(problems, "freestanding")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

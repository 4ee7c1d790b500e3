# SPDX-License-Identifier: Apache-2.0
"""The compilers of this machine, and one call of each."""
import os
import shutil
import subprocess

STRICT = ["-Wall", "-Wextra", "-Werror=unused-result", "-Werror=unused-value"]


def found():
    """g++ and the newest Clang from 14 on; GORT_CXX names others, separated by ':'."""
    if os.environ.get("GORT_CXX"):
        return os.environ["GORT_CXX"].split(":")
    clangs = [f"clang++-{n}" for n in range(14, 22)] + ["clang++"]
    return [c for c in ["g++"] if shutil.which(c)] + [c for c in clangs if shutil.which(c)][:1]


def syntax(cxx, root, text, options=(), includes=("include",)):
    """(does it compile, what the compiler said)"""
    command = [cxx, "-std=c++20", *options, *(f"-I{os.path.join(root, i)}" for i in includes), "-fsyntax-only",
               "-x", "c++", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    return done.returncode == 0, done.stderr

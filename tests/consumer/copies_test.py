#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two shared objects that each carry a static copy of Gort in one process: refused at boot, whatever hides the symbols.

usage: copies_test.py --source ROOT --library libgort.a --cxx CXX --scratch DIR
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

PART = """
#include <gort/gort.hpp>
extern "C" __attribute__((visibility("default"))) int NAME() {
  int n = 0;
  gort::block_on([&] { n = 42; });
  return n;
}
"""

MAIN = """
#include <dlfcn.h>
#include <cstdio>
int main(int argc, char** argv) {
  int sum = 0;
  void* part[2] = {};
  for (int i = 1; i < argc; ++i) {
    if ((part[i - 1] = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL)) == nullptr) return std::puts(dlerror()), 1;
  }
  const char* names[] = {"one", "two"};
  for (int i = 0; i + 1 < argc; ++i) sum += reinterpret_cast<int (*)()>(dlsym(part[i], names[i]))();
  std::printf("sum %d\\n", sum);
}
"""


def build(a, name, text, *options):
    source = os.path.join(a.scratch, name + ".cpp")
    with open(source, "w", encoding="utf-8") as f:
        f.write(text)
    out = os.path.join(a.scratch, name)
    command = [a.cxx, "-std=c++20", "-O1", "-fPIC", "-pthread", "-I" + os.path.join(a.source, "include"), source, "-o", out]
    done = subprocess.run(command + list(options), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{name} does not build:\n{done.stderr[-3000:]}")
    return out


def main(argv):
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("source", "library", "cxx", "scratch"):
        p.add_argument("--" + name, required=True)
    a = p.parse_args(argv)
    shutil.rmtree(a.scratch, ignore_errors=True)
    os.makedirs(a.scratch)
    link = ["-shared", a.library, "-Wl,-z,now", "-Wl,--exclude-libs,ALL", "-s", "-Wl,--gc-sections"]
    one, two = (build(a, n, PART.replace("NAME", n), *link) for n in ("one", "two"))
    program = build(a, "program", MAIN, "-ldl")
    alone = subprocess.run([program, one], capture_output=True, text=True, timeout=60)
    both = subprocess.run([program, one, two], capture_output=True, text=True, timeout=60)
    problems = []
    if (alone.returncode, alone.stdout) != (0, "sum 42\n"):
        problems.append(f"one copy must work: {alone}")
    want = r"\Agort: one copy is in \S+/one, another in \S+/two: .*\nfatal error: gort: two copies of the library in one process\n"
    if both.returncode != 2 or both.stdout != "" or not re.match(want, both.stderr):
        problems.append(f"two copies must be refused: {both}")
    print("\n".join(problems) or "two copies are refused")
    shutil.rmtree(a.scratch, ignore_errors=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

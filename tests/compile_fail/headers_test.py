#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone, twice included, without a warning, with every compiler.

usage: headers_test.py --root ROOT
Public headers also with -fno-exceptions -fno-rtti, and must not drag in the expensive ones (docs/api.md, 11).
"""
import argparse
import concurrent.futures
import os
import sys

import compilers

WARN = ["-Wall", "-Wextra", "-Wundef", "-Wshadow", "-Werror", "-Wno-missing-field-initializers"]
FREE = ["-fno-exceptions", "-fno-rtti"]
EXPENSIVE = ("iostream", "ranges", "thread", "format", "regex", "source_location")
OWN_COST = {"stop_token.hpp", "asio.hpp"}  # <stop_token> brings parts of <thread>, Asio whatever it likes
NEEDS = {"asio.hpp": "boost/asio/buffer.hpp"}  # not checked where that is missing; ./dev setup installs it


def headers(root, top):
    for base, _, names in os.walk(os.path.join(root, top)):
        for n in sorted(names):
            if n.endswith(".hpp"):
                yield os.path.relpath(os.path.join(base, n), root)


def public(root, cxx, path):
    name = path[len("include/"):]
    needs = NEEDS.get(os.path.basename(name))
    if needs and not compilers.syntax(cxx, root, f"#if !__has_include(<{needs}>)\n#error\n#endif\n")[0]:
        return ""
    for options in (WARN, WARN + FREE):
        good, said = compilers.syntax(cxx, root, f"#include <{name}>\n#include <{name}>\n", options)
        if not good:
            return f"{path}, {cxx} {' '.join(options[len(WARN):])}:\n{said[:1500]}"
    good, said = compilers.syntax(cxx, root, f"#include <{name}>\n", ["-H"])
    hit = [e for e in EXPENSIVE if any(line.lstrip(". ").endswith("/" + e) for line in said.splitlines())]
    if good and hit and os.path.basename(name) not in OWN_COST:
        return f"{path}, {cxx}: drags in <{'>, <'.join(hit)}>"
    return ""


def internal(root, cxx, path):
    name = path[len("src/"):]
    options = WARN + ([] if name.startswith("api/") else FREE) + ["-DGORT_BUILD=1"]
    text = f'#include "{name}"\n#include "{name}"\n'
    good, said = compilers.syntax(cxx, root, text, options, ("src", "include"))
    return "" if good else f"{path}, {cxx}:\n{said[:1500]}"


def check(root):
    jobs = [(kind, cxx, path) for cxx in compilers.found() for kind, top in ((public, "include"), (internal, "src"))
            for path in headers(root, top)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda job: job[0](root, job[1], job[2]), jobs))
    return len(jobs), [r for r in results if r]


def main(argv):
    p = argparse.ArgumentParser()
    p.add_argument("--root", required=True)
    count, problems = check(p.parse_args(argv).root)
    for problem in problems:
        print(problem)
    print(f"headers: {count} checks, {len(problems)} problem(s)")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lambdas that capture by reference and are given to gort::go where nothing waits for the goroutine.

usage: captures.py FILE.cpp... [-- COMPILER OPTIONS]

A goroutine started by gort::go may outlive the block that started it, and then [&] dangles.  The matcher (clang-query)
reports such a call unless a block around it, in the same function or in one that the call's lambda stands in, also calls
wait, join or recv: a wait_group, a task, a channel.  That is a guess in favour of the program: it says nothing about which
goroutine is waited for.  errgroup::go and wait_group::go are not looked at: their group is there to be waited for.
CLANG_QUERY names the tool (14 or newer).
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OPTIONS = ["-std=c++20", f"-I{ROOT}/include", f"-I{ROOT}/src"]
QUERY = """
set output diag
set bind-root false
match callExpr(
  callee(functionDecl(hasName("::gort::go"), hasAnyTemplateArgument(refersToType(hasDeclaration(
    cxxRecordDecl(isLambda(), has(fieldDecl(hasType(referenceType()))))))))),
  unless(isExpansionInSystemHeader()),
  unless(hasAncestor(compoundStmt(hasDescendant(
    cxxMemberCallExpr(callee(cxxMethodDecl(hasAnyName("wait", "join", "recv"))))))))).bind("go")
"""


def check(files, options=()):
    """Problems as text, one for each call; a file that the tool cannot read is a problem too."""
    with tempfile.NamedTemporaryFile("w", suffix=".query") as query:
        query.write(re.sub(r"\n  +", " ", QUERY))  # a command is one line
        query.flush()
        done = subprocess.run([os.environ.get("CLANG_QUERY", "clang-query"), "-f", query.name, *files, "--", *OPTIONS,
                               *options], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    problems = [f"{place}: a goroutine may outlive what its lambda captures by reference: capture by value, or wait here"
                for place in re.findall(r"^(\S+:\d+:\d+): note: \"go\" binds here", done.stdout, re.M)]
    errors = re.findall(r"^\S+:\d+:\d+: (?:fatal )?error: .*", done.stdout + done.stderr, re.M)
    if not errors and (done.returncode != 0 or not re.search(r"^\d+ match(?:es)?\.$", done.stdout, re.M)):
        errors = [f"clang-query ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}"]
    return [p.replace(ROOT + "/", "") for p in sorted(set(problems)) + errors]


def main(argv):
    files, options = argv, []
    if "--" in argv:
        files, options = argv[:argv.index("--")], argv[argv.index("--") + 1:]
    if not files:
        sys.stderr.write(__doc__)
        return 2
    problems = check(files, options)
    print("\n".join(problems + [f"captures: {len(problems) or 'no'} problem{'s' * (len(problems) > 1)}"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

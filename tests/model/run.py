#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the models and the mutation list:  run.py [--quick] [--jobs N] [--verbose] [FILTER...]

Each tests/model/*_model.cpp is one program; it has to pass as it is, and to fail under every mutation that
mutations.txt names for it. tests/model/spin/*.pml are run through spin the same way. One line per model and per
mutation, last line "N passed, N failed". A FILTER is a part of a line's name. Exit status 0: nothing failed.
Builds into build/model (or $GORT_MODEL_BUILD). The format of mutations.txt is told at its head.
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = pathlib.Path(os.environ.get("GORT_MODEL_BUILD", ROOT / "build" / "model")).resolve()
CXX = os.environ.get("CXX", "g++")
FLAGS = ["-std=c++20", "-O1", "-Wall", "-Wextra", "-Wundef", "-Wshadow", "-Werror"]
INCLUDES = ["-I" + str(ROOT / "src"), "-I" + str(ROOT / "include"), "-I" + str(ROOT / "tests")]
MUTANT_FLAGS = ["-w", "-O0"]  # a mutant may leave something unused; it is compiled more than it is run
TIMEOUT = 120


class Broken(Exception):
    """The list or a program is broken: neither a pass nor a kill."""


def sh(cmd, cwd=None, timeout=TIMEOUT):
    p = subprocess.run(cmd, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout)
    return p.returncode, p.stdout


def newest_source():
    files = [HERE / "explorer.cpp", HERE / "explorer.hpp", HERE / "env.hpp"]
    files += list((ROOT / "src" / "base").glob("*.hpp"))
    return max(f.stat().st_mtime for f in files if f.exists())


def compile_to(target, args):
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name("%s.%d.%d.part" % (target.name, os.getpid(), threading.get_ident()))
    code, text = sh([CXX] + args + ["-o", str(part)])
    if code != 0:
        raise Broken("does not compile:\n" + text[:3000])
    os.replace(part, target)
    return target


def build_explorer():
    obj = OUT / "explorer.o"
    if not obj.exists() or obj.stat().st_mtime < newest_source():
        compile_to(obj, FLAGS + ["-O2", "-c"] + INCLUDES + [str(HERE / "explorer.cpp")])
    return obj


def model_source(model):
    return HERE / (model + "_model.cpp")


BUILT = {}  # once per run: somebody may be editing


def build_model(model):
    if model in BUILT:
        return BUILT[model]
    exe = OUT / model
    src = model_source(model)
    newest = max([newest_source(), src.stat().st_mtime] + [f.stat().st_mtime for f in headers_of(src)])
    if not exe.exists() or exe.stat().st_mtime < newest:
        compile_to(exe, FLAGS + INCLUDES + [str(src), str(OUT / "explorer.o")])
    BUILT[model] = exe
    return exe


def headers_of(src):
    names = re.findall(r'#include "([^"]+)"', src.read_text())
    return [d / n for n in names for d in (ROOT / "src", ROOT / "tests") if (d / n).exists()]


# ---------------------------------------------------------------- the list


class Mutation:
    def __init__(self, kind, model, name, **kw):
        self.kind, self.model, self.name = kind, model, name
        self.__dict__.update(kw)


def weaker(line, start, order):
    """The orders one step below Order::<order> at this place of the line."""
    if order == "seqCst":
        before = line[:start]
        last = max(before.rfind(".load("), before.rfind(".store("), before.rfind("("))
        if before.rfind(".load(") == last - 5 and ".load(" in before:
            return ["acquire"]
        if ".store(" in before and before.rfind(".store(") > before.rfind(";"):
            return ["release"]
        return ["acqRel"]
    if order == "acqRel":
        return ["acquire", "release"]
    return ["relaxed"]


def order_mutations(model, path, exempt, between=None):
    """One mutation per non-relaxed order in the code of a header. A bare load()/store() counts as seqCst: an error."""
    text = (ROOT / path).read_text()
    first, last = between if between else ("", "")
    begin = text.index(first) if first else 0
    end = text.index(last, begin) if last else len(text)
    out, offset = [], 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        code = line.split("//")[0]
        for m in re.finditer(r"Order::(acquire|release|acqRel|seqCst)\b", code):
            at = offset + m.start()
            if not begin <= at < end:
                continue
            reason = next((r for frag, r in exempt if frag in code), None)
            for to in weaker(code, m.start(), m.group(1)):
                new = text[:at] + "Order::" + to + text[offset + m.end():]
                name = "%s:%d %s -> %s  in  %s" % (path.split("/")[-1], number, m.group(1), to, code.strip())
                out.append(Mutation("header", model, name, path=path, text=new, exempt=reason))
        offset += len(line)
    return out


def text_mutation(model, path, name, old, new):
    """One textual change. White space in the old text stands for any white space: formatting does not matter."""
    text = (ROOT / path).read_text()
    pattern = r"\s+".join(re.escape(word) for word in old.replace("\\n", "\n").split())
    found = list(re.finditer(pattern, text))
    if len(found) != 1:
        return Mutation("stale", model, name, why="the text %r occurs %d times in %s" % (old, len(found), path))
    changed = text[: found[0].start()] + new.replace("\\n", "\n") + text[found[0].end():]
    return Mutation("header", model, name, path=path, text=changed, exempt=None)


def read_list():
    exempts, rows = {}, []
    for number, line in enumerate((HERE / "mutations.txt").read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        cols = [c.strip(" ") if i < 4 else c.replace("\\|", "|") for i, c in enumerate((line + " ").split(" | "))]
        if cols[0] == "exempt":
            exempts.setdefault((cols[1], cols[2]), []).append((cols[3], cols[4]))
        else:
            rows.append((number, cols))
    out = []
    for number, cols in rows:
        kind, model = cols[0], cols[1]
        if kind == "orders":
            between = (cols[3], cols[4]) if len(cols) > 4 else None
            out += order_mutations(model, cols[2], exempts.get((model, cols[2]), []), between)
        elif kind == "text":
            out.append(text_mutation(model, cols[2], cols[3], cols[4], cols[5] if len(cols) > 5 else ""))
        elif kind == "macro":
            out.append(Mutation("macro", model, cols[3], number=int(cols[2]), exempt=None))
        elif kind == "spin":
            out.append(Mutation("spin", model, cols[3], define=cols[2], exempt=None))
        else:
            raise Broken("mutations.txt:%d: unknown kind %s" % (number, kind))
    missing = missing_macros(out)
    return out + missing


def missing_macros(mutations):
    """A GORT_MUT(n)/GORT_ORD(n, ..) or #ifdef MUT_x that no line of the list names is an error."""
    out = []
    listed = {(m.model, m.number) for m in mutations if m.kind == "macro"}
    for src in sorted(HERE.glob("*_model.cpp")):
        model = src.name[: -len("_model.cpp")]
        text = src.read_text() + (HERE / "sema.hpp").read_text() * (model == "sema")
        used = {int(n) for n in re.findall(r"GORT_(?:MUT|ORD)\((\d+)", text)}
        for n in sorted(used - {k for m, k in listed if m == model}):
            out.append(Mutation("stale", model, "macro %d" % n, why="not in mutations.txt"))
        for n in sorted({k for m, k in listed if m == model} - used):
            out.append(Mutation("stale", model, "macro %d" % n, why="no GORT_MUT(%d) in the model" % n))
    listed = {(m.model, m.define) for m in mutations if m.kind == "spin"}
    for src in sorted((HERE / "spin").glob("*.pml")):
        used = set(re.findall(r"\b(MUT_\w+)", src.read_text()))
        for d in sorted(used - {k for m, k in listed if m == src.stem}):
            out.append(Mutation("stale", src.stem, d, why="not in mutations.txt"))
    return out


# ---------------------------------------------------------------- running


def run_model(model, options):
    exe = build_model(model)
    code, text = sh([str(exe)] + (["--quick"] if options.quick else []), timeout=400)
    if code > 1 or code < 0:
        raise Broken("exit status %d\n%s" % (code, text[-3000:]))
    good = len(re.findall(r"^PASS", text, re.M))
    steps = sum(int(n) for n in re.findall(r"(\d+) steps", text))
    executions = sum(int(n) for n in re.findall(r"(\d+) executions", text))
    bounded = len(re.findall(r"\(time bound\)", text))
    info = "%d scenarios, %d executions, %d steps%s" % (
        good, executions, steps, ", %d not exhausted" % bounded if bounded else "")
    return code == 0, info, text


def run_mutant(mutation, options):
    if mutation.kind == "stale":
        return False, mutation.why, ""
    if mutation.kind == "spin":
        return run_spin(mutation.model, mutation.define, options)
    cmd = []
    if mutation.kind == "macro":
        cmd = [str(build_model(mutation.model)), "--first", "--mutation", str(mutation.number)]
    else:
        cmd = [str(build_mutant(mutation)), "--first"]
    try:
        code, text = sh(cmd, timeout=400)
    finally:
        if mutation.kind == "header":
            shutil.rmtree(mutant_dir(mutation), ignore_errors=True)
    if code in (-6, -11):
        return True, "crashed, signal %d" % -code, text
    if code not in (0, 1):
        raise Broken("exit status %d\n%s" % (code, text[-2000:]))
    killed = re.search(r"^KILLED by (.*)$", text, re.M)
    return killed is not None, killed.group(1)[:150] if killed else "SURVIVED", text


def mutant_dir(mutation):
    return OUT / "mutants" / ("%s-%08x" % (mutation.model, hash(mutation.name) & 0xFFFFFFFF))


def build_mutant(mutation):
    d = mutant_dir(mutation)
    header = d / pathlib.Path(mutation.path).relative_to("src")
    header.parent.mkdir(parents=True, exist_ok=True)
    header.write_text(mutation.text)
    return compile_to(d / "mutant", FLAGS + MUTANT_FLAGS + ["-I" + str(d)] + INCLUDES +
                      [str(model_source(mutation.model)), str(OUT / "explorer.o")])


def run_spin(model, define, options):
    """spin -a, gcc, pan: safety with assertions and invalid end states. With a mutation it has to find an error."""
    if shutil.which("spin") is None:
        raise Broken("spin is not installed")
    d = OUT / "spin" / (model + "-" + (define or "plain"))
    d.mkdir(parents=True, exist_ok=True)
    flags = ["-D" + define] if define else []
    if options.quick and "QUICK" in (HERE / "spin" / (model + ".pml")).read_text():
        flags.append("-DQUICK")
    code, text = sh(["spin"] + flags + ["-a", str(HERE / "spin" / (model + ".pml"))], cwd=d)
    if code != 0 or not (d / "pan.c").exists():
        raise Broken("spin -a: " + text[:2000])
    code, text = sh(["gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=4096", "-o", "pan", "pan.c"], cwd=d)
    if code != 0:
        raise Broken("gcc pan.c: " + text[:2000])
    code, text = sh(["./pan", "-m1000000", "-w22"], cwd=d, timeout=300)
    errors = re.search(r"errors: (\d+)", text)
    states = re.search(r"(\S+) states, stored", text)
    if errors is None or "max search depth too small" in text:
        raise Broken("pan: " + text[:2000])
    found = re.search(r"pan:\d+: (.*)", text)
    clean = errors.group(1) == "0"
    info = "%s states" % (states.group(1) if states else "?")
    if define is None:
        return clean, info, text
    return not clean, found.group(1)[:120] if found else "SURVIVED, " + info, text


class Options:
    quick = False
    verbose = False
    jobs = 2
    filters = []


def parse(argv):
    o = Options()
    args = list(argv)
    while args:
        a = args.pop(0)
        if a == "--quick":
            o.quick = True
        elif a == "--verbose":
            o.verbose = True
        elif a == "--jobs" and args:
            o.jobs = max(1, min(2, int(args.pop(0))))
        elif a.startswith("-"):
            sys.exit(__doc__)
        else:
            o.filters = o.filters + [a]
    return o


def tasks(options):
    models = sorted(f.name[: -len("_model.cpp")] for f in HERE.glob("*_model.cpp"))
    spins = sorted(f.stem for f in (HERE / "spin").glob("*.pml"))
    out = [("model %s" % m, False, lambda m=m: run_model(m, options)) for m in models]
    out += [("spin %s" % m, False, lambda m=m: run_spin(m, None, options)) for m in spins]
    for m in read_list():
        exempt = getattr(m, "exempt", None)
        if exempt is None:
            where = "spin " if m.kind == "spin" else ""
            out.append(("mutation %s%s: %s" % (where, m.model, m.name), True, lambda m=m: run_mutant(m, options)))
    return [t for t in out if all(f in t[0] for f in options.filters)]


def run_task(task):
    name, _, fn = task
    start = time.monotonic()
    try:
        good, info, text = fn()
    except (Broken, subprocess.TimeoutExpired, OSError, ValueError) as e:
        good, info, text = False, "BROKEN: " + str(e), ""
    return name, good, info, text, time.monotonic() - start


def main(argv):
    options = parse(argv)
    OUT.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    try:
        build_explorer()
        todo = tasks(options)
        wanted = {t[0].split()[1].rstrip(":") for t in todo if t[0].startswith(("model ", "mutation "))}
        wanted = [m for m in wanted if model_source(m).exists()]
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(build_model, wanted))
    except Broken as e:
        print("FAIL build: %s\n0 passed, 1 failed" % e)
        return 1
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for name, good, info, text, seconds in pool.map(run_task, todo):
            print("%s %s: %s (%.1f s)" % ("PASS" if good else "FAIL", name, info, seconds), flush=True)
            if (not good or options.verbose) and text:
                print("    " + text.replace("\n", "\n    ")[:6000])
            failed += not good
    print("%.0f s" % (time.monotonic() - start))
    print("%d passed, %d failed" % (len(todo) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Uses the library as others would, from a scratch directory, and runs the program that comes out.

usage: consumer_test.py CASE --source ROOT --build BUILD --cmake CMAKE --cxx CXX [--scratch DIR]

  find_package    the installed tree through CMake's package
  pkg_config      the installed tree through gort.pc and the bare compiler
  shared          as find_package, from an install of the shared library
  static_pie      as find_package, linked into a static position-independent program
  subdirectory    the sources through add_subdirectory; no flags, tests or warnings of ours may reach the user
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys


class Failed(Exception):
    pass


def run(*command, cwd=None, env=None):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}\nended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def expect(good, text):
    if not good:
        raise Failed(text)


def run_app(app):
    expect(run(app) == "sum 5050\n", f"{app} printed something else")


def run_hooked(out):
    app = os.path.join(out, "hooked")
    # Without preemption a read that blocks the only P would never end.
    expect(run("timeout", "20", app, env={"GODEBUG": "asyncpreemptoff=1"}) == "hooked\n", f"{app} printed something else")
    needed = run("readelf", "-dW", app)
    expect("libgort_hook.so" in needed, "the program does not need libgort_hook.so")


def configure(a, out, *options):
    run(a.cmake, "-G", "Ninja", "-S", os.path.join(a.source, "tests/consumer/app"), "-B", out,
        f"-DCMAKE_CXX_COMPILER={a.cxx}", f"-DCMAKE_C_COMPILER={c_compiler(a.cxx)}", "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", *options)
    run(a.cmake, "--build", out, "-j", os.environ.get("GORT_JOBS", "2"))


def c_compiler(cxx):
    head, name = os.path.split(cxx)
    return os.path.join(head, name.replace("clang++", "clang").replace("g++", "gcc").replace("c++", "cc"))


def install(a, build, name):
    prefix = os.path.join(a.scratch, name)
    run(a.cmake, "--install", build, "--prefix", prefix)
    return prefix


def app_flags(out):
    with open(os.path.join(out, "compile_commands.json"), encoding="utf-8") as f:
        return next(e["command"] for e in json.load(f) if e["file"].endswith("app/main.cpp"))


def find_package(a, *options, build=None, name="prefix"):
    prefix = install(a, build or a.build, name)
    out = os.path.join(a.scratch, "build")
    configure(a, out, f"-DCMAKE_PREFIX_PATH={prefix}", *options)
    flags = app_flags(out)
    expect("-fstack-clash-protection" in flags and "-fno-omit-frame-pointer" in flags, f"flags missing: {flags}")
    expect(a.source + "/include" not in flags, "the installed package points into the source tree")
    run_app(os.path.join(out, "app"))
    if "-DSTATIC_PIE=ON" not in options:
        run_hooked(out)
    return os.path.join(out, "app")


def pkg_config(a):
    prefix = install(a, a.build, "prefix")
    path = next(d for d, _, names in os.walk(prefix) if "gort.pc" in names)
    env = {"PKG_CONFIG_PATH": path}
    flags = run("pkg-config", "--cflags", "gort", env=env).split()
    libs = run("pkg-config", "--libs", "gort", env=env).split()
    expect("-fstack-clash-protection" in flags, f"flags missing: {flags}")
    app = os.path.join(a.scratch, "app")
    run(a.cxx, *flags, "-O2", os.path.join(a.source, "tests/consumer/app/main.cpp"), "-o", app, *libs)
    run_app(app)


def shared(a):
    build = os.path.join(a.scratch, "shared")
    run(a.cmake, "-G", "Ninja", "-S", a.source, "-B", build, f"-DCMAKE_CXX_COMPILER={a.cxx}",
        f"-DCMAKE_C_COMPILER={c_compiler(a.cxx)}", "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DBUILD_SHARED_LIBS=ON",
        "-DGORT_TESTS=OFF", "-DGORT_EXAMPLES=OFF", "-DGORT_BENCH=OFF")
    run(a.cmake, "--build", build, "-j", os.environ.get("GORT_JOBS", "2"))
    app = find_package(a, build=build)
    expect("libgort.so" in run("readelf", "-dW", app), "the program does not need libgort.so")
    check_exports(os.path.join(build, "libgort.so"))
    hook = run("nm", "-D", "--defined-only", os.path.join(build, "libgort_hook.so"))
    expect(" T read\n" in hook and "gort" not in hook, "libgort_hook.so exports more than libc's names")


# Mangled names of gort's public namespace (functions, objects, guards, type information), and the C names.
PREFIX = r"_Z(?:GV|GR|T[ISV])?Z?"
PUBLIC = re.compile(PREFIX + r"N[KVRO]*4gort2v1|gort_")
STD = re.compile(PREFIX + r"N?K?(?:St|S[absiod]|9__gnu_cxx)")


def check_exports(library):
    """Public names only.  Nothing of the inside (gort::rt) leaves the library, and of libstdc++ only what its templates
    leave in every program: weak (W, V) or unique (u) copies."""
    rows = [line.split()[-2:] for line in run("nm", "-D", "--defined-only", library).splitlines()]
    expect(rows, "libgort.so exports nothing")
    foreign = [name for kind, name in rows
               if not PUBLIC.match(name) and not (STD.match(name) and kind in "WVu")]
    expect(not foreign, f"libgort.so exports foreign names: {' '.join(foreign[:20])}")


def static_pie(a):
    app = find_package(a, "-DSTATIC_PIE=ON")
    header = run("readelf", "-hlW", app)
    expect("DYN" in header and "INTERP" not in header, "not a static position-independent program")


def subdirectory(a):
    out = os.path.join(a.scratch, "build")
    configure(a, out, f"-DGORT_SOURCE={a.source}")
    flags = app_flags(out)
    expect("-Werror" not in flags and "-Wshadow" not in flags, f"our warnings reach the user: {flags}")
    expect("/src" not in " ".join(f for f in flags.split() if f.startswith("-I")), f"internals in the path: {flags}")
    expect(not os.path.exists(os.path.join(out, "gort", "tests")), "tests were configured in a subproject")
    run_app(os.path.join(out, "app"))
    run_hooked(out)


def main(argv):
    cases = {f.__name__: f for f in (find_package, pkg_config, shared, static_pie, subdirectory)}
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("case", choices=sorted(cases))
    for name in ("source", "build", "cmake", "cxx", "scratch"):
        p.add_argument("--" + name, required=True)
    a = p.parse_args(argv)
    shutil.rmtree(a.scratch, ignore_errors=True)
    os.makedirs(a.scratch)
    try:
        cases[a.case](a)
    except Failed as e:
        print(f"consumer {a.case}: {e}")
        return 1
    shutil.rmtree(a.scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the benchmarks of Gort and of its peers, interleaved, and holds the figures against the targets.

usage: run.py [GROUP|BENCH ...] [--json FILE] [--rounds N] [--impl A,B] [--quick] [--no-instr] [--list]

Every implementation is one program per language with the same interface, `prog BENCH N`: it runs one benchmark with N
operations in a fresh process and prints `BENCH value unit`.  Each round runs every benchmark once per implementation,
one after the other, so that a slow minute of the machine hits all alike; the figure is the best of the rounds (the
median for sleep overshoot, where the best says little).  Runs are short (about 1 ms) and many: a quiet millisecond is easy to
find on a shared machine, a quiet second is not.  Instructions per operation are the difference between runs
with N and 2N operations, divided by N: counted by the processor (perf) where it can, else by callgrind.

The group net has servers, processes of their own (`prog serve_echo 1` prints its port), and one load client for all of
them, bench/net/load.cpp: `load PROG BENCH N` starts the server, measures and prints.  For figures per second more is better.

The JSON is an array of {"bench", "impl", "value", "unit"}; instruction counts are entries with the unit "instr/op".
"""
import argparse
import glob
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.path.join(ROOT, "bench")
BUILD = os.environ.get("GORT_BUILD_DIR", os.path.join(ROOT, "build", "release"))
PEERS = os.path.join(BUILD, "bench", "peers")
IMPLS = ["gort", "go", "boost_fiber", "tokio", "c_epoll"]
LOAD = os.path.join(BUILD, "bench", "gort_bench_net_load")
RUN_SECONDS_MAX = 120


class Bench:
    """One benchmark: operations per run, instruction-count operations (0: not counted), target and must-not-miss.

    A limit is a number in the benchmark's unit, a factor of a peer's figure written "0.6go" or "1.1c_epoll", or a tuple of
    both: the tightest counts.  load: the program is a server, judged by the load client.
    """

    def __init__(self, group, name, n, instr_n=0, target=None, must=None, few=None, rounds=None, load=False):
        self.group, self.name, self.n, self.instr_n = group, name, n, instr_n
        self.target, self.must = target, must
        self.few = few or {}  # impl -> its own n, where the common one would take minutes
        self.rounds = rounds  # at most this many rounds
        self.load = load

    def ops(self, impl, divisor):
        n = self.few.get(impl, self.n) // divisor
        return max(n, 1000 if self.n >= 1000 else 1)


BENCHES = [
    Bench("sched", "yield", 40_000, 20_000, 10, 14),
    Bench("sched", "spawn_join", 8_000, 5_000, 90, 180),
    Bench("sched", "spawn_task_join", 8_000, 5_000),
    Bench("sched", "spawn_batch1000", 10_000, 10_000, 50, 65),
    Bench("sched", "fib23_tree", 1, 1, "0.6go", "1go", rounds=10),
    Bench("sched", "fib23_tree_2p", 1, 0, "0.6go", "1go", rounds=10),
    Bench("sched", "sieve500", 1, 0, "0.6go", "1go", rounds=10),
    Bench("sched", "sieve500_2p", 1, 0, "0.6go", "1go", rounds=10),
    Bench("chan", "chan_unbuffered_rt", 10_000, 10_000, 80, 150),
    Bench("chan", "chan_unbuffered_rt_2p", 2_000, 0, 600, 1087),
    Bench("chan", "chan_unbuffered_rt_2p_free", 10_000),
    Bench("chan", "chan_buffered_1p", 50_000, 20_000, 20, 23),
    Bench("chan", "chan_buffered_2p", 50_000, 0, 35, 45),
    Bench("chan", "chan_cap1_same_g", 50_000, 20_000),
    Bench("chan", "select2", 10_000, 10_000, 130, "1go"),
    Bench("chan", "select4", 6_000, 10_000, 180, "1go"),
    Bench("chan", "select8", 4_000, 10_000, 300, "1go"),
    Bench("chan", "select_default", 50_000, 20_000, 10, "1go"),
    Bench("chan", "select_default1", 200_000, 20_000),
    Bench("chan", "fan_8x1", 50_000, 20_000, "0.6go", "1go"),
    Bench("chan", "fan_1x8", 50_000, 20_000, "0.6go", "1go"),
    Bench("chan", "fan_8x8", 50_000, 20_000, "0.6go", "1go"),
    Bench("chan", "fan_8x1_2p", 50_000, 0, "0.6go", "1go"),
    Bench("chan", "fan_1x8_2p", 50_000, 0, "0.6go", "1go"),
    Bench("chan", "fan_8x8_2p", 50_000, 0, "0.6go", "1go"),
    Bench("sync", "mutex_uncontended", 200_000, 50_000, 11, "1go"),
    Bench("sync", "mutex_contended8", 200_000, 0, 14, 17),
    Bench("sync", "rwmutex_rlock", 200_000, 50_000, "1go", "1go"),
    Bench("sync", "waitgroup_add_done", 200_000, 50_000, "1go", "1go"),
    Bench("sync", "once_done", 1_000_000, 50_000, "1go", "1go"),
    Bench("time", "timer_new_stop", 20_000, 5_000, 80, 195),
    Bench("time", "sleepers_100k_cpu", 100_000, 0, 1000, 1640, few={"boost_fiber": 25_000}, rounds=3),
    Bench("time", "sleep_overshoot_50us", 300, 0, 40, 60, few={"go": 60, "tokio": 60}),
    Bench("mem", "parked_1m_bytes", 1_000_000, 0, 5100, "survives", few={"boost_fiber": 100_000}, rounds=2),
    Bench("mem", "parked_1m_bytes_64k", 1_000_000, 0, 4600, "survives", rounds=2),
    Bench("net", "echo_64b_100c_server_cpu", 60_000, 0, (2.2, "1.1c_epoll"), 2.65, load=True),
    Bench("net", "echo_64b_100c_server_cpu_1p", 60_000, load=True),
    Bench("net", "echo_64b_100c_p50", 60_000, 0, "1go", "1go", load=True),
    Bench("net", "echo_64b_100c_p99", 60_000, 0, "1go", "1go", load=True),
    Bench("net", "dial_close_us", 2_000, 0, "1go", "1go"),
    Bench("net", "http_hello_64c", 40_000, 0, "1.5go", "1go", load=True),
    Bench("os", "blocking_call_extra_ns", 10_000, 0, 30, 60),
    Bench("os", "foreign_thread_call_ns", 50_000, 0, 200, 400),
    Bench("os", "foreign_thread_call_2p_ns", 50_000),
    Bench("os", "preempt_neighbour_wait_p99_ms", 200, 0, 20, 30, rounds=3),
    Bench("panic", "panic_recover", 2_000, 2_000, 1500, 2500),
    Bench("panic", "throw_catch", 1_000, 2_000),
]


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def command(args, timeout=900, **more):
    """Runs args; returns (ok, output of both streams)."""
    try:
        p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, **more)
        return p.returncode == 0, p.stdout
    except (OSError, subprocess.TimeoutExpired) as e:
        return False, str(e)


def stale(binary, sources):
    return not os.path.exists(binary) or os.path.getmtime(binary) < max(os.path.getmtime(s) for s in sources)


# ---------------------------------------------------------------- building: each returns {group or "*": program} or None


def build_gort():
    if not os.path.exists(os.path.join(BUILD, "CMakeCache.txt")):
        ok, out = command(["cmake", "--preset", "release", "-B", BUILD], cwd=ROOT)
        if not ok:
            return None, out
    ok, out = command(["cmake", "--build", BUILD, "--target", "gort_bench"])
    if not ok:
        return None, out
    return {g: os.path.join(BUILD, "bench", "gort_bench_" + g) for g in groups()}, "this tree"


def build_go():
    go = shutil.which("go")
    if not go:
        return None, "no go on PATH"
    binary = os.path.join(PEERS, "go_bench")
    sources = sorted(glob.glob(os.path.join(BENCH, "go", "*.go")))
    env = dict(os.environ, GOFLAGS="-mod=mod", GOTOOLCHAIN="local", GOWORK="off")
    ok, out = command([go, "build", "-o", binary, *sources], env=env, cwd=os.path.join(BENCH, "go"))
    return ({"*": binary}, command([go, "version"])[1].split()[2]) if ok else (None, out)


def build_boost_fiber():
    header = "/usr/include/boost/version.hpp"
    source = os.path.join(BENCH, "boost", "main.cpp")
    if not os.path.exists("/usr/include/boost/fiber/all.hpp"):
        return None, "libboost-fiber-dev is not installed"
    binary = os.path.join(PEERS, "boost_bench")
    if stale(binary, [source]):
        ok, out = command([os.environ.get("CXX", "g++"), "-std=c++20", "-O2", "-DNDEBUG", source, "-o", binary,
                           "-lboost_fiber", "-lboost_context", "-pthread"])
        if not ok:
            return None, out
    with open(header, encoding="utf-8") as f:
        version = re.search(r'BOOST_LIB_VERSION "([^"]+)"', f.read()).group(1).replace("_", ".")
    return {"*": binary}, "Boost " + version


def build_tokio():
    """Builds a copy, so that no lock file lands in the source tree.  Without the crate (offline) it is left out."""
    cargo = shutil.which("cargo")
    if not cargo:
        return None, "no cargo on PATH"
    work = os.path.join(PEERS, "tokio")
    shutil.copytree(os.path.join(BENCH, "tokio"), work, dirs_exist_ok=True)
    env = dict(os.environ, CARGO_NET_RETRY="1", CARGO_HTTP_TIMEOUT="15", CARGO_TERM_COLOR="never")
    build = [cargo, "build", "--release", "--quiet"]
    ok, out = command([*build, "--offline"], env=env, cwd=work)
    if not ok:
        ok, out = command(build, env=env, cwd=work)
    if not ok:
        return None, "the crate cannot be had or built: " + out
    with open(os.path.join(work, "Cargo.lock"), encoding="utf-8") as f:
        version = re.search(r'name = "tokio"\nversion = "([^"]+)"', f.read()).group(1)
    return {"*": os.path.join(work, "target", "release", "tokio_bench")}, "tokio " + version


def build_c_epoll():
    ok, out = command(["cmake", "--build", BUILD, "--target", "gort_bench_net_epoll"])
    return ({"net": os.path.join(BUILD, "bench", "gort_bench_net_epoll")}, "bench/net/epoll.cpp") if ok else (None, out)


BUILDERS = {"gort": build_gort, "go": build_go, "boost_fiber": build_boost_fiber, "tokio": build_tokio,
            "c_epoll": build_c_epoll}


def build(names):
    os.makedirs(PEERS, exist_ok=True)
    built = {}
    for name in names:
        programs, note = BUILDERS[name]()
        if programs is None:
            say(f"{name} is left out: " + "\n".join(note.strip().splitlines()[-15:]))
        else:
            say(f"{name}: {note}")
            built[name] = programs
    return built


# ---------------------------------------------------------------- running


def groups():
    return list(dict.fromkeys(b.group for b in BENCHES))


def program_of(programs, bench):
    return programs.get("*") or programs.get(bench.group)


def run_once(program, bench, n):
    """One run; (value, unit), None where the program lacks this benchmark, or a string that says what went wrong."""
    if program is None:
        return None
    launch = [LOAD, program] if bench.load else [program]
    try:
        p = subprocess.run([*launch, bench.name, str(n)], capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    if p.returncode == 64:
        return None
    m = re.search(rf"^{bench.name} (\S+) (\S+)$", p.stdout, re.M)
    if p.returncode != 0 or not m:
        return f"exit status {p.returncode}: " + " | ".join((p.stderr or p.stdout).strip().splitlines()[:4])
    return float(m.group(1)), m.group(2)


def run_rounds(benches, built, rounds, divisor):
    """Returns {(bench, impl): ([values], unit)} and the list of failures."""
    values, failures, absent = {}, [], set()
    for r in range(rounds):
        for b in benches:
            for impl, programs in built.items():
                key = (b.name, impl)
                if key in absent or (b.rounds and r >= b.rounds):
                    continue
                got = run_once(program_of(programs, b), b, b.ops(impl, divisor))
                if isinstance(got, tuple):
                    values.setdefault(key, ([], got[1]))[0].append(got[0])
                    continue
                absent.add(key)
                if got is not None:
                    failures.append(f"{b.name} ({impl}): {got}")
                    say(failures[-1])
        say(f"round {r + 1} of {rounds} done")
    return values, failures


def figure(bench, values, unit):
    if "overshoot" in bench.name:
        return statistics.median(values)
    return max(values) if per_second(unit) else min(values)


def per_second(unit):
    return unit.endswith("/s")


# ---------------------------------------------------------------- instructions


def perf_count(args):
    ok, out = command(["perf", "stat", "-x,", "-e", "instructions:u", *args], timeout=RUN_SECONDS_MAX)
    m = re.search(r"^(\d+),[^,]*,instructions", out, re.M)
    return int(m.group(1)) if ok and m else None


def callgrind_count(args):
    ok, out = command(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *args],
                      timeout=RUN_SECONDS_MAX)
    m = re.search(r"Collected\s*:\s*(\d+)", out)
    return int(m.group(1)) if ok and m else None


def choose_counter():
    """perf where the machine has the counters; virtual machines often have none, then callgrind."""
    if shutil.which("perf") and perf_count(["true"]):
        return perf_count
    if shutil.which("valgrind"):
        return callgrind_count
    return None


def count_instructions(benches, programs):
    counter = choose_counter()
    if counter is None:
        say("no instruction counts: neither perf counters nor valgrind here")
        return {}
    say("instructions per operation by " + counter.__name__.split("_")[0])
    counts = {}
    for b in benches:
        if not b.instr_n:
            continue
        n = b.instr_n
        once, twice = (counter([program_of(programs, b), b.name, str(k * n)]) for k in (1, 2))
        if once is None or twice is None:
            say(f"{b.name}: no instruction count (the program failed under {counter.__name__.split('_')[0]})")
        else:
            counts[b.name] = (twice - once) / n
    return counts


# ---------------------------------------------------------------- report


def limit(spec, figures):
    """The number behind a limit, or None where the peer's figure is missing."""
    if isinstance(spec, tuple):
        return min((x for x in (limit(s, figures) for s in spec) if x is not None), default=None)
    if isinstance(spec, str):
        factor, peer = re.match(r"([\d.]*)(\w+)$", spec).groups()
        return float(factor) * figures[peer] if factor and figures.get(peer) is not None else None
    return spec


def verdict(bench, figures, unit):
    gort = figures.get("gort")
    if bench.target is None:
        return ""
    if gort is None:
        return "no figure"
    target, must = limit(bench.target, figures), limit(bench.must, figures)
    if target is None:
        return "needs go"
    if per_second(unit):
        gort, target, must = -gort, -target, None if must is None else -must
    if gort <= target:
        return "PASS" if must is None or gort <= must else "PASS (but over must)"
    if bench.must == "survives":
        return "MISS (survives)"
    return "MISS (within must)" if must is not None and gort <= must else "MISS"


def number(v):
    if v is None:
        return "-"
    return f"{v:.0f}" if v >= 1000 else f"{v:.3g}"


def spec_text(spec):
    if spec is None:
        return ""
    if isinstance(spec, tuple):
        return ", ".join(map(spec_text, spec))
    return re.sub(r"^([\d.]+)([a-z])", r"\1 \2", spec).removeprefix("1 ") if isinstance(spec, str) else str(spec)


def table(benches, impls, best, units, instr):
    impls = [i for i in impls if any((b.name, i) in best for b in benches)]
    head = ["bench", "unit", *impls, "gort/go", "instr/op", "target", "must", ""]
    rows = [head, ["---"] * len(head)]
    for b in benches:
        v = {i: best.get((b.name, i)) for i in impls}
        if all(x is None for x in v.values()):
            continue
        gort, go = v.get("gort"), v.get("go")
        ratio = f"{gort / go:.2f}" if gort is not None and go else "-"
        count = f"{instr[b.name]:.0f}" if b.name in instr else "-"
        rows.append([b.name, units[b.name], *(number(v[i]) for i in impls), ratio, count,
                     spec_text(b.target), spec_text(b.must), verdict(b, v, units[b.name])])
    widths = [max(len(r[c]) for r in rows) for c in range(len(head))]
    for r in rows:
        print("| " + " | ".join(x.ljust(w) for x, w in zip(r, widths)) + " |")


def report(benches, built, values, instr, json_file):
    best = {(b.name, i): figure(b, *values[b.name, i]) for b in benches for i in built if (b.name, i) in values}
    units = {name: unit for (name, _), (_, unit) in values.items()}
    table(benches, list(built), best, units, instr)
    if not json_file:
        return
    entries = [{"bench": n, "impl": i, "value": v, "unit": units[n]} for (n, i), v in best.items()]
    entries += [{"bench": n, "impl": "gort", "value": round(v, 1), "unit": "instr/op"} for n, v in instr.items()]
    with open(json_file, "w", encoding="utf-8") as f:
        json.dump(entries, f, indent=1)
        f.write("\n")


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        m = re.search(r"^model name\s*: (.*)$", f.read(), re.M)
        model = m.group(1) if m else model
    return f"{model}, {os.cpu_count()} processors, Linux {platform.release().split('-')[0]}"


def choose(names):
    known = set(groups()) | {b.name for b in BENCHES}
    unknown = [n for n in names if n not in known]
    if unknown:
        sys.exit(f"bench: no group or benchmark {', '.join(unknown)}; groups: {' '.join(groups())}")
    return [b for b in BENCHES if not names or b.group in names or b.name in names]


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("names", nargs="*", metavar="GROUP|BENCH", help="groups: " + " ".join(groups()))
    p.add_argument("--json", metavar="FILE")
    p.add_argument("--rounds", type=int, default=30)
    p.add_argument("--impl", help="comma-separated: " + ",".join(IMPLS), default=",".join(IMPLS))
    p.add_argument("--quick", action="store_true", help="a tenth of the operations")
    p.add_argument("--no-instr", action="store_true", help="no instruction counts")
    p.add_argument("--list", action="store_true", help="only list the benchmarks")
    args = p.parse_args()
    benches = choose(args.names)
    if args.list:
        print("\n".join(f"{b.group} {b.name}" for b in benches))
        return 0
    impls = args.impl.split(",")
    if set(impls) - set(IMPLS):
        p.error("implementations: " + ",".join(IMPLS))
    say(machine())
    built = build(impls)
    if not built:
        return 1
    values, failures = run_rounds(benches, built, max(args.rounds, 1), 10 if args.quick else 1)
    instr = {} if args.no_instr or "gort" not in built else count_instructions(benches, built["gort"])
    report(benches, built, values, instr, args.json)
    return 1 if failures or ("gort" in impls and "gort" not in built) else 0


if __name__ == "__main__":
    sys.exit(main())

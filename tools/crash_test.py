#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs one program and judges it by the header comment of its source.

usage: crash_test.py SOURCE PROGRAM [ARGS...]

Lines of the header comment, each starting with "// ":
  RUN: args                   arguments; several RUN lines are an error
  RUN-ENV: NAME=VALUE ...     environment; several lines add up
  EXIT: 2                     exit status (default 0)
  SIGNAL: 6                   instead: ends by this signal
  STDOUT: regex               all STDOUT lines must match whole-output search, in this order
  STDERR: regex               the same for standard error
  STDOUT-NOT: / STDERR-NOT:   must match nowhere
  STDIN: text                 one line of standard input (several add up)
  TIMEOUT: 20                 seconds (default 30)
  MAY-SKIP: reason            exit status 77 means: cannot be tried on this machine, its last line says why
Environment variables that steer the runtime (GODEBUG, GOMAXPROCS, GOTRACEBACK) are removed unless RUN-ENV sets them.
"""
import os
import re
import shlex
import signal
import subprocess
import sys

KEYS = ("RUN", "RUN-ENV", "EXIT", "SIGNAL", "STDOUT", "STDERR", "STDOUT-NOT", "STDERR-NOT", "STDIN", "TIMEOUT",
        "SKIP-IN", "MAY-SKIP")
SKIPPED = 77  # what ctest takes for "not run" (SKIP_RETURN_CODE)
RUNTIME_VARS = ("GODEBUG", "GOMAXPROCS", "GOTRACEBACK", "GOGC", "GOMEMLIMIT")


class Spec:
    def __init__(self):
        self.args, self.env, self.exit, self.signal, self.timeout = [], {}, 0, None, 30.0
        self.want = {"STDOUT": [], "STDERR": []}
        self.forbid = {"STDOUT": [], "STDERR": []}
        self.stdin, self.may_skip = "", False


def parse(text):
    spec, runs = Spec(), 0
    for number, line in enumerate(text.splitlines(), 1):
        m = re.match(r"// ([A-Z][A-Z-]*):(?: (.*))?$", line)
        if not m or m.group(1) not in KEYS:
            continue
        key, value = m.group(1), m.group(2) or ""
        if key == "RUN":
            runs += 1
            if runs > 1:
                raise ValueError(f"line {number}: more than one RUN")
            spec.args = shlex.split(value)
        elif key == "RUN-ENV":
            for item in shlex.split(value):
                name, eq, val = item.partition("=")
                if not eq:
                    raise ValueError(f"line {number}: RUN-ENV wants NAME=VALUE, got {item!r}")
                spec.env[name] = val
        elif key == "EXIT":
            spec.exit = int(value)
        elif key == "SIGNAL":
            spec.signal = int(value)
        elif key == "TIMEOUT":
            spec.timeout = float(value)
        elif key == "STDIN":
            spec.stdin += value + "\n"
        elif key == "MAY-SKIP":
            if not value:
                raise ValueError(f"line {number}: MAY-SKIP wants a reason")
            spec.may_skip = True
        elif key.endswith("-NOT"):
            spec.forbid[key[:-4]].append(value)
        elif key in spec.want:
            spec.want[key].append(value)
    return spec


def judge(spec, status, out, err):
    """List of complaints; empty means good."""
    bad = []
    if spec.signal is not None:
        if status != -spec.signal:
            bad.append(f"ended with {describe(status)}, expected signal {spec.signal}")
    elif status != spec.exit:
        bad.append(f"ended with {describe(status)}, expected exit status {spec.exit}")
    for name, text in (("STDOUT", out), ("STDERR", err)):
        pos = 0
        for pattern in spec.want[name]:
            m = re.compile(pattern, re.M).search(text, pos)
            if not m:
                elsewhere = " (it matches earlier: order)" if re.search(pattern, text, re.M) else ""
                bad.append(f"{name} does not match /{pattern}/{elsewhere}")
                break
            pos = m.end()
        for pattern in spec.forbid[name]:
            m = re.search(pattern, text, re.M)
            if m:
                bad.append(f"{name} must not match /{pattern}/ but has {m.group(0)!r}")
    return bad


def describe(status):
    if status is None:
        return "time-out"
    if status < 0:
        try:
            return f"signal {-status} ({signal.Signals(-status).name})"
        except ValueError:
            return f"signal {-status}"
    return f"exit status {status}"


def run(spec, command):
    env = {k: v for k, v in os.environ.items() if k not in RUNTIME_VARS}
    env.update(spec.env)
    child = subprocess.Popen(command + spec.args, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, start_new_session=True)
    try:
        out, err = child.communicate(spec.stdin.encode(), timeout=spec.timeout)
        status = child.returncode
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGQUIT)  # a goroutine dump says where it hangs
        try:
            out, err = child.communicate(timeout=3)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
        status = None
    return status, out.decode(errors="replace"), err.decode(errors="replace")


def skipped(spec, status, out, err):
    """Why the program could not be tried here, or None: only programs that announce it may skip."""
    if not spec.may_skip or status != SKIPPED:
        return None
    return ((out + err).strip() or "no reason given").splitlines()[-1]


def tail(text, limit=8000):
    return text if len(text) <= limit else text[: limit // 2] + "\n[...]\n" + text[-limit // 2:]


def main(argv):
    if len(argv) < 3:
        sys.stderr.write(__doc__)
        return 2
    try:
        spec = parse(open(argv[1], encoding="utf-8").read())
    except (OSError, ValueError) as e:
        sys.stderr.write(f"crash_test: {argv[1]}: {e}\n")
        return 2
    try:
        status, out, err = run(spec, argv[2:])
    except OSError as e:
        sys.stderr.write(f"crash_test: cannot run {argv[2]}: {e.strerror} (was it built?)\n")
        return 2
    why = skipped(spec, status, out, err)
    if why is not None:
        print(f"{argv[1]}: skipped: {why}")
        return SKIPPED
    bad = judge(spec, status, out, err)
    if status is None:
        bad = [f"still running after {spec.timeout:g} s"]
    if not bad:
        return 0
    print(f"{argv[1]}: " + "\n  ".join(bad))
    print("--- stdout\n" + tail(out) + "\n--- stderr\n" + tail(err))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))

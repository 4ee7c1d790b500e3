#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gort::hook with the real thing: 200 slow queries at once through a library that blocks, on two Ps.

usage: real_test.py CASE --source ROOT --build BUILD --cxx CXX --scratch DIR

  pq      libpq against a PostgreSQL server        curl    libcurl against a slow HTTP server
  redis   hiredis against a Redis server

Each client (tests/hook/real) runs twice: linked against libgort_hook.so, and without, but with the library preloaded. First
comes the control, a few queries without the library at all: they must wait for each other, or the rest would prove nothing.
It and a run with the library are without preemption, which takes the P from a goroutine that blocks its thread after a while.
The servers are the distribution's, on loopback, and end with this process, however it ends. Exit status 77: not installed here.
"""
import argparse
import contextlib
import ctypes
import glob
import http.server
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

N = 200
CONTROL = 4  # queries without the library
PROCS = 2    # real.hpp
SKIPPED = 77
PR_SET_PDEATHSIG = 1


class Skip(Exception):
    pass


class Failed(Exception):
    pass


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(command, user=None, stop=signal.SIGTERM, **more):
    """Runs a server until the block ends; it also dies with this process."""
    libc = ctypes.CDLL(None)
    who = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, stop), **who, **more)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()
    try:
        yield process, lines
    finally:
        process.send_signal(stop)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(port, process, lines):
    for _ in range(1000):
        if process.poll() is not None:
            raise Failed("the server ended:\n" + b"".join(lines).decode(errors="replace"))
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise Failed("the server does not answer")


@contextlib.contextmanager
def pq(a):
    """Yields (argument of the client, seconds of one query)."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        raise Skip("no PostgreSQL server")
    bin_dir = os.path.dirname(found[-1])
    user = None
    if os.getuid() == 0:  # PostgreSQL refuses root
        user = "postgres"
        shutil.chown(a.data, user)
    who = {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}
    done = subprocess.run([bin_dir + "/initdb", "-D", a.data, "-A", "trust", "-U", "test", "-N", "--no-locale"],
                          capture_output=True, text=True, cwd="/", **who)
    if done.returncode != 0:
        raise Failed("initdb: " + done.stdout + done.stderr)
    port = free_port()
    # SIGQUIT: "immediate shutdown", of all its processes.
    with server([bin_dir + "/postgres", "-D", a.data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F",
                 "-c", "max_connections=250", "-c", "shared_buffers=16MB"], user, signal.SIGQUIT, cwd="/") as (p, lines):
        wait_for(port, p, lines)
        where = f"host=127.0.0.1 port={port} user=test dbname=postgres sslmode=disable gssencmode=disable"
        for _ in range(500):  # it listens before it is ready
            if subprocess.run([bin_dir + "/psql", "-Xqc", "select 1", where], capture_output=True).returncode == 0:
                break
            time.sleep(0.02)
        yield where, 0.2


@contextlib.contextmanager
def redis(a):
    if not shutil.which("redis-server"):
        raise Skip("no Redis server")
    port = free_port()
    with server(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
                 "--dir", a.data], stop=signal.SIGKILL) as (p, lines):
        wait_for(port, p, lines)
        yield str(port), 1.0


class Slow(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.path[1:].encode()
        time.sleep(0.3)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class SlowServer(http.server.ThreadingHTTPServer):
    request_queue_size = 2 * N


@contextlib.contextmanager
def curl(_):
    with SlowServer(("127.0.0.1", 0), Slow) as s:
        threading.Thread(target=s.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{s.server_address[1]}", 0.3
        s.shutdown()


LIBRARY = {"pq": "libpq", "redis": "hiredis", "curl": "libcurl"}


def build(a):
    """Compiles the client as a user would; returns it linked against the library, and without."""
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", LIBRARY[a.case]], capture_output=True, text=True)
    if flags.returncode != 0:
        raise Skip(f"no {LIBRARY[a.case]}")
    flags = flags.stdout.split()

    def compiler(*args):
        done = subprocess.run([a.cxx, *args], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(done.stdout + done.stderr)

    path = os.path.join(a.scratch, a.case)
    compiler("-std=c++20", "-O1", "-g1", "-fstack-clash-protection", "-fno-omit-frame-pointer", "-pthread",
             "-I" + os.path.join(a.source, "include"), *flags, "-c", "-o", path + ".o",
             os.path.join(a.source, "tests/hook/real", a.case + ".cpp"))
    for hook in (["-Wl,--no-as-needed", "-L" + a.build, "-lgort_hook", "-Wl,-rpath," + a.build], []):
        compiler(path + ".o", "-o", path + ("_linked" if hook else "_plain"), *hook, os.path.join(a.build, "libgort.a"),
                 *flags, "-pthread", "-Wl,-z,now")
    return path + "_linked", path + "_plain"


def run(name, command, n, one, **env):
    """Runs n queries; returns how many of them were under way at a time, on average, and the number of threads."""
    command = [command[0], str(n), *command[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={**{k: v for k, v in os.environ.items() if not k.startswith("GO")}, **env})
    print(f"{name}: {done.stdout.strip()} (one query takes {one * 1000:.0f} ms)")
    m = re.search(r"(\d+) ms, (\d+) threads", done.stdout)
    if done.returncode != 0 or not m:
        raise Failed(f"{name} ended with {done.returncode}\n{done.stdout}{done.stderr[-3000:]}")
    ms, threads = map(int, m.groups())
    if ms < one * 1000:
        raise Failed(f"{name}: faster than one query")
    return n * one * 1000 / ms, threads


def control(command, one):
    """Without the library a query keeps its thread and its P: no more than two at a time, however slow the machine is."""
    together, _ = run("control", command, CONTROL, one, GODEBUG="asyncpreemptoff=1")
    if together > PROCS * 1.2:
        raise Failed(f"control: {together:.1f} queries at a time without the library: what is measured is not its work")
    return together


def judge(name, command, one, alone, **env):
    together, threads = run(name, command, N, one, **env)
    if together < 4 * max(alone, 1):
        raise Failed(f"{name}: {together:.1f} queries at a time, {alone:.1f} without the library: they waited for each other")
    if threads > 40:
        raise Failed(f"{name}: {threads} threads: they blocked")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("case", choices=sorted(LIBRARY))
    for name in ("source", "build", "cxx", "scratch"):
        p.add_argument("--" + name, required=True)
    a = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    shutil.rmtree(a.scratch, ignore_errors=True)
    os.makedirs(a.scratch)
    a.data = subprocess.check_output(["mktemp", "-d"], text=True).strip()  # a directory that any user may enter
    try:
        linked, plain = build(a)
        with {"pq": pq, "redis": redis, "curl": curl}[a.case](a) as (where, one):
            alone = control([plain, where], one)
            judge("linked", [linked, where], one, alone, GODEBUG="asyncpreemptoff=1")
            judge("preloaded", [plain, where], one, alone, LD_PRELOAD=os.path.join(a.build, "libgort_hook.so"))
    except Skip as e:
        print(f"hook.{a.case}: skipped: {e}")
        return SKIPPED
    except Failed as e:
        print(f"hook.{a.case}: {e}")
        return 1
    finally:
        shutil.rmtree(a.data, ignore_errors=True)
        shutil.rmtree(a.scratch, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gort::hook with the real thing: 200 slow queries at once through a library that blocks, on two Ps.

usage: real_test.py CASE --source ROOT --build BUILD --cxx CXX --scratch DIR

  pq      libpq against a PostgreSQL server        curl    libcurl against a slow HTTP server
  redis   hiredis against a Redis server

Each client (tests/hook/real) runs twice: linked against libgort_hook.so, and without, but with the library preloaded. The
servers are the distribution's, on loopback, and end with this process, however it ends. Exit status 77: not installed here.
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


def build(a, hooked):
    """Compiles the client as a user would."""
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", LIBRARY[a.case]], capture_output=True, text=True)
    if flags.returncode != 0:
        raise Skip(f"no {LIBRARY[a.case]}")
    out = os.path.join(a.scratch, a.case + ("_linked" if hooked else "_plain"))
    hook = ["-Wl,--no-as-needed", "-L" + a.build, "-lgort_hook", "-Wl,-rpath," + a.build] if hooked else []
    done = subprocess.run([a.cxx, "-std=c++20", "-O1", "-g1", "-fstack-clash-protection", "-fno-omit-frame-pointer",
                           "-I" + os.path.join(a.source, "include"),
                           os.path.join(a.source, "tests/hook/real", a.case + ".cpp"), "-o", out, *hook,
                           os.path.join(a.build, "libgort.a"), *flags.stdout.split(), "-pthread", "-Wl,-z,now"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(done.stdout + done.stderr)
    return out


def judge(name, command, one, **env):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env={**{k: v for k, v in os.environ.items() if not k.startswith("GO")}, **env})
    print(f"{name}: {done.stdout.strip()} (one query takes {one * 1000:.0f} ms)")
    m = re.search(r"(\d+) ms, (\d+) threads", done.stdout)
    if done.returncode != 0 or not m:
        raise Failed(f"{name} ended with {done.returncode}\n{done.stdout}{done.stderr[-3000:]}")
    ms, threads = map(int, m.groups())
    if ms < one * 1000:
        raise Failed(f"{name}: faster than one query")
    if ms > N * one * 1000 / 4:
        raise Failed(f"{name}: the queries waited for each other")
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
        linked, plain = build(a, True), build(a, False)
        with {"pq": pq, "redis": redis, "curl": curl}[a.case](a) as (where, one):
            judge("linked", [linked, str(N), where], one)
            judge("preloaded", [plain, str(N), where], one, LD_PRELOAD=os.path.join(a.build, "libgort_hook.so"))
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

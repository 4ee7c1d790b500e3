#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libgort_hook.so preloaded into programs without Gort: every call is libc's.

usage: preload_test.py LIBRARY

The program is this script again: sockets, pipes, select, poll, threads with locks and conditions, children, sleeps.
"""
import os
import queue
import select
import socket
import subprocess
import sys
import threading
import time


def inner():
    a, b = socket.socketpair()
    results = queue.Queue()  # locks and conditions of pthread
    readers = [threading.Thread(target=lambda: results.put(a.recv(1))) for _ in range(4)]
    for r in readers:
        r.start()
    time.sleep(0.02)
    b.sendall(b"xxxx")
    assert [results.get(timeout=10) for _ in range(4)] == [b"x"] * 4
    assert select.select([a], [], [], 0.01)[0] == []
    a.settimeout(0.02)
    try:
        a.recv(1)
        raise AssertionError("received nothing")
    except socket.timeout:
        pass
    b.sendall(b"y")
    p = select.poll()
    p.register(a, select.POLLIN)
    assert p.poll(10000) == [(a.fileno(), select.POLLIN)]
    with socket.create_server(("127.0.0.1", 0)) as s:
        with socket.create_connection(s.getsockname()) as c, s.accept()[0] as d:
            big = bytes(1 << 20)
            sender = threading.Thread(target=c.sendall, args=(big,))
            sender.start()
            got = 0
            while got < len(big):
                got += len(d.recv(65536))
            sender.join()
    assert subprocess.run(["cat"], input=b"through a pipe", capture_output=True, check=True).stdout == b"through a pipe"
    assert socket.getaddrinfo("127.0.0.1", 80)
    print("plain")


def main():
    env = {**os.environ, "LD_PRELOAD": sys.argv[1]}
    done = subprocess.run([sys.executable, __file__, "--inner"], env=env, capture_output=True, text=True, timeout=60)
    if done.returncode != 0 or done.stdout != "plain\n" or done.stderr:
        print(f"hook.preload: ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(inner() if sys.argv[1] == "--inner" else main())

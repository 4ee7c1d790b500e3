#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the product against the models that were transcribed from it.

usage: drift.py [--accept] [--root DIR]

A transcription proves nothing about code that has changed since.  product.txt holds, function by function, every statement
of the product's protocols that synchronises: atomic operations with their order, fences, locks, wake-ups, status changes,
and the looks that are repeated after them.  A statement that is removed, added, weakened or moved fails here, with the name
of the model to change in the same way.

  --accept   writes product.txt anew from the sources, after the models were compared; names of models stay
"""
import difflib
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools"))
import cxx  # noqa: E402

FILES = ["src/sched/proc.cpp", "src/sched/proc_m.cpp", "src/sched/proc_world.cpp", "src/sched/preempt.cpp", "src/sched/sema.cpp",
         "src/sched/time.cpp", "src/sched/netpoll.cpp", "src/sched/netpoll_epoll.cpp", "src/lang/chan.hpp", "src/lang/chan.cpp",
         "src/lang/select.cpp"]

# What makes a statement part of a protocol.
SYNC = re.compile(
    r"\b(?:fence|fenceAfterRmw|loadRelaxed|storeRelaxed|casgstatus|lock|unlock|unlockLast|LockGuard|sellock|selunlock|"
    r"note\w+|netpoll\w*|pollSticky|wakeNetPoller|wakep|resetspinning|startSpinning|startm|stopm|handoffp|submitted|readyLocked|"
    r"readyWithNext|goready|gopark|goparkunlock|ready|park|parkWithTimer|anyWork|checkRunqsNoP|checkTimersNoP|timerPollUntil|"
    r"waitNotRunning|lockHeapOf|publishMin|runqput|putLocal|globrunq\w+|globalWork|hogget|releaseHog|hogAbandon|preemptM|preemptone|pidleput|pidleget|mput|mget|releasep|acquirep|"
    r"leaveQueues|beginChange|dequeue\w*|enqueue|cansemacquire|handoff|switchAway)\s*\(|\bOrder::|\bLockGuard\b|\bunlockf\b|"
    r"\.(?:load|store|cas|compareExchange|exchange|fetchAdd|fetchSub|fetchOr|fetchAnd)\s*\(|\.(?:empty|tryPut|steal|grab)\s*\("
    r"|->m = nullptr|\bspinning\s*=|\brunning\b")


def statements(code):
    """The synchronising statements of a function, white space normalised."""
    out = []
    depth, start = 0, 0
    for i, c in enumerate(code):
        if c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
        elif c in ";{}" and (depth == 0 or c != ";"):
            text = " ".join(code[start:i].split())
            start = i + 1
            if SYNC.search(text):
                out.append(text)
    return out


def fingerprints(root):
    """{(file, function): [statement, ...]} of every function that synchronises; the n-th of a name is NAME#n."""
    out = {}
    for path in FILES:
        text = (root / path).read_text()
        lines = cxx.without_preprocessor(cxx.blank(text)).splitlines()
        count = {}
        for f in cxx.functions(text):
            found = statements("\n".join(lines[f.first - 1:f.last]))
            count[f.name] = count.get(f.name, 0) + 1
            name = f.name if count[f.name] == 1 else "%s#%d" % (f.name, count[f.name])
            if found:
                out[path, name] = found
    return out


def read_list(text):
    """{(file, function): (models, [statement, ...])}"""
    out, current = {}, None
    for line in text.splitlines():
        if line.startswith("== "):
            path, name, models = line[3:].split(" ", 2)
            current = out[path, name] = (models, [])
        elif line.startswith("  ") and current is not None:
            current[1].append(line[2:])
    return out


HEADER = """# SPDX-License-Identifier: Apache-2.0
# Every synchronising statement of the product's protocols, by function, and the models that transcribe the function
# ("-": none; docs/memory-order.md, "Without a model").  Checked and written by drift.py; edit only the names of models.
"""


def where(models):
    if models == "-":
        return "no model has it: docs/memory-order.md, \"Without a model\", must stay true"
    names = ", ".join("tests/model/%s_model.cpp" % m for m in models.split())
    return "make the same change in %s, then ./dev models %s" % (names, models.split()[0])


def check(root, listed):
    problems = []
    actual = fingerprints(root)
    for key in sorted(set(actual) | set(listed)):
        path, name = key
        models, want = listed.get(key, ("-", []))
        have = actual.get(key, [])
        if have == want:
            continue
        diff = [d for d in difflib.ndiff(want, have) if d[:2] in ("- ", "+ ")]
        problems.append("%s: %s() synchronises differently from what was modelled:\n    %s\n  %s;\n"
                        "  then python3 tests/model/drift.py --accept" % (path, name, "\n    ".join(diff), where(models)))
    for (path, name), (models, _) in sorted(listed.items()):
        for m in models.split():
            if m != "-" and not (root / "tests/model" / (m + "_model.cpp")).exists():
                problems.append("product.txt: %s %s names the model '%s', which does not exist" % (path, name, m))
    return problems


def accept(root, listed):
    out = [HEADER]
    for (path, name), found in fingerprints(root).items():
        out.append("== %s %s %s\n%s\n" % (path, name, listed.get((path, name), ("-",))[0],
                                         "\n".join("  " + s for s in found)))
    return "\n".join(out)


def main(argv):
    root = pathlib.Path(argv[argv.index("--root") + 1]) if "--root" in argv else HERE.parent.parent
    product = root / "tests/model/product.txt"
    listed = read_list(product.read_text()) if product.exists() else {}
    if "--accept" in argv:
        product.write_text(accept(root, listed))
        return 0
    problems = check(root, listed)
    print("\n".join(problems) or "%d functions are as modelled" % len(listed))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

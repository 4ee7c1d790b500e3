#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every object of an archive carries the notes that the linker asks for.

usage: object_notes.py ARCHIVE...

  .note.GNU-stack         not executable: one object without it makes the stacks of the whole program executable
  .note.GNU-split-stack   gets along with callers compiled with -fsplit-stack
"""
import re
import sys

import cxx
import elfcode


def check(archive):
    problems, members = [], 0
    text = elfcode.output(elfcode.READELF, "-SW", archive)
    for part in re.split(r"^File: ", text, flags=re.M)[1:]:
        members += 1
        name = part.splitlines()[0]
        for note in (".note.GNU-stack", ".note.GNU-split-stack"):
            line = re.search(rf"^.*\s{re.escape(note)}\s.*$", part, re.M)
            if line is None:
                problems.append(f"{name}: no {note}")
            elif re.search(r"\sX\s", line.group(0).split(note, 1)[1]):
                problems.append(f"{name}: {note} asks for executable stacks")
    return problems or ([] if members else [f"{archive}: no objects"])


if __name__ == "__main__":
    sys.exit(cxx.report([p for a in sys.argv[1:] for p in check(a)], "object_notes"))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house style as a test: lengths, names, banned words, file heads, dead files.

usage: tidy.py [ROOT]

Every rule is a function below with its reason in its docstring, and a planted violation in tests/tools/tidy_test.py.
"""
import os
import re
import sys

import cxx

MAX_LINE, MAX_FUNCTION, MAX_EXEMPT = 125, 70, 10
CORE = re.compile(r"^src/(?!api/)")

# (pattern, what to write instead, files it applies to, files that may).  Patterns see the text without comments.
BANNED = [
    (r"\bstd::atomic\w*|\b__atomic_\w+|\b__sync_\w+", "the facade base/atomic.hpp, so that models can explore it",
     r"^src/", r"^src/base/atomic\.hpp$|^src/api/"),
    (r"\bassert\s*\(", "GORT_CHECK, GORT_DCHECK or GORT_XCHECK", r"^src/", r"^$"),
    (r"\bNULL\b", "nullptr", r"^(src|include)/", r"^$"),
    (r"\btypedef\b", "using", r"^(src|include)/", r"^$"),
    (r"\b(?:rand|srand|strcpy|strcat|sprintf|gets|atoi)\s*\(", "a checked counterpart", r"^(src|include)/", r"^$"),
    (r"\busing\s+namespace\s+std\s*;", "qualified names", r"\.(cpp|hpp)$", r"^$"),
    (r"\bthread_local\b|\b__thread\b", "the one TLS word of arch/ (getg)", r"^src/(?!api/)", r"^src/(arch|schema)/"),
    (r"\bvolatile\b(?!\s*(?:\(|goto|\"))(?<!asm volatile)", "the facade base/atomic.hpp", r"^src/",
     r"^src/(arch|os|base)/"),
    (r"\bsyscall\s*\(", "a wrapper of the os floor", r"^src/(?!os/)", r"^$"),
]
# The same over the raw text, comments included.
BANNED_WORDS = [
    (r"\b(?:TODO|FIXME|XXX|HACK)\b", "an issue, or the finished work", r"", r"^(tools/tidy\.py|tests/tools/)"),
    (r"\b[Ww]hite-?list|\b[Bb]lack-?list", "allow list, deny list", r"", r"^(tools/tidy\.py|tests/tools/)"),
    (r"(?<![\w./~$}])/(?:home|work)/\w", "a path that exists on every machine", r"",
     r"^(tools/tidy\.py|tests/tools/)"),
]
# Standard headers that put nothing out of line into the core.
CORE_STD = set("type_traits concepts cstdint cstddef utility new limits bit compare initializer_list".split())


def line_of(text, pos):
    return text.count("\n", 0, pos) + 1


EXPECTATION = re.compile(r"// (RUN-ENV|(STDOUT|STDERR)(-NOT)?): ")


def check_lines(path, text):
    """110 columns of code (clang-format), 125 with comments: two files side by side.  No tabs or blanks at the end:
    they only make noise in diffs.  Expectations of tools/crash_test.py are one regular expression a line."""
    for n, line in enumerate(text.splitlines(), 1):
        if EXPECTATION.match(line):
            continue
        if len(line) > MAX_LINE:
            yield f"{path}:{n}: {len(line)} columns; at most {MAX_LINE}"
        if line != line.rstrip() or "\t" in line and not path.endswith(".S"):
            yield f"{path}:{n}: tab or trailing blank"
    if text and not text.endswith("\n"):
        yield f"{path}: no newline at the end"


def check_head(path, text, documented):
    """Every file names its licence first; a file of src or include then says what it is for, owns and guarantees.
    The .cpp beside a header of the same name may leave that to the header."""
    lines = text.splitlines()
    if not lines or "SPDX-License-Identifier: Apache-2.0" not in "\n".join(lines[:2]):
        yield f"{path}:1: the first line must be // SPDX-License-Identifier: Apache-2.0"
    elif path.startswith(("src/", "include/")) and path not in documented:
        after = [l for l in lines[1:8] if l.strip()]
        if not after or not re.match(r"\s*(//|/\*|#|\.?\s*;)", after[0]) or after[0].startswith("#"):
            yield f"{path}:2: no head comment: what is this file, who owns what, what does it guarantee?"


def check_words(path, text):
    """Words that have a better counterpart here; the table says which."""
    code = cxx.blank(text)
    for table, body in ((BANNED, code), (BANNED_WORDS, text)):
        for pattern, instead, where, but in table:
            if re.search(where, path) and not re.search(but, path):
                for m in re.finditer(pattern, body):
                    yield f"{path}:{line_of(body, m.start())}: '{m.group(0).strip()}': use {instead}"


def check_core_headers(path, text):
    """The core links into programs without libstdc++: only headers that are types and constants."""
    if not CORE.match(path):
        return
    code = cxx.blank(text, strings=False)
    for m in re.finditer(r"^\s*#\s*include\s*<([^>]+)>", code, re.M):
        name = m.group(1)
        if "." not in name and name not in CORE_STD:
            yield f"{path}:{line_of(code, m.start())}: <{name}> is not for the core; allowed: {' '.join(sorted(CORE_STD))}"


def check_pragma_once(path, text):
    """A header that may be read twice breaks whoever includes it second."""
    if path.endswith(".hpp") and not re.search(r"^#pragma once$", text, re.M):
        yield f"{path}: no #pragma once"


def check_lengths(path, text, exempt, seen):
    """70 lines: one screen and a half.  The exempt are listed by name, with numbered phases."""
    for f in cxx.functions(text):
        if f.lines <= MAX_FUNCTION:
            continue
        if f.name in exempt:
            seen.add(f.name)
            body = "\n".join(text.splitlines()[f.first - 1: f.last])
            if not re.search(r"// Phase 1\b", body):
                yield f"{path}:{f.first}: {f.name} is exempt from the length rule but has no '// Phase n:' marks"
        else:
            yield f"{path}:{f.first}: function {f.name} has {f.lines} lines; at most {MAX_FUNCTION}"


TYPE = re.compile(r"^[ \t]*(?:template\s*<[^;{}]*>\s*)?(?:class|struct|union|enum(?:\s+class|\s+struct)?)\s+"
                  r"(?:alignas\s*\([^)]*\)\s*|\[\[[^\]]*\]\]\s*|__attribute__\s*\(\(.*?\)\)\s*|GORT_[A-Z]+(?:\([^)]*\))?\s+)*"
                  r"([A-Za-z_]\w*)\s*(?:final\s*)?(?::[^:;{}][^;{}]*)?\{", re.M)


def check_names(path, text, exceptions):
    """Internals carry Go's words: types UpperCamel, functions lowerCamel.  The public surface reads like std."""
    inside, public = path.startswith("src/"), path.startswith("include/")
    if not inside and not public or path.endswith(".S"):
        return
    code = cxx.without_preprocessor(cxx.blank(text))
    api = public or path.startswith("src/api/")
    for m in TYPE.finditer(code):
        name = m.group(1)
        good = re.fullmatch(r"[a-z][a-z0-9_]*", name) if public else \
            re.fullmatch(r"[A-Z][A-Za-z0-9]*", name) or api and re.fullmatch(r"[a-z][a-z0-9_]*", name)
        if not good and name not in exceptions:
            yield f"{path}:{line_of(code, m.start(1))}: type {name}: {'snake_case' if public else 'UpperCamel'} here"
    for f in cxx.functions(text):
        if api:
            good = re.fullmatch(r"~?[a-z_][a-z0-9_]*|operator\W.*|operator\s.*|[A-Z][A-Za-z0-9]*" if not public
                                else r"~?[a-z_][a-z0-9_]*|operator.*", f.name) or not public
        else:
            good = re.fullmatch(r"[a-z][A-Za-z0-9]*(_[a-z0-9]+)*_?|operator.*|~?[A-Z][A-Za-z0-9]*", f.name)
        if not good and f.name not in exceptions:
            yield f"{path}:{f.first}: function {f.name}: {'snake_case' if public else 'lowerCamel'} here"


def check_dead(root, paths):
    """A header that nobody includes, or two files of one name, mislead whoever searches."""
    included, names = set(), {}
    for path in paths:
        for m in re.finditer(r'#\s*include\s*["<]([^">]+)[">]', cxx.read(root, path)):
            included.add(os.path.basename(m.group(1)))
    for path in paths:
        if path.startswith("src/"):
            base = os.path.basename(path)
            if path.endswith(".hpp") and base not in included:
                yield f"{path}: no file includes this header"
            if not path.startswith(("src/api/", "src/arch/")) and names.setdefault(base, path) != path:
                yield f"{path}: the name is taken by {names[base]}"


def name_list(root, path):
    try:
        text = cxx.read(root, path)
    except OSError:
        return set()
    return {line.split()[0] for line in text.splitlines() if line.strip() and not line.startswith("#")}


def check(root):
    problems, seen = [], set()
    exempt = name_list(root, "tools/long_functions.txt")
    exceptions = name_list(root, "tools/naming_exceptions.txt")
    if len(exempt) > MAX_EXEMPT:
        problems.append(f"tools/long_functions.txt: {len(exempt)} names; at most {MAX_EXEMPT}")
    paths = cxx.files(root)
    documented = {p[:-4] + ".cpp" for p in paths if p.endswith(".hpp")}
    for path in paths:
        text = cxx.read(root, path)
        problems += check_lines(path, text)
        problems += check_head(path, text, documented)
        problems += check_words(path, text)
        problems += check_core_headers(path, text)
        problems += check_pragma_once(path, text)
        problems += check_lengths(path, text, exempt, seen)
        problems += check_names(path, text, exceptions)
    for path in cxx.files(root, ("tools", "cmake", "dev", ".ci", "tests"), (".py", ".cmake", "dev", "run", ".sh")):
        text = cxx.read(root, path)
        if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(text.splitlines()[:2]):
            problems.append(f"{path}:1: no SPDX-License-Identifier: Apache-2.0")
    problems += check_dead(root, paths)
    problems += [f"tools/long_functions.txt: {n} is not longer than {MAX_FUNCTION} lines" for n in sorted(exempt - seen)]
    return problems


if __name__ == "__main__":
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.exit(cxx.report(check(sys.argv[1] if len(sys.argv) > 1 else here), "tidy"))

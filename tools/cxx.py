# SPDX-License-Identifier: Apache-2.0
"""What the checkers know about C++ text: comments away, and which lines are one function.

It is a scanner, not a parser: it follows brackets and looks at the words before an opening brace.  That is enough for
formatted code of one house style, and needs nothing installed.
"""
import os
import re
import subprocess


def files(root, patterns=("src", "include", "tests", "bench", "examples"), suffixes=(".cpp", ".hpp", ".S", ".h", ".c")):
    """Source files below root: what git tracks or would track, or the tree when it is not a repository."""
    try:
        out = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "--", *patterns],
                             capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        out = []
        for pattern in patterns:
            for base, _, names in os.walk(os.path.join(root, pattern)):
                out += [os.path.relpath(os.path.join(base, n), root) for n in names]
    return sorted({f for f in out if f.endswith(suffixes) and os.path.exists(os.path.join(root, f))})


def read(root, name):
    with open(os.path.join(root, name), encoding="utf-8") as f:
        return f.read()


TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|'
                   r"(?<![0-9A-Za-z_])'(?:\\.|[^'\\\n])+'", re.S)


def blank(text, strings=True):
    """The text with comments (and string contents) replaced by spaces; line numbers stay."""
    def one(m):
        s = m.group(0)
        if not s.startswith("/"):
            if not strings:
                return s
            return '"' + re.sub(r"[^\n]", " ", s[1:-1]) + '"'
        return re.sub(r"[^\n]", " ", s)
    return TOKEN.sub(one, text)


def without_preprocessor(text):
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)


TYPE_HEAD = re.compile(r"^(?:template\s*<.*>\s*(?:requires\b.*?)?)?(?:typedef\s+)?(?:class|struct|union|enum)\b", re.S)
NOT_NAMES = {"if", "for", "while", "switch", "catch", "requires", "noexcept", "decltype", "alignas", "__attribute__",
             "sizeof", "return", "explicit", "throw", "__asm__", "asm", "static_assert", "do", "else"}


def function_name(head):
    """Name of the function whose body follows head, or None."""
    h = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", " ", head)
    h = re.sub(r"\[\[.*?\]\]", " ", h)
    depth = 0
    for i, c in enumerate(h):
        if c == "=" and depth == 0 and not re.search(r"operator\s*[-+*/%&|^=!<>]*$", h[:i]) \
                and h[i + 1:i + 2] != "=" and h[i - 1] not in "=!<>":
            return None
        if c == "<" and not re.search(r"operator\s*<*$", h[:i]):
            depth += 1
        elif c == ">" and depth > 0 and h[i - 1] != "-":
            depth -= 1
        elif c == "(" and depth <= 0:
            before = h[:i].rstrip()
            m = re.search(r"(operator\s*(?:\(\s*\)|\[\s*\]|[^\s\w(]+|\w[\w:<>*& ]*)|~?[A-Za-z_]\w*)$", before)
            if before.endswith("operator"):
                return "operator()"
            if not m:
                continue
            name = m.group(1)
            if name in NOT_NAMES or re.fullmatch(r"GORT_[A-Z_]+|[A-Z][A-Z0-9_]{3,}", name) and name not in (
                    "TEST", "TEST_F", "TEST_P"):
                continue
            return name
    return None


class Function:
    def __init__(self, name, first, last, in_type):
        self.name, self.first, self.last, self.in_type = name, first, last, in_type

    @property
    def lines(self):
        return self.last - self.first + 1


def match_brace(text, i):
    depth = 0
    for m in re.compile(r"[{}]").finditer(text, i):
        depth += 1 if m.group(0) == "{" else -1
        if depth == 0:
            return m.start()
    return len(text) - 1


def functions(text):
    """Functions with bodies, outermost only (a lambda is part of its function)."""
    code = without_preprocessor(blank(text))
    found, scopes, head_start, i = [], [], 0, 0
    line_of = lambda pos: code.count("\n", 0, pos) + 1
    scan = re.compile(r"[{};]")
    while True:
        m = scan.search(code, i)
        if not m:
            return found
        i, c = m.end(), m.group(0)
        if c == "}":
            if scopes:
                scopes.pop()
            head_start = i
            continue
        if c == ";":
            if code.count("(", head_start, i) <= code.count(")", head_start, i):
                head_start = i
            continue
        head = code[head_start:m.start()]
        clean = re.sub(r"^\s*(?:public|private|protected)\s*:", "", head.strip()).strip()
        clean = re.sub(r"^(?:\[\[.*?\]\]|__extension__|export)\s*", "", clean)
        if re.match(r"(?:inline\s+)?namespace\b", clean) or re.fullmatch(r'extern\s+"\s*"', clean):
            scopes.append("namespace")
            head_start = i
        elif TYPE_HEAD.match(clean) and function_name(re.sub(r"alignas\s*\([^)]*\)", "", clean)) is None:
            scopes.append("type")
            head_start = i
        else:
            end = match_brace(code, m.start())
            name = function_name(clean)
            last = clean[-1:] or " "
            init = name and re.search(r"\)[^()]*:\s*[^:]", clean) and (last.isalnum() or last in "_>") \
                and not re.search(r"\b(const|noexcept|override|final|mutable)$", clean) and "->" not in clean
            i = end + 1
            if init:
                continue  # a brace of the member initialiser list: the body is still to come
            if name:
                start = head_start + len(head) - len(head.lstrip())
                found.append(Function(name, line_of(start), line_of(end), "type" in scopes[-1:]))
            if name or clean == "":
                head_start = i


def report(problems, what):
    """Prints problems; the exit status and the line that .ci/run counts."""
    for p in problems:
        print(p)
    print(f"{what}: {'no problem' if not problems else str(len(problems)) + ' problem(s)'}")
    return 1 if problems else 0

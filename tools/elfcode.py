# SPDX-License-Identifier: Apache-2.0
"""The linked core as the checkers see it: functions with their section, frame size, calls and indirect calls.

Edges come from the disassembly of the linked program (inline asm and .S files included), sections from the symbol
tables of the archive's members (the linker merges .text.*), frame sizes from .stack_sizes where the compiler wrote it
(Clang) and from the prologue's instructions otherwise.
"""
import re
import subprocess

OBJDUMP, READELF, NM, FILT = "objdump", "readelf", "nm", "c++filt"


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[:400]}")
    return done.stdout


def demangle(names):
    names = list(names)
    out = subprocess.run([FILT], input="\n".join(names), capture_output=True, text=True, check=True).stdout
    return dict(zip(names, out.split("\n")))


def symbol_sections(archive):
    """Function symbol -> set of section names, over all members of an archive."""
    found = {}
    for line in output(OBJDUMP, "-tw", archive).splitlines():
        m = re.match(r"[0-9a-f]{16} (.{7}) (\S+)\t[0-9a-f]+ (?:\.hidden )?(\S+)$", line)
        if m and "F" in m.group(1) and m.group(2) != "*UND*":
            found.setdefault(m.group(3), set()).add(m.group(2))
    return found


class Function:
    def __init__(self, name, address):
        self.name, self.address = name, address
        self.frame, self.dynamic = 8, False   # the return address
        self.calls = []                       # (name of callee, stack depth at the call)
        self.indirect = []                    # text of each indirect call
        self.size = 0


def whole(name):
    """foo.cold is a stretch of foo that the compiler moved away: one function, one frame."""
    return re.sub(r"\.cold(\.\d+)*$", "", name)


def parent(name):
    """foo.cold, foo.part.0, foo.constprop.1 -> foo"""
    return re.sub(r"(\.(cold|part|constprop|isra|lto_priv)(\.\d+)*|\.\d+)+$", "", name)


HEAD = re.compile(r"^([0-9a-f]{16}) <(.+)>:$")
INSN = re.compile(r"^\s+([0-9a-f]+):\t(?:notrack |bnd |lock |rep |data16 )*(\S+)\s*([^#]*)")
TARGET = re.compile(r"^[0-9a-f]+ <([^>+]+(?:>\S*)?)(\+0x[0-9a-f]+)?>")
IMM = re.compile(r"^\$0x([0-9a-f]+),%rsp$")


class Scan:
    """Follows %rsp through one function, in address order: the high-water mark is the frame."""

    def __init__(self, f):
        self.f, self.depth, self.probed = f, 8, 0
        self.last = ("", "")

    def adjust(self, by):
        self.depth = max(8, self.depth + by)
        self.f.frame = max(self.f.frame, self.depth)

    def step(self, op, args):
        args = args.strip()
        if op.startswith("push"):
            self.adjust(8)
        elif op.startswith("pop"):
            pass  # epilogues repeat; the mark only grows with what the prologue did
        elif op.startswith("sub") and args.endswith(",%rsp"):
            m = IMM.match(args)
            if not m:
                self.f.dynamic = True
            elif int(m.group(1), 16) >= 1 << 63:
                pass  # subtracting a negative number: an epilogue
            elif not (self.probed and int(m.group(1), 16) == 0x1000):  # steps of a probe loop are in probed already
                self.adjust(int(m.group(1), 16))
        elif op.startswith("add") and args.endswith(",%rsp"):
            m = IMM.match(args)
            if m and int(m.group(1), 16) >= 1 << 63:
                self.adjust((1 << 64) - int(m.group(1), 16))
        elif op.startswith("lea") and re.match(r"-0x[0-9a-f]+\(%rsp\),%r", args):
            size = int(args[3:args.index("(")], 16)
            if size >= 0x1000:  # stack clash protection: limit of the probe loop
                self.probed = size
                self.adjust(size)
            elif args.endswith(",%rsp"):
                self.adjust(size)
        elif op.startswith("and") and args.endswith(",%rsp"):
            self.adjust(64)
        elif op.startswith("call"):
            self.transfer(args)
        elif op.startswith("j"):
            self.transfer(args, jump=True)
        self.last = (op, args)

    def transfer(self, args, jump=False):
        if args.startswith("*"):
            table = jump and (re.search(r"\*.*\(,%r\w+,8\)", args) or self.last[0].startswith("add"))
            if not table:  # a switch's jump table stays inside the function
                self.f.indirect.append(args)
            return
        m = TARGET.match(args)
        if not m:
            return
        name = whole(m.group(1))
        if jump and name == self.f.name:
            return  # inside the function, its cold part included
        self.f.calls.append(name)


def disassemble(program):
    """name -> Function, for the code of a linked program.  Equal names (local symbols) are merged."""
    functions, scan = {}, None
    for line in output(OBJDUMP, "-d", "-w", "--no-show-raw-insn", program).splitlines():
        m = HEAD.match(line)
        if m:
            name = whole(m.group(2))
            f = functions.get(name)
            if f is None:
                f = functions[name] = Function(name, int(m.group(1), 16))
            scan = Scan(f)
            if name != m.group(2):
                scan.depth = f.frame  # the cold part is entered with the frame in place
            continue
        m = INSN.match(line)
        if m and scan is not None:
            scan.step(m.group(2), m.group(3))
    return functions


def stack_sizes(program):
    """address -> frame size from Clang's .stack_sizes, or {} (the return address is not in Clang's number)."""
    listing = output(READELF, "-SW", program)
    if ".stack_sizes" not in listing:
        return {}
    text = output(READELF, "-x", ".stack_sizes", program)
    data = b""
    for line in text.splitlines():
        m = re.match(r"^  0x[0-9a-f]+ ((?:[0-9a-f]{2,8} ){1,4})", line)
        if m:
            data += bytes.fromhex(m.group(1).replace(" ", ""))
    sizes, i = {}, 0
    while i + 8 < len(data) + 1 and i + 8 < len(data):
        address = int.from_bytes(data[i:i + 8], "little")
        i += 8
        value = shift = 0
        while i < len(data):
            b = data[i]
            i += 1
            value |= (b & 0x7F) << shift
            shift += 7
            if not b & 0x80:
                break
        sizes[address] = value + 8
    return sizes


def load(program):
    functions = disassemble(program)
    exact = stack_sizes(program)
    for f in functions.values():
        if f.address in exact:
            f.frame = exact[f.address]
    return functions

# SPDX-License-Identifier: Apache-2.0
"""Goroutines for gdb.   (gdb) source tools/gdb/gort.py

    info goroutines            one line per goroutine: id, status, name, where it stands
    goroutine ID COMMAND...    runs COMMAND in the goroutine, e.g. `goroutine 18 bt`, `goroutine 18 frame 3`
    goroutine all COMMAND...   in every goroutine that is not running

Reads only gort_debug_descriptor (src/sched/debug_descriptor.cpp), so the program needs no debug information of Gort.
`info goroutines` works on core files too; `goroutine` changes registers for the command and needs a live process.
"""
import struct

import gdb

STATUS = {0: "idle", 1: "runnable", 2: "running", 3: "syscall", 4: "waiting", 6: "dead", 8: "copystack", 9: "preempted"}
FIELDS = ("stackLo stackHi schedSp schedPc status waitreason goid name m epochOfG startpc whereFile whereLine parentGoid "
          "bits frameRbp framePc frameBytes mId").split()


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def u64(address):
    return struct.unpack("<Q", read(address, 8))[0]


def u32(address):
    return struct.unpack("<I", read(address, 4))[0]


def text(address):
    if address == 0:
        return ""
    out = b""
    while not out.endswith(b"\0") and len(out) < 200:
        out += read(address + len(out), 1)
    return out.rstrip(b"\0").decode(errors="replace")


class Table:
    def __init__(self):
        try:
            base = int(gdb.parse_and_eval("(unsigned long)&gort_debug_descriptor"))
        except gdb.error:
            raise gdb.GdbError("gort: no symbol gort_debug_descriptor: not a program with Gort, or not loaded yet")
        if read(base, 8) != b"gortdbg\0" or u32(base + 8) != 1:
            raise gdb.GdbError("gort: this script knows version 1 of the descriptor; use the script of the program's Gort")
        self.dir, self.len, self.chunk, self.epoch, self.reasons = (u64(base + 16 + 8 * i) for i in range(5))
        self.reason_count = u32(base + 56)
        for i, f in enumerate(FIELDS):
            setattr(self, f, u32(base + 60 + 4 * i))

    def goroutines(self):
        epoch = u32(self.epoch)
        for i in range(u64(self.len)):
            g = Goroutine(self, u64(u64(self.dir + 8 * (i // self.chunk)) + 8 * (i % self.chunk)))
            if g.status != "dead" and u32(g.at + self.epochOfG) == epoch:
                yield g


class Goroutine:
    def __init__(self, table, at):
        self.t, self.at = table, at
        self.id = u64(at + table.goid)
        self.status = STATUS.get(u32(at + table.status) & 0xFFF, "?")
        self.name = text(u64(at + table.name))

    def state(self):
        if self.status != "waiting":
            return self.status
        reason = read(self.at + self.t.waitreason, 1)[0]
        if reason >= self.t.reason_count:
            return "waiting"
        return text(u64(self.t.reasons + 8 * reason)) or "waiting"

    def registers(self):
        sp = u64(self.at + self.t.schedSp)
        return {"pc": u64(sp + self.t.framePc), "rsp": sp + self.t.frameBytes, "rbp": u64(sp + self.t.frameRbp)}

    def place(self):
        if self.status == "running":
            return f"thread with M{u64(u64(self.at + self.t.m) + self.t.mId)}"
        return gdb.execute(f"info symbol {self.registers()['pc']:#x}", to_string=True).split(" in section")[0].strip()


class InfoGoroutines(gdb.Command):
    """List goroutines: `* ` marks running ones."""

    def __init__(self):
        super().__init__("info goroutines", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, _argument, _from_tty):
        for g in Table().goroutines():
            mark = "*" if g.status == "running" else " "
            name = f' "{g.name}"' if g.name else ""
            where = text(u64(g.at + g.t.whereFile))
            made = f"  (started at {where}:{u32(g.at + g.t.whereLine)})" if where else ""
            gdb.write(f"{mark} {g.id} {g.state()}{name} {g.place()}{made}\n")


class GoroutineCommand(gdb.Command):
    """goroutine ID|all COMMAND: run COMMAND with the registers of a parked goroutine."""

    def __init__(self):
        super().__init__("goroutine", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, argument, _from_tty):
        which, _, command = argument.partition(" ")
        if not command or not (which == "all" or which.isdigit()):
            raise gdb.GdbError("usage: goroutine ID|all COMMAND")
        found = [g for g in Table().goroutines() if which == "all" or g.id == int(which)]
        if not found:
            raise gdb.GdbError(f"no goroutine {which}; see `info goroutines`")
        for g in found:
            if g.status == "running":
                if which != "all":
                    raise gdb.GdbError(f"goroutine {which} is running: use the thread that runs it ({g.place()})")
                continue
            if which == "all":
                gdb.write(f"goroutine {g.id} [{g.state()}]\n")
            self.run(g, command)

    @staticmethod
    def run(g, command):
        frame = gdb.selected_frame()
        gdb.newest_frame().select()
        saved = {r: int(gdb.parse_and_eval(f"(unsigned long)${r}")) for r in ("pc", "rsp", "rbp")}
        try:
            for r, v in g.registers().items():
                gdb.execute(f"set ${r} = {v:#x}", to_string=True)
            gdb.execute(command)
        finally:
            for r, v in saved.items():
                gdb.execute(f"set ${r} = {v:#x}", to_string=True)
            frame.select() if frame.is_valid() else None


InfoGoroutines()
GoroutineCommand()

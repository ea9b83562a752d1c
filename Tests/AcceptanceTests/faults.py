"""Calls to the file system that fail on order, in the programs under test; and reports of what tests have tried.

In:  faults.c beside this file, a C compiler; a directory whose calls are counted and may fail.
Out: `Faults` (orders, counts, and the path of the first failure), `ways` (how a kind of call may fail), `report`.
Invariant: only programs that are started with `environment` are concerned.
"""
import collections
import errno
import json
import mmap
import os
import shutil
import struct
import subprocess
import tempfile

from installation import HERE, compiler

KINDS = ("open", "create", "read", "write", "sync", "rename", "link", "unlink", "make", "status", "list", "readlink", "truncate", "seek",
         "attribute", "set", "lock", "space")
# `struct record` of faults.c.
CALLS = struct.Struct(f"{len(KINDS)}I")
FAILED, ORDERS, PATH, SIZE = 4 * 32, 4 * 33, 4 * 38, 4 * 38 + 4096
SHORT, SLOW = "short", "slow"

Fault = collections.namedtuple("Fault", "kind at how ever")
Fault.__doc__ = """One order: the call of this kind and number (from 1), and all after it when `ever`. how: an errno, SHORT or SLOW."""


def describe(fault):
    how = errno.errorcode[fault.how] if isinstance(fault.how, int) else fault.how
    return f"{fault.kind} {fault.at}{' and all after it' if fault.ever else ''}: {how}"


# Disks fail, fill up and are taken away from their user; servers lose what they had; a signal interrupts.
COMMON = (errno.EIO, errno.EACCES, errno.ESTALE)
MAKING = (*COMMON, errno.ENOSPC)
WAYS = {kind: COMMON for kind in KINDS} | {kind: MAKING for kind in ("create", "write", "sync", "rename", "link", "make", "truncate", "set")}
WAYS["read"] += (SHORT, SLOW)
WAYS["write"] += (SHORT, SLOW)


INTERRUPTIBLE = ("open", "create", "read", "write", "list", "truncate", "lock")


def ways(kind):
    """All (how, ever) of one kind. EINTR for ever would be a process that never does anything else."""
    return [(how, ever) for how in WAYS[kind] for ever in (False, True)] + [(errno.EINTR, False)] * (kind in INTERRUPTIBLE)


class Faults:
    """Orders to the programs that run with `environment`, about everything at `below` and under it."""

    preload = None

    @classmethod
    def build(cls):
        """The library, compiled once."""
        if cls.preload is None:
            folder = tempfile.mkdtemp(prefix="ab-faults-")
            cls.preload = os.path.join(folder, "faults.so")
            subprocess.run([compiler(), "-shared", "-fPIC", "-O1", "-o", cls.preload, os.path.join(HERE, "faults.c"), "-ldl"], check=True)
        return cls.preload

    @classmethod
    def forget(cls):
        if cls.preload is not None:
            shutil.rmtree(os.path.dirname(cls.preload))
            cls.preload = None

    def __init__(self, installation, below):
        handle, file = tempfile.mkstemp(dir=installation.directory, prefix="faults-")
        os.ftruncate(handle, SIZE)
        self.memory = mmap.mmap(handle, SIZE)
        os.close(handle)
        self.environment = {"LD_PRELOAD": self.build(), "TEST_FAULT_RECORD": file, "TEST_FAULT_BELOW": below}

    def order(self, fault=None):
        """Gives one order in the place of the one before it, and counts from the beginning."""
        self.memory[:] = bytes(SIZE)
        if fault is not None:
            manner = {SHORT: 1, SLOW: 2}.get(fault.how, 0)
            number = fault.how if manner == 0 else 0
            # The number of the call last: it is what makes the order valid.
            self.memory[ORDERS:ORDERS + 20] = struct.pack("5I", KINDS.index(fault.kind), 0, fault.ever, manner, number)
            self.memory[ORDERS + 4:ORDERS + 8] = struct.pack("I", fault.at)

    @property
    def calls(self):
        """{kind: calls since the order}."""
        return {kind: count for kind, count in zip(KINDS, CALLS.unpack_from(self.memory)) if count}

    @property
    def failed(self):
        """How many calls the order has hit."""
        return struct.unpack_from("I", self.memory, FAILED)[0]

    @property
    def path(self):
        """Where the first of them was; text, for a message."""
        return os.fsdecode(bytes(self.memory[PATH:]).split(b"\0", 1)[0])


def report(name, counts):
    """Adds counts to NAME.json in the directory AUTO_BACKUP_REPORT, for the documentation; without it nothing.

    counts: {what: number}, or {what: {column: number}}; numbers of one name are added up.
    """
    folder = os.environ.get("AUTO_BACKUP_REPORT")
    if not folder:
        return
    file = os.path.join(folder, f"{name}.json")
    found = {}
    if os.path.exists(file):
        with open(file) as reading:
            found = json.load(reading)
    for what, count in counts.items():
        if isinstance(count, dict):
            found[what] = dict(collections.Counter(found.get(what, {})) + collections.Counter(count))
        else:
            found[what] = found.get(what, 0) + count
    with open(file, "w") as writing:
        json.dump(found, writing, indent=1, sort_keys=True)
        writing.write("\n")

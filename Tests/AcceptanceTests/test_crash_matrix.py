#!/usr/bin/env python3
"""A crash after each step of each operation that writes: the old state or the new one is there, and nothing half-written is believed.

In:  the operations of crash_operations.py, each run once, with every call written down by recorder.c; crash_states.py, which says what
     a disk may show after a crash at any point of it.
Out: for each operation the number of points and of different states that were tried; printed as a table, and written to
     AUTO_BACKUP_REPORT/crash-matrix.json, with the number of all states that those crashes lead to.
Invariant: in each state, with nothing but what a user would do: the snapshots are those from before or after the operation (or of a
stage between that the operation names); all of them verify and come back as they were; the operation, done again, ends well; the
next snapshot is taken and comes back; no temporary file is left; and the archives alone, without the catalog, tell the same. Once the
command has ended with 0, the new state is there whatever was not fsynced.

The short form tries a part of the states, AUTO_BACKUP_STATES=n more of them, the long form (AUTO_BACKUP_LONG=1) all, about 23,000.
AUTO_BACKUP_ONLY is a regular expression for the names of operations.
"""
import collections
import concurrent.futures
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import crash_states
from crash_operations import OPERATIONS, SEED, NewKey, Passphrase, Reopened, Rotation, Snapshot
from crash_states import MISTAKES, VARIANTS, History
from installation import HERE, LONG, InstallationTestCase, compiler

BEFORE_END, AFTER_END = 5, 2                           # states of an operation that the short form tries
STATES = int(os.environ.get("AUTO_BACKUP_STATES", BEFORE_END))
COMPLETE = LONG and "AUTO_BACKUP_STATES" not in os.environ
REPORT = os.environ.get("AUTO_BACKUP_REPORT")
THREADS = 2
# Which operation shows a mistake of crash_states.py.
BETRAYED_BY = {"directories are not fsynced": Snapshot, "files are not fsynced": Snapshot,
               "files are fsynced after they have their name": Snapshot, "archives go before their replacement is published": Rotation,
               "archives go before the catalog is fsynced": NewKey, "files are written over themselves": Passphrase}


class Trial(collections.namedtuple("Trial", "point variant past state")):
    """A state to be tried, and the crash that leads to it."""


class Trials:
    """The states of a history that are to be tried, one after the other, each once; used by several threads."""

    def __init__(self, history, start, isComplete=False, before=BEFORE_END, after=AFTER_END, seed=SEED):
        self.history, self.start, self.end, self.seed = history, start, len(history.steps), seed
        pasts = ("old", "young") if start else ("old",)
        plan = [(point, variant, past) for point in range(start, self.end + 1) for variant in VARIANTS for past in pasts]
        self.left = collections.Counter({True: len(plan), False: len(plan)} if isComplete else {True: after, False: before})
        if not isComplete:
            random.Random(f"{seed} choice").shuffle(plan)
        self.plan, self.seen, self.lock = iter(plan), set(), threading.Lock()

    def next(self):
        """The next one; None after the last."""
        with self.lock:
            for point, variant, past in self.plan:
                isDone = point == self.end
                if self.left[isDone] == 0:
                    if not self.left[not isDone]:
                        return None
                    continue
                state = self.history.state(point, variant, self.start if past == "old" else 0, self.seed)
                # Before the end and after it not the same is promised.
                key = hash((isDone, tuple(sorted(state.items()))))
                if key not in self.seen:
                    self.seen.add(key)
                    self.left[isDone] -= 1
                    return Trial(point, variant, past, state)
            return None

    def countDifferent(self):
        """How many different states there are in all, of which `next` gave some; none is left then."""
        self.left = collections.Counter({True: sys.maxsize, False: sys.maxsize})
        while self.next():
            pass
        return len(self.seen)


class CrashMatrixTests(InstallationTestCase):

    @classmethod
    def setUpClass(cls):
        if compiler() is None:
            raise unittest.SkipTest("no C compiler")
        cls.folder = tempfile.mkdtemp(prefix="ab-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.recorder = os.path.join(cls.folder, "recorder.so")
        subprocess.run([compiler(), "-shared", "-fPIC", "-O1", "-o", cls.recorder, os.path.join(HERE, "recorder.c"), "-ldl"], check=True)

    def record(self, kind):
        operation = kind(self, self.recorder)
        history = History(operation.installation.directory, operation.initial, operation.records())
        operation.checkComplete(self, history)
        return operation, history

    def testMatrix(self):
        matrix, failures = {}, []
        for kind in OPERATIONS:
            if not re.search(os.environ.get("AUTO_BACKUP_ONLY", ""), kind.name):
                continue
            began = time.monotonic()
            operation, history = self.record(kind)
            trials = Trials(history, operation.start, COMPLETE, STATES)
            wrong = self.tryAll(operation, history, trials)
            tried = len(trials.seen)
            matrix[operation.name] = {"points": trials.end - trials.start + 1, "variants": len(VARIANTS) * (2 if trials.start else 1),
                                      "states": trials.countDifferent() if REPORT else None, "tried": tried, "violations": len(wrong)}
            print(f"{operation.name}: {matrix[operation.name]}, {time.monotonic() - began:.1f} s", *wrong[:20], sep="\n", file=sys.stderr,
                  flush=True)
            failures += wrong
            operation.installation.close()
        print("\n" + table(matrix), file=sys.stderr, flush=True)
        if REPORT:
            os.makedirs(REPORT, exist_ok=True)
            with open(os.path.join(REPORT, "crash-matrix.json"), "w") as file:
                json.dump(matrix, file, indent=1)
        self.assertEqual(failures, [], f"{len(failures)} states are wrong")

    def testMistakesAreFound(self):
        """A matrix that cannot fail proves nothing: what programs with these mistakes would have written turns it red."""
        operations = {}
        for mistake, mutate in MISTAKES.items():
            kind = BETRAYED_BY[mistake]
            if kind not in operations:
                operations[kind] = self.record(kind)[0]
            operation = operations[kind]
            records = operation.records()
            start = operation.start
            before = crash_states.before(operation.installation.directory, operation.initial, records)
            history = History(operation.installation.directory, operation.initial, records[:start] + mutate(records[start:], before))
            trials = Trials(history, start, before=300, after=20)
            wrong = self.tryAll(operation, history, trials, enough=1)
            print(f"{mistake}: found at state {len(trials.seen)}: {wrong[:1]}", file=sys.stderr, flush=True)
            self.assertTrue(wrong, f"{mistake}: not found in {len(trials.seen)} states of {operation.name}")

    def tryAll(self, operation, history, trials, enough=sys.maxsize):
        """Returns what is wrong, one text for each state; ends when it is enough."""
        wrong = []

        def work(number):
            place = Reopened(operation)
            try:
                for index in range(number, sys.maxsize, THREADS):
                    trial = trials.next()
                    if trial is None or len(wrong) >= enough:
                        return
                    place.put(trial.state)
                    isDone = trial.point == trials.end
                    try:
                        operation.check(place, isDone, 2 if index % 16 == 0 else 1 if isDone or index % 4 == 0 else 0)
                    except Exception as error:
                        step = history.steps[trial.point - 1] if trial.point else "nothing"
                        wrong.append(f"{operation.name}, crash after {trial.point} of {trials.start}…{trials.end} ({step}), "
                                     f"{trial.variant}, {trial.past}: {error!r}")
            finally:
                place.installation.close()

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for result in [pool.submit(work, number) for number in range(THREADS)]:
                result.result()
        return wrong


def table(matrix):
    lines = ["| operation | crash points | variants | different states tried | wrong |", "|---|--:|--:|--:|--:|"]
    for name, row in matrix.items():
        lines.append(f"| {name} | {row['points']} | {row['variants']} | {row['tried']} | {row['violations']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    unittest.main()

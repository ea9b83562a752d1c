"""A source of many small files that change while snapshots are taken, and what each snapshot must show of it.

In:  a seed, a size, turns.  Out: files, and the state of some directories at each turn.
Invariant: the same seed makes the same tree and the same changes.
"""
import array
import bisect
import hashlib
import os
import random

from benchmarks.outcome import say

FILES_EACH = 60                                        # in one directory
KEPT_DIRECTORIES = 12                                  # of which the script keeps account
CHANGES = 10                                           # files changed before each snapshot


class GrowingTree:
    """Small files that look like text, JSON and source code, and changes to them.

    A file is a number; its name follows from the number and from how often it was named anew. That one byte for each file, and one
    for whether it is there, is all that is known of most of them. Those of the kept directories have a history: which name and
    content each snapshot shows. Invariant: the same seed makes the same tree and the same changes.
    """

    KINDS = ((b"letter", b".txt"), (b"record", b".json"), (b"module", b".swift"), (b"notes", b".md"), (b"script", b".py"))
    MOST_NAMES = 255                                   # a count of one byte

    def __init__(self, root, entries, seed):
        self.root = os.fsencode(root)
        self.random = random.Random(seed)
        # So many directories with their files, and the directories above them, make about `entries`.
        self.directories = max(KEPT_DIRECTORIES, round(entries / (FILES_EACH + 1.04)))
        self.fan = next(fan for fan in range(1, self.directories + 1) if fan ** 3 >= self.directories)
        self.files = self.directories * FILES_EACH
        self.named = bytearray(self.files)
        self.present = bytearray(b"\1") * self.files
        self.gone = array.array("L")
        self.kept = sorted(self.random.sample(range(self.directories), KEPT_DIRECTORIES))
        # number of a file → [(snapshot, name or None, digest or None)], ascending
        self.history = {index: [] for folder in self.kept for index in self.in_folder(folder)}
        self.touched = set(self.history)
        self.entries = self.bytes = 0
        self.phrases = [b" ".join(self.word() for _ in range(self.random.randint(2, 6))) for _ in range(5000)]

    def word(self):
        return bytes(self.random.choices(b"etaoinshrdlucmfwypvbgkqjxz", range(26, 0, -1), k=self.random.randint(2, 9)))

    def in_folder(self, folder):
        return range(folder * FILES_EACH, (folder + 1) * FILES_EACH)

    def folder(self, number):
        """Three levels below the root; the files are the fourth."""
        inner, leaf = divmod(number, self.fan)
        return self.root + b"/area-%02d/project-%02d/folder-%02d" % (*divmod(inner, self.fan), leaf)

    def name(self, index):
        stem, ending = GrowingTree.KINDS[index % len(GrowingTree.KINDS)]
        times = self.named[index]
        return b"%s-%06d%s%s" % (stem, index, b"-%d" % times if times else b"", ending)

    def path(self, index):
        return self.folder(index // FILES_EACH) + b"/" + self.name(index)

    def content(self, index):
        """About 1.3 KB; a sixth of it does not compress, as digests and numbers in real files do not."""
        size = 100 + min(12_000, int(self.random.expovariate(1 / 1200)))
        lines = self.random.choices(self.phrases, k=2 + size // 32)
        digits = self.random.randbytes(8 + size // 24).hex().encode()
        form = index % len(GrowingTree.KINDS)
        if form == 1:
            fields = b",\n".join(b'  "%s": "%s"' % (line[:8], line) for line in lines)
            return b'{\n  "number": %d,\n%s,\n  "digest": "%s"\n}\n' % (index, fields, digits)
        if form in (2, 4):
            return b"# %d\nlet digest = \"%s\"\n    %s()\n" % (index, digits, b"(),\n    ".join(lines))
        return b"No. %d\n%s.\n%s\n" % (index, b",\n".join(lines), digits)

    def make(self):
        """Writes everything. One directory after the other, each opened once."""
        made = set()
        for number in range(self.directories):
            path = self.folder(number)
            os.makedirs(path, exist_ok=True)
            made.update((path, path[:-10], path[:-21]))
            opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
            for index in self.in_folder(number):
                data = self.content(index)
                file = os.open(self.name(index), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=opened)
                os.write(file, data)
                os.close(file)
                self.bytes += len(data)
            os.close(opened)
            if number % 2000 == 1999:
                say(f"{(number + 1) * FILES_EACH:,} files written")
        self.entries = self.files + len(made) + 1

    def change(self, turn):
        """Changes ten files: most grow by a line; now and then one is made, deleted or named anew."""
        some = self.random.choice(self.kept)
        chosen = {self.random.choice(self.in_folder(some))}
        while len(chosen) < CHANGES:
            chosen.add(self.random.randrange(self.files))
        for index in sorted(chosen):
            self.change_one(index, turn)
            if index in self.history:
                self.touched.add(index)

    def change_one(self, index, turn):
        path, dice = self.path(index), self.random.random()
        if not self.present[index]:
            write(path, self.content(index), os.O_EXCL)
            self.present[index] = 1
        elif dice < 0.04:
            os.unlink(path)
            self.present[index] = 0
            self.gone.append(index)
        elif dice < 0.08 and self.named[index] < GrowingTree.MOST_NAMES:
            self.named[index] += 1
            os.rename(path, self.path(index))
        elif dice < 0.12 and self.gone:
            self.bring_back(path, turn)
        else:
            write(path, self.line(turn), os.O_APPEND)

    def bring_back(self, path, turn):
        """Makes a file that was deleted, or, when another change has made it meanwhile, lets this one grow."""
        index = self.gone.pop(self.random.randrange(len(self.gone)))
        if self.present[index]:
            return write(path, self.line(turn), os.O_APPEND)
        write(self.path(index), self.content(index), os.O_EXCL)
        self.present[index] = 1
        if index in self.history:
            self.touched.add(index)

    def line(self, turn):
        return b"%d: %s\n" % (turn, b" ".join(self.random.choices(self.phrases, k=2)))

    def remember(self, number):
        """Notes what snapshot `number` shows of the kept directories."""
        for index in self.touched:
            state = (None, None)
            if self.present[index]:
                with open(self.path(index), "rb") as file:
                    state = (self.name(index), hashlib.sha256(file.read()).digest())
            # A turn can touch a file and leave it as it was.
            if not self.history[index] or state != self.history[index][-1][1:]:
                self.history[index].append((number, *state))
        self.touched.clear()

    def state(self, folder, number):
        """{name: digest} of a kept directory in snapshot `number`."""
        found = {}
        for index in self.in_folder(folder):
            states = self.history[index]
            _, name, digest = states[bisect.bisect_right(states, number, key=lambda state: state[0]) - 1]
            if name:
                found[name] = digest
        return found


def write(path, data, mode):
    file = os.open(path, os.O_WRONLY | os.O_CREAT | mode, 0o644)
    try:
        os.write(file, data)
    finally:
        os.close(file)

"""What a disk may show after a crash at any point of a recorded run.

In:  a directory as it was, and the log that recorder.c made of a run below it.
Out: `History.state(point, variant)`: the tree that a computer may find when it starts again; and `MISTAKES`, which make of a log
     what a program with a certain mistake would have recorded.
Invariant: the whole log, applied to the directory as it was, gives the directory as it is; `History.complete` is compared with it.

The model is what POSIX promises, which is less than most file systems keep:
- A call is done in full or not at all when the process is killed: then everything before the point is there (variant `all`).
- After a power cut, content, length and mode of a file are those of its last fsync. Of every later write any part may be there, in
  any order; where it is missing, the file has its old bytes, or zeros where it had none, or ends earlier.
- A name (made, renamed, linked, removed) is durable once its directory was fsynced, that is, a file's fsync does not keep its name. Of
  later changes to names any may be there and any may not, in any order, also within one directory. (Journals keep their order:
  ext4, XFS. Btrfs does not always, and ext2 never did.) One rename is one step: there is no state with both names or with none.
- A name that is there leads to the file that it was given to, whose content may be empty, torn or zero.
- A failed disk is not part of it: what was fsynced is there, and is what was written.
Times of files are not modelled: whatever a program concludes from a directory's times, it finds them changed after the crash.
Source: fsync(2); Pillai et al., All File Systems Are Not Created Equal, OSDI 2014.
"""
import collections
import os
import random
import stat
import struct
import time

CREATE, WRITE, RESIZE, SYNC, SYNC_ALL, RENAME, LINK, UNLINK, MAKE_DIRECTORY, REMOVE_DIRECTORY, MODE = range(1, 12)

Record = collections.namedtuple("Record", "call inode number path other data")
Record.__doc__ = """One call as recorder.c writes it.

number: the mode of what was made, the offset of a write, a new length. other: the second path of a rename or link.
"""

PAGE = 4096

# What becomes of a step that is not durable.
KEPT, LOST, ZEROS, HALF, MIXED = "kept", "lost", "zeros", "half", "mixed"
# `all` is a killed process; the others are power cuts, by what became of all that was not fsynced:
#   lost      nothing of it is there              short     names are there, and no content
#   nameless  content is there, and no names      zeros     names and lengths are there, content is zeros
#   torn      all but half of the last write to each file
#   mixed     of each name and each page of content a chance decides, differently for each number
# The past of `old` ends where the operation begins: all before it reached the disk long ago. In that of `young` nothing did
# that was not fsynced.
VARIANTS = ("all", "lost", "nameless", "short", "zeros", "torn", *(f"mixed {number}" for number in range(1, 7)))


def readLog(path):
    """All records of a log."""
    with open(path, "rb") as file:
        data = file.read()
    records, at = [], 0
    while at < len(data):
        total, call, inode, number, one, other, count = struct.unpack_from("<IIQQIII", data, at)
        start = at + struct.calcsize("<IIQQIII")
        paths = [os.path.normpath(part) if part else part for part in (data[start:start + one], data[start + one:start + one + other])]
        records.append(Record(call, inode, number, *paths, data[start + one + other:start + one + other + count]))
        at += total
    return records


Tree = collections.namedtuple("Tree", "names kinds modes contents root")
Tree.__doc__ = """A directory by inodes.

names: {directory: {name: inode}}. kinds: {inode: "file" or "directory"}. modes, contents: by inode. root: the top's inode.
"""


def scan(root, without=()):
    """Reads a directory. What is in `without` (absolute paths), and SQLite's shared memory, is left out."""
    tree = Tree({}, {}, {}, {}, os.lstat(root).st_ino)

    def look(path, status):
        inode = status.st_ino
        tree.modes[inode] = stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            tree.kinds[inode], tree.names[inode] = "directory", {}
            for name in os.listdir(path):
                below = os.path.join(path, name)
                if below not in without and not name.endswith(b"-shm"):
                    inner = os.lstat(below)
                    tree.names[inode][name] = inner.st_ino
                    look(below, inner)
        else:
            assert stat.S_ISREG(status.st_mode), path
            tree.kinds[inode] = "file"
            with open(path, "rb") as file:
                tree.contents[inode] = file.read()

    root = os.fsencode(root)
    look(root, os.lstat(root))
    return tree


def flat(tree):
    """{path: (mode, content)} of everything below the top; a directory's content is None."""
    found = {}

    def look(inode, path):
        for name, child in tree.names[inode].items():
            below = path + b"/" + name if path else name
            if tree.kinds[child] == "directory":
                found[below] = (tree.modes[child], None)
                look(child, below)
            else:
                found[below] = (tree.modes[child], bytes(tree.contents.get(child, b"")))

    look(tree.root, b"")
    return found


class Step:
    """One call that changes something, or makes something durable. `durable` is the index of the step that made it so, or None."""

    def __init__(self, kind, record, inode=None, names=()):
        self.kind, self.record, self.inode, self.names, self.durable = kind, record, inode, names, None

    def __repr__(self):
        calls = "? create write resize fsync sync rename link unlink mkdir rmdir chmod".split()
        path = os.fsdecode(self.record.other or self.record.path)
        return f"{calls[self.record.call]} {path}" + (f" ({len(self.record.data)} bytes)" if self.record.data else "")


class History:
    """A directory as it was, and the steps that changed it. `state(point, …)` is after `point` steps, 0...len(steps)."""

    def __init__(self, root, initial, records):
        self.root = os.fsencode(root)
        self.initial = initial
        self.steps = []
        self.kinds, self.modes = dict(initial.kinds), dict(initial.modes)
        names = {directory: dict(children) for directory, children in initial.names.items()}
        # An inode's number is used again by some file systems: each new file has a number of its own here.
        self.numbers = {inode: inode for inode in initial.kinds}
        for record in records:
            step = self.step(record, names)
            if step is None:
                continue
            for directory, name, inode, _ in step.names:
                if inode is None:
                    names[directory].pop(name)
                else:
                    names[directory][name] = inode
            self.steps.append(step)
        self.findDurable()
        self.recent = collections.defaultdict(dict)

    def find(self, names, path):
        """The directory's inode and the last name."""
        assert path.startswith(self.root + b"/"), path
        parts = path[len(self.root) + 1:].split(b"/")
        inode = self.initial.root
        for part in parts[:-1]:
            inode = names[inode][part]
        return inode, parts[-1]

    def begin(self, kind, record):
        inode = ("new", len(self.steps), record.inode)
        self.numbers[record.inode] = inode
        self.kinds[inode], self.modes[inode] = kind, record.number
        return inode

    def step(self, record, names):
        if record.call == SYNC_ALL:
            return Step("everything", record)
        if record.call in (WRITE, RESIZE, SYNC, MODE):
            inode = self.numbers.get(record.inode)
            if inode is None:
                raise AssertionError(f"the log names a file that it does not know: {record.path}")
            return Step("sync" if record.call == SYNC else "data", record, inode)
        directory, name = self.find(names, record.path)
        if record.call in (CREATE, MAKE_DIRECTORY):
            inode = self.begin("file" if record.call == CREATE else "directory", record)
            if record.call == MAKE_DIRECTORY:
                names[inode] = {}
            return Step("names", record, names=[(directory, name, inode, None)])
        present = names[directory][name]
        if record.call in (UNLINK, REMOVE_DIRECTORY):
            return Step("names", record, names=[(directory, name, None, present)])
        newDirectory, newName = self.find(names, record.other)
        change = (newDirectory, newName, present, None)
        if record.call == LINK:
            return Step("names", record, names=[change])
        return Step("names", record, names=[(directory, name, None, present), change])

    def findDurable(self):
        waiting = []
        for index, step in enumerate(self.steps):
            if step.kind in ("sync", "everything"):
                left = []
                for other in waiting:
                    if step.kind == "everything":
                        other.open = set()
                    else:
                        other.open.discard(step.inode)
                    if other.open:
                        left.append(other)
                    else:
                        other.durable = index
                waiting = left
            else:
                step.open = {directory for directory, *_ in step.names} if step.kind == "names" else {step.inode}
                waiting.append(step)

    def complete(self):
        """Everything that was recorded: what is on the disk now, if the recorder missed nothing."""
        return self.state(len(self.steps), "all")

    def state(self, point, variant, settled=0, seed=0):
        """The tree that is found after a crash behind the first `point` steps, as `flat` gives it.

        variant: of VARIANTS; `seed` makes other mixed ones. settled: so many steps reached the disk, fsynced or not.
        """
        chance = random.Random(f"{seed} {variant} {point} {settled}") if variant.startswith("mixed") else None
        share = chance.choice((0.2, 0.5, 0.8)) if chance else 1
        names = {directory: dict(children) for directory, children in self.initial.names.items()}
        tree = Tree(names, self.kinds, dict(self.modes), dict(self.initial.contents), self.initial.root)
        steps = self.steps[:point]
        last = {step.inode: step for step in steps if step.kind == "data" and step.record.call == WRITE}
        # What reaches each file, in order.
        edits = collections.defaultdict(list)
        for index, step in enumerate(steps):
            if step.kind not in ("data", "names"):
                continue
            fate, pages = KEPT, None
            if index >= settled and (step.durable is None or step.durable >= point):
                if chance is None:
                    fate = self.fate(step, variant, last)
                elif step.kind == "data" and step.record.call == WRITE:
                    fate, pages = MIXED, tuple(chance.random() < share for _ in range(self.pageCount(step.record)))
                elif chance.random() >= share:
                    fate = LOST
            if fate == LOST:
                continue
            if step.kind == "names":
                self.rename(tree, step)
            elif step.record.call == MODE:
                tree.modes[step.inode] = step.record.number
            else:
                edits[step.inode].append((index, fate, pages))
        for inode, done in edits.items():
            tree.contents[inode] = self.content(inode, tuple(done))
        return flat(tree)

    @staticmethod
    def fate(step, variant, last):
        isName = step.kind == "names"
        if variant == "all":
            return KEPT
        if variant == "lost":
            return LOST
        if variant == "nameless":
            return LOST if isName else KEPT
        if isName or step.record.call == MODE:
            return KEPT
        if variant == "short":
            return LOST
        if variant == "zeros":
            return ZEROS
        return HALF if last.get(step.inode) is step else KEPT

    def rename(self, tree, step):
        for directory, name, inode, old in step.names:
            # A directory whose own name is lost can still be changed: nobody sees it.
            children = tree.names.setdefault(directory, {})
            if inode is None:
                if children.get(name) == old:
                    del children[name]
                continue
            if self.kinds[inode] == "directory":
                tree.names.setdefault(inode, {})
            children[name] = inode

    def content(self, inode, edits):
        """The bytes of a file after these edits. States that follow each other share most of theirs."""
        recent = self.recent[inode]
        if edits in recent:
            return recent[edits]
        content = bytearray(self.initial.contents.get(inode, b""))
        for index, fate, pages in edits:
            record = self.steps[index].record
            if record.call == RESIZE:
                if record.number < len(content):
                    del content[record.number:]
                else:
                    content.extend(bytes(record.number - len(content)))
                continue
            for offset, data in self.pieces(record, fate, pages):
                end = offset + len(data)
                if end > len(content):
                    content.extend(bytes(end - len(content)))
                if fate != ZEROS:
                    content[offset:end] = data
        while len(recent) >= 4:
            del recent[next(iter(recent))]
        recent[edits] = bytes(content)
        return recent[edits]

    @staticmethod
    def pageCount(record):
        return (record.number + len(record.data) - 1) // PAGE - record.number // PAGE + 1

    @staticmethod
    def pieces(record, fate, pages):
        """Of a write, what reaches the disk, as (offset, bytes)."""
        offset, data = record.number, record.data
        if fate == HALF:
            data = data[:len(data) // 2]
        if pages is None:
            return [(offset, data)] if data else []
        found, start = [], 0
        for isThere in pages:
            end = min(len(data), (offset + start) // PAGE * PAGE + PAGE - offset)
            if isThere:
                found.append((offset + start, data[start:end]))
            start = end
        return found


def put(state, root, replacing=()):
    """Writes a state as `flat` gives it below `root`, an existing empty directory. The files are an hour old: so long nobody started it.

    replacing: of every file named config.toml, (old bytes, new bytes).
    """
    root = os.fsencode(root)
    crashed = time.time() - 3600
    for path in sorted(state):
        mode, content = state[path]
        place = root + b"/" + path
        if content is None:
            os.mkdir(place, 0o700)
            continue
        if os.path.basename(path) == b"config.toml":
            for old, new in replacing:
                content = content.replace(old, new)
        with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0) as file:
            if content:
                file.write(content)
        if mode != 0o600:
            os.chmod(place, mode)
        os.utime(place, (crashed, crashed))
    for path, (mode, content) in state.items():
        if content is None and mode != 0o700:
            os.chmod(root + b"/" + path, mode)


# MARK: Mistakes

Before = collections.namedtuple("Before", "directories inodes")
Before.__doc__ = "Inodes of all directories, old and new; {absolute path: inode} of the files that were there before the run."


def before(root, initial, records):
    directories = {inode for inode, kind in initial.kinds.items() if kind == "directory"}
    directories |= {record.inode for record in records if record.call == MAKE_DIRECTORY}
    inodes = {}

    def look(inode, path):
        for name, child in initial.names[inode].items():
            if initial.kinds[child] == "directory":
                look(child, path + b"/" + name)
            else:
                inodes[path + b"/" + name] = child

    look(initial.root, os.fsencode(root))
    return Before(directories, inodes)


def isCatalog(path):
    return b"catalog.sqlite" in path


def withoutDirectorySync(records, before):
    return [record for record in records if record.call != SYNC or record.inode not in before.directories]


def withoutFileSync(records, before):
    return [record for record in records if record.call != SYNC or record.inode in before.directories or isCatalog(record.path)]


def syncAfterName(records, before):
    result, held = [], []
    for record in records:
        if record.call == SYNC and record.inode not in before.directories and not isCatalog(record.path):
            held.append(record)
        else:
            result.append(record)
            if record.call == SYNC and record.inode in before.directories:
                result += held
                held = []
    return result + held


def removeBeforePublishing(records, before):
    def isArchive(path):
        return path.endswith(b".enc")

    removals = [record for record in records if record.call == UNLINK and isArchive(record.path)]
    others = [record for record in records if record not in removals]
    place = next((index for index, record in enumerate(others) if record.call == LINK and isArchive(record.other)), 0)
    return others[:place] + removals + others[place:]


def withoutCatalogSync(records, before):
    return [record for record in records if record.call != SYNC or not isCatalog(record.path)]


def writeInPlace(records, before):
    result = []
    for record in records:
        if record.call != RENAME or record.other not in before.inodes:
            result.append(record)
            continue
        inode = before.inodes[record.other]
        pieces = [one for one in result if one.inode == record.inode and one.call in (WRITE, SYNC)]
        result = [one for one in result if one.inode != record.inode]
        result.append(Record(RESIZE, inode, 0, record.other, b"", b""))
        result += [one._replace(inode=inode, path=record.other) for one in pieces]
    return result


# Each makes of a log, and what was there before it, the log of a program with that mistake.
MISTAKES = {
    "directories are not fsynced": withoutDirectorySync,
    "files are not fsynced": withoutFileSync,
    "files are fsynced after they have their name": syncAfterName,
    "archives go before their replacement is published": removeBeforePublishing,
    "archives go before the catalog is fsynced": withoutCatalogSync,
    "files are written over themselves": writeInPlace,
}

"""Very many seeded random operations on a tree, by several processes, while a daemon watches it.

In:  a directory, a seed, how many operations.  Out: a tree at rest, and how many operations of each kind there were.
Each process has a directory of its own and a model of it in memory, so that an operation costs what its system calls cost; through a
directory that all share they take trees over from each other. The same seed makes the same operations of one process, but for what it
takes over.

One rule keeps the model to what inotify can tell at all: a file is written to by the oldest of its names. The kernel tells a write by
the name that was used; through a second name that is gone again before anyone has looked at it, no watcher could know of it.
"""
import ctypes
import json
import mmap
import os
import random
import shutil
import signal
import stat
import sys
import time
import traceback

from installation import ROOT

MOST = 3000                                            # entries of one process; above, more is deleted than made
DEEPEST = 12
NAMES = 40                                             # in one directory: few, so that names come back
EXCHANGE, HERE, FOLLOW = 2, -100, 0x400                # RENAME_EXCHANGE, AT_FDCWD, AT_SYMLINK_FOLLOW
LIBRARY = ctypes.CDLL(None, use_errno=True)
BLOCK = os.urandom(1 << 18)


class Node:
    """An entry. `names` of a file are its nodes in the order in which they were made."""

    __slots__ = ("name", "parent", "children", "kind", "slot", "names")

    def __init__(self, name, parent, kind):
        self.name, self.parent, self.kind = name, parent, kind
        self.children = {} if kind == "directory" else None
        self.names = None
        self.slot = -1

    def path(self):
        parts = []
        node = self
        while node is not None:
            parts.append(node.name)
            node = node.parent
        return b"/".join(reversed(parts))

    def level(self):
        level, node = 0, self.parent
        while node is not None:
            level, node = level + 1, node.parent
        return level

    def isBelow(self, other):
        node = self
        while node is not None:
            if node is other:
                return True
            node = node.parent
        return False


class Churner:
    """The operations of one process below `root`. `shared` is in the source too, `outside` is not."""

    def __init__(self, root, shared, outside, seed):
        self.random = random.Random(seed)
        self.shared, self.outside = shared, outside
        self.mark = b"%d-" % (seed & 0xffff)
        self.counter = 0
        self.done = {}
        self.held = []
        self.writers = []
        self.lists = {"file": [], "directory": [], "other": []}
        os.makedirs(root, exist_ok=True)
        self.top = Node(root, None, "directory")
        self.kinds = [
            (16, self.create), (10, self.append), (6, self.rewrite), (4, self.overwrite), (4, self.truncate), (2, self.mapped), (9, self.delete),
            (8, self.rename), (4, self.renameOver), (8, self.makeDirectory), (2, self.makeChain), (3, self.deleteTree), (6, self.renameDirectory),
            (3, self.exchange), (3, self.outAndIn), (2, self.give), (2, self.take), (6, self.mode), (5, self.times), (3, self.attribute),
            (4, self.link), (4, self.symlink), (3, self.special), (3, self.temporary), (2, self.keepOpen), (4, self.writeOn), (7, self.editorSave), (3, self.changeKind), (1, self.recreateHeld)]
        if ROOT:
            self.kinds.append((3, self.owner))

    def run(self, operations):
        """Ends after so many operations that had an effect."""
        actions, weights = [action for _, action in self.kinds], [weight for weight, _ in self.kinds]
        done = 0
        while done < operations:
            # Now and then the watcher gets the time to watch what is new.
            if self.random.random() < 0.5:
                time.sleep(self.random.random() / 50)
            for action in self.random.choices(actions, weights, k=64):
                if self.size() > MOST and action in (self.create, self.makeDirectory, self.makeChain, self.symlink, self.link, self.take):
                    action = self.deleteTree
                try:
                    happened = action()
                except IndexError:                     # nothing of that kind is there
                    happened = False
                if happened is not False:
                    done += 1
                    self.done[action.__name__] = self.done.get(action.__name__, 0) + 1
                    if done == operations:
                        break
        for descriptor in self.held + [file for file, _ in self.writers]:
            os.close(descriptor)
        self.held, self.writers = [], []

    def size(self):
        return sum(map(len, self.lists.values()))

    # The model

    def add(self, name, parent, kind):
        node = Node(name, parent, kind)
        parent.children[name] = node
        self.enlist(node)
        if kind == "file":
            node.names = [node]
        return node

    def enlist(self, node):
        members = self.lists[node.kind]
        node.slot = len(members)
        members.append(node)

    def unlist(self, node):
        members = self.lists[node.kind]
        last = members.pop()
        if last is not node:
            members[node.slot] = last
            last.slot = node.slot
        if node.names is not None:
            node.names.remove(node)

    def remove(self, node):
        """Takes an entry, and all below it, out of the model."""
        del node.parent.children[node.name]
        for each in self.below(node):
            self.unlist(each)

    def below(self, node):
        found = [node]
        for each in found:
            if each.children:
                found.extend(each.children.values())
        return found

    def move(self, node, parent, name):
        del node.parent.children[node.name]
        if name in parent.children:
            self.remove(parent.children[name])
        node.parent, node.name = parent, name
        parent.children[name] = node

    def adopt(self, path, parent, name):
        """Puts into the model what another process made."""
        node = self.add(name, parent, "directory")
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                self.adopt(entry.path, node, entry.name)
            else:
                self.add(entry.name, node, "file" if entry.is_file(follow_symlinks=False) else "other")

    # Choosing

    def file(self):
        """By its oldest name: see above."""
        return self.random.choice(self.lists["file"]).names[0]

    def directory(self):
        """Not the top."""
        return self.random.choice(self.lists["directory"])

    def place(self):
        """A directory for something new."""
        members = self.lists["directory"]
        for _ in range(5):
            node = self.random.choice(members) if members and self.random.random() < 0.9 else self.top
            if node.level() < DEEPEST and len(node.children) < NAMES:
                return node
        return self.top

    def name(self):
        number = self.random.randrange(NAMES * 3)
        return b"\xf0%d\xff" % number if number % 10 == 0 else b"n%d" % number

    def free(self):
        """(directory, name that is not taken in it)"""
        place = self.place()
        for _ in range(20):
            name = self.name()
            if name not in place.children:
                return place, name
        self.counter += 1
        return place, b"more-%d" % self.counter

    def data(self):
        dice = self.random.random()
        size = 0 if dice < 0.1 else self.random.randrange(200) if dice < 0.8 else self.random.randrange(8000)
        if dice > 0.995:
            size = self.random.randrange(len(BLOCK))
        start = self.random.randrange(len(BLOCK) - size)
        return BLOCK[start:start + size]

    def isAlone(self, node):
        """No file at or below it has a name elsewhere: a write outside of the source would change that one unseen."""
        return all(each.names is None or len(each.names) == 1 for each in self.below(node))

    # Content

    def write(self, path, flags, data):
        file = os.open(path, os.O_WRONLY | flags, 0o644)
        try:
            os.write(file, data)
        finally:
            os.close(file)

    def create(self):
        parent, name = self.free()
        self.write(parent.path() + b"/" + name, os.O_CREAT | os.O_EXCL, self.data())
        self.add(name, parent, "file")

    def append(self):
        self.write(self.file().path(), os.O_APPEND, self.data() + b".")

    def rewrite(self):
        self.write(self.file().path(), os.O_TRUNC, self.data())

    def overwrite(self):
        path = self.file().path()
        file = os.open(path, os.O_WRONLY)
        os.pwrite(file, b"overwritten", self.random.randrange(os.fstat(file).st_size + 1))
        os.close(file)

    def truncate(self):
        os.truncate(self.file().path(), self.random.randrange(5000))

    def mapped(self):
        file = os.open(self.file().path(), os.O_RDWR)
        try:
            if os.fstat(file).st_size == 0:
                return False
            with mmap.mmap(file, 0) as memory:
                memory[0] = self.random.randrange(256)
        finally:
            os.close(file)

    def temporary(self):
        """Written without a name, and linked when it is whole."""
        parent, name = self.free()
        folder = parent.path()
        file = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
        try:
            os.write(file, self.data())
            if LIBRARY.linkat(HERE, b"/proc/self/fd/%d" % file, HERE, folder + b"/" + name, FOLLOW) != 0:
                return False
            if self.random.random() < 0.3:
                os.write(file, b"not whole yet")
        finally:
            os.close(file)
        self.add(name, parent, "file")

    def keepOpen(self):
        node = self.file()
        self.writers.append((os.open(node.path(), os.O_WRONLY | os.O_APPEND), node))
        if len(self.writers) > 20:
            os.close(self.writers.pop(0)[0])

    def writeOn(self):
        """Through a descriptor that was opened before the file got the name that it has now."""
        file, node = self.random.choice(self.writers)
        # Gone, or in another process's hands.
        if node.slot >= len(self.lists["file"]) or self.lists["file"][node.slot] is not node:
            return False
        os.write(file, self.data() + b"!")

    def editorSave(self):
        node = self.random.choice(self.lists["file"])
        folder = node.parent.path()
        self.write(folder + b"/.save~", os.O_CREAT | os.O_TRUNC, self.data())
        parent, name = node.parent, node.name
        if self.random.random() < 0.3 and b"kept~" not in parent.children:
            os.rename(folder + b"/" + name, folder + b"/kept~")
            self.move(node, parent, b"kept~")
        else:
            self.remove(node)
        os.rename(folder + b"/.save~", folder + b"/" + name)
        self.add(name, parent, "file")

    # Names

    def entry(self):
        kind = self.random.choices(("file", "other"), (5, 1))[0]
        return self.random.choice(self.lists[kind])

    def delete(self):
        node = self.entry()
        os.unlink(node.path())
        self.remove(node)

    def rename(self):
        node = self.entry()
        parent, name = self.free()
        os.rename(node.path(), parent.path() + b"/" + name)
        self.move(node, parent, name)

    def renameOver(self):
        node, other = self.entry(), self.entry()
        # Two names of one file: rename(2) does nothing then.
        if node is other or node.names is not None and other in node.names:
            return False
        os.rename(node.path(), other.path())
        self.move(node, other.parent, other.name)

    def link(self):
        node = self.file()
        parent, name = self.free()
        os.link(node.path(), parent.path() + b"/" + name)
        new = self.add(name, parent, "file")
        new.names = node.names
        new.names.append(new)

    def symlink(self):
        parent, name = self.free()
        os.symlink(b"target %d" % self.random.randrange(1000), parent.path() + b"/" + name)
        self.add(name, parent, "other")

    def special(self):
        """A FIFO, a socket, or a device."""
        parent, name = self.free()
        kinds = (stat.S_IFIFO, stat.S_IFSOCK) + ((stat.S_IFCHR, stat.S_IFBLK) if ROOT else ())
        os.mknod(parent.path() + b"/" + name, self.random.choice(kinds) | 0o600, os.makedev(1, 3))
        self.add(name, parent, "other")

    def exchange(self):
        node, other = self.directory(), self.random.choice(self.lists[self.random.choice(("directory", "file"))])
        if node.isBelow(other) or other.isBelow(node):
            return False
        if LIBRARY.renameat2(HERE, node.path(), HERE, other.path(), EXCHANGE) != 0:
            return False
        node.parent.children[node.name], other.parent.children[other.name] = other, node
        node.parent, other.parent = other.parent, node.parent
        node.name, other.name = other.name, node.name

    def changeKind(self):
        """Another kind of entry at the same path."""
        node = self.entry()
        path, parent, name = node.path(), node.parent, node.name
        os.unlink(path)
        self.remove(node)
        if self.random.random() < 0.5:
            os.mkdir(path)
            inner = self.add(name, parent, "directory")
            self.write(path + b"/inside", os.O_CREAT, self.data())
            self.add(b"inside", inner, "file")
        else:
            os.symlink(b"changed", path)
            self.add(name, parent, "other")

    # Directories

    def makeDirectory(self):
        parent, name = self.free()
        os.mkdir(parent.path() + b"/" + name)
        self.add(name, parent, "directory")

    def makeChain(self):
        """Made in one go, faster than each could be watched."""
        parent, name = self.free()
        path = parent.path() + b"/" + name
        for level in range(3):
            os.mkdir(path)
            parent = self.add(name, parent, "directory")
            for number in range(3):
                self.write(path + b"/%d" % number, os.O_CREAT, self.data())
                self.add(b"%d" % number, parent, "file")
            name = b"inner"
            path += b"/inner"

    def deleteTree(self):
        node = self.directory()
        # Else the tree would never grow.
        if self.size() <= MOST and len(self.below(node)) > 30:
            return False
        shutil.rmtree(node.path())
        self.remove(node)

    def renameDirectory(self):
        node = self.directory()
        parent, name = self.free()
        if parent.isBelow(node) or len(self.below(node)) > MOST // 2:
            return False
        os.rename(node.path(), parent.path() + b"/" + name)
        self.move(node, parent, name)

    def outAndIn(self):
        """Out of the source, changed there, and back in again: at once, or under another name."""
        node = self.directory()
        if not self.isAlone(node):
            return False
        away = self.outside + b"/" + self.mark + b"away"
        os.rename(node.path(), away)
        written = self.random.random() < 0.7 and (b"outside" not in node.children or node.children[b"outside"].kind == "file")
        if written:
            self.write(away + b"/outside", os.O_CREAT | os.O_APPEND, self.data())
        parent, name = (node.parent, node.name) if self.random.random() < 0.5 else self.free()
        if parent.isBelow(node):
            parent, name = node.parent, node.name
        os.rename(away, parent.path() + b"/" + name)
        if (parent, name) != (node.parent, node.name):
            self.move(node, parent, name)
        if written and b"outside" not in node.children:
            self.add(b"outside", node, "file")

    def give(self):
        node = self.directory()
        if not self.isAlone(node) or len(self.below(node)) > 200:
            return False
        self.counter += 1
        os.rename(node.path(), self.shared + b"/" + self.mark + b"%d" % self.counter)
        self.remove(node)

    def take(self):
        names = os.listdir(self.shared)
        if not names:
            return False
        parent, name = self.free()
        path = parent.path() + b"/" + name
        try:
            os.rename(self.shared + b"/" + self.random.choice(names), path)
        except FileNotFoundError:                      # another was quicker
            return False
        self.adopt(path, parent, name)

    def recreateHeld(self):
        """Removed while it is held open, and made again."""
        node = self.directory()
        if len(self.below(node)) > 30:
            return False
        path, parent, name = node.path(), node.parent, node.name
        self.held.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
        shutil.rmtree(path)
        self.remove(node)
        os.mkdir(path)
        self.write(path + b"/again", os.O_CREAT, self.data())
        self.add(b"again", self.add(name, parent, "directory"), "file")
        if len(self.held) > 20:
            os.close(self.held.pop(0))

    # Metadata

    def one(self):
        return self.directory() if self.random.random() < 0.3 else self.file()

    def mode(self):
        node = self.one()
        modes = (0o755, 0o700, 0o750) if node.children is not None else (0o644, 0o600, 0o640, 0o755)
        os.chmod(node.path(), self.random.choice(modes))

    def owner(self):
        os.chown(self.one().path(), self.random.choice((0, 1, 1000)), self.random.choice((0, 2)))

    def times(self):
        time = self.random.randrange(2 ** 60)
        os.utime(self.one().path(), ns=(time, time))

    def attribute(self):
        os.setxattr(self.one().path(), b"user.churn", b"%d" % self.random.randrange(1000))


def churn(source, outside, operations, seed, processes):
    """Runs the operations in so many processes and waits for them. Returns how many there were of each kind.

    Raises when one of the processes failed, with its seed.
    """
    source, outside = os.fsencode(source), os.fsencode(outside)
    shared = source + b"/shared"
    for path in (shared, outside):
        os.makedirs(path, exist_ok=True)
    children = []
    for number in range(processes):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            status = 1
            LIBRARY.prctl(1, signal.SIGKILL)           # PR_SET_PDEATHSIG: ends with the process that leads it
            try:
                os.close(reading)
                worker = Churner(source + b"/worker-%d" % number, shared, outside, seed * 31 + number)
                worker.run(operations // processes)
                os.write(writing, json.dumps(worker.done).encode())
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        os.close(writing)
        children.append((child, reading))
    total, failed = {}, 0
    for child, reading in children:
        with os.fdopen(reading) as answer:
            text = answer.read()
        failed += os.waitpid(child, 0)[1] != 0
        for kind, count in (json.loads(text) if text else {}).items():
            total[kind] = total.get(kind, 0) + count
    if failed:
        raise AssertionError(f"{failed} of {processes} churning processes failed; the seed is {seed}")
    return total


def main():
    """As a program: `churn.py SOURCE OUTSIDE OPERATIONS SEED PROCESSES` prints what was done as JSON."""
    source, outside, operations, seed, processes = sys.argv[1:]
    print(json.dumps(churn(source, outside, int(operations), int(seed), int(processes))))


if __name__ == "__main__":
    main()

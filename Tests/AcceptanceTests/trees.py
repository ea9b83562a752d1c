"""Source trees with everything that a file system can hold, and seeded random changes to them.

In:  a directory, a random generator.  Out: files; paths are bytes.
Invariant: the same seed makes the same tree and the same changes, as long as nobody else writes below the directory.
"""
import os
import socket
import stat

from installation import ROOT

LONGEST = 1500                                         # bytes of a path that random changes still touch
SECOND = 10 ** 9
TIMES = (0, 1, -1, -5 * SECOND + 7, 1_700_000_000 * SECOND + 123_456_789, 2 ** 33 * SECOND + 999_999_999)


def noise(random, size):
    """Bytes that do not compress."""
    return random.getrandbits(8 * size).to_bytes(size, "little") if size else b""


def text(random, size):
    """Bytes that do."""
    words = [b"snapshot ", b"archive ", b"frame ", b"chunk\n", b"manifest ", b"0123456789 "]
    data = b"".join(random.choice(words) for _ in range(size // 5 + 1))
    return data[:size]


def put(path, data=b""):
    with open(path, "wb") as file:
        file.write(data)


def punch(path, runs, size):
    """A sparse file: `runs` are (offset, bytes)."""
    with open(path, "wb") as file:
        for offset, data in runs:
            file.seek(offset)
            file.write(data)
        file.truncate(size)


def setAttribute(path, name, value):
    """Sets an extended attribute where the file system has them."""
    try:
        os.setxattr(path, name, value, follow_symlinks=False)
    except OSError:
        pass


def makeEverything(root, random):
    """Fills `root`: sizes around the chunker's limits, holes, links, pipes, attributes, modes, names, times, depth."""
    root = os.fsencode(root)
    os.makedirs(root, exist_ok=True)
    join = os.path.join

    sizes = join(root, b"sizes")
    os.mkdir(sizes)
    for size in (0, 1, 511, 512, 513, 4096, 65535, 65536, 65537, 262_144, 1_048_576, 1_048_577, 3_333_333):
        put(join(sizes, b"noise-%d" % size), noise(random, size))
    put(join(sizes, b"text-5000000.txt"), text(random, 5_000_000))
    put(join(sizes, b"zeros-300000"), bytes(300_000))
    twice = noise(random, 65537)
    put(join(sizes, b"one-65537"), twice)
    put(join(sizes, b"same-65537"), twice)

    sparse = join(root, b"sparse")
    os.mkdir(sparse)
    punch(join(sparse, b"only a hole"), [], 4 << 20)
    punch(join(sparse, b"data at both ends"), [(0, noise(random, 5000)), ((20 << 20) - 5000, noise(random, 5000))], 20 << 20)
    punch(join(sparse, b"islands"), [(n << 20, noise(random, 70_000)) for n in (1, 3, 5)], 6 << 20)
    punch(join(sparse, b"ends in a hole"), [(0, b"x")], 2 << 20)

    links = join(root, b"links")
    os.mkdir(links)
    put(join(links, b"first name"), b"one inode, three names\n")
    os.link(join(links, b"first name"), join(links, b"second name"))
    os.link(join(links, b"first name"), join(sizes, b"third name"))
    for name, target in ((b"to a file", b"first name"), (b"to a directory", b"../sizes"), (b"to nowhere", b"gone/\xff"),
                         (b"to itself", b"to itself"), (b"absolute", b"/etc/passwd"), (b"long", b"x/" * 1500)):
        os.symlink(target, join(links, name))
    os.mkfifo(join(links, b"pipe"), 0o640)
    os.link(join(links, b"pipe"), join(links, b"pipe's other name"))
    with socket.socket(socket.AF_UNIX) as end:
        before = os.getcwd()
        os.chdir(links)
        try:
            end.bind(b"socket")
        finally:
            os.chdir(before)
    if ROOT:
        os.mknod(join(links, b"character"), 0o600 | stat.S_IFCHR, os.makedev(1, 3))
        os.mknod(join(links, b"block"), 0o660 | stat.S_IFBLK, os.makedev(7, 200))

    attributes = join(root, b"attributes")
    os.mkdir(attributes)
    for name, value in ((b"user.empty", b""), (b"user.text", b"value"), (b"user.bytes", bytes(range(256))),
                        (b"user.long", noise(random, 3000))):
        path = join(attributes, name)
        put(path, name)
        setAttribute(path, name, value)
        setAttribute(attributes, name, value[:100])
    modes = join(root, b"modes")
    os.mkdir(modes)
    for mode in (0o000, 0o400, 0o644, 0o777, 0o1644, 0o2755, 0o4755, 0o6711, 0o7777):
        put(join(modes, b"file %o" % mode), b"mode %o" % mode)
        os.chmod(join(modes, b"file %o" % mode), mode if ROOT else mode | 0o400)
        os.mkdir(join(modes, b"directory %o" % mode))
        put(join(modes, b"directory %o" % mode, b"inside"), b"inside")
        os.chmod(join(modes, b"directory %o" % mode), mode if ROOT else mode | 0o500)
    if ROOT:
        for owner in ((1, 1), (65534, 65534), (123_456, 654_321)):
            path = join(modes, b"owner %d" % owner[0])
            put(path, b"owned")
            os.chown(path, *owner)
            os.chmod(path, 0o4750)
            os.symlink(b"x", path + b" link")
            os.chown(path + b" link", *owner, follow_symlinks=False)

    names = join(root, b"names")
    os.mkdir(names)
    for name in (b"\xff\xfe\x80 not UTF-8", b"new\nline", b"tab\tquote\"back\\slash'", b"\x1b[31mred", b"n" * 255,
                 "ä".encode() * 127, "a\u0308".encode(), "ä".encode(), "Ａ日本語".encode(), b" ", b"-rf", b"*", b"...",
                 b"%s%n", b"a:b", b"CON", b".hidden", b"end ", b"\x01\x7f", b"D" * 100, b"tar/".replace(b"/", b"_") * 40):
        put(join(names, name), b"name: " + name)
    os.mkdir(join(names, b"d" * 255))
    os.mkdir(join(names, b"d" * 255, b"\xffe" * 120))
    put(join(names, b"d" * 255, b"\xffe" * 120, b"f" * 255), b"a path of more than 700 bytes")
    os.mkdir(join(root, b"empty"))
    many = join(root, b"many")
    os.mkdir(many)
    for number in range(120):
        put(join(many, b"%03d.txt" % number), b"small file %d\n" % number)

    times = join(root, b"times")
    os.mkdir(times)
    for time in TIMES:
        path = join(times, b"%d" % time)
        put(path, b"time")
        os.utime(path, ns=(time, time))
        os.mkdir(path + b" directory")
        os.utime(path + b" directory", ns=(time, time))
        os.symlink(b"x", path + b" link")
        os.utime(path + b" link", ns=(time, time), follow_symlinks=False)
    makeDeep(join(root, b"deep"), random)


def makeDeep(path, random, levels=45, width=100):
    """A chain of directories whose path is longer than the longest path (4096 bytes), with a file at every level."""
    os.mkdir(path)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    for level in range(levels):
        with open(os.open(b"file", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=folder), "wb") as file:
            file.write(b"level %d" % level)
        name = (b"%03d-" % level).ljust(width, b"abcdefghij"[level % 10:level % 10 + 1])
        os.mkdir(name, dir_fd=folder)
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)


class Changer:
    """Random changes below a directory. `log` says what was done, for messages; names in `spared` are left alone."""

    def __init__(self, root, random, largest=200_000, spared=()):
        self.root = os.fsencode(root)
        self.random = random
        self.largest = largest
        self.spared = {os.fsencode(name) for name in spared}
        self.counter = 0
        self.log = []
        self.kinds = [(weight, action) for weight, action in (
            (10, self.create), (8, self.rewrite), (8, self.append), (6, self.overwriteMiddle), (5, self.truncate), (8, self.rename),
            (5, self.renameDirectory), (4, self.renameOver), (7, self.delete), (2, self.deleteSubtree), (5, self.makeDirectory),
            (5, self.chmod), (4, self.chown), (5, self.utimes), (5, self.setAttribute), (2, self.removeAttribute), (4, self.link),
            (3, self.symlink), (4, self.swapSymlink), (5, self.changeType), (8, self.editorSave), (1, self.moveSubtreeAndBack),
            (2, self.makeTree), (2, self.hole))]

    def change(self, count):
        """Does `count` changes that had an effect."""
        done = 0
        while done < count:
            weights = [weight for weight, _ in self.kinds]
            action = self.random.choices([action for _, action in self.kinds], weights)[0]
            self.look()
            try:
                what = action()
            except (FileNotFoundError, IndexError):
                continue
            if what:
                done += 1
                self.log.append(what)

    def look(self):
        """Lists what is there. Directories that may not be entered by others than root are left alone."""
        self.files, self.directories, self.symlinks, self.others = [], [self.root], [], []
        waiting = [self.root]
        while waiting:
            folder = waiting.pop()
            for name in sorted(os.listdir(folder)):
                path = folder + b"/" + name
                mode = os.lstat(path).st_mode
                if len(path) > LONGEST or folder == self.root and name in self.spared:
                    continue
                if stat.S_ISDIR(mode):
                    self.directories.append(path)
                    if os.access(path, os.R_OK | os.W_OK | os.X_OK):
                        waiting.append(path)
                elif stat.S_ISREG(mode):
                    if os.access(path, os.R_OK | os.W_OK):
                        self.files.append(path)
                elif stat.S_ISLNK(mode):
                    self.symlinks.append(path)
                else:
                    self.others.append(path)
        self.directories = [path for path in self.directories if os.access(path, os.R_OK | os.W_OK | os.X_OK)]

    def file(self):
        return self.random.choice(self.files)

    def directory(self):
        """Not the root."""
        return self.random.choice(self.directories[1:])

    def newName(self):
        self.counter += 1
        form = self.random.choice((b"new-%d", b"new %d.txt", b"\xf0new-%d\xff", b"new\n%d", b".new-%d"))
        return self.random.choice(self.directories) + b"/" + form % self.counter

    def data(self):
        size = self.random.choice((0, 1, 100, 5000, 65_536, self.random.randrange(self.largest)))
        return noise(self.random, size) if self.random.random() < 0.5 else text(self.random, size)

    def create(self):
        path = self.newName()
        put(path, self.data())
        return "create", path

    def rewrite(self):
        path = self.file()
        put(path, self.data())
        return "rewrite", path

    def append(self):
        path = self.file()
        # Without O_CREAT, which fs.protected_regular (proc_sys_fs(5)) forbids even root in a sticky directory.
        with open(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as file:
            file.write(self.data() + b".")
        return "append", path

    def overwriteMiddle(self):
        path = self.file()
        size = os.lstat(path).st_size
        if size < 2:
            return None
        with open(path, "r+b") as file:
            file.seek(self.random.randrange(size))
            file.write(noise(self.random, min(4096, size)))
        return "overwrite a part", path

    def truncate(self):
        path = self.file()
        os.truncate(path, self.random.randrange(os.lstat(path).st_size + 100_000))
        return "truncate", path

    def rename(self):
        path, to = self.random.choice(self.files + self.symlinks + self.others), self.newName()
        os.rename(path, to)
        return "rename", path, to

    def renameDirectory(self):
        path, to = self.directory(), self.newName()
        if to.startswith(path + b"/") or len(to) + 600 > LONGEST:
            return None
        os.rename(path, to)
        return "rename directory", path, to

    def renameOver(self):
        path, to = self.file(), self.file()
        if os.path.samefile(path, to):
            return None
        os.rename(path, to)
        return "rename over", path, to

    def delete(self):
        path = self.random.choice(self.files + self.symlinks + self.others)
        os.unlink(path)
        return "delete", path

    def deleteSubtree(self):
        small = [one for one in self.directories[1:] if sum(other.startswith(one + b"/") for other in self.files) < 12]
        path = self.random.choice(small)
        if any(other.startswith(path + b"/") for other in self.directories):
            return None
        for name in os.listdir(path):
            inner = path + b"/" + name
            if stat.S_ISDIR(os.lstat(inner).st_mode):
                return None
            os.unlink(inner)
        os.rmdir(path)
        return "delete subtree", path

    def makeDirectory(self):
        path = self.newName()
        os.mkdir(path)
        return "make directory", path

    def makeTree(self):
        """Made in one go, faster than a watch can be set on each directory."""
        top = self.newName()
        path = top
        for level in range(4):
            os.mkdir(path)
            for number in range(3):
                put(path + b"/%d" % number, self.data()[:5000])
            path += b"/inner"
        return "make tree", top

    def chmod(self):
        path = self.random.choice(self.files + self.directories[1:])
        mode = self.random.choice((0o600, 0o644, 0o755, 0o700, 0o4755, 0o1777, 0o2770, 0o666))
        os.chmod(path, mode | 0o700 if path in self.directories else mode)
        return "chmod", path

    def chown(self):
        if not ROOT:
            return None
        path = self.random.choice(self.files + self.directories[1:] + self.symlinks)
        os.chown(path, self.random.choice((0, 1, 1000, 77_777)), self.random.choice((0, 2, 1000)), follow_symlinks=False)
        return "chown", path

    def utimes(self):
        path = self.random.choice(self.files + self.directories + self.symlinks)
        time = self.random.choice(TIMES + (self.random.randrange(2 ** 60),))
        os.utime(path, ns=(time, time), follow_symlinks=False)
        return "utimes", path

    def setAttribute(self):
        path = self.random.choice(self.files + self.directories)
        setAttribute(path, b"user.change", noise(self.random, self.random.randrange(300)))
        return "set attribute", path

    def removeAttribute(self):
        path = self.random.choice([path for path in self.files + self.directories if os.listxattr(path)])
        os.removexattr(path, self.random.choice(os.listxattr(path)))
        return "remove attribute", path

    def link(self):
        path, to = self.random.choice(self.files + self.others), self.newName()
        os.link(path, to)
        return "link", path, to

    def symlink(self):
        path = self.newName()
        os.symlink(self.random.choice((b"target", b"../x", b"/", b"\xff" * 200)), path)
        return "symlink", path

    def swapSymlink(self):
        """As `ln -sfn` does it: a new link renamed over the old one."""
        path = self.random.choice(self.symlinks)
        os.symlink(b"swapped %d" % self.random.randrange(10 ** 6), path + b".swap")
        os.rename(path + b".swap", path)
        return "swap symlink", path

    def changeType(self):
        """Another type at the same path."""
        empty = [path for path in self.directories[1:] if not os.listdir(path)]
        path = self.random.choice(self.files + self.symlinks + self.others + empty)
        kind = self.random.choice(("file", "directory", "symlink", "pipe"))
        if path in empty:
            os.rmdir(path)
        else:
            os.unlink(path)
        if kind == "file":
            put(path, self.data())
        elif kind == "directory":
            os.mkdir(path)
            put(path + b"/inside", self.data())
        elif kind == "symlink":
            os.symlink(b"type changed", path)
        else:
            os.mkfifo(path)
        return "change type to " + kind, path

    def editorSave(self):
        """As editors save: a temporary file beside, flushed, renamed over; sometimes with the old one kept."""
        path = self.file()
        self.counter += 1
        temporary = os.path.dirname(path) + b"/.save-%d" % self.counter
        with open(temporary, "wb") as file:
            file.write(self.data())
            file.flush()
            os.fsync(file.fileno())
        if self.random.random() < 0.3:
            os.rename(path, os.path.dirname(path) + b"/kept-%d~" % self.counter)
        os.rename(temporary, path)
        return "editor save", path

    def moveSubtreeAndBack(self):
        """Out of the source, and in again, changed meanwhile: its watches are from before."""
        path = self.directory()
        outside = os.path.dirname(self.root) + b"/.outside"
        os.rename(path, outside)
        # A new name each time: the one before may be a pipe by now, which opens for nobody.
        self.counter += 1
        put(outside + b"/written outside %d" % self.counter, self.data())
        os.rename(outside, path)
        return "move out and back", path

    def hole(self):
        path = self.newName()
        punch(path, [(0, noise(self.random, 3000)), (2 << 20, noise(self.random, 3000))], 3 << 20)
        return "sparse file", path

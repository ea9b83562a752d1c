"""The tree that is backed up: what the machine has, filled up with files made from a seed.

In:  a scale; 1 is the tree the goals were set with: 174,140 files in 16,613 directories, 2.94 GB.  Out: files below one directory.
Invariant: the same machine, scale and seed make the same tree. Real files are copied with their times; those above 32 MiB, links and
devices are left out, and real ones are at most three quarters of files, directories and bytes.
"""
import glob
import hashlib
import os
import random
import shutil
import stat
import sysconfig
import zlib

FILES, DIRECTORIES, BYTES = 174_140, 16_613, 2_940_000_000
LARGEST = 32 << 20
SHARE = 0.75                                           # of real files, at most
PLACES = ("/usr/share", "/usr/include", "/usr/lib/python3*", "/usr/local/lib/python3*", "/usr/lib/*-sdk")


def real_roots():
    """What the machine has of documents, headers, Python and Swift; no directory twice."""
    found = [path for place in PLACES for path in sorted(glob.glob(place))] + [sysconfig.get_path("stdlib")]
    swift = shutil.which("swift")
    if swift:
        toolchain = os.path.dirname(os.path.dirname(os.path.realpath(swift)))
        found += [os.path.join(toolchain, name) for name in ("lib/swift", "include", "share")]
    roots = []
    for path in map(os.path.realpath, found):
        if os.path.isdir(path) and not any(path == root or path.startswith(root + "/") for root in roots):
            roots.append(path)
    return roots


class MachineTree:
    """Makes the tree below `root`, which exists and is empty; counts files, directories and bytes."""

    def __init__(self, root, scale, seed):
        self.root, self.scale = root, scale
        self.random = random.Random(seed)
        self.files = self.directories = self.bytes = 0
        self.wanted = [max(1, round(total * scale)) for total in (FILES, DIRECTORIES, BYTES)]
        words = [bytes(self.random.choices(b"etaoinshrdlucmfwypvbgkqjxz", range(26, 0, -1), k=self.random.randint(2, 9)))
                 for _ in range(4000)]
        self.phrases = [b" ".join(self.random.choices(words, k=self.random.randint(3, 9))) for _ in range(20000)]

    def make(self):
        for root in real_roots():
            self.copy(root)
        self.fill()

    def copy(self, root):
        """A sample of a real tree: whole directories, chosen by their names."""
        for folder, names, files in os.walk(root):
            names.sort()
            if zlib.crc32(os.fsencode(folder)) % 10_000 >= self.scale * 10_000:
                continue
            if self.files > SHARE * self.wanted[0] or self.directories > SHARE * self.wanted[1] or self.bytes > SHARE * self.wanted[2]:
                return
            target = self.root + "/real" + folder
            os.makedirs(target, exist_ok=True)
            self.directories += 1
            for name in sorted(files):
                path = os.path.join(folder, name)
                try:
                    status = os.lstat(path)
                    if stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST:
                        shutil.copy2(path, os.path.join(target, name))
                        self.files += 1
                        self.bytes += status.st_size
                except OSError:
                    # What may not be read, or went meanwhile, is not part of the tree.
                    continue

    def fill(self):
        """Documents, source code, JSON, logs and pictures, sizes spread as in a home directory, up to the wanted size."""
        files, directories = max(1, self.wanted[0] - self.files), max(1, self.wanted[1] - self.directories)
        mean = max(100, (self.wanted[2] - self.bytes) / files)
        for number in range(directories):
            folder = f"{self.root}/made/area-{number % 40:02}/project-{number:05}"
            os.makedirs(folder)
            self.directories += 1
            for index in range(number, files, directories):
                kind = self.random.choices(("txt", "swift", "json", "log", "jpg"), (25, 35, 20, 10, 10))[0]
                # The mean of a log-normal distribution is exp(mu + sigma² / 2).
                size = min(LARGEST, int(self.random.lognormvariate(0, 1.2) / 2.054 * mean))
                with open(f"{folder}/{kind}-{index:06}.{kind}", "wb") as file:
                    file.write(self.content(kind, size))
                self.files += 1
                self.bytes += size

    def content(self, kind, size):
        if kind == "jpg":
            return self.random.randbytes(size)
        separator = {"txt": b", ", "swift": b"(),\n        ", "json": b'",\n  "', "log": b"\n2026-11-23 "}[kind]
        lines = self.random.choices(self.phrases, k=size // 30 + 1)
        data = separator.join(lines) + b"\n%032x\n" % self.random.getrandbits(128)
        return (data * (size // len(data) + 1))[:size]


def fingerprint(root):
    """{path below root: type, mode, size, time, digest or target}: what a restore must give back. Times of directories are left out."""
    found, waiting = {}, [""]
    while waiting:
        below = waiting.pop()
        for entry in os.scandir(os.path.join(root, below)):
            path, status = os.path.join(below, entry.name), entry.stat(follow_symlinks=False)
            kind, mode = stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode)
            if kind == stat.S_IFDIR:
                waiting.append(path)
                found[path] = (kind, mode)
            else:
                with open(entry.path, "rb") as file:
                    found[path] = (kind, mode, status.st_size, status.st_mtime_ns, hashlib.sha256(file.read()).digest())
    return found


def total_bytes(root):
    return sum(os.lstat(os.path.join(folder, name)).st_size for folder, _, names in os.walk(root) for name in names)

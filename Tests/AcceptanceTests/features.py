"""What a file system keeps of a file, one feature each: how it is made, and how it looks.

In:  a directory.  Out: `Feature`s, in the order of the table in the documentation.
Invariant: what a feature makes belongs to `OWNER` unless the feature is about owners, so that only what needs root's rights
is beyond an ordinary user.
"""
import array
import fcntl
import os
import socket
import stat
import struct

OWNER = 65534
SECOND = 10 ** 9
GET_FLAGS, SET_FLAGS = 0x80086601, 0x40086602          # FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of linux/fs.h
CHOSEN = 0x10 | 0x20 | 0x40 | 0x80 | 0x08              # chattr's i, a, d, A, S
NAMED = 0xFFFFFFFF                                     # ACL_UNDEFINED_ID


def flags(path):
    """The flags of chattr that a person chooses."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        value = array.array("i", [0])
        fcntl.ioctl(descriptor, GET_FLAGS, value)
        return value[0] & CHOSEN
    finally:
        os.close(descriptor)


def setFlags(path, wanted):
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        value = array.array("i", [0])
        fcntl.ioctl(descriptor, GET_FLAGS, value)
        fcntl.ioctl(descriptor, SET_FLAGS, array.array("i", [value[0] & ~CHOSEN | wanted]))
    finally:
        os.close(descriptor)


def accessList(*entries):
    """An ACL as the kernel takes it, of (tag, rights, id). Source: linux/posix_acl_xattr.h."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


# user::rwx user:1:r-x group::r-- mask::rwx other::---
ACL = accessList((1, 7, NAMED), (2, 5, 1), (4, 4, NAMED), (16, 7, NAMED), (32, 0, NAMED))
# Effective and permitted: CAP_NET_BIND_SERVICE. Source: linux/capability.h, version 2.
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)


def put(path, data=b"content\n", mode=0o644):
    with open(path, "wb") as file:
        file.write(data)
    os.chmod(path, mode)
    return path


def attributes(path, prefix):
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False) if name.startswith(prefix)}


def content(path):
    with open(path, "rb") as file:
        return file.read()


def walk(path):
    """(name, content) of all below, by descriptors: a path may be longer than the system's limit."""
    found = []

    def look(folder, place):
        for name in sorted(os.listdir(f"/proc/self/fd/{folder}".encode())):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                found.append((place + name, None))
                look(inner, place + name + b"/")
                os.close(inner)
            else:
                with open(os.open(name, os.O_RDONLY, dir_fd=folder), "rb") as file:
                    found.append((place + name, file.read()))

    top = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    look(top, b"")
    os.close(top)
    return found


class Feature:
    """One row: `make(folder)` makes it in an empty directory of its own, `look(folder)` gives what is compared.

    instead:  what a restore gives when the feature is not kept at all (the access time).
    handsOver: False where the feature is about owners.
    """

    def __init__(self, name, make, look, instead=None, handsOver=True):
        self.name, self.make, self.look, self.instead, self.handsOver = name, make, look, instead, handsOver


def special(kind, device=0, mode=0o640):
    return lambda folder: os.mknod(f"{folder}/one", mode | kind, device)


def kindOf(folder):
    status = os.lstat(f"{folder}/one")
    return stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_rdev


def bound(folder):
    """A socket, with a path that is short enough for its address."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("one")
    finally:
        os.chdir(before)


def sparse(folder):
    with open(f"{folder}/one", "wb") as file:
        file.write(b"x" * 70_000)
        file.seek(2 ** 33)
        file.write(b"y" * 70_000)
        file.truncate(2 ** 33 + 2 ** 30)


def lookSparse(folder):
    """Size, the data at its places, and that it does not take the disk's room."""
    status = os.stat(f"{folder}/one")
    with open(f"{folder}/one", "rb") as file:
        start = file.read(70_001)
        file.seek(2 ** 33 - 1)
        end = file.read(70_002)
    return status.st_size, start, end, status.st_blocks * 512 < 1 << 20


def linked(folder):
    put(f"{folder}/one", b"one file")
    os.mkdir(f"{folder}/inner")
    os.link(f"{folder}/one", f"{folder}/inner/two")
    os.link(f"{folder}/one", f"{folder}/three")


def lookLinked(folder):
    inodes = {os.stat(f"{folder}/{name}").st_ino for name in ("one", "inner/two", "three")}
    return len(inodes), os.stat(f"{folder}/one").st_nlink, content(f"{folder}/inner/two")


def symlinks(folder):
    for name, target in ((b"there", b"here"), (b"nowhere", b"gone/\xff\n"), (b"absolute", b"/etc/passwd"), (b"itself", b"itself"),
                         (b"long", b"x" * 4000)):
        os.symlink(target, os.path.join(os.fsencode(folder), name))


def lookSymlinks(folder):
    return {name: os.readlink(os.path.join(os.fsencode(folder), name)) for name in os.listdir(os.fsencode(folder))}


def modes(*values):
    def make(folder):
        for mode in values:
            put(f"{folder}/file{mode:o}", mode=mode)
            os.mkdir(f"{folder}/directory{mode:o}")
            os.chmod(f"{folder}/directory{mode:o}", mode)
    return make


def lookModes(folder):
    return {name: oct(os.lstat(f"{folder}/{name}").st_mode) for name in os.listdir(folder)}


def attributed(name, value, directory=False):
    def make(folder):
        os.mkdir(f"{folder}/one") if directory else put(f"{folder}/one", mode=0o670)
        os.setxattr(f"{folder}/one", name, value)
    return make


def lookAttributes(prefix):
    return lambda folder: attributes(f"{folder}/one", prefix)


def lookList(folder):
    """The ACL, and the mode that hangs together with it."""
    return attributes(f"{folder}/one", "system.posix_acl"), oct(os.stat(f"{folder}/one").st_mode)


def longAttributes(folder):
    put(f"{folder}/one")
    os.setxattr(f"{folder}/one", "user.empty", b"")
    os.setxattr(f"{folder}/one", "user.bytes", bytes(range(256)) * 8)
    os.setxattr(f"{folder}/one", b"user.\xff name", b"value")


def linkAttribute(folder):
    os.symlink("x", f"{folder}/one")
    os.setxattr(f"{folder}/one", "trusted.link", b"of the link", follow_symlinks=False)


def flagged(value):
    def make(folder):
        setFlags(put(f"{folder}/one"), value)
        os.mkdir(f"{folder}/directory")
        put(f"{folder}/directory/inside")
        setFlags(f"{folder}/directory", value)
    return make


def lookFlags(folder):
    return flags(f"{folder}/one"), flags(f"{folder}/directory"), content(f"{folder}/directory/inside")


def sealedLinks(folder):
    linked(folder)
    setFlags(f"{folder}/one", 0x10)


def timed(*values):
    def make(folder):
        for time in values:
            put(f"{folder}/file{time}")
            os.mkdir(f"{folder}/directory{time}")
            put(f"{folder}/directory{time}/inside")
            os.symlink("x", f"{folder}/link{time}")
            os.mkfifo(f"{folder}/pipe{time}")
            for kind in ("file", "directory", "link", "pipe"):
                os.utime(f"{folder}/{kind}{time}", ns=(time, time), follow_symlinks=False)
    return make


def lookTimes(folder):
    return {name: os.lstat(f"{folder}/{name}").st_mtime_ns for name in os.listdir(folder)}


def accessed(folder):
    os.utime(put(f"{folder}/one"), ns=(5 * SECOND, 7 * SECOND))


def changed(folder):
    put(f"{folder}/one")


def owned(folder):
    for uid, gid in ((1, 2), (123_456, 654_321)):
        path = put(f"{folder}/{uid}")
        os.chown(path, uid, gid)
        os.chmod(path, 0o6755)
        os.symlink("x", f"{path} link")
        os.chown(f"{path} link", uid, gid, follow_symlinks=False)
        os.mkdir(f"{path} directory")
        os.chown(f"{path} directory", uid, gid)


def lookOwners(folder):
    return {name: (status.st_uid, status.st_gid, oct(status.st_mode))
            for name in os.listdir(folder) for status in [os.lstat(f"{folder}/{name}")]}


def named(*names):
    def make(folder):
        for name in names:
            put(os.path.join(os.fsencode(folder), name), b"content of " + name)
    return make


def deep(folder):
    """24 directories with names of 200 bytes: 4,800 bytes of path."""
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for level in range(24):
        name = b"%02d" % level + b"d" * 198
        os.mkdir(name, dir_fd=place)
        inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=place)
        os.close(place)
        place = inner
        with open(os.open(b"file", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=place), "wb") as file:
            file.write(b"level %d" % level)
    os.close(place)


FEATURES = [
    Feature("content, also of empty files and directories",
            lambda folder: [put(f"{folder}/empty", b""), put(f"{folder}/large", os.urandom(300_000)), os.mkdir(f"{folder}/nothing")], walk),
    Feature("holes of sparse files", sparse, lookSparse),
    Feature("symbolic links, also to nowhere", symlinks, lookSymlinks),
    Feature("hard links", linked, lookLinked),
    Feature("FIFOs", special(stat.S_IFIFO), kindOf),
    Feature("sockets", bound, kindOf),
    Feature("character devices", special(stat.S_IFCHR, os.makedev(1, 3)), kindOf),
    Feature("block devices", special(stat.S_IFBLK, os.makedev(7, 200)), kindOf),
    Feature("permissions", modes(0o000, 0o400, 0o644, 0o751, 0o777), lookModes),
    Feature("setuid, setgid and sticky bit", modes(0o4755, 0o2755, 0o1777, 0o6711, 0o7777), lookModes),
    Feature("owner and group, when they are someone else's", owned, lookOwners, handsOver=False),
    Feature("POSIX ACLs", attributed("system.posix_acl_access", ACL), lookList),
    Feature("default ACLs of directories", attributed("system.posix_acl_default", ACL, directory=True), lookList),
    Feature("extended attributes, `user.*`", longAttributes, lookAttributes("user.")),
    Feature("extended attributes, `trusted.*`", attributed("trusted.test", b"value"), lookAttributes("trusted.")),
    Feature("extended attributes, `security.*`", attributed("security.test", b"value"), lookAttributes("security.")),
    Feature("extended attributes of symbolic links", linkAttribute, lookAttributes("trusted.")),
    Feature("capabilities of programs", attributed("security.capability", CAPABILITY), lookAttributes("security.")),
    Feature("flags: no dump, no access time, synchronous (`chattr +dAS`)", flagged(0x40 | 0x80 | 0x08), lookFlags),
    Feature("flags: immutable, append-only (`chattr +i`, `+a`)", flagged(0x10), lookFlags),
    Feature("an immutable file with several names", sealedLinks, lambda folder: (lookLinked(folder), flags(f"{folder}/three"))),
    Feature("modification time, to the nanosecond", timed(1_700_000_000 * SECOND + 123_456_789, 1, SECOND - 1), lookTimes),
    Feature("modification time before 1970 and after 2038", timed(-1, -5 * SECOND + 7, 2 ** 31 * SECOND + 1, 2 ** 33 * SECOND + 999_999_999), lookTimes),
    Feature("access time", accessed, lambda folder: os.stat(f"{folder}/one").st_atime_ns, instead="becomes the modification time"),
    Feature("time of the last change of metadata, inode number", changed,
            lambda folder: [getattr(os.stat(f"{folder}/one"), name) for name in ("st_ctime_ns", "st_ino")], instead="are new"),
    Feature("names that are not UTF-8, or hold control characters",
            named(b"\xff", b"\xfe", b"\xff\xfe\x80", b"new\nline", b"\x1b[31mred", b"\x01\x7f", b"-rf", b" ", b"back\\slash", "a\u0308".encode(), "ä".encode()), walk),
    Feature("names of 255 bytes", named(b"n" * 255, b"\xff" * 255), walk),
    Feature("paths of more than 4,096 bytes", deep, walk),
]

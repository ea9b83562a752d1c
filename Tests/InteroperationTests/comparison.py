"""Compares a directory with the description of a state that `make_repository.describe` made."""
import grp
import hashlib
import os
import pwd
import stat

TYPES = {"file": stat.S_ISREG, "directory": stat.S_ISDIR, "symlink": stat.S_ISLNK, "fifo": stat.S_ISFIFO,
         "socket": stat.S_ISSOCK, "character": stat.S_ISCHR, "block": stat.S_ISBLK}
ROOT = os.geteuid() == 0


class TreeComparison:
    """For a unittest.TestCase."""
    def compare_tree(self, folder, entries, root=ROOT, more=()):
        """folder holds exactly these entries, the directories above them, and perhaps `more`. root: restored with root's rights."""
        folder = os.fsencode(folder)
        wanted = {bytes.fromhex(entry["path"]) for entry in entries}
        above = {path[:at] for path in wanted for at, byte in enumerate(path) if byte == 0x2F}
        found = set(walk(folder, b"")) if os.path.isdir(folder) else set()
        self.assertEqual(found - (above.union(more) - wanted), wanted)
        for entry in entries:
            with self.subTest(path=entry["text"]):
                self.compare_entry(folder, entry, root)

    def compare_entry(self, folder, entry, root):
        place = os.path.join(folder, bytes.fromhex(entry["path"]))
        status = os.lstat(place)
        self.assertTrue(TYPES[entry["kind"]](status.st_mode))
        if entry["kind"] != "symlink":
            foreign = 0 if root or entry["kind"] == "directory" else 0o6000
            self.assertEqual(oct(stat.S_IMODE(status.st_mode)), oct(entry["mode"] & ~foreign))
        if root:
            self.assertEqual((status.st_uid, status.st_gid), (user(entry), group(entry)))
        self.assertEqual(status.st_mtime_ns, entry["modified"][0] * 10**9 + entry["modified"][1])
        if entry["kind"] == "symlink":
            self.assertEqual(os.readlink(place).hex(), entry["target"])
        if entry["special"]:
            self.assertEqual([os.major(status.st_rdev), os.minor(status.st_rdev)], entry["special"])
        if entry["kind"] == "file":
            self.compare_content(place, entry, status)
        names = [os.path.join(folder, bytes.fromhex(name)) for name in entry["names"]]
        names = [name for name in names if os.path.lexists(name)]
        self.assertEqual({os.lstat(name).st_ino for name in names} - {status.st_ino}, set())
        if entry["kind"] != "directory":
            self.assertEqual(status.st_nlink, len(names) or 1)
        if entry["kind"] in ("file", "directory"):
            for name, value in entry["attributes"].items():
                if root or not name.startswith("security."):
                    self.assertEqual(os.getxattr(place, name).hex(), value)

    def compare_content(self, place, entry, status):
        self.assertEqual(status.st_size, entry["size"])
        if ROOT or entry["mode"] & 0o400:
            with open(place, "rb") as file:
                self.assertEqual(hashlib.sha256(file.read()).hexdigest(), entry["sha256"])
        self.assertLessEqual(status.st_blocks * 512, entry["stored"] + (len(entry["names"]) + 8) * 16384)


def user(entry):
    """The id that a reader gives: that of the name where it exists here, else the number."""
    try:
        return pwd.getpwnam(entry["user"]).pw_uid if entry["user"] else entry["uid"]
    except KeyError:
        return entry["uid"]


def group(entry):
    try:
        return grp.getgrnam(entry["group"]).gr_gid if entry["group"] else entry["gid"]
    except KeyError:
        return entry["gid"]


def walk(folder, below):
    """The paths of all that lies in a directory, relative to it."""
    for item in os.scandir(folder):
        path = os.path.join(below, item.name)
        yield path
        if item.is_dir(follow_symlinks=False):
            yield from walk(item.path, path)

#!/usr/bin/env python3
"""What comes back of everything that a file system keeps, as root and without root's rights; and what stands at the target already.

In:  the features of `features.py`, on a real file system.  Out: the same features after a restore.
The table in the documentation is what these tests find: `test_fidelity.py --write-table` writes it, and the suite compares it.
"""
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import unittest

import features
from features import ACL, FEATURES, OWNER, SECOND
from installation import (AT_ONCE, DONE, PARTIAL, PROJECT, ROOT, Installation, InstallationTestCase, fingerprint, mayMount, read,
                          removeTree, write)

TABLE = os.path.join(PROJECT, "Sources", "Restoring", "Restoring.docc", "WhatIsKept.md")
BEGIN, END = "<!-- Found by test_fidelity.py --write-table -->\n", "<!-- End of what was found -->\n"
PRIVILEGES = ["setpriv", "--reuid", str(OWNER), "--regid", str(OWNER), "--clear-groups"]
MAY_BECOME_ANOTHER = ROOT and shutil.which("setpriv")


def makeFileSystem(image, *options):
    subprocess.run(["mkfs.ext4", "-q", *options, image, "8M"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class DiskTestCase(InstallationTestCase):
    """An installation on a disk, where there are flags and attributes that memory may not have."""

    def onDisk(self, **options):
        directory = os.path.realpath(tempfile.mkdtemp(prefix="ab-", dir="/var/tmp"))
        os.chmod(directory, 0o755)
        self.addCleanup(self.remove, directory)
        return self.install(directory=directory, **options)

    def remove(self, directory):
        subprocess.run(["chattr", "-R", "-f", "-i", "-a", directory], stderr=subprocess.DEVNULL)
        removeTree(directory)

    def asUser(self, installation, *arguments, expect):
        """Runs a command without root's rights; returns what it said. The state becomes the user's, the sources stay as they are."""
        folder = f"{installation.directory}/bin"
        if not os.path.exists(folder):
            os.mkdir(folder)
            shutil.copy(installation.watchctl, folder)
        for top in (installation.home, installation.repository):
            for place, directories, names in os.walk(top):
                directories[:] = [name for name in directories if os.path.join(place, name) not in installation.sources]
                for name in [".", *names]:
                    os.chown(os.path.join(place, name), OWNER, OWNER, follow_symlinks=False)
        command = [f"{folder}/watchctl", *installation.command(*arguments)[1:]]
        done = subprocess.run(PRIVILEGES + command, env=installation.environment, cwd=installation.directory, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, expect, done.stderr.decode(errors="replace"))
        return done.stderr.decode(errors="replace")


@unittest.skipUnless(MAY_BECOME_ANOTHER, "needs root, who can make everything, and setpriv to become another user")
class TableTests(DiskTestCase):
    """Every feature in one snapshot; restored by root, and by the user to whom the files belong."""

    def make(self, installation):
        """Returns what each feature looks like; None where this file system or machine does not have it."""
        looks = {}
        for number, feature in enumerate(FEATURES):
            folder = f"{installation.source}/{number}"
            os.mkdir(folder)
            try:
                feature.make(folder)
                if feature.handsOver:
                    self.handOver(feature, folder)
                looks[feature] = feature.look(folder)
            except OSError as error:
                print(f"not tried here: {feature.name}: {error}", file=sys.stderr)
                looks[feature] = None
        return looks

    def handOver(self, feature, folder):
        """Gives everything to the ordinary user, and brings back what chown takes away."""
        def give(above, name):
            status = os.stat(name, dir_fd=above, follow_symlinks=False)
            place = f"/proc/self/fd/{above}/".encode() + os.fsencode(name)
            kept = features.flags(place) if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) else 0
            if kept:
                features.setFlags(place, 0)
            if stat.S_ISDIR(status.st_mode):
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
                for child in os.listdir(f"/proc/self/fd/{inner}".encode()):
                    give(inner, child)
                os.close(inner)
            capability = os.getxattr(place, "security.capability") if "security.capability" in os.listxattr(place, follow_symlinks=False) else None
            os.chown(name, OWNER, OWNER, dir_fd=above, follow_symlinks=False)
            if not stat.S_ISLNK(status.st_mode):
                os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=above)
            if capability:
                os.setxattr(place, "security.capability", capability)
            os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=above, follow_symlinks=False)
            if kept:
                features.setFlags(place, kept)

        above = os.open(os.path.dirname(folder), os.O_RDONLY | os.O_DIRECTORY)
        give(above, os.path.basename(folder))
        os.close(above)

    def outcomes(self, looks, restored):
        found = {}
        for number, feature in enumerate(FEATURES):
            if looks[feature] is None:
                continue
            try:
                same = feature.look(f"{restored}/{number}") == looks[feature]
            except OSError:
                same = False
            found[feature.name] = "yes" if same else feature.instead or "no"
        return found

    def observe(self):
        """{feature: (restored by root, restored by the owner)}, and what the owner was told."""
        installation = self.onDisk()
        looks = self.make(installation)
        installation.snapshot()
        target = f"{installation.directory}/root"
        installation.restore(1, target)
        byRoot = self.outcomes(looks, installation.restored(target))
        target = f"{installation.directory}/user/target"
        os.mkdir(os.path.dirname(target))
        os.chown(os.path.dirname(target), OWNER, OWNER)
        said = self.asUser(installation, "restore", "--to", target, expect=PARTIAL)
        byOwner = self.outcomes(looks, installation.restored(target))
        self.untried = [feature.name for feature in FEATURES if looks[feature] is None]
        return {name: (byRoot[name], byOwner[name]) for name in byRoot}, said

    def rows(self, found):
        return [f"| {name} | {root} | {owner} |" for name, (root, owner) in found.items()]

    def testTheTableSaysWhatIsFound(self):
        found, said = self.observe()
        text = read(TABLE).decode()
        rows = text[text.index(BEGIN):text.index(END)].splitlines()[3:]
        tried = [row for row in rows if row.split("|")[1].strip() not in self.untried]
        self.assertEqual(self.rows(found), tried, "Tests/AcceptanceTests/test_fidelity.py --write-table writes it anew")
        # Root gets everything back that can be set at all.
        self.assertEqual([name for name, (root, _) in found.items() if root == "no"], [])
        # What cannot be set without root's rights is said once for each cause, and losses are named.
        lines = said.splitlines()
        for cause in ("attribute trusted.test", "attribute trusted.link", "attribute security.test", "attribute security.capability", "flag i",
                      "belong to you now"):
            self.assertEqual(sum(cause in line for line in lines), 1, f"{cause}:\n{said}")
        self.assertEqual(sum("cannot be made" in line for line in lines), 2, f"two devices:\n{said}")
        self.assertLess(len(lines), 12, said)

    def write(self):
        found, _ = self.observe()
        if self.untried:
            raise SystemExit("not everything could be tried here")
        text = read(TABLE).decode()
        table = "\n".join(["| what | restored by root | by its owner |", "|---|---|---|", *self.rows(found)]) + "\n"
        with open(TABLE, "w") as file:
            file.write(text[:text.index(BEGIN)] + BEGIN + table + text[text.index(END):])


class LinkTests(DiskTestCase):
    """Several names of one file, of which not all are looked at."""

    def linked(self, installation):
        os.mkdir(f"{installation.source}/other")
        write(f"{installation.source}/first", "first state")
        os.link(f"{installation.source}/first", f"{installation.source}/other/second")

    def assertLinked(self, installation, number="latest"):
        expected = fingerprint(installation.source)
        target = f"{installation.directory}/restored"
        installation.restore(number, target)
        self.assertSameTree(expected, installation.restored(target))
        self.assertTrue(os.path.samefile(f"{installation.restored(target)}/first", f"{installation.restored(target)}/other/second"))
        removeTree(target)

    def testOnlyOneNameIsWrittenTo(self):
        installation = self.install(settings=AT_ONCE)
        self.linked(installation)
        installation.startDaemon()
        installation.waitForSnapshot(1)
        with open(f"{installation.source}/other/second", "r+") as file:
            file.write("second state, longer")
        installation.snapshot()
        self.assertLinked(installation)
        os.chmod(f"{installation.source}/first", 0o600)
        installation.snapshot()
        self.assertLinked(installation)
        os.link(f"{installation.source}/first", f"{installation.source}/third")
        installation.snapshot()
        self.assertLinked(installation)
        os.unlink(f"{installation.source}/third")
        installation.snapshot()
        self.assertLinked(installation)

    def testOneNameAlone(self):
        installation = self.install()
        self.linked(installation)
        installation.snapshot()
        installation.run("restore", f"{installation.source}/other/second", "--to", "out")
        self.assertEqual(read(f"{installation.directory}/out/second"), b"first state")
        self.assertEqual(os.stat(f"{installation.directory}/out/second").st_nlink, 1)

    def testOneOfThemIsGoneAndComesBackAsALink(self):
        installation = self.install()
        self.linked(installation)
        installation.snapshot()
        os.unlink(f"{installation.source}/other/second")
        installation.run("restore", "--in-place", "--overwrite", "changed")
        self.assertTrue(os.path.samefile(f"{installation.source}/first", f"{installation.source}/other/second"))

    @unittest.skipUnless(mayMount() and shutil.which("mkfs.ext4"), "needs the permission to mount, and mkfs.ext4")
    def testNumbersOfDevicesChangeBetweenSnapshots(self):
        """As they do when the computer is started anew. A loop device stands for the disk."""
        installation = self.onDisk()
        images = [f"{installation.directory}/image{number}" for number in range(2)]
        for image in images:
            makeFileSystem(image)
        subprocess.run(["mount", "-o", "loop", images[0], installation.source], check=True)
        installation.mounts.append(installation.source)
        self.linked(installation)
        installation.snapshot()
        installation.unmount(installation.source)
        # Another image takes the first one's loop device.
        blocker = f"{installation.directory}/blocker"
        os.mkdir(blocker)
        before = None
        for image, place in ((images[1], blocker), (images[0], installation.source)):
            subprocess.run(["mount", "-o", "loop", image, place], check=True)
            installation.mounts.append(place)
            before, device = os.stat(place).st_dev, before
        self.assertNotEqual(before, device)
        write(f"{installation.source}/more", "more")
        os.link(f"{installation.source}/more", f"{installation.source}/more's other name")
        with open(f"{installation.source}/first", "a") as file:
            file.write(", changed")
        os.link(f"{installation.source}/first", f"{installation.source}/third")
        installation.snapshot()
        self.assertLinked(installation)


class TargetTests(DiskTestCase):
    """What stands at the target is replaced, or stays; it is never written through."""

    def begin(self):
        self.installation = self.install()
        self.source = self.installation.source
        write(f"{self.source}/folder/file", "from the snapshot")
        write(f"{self.source}/last", "the last")
        os.symlink("file", f"{self.source}/folder/link")
        self.installation.snapshot()
        self.expected = fingerprint(self.source)
        self.outside = f"{self.installation.directory}/outside"
        write(f"{self.outside}/file", "precious")

    def assertOutsideIsAsItWas(self):
        self.assertEqual(os.listdir(self.outside), ["file"])
        self.assertEqual(read(f"{self.outside}/file"), b"precious")

    def testWhatIsNoFileIsReplaced(self):
        self.begin()
        path = f"{self.source}/folder/file"

        def device():
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))

        ways = [lambda: os.symlink(f"{self.outside}/file", path), lambda: os.symlink(f"{self.outside}/new", path),
                lambda: os.link(f"{self.outside}/file", path), lambda: os.mkfifo(path), lambda: os.mkdir(path)] + [device] * ROOT
        for number, make in enumerate(ways):
            for overwrite in ("changed", "always"):
                with self.subTest(number, overwrite=overwrite):
                    os.unlink(path)
                    make()
                    self.installation.run("restore", "--in-place", "--overwrite", overwrite, timeout=60)
                    self.assertSameTree(self.expected, self.source, ignore=("mtime",))
                    self.assertEqual(os.stat(path).st_nlink, 1)
                    self.assertOutsideIsAsItWas()

    def testSymlinkedParentIsNotFollowed(self):
        self.begin()
        removeTree(f"{self.source}/folder")
        os.symlink(self.outside, f"{self.source}/folder")
        for arguments in (["--in-place"], [f"{self.source}/folder/file", "--in-place"],
                          [f"{self.source}/folder/file", "--in-place", "--overwrite", "always"]):
            with self.subTest(arguments):
                done = self.installation.attempt("restore", *arguments)
                self.assertEqual(done.status, PARTIAL, done.errors)
                self.assertIn(f"{self.source}/folder", done.errors)
                self.assertOutsideIsAsItWas()
        self.installation.run("restore", "--in-place", "--overwrite", "always")
        self.assertSameTree(self.expected, self.source, ignore=("mtime",))
        self.assertOutsideIsAsItWas()

    def testOneThatCannotBeEndsNothingElse(self):
        self.begin()
        os.unlink(f"{self.source}/folder/file")
        write(f"{self.source}/folder/file/inside", "precious")
        os.unlink(f"{self.source}/last")
        os.unlink(f"{self.source}/folder/link")
        done = self.installation.attempt("restore", "--in-place", "--overwrite", "always")
        self.assertEqual(done.status, PARTIAL, done.errors)
        self.assertIn(f"{self.source}/folder/file", done.errors)
        self.assertEqual((read(f"{self.source}/last"), os.readlink(f"{self.source}/folder/link")), (b"the last", "file"))
        self.assertEqual(read(f"{self.source}/folder/file/inside"), b"precious")

    @unittest.skipUnless(ROOT, "sets what only root can")
    def testWhatADirectoryHandsDownIsNotKept(self):
        """A default ACL and flags of the directory that a file is restored into are not the file's own."""
        installation = self.onDisk()
        write(f"{installation.source}/folder/file", "plain")
        os.mkfifo(f"{installation.source}/folder/pipe")
        installation.snapshot()
        expected = fingerprint(installation.source)
        for name in ("file", "pipe"):
            os.unlink(f"{installation.source}/folder/{name}")
        os.setxattr(f"{installation.source}/folder", "system.posix_acl_default", ACL)
        features.setFlags(f"{installation.source}/folder", 0x40)
        installation.run("restore", "--in-place")
        now = fingerprint(installation.source)
        for name in (b"folder/file", b"folder/pipe"):
            self.assertEqual(now[name], expected[name])
        self.assertEqual(features.flags(f"{installation.source}/folder/file"), 0)
        # Asked to, a restore also takes from what stands there what was not there before.
        os.setxattr(f"{installation.source}/folder/file", "user.later", b"x")
        features.setFlags(f"{installation.source}/folder/file", 0x80)
        installation.run("restore", "--in-place", "--overwrite", "changed")
        self.assertSameTree(expected, installation.source)
        self.assertEqual((features.flags(f"{installation.source}/folder/file"), features.flags(f"{installation.source}/folder")), (0, 0))


class AccountTests(DiskTestCase):
    @unittest.skipUnless(mayMount() and shutil.which("unshare"), "needs root and a mount namespace")
    def testOwnersAreThoseOfTheSameNames(self):
        """On the new computer the same user has another number."""
        installation = self.onDisk()
        for name, owner in (("known", 1), ("unknown", 123_456)):
            write(f"{installation.source}/{name}", name)
            os.chown(f"{installation.source}/{name}", owner, owner)
        installation.snapshot()
        other = f"{installation.directory}/accounts"
        for file, text in (("passwd", "root:x:0:0::/:/bin/sh\ndaemon:x:4242:4242::/:/bin/sh\n"), ("group", "root:x:0:\ndaemon:x:4243:\n")):
            write(f"{other}/{file}", text)
        script = f'mount --bind {other}/passwd /etc/passwd && mount --bind {other}/group /etc/group && exec "$@"'
        target = f"{installation.directory}/target"
        subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *installation.command("restore", "--to", target, "--quiet")],
                       env=installation.environment, check=True)
        restored = installation.restored(target)
        found = {name: (os.stat(f"{restored}/{name}").st_uid, os.stat(f"{restored}/{name}").st_gid) for name in ("known", "unknown")}
        self.assertEqual(found, {"known": (4242, 4243), "unknown": (123_456, 123_456)})


class LesserFileSystemTests(DiskTestCase):
    @unittest.skipUnless(mayMount() and shutil.which("mkfs.ext4"), "needs the permission to mount, and mkfs.ext4")
    def testWhatAFileSystemKeepsOtherwiseIsSaidOnce(self):
        """Old inodes know whole seconds until 2038. The kernel takes other times without a word."""
        installation = self.onDisk()
        image, disk = f"{installation.directory}/image", f"{installation.directory}/disk"
        makeFileSystem(image, "-I", "128")
        os.mkdir(disk)
        subprocess.run(["mount", "-o", "loop", image, disk], check=True)
        installation.mounts.append(disk)
        for number in range(5):
            write(f"{installation.source}/{number}", "content")
            os.utime(f"{installation.source}/{number}", ns=(0, 1_700_000_000 * SECOND + 1))
        os.utime(installation.source, ns=(0, 5 * SECOND))
        installation.snapshot()
        done = installation.attempt("restore", "--to", f"{disk}/target")
        self.assertEqual(done.status, PARTIAL, done.errors)
        self.assertEqual(done.errors.count("modification time"), 1, done.errors)
        self.assertIn(f"{disk}/target{installation.source}/0: ", done.errors)
        self.assertIn("4 others", done.errors)


class UserTests(DiskTestCase):
    @unittest.skipUnless(MAY_BECOME_ANOTHER, "needs root and setpriv to become another user")
    def testAnOrdinaryUsersOwnFilesComeBackWithoutAComplaint(self):
        installation = self.onDisk()
        folder = f"{installation.source}/own"
        write(f"{folder}/program", "x")
        os.symlink("program", f"{folder}/link")
        os.mkfifo(f"{folder}/pipe")
        os.setxattr(f"{folder}/program", "user.note", b"mine")
        os.setxattr(f"{folder}/program", "system.posix_acl_access", ACL)
        for path in (installation.source, folder, *(f"{folder}/{name}" for name in os.listdir(folder))):
            os.chown(path, OWNER, OWNER, follow_symlinks=False)
        os.chmod(f"{folder}/program", 0o6755)
        self.asUser(installation, "snapshot", "--quiet", expect=DONE)
        os.mkdir(f"{installation.directory}/user")
        os.chown(f"{installation.directory}/user", OWNER, OWNER)
        said = self.asUser(installation, "restore", "--quiet", "--to", f"{installation.directory}/user/target", expect=DONE)
        self.assertEqual(said, "")
        self.assertSameTree(fingerprint(installation.source), installation.restored(f"{installation.directory}/user/target"))


class ReadingTests(DiskTestCase):
    """The other half of fidelity: what is read is what stands there."""

    def testFileThatIsWrittenWithItsOldTime(self):
        """Same size, and the modification time set back: the time of the inode's change tells."""
        installation = self.install()
        path = f"{installation.source}/file"
        write(path, "before")
        os.utime(path, ns=(SECOND, SECOND))
        installation.snapshot()
        with open(path, "r+") as file:
            file.write("after!")
        os.utime(path, ns=(SECOND, SECOND))
        installation.snapshot()
        self.assertEqual(installation.run("cat", path), "after!")

    def testFileThatChangesWhileItIsRead(self):
        installation = self.install(settings=AT_ONCE)
        path = f"{installation.source}/file"
        write(path, b"0" * 2_000_000)
        installation.startDaemon()
        installation.waitForSnapshot(1)
        stop = threading.Event()

        def rewrite():
            number = 0
            while not stop.is_set():
                number += 1
                with open(path, "r+b") as file:
                    file.write(b"%d" % (number % 10) * 2_000_000)
                os.utime(path, ns=(SECOND, SECOND))

        thread = threading.Thread(target=rewrite)
        thread.start()
        try:
            for _ in range(3):
                installation.snapshot("--full")
        finally:
            stop.set()
            thread.join()
        installation.snapshot()
        target = f"{installation.directory}/restored"
        installation.restore("latest", target)
        self.assertSameTree(fingerprint(installation.source), installation.restored(target))

    def testPipesAndDevicesAreNotOpened(self):
        installation = self.install()
        os.mkfifo(f"{installation.source}/pipe")
        if ROOT:
            os.mknod(f"{installation.source}/terminal", 0o600 | stat.S_IFCHR, os.makedev(5, 0))
        installation.run("snapshot", "--full", "--rehash", timeout=60)
        expected = fingerprint(installation.source)
        installation.run("restore", "--in-place", "--overwrite", "always", timeout=60)
        self.assertSameTree(expected, installation.source, ignore=("mtime",))

    def testFilesCannotHideOthersByThemselves(self):
        installation = self.install(settings="[exclude]\ndefaults = true\n")
        for name in (".gitignore", ".ignore", ".backupignore", ".kopiaignore", ".nobackup"):
            write(f"{installation.source}/{name}", "*\n")
        write(f"{installation.source}/precious", "here")
        installation.snapshot()
        self.assertEqual(installation.run("cat", f"{installation.source}/precious"), "here")

    def testNamesCannotTouchTheTerminal(self):
        installation = self.install()
        path = os.fsencode(installation.source) + b"/\x1b]0;title\x07\x9b2J\xff"
        with open(path, "wb") as file:
            file.write(b"content")
        installation.snapshot()
        for arguments, status in ((["ls", installation.source], DONE), (["ls", "-l", installation.source], DONE),
                                  (["restore", path, "--in-place"], PARTIAL)):
            done = installation.attempt(*arguments)
            self.assertEqual(done.status, status, done.errors)
            said = done.output + done.errors.encode()
            self.assertFalse(set(said) & (set(range(32)) - {10}) or 0x9B in said or 0x7F in said, said)
            self.assertIn(b"title", said)


if __name__ == "__main__":
    if "--write-table" in sys.argv:
        test = TableTests()
        try:
            test.write()
        finally:
            test.doCleanups()
    else:
        unittest.main()

"""Everything that can stand in the way of a backup: what is refused, what goes on, what is said, and how it recovers.

In:  an installation and one trouble.  Out: the exit status of the interface, a message that names the trouble, and
earlier snapshots that are as they were.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import unittest

from installation import (AT_ONCE, DAMAGED, DONE, FAILED, LOCKED, NO_REPOSITORY, PARTIAL, PATIENCE, ROOT, WRONG_KEY,
                          Installation, InstallationTestCase, fingerprint, mayMount, read, reasonCodes, removeTree, write)

MAY_MOUNT = mayMount()
# A Fernet key that belongs to no repository: 32 zero bytes.
OTHER_KEY = "A" * 43 + "="


def archivePath(installation, name):
    return os.path.join(installation.repository, "archives", name)


def flip(path, offset):
    """Inverts one byte of a file."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0xFF]))


class TroubleTestCase(InstallationTestCase):
    def failing(self, installation, status, *arguments, says=(), **more):
        """Runs a command that must end with `status` and a message with all of `says`; returns the message."""
        done = installation.attempt(*arguments, **more)
        self.assertEqual(done.status, status, f"{arguments}: {done.output!r} {done.errors}")
        for text in says:
            self.assertIn(text, done.errors)
        return done.errors

    def failingDaemon(self, installation, status, *says):
        """Starts a daemon that must end at once with `status`."""
        daemon = installation.startDaemon(expectRunning=False)
        self.assertEqual(daemon.wait(PATIENCE), status, installation.logTail())
        for text in says:
            self.assertIn(text, installation.log())

    def protected(self, **options):
        """An installation with a small tree and a snapshot of it."""
        installation = self.install(**options)
        write(f"{installation.source}/document", "first")
        write(f"{installation.source}/folder/photo", os.urandom(5000))
        self.assertEqual(installation.snapshot()["number"], 1)
        return installation

    def assertRestores(self, installation, number, expected):
        """A restore of everything of one snapshot equals the fingerprint, without a complaint."""
        target = f"{installation.directory}/restored"
        installation.restore(number, target)
        self.assertSameTree(expected, installation.restored(target))
        removeTree(target)


class KeyTests(TroubleTestCase):
    def testWrongKeyIsRefused(self):
        installation = self.protected()
        before = installation.archives()
        write(installation.keyFile, OTHER_KEY + "\n")
        for command in (["snapshot"], ["restore", "--to", "out"], ["ls"], ["snapshots"], ["verify", "--data"]):
            self.failing(installation, WRONG_KEY, *command, says=["key"])
        self.failingDaemon(installation, WRONG_KEY, "key")
        self.assertEqual(installation.archives(), before)
        self.assertFalse(os.path.exists(f"{installation.directory}/out"))

    def testMissingKeyIsRefused(self):
        installation = self.protected()
        os.rename(installation.keyFile, installation.keyFile + ".away")
        for command in (["snapshot"], ["restore", "--to", "out"], ["ls"], ["verify", "--data"]):
            self.failing(installation, WRONG_KEY, *command, says=[installation.keyFile])
        self.failingDaemon(installation, WRONG_KEY, installation.keyFile)
        self.assertFalse(os.path.exists(installation.keyFile), "a new key must not take the place of the lost one")

    def testDigestsNeedNoKey(self):
        installation = self.protected()
        os.unlink(installation.keyFile)
        self.assertEqual(installation.run("verify", "--digests", "--json")["findings"], [])
        name = installation.archives()[0]
        flip(archivePath(installation, name), 100)
        found = installation.run("verify", "--digests", "--json", expect=DAMAGED)["findings"]
        self.assertEqual([finding["archive"] for finding in found], [name])

    def testKeyThatOthersCanReadDegrades(self):
        installation = self.protected()
        os.chmod(installation.keyFile, 0o644)
        self.assertFalse(installation.snapshot()["taken"])
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: "key-unsafe" in reasonCodes(status), "key-unsafe")
        self.assertEqual(status["verdict"], "degraded")
        reason = next(reason for reason in status["reasons"] if reason["code"] == "key-unsafe")
        self.assertIn(installation.keyFile, reason["message"])
        self.assertIn("chmod", reason["remedy"])
        installation.run("status", expect=1)

    def testKeyThatOthersCanWriteIsRefused(self):
        installation = self.protected()
        for mode in (0o620, 0o602):
            os.chmod(installation.keyFile, mode)
            self.failing(installation, WRONG_KEY, "snapshot", says=[installation.keyFile, "chmod 600"])
        self.failingDaemon(installation, WRONG_KEY, "chmod 600")

    def testFileThatIsNoKeyIsRefused(self):
        installation = self.protected()
        for text in ("", "rubbish\n", "A" * 5000, OTHER_KEY + OTHER_KEY):
            write(installation.keyFile, text)
            self.failing(installation, WRONG_KEY, "snapshot", says=[installation.keyFile])


class PlacesTests(TroubleTestCase):
    def testRepositoryOfANewerFormatIsNotTouched(self):
        installation = self.protected()
        file = f"{installation.repository}/repository.json"
        description = json.loads(read(file))
        description["format"] = 1_000
        write(file, json.dumps(description))
        before = installation.archives()
        for command in (["snapshot"], ["ls"], ["restore"], ["verify", "--data"], ["rotate"]):
            message = self.failing(installation, FAILED, *command, says=["1000"])
            self.assertRegex(message, "newer|format")
        self.failingDaemon(installation, FAILED, "1000")
        self.assertEqual(installation.archives(), before)

    def testRepositoryInsideASourceIsLeftOut(self):
        installation = self.install(initialize=False)
        installation.repository = f"{installation.source}/backups/repository"
        write(f"{installation.source}/backups/notes", "beside the repository")
        said = installation.run("init", installation.source, "--repository", installation.repository)
        self.assertRegex(said, "inside the source")
        installation.snapshot()
        installation.snapshot("--full")
        paths = [entry["path"] for entry in installation.run("ls", "-R", "--json")]
        self.assertIn(f"{installation.source}/backups/notes", paths)
        self.assertFalse([path for path in paths if path.startswith(installation.repository)])

    def testDaemonIgnoresARepositoryInsideASource(self):
        installation = self.install(initialize=False)
        installation.repository = f"{installation.source}/repository"
        installation.run("init", installation.source, "--repository", installation.repository)
        installation.configure(AT_ONCE)
        installation.startDaemon()
        installation.waitForSnapshot(1)
        write(f"{installation.source}/new", "content")
        latest = installation.waitForSnapshot(2)
        # Were the repository watched, each snapshot would be the reason for the next.
        self.assertFalse(installation.snapshot()["taken"])
        self.assertLessEqual(latest["latest_snapshot"]["number"], 3)

    def testSourceInsideTheRepositoryIsRefused(self):
        installation = self.install(initialize=False)
        inner = f"{installation.repository}/inner"
        os.makedirs(inner)
        self.failing(installation, FAILED, "init", inner, "--repository", installation.repository, says=["inside the repository"])
        # The same through a symbolic link, and written into the configuration by hand.
        os.symlink(inner, f"{installation.home}/link")
        self.failing(installation, FAILED, "init", f"{installation.home}/link", "--repository", installation.repository,
                     says=["inside the repository"])
        self.assertFalse(os.path.exists(installation.configurationFile))
        self.assertEqual(os.listdir(installation.repository), ["inner"])

    def testOverlappingSourcesAreRefused(self):
        installation = self.install(initialize=False)
        inner = f"{installation.source}/inner"
        os.makedirs(inner)
        for pair in ([installation.source, inner], [inner, installation.source], [inner, inner]):
            self.failing(installation, FAILED, "init", *pair, "--repository", installation.repository, says=["overlap", inner])
        self.assertFalse(os.path.exists(installation.configurationFile))
        self.assertFalse(os.path.exists(installation.repository))

    def testSourcesThatOnlyBeginAlikeAreNoOverlap(self):
        installation = self.install(sources=("photos", "photos-old"))
        write(f"{installation.sources[1]}/one", "1")
        self.assertTrue(installation.snapshot()["taken"])

    def testRepositoryDirectoryThatHoldsSomethingElseIsRefused(self):
        installation = self.install(initialize=False)
        write(f"{installation.repository}/precious", "data")
        self.failing(installation, FAILED, "init", installation.source, "--repository", installation.repository, says=["not empty"])
        self.assertEqual(os.listdir(installation.repository), ["precious"])
        self.assertFalse(os.path.exists(installation.configurationFile))

    def testNoRepositoryThere(self):
        installation = self.protected()
        os.rename(installation.repository, installation.repository + ".away")
        for command in (["snapshot"], ["ls"], ["restore"], ["verify"], ["rotate"], ["snapshots"]):
            self.failing(installation, NO_REPOSITORY, *command, says=[installation.repository])
        os.mkdir(installation.repository)
        self.failing(installation, NO_REPOSITORY, "snapshot", says=[installation.repository])
        self.assertEqual(os.listdir(installation.repository), [], "an empty mount point must stay empty")


class SourceTests(TroubleTestCase):
    @unittest.skipUnless(ROOT and shutil.which("setpriv"), "needs root and setpriv to become another user")
    def testUnreadableFilesAreNamedAndTheRestIsSaved(self):
        installation = UnprivilegedInstallation()
        self.addCleanup(installation.close)
        write(f"{installation.source}/readable", "yes")
        write(f"{installation.source}/secret", "no")
        write(f"{installation.source}/closed/inside", "no")
        installation.own()
        os.chmod(f"{installation.source}/secret", 0)
        os.chmod(f"{installation.source}/closed", 0)
        message = self.failing(installation, PARTIAL, "snapshot", says=[f"{installation.source}/secret", f"{installation.source}/closed"])
        self.assertNotIn("readable:", message)
        self.assertEqual(installation.run("cat", f"{installation.source}/readable"), "yes")
        response = installation.snapshot("--full", expect=PARTIAL)
        self.assertEqual({problem["path"] for problem in response["problems"]},
                         {f"{installation.source}/secret", f"{installation.source}/closed"})
        os.chmod(f"{installation.source}/secret", 0o600)
        os.chmod(f"{installation.source}/closed", 0o700)
        installation.snapshot()
        self.assertEqual(installation.run("cat", f"{installation.source}/secret"), "no")
        self.assertEqual(installation.run("cat", f"{installation.source}/closed/inside"), "no")
        # What becomes unreadable keeps its last known content.
        write(f"{installation.source}/secret", "changed")
        os.chmod(f"{installation.source}/secret", 0)
        os.chmod(f"{installation.source}/closed", 0)
        self.failing(installation, PARTIAL, "snapshot", says=[f"{installation.source}/secret", f"{installation.source}/closed"])
        self.assertEqual(installation.run("cat", f"{installation.source}/secret"), "no")
        self.assertEqual(installation.run("cat", f"{installation.source}/closed/inside"), "no")

    @unittest.skipUnless(ROOT and shutil.which("setpriv"), "needs root and setpriv to become another user")
    def testStatusNamesUnreadableFiles(self):
        installation = UnprivilegedInstallation()
        self.addCleanup(installation.close)
        write(f"{installation.source}/readable", "yes")
        write(f"{installation.source}/secret", "no")
        installation.own()
        os.chmod(f"{installation.source}/secret", 0)
        installation.run("start")
        status = installation.waitForStatus(lambda status: "source-unreadable" in reasonCodes(status), "source-unreadable")
        self.assertEqual(status["verdict"], "degraded")
        self.assertIn(f"{installation.source}/secret", str(status["reasons"]))
        os.chmod(f"{installation.source}/secret", 0o600)
        installation.run("snapshot", "--full")
        status = installation.waitForStatus(lambda status: "source-unreadable" not in reasonCodes(status), "readable again")
        self.assertEqual(status["verdict"], "protected")
        installation.run("stop")

    def testFilesThatVanishWhileTheyAreReadAreNormal(self):
        installation = self.install()
        write(f"{installation.source}/steady", "stays")
        stop = threading.Event()

        def churn():
            turn = 0
            while not stop.is_set():
                folder = f"{installation.source}/churn{turn % 7}"
                for index in range(60):
                    write(f"{folder}/{index}", os.urandom(3000))
                shutil.rmtree(folder)
                turn += 1

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            for _ in range(12):
                response = installation.snapshot("--full")
                self.assertEqual(response["problems"], [])
        finally:
            stop.set()
            thread.join()
        installation.snapshot()
        self.assertRestores(installation, "latest", fingerprint(installation.source))
        installation.run("verify", "--data")

    def testMissingSourceIsNotAnEmptySource(self):
        installation = self.install(sources=("one", "two"), settings=AT_ONCE)
        one, two = installation.sources
        write(f"{one}/first", "1")
        write(f"{two}/second", "2")
        installation.startDaemon()
        installation.waitForSnapshot(1)
        before = fingerprint(two)
        os.rename(two, two + ".away")
        status = installation.waitForStatus(lambda status: "source-missing" in reasonCodes(status), "source-missing")
        self.assertEqual(status["verdict"], "degraded")
        self.assertIn(two, str(status["reasons"]))
        installation.run("status", expect=1)
        write(f"{one}/third", "3")
        self.failing(installation, PARTIAL, "snapshot", says=[two])
        self.assertIn(f"{one}/third", [entry["path"] for entry in installation.run("ls", one, "--json")])
        target = f"{installation.directory}/restored"
        installation.restore("latest", target)
        self.assertSameTree(before, installation.restored(target, two))
        os.rename(two + ".away", two)
        status = installation.waitForStatus(lambda status: "source-missing" not in reasonCodes(status), "the source's return")
        self.assertEqual(status["verdict"], "protected")
        number = status["latest_snapshot"]["number"]
        # It is watched again, too.
        write(f"{two}/after", "4")
        installation.waitForSnapshot(number + 1)
        self.assertEqual(installation.run("cat", f"{two}/after"), "4")

    def testMissingSourceWithoutADaemon(self):
        installation = self.install(sources=("one", "two"))
        write(f"{installation.sources[0]}/first", "1")
        write(f"{installation.sources[1]}/second", "2")
        installation.snapshot()
        shutil.rmtree(installation.sources[1])
        for extra in ([], ["--full"], ["--rehash"]):
            self.failing(installation, PARTIAL, "snapshot", *extra, says=[installation.sources[1]])
            self.assertEqual(installation.run("cat", f"{installation.sources[1]}/second"), "2")
        # An empty directory in its place is a state like any other.
        os.mkdir(installation.sources[1])
        installation.snapshot()
        installation.run("cat", f"{installation.sources[1]}/second", expect=FAILED)
        self.assertEqual(installation.run("cat", f"{installation.sources[1]}/second", "--at", 1), "2")

    def testAllSourcesMissingIsUnprotected(self):
        installation = self.protected()
        os.rename(installation.source, installation.source + ".away")
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: "source-missing" in reasonCodes(status), "source-missing")
        self.assertEqual(status["verdict"], "unprotected")
        installation.run("status", expect=2)
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "first")
        os.rename(installation.source + ".away", installation.source)
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection after the source's return")

    def testSourceReplacedByAFileOrALinkIsMissing(self):
        installation = self.protected()
        os.rename(installation.source, installation.source + ".away")
        for make in (lambda: write(installation.source, "a file"), lambda: os.symlink("nowhere", installation.source)):
            make()
            self.failing(installation, PARTIAL, "snapshot", says=[installation.source])
            self.assertEqual(installation.run("cat", f"{installation.source}/document"), "first")
            os.unlink(installation.source)


class UnprivilegedInstallation(Installation):
    """Everything runs as a user that may not read all files. Binaries that this user cannot reach are copied."""

    USER = 65534

    def __init__(self, **options):
        super().__init__(initialize=False, **options)
        os.chmod(self.directory, 0o755)
        reachable = subprocess.run(["setpriv", *self.privileges, "test", "-x", self.watchctl]).returncode == 0
        if not reachable:
            folder = f"{self.directory}/bin"
            os.mkdir(folder)
            self.watchctl, self.watchd = shutil.copy(self.watchctl, folder), shutil.copy(self.watchd, folder)
        self.own()
        self.run("init", *self.sources, "--repository", self.repository, "--quiet")
        self.configure("")
        self.own()

    @property
    def privileges(self):
        return ["--reuid", str(self.USER), "--regid", str(self.USER), "--clear-groups"]

    def command(self, *arguments):
        return ["setpriv", *self.privileges, *super().command(*arguments)]

    def own(self):
        """Gives everything to the user."""
        for folder, _, names in os.walk(self.directory):
            os.chown(folder, self.USER, self.USER)
            for name in names:
                os.chown(os.path.join(folder, name), self.USER, self.USER, follow_symlinks=False)


class DiskTests(TroubleTestCase):
    @unittest.skipUnless(MAY_MOUNT, "needs the permission to mount")
    def testFullDiskFailsTheSnapshotAsAWhole(self):
        installation = self.install(initialize=False)
        disk = f"{installation.directory}/disk"
        installation.mount(disk, size="4m")
        installation.repository = f"{disk}/repository"
        installation.run("init", installation.source, "--repository", installation.repository)
        installation.configure(AT_ONCE)
        write(f"{installation.source}/small", "small")
        installation.startDaemon()
        installation.waitForSnapshot(1)
        before = fingerprint(installation.source)
        write(f"{installation.source}/large", os.urandom(12 << 20))
        status = installation.waitForStatus(lambda status: "repository-full" in reasonCodes(status), "repository-full")
        self.assertEqual(status["verdict"], "unprotected")
        self.assertIn(disk, str(status["reasons"]))
        installation.run("status", expect=2)
        self.failing(installation, FAILED, "snapshot", says=["space"])
        self.assertEqual(installation.numbers(), [1])
        self.assertRestores(installation, "latest", before)
        installation.run("verify", "--data")
        leftovers = [name for name in installation.archives() if not name.endswith(".enc")]
        self.assertEqual(leftovers, [], "an unfinished archive must not keep the disk full")
        # More space: the daemon tries again by itself.
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        status = installation.waitForSnapshot(2)
        status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertNotIn("repository-full", reasonCodes(status))
        self.assertRestores(installation, "latest", fingerprint(installation.source))

    def testRepositoryThatGoesAwayAndComesBack(self):
        installation = self.protected(settings=AT_ONCE)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        os.rename(installation.repository, installation.repository + ".away")
        write(f"{installation.source}/while away", "noted")
        status = installation.waitForStatus(lambda status: "repository-missing" in reasonCodes(status), "repository-missing")
        self.assertEqual(status["verdict"], "unprotected")
        self.assertIn(installation.repository, str(status["reasons"]))
        self.failing(installation, NO_REPOSITORY, "snapshot", says=[installation.repository])
        self.assertFalse(os.path.exists(installation.repository), "an absent disk's mount point must not be filled")
        os.rename(installation.repository + ".away", installation.repository)
        status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertGreaterEqual(status["latest_snapshot"]["number"], 2)
        self.assertRestores(installation, "latest", fingerprint(installation.source))

    def testDaemonStartsWithoutARepositoryAndWaitsForIt(self):
        installation = self.protected(settings=AT_ONCE)
        os.rename(installation.repository, installation.repository + ".away")
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: "repository-missing" in reasonCodes(status), "repository-missing")
        self.assertEqual(status["verdict"], "unprotected")
        os.rename(installation.repository + ".away", installation.repository)
        write(f"{installation.source}/new", "new")
        # A person who does not want to wait for the next attempt:
        installation.snapshot()
        self.assertEqual(installation.run("cat", f"{installation.source}/new"), "new")
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")

    @unittest.skipUnless(MAY_MOUNT, "needs the permission to mount")
    def testReadOnlyRepository(self):
        installation = self.protected(settings=AT_ONCE)
        before = fingerprint(installation.source)
        archives = f"{installation.repository}/archives"
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        # A read-only mount over the archives: the daemon holds a lock beside them, which forbids to remount all.
        subprocess.run(["mount", "--bind", archives, archives], check=True)
        installation.mounts.append(archives)
        subprocess.run(["mount", "-o", "remount,bind,ro", archives], check=True)
        write(f"{installation.source}/new", "new")
        status = installation.waitForStatus(lambda status: "repository-readonly" in reasonCodes(status), "repository-readonly")
        self.assertEqual(status["verdict"], "unprotected")
        installation.run("status", expect=2)
        self.failing(installation, FAILED, "snapshot", says=["ead-only"])
        self.assertRestores(installation, "latest", before)
        installation.unmount(archives)
        self.assertTrue(installation.snapshot()["taken"])
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertRestores(installation, "latest", fingerprint(installation.source))

    def onSmallDisk(self, size, keep):
        installation = self.install(initialize=False)
        disk = f"{installation.directory}/disk"
        installation.mount(disk, size=size)
        installation.repository = f"{disk}/repository"
        installation.run("init", installation.source, "--repository", installation.repository)
        installation.configure(f"[keep]\n{keep}\n")
        return installation, disk

    @unittest.skipUnless(MAY_MOUNT, "needs the permission to mount")
    def testRotationFreesADiskThatHoldsFarMoreThanIsLive(self):
        """It asked for room for all that the archives held, dead or not, and removed nothing for ever."""
        installation, _ = self.onSmallDisk("40m", "last = 100")
        for _ in range(32):
            write(f"{installation.source}/file", os.urandom(1 << 20))
            installation.snapshot()
        installation.run("rotate", "--size", "10MB")
        sizes = [os.path.getsize(archivePath(installation, name)) for name in installation.archives()]
        self.assertLess(sum(sizes), 11 << 20)
        self.assertRestores(installation, "latest", fingerprint(installation.source))
        installation.run("verify", "--data")

    @unittest.skipUnless(MAY_MOUNT, "needs the permission to mount")
    def testRotationFreesADiskWithoutRoomForTheMerge(self):
        """What is dead goes first: the merge of all has room then."""
        installation, disk = self.onSmallDisk("20m", "last = 3")
        for size in [3350 << 10] * 4 + [5900 << 10]:
            write(f"{installation.source}/file", os.urandom(size))
            installation.snapshot()
        room = os.statvfs(disk)
        write(f"{disk}/ballast", bytes(max(0, room.f_bavail * room.f_bsize - (372 << 10))))
        installation.run("rotate", "--size", "7MB")
        self.assertEqual(installation.numbers(), [5])
        self.assertEqual(len(installation.archives()), 1)
        self.assertRestores(installation, "latest", fingerprint(installation.source))
        installation.run("verify", "--data")

    @unittest.skipUnless(MAY_MOUNT, "needs the permission to mount")
    def testASnapshotLeavesTheReserve(self):
        """It was looked at before a snapshot only, which then filled the disk."""
        installation, _ = self.onSmallDisk("40m", "last = 3")
        write(f"{installation.source}/small", "small")
        installation.snapshot()
        # More than the disk less its twentieth, and less than the disk.
        write(f"{installation.source}/large", os.urandom(39 << 20))
        self.failing(installation, FAILED, "snapshot", says=["kept for consolidation"])
        self.assertEqual(installation.numbers(), [1])
        os.truncate(f"{installation.source}/large", 30 << 20)
        self.assertTrue(installation.snapshot()["taken"])

    @unittest.skipUnless(MAY_MOUNT, "needs the permission to mount")
    def testWhatCouldNotBeRemovedIsNotSaidToBe(self):
        installation, disk = self.onSmallDisk("20m", "last = 3")
        for name in ("one", "two"):
            write(f"{installation.source}/{name}", os.urandom(3 << 20))
            installation.snapshot()
        room = os.statvfs(disk)
        write(f"{disk}/ballast", bytes(room.f_bavail * room.f_bsize - (372 << 10)))
        result = installation.attempt("forget", "1", "--yes")
        self.assertEqual(result.status, FAILED)
        self.assertIn("not enough free space", result.errors)
        self.assertNotIn(b"removed", result.output)
        installation.run("rotate", "--size", "1MB", expect=PARTIAL)
        self.assertEqual(installation.numbers(), [1, 2])
        os.unlink(f"{disk}/ballast")
        self.assertIn("1 snapshot removed", installation.run("forget", "1", "--yes"))
        self.assertEqual(installation.numbers(), [2])

    @unittest.skipUnless(MAY_MOUNT, "needs the permission to mount")
    def testReadOnlyDiskStillRestores(self):
        installation = self.install(initialize=False)
        disk = f"{installation.directory}/disk"
        installation.mount(disk, size="16m")
        installation.repository = f"{disk}/repository"
        installation.run("init", installation.source, "--repository", installation.repository)
        write(f"{installation.source}/file", "content")
        installation.snapshot()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        self.failing(installation, FAILED, "snapshot", says=["ead-only"])
        self.assertRestores(installation, "latest", fingerprint(installation.source))
        installation.run("verify", "--data")
        self.assertEqual(installation.numbers(), [1])
        installation.removeCatalog()
        self.assertRestores(installation, "latest", fingerprint(installation.source))


class SecondWriterTests(TroubleTestCase):
    def sameConfigurationElsewhere(self, installation):
        """Another home with the same configuration and key, as a synchronised or cloned one has."""
        other = self.install(initialize=False)
        for file, copy in ((installation.configurationFile, other.configurationFile), (installation.keyFile, other.keyFile)):
            write(copy, read(file))
            os.chmod(copy, 0o600)
        return other

    def testSecondDaemonOnTheSameRepositoryEndsAtOnce(self):
        installation = self.protected()
        other = self.sameConfigurationElsewhere(installation)
        installation.startDaemon()
        installation.waitForSnapshot(1)
        self.failingDaemon(other, LOCKED, installation.repository)
        self.failing(other, LOCKED, "start", says=[installation.repository])
        self.failing(other, LOCKED, "snapshot", says=[installation.repository])
        self.failing(other, LOCKED, "pin", "1")
        # Looking needs no lock.
        self.assertEqual(other.run("cat", f"{installation.source}/document"), "first")
        write(f"{installation.source}/more", "more")
        self.assertTrue(installation.snapshot()["taken"])
        self.assertEqual(other.numbers(), installation.numbers())
        installation.stopDaemon()
        other.snapshot()

    def testAnotherConfigurationMustAdoptFirst(self):
        installation = self.protected()
        other = self.sameConfigurationElsewhere(installation)
        text = read(other.configurationFile).decode()
        write(other.configurationFile, re.sub(r'id = "(.)', lambda match: f'id = "{"0" if match[1] != "0" else "1"}', text))
        for command in (["snapshot"], ["rotate"]):
            message = other.attempt(*command)
            self.assertNotEqual(message.status, DONE)
            self.assertIn("adopt", message.errors)
        self.assertEqual(len(installation.archives()), 1)


class DamageTests(TroubleTestCase):
    def withVictim(self):
        """Three snapshots; the second adds nothing but `victim`. Returns the installation and the second's archive."""
        installation = self.install()
        write(f"{installation.source}/before", os.urandom(40_000))
        write(f"{installation.source}/folder/steady", "steady")
        installation.snapshot()
        first = set(installation.archives())
        write(f"{installation.source}/victim", os.urandom(600_000))
        installation.snapshot()
        victim, = set(installation.archives()) - first
        write(f"{installation.source}/after", os.urandom(40_000))
        installation.snapshot()
        return installation, victim

    def assertRestoresAllBut(self, installation, lost):
        """The latest snapshot gives everything but one path, names that, and ends with 3."""
        target = f"{installation.directory}/partly"
        report = installation.restore("latest", target, expect=PARTIAL)
        self.assertEqual([problem["path"] for problem in report["problems"] if problem["loss"]],
                         [installation.restored(target, lost)], report)
        expected, actual = fingerprint(installation.source), fingerprint(installation.restored(target))
        name = os.fsencode(os.path.relpath(lost, installation.source))
        expected.pop(name)
        # A file with wrong content under the right name would be worse than none.
        self.assertNotIn(name, actual)
        self.assertSameTree(expected, actual)
        removeTree(target)

    def testByteFlippedInADataFrame(self):
        installation, victim = self.withVictim()
        flip(archivePath(installation, victim), 300_000)
        found = installation.run("verify", "--data", "--json", expect=DAMAGED)["findings"]
        self.assertEqual({finding["archive"] for finding in found}, {victim})
        finding = next(finding for finding in found if finding.get("frame") is not None)
        self.assertEqual(finding["frame"], 0, "the archive's first frame is the data")
        self.assertEqual([affected["path"] for affected in finding["affected"]], [f"{installation.source}/victim"])
        self.assertEqual((finding["affected"][0]["first_snapshot"], finding["affected"][0]["last_snapshot"]), (2, 3))
        said = installation.run("verify", "--data", expect=DAMAGED)
        for text in (victim, "frame 0", f"{installation.source}/victim"):
            self.assertIn(text, said)
        installation.run("verify", "--digests", expect=DAMAGED)
        self.assertRestoresAllBut(installation, f"{installation.source}/victim")
        self.failing(installation, DAMAGED, "cat", f"{installation.source}/victim")
        self.assertRestores(installation, 1, self.firstState(installation))

    def firstState(self, installation):
        """What the first snapshot of `withVictim` holds, as its restore by the independent program gives it."""
        target = f"{installation.directory}/recovered"
        installation.recover(1, target)
        return fingerprint(installation.restored(target))

    def testSnapshotsGoOnAfterDamage(self):
        installation, victim = self.withVictim()
        flip(archivePath(installation, victim), 300_000)
        write(f"{installation.source}/later", "later")
        self.assertTrue(installation.snapshot()["taken"])
        self.assertEqual(installation.run("cat", f"{installation.source}/later"), "later")

    def testTruncatedArchive(self):
        installation, victim = self.withVictim()
        os.truncate(archivePath(installation, victim), 200_000)
        found = installation.run("verify", "--data", "--json", expect=DAMAGED)["findings"]
        self.assertEqual({finding["archive"] for finding in found}, {victim})
        self.assertIn(f"{installation.source}/victim", [affected["path"] for finding in found for affected in finding["affected"]])
        self.assertRestoresAllBut(installation, f"{installation.source}/victim")

    def testEmptyArchive(self):
        installation, victim = self.withVictim()
        os.truncate(archivePath(installation, victim), 0)
        found = installation.run("verify", "--data", "--json", expect=DAMAGED)["findings"]
        self.assertEqual({finding["archive"] for finding in found}, {victim})
        self.assertRestoresAllBut(installation, f"{installation.source}/victim")

    def testMissingDataArchive(self):
        installation = self.install(settings='[archive]\nsize = "1MiB"\n')
        contents = {f"{installation.source}/{index}": os.urandom(1_500_000) for index in range(4)}
        for path, data in contents.items():
            write(path, data)
        installation.snapshot()
        data = [name for name in installation.archives() if "-data-" in name]
        self.assertGreater(len(data), 1, "the snapshot spans several archives")
        os.unlink(archivePath(installation, data[0]))
        found = installation.run("verify", "--data", "--json", expect=DAMAGED)["findings"]
        lost = {affected["path"] for finding in found for affected in finding["affected"]}
        self.assertTrue(lost)
        self.assertLess(len(lost), 4)
        self.assertIn(data[0], [finding["archive"] for finding in found])
        target = f"{installation.directory}/partly"
        report = installation.restore("latest", target, expect=PARTIAL)
        self.assertEqual({problem["path"] for problem in report["problems"] if problem["loss"]},
                         {installation.restored(target, path) for path in lost})
        for path in contents.keys() - lost:
            self.assertEqual(read(installation.restored(target, path)), contents[path])

    def testMissingMiddleSnapshot(self):
        installation, victim = self.withVictim()
        os.unlink(archivePath(installation, victim))
        installation.run("verify", "--data", expect=DAMAGED)
        self.assertRestores(installation, 1, self.firstState(installation))
        for command, why in (("rotate", "stands still"), ("compact", "nothing is rewritten")):
            for json in ([], ["--json"]):
                done = installation.attempt(command, *json)
                self.assertEqual(done.status, PARTIAL)
                self.assertIn(why, done.errors)

    def testForeignFilesInTheRepositoryAreLeftAlone(self):
        installation = self.protected()
        write(archivePath(installation, "README"), "not ours")
        write(archivePath(installation, "000000009-rubbish.enc"), "not ours")
        write(f"{installation.source}/more", "more")
        installation.snapshot()
        installation.run("verify", "--data")
        installation.run("rotate")
        self.assertEqual(read(archivePath(installation, "README")), b"not ours")
        self.assertEqual(read(archivePath(installation, "000000009-rubbish.enc")), b"not ours")

    def testDamagedRepositoryDescription(self):
        installation = self.protected()
        file = f"{installation.repository}/repository.json"
        good = read(file)
        for text in (b"", b"{", b"[]", b'{"format": "one"}', good[:100], b"\xff" * 300):
            write(file, text)
            done = installation.attempt("snapshot")
            self.assertIn(done.status, (FAILED, NO_REPOSITORY, DAMAGED), done)
            self.assertIn(file, done.errors)
        write(file, good)
        self.assertFalse(installation.snapshot()["taken"])


class CatalogTests(TroubleTestCase):
    def answers(self, installation):
        """What a person can ask about all snapshots."""
        snapshots = installation.snapshots()
        return (snapshots, [installation.run("ls", "-R", "--at", number, "--json") for number in (2, "latest")],
                [installation.run("cat", f"{installation.source}/document", "--at", number) for number in (1, 2)])

    def testSpoiledCatalogIsRebuiltSilently(self):
        installation = self.protected()
        for text in ("second", "third"):
            write(f"{installation.source}/document", text)
            os.rename(f"{installation.source}/folder", f"{installation.source}/{text}")
            installation.snapshot()
            os.rename(f"{installation.source}/{text}", f"{installation.source}/folder")
        installation.snapshot("--full")
        installation.run("pin", 2)
        installation.run("tag", 3, "before the party")
        before = self.answers(installation)
        catalog = f"{installation.state}/catalog.sqlite"
        self.assertTrue(os.path.exists(catalog))

        def alone(spoil):
            """Spoils the catalog without the write-ahead log that could mend it."""
            for suffix in ("-wal", "-shm"):
                if os.path.exists(catalog + suffix):
                    os.unlink(catalog + suffix)
            spoil()

        size = os.path.getsize(catalog)
        spoilings = {
            "garbage": lambda: write(catalog, os.urandom(50_000)),
            "text": lambda: write(catalog, b"SQLite format 3\0" + b"x" * 9000),
            "truncated": lambda: os.truncate(catalog, max(size // 2, 5000)),
            "one page": lambda: os.truncate(catalog, 4096),
            "emptied": lambda: os.truncate(catalog, 0),
            "overwritten in the middle": lambda: overwrite(catalog, 4096, os.urandom(3 * 4096)),
            "deleted": lambda: os.unlink(catalog),
        }
        for name, spoil in spoilings.items():
            with self.subTest(name):
                alone(spoil)
                self.assertEqual(self.answers(installation), before)
                done = installation.attempt("snapshot")
                self.assertEqual((done.status, done.errors), (DONE, ""))
                self.assertEqual(installation.snapshots(), before[0])

    def testDamageInsideTheCatalogIsMendedByARebuild(self):
        """Also such damage as is met only when the catalog is in use; whoever meets it is told what mends it."""
        installation = self.protected()
        for text in ("second", "third"):
            write(f"{installation.source}/document", text)
            for number in range(60):
                write(f"{installation.source}/folder/{text}/{number}", f"{text} {number}")
            installation.snapshot()
        before = self.answers(installation)
        catalog = f"{installation.state}/catalog.sqlite"
        with contextlib.closing(sqlite3.connect(catalog)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        sound = read(catalog)
        pages = len(sound) // 4096
        self.assertGreater(pages, 20)
        met = 0
        for page in range(1, pages, 3):
            installation.removeCatalog()
            write(catalog, sound)
            overwrite(catalog, page * 4096, os.urandom(4096))
            done = installation.attempt("ls", "-R", "--at", 2)
            if done.status != DONE:
                met += 1
                self.assertIn("watchctl catalog rebuild", done.errors)
            installation.run("catalog", "rebuild")
            self.assertEqual(self.answers(installation), before, f"page {page}")
        print(f"pages of the catalog overwritten: {len(range(1, pages, 3))}, met by ls: {met}", file=sys.stderr)

    def testDaemonStartsWithASpoiledCatalog(self):
        installation = self.protected(settings=AT_ONCE)
        installation.startDaemon()
        write(f"{installation.source}/document", "second")
        installation.waitForSnapshot(2)
        installation.stopDaemon()
        before = self.answers(installation)
        installation.removeCatalog()
        write(f"{installation.state}/catalog.sqlite", os.urandom(20_000))
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertEqual(self.answers(installation), before)
        self.assertFalse(installation.snapshot()["taken"])

    def testCatalogLostUnderTheRunningDaemon(self):
        installation = self.protected(settings=AT_ONCE)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        installation.removeCatalog()
        write(f"{installation.source}/document", "second")
        installation.waitForSnapshot(2)
        installation.stopDaemon()
        self.assertEqual(installation.numbers(), [1, 2])
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "second")


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


class RollbackTests(TroubleTestCase):
    def threeSnapshots(self):
        """Returns the installation and a copy of its repository from the time of the first snapshot."""
        installation = self.protected()
        copy = f"{installation.directory}/older"
        subprocess.run(["cp", "-a", installation.repository, copy], check=True)
        for text in ("second", "third"):
            write(f"{installation.source}/document", text)
            installation.snapshot()
        return installation, copy

    def assertRolledBack(self, installation, found):
        """Latest is refused with 13, older numbers work."""
        for command in (["restore", "--to", "out"], ["cat", f"{installation.source}/document"], ["ls"], ["verify"],
                        ["verify", "--data"]):
            done = installation.attempt(*command)
            self.assertEqual(done.status, DAMAGED, f"{command}: {done}")
            self.assertRegex(done.errors + done.output.decode(), "back in time|older")
        self.assertEqual(installation.run("cat", f"{installation.source}/document", "--at", found), ["", "first", "second"][found])
        self.assertFalse(os.path.exists(f"{installation.directory}/out"))
        target = f"{installation.directory}/restored"
        installation.restore(found, target)
        removeTree(target)

    def testNewestArchivesRemoved(self):
        installation, _ = self.threeSnapshots()
        os.unlink(archivePath(installation, installation.archives()[-1]))
        self.assertRolledBack(installation, 2)
        os.unlink(archivePath(installation, installation.archives()[-1]))
        self.assertRolledBack(installation, 1)
        installation.removeCatalog()
        self.assertRolledBack(installation, 1)

    def testOlderCopyPutBack(self):
        installation, copy = self.threeSnapshots()
        newest = f"{installation.directory}/newest"
        os.rename(installation.repository, newest)
        os.rename(copy, installation.repository)
        self.assertRolledBack(installation, 1)
        # Nothing is added to the older copy, or history would fork.
        self.failing(installation, DAMAGED, "snapshot")
        self.assertEqual(len(installation.archives()), 1)
        # The newest copy mends it.
        removeTree(installation.repository)
        os.rename(newest, installation.repository)
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "third")
        installation.run("verify", "--data")
        self.assertFalse(installation.snapshot()["taken"])

    def testDaemonSaysThatTheRepositoryWentBack(self):
        installation, copy = self.threeSnapshots()
        removeTree(installation.repository)
        os.rename(copy, installation.repository)
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: "repository-rolled-back" in reasonCodes(status), "repository-rolled-back")
        self.assertEqual(status["verdict"], "unprotected")
        installation.run("status", expect=2)


class ConfigurationTests(TroubleTestCase):
    WRONG = [
        # lines to add, the line of these that is wrong (from 1), what the message names
        ('[schedule]\nquite = "2s"', 2, "quite"),
        ('colour = "red"', 1, "colour"),
        ('[schedul]\nquiet = "2s"', 1, "schedul"),
        ('[schedule]\nquiet = "2 fortnights"', 2, "quiet"),
        ('[schedule]\nquiet = "2"', 2, "quiet"),
        ('[schedule]\nquiet = 2', 2, "quiet"),
        ('[schedule]\nquiet = "-2s"', 2, "quiet"),
        ('[schedule]\nquiet = "1m"\ndeadline = "1s"', 3, "deadline"),
        ('[keep]\nhourly = -1', 2, "hourly"),
        ('[keep]\nhourly = "many"', 2, "hourly"),
        ('[keep]\nsize = "10 apples"', 2, "size"),
        ('[archive]\nsize = "12 parsecs"', 2, "size"),
        ('[archive]\nsize = "1B"', 2, "size"),
        ('[compression]\nfast = "zip:3"', 2, "fast"),
        ('[compression]\nfast = "zstd:99"', 2, "fast"),
        ('[compression]\nverify_writes = "yes"', 2, "verify_writes"),
        ('[exclude]\npatterns = "*.tmp"', 2, "patterns"),
        ('[exclude]\npatterns = [1, 2]', 2, "patterns"),
        ('[watch]\nbackend = "telepathy"', 2, "backend"),
        ('[watch]\nreserve_watches = "250%"', 2, "reserve_watches"),
        ('[limits]\nmemory = "1KiB"', 2, "memory"),
        ('[schedule\nquiet = "2s"', 1, ""),
        ('quiet = "2s', 1, ""),
        ('[keep]\nlast = 1\nlast = 2', 3, "last"),
    ]

    def testDaemonIsStoppedWhateverBecameOfItsConfiguration(self):
        installation = self.protected(settings=AT_ONCE)
        installation.startDaemon()
        with open(installation.configurationFile, "a") as file:
            file.write('[nonsense]\nquite = "2s"\n')
        done = installation.attempt("stop")
        self.assertEqual((done.status, done.output), (DONE, b"the daemon was stopped\n"))
        self.assertIn("nonsense", done.errors)
        self.assertEqual(installation.daemon.wait(30), 0)
        self.assertIn(b"no daemon runs", installation.attempt("stop").output)

    def testDaemonOfAnotherConfigurationAnswersNothing(self):
        """Two configurations with the same places: what one daemon says is not true of the other's sources."""
        installation = self.protected(settings=AT_ONCE)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        other = f"{installation.directory}/other"
        write(f"{other}/source/file", "never saved")
        installation.attempt("init", f"{other}/source", "--repository", f"{other}/repository", "--config", f"{other}/config.toml")
        for command in ("status", "check", "snapshot", "snapshots", "verify", "start", "stop", "restart"):
            done = installation.attempt(command, "--config", f"{other}/config.toml")
            self.assertNotEqual(done.status, DONE, f"{command}: {done}")
            # `check` tells monitoring on standard output.
            said = done.output.decode() + done.errors
            self.assertIn("another configuration", said, command)
            self.assertIn("state and runtime", said, command)
        self.assertEqual(installation.status()["verdict"], "protected")
        # With places of its own it works beside the first.
        text = read(f"{other}/config.toml").decode()
        write(f"{other}/config.toml", f'state = "{other}/state"\nruntime = "{other}/state"\n' + text)
        self.assertTrue(installation.run("snapshot", "--json", "--config", f"{other}/config.toml")["taken"])
        self.assertEqual(installation.run("cat", f"{other}/source/file", "--config", f"{other}/config.toml"), "never saved")

    def testWrongConfigurationsAreNamedByFileLineAndKey(self):
        installation = self.install()
        good = read(installation.configurationFile).decode().split("\n[")[0] + "\n"
        before = good.count("\n")
        for lines, line, key in self.WRONG:
            with self.subTest(lines):
                write(installation.configurationFile, good + lines + "\n")
                place = f"{installation.configurationFile}:{before + line}:"
                message = self.failing(installation, FAILED, "config", "check", says=[place, key])
                self.assertEqual(message.count("\n"), 1, message)
        self.failing(installation, FAILED, "snapshot", says=[place])
        self.failingDaemon(installation, FAILED, installation.configurationFile)
        write(installation.configurationFile, good)
        installation.run("config", "check")

    def testMessagesNameTheValuesAllowed(self):
        installation = self.install()
        good = read(installation.configurationFile).decode().split("\n[")[0] + "\n"
        for lines, allowed in (('[watch]\nbackend = "x"', "inotify"), ('[schedule]\nx = 1', "minimum_gap"),
                               ('[compression]\nfast = "x"', "zstd"), ('[schedule]\nquiet = "x"', "ms, s, m, h, d")):
            write(installation.configurationFile, good + lines + "\n")
            self.failing(installation, FAILED, "config", "check", says=[allowed])

    def testConfigurationThatIsNoText(self):
        installation = self.install()
        for data in (b"\xff\xfe\x00", os.urandom(200), b"\0" * 100, b"", b"[" * 100_000, b"a=" + b"[" * 50_000):
            with self.subTest(data[:10]):
                write(installation.configurationFile, data)
                self.failing(installation, FAILED, "config", "check", says=[installation.configurationFile])

    def testReloadKeepsTheOldConfiguration(self):
        installation = self.protected(settings=AT_ONCE)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        good = read(installation.configurationFile)
        for number, way in enumerate(("signal", "command", "API")):
            with self.subTest(way):
                write(installation.configurationFile, good + b"\n[nonsense]\nx = 1\n")
                if way == "signal":
                    installation.daemon.send_signal(signal.SIGHUP)
                elif way == "command":
                    self.failing(installation, FAILED, "reload", says=["nonsense"])
                    installation.daemon.send_signal(signal.SIGHUP)
                else:
                    code, problem = installation.request("POST", "/v1/reload")
                    self.assertGreaterEqual(code, 400)
                    self.assertIn("nonsense", problem["detail"])
                status = installation.waitForStatus(lambda status: "configuration-invalid" in reasonCodes(status), "configuration-invalid")
                self.assertEqual(status["verdict"], "degraded")
                self.assertIn("nonsense", str(status["reasons"]))
                # It goes on backing up.
                latest = status["latest_snapshot"]["number"]
                write(f"{installation.source}/document", f"still saved {number}")
                installation.waitForSnapshot(latest + 1)
                self.assertIn("configuration-invalid", installation.run("status", expect=1))
                write(installation.configurationFile, good)
                installation.run("reload")
                status = installation.waitForStatus(lambda status: "configuration-invalid" not in reasonCodes(status), "the mended configuration")
                self.assertEqual(status["verdict"], "protected")

    def testReloadTakesNewSourcesAndExclusions(self):
        installation = self.protected(settings=AT_ONCE)
        added = f"{installation.home}/added"
        write(f"{added}/file", "new source")
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        text = read(installation.configurationFile).decode()
        text = re.sub(r"sources = \[", f'sources = ["{added}", ', text).replace(
            "[exclude]", '[exclude]\npatterns = ["folder/"]')
        write(installation.configurationFile, text)
        installation.run("reload")
        installation.waitForSnapshot(2)
        installation.snapshot()
        paths = [entry["path"] for entry in installation.run("ls", "-R", "/", "--json")]
        self.assertIn(f"{added}/file", paths)
        self.assertNotIn(f"{installation.source}/folder/photo", paths)
        self.assertIn(f"{installation.source}/folder/photo",
                      [entry["path"] for entry in installation.run("ls", "-R", "/", "--at", 1, "--json")])

    def testNoConfiguration(self):
        installation = self.install(initialize=False)
        for command in ("snapshot", "snapshots", "ls", "restore", "verify", "rotate", "start", "stop", "pause", "reload"):
            done = installation.attempt(command)
            self.assertEqual(done.status, FAILED, f"{command}: {done}")
            self.assertIn("watchctl init", done.errors)
        self.failing(installation, FAILED, "config", "check", says=[installation.configurationFile])
        self.failingDaemon(installation, FAILED, "watchctl init")
        self.assertEqual(os.listdir(installation.home), ["source"], "nothing was made")


class ControlTests(TroubleTestCase):
    def exchange(self, installation, data, limit=10):
        """Sends bytes to the socket and returns what comes back until the end or a full answer."""
        answer = b""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
            end.settimeout(limit)
            end.connect(installation.socketFile)
            try:
                end.sendall(data)
            except OSError:
                # It may refuse before everything is sent; its answer can be read all the same.
                pass
            try:
                end.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            try:
                while piece := end.recv(1 << 16):
                    answer += piece
            except OSError:
                pass
        return answer

    def assertProblem(self, answer, code):
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertRegex(head, rb"^HTTP/1\.1 %d " % code)
        self.assertIn(b"application/problem+json", head.lower())
        problem = json.loads(re.search(rb"\{.*\}", body, re.DOTALL)[0])
        self.assertEqual(problem["status"], code)
        for member in ("title", "detail"):
            self.assertTrue(problem[member])

    def post(self, path, body, kind=b"application/json"):
        return (b"POST %s HTTP/1.1\r\nHost: watchd\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
                % (path, kind, len(body), body))

    def testHostileRequestsAreSurvived(self):
        installation = self.protected(settings=AT_ONCE)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        get = b"GET %s HTTP/1.1\r\nHost: watchd\r\nConnection: close\r\n\r\n"
        for path in (b"/v1/nothing", b"/", b"/v1/../../etc/passwd", b"/v1/snapshots"):
            with self.subTest(path):
                self.assertProblem(self.exchange(installation, get % path), 404)
        for body in (b"{", b"[]", b"null", b"12", b'"text"', b'{"full": "yes"}', b"\xff\xfe", b"[" * 60_000, b'{"full": 1e999}'):
            with self.subTest(body[:20]):
                self.assertProblem(self.exchange(installation, self.post(b"/v1/snapshots", body)), 400)
        for path, body in ((b"/v1/pause", b'{"seconds": -5}'), (b"/v1/pause", b'{"seconds": 1e300}'),
                           (b"/v1/remarks", b""), (b"/v1/remarks", b'{"action": "explode", "snapshot": 1, "text": ""}'),
                           (b"/v1/keys", b"{}"), (b"/v1/verify", b'{"depth": "deep", "share": 2}')):
            with self.subTest(body):
                self.assertProblem(self.exchange(installation, self.post(path, body)), 400)
        with self.subTest("too large"):
            self.assertProblem(self.exchange(installation, self.post(b"/v1/snapshots", b" " * 200_000)), 413)
        # What is not HTTP, or never ends, gets no answer or a refusal; all that counts is that the daemon goes on.
        for data in (os.urandom(5000), b"\0" * 5000, b"GET " + b"a" * 500_000, b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 100_000,
                     b"POST /v1/snapshots HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
                     b"POST /v1/snapshots HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}",
                     b"POST /v1/snapshots HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                     b"POST /v1/snapshots HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{", b"\r\n" * 1000):
            with self.subTest(data[:30]):
                answer = self.exchange(installation, data, limit=2)
                self.assertFalse(answer.startswith(b"HTTP/1.1 2"), answer[:200])
        self.assertIsNone(installation.daemon.poll(), installation.logTail())
        write(f"{installation.source}/after", "all that")
        self.assertTrue(installation.snapshot()["number"] >= 2)
        self.assertEqual(installation.status()["verdict"], "protected")

    def testManyIdleConnectionsDoNotKeepOthersOut(self):
        installation = self.protected()
        installation.startDaemon()
        idle = []
        try:
            for _ in range(200):
                end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                end.connect(installation.socketFile)
                end.sendall(b"GET /v1/sta")
                idle.append(end)
            code, status = installation.request("GET", "/v1/status")
            self.assertEqual((code, status["schema"]), (200, 1))
        finally:
            for end in idle:
                end.close()

    def testFilesAreForTheirOwnerAlone(self):
        before = os.umask(0)
        try:
            installation = self.install(initialize=False)
            runtime = f"{installation.directory}/run"
            os.mkdir(runtime, 0o700)
            installation.environment["XDG_RUNTIME_DIR"] = runtime
            installation.socketFile = f"{runtime}/auto-backup/control.sock"
            installation.run("init", installation.source, "--repository", installation.repository)
            write(f"{installation.source}/file", "content")
            installation.startDaemon()
            installation.waitForSnapshot(1)
            installation.run("ls")
        finally:
            os.umask(before)
        folders = [os.path.dirname(installation.configurationFile), installation.state, f"{runtime}/auto-backup", installation.repository]
        looked = 0
        for top in folders:
            self.assertEqual(os.stat(top).st_mode & 0o777, 0o700, top)
            for folder, directories, names in os.walk(top):
                for name in directories + names:
                    path = os.path.join(folder, name)
                    self.assertEqual(os.lstat(path).st_mode & 0o077, 0, f"{path} is open to others")
                    looked += 1
        self.assertGreater(looked, 8)
        for file in (installation.keyFile, installation.configurationFile, installation.socketFile):
            self.assertEqual(os.stat(file).st_mode & 0o777, 0o600, file)

    @unittest.skipUnless(ROOT and shutil.which("setpriv"), "needs root and setpriv to become another user")
    def testOtherUsersGetNothing(self):
        installation = self.protected(settings=AT_ONCE)
        installation.startDaemon()
        # The socket's mode is set right after it is made: a snapshot comes later than that.
        write(f"{installation.source}/document", "second")
        installation.waitForSnapshot(2)
        # Even when somebody opened the directories and the socket by mistake.
        for path in (installation.directory, installation.home, f"{installation.home}/.local", f"{installation.home}/.local/state",
                     installation.state):
            os.chmod(path, 0o755)
        os.chmod(installation.socketFile, 0o777)
        program = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])\n"
                   "try:\n s.sendall(b'GET /v1/status HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'); d = s.recv(9999)\n"
                   "except OSError: d = b''\nsys.stdout.write(repr(d))")
        done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "python3", "-c", program,
                               installation.socketFile], stdout=subprocess.PIPE, cwd="/", check=True)
        self.assertNotIn(b"verdict", done.stdout)
        self.assertNotIn(b" 200 ", done.stdout)
        self.assertEqual(installation.request("GET", "/v1/status")[0], 200)


if __name__ == "__main__":
    unittest.main()

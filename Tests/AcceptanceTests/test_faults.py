#!/usr/bin/env python3
"""Whatever call to a source, the repository, the state or a restore's target fails, and however: nothing is lost or wrong.

In:  faults.py, an installation with three snapshots and something new; each call of each command, each way in which it can fail.
Out: a source's error is that file's, and the rest is saved; a repository's error fails the command, with the path and the reason; no
     command dies; and once the fault is gone everything works, equals the tree, and is sound.
The short form takes a sample with a fixed seed, the long form all.
"""
import collections
import errno
import json
import os
import shutil
import subprocess
import sys
import unittest

from faults import SHORT, SLOW, Fault, Faults, describe, report, ways
from installation import (AT_ONCE, DAMAGED, DONE, FAILED, LONG, NO_REPOSITORY, PARTIAL, InstallationTestCase, compiler, differences,
                          fingerprint, mayMount, reasonCodes, removeTree, seededRandom, write)
from test_rotation import keeping
from trees import noise, punch, setAttribute

SAMPLE = 12                                            # faults of each case in the short form


def tearDownModule():
    Faults.forget()


@unittest.skipUnless(compiler(), "needs a C compiler")
class FaultTestCase(InstallationTestCase):
    def setUp(self):
        self.random = seededRandom(self.id().split(".", 1)[1])
        self.installation = installation = self.install(settings=keeping("last = 20"))
        self.source, self.target = installation.source, f"{installation.directory}/target"
        self.moments = {}
        write(f"{self.source}/first", "first")
        write(f"{self.source}/folder/large", noise(self.random, 700_000))
        write(f"{self.source}/folder/inner/deep", "deep")
        punch(f"{self.source}/sparse", [(1 << 20, b"island")], 2 << 20)
        os.symlink("first", f"{self.source}/link")
        os.link(f"{self.source}/first", f"{self.source}/second name")
        os.mkfifo(f"{self.source}/pipe")
        setAttribute(f"{self.source}/folder/large", "user.note", b"kept")
        self.take()
        for number in (2, 3):
            write(f"{self.source}/folder/changes", b"%d " % number + noise(self.random, 3000))
            write(f"{self.source}/passing {number}", b"%d" % number)
            if number == 3:
                os.unlink(f"{self.source}/passing 2")
            self.take()
        write(f"{self.source}/folder/changes", noise(self.random, 3000))
        write(f"{self.source}/new/file", "new")
        write(f"{self.source}/new/large", noise(self.random, 300_000))
        os.unlink(f"{self.source}/passing 3")
        # What this machine remembers: a rollback would be noticed, and a key was exported.
        installation.run("key", "export")
        self.tree = fingerprint(self.source)
        self.saved = f"{installation.directory}/saved"
        for place in (installation.repository, installation.state):
            shutil.copytree(place, self.saved + place)
        self.problems, self.counts = [], collections.Counter()

    def take(self):
        self.moments[self.installation.snapshot()["number"]] = fingerprint(self.source)

    def reset(self):
        for place in (self.installation.repository, self.installation.state):
            removeTree(place)
            shutil.copytree(self.saved + place, place)
        removeTree(self.target)

    # The cases

    def each(self, below, command, check, allowed, **more):
        """Runs a command with each fault below a path, and looks at what is there then.

        check:   is called with the finished command, and says what is wrong, line by line.
        allowed: exit statuses.
        """
        faults = Faults(self.installation, below)
        self.reset()
        faults.order()
        done = self.installation.attempt(*command, environment=faults.environment, **more)
        self.assertEqual(done.status, DONE, done.errors)
        calls = faults.calls
        orders = [Fault(kind, at, how, ever) for kind, count in calls.items() for how, ever in ways(kind) for at in range(1, count + 1)]
        if not LONG:
            # Syncs are few, and all that stands between a snapshot and a power cut: none is left to chance.
            orders = [order for order in orders if order.kind == "sync" and order.how == errno.EIO] + self.random.sample(orders, min(SAMPLE, len(orders)))
        for fault in orders:
            self.reset()
            faults.order(fault)
            done = self.installation.attempt(*command, environment=faults.environment, **more)
            hit, path = faults.failed, faults.path
            faults.order()
            wrong = []
            # Threads may have done without the call that was to fail.
            if done.status not in (allowed if hit else (DONE,)):
                wrong.append(f"exit status {done.status}")
            # Whatever stands there now, nobody knows whether it is on the disk.
            if done.status == DONE and fault.kind == "sync" and hit and fault.how != errno.EINTR:
                wrong.append("an fsync that failed was ignored")
            if done.status != DONE:
                wrong += self.wrongMessage(done.errors + done.output.decode("utf-8", "replace"), fault, path)
            if "Fatal error" in done.errors:
                wrong.append("trap")
            if done.status != DONE and fault.how in (SHORT, SLOW, errno.EINTR):
                wrong.append("this is no failure")
            wrong += check(done, path) + self.wrongAfterwards()
            self.counts["faults" if hit else "not reached"] += 1
            if hit:
                self.counts[f"exit {done.status}"] += 1
            if wrong:
                said = done.errors.strip() or done.output.decode("utf-8", "replace").strip()
                self.problems.append(f"{command[0]}, {describe(fault)} at {path[len(below):]!r}: {'; '.join(wrong)}\n    {done.status} {said}")
        place = "state" if below == self.installation.state else os.path.basename(below)
        name = f"{' '.join(part for part in command if '/' not in part)}, {place}"
        self.counts["calls"] = sum(calls.values())
        print(f"{name}: {dict(self.counts)}", file=sys.stderr, flush=True)
        report("faults", {name: self.counts})
        self.counts.clear()

    def wrongMessage(self, errors, fault, path):
        wrong = []
        said = [os.strerror(fault.how)] if isinstance(fault.how, int) else []
        # SQLite has words of its own, and so has rotation.
        said += ["disk I/O error", "database or disk is full", "unable to open database file", "readonly database",
                 "database disk image is malformed"] if "catalog.sqlite" in errors else []
        said += ["not enough free space"] if fault.how == errno.ENOSPC else []
        if not any(text.lower() in errors.lower() for text in said):
            wrong.append(f"{said[0]!r} is not said" if said else "nothing is said")
        if self.installation.directory not in errors:
            wrong.append("no path is named")
        return wrong

    def wrongAfterwards(self):
        """What does not work once the fault is gone."""
        wrong = []
        done = self.installation.attempt("verify", "--data")
        if done.status != DONE:
            wrong.append(f"verify afterwards: {done.status} {done.output.decode()} {done.errors}")
        done = self.installation.attempt("snapshot")
        if done.status != DONE:
            wrong.append(f"snapshot afterwards: {done.status} {done.errors}")
        wrong += self.wrongRestore("latest", self.tree)
        with open(f"{self.installation.state}/anchor.json") as file:
            remembered = json.load(file)
        if not remembered["key_exported"] or remembered["expected_snapshot"] < 3 or remembered["highest_archive"] < 3:
            wrong.append(f"forgotten: {remembered}")
        left = [name for name in self.installation.archives() if not name.endswith(".enc")]
        if left:
            wrong.append(f"left over: {left}")
        return wrong

    def wrongRestore(self, number, tree, isLeftOut=lambda path: False):
        """isLeftOut: True for paths (as bytes, absolute) that may be older or missing."""
        target = f"{self.installation.directory}/check"
        removeTree(target)
        done = self.installation.attempt("restore", "--at", number, "--to", target)
        wrong = [f"restore of {number}: {done.status} {done.errors}"] if done.status != DONE else []
        found = fingerprint(self.installation.restored(target)) if os.path.exists(target) else {}
        left = [path for path in tree.keys() | found.keys() if isLeftOut(self.source.encode() + b"/" + path)]
        tree, found = ({path: item for path, item in one.items() if path not in left} for one in (tree, found))
        return wrong + [f"restore of {number}: {line}" for line in differences(tree, found, ignore=("mtime", "links", "allocated") if left else ("allocated",))]

    def tearDown(self):
        if self.problems:
            self.fail(f"{len(self.problems)} problems:\n" + "\n".join(self.problems[:60]))

    # The checks

    def checkSnapshot(self, done, path):
        """Taken, it is complete."""
        return [] if done.status != DONE else self.wrongRestore("latest", self.tree)

    def checkSource(self, done, path):
        """All is saved but what is named."""
        if done.status == DONE:
            return self.wrongRestore("latest", self.tree)
        if done.status != PARTIAL:
            return []
        named = [line.split(": ")[1].encode() for line in done.errors.splitlines() if line.count(": ") >= 2]
        place = path.encode()
        wrong = [] if any(beneath(place, one) or beneath(one, place) for one in named) else [f"{path} is not named, but {named}"]
        # What lies below a directory that is named may be older, too.
        return wrong + self.wrongRestore("latest", self.tree, lambda path: any(beneath(path, one) for one in named))

    def checkRestore(self, done, path):
        """Everything, or no file with a wrong content."""
        found = fingerprint(self.installation.restored(self.target)) if os.path.exists(self.installation.restored(self.target)) else {}
        expected = self.moments[3]
        if done.status == DONE:
            return differences(expected, found)
        return [f"{name}: wrong content" for name, item in found.items()
                # What cannot be finished and not be removed has a name of its own.
                if item.type == "file" and b".auto-backup-" not in name and (name not in expected or item.digest != expected[name].digest)]

    def checkNothing(self, done, path):
        """Whoever only looks leaves nothing."""
        return []

    def checkOldOnes(self, done, path):
        """Every snapshot that is still listed is as it was."""
        numbers = self.installation.numbers()
        return [line for number in numbers for line in self.wrongRestore(number, self.moments[number])]


def beneath(path, directory):
    return path == directory or path.startswith(directory + b"/")


class SnapshotTests(FaultTestCase):
    def testSource(self):
        self.each(self.source, ["snapshot"], self.checkSource, (DONE, PARTIAL))

    def testSourceOfAFullOne(self):
        self.each(self.source, ["snapshot", "--full", "--rehash"], self.checkSource, (DONE, PARTIAL))

    def testRepository(self):
        self.each(self.installation.repository, ["snapshot"], self.checkSnapshot, (DONE, FAILED, NO_REPOSITORY, DAMAGED))

    def testState(self):
        self.each(self.installation.state, ["snapshot"], self.checkSnapshot, (DONE, FAILED))


    def testWhatAFileDoesNotTellOfItself(self):
        """Whether a question for its attributes or its flags: the answer that was known stays. No answer was taken for "no flags" once."""
        path = f"{self.source}/folder/changes"
        hasFlags = subprocess.run(["chattr", "+A", path], stderr=subprocess.DEVNULL).returncode == 0
        setAttribute(path, "user.note", b"kept")
        self.take()
        write(path, noise(self.random, 3000))
        faults = Faults(self.installation, path)
        for number in range(1, 100):
            faults.order(Fault("attribute", number, errno.EIO, False))
            done = self.installation.attempt("snapshot", "--full", environment=faults.environment)
            if not faults.failed:
                break
            self.assertEqual(done.status, PARTIAL, done)
            self.assertIn(f"{path}: cannot be asked for its ", done.errors)
            target = f"{self.installation.directory}/check"
            removeTree(target)
            self.installation.run("restore", "--to", target)
            found = self.installation.restored(target, path)
            self.assertEqual(os.getxattr(found, "user.note"), b"kept")
            if hasFlags:
                self.assertIn("A", subprocess.run(["lsattr", found], stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0])
        self.assertGreater(number, 3)


class RestoreTests(FaultTestCase):
    def testRepository(self):
        self.each(self.installation.repository, ["restore", "--to", self.target], self.checkRestore, (DONE, FAILED, PARTIAL))

    def testTarget(self):
        self.each(self.target, ["restore", "--to", self.target], self.checkRestore, (DONE, FAILED, PARTIAL))


class RotateTests(FaultTestCase):
    def setUp(self):
        super().setUp()
        self.installation.configure(keeping("last = 1"))

    def testRepository(self):
        self.each(self.installation.repository, ["rotate"], self.checkOldOnes, (DONE, FAILED, PARTIAL))

    def testState(self):
        self.each(self.installation.state, ["rotate"], self.checkOldOnes, (DONE, FAILED, PARTIAL))


class VerifyTests(FaultTestCase):
    def testRepository(self):
        self.each(self.installation.repository, ["verify", "--data"], self.checkNothing, (DONE, FAILED, DAMAGED))


@unittest.skipUnless(compiler(), "needs a C compiler")
class DaemonTests(InstallationTestCase):
    """The same faults under a running daemon, which goes on by itself when they end."""

    def testRepositoryThatFailsForAWhile(self):
        installation = self.install(settings=AT_ONCE)
        write(f"{installation.source}/file", "first")
        faults = Faults(installation, installation.repository)
        faults.order()
        installation.environment.update(faults.environment)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        for kind, how, code in (("write", errno.EIO, "snapshot-failing"), ("create", errno.EACCES, "repository-readonly"),
                                ("sync", errno.ENOSPC, "repository-full"), ("link", errno.EROFS, "repository-readonly")):
            with self.subTest(kind):
                # The repository's lock is held: only what is written now fails.
                faults.order(Fault(kind, 1, how, True))
                write(f"{installation.source}/{kind}", kind)
                status = installation.waitForStatus(lambda status: code in reasonCodes(status), code)
                self.assertEqual(status["verdict"], "unprotected")
                self.assertIn(installation.repository, str(status["reasons"]))
                faults.order()
                number = installation.snapshot()["number"]
                installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection again")
                self.assertEqual(installation.run("cat", f"{installation.source}/{kind}", "--at", number), kind)
        installation.stopDaemon()
        installation.run("verify", "--data")


def mapper():
    """Why device mapper cannot be used; empty when it can."""
    if not mayMount() or not shutil.which("dmsetup"):
        return "needs root, mounts and dmsetup"
    if not os.path.exists("/dev/mapper/control") or subprocess.run(["dmsetup", "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        return "this kernel has no device mapper"
    return ""


@unittest.skipUnless(mayMount() and shutil.which("mkfs.ext4"), "needs the permission to mount, and mkfs.ext4")
class DeviceTests(InstallationTestCase):
    """Errors that come from the kernel itself. Full and read-only disks: test_trouble."""

    def begin(self, device, mount):
        """An installation with its repository on a disk of ext4, and two snapshots; the second has its own archives."""
        self.random = seededRandom(self.id().split(".", 1)[1])
        self.installation = installation = self.install(initialize=False)
        self.disk = f"{installation.directory}/disk"
        os.mkdir(self.disk)
        device = device()
        subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", device], check=True)
        subprocess.run([*mount, device, self.disk], check=True)
        installation.mounts.append(self.disk)
        installation.repository = f"{self.disk}/repository"
        installation.run("init", installation.source, "--repository", installation.repository, "--quiet")
        installation.configure("")
        write(f"{installation.source}/early", noise(self.random, 100_000))
        installation.snapshot()
        self.before = fingerprint(installation.source)
        os.sync()
        write(f"{installation.source}/late", noise(self.random, 24_000_000))
        return device

    def assertRestores(self, number, tree):
        target = f"{self.installation.directory}/target"
        removeTree(target)
        self.installation.restore(number, target)
        self.assertSameTree(tree, self.installation.restored(target))

    def again(self, device, mount):
        """The disk is taken away and comes back, looked over as after a crash."""
        self.installation.unmount(self.disk)
        subprocess.run(["e2fsck", "-p", "-f", device], stdout=subprocess.DEVNULL)
        subprocess.run([*mount, device, self.disk], check=True)
        self.installation.mounts.append(self.disk)

    def assertFailsAndGoesOn(self, spoil, mend):
        """A snapshot to a disk that refuses to write fails, and everything is there when it does no more."""
        spoil()
        done = self.installation.attempt("snapshot")
        self.assertEqual(done.status, FAILED, done)
        self.assertIn(self.installation.repository, done.errors)
        mend()
        self.assertRestores(1, self.before)
        self.assertEqual(self.installation.snapshot()["number"], 2)
        self.assertRestores("latest", fingerprint(self.installation.source))
        self.installation.run("verify", "--data")

    def testDiskBehindWhichNoRoomIsLeft(self):
        """A thin disk that promises more than there is: the kernel takes all writes, and fails the fsync."""
        pool = f"{self.install(initialize=False).directory}/pool"
        mount = ["mount", "-o", "loop"]

        def device():
            self.installation.mount(pool, size="16m")
            with open(f"{pool}/image", "wb") as file:
                file.truncate(128 << 20)
            return f"{pool}/image"

        image = self.begin(device, mount)

        def mend():
            subprocess.run(["mount", "-o", "remount,size=160m", pool], check=True)
            self.again(image, mount)

        self.assertFailsAndGoesOn(lambda: None, mend)
        report("faults", {"device without room behind it": {"faults": 1}})

    def testDiskThatCannotBeReadAnyMore(self):
        """The end of the disk is gone: reading there is an I/O error, and costs only the files that stand there."""
        directory = self.install(initialize=False).directory
        mount = ["mount", "-o", "loop"]

        def device():
            with open(f"{directory}/image", "wb") as file:
                file.truncate(96 << 20)
            return f"{directory}/image"

        image = self.begin(device, mount)
        installation = self.installation
        installation.snapshot()
        os.sync()
        archive, = [name for name in installation.archives() if "incremental" in name]
        path = f"{installation.repository}/archives/{archive}"
        place = self.place(path)
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        size = os.path.getsize(image)
        os.truncate(image, place + (4 << 20))
        done = installation.attempt("verify", "--data")
        self.assertEqual(done.status, DAMAGED, done)
        for text in (archive, f"{installation.source}/late"):
            self.assertIn(text, done.output.decode() + done.errors)
        target = f"{installation.directory}/partly"
        done = installation.attempt("restore", "--to", target)
        self.assertEqual(done.status, PARTIAL, done)
        self.assertIn("/late", done.errors)
        self.assertFalse(os.path.exists(installation.restored(target, f"{installation.source}/late")))
        with open(installation.restored(target, f"{installation.source}/early"), "rb") as file:
            self.assertEqual(len(file.read()), 100_000)
        self.assertRestores(1, self.before)
        os.truncate(image, size)
        report("faults", {"device that cannot be read": {"faults": 1}})

    def place(self, path):
        """Where a file's longest part lies on its disk. Source: filefrag(8)."""
        told = subprocess.run(["filefrag", "-v", "-b4096", path], stdout=subprocess.PIPE, check=True).stdout.decode()
        parts = [line.replace("..", " ").replace(":", " ").split() for line in told.splitlines() if line.strip()[:1].isdigit()]
        return max((int(part[5]), int(part[3])) for part in parts)[1] * 4096

    @unittest.skipIf(mapper(), mapper() or "device mapper is there")
    def testDeviceThatRefusesEverything(self):
        """Device mapper's target `error`, in the place of a sound one, and back."""
        directory = self.install(initialize=False).directory
        mount = ["mount"]
        name = f"ab-test-{os.getpid()}"
        sectors = (96 << 20) // 512

        def device():
            with open(f"{directory}/image", "wb") as file:
                file.truncate(sectors * 512)
            self.loop = subprocess.run(["losetup", "--find", "--show", f"{directory}/image"], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
            self.addCleanup(subprocess.run, ["losetup", "--detach", self.loop])
            subprocess.run(["dmsetup", "create", name, "--table", f"0 {sectors} linear {self.loop} 0"], check=True)
            self.addCleanup(subprocess.run, ["dmsetup", "remove", "--force", name])
            # First of all, when the test ends.
            self.addCleanup(self.installation.close)
            return f"/dev/mapper/{name}"

        def load(table):
            for step in (["suspend", "--noflush", name], ["load", name, "--table", table], ["resume", name]):
                subprocess.run(["dmsetup", *step], check=True)

        place = self.begin(device, mount)

        def mend():
            load(f"0 {sectors} linear {self.loop} 0")
            self.again(place, mount)

        self.assertFailsAndGoesOn(lambda: load(f"0 {sectors} error"), mend)
        report("faults", {"device that refuses everything": {"faults": 1}})


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""The ways to record a snapshot: incremental, full, read again, standalone, tagged; and what each adds to the repository."""
import mmap
import os
import shutil
import time
import unittest

from installation import DAMAGED, LONG, InstallationTestCase, fingerprint, read, seededRandom
from trees import Changer, noise, put, text

MEBIBYTE = 1 << 20


class RecordingTests(InstallationTestCase):

    def begin(self, daemon=False, files=8):
        self.random = seededRandom("recording")
        # A long quiet period: only what a test asks for is taken.
        self.installation = self.install(settings='[schedule]\nquiet = "1h"\ndeadline = "2h"\n')
        self.source = self.installation.source
        os.makedirs(os.path.join(self.source, "folder"))
        for number in range(files):
            put(self.path(f"folder/{number}.txt"), text(self.random, 9000 * number))
        if daemon:
            self.installation.startDaemon()
            self.installation.waitForSnapshot(1)
        else:
            self.installation.snapshot()

    def path(self, name):
        return os.path.join(self.source, name)

    def target(self, name):
        return os.path.join(self.installation.directory, name)

    def checkRestored(self, number, expected=None):
        target = self.target(f"restored-{number}")
        self.installation.restore(number, target)
        self.assertSameTree(expected or fingerprint(self.source), self.installation.restored(target))

    def added(self, *arguments):
        """Takes a snapshot; returns its JSON and by how many bytes the repository grew."""
        before = self.installation.archiveBytes()
        outcome = self.installation.snapshot(*arguments)
        return outcome, self.installation.archiveBytes() - before

    def eachWay(self, check):
        """With the daemon doing the work, and with the command itself."""
        for daemon in (False, True):
            with self.subTest(daemon=daemon):
                self.begin(daemon)
                check()
                self.installation.close()

    def testNothingChanged(self):
        def check():
            outcome, growth = self.added()
            self.assertFalse(outcome["taken"])
            self.assertEqual(growth, 0)
            self.assertEqual(self.installation.numbers(), [1])
            self.assertIn("nothing has changed", self.installation.run("snapshot"))
            # Only looked at: no change.
            read(self.path("folder/3.txt"))
            os.utime(self.path("folder/3.txt"), ns=(5, os.stat(self.path("folder/3.txt")).st_mtime_ns))
            self.assertFalse(self.installation.snapshot()["taken"])
        self.eachWay(check)

    def testFullAlwaysAddsOne(self):
        def check():
            outcome, growth = self.added("--full")
            self.assertEqual((outcome["taken"], outcome["kind"], outcome["number"]), (True, "full", 2))
            self.assertLess(growth, 20_000)
            put(self.path("new"), b"new")
            self.assertEqual(self.installation.snapshot()["kind"], "incremental")
            os.unlink(self.path("folder/2.txt"))
            self.assertEqual(self.installation.snapshot("--full")["number"], 4)
            self.assertEqual([snapshot["kind"] for snapshot in self.installation.snapshots()], ["full", "full", "incremental", "full"])
            self.checkRestored(4)
        self.eachWay(check)

    def testTags(self):
        def check():
            put(self.path("new"), b"new")
            self.assertEqual(self.installation.snapshot("--tag", "before the change")["number"], 2)
            self.assertFalse(self.installation.snapshot("--tag", "again")["taken"])
            tags = {snapshot["number"]: snapshot["tags"] for snapshot in self.installation.snapshots()}
            self.assertEqual(tags, {1: [], 2: ["again", "before the change"]} if tags[2][0] == "again"
                             else {1: [], 2: ["before the change", "again"]})
        self.eachWay(check)

    def testRehashFindsWhatLeftNoTrace(self):
        """A write through a mapping made before leaves times and size as they are on a tmpfs, and no event."""
        def check():
            path = self.path("mapped")
            put(path, b"a" * 10_000)
            with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as content:
                content[0:1] = b"b"
                self.installation.snapshot()
                # Older than the clock's step by now: its times are trusted at the next comparison.
                time.sleep(0.2)
                self.installation.snapshot("--full")
                before = os.stat(path)
                content[500:503] = b"bad"          # the same page: only its first write is noted
                after = os.stat(path)
                if (before.st_mtime_ns, before.st_ctime_ns) != (after.st_mtime_ns, after.st_ctime_ns):
                    self.skipTest("this file system notes writes through mappings")
                self.assertFalse(self.installation.snapshot()["taken"])
                full = self.installation.snapshot("--full")["number"]
                self.assertEqual(self.installation.attempt("cat", path, "--at", full).output, b"b" + b"a" * 9_999)
                outcome = self.installation.snapshot("--rehash")
                self.assertTrue(outcome["taken"], outcome)
                self.assertEqual(self.installation.attempt("cat", path).output, read(path))
                self.checkRestored(outcome["number"])
        self.eachWay(check)

    def testRehashOfWhatIsUnchangedAddsNothing(self):
        self.begin()
        put(self.path("large"), noise(self.random, 3_000_000))
        self.installation.snapshot()
        outcome, growth = self.added("--rehash")
        self.assertLess(growth, 20_000)
        outcome, growth = self.added("--full", "--rehash")
        self.assertEqual(outcome["kind"], "full")
        self.assertLess(growth, 20_000)

    def testStandaloneNeedsNothingOlder(self):
        def check():
            changer = Changer(self.source, self.random, largest=30_000, spared=["large"])
            put(self.path("large"), noise(self.random, 2_000_000))
            self.installation.snapshot()
            changer.change(10)
            self.installation.snapshot()
            older = set(self.installation.archives())
            outcome, growth = self.added("--full", "--standalone")
            self.assertGreater(growth, 2_000_000)
            expected = fingerprint(self.source)
            changer.change(10)
            following = self.installation.snapshot()["number"]
            newest = fingerprint(self.source)
            self.installation.run("verify", "--data")
            self.checkRestored(outcome["number"], expected)
            # In a copy of the repository, everything older is lost.
            copy = self.target("copy")
            shutil.copytree(self.installation.repository, copy)
            for name in older:
                os.unlink(os.path.join(copy, "archives", name))
            self.installation.repository = copy
            for number, tree in ((outcome["number"], expected), (following, newest)):
                target = self.target(f"recovered-{number}")
                self.installation.recover(number, target)
                self.assertSameTree(tree, self.installation.restored(target))
            # Then also here; a restore by the program itself needs no more either.
            self.installation.repository = self.target("repository")
            for name in older:
                os.unlink(os.path.join(self.installation.repository, "archives", name))
            target = self.target("without older ones")
            self.installation.restore(outcome["number"], target, expect=(0, 3))
            self.assertSameTree(expected, self.installation.restored(target))
            self.assertEqual(self.installation.attempt("verify").status, DAMAGED)
        self.eachWay(check)

    def testACopyAddsNothing(self):
        self.begin(daemon=True)
        put(self.path("original"), noise(self.random, 20 * MEBIBYTE))
        outcome, growth = self.added()
        self.assertGreater(growth, 20 * MEBIBYTE - 1)
        shutil.copyfile(self.path("original"), self.path("copy"))
        # Shifted, too: cuts follow the content.
        put(self.path("shifted"), b"in front" + read(self.path("original")))
        outcome, growth = self.added()
        self.assertTrue(outcome["taken"])
        self.assertLess(growth, 2 * MEBIBYTE)
        os.rename(self.path("original"), self.path("folder/renamed"))
        outcome, growth = self.added()
        self.assertLess(growth, MEBIBYTE // 2)
        self.checkRestored(outcome["number"])

    def testASmallEditInALargeFile(self):
        size = (200 if LONG else 40) * MEBIBYTE
        self.begin(daemon=True)
        path = self.path("image")
        with open(path, "wb") as file:
            for _ in range(size // MEBIBYTE):
                file.write(noise(self.random, MEBIBYTE))
        self.installation.snapshot()
        with open(path, "r+b") as file:
            file.seek(size // 2)
            file.write(noise(self.random, 4096))
        outcome, growth = self.added()
        self.assertLess(growth, 2 * MEBIBYTE)
        self.assertEqual(outcome["entries_changed"], 1)
        with open(path, "r+b") as file:
            file.truncate(size - 1000)
        outcome, growth = self.added()
        self.assertLess(growth, 2 * MEBIBYTE)
        with open(path, "ab") as file:
            file.write(noise(self.random, 4096))
        outcome, growth = self.added()
        self.assertLess(growth, 2 * MEBIBYTE)
        self.checkRestored(outcome["number"])

    def testBytesAddedIsWhatTheRepositoryGrewBy(self):
        """But for the archive's own table of contents, which holds the number."""
        self.begin()
        for data in (b"", noise(self.random, 100), text(self.random, 60_000), noise(self.random, 300_000), text(self.random, 3_000_000)):
            put(self.path(f"new-{len(data)}"), data)
            outcome, growth = self.added()
            self.assertAlmostEqual(outcome["bytes_added"], growth, delta=2000)
            self.assertEqual(self.installation.snapshots()[-1]["bytes_added"], outcome["bytes_added"])

    def testSeveralSources(self):
        """One snapshot holds all of them; a file moved from one to another is not stored again."""
        installation = self.install(sources=("one", "two"))
        first, second = installation.sources
        random = seededRandom("several sources")
        put(os.path.join(first, "file"), noise(random, 3_000_000))
        os.mkdir(os.path.join(second, "folder"))
        put(os.path.join(second, "other"), noise(random, 5000))
        installation.snapshot()
        before = installation.archiveBytes()
        os.rename(os.path.join(first, "file"), os.path.join(second, "folder/moved"))
        os.link(os.path.join(second, "other"), os.path.join(first, "linked"))
        number = installation.snapshot()["number"]
        self.assertLess(installation.archiveBytes() - before, 20_000)
        target = os.path.join(installation.directory, "out")
        installation.restore(number, target)
        for source in (first, second):
            self.assertSameTree(fingerprint(source), installation.restored(target, source))
        self.assertTrue(os.path.samefile(target + first + "/linked", target + second + "/other"))


if __name__ == "__main__":
    unittest.main()

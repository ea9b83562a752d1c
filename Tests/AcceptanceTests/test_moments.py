#!/usr/bin/env python3
"""Every moment comes back exactly: a tree with everything, random changes under a running daemon, and all ways to restore."""
import base64
import hashlib
import os
import unittest

from installation import LONG, PARTIAL, FAILED, InstallationTestCase, differences, fingerprint, read, removeTree, seededRandom
from trees import Changer, makeEverything, noise, put

# Eager, so that the daemon takes snapshots of its own in the middle of the changes.
EAGER = '[schedule]\nquiet = "50ms"\ndeadline = "500ms"\nminimum_gap = "500ms"\n'


class MomentTests(InstallationTestCase):
    """One history with several moments, and everything that is asked of it."""

    def testEveryMomentIsRestoredExactly(self):
        random = seededRandom("moments")
        installation = self.install(settings=EAGER)
        makeEverything(installation.source, random)
        installation.startDaemon()
        installation.waitForSnapshot(1)
        moments = {1: fingerprint(installation.source)}
        changer = Changer(installation.source, random)
        for _ in range(20 if LONG else 3):
            changer.change(300 if LONG else 120)
            outcome = installation.snapshot()
            moments[outcome["number"]] = fingerprint(installation.source)
        status = installation.status()
        self.assertEqual(status["verdict"], "protected", status["reasons"])
        self.assertGreater(len(installation.numbers()), len(moments) - 1)
        if not LONG:
            self.assertEqual(status["watch"]["overflows"], 0)

        for number, expected in moments.items():
            with self.subTest("watchctl restore", number=number):
                target = os.path.join(installation.directory, f"restored-{number}")
                installation.restore(number, target)
                self.assertSameTree(expected, installation.restored(target), f"snapshot {number}")
                removeTree(target)
            with self.subTest("recover.py", number=number):
                target = os.path.join(installation.directory, f"recovered-{number}")
                installation.recover(number, target)
                self.assertSameTree(expected, installation.restored(target), f"snapshot {number}")
                removeTree(target)
        with self.subTest("verify"):
            installation.run("verify", "--data")
        for number in (min(moments), max(moments)):
            with self.subTest("ls and cat", number=number):
                self.checkListing(installation, number, moments[number])
                self.checkContent(installation, number, moments[number], random)
        with self.subTest("without daemon and catalog"):
            installation.stopDaemon()
            installation.removeCatalog()
            number = sorted(moments)[len(moments) // 2]
            target = os.path.join(installation.directory, "rebuilt")
            installation.restore(number, target)
            self.assertSameTree(moments[number], installation.restored(target))

    def checkListing(self, installation, number, expected):
        """`ls -R --json` names exactly what is there, with type, mode, owner and size."""
        listed = {}
        for element in installation.run("ls", installation.source, "-R", "--json", "--at", number):
            path = base64.b64decode(element["path_base64"]) if "path_base64" in element else element["path"].encode()
            listed[path] = element
        source = os.fsencode(installation.source)
        self.assertEqual({path for path in listed} - {source}, {source + b"/" + path for path in expected if path})
        for path, item in expected.items():
            if not path:
                continue
            element = listed[source + b"/" + path]
            self.assertEqual(element["type"].replace("-device", ""), item.type, path)
            self.assertEqual(element["snapshot"], number)
            if item.size is not None:
                self.assertEqual(element["size"], item.size, path)
            if item.owner is not None:
                self.assertEqual((element["uid"], element["gid"]), item.owner, path)

    def checkContent(self, installation, number, expected, random):
        """`cat` writes what the file held."""
        files = [path for path, item in sorted(expected.items()) if item.type == "file" and len(path) < 3500]
        for path in random.sample(files, 8) + [max(files, key=lambda path: expected[path].size)]:
            done = installation.attempt("cat", os.fsencode(installation.source) + b"/" + path, "--at", number)
            self.assertEqual(done.status, 0, done.errors)
            self.assertEqual(hashlib.sha256(done.output).hexdigest(), expected[path].digest, path)


class RestoreTests(InstallationTestCase):
    """Single paths, existing files, damage in place."""

    def setUp(self):
        self.random = seededRandom("restores")
        self.installation = self.install()
        self.source = self.installation.source
        for folder in ("a", "a/b", "c"):
            os.makedirs(os.path.join(self.source, folder), exist_ok=True)
            for number in range(6):
                put(os.path.join(self.source, folder, f"file-{number}"), noise(self.random, 3000 * number))
        put(os.path.join(self.source, "large"), noise(self.random, 3_000_000))
        os.symlink("a/b", os.path.join(self.source, "link"))
        os.link(os.path.join(self.source, "a/file-3"), os.path.join(self.source, "c/linked"))
        self.expected = fingerprint(self.source)
        self.installation.snapshot()

    def path(self, name):
        return os.path.join(self.source, name)

    def target(self, name):
        return os.path.join(self.installation.directory, name)

    def below(self, folder):
        folder = folder.encode()
        return {path[len(folder) + 1:]: item._replace(links=()) for path, item in self.expected.items()
                if path == folder or path.startswith(folder + b"/")}

    def damage(self):
        """Something of everything: removed, changed, replaced by another type, a mode, a time."""
        os.unlink(self.path("a/file-1"))
        put(self.path("a/file-2"), b"overwritten by mistake")
        with open(self.path("large"), "r+b") as file:
            file.seek(1_500_000)
            file.write(b"damage")
        os.unlink(self.path("link"))
        put(self.path("link"), b"no link any more")
        os.chmod(self.path("c/file-4"), 0o600)
        os.utime(self.path("c/file-3"), ns=(5, 5))

    def testSinglePathsGoUnderTheirLastName(self):
        self.installation.run("restore", self.path("a/b"), self.path("large"), "--to", self.target("out"))
        self.assertEqual(sorted(os.listdir(self.target("out"))), ["b", "large"])
        self.assertSameTree(self.below("a/b"), os.path.join(self.target("out"), "b"))
        self.assertEqual(fingerprint(os.path.join(self.target("out"), "large"))[b""], self.expected[b"large"])

    def testFullPathsKeepWholePaths(self):
        self.installation.run("restore", self.path("a/b"), "--full-paths", "--to", self.target("out"))
        self.assertSameTree(self.below("a/b"), self.target("out") + self.path("a/b"))
        self.assertEqual(os.listdir(self.target("out") + self.source), ["a"])

    def testPathsAreRelativeToTheWorkingDirectory(self):
        self.installation.run("restore", "b/file-4", "--to", self.target("out"), cwd=self.path("a"))
        self.assertEqual(fingerprint(os.path.join(self.target("out"), "file-4"))[b""], self.expected[b"a/b/file-4"])

    def testPresetIsBesideInAFolderOfTheNumber(self):
        folder = self.target("elsewhere")
        os.mkdir(folder)
        self.installation.run("restore", cwd=folder)
        self.assertSameTree(self.expected, os.path.join(folder, "restored-1") + self.source)

    def testLinksBetweenRestoredPathsStayLinks(self):
        self.installation.run("restore", self.path("a/file-3"), self.path("c/linked"), "--to", self.target("out"))
        names = [os.path.join(self.target("out"), name) for name in ("file-3", "linked")]
        self.assertTrue(os.path.samefile(*names))

    def testAPathThatIsNotThere(self):
        done = self.installation.attempt("restore", self.path("a/nothing"), "--to", self.target("out"))
        self.assertEqual(done.status, FAILED, done.errors)
        self.assertIn("a/nothing", done.errors)

    def testDryRunWritesNothing(self):
        report = self.installation.run("restore", "--to", self.target("out"), "--dry-run", "--json")
        self.assertTrue(report["dry_run"])
        self.assertFalse(os.path.exists(self.target("out")))
        done = self.installation.restore(1, self.target("out"))
        for what in ("files", "directories", "others", "bytes"):
            self.assertEqual(report[what], done[what], what)

    def testExistingFilesStay(self):
        target = self.target("out")
        self.installation.restore(1, target)
        changed = self.installation.restored(target, self.path("large"))
        put(changed, b"precious")
        os.unlink(self.installation.restored(target, self.path("a/file-1")))
        report = self.installation.restore(1, target, expect=PARTIAL)
        self.assertEqual(read(changed), b"precious")
        self.assertIn("large", " ".join(str(one) for one in report["skipped"]))
        now = fingerprint(self.installation.restored(target))
        self.assertEqual(now[b"a/file-1"], self.expected[b"a/file-1"])

    def testInPlaceBringsBackOnlyWhatIsMissing(self):
        self.damage()
        before = fingerprint(self.source)
        self.installation.run("restore", "--in-place", expect=PARTIAL)
        now = fingerprint(self.source)
        self.assertEqual(now[b"a/file-1"], self.expected[b"a/file-1"])
        kept = [path for path in before if before[path].type != "directory"]
        self.assertEqual({path: before[path] for path in kept}, {path: now[path] for path in kept})

    def testInPlaceOverwritingWhatDiffers(self):
        self.damage()
        untouched = os.stat(self.path("a/b/file-5")).st_ino
        put(self.path("not in the snapshot"), b"stays")
        self.installation.run("restore", self.path("a"), self.path("c"), self.path("large"), self.path("link"),
                              "--in-place", "--overwrite", "changed")
        now = fingerprint(self.source)
        self.assertEqual(now.pop(b"not in the snapshot").digest, fingerprint(self.path("not in the snapshot"))[b""].digest)
        self.assertEqual(differences({path: item for path, item in self.expected.items() if path},
                                     {path: item for path, item in now.items() if path}), [])
        self.assertEqual(os.stat(self.path("a/b/file-5")).st_ino, untouched, "an equal file was rewritten")

    def testInPlaceOverwritingEverything(self):
        self.damage()
        self.installation.run("restore", "--in-place", "--overwrite", "always")
        self.assertSameTree(self.expected, self.source)

    def testADirectoryInTheWay(self):
        """An empty one gives way when overwriting is allowed; one with content never does, and is named."""
        for name in ("a/file-1", "a/file-2"):
            os.unlink(self.path(name))
            os.mkdir(self.path(name))
        put(self.path("a/file-2/precious"), b"precious")
        done = self.installation.attempt("restore", "--in-place", "--overwrite", "changed")
        self.assertEqual(done.status, PARTIAL, done.errors)
        self.assertIn("a/file-2", done.errors)
        self.assertNotIn("a/file-1", done.errors)
        self.assertEqual(fingerprint(self.path("a/file-1"))[b""], self.expected[b"a/file-1"])
        self.assertEqual(read(self.path("a/file-2/precious")), b"precious")

    def testASinglePathInPlace(self):
        os.unlink(self.path("a/file-1"))
        os.unlink(self.path("c/file-1"))
        self.installation.run("restore", self.path("a/file-1"), "--in-place")
        self.assertEqual(fingerprint(self.path("a/file-1"))[b""], self.expected[b"a/file-1"])
        self.assertFalse(os.path.exists(self.path("c/file-1")))

    def testARestoreDoesNotFollowSymlinksInTheTarget(self):
        victim, target = self.target("victim"), self.target("out")
        os.makedirs(target + self.source)
        os.mkdir(victim)
        os.symlink(victim, target + self.path("a"))
        self.installation.restore(1, target, expect=(PARTIAL, FAILED))
        self.assertEqual(os.listdir(victim), [])
        self.installation.restore(1, target, "--overwrite", "always")
        self.assertEqual(os.listdir(victim), [])
        self.assertSameTree(self.expected, self.installation.restored(target))


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Rotation: what is kept comes back exactly, what is dropped is gone with its bytes, again and again."""
import os
import unittest

from installation import DAMAGED, LONG, InstallationTestCase, fingerprint, removeTree, seededRandom
from trees import Changer, noise, put, text

# Every rule that depends on the clock is off; what remains is told by each test.
NO_PERIODS = """
within = "0s"
quarter_hourly = 0
hourly = 0
daily = 0
weekly = 0
monthly = 0
yearly = 0
"""


def keeping(rules, more=""):
    return f"[keep]\n{NO_PERIODS}{rules}\n[schedule]\nquiet = \"1h\"\ndeadline = \"2h\"\n{more}\n"


class RotationTests(InstallationTestCase):

    def begin(self, name, rules="last = 3", more=""):
        self.random = seededRandom(name)
        self.installation = self.install(settings=keeping(rules, more))
        self.moments = {}
        source = self.installation.source
        for folder in ("a", "a/b", "c"):
            os.makedirs(os.path.join(source, folder), exist_ok=True)
            for number in range(5):
                put(os.path.join(source, folder, f"{number}.txt"), text(self.random, 2000 * number))
        put(os.path.join(source, "large"), noise(self.random, 3_000_000))
        self.changer = Changer(source, self.random, largest=20_000, spared=["large", "counter", "bulk", "stays"])

    def take(self, *arguments):
        """One more snapshot; returns its number."""
        outcome = self.installation.snapshot(*arguments)
        self.assertTrue(outcome["taken"], outcome)
        self.moments[outcome["number"]] = fingerprint(self.installation.source)
        return outcome["number"]

    def editLarge(self, edits=1):
        """Small edits in a large file: each manifest has only the run of chunks that changed."""
        with open(os.path.join(self.installation.source, "large"), "r+b") as file:
            for _ in range(edits):
                file.seek(self.random.randrange(2_900_000))
                file.write(noise(self.random, 1000))

    def put(self, name, data):
        put(os.path.join(self.installation.source, name), data)

    def rotate(self):
        """Dry run, then the real one; both must agree. Returns the reasons of what stays, by number."""
        plan = self.installation.run("rotate", "--dry-run", "--json")
        self.assertEqual(sorted(choice["number"] for choice in plan), sorted(self.moments))
        for choice in plan:
            self.assertEqual(choice["keep"], bool(choice["reasons"]), choice)
        self.assertEqual(self.installation.numbers(), sorted(self.moments), "a dry run removed something")
        self.installation.run("rotate")
        kept = {choice["number"]: choice["reasons"] for choice in plan if choice["keep"]}
        self.assertEqual(self.installation.numbers(), sorted(kept))
        for number in set(self.moments) - set(kept):
            del self.moments[number]
            done = self.installation.attempt("ls", "--at", number)
            self.assertNotEqual(done.status, 0, f"snapshot {number} was dropped and still answers")
        return kept

    def checkMoments(self, recover=True, numbers=None):
        """Every kept snapshot is restored by both programs, and the repository is sound."""
        self.installation.run("verify", "--data")
        for number in sorted(numbers or self.moments):
            self.round = getattr(self, "round", 0) + 1
            for name, restore in (("restored", self.installation.restore), ("recovered", self.installation.recover)):
                if name == "recovered" and not recover:
                    continue
                target = os.path.join(self.installation.directory, f"{name}-{self.round}")
                restore(number, target)
                self.assertSameTree(self.moments[number], self.installation.restored(target), f"snapshot {number}, {name}")
                removeTree(target)

    def answers(self):
        """All that the catalog says about the snapshots that are kept."""
        return [self.installation.snapshots()] + [
            self.installation.run("ls", self.installation.source, "-R", "--json", "--at", number) for number in sorted(self.moments)]

    def checkRebuild(self):
        """The same answers from a catalog that was made anew from the archives."""
        before = self.answers()
        self.installation.removeCatalog()
        self.assertEqual(before, self.answers(), "the catalog was lost")
        self.installation.run("catalog", "rebuild")
        self.assertEqual(before, self.answers(), "catalog rebuild")

    def testPoliciesPinsTagsAndReasons(self):
        self.begin("policies", "last = 2\nfulls = 2")
        for number in range(1, 10):
            self.changer.change(5)
            self.take(*["--full"] * (number == 5))
        self.installation.run("pin", 3)
        self.installation.run("tag", 3, "before the holidays")
        self.installation.run("pin", 7)
        self.installation.run("tag", 8, "release")
        kept = self.rotate()
        self.assertEqual(sorted(kept), [1, 3, 5, 7, 8, 9])
        self.assertIn("pinned", kept[3])
        self.assertIn("fulls", kept[1])
        self.assertIn("fulls", kept[5])
        self.assertIn("last", kept[8])
        self.assertIn("newest", kept[9])
        self.checkMoments()
        described = {snapshot["number"]: snapshot for snapshot in self.installation.snapshots()}
        self.assertEqual((described[3]["pinned"], described[3]["tags"]), (True, ["before the holidays"]))
        self.assertEqual((described[8]["pinned"], described[8]["tags"]), (False, ["release"]))
        self.checkRebuild()
        described = {snapshot["number"]: snapshot for snapshot in self.installation.snapshots()}
        self.assertEqual((described[3]["pinned"], described[3]["tags"]), (True, ["before the holidays"]))
        self.installation.run("unpin", 3)
        self.installation.run("unpin", 7)
        self.assertEqual(sorted(self.rotate()), [1, 5, 8, 9])
        self.checkMoments()

    def testDroppedContentIsGoneAndSharedContentStays(self):
        self.begin("shared content", "last = 2")
        shared, lost = noise(self.random, 400_000), noise(self.random, 900_000)
        self.put("early", shared)
        self.put("lost", lost)
        self.take()
        os.unlink(os.path.join(self.installation.source, "lost"))
        self.put("a/copy", shared)
        self.editLarge()
        self.take()
        os.unlink(os.path.join(self.installation.source, "early"))
        self.put("passing", noise(self.random, 700_000))
        self.editLarge(3)
        self.take()
        os.unlink(os.path.join(self.installation.source, "passing"))
        os.rename(os.path.join(self.installation.source, "a"), os.path.join(self.installation.source, "renamed"))
        self.editLarge()
        self.take()
        self.put("back again", shared)
        self.editLarge()
        self.take()
        before = self.installation.archiveBytes()
        self.assertEqual(sorted(self.rotate()), [4, 5])
        self.assertLess(self.installation.archiveBytes(), before - 1_400_000)
        self.checkMoments()
        self.checkRebuild()

    def testChunkRunsAcrossMerges(self):
        """A large file with a small edit in every snapshot; the versions between are dropped again and again."""
        self.begin("chunk runs", "last = 3")
        self.take()
        for round in range(3):
            for _ in range(4):
                self.editLarge()
                self.put("counter", b"%d" % len(self.moments))
                self.take()
            with open(os.path.join(self.installation.source, "large"), "r+b") as file:
                file.truncate(2_950_000 + round * 40_000)
            self.take()
            self.assertEqual(len(self.rotate()), 3)
            self.checkMoments(recover=LONG or round == 2)
        self.assertLess(self.installation.archiveBytes(), 6_000_000)
        self.checkRebuild()

    def testFullInTheMiddleAndDataArchives(self):
        """Several archives a snapshot, fulls between, and merges over them."""
        self.begin("full in the middle", "last = 2", '[archive]\nsize = "1MiB"')
        self.take()
        self.put("a/bulk", noise(self.random, 2_500_000))
        self.take()
        self.take("--full")
        self.changer.change(10)
        self.take()
        self.installation.run("pin", 2)
        self.put("bulk", noise(self.random, 1_500_000))
        self.take()
        self.assertEqual(sorted(self.rotate()), [2, 4, 5])
        self.checkMoments()
        os.unlink(os.path.join(self.installation.source, "bulk"))
        self.take("--full")
        self.changer.change(5)
        self.take()
        self.installation.run("unpin", 2)
        before = self.installation.archiveBytes()
        self.assertEqual(sorted(self.rotate()), [6, 7])
        self.assertLess(self.installation.archiveBytes(), before - 1_200_000)
        self.checkMoments()
        self.checkRebuild()

    def testStandaloneSnapshotsStayWhole(self):
        self.begin("standalone", "last = 1")
        self.take()
        self.changer.change(5)
        standalone = self.take("--full", "--standalone")
        self.installation.run("pin", standalone)
        for _ in range(3):
            self.changer.change(5)
            self.take()
        # A standalone snapshot takes nothing in, so the one before it stays.
        self.assertEqual(sorted(self.rotate()), [1, standalone, 5])
        self.checkMoments()

    def testDataArchivesOfAStandaloneSnapshotStay(self):
        """Their chunks are copies of what older archives hold, and yet they do not count as unneeded."""
        self.begin("standalone data", "last = 1", more='[archive]\nsize = "1MiB"\n')
        self.put("large", noise(self.random, 9_500_000))
        self.take()
        standalone = self.take("--full", "--standalone")
        self.installation.run("pin", standalone)
        data = [name for name in self.installation.archives() if "-data-" in name]
        self.assertGreaterEqual(len(data), 4)
        for _ in range(3):
            self.changer.change(3)
            self.take("--full")
        self.rotate()
        self.checkMoments()
        self.installation.run("verify", "--data")
        for name in data[len(data) // 2:]:
            self.assertIn(name, self.installation.archives())

    def testALostArchiveIsNamed(self):
        """What rotation removes leaves no gap; an archive that somebody else removed does."""
        self.begin("lost archive", "last = 4")
        for number in range(1, 7):
            self.changer.change(4)
            # Content that each archive holds and the newest snapshot still needs.
            os.makedirs(os.path.join(self.installation.source, "stays"), exist_ok=True)
            self.put(f"stays/{number}", noise(self.random, 1000))
            self.take(*["--full"] * (number == 5))
        self.rotate()
        self.installation.run("verify")
        folder = os.path.join(self.installation.repository, "archives")
        names = self.installation.archives()
        lost = [name for name in names if "-incremental-" in name][0]
        os.unlink(os.path.join(folder, lost))
        for arguments in (["verify"], ["verify", "--digests"], ["verify", "--data"]):
            self.assertEqual(self.installation.attempt(*arguments).status, DAMAGED, arguments)
        # The next full snapshot holds again what is there, and older gaps stay named.
        self.installation.snapshot("--full")
        number = self.installation.numbers()[-1]
        self.moments[number] = fingerprint(self.installation.source)
        target = os.path.join(self.installation.directory, "after")
        self.installation.restore(number, target)
        self.assertSameTree(self.moments[number], self.installation.restored(target))
        self.assertEqual(self.installation.attempt("verify").status, DAMAGED)

    def testRandomHistories(self):
        """Snapshots, fulls, pins and rotations in random order, with policies that grow tighter."""
        for history in range(12 if LONG else 1):
            self.begin(f"history {history}", "last = 8")
            pinned = set()
            for keep in (8, 5, 2, 1):
                for _ in range(self.random.randrange(4, 8)):
                    self.changer.change(self.random.randrange(1, 25))
                    if self.random.random() < 0.5:
                        self.editLarge(self.random.randrange(1, 4))
                    self.take(*["--full"] * (self.random.random() < 0.15))
                if self.random.random() < 0.7:
                    pinned.add(self.random.choice(sorted(self.moments)))
                    self.installation.run("pin", max(pinned & set(self.moments)))
                    pinned &= {snapshot["number"] for snapshot in self.installation.snapshots() if snapshot["pinned"]}
                self.installation.configure(keeping(f"last = {keep}"))
                newest = sorted(self.moments)[-keep:]
                self.assertEqual(sorted(self.rotate()), sorted(set(newest) | pinned))
                self.checkMoments(recover=LONG or keep in (5, 1))
            self.checkRebuild()
            # Life goes on after it: the next incremental stands on a merged parent.
            self.changer.change(20)
            self.take()
            self.checkMoments()

    def testRotationByTheDaemon(self):
        self.begin("by the daemon", "last = 2")
        for _ in range(5):
            self.changer.change(8)
            self.take()
        self.installation.startDaemon()
        self.assertEqual(sorted(self.rotate()), [4, 5])
        self.changer.change(8)
        self.take()
        self.checkMoments()
        self.installation.stopDaemon()
        self.checkMoments(recover=False)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""What a person takes out of the repository, or has it made smaller: forget, purge, compact, rotate --size, a new key.

In:  histories with known content.  Out: what should go is in no frame of any archive any more, and all the rest comes back as it was.
"""
import fcntl
import functools
import json
import os
import shutil
import time
import unittest

from archives import Shelf, recover
from installation import DONE, FAILED, LONG, USAGE, InstallationTestCase, fingerprint, read, removeTree, seededRandom
from test_rotation import keeping
from trees import Changer, noise, put, text

SETTINGS = keeping("last = 20", '[archive]\nsize = "1MiB"')
# What stays of a snapshot's listing whatever happens to others.
LASTING = ("number", "time", "kind", "entries", "bytes_source", "tags", "pinned")


def eachWay(test):
    """Runs a test without a daemon, then with one."""
    @functools.wraps(test)
    def run(self):
        for daemon in (False, True):
            with self.subTest(daemon=daemon):
                test(self, daemon)
    return run


class UpkeepTestCase(InstallationTestCase):

    def begin(self, name, settings=SETTINGS):
        self.random = seededRandom(name)
        self.installation = self.install(settings=settings)
        self.source = self.installation.source
        self.moments = {}

    def put(self, name, data):
        path = os.path.join(self.source, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        put(path, data)

    def take(self, *arguments):
        number = self.installation.snapshot(*arguments)["number"]
        self.moments[number] = fingerprint(self.source)
        return number

    def checkRestores(self, recover=False):
        """Every moment, with watchctl and perhaps with recover.py."""
        self.assertEqual(self.installation.numbers(), sorted(self.moments))
        for number, expected in sorted(self.moments.items()):
            for restore in [self.installation.restore] + [self.installation.recover] * recover:
                target = os.path.join(self.installation.directory, "out")
                restore(number, target)
                self.assertSameTree(expected, self.installation.restored(target), f"snapshot {number}, {restore.__name__}")
                removeTree(target)

    def lasting(self, without=()):
        return [{key: snapshot[key] for key in LASTING} for snapshot in self.installation.snapshots() if snapshot["number"] not in without]

    def listings(self, numbers):
        return {number: self.installation.run("ls", "-R", self.source, "--json", "--at", number) for number in numbers}

    def startDaemon(self):
        self.installation.startDaemon()
        # Until it has compared everything once, that would take a snapshot of its own.
        self.installation.waitForStatus(lambda status: status["verdict"] == "protected" and status["watch"]["reconciles"] > 0
                                        and status["activity"]["state"] == "idle", "protection")


class ForgetTests(UpkeepTestCase):
    def history(self, name):
        self.begin(name)
        changer = Changer(self.source, self.random, largest=60_000, spared=["large"])
        self.put("large", noise(self.random, 1_500_000))
        for number in range(1, 9):
            changer.change(8)
            with open(os.path.join(self.source, "large"), "r+b") as file:
                file.seek(100_000 * number)
                file.write(noise(self.random, 500))
            self.take(*["--full"] * (number == 5))
        self.installation.run("pin", 3)
        self.installation.run("tag", 6, "six")

    @eachWay
    def testForgetting(self, daemon):
        self.history(f"forget {daemon}")
        if daemon:
            self.startDaemon()
        for numbers, status, words in (([8], FAILED, "newest"), ([2, 8], FAILED, "newest"), ([3], FAILED, "pinned"), ([1, 3], FAILED, "pinned"),
                                       ([99], FAILED, "99"), ([1, 99], FAILED, "99")):
            done = self.installation.attempt("forget", "--yes", *numbers)
            self.assertEqual(done.status, status, done)
            self.assertIn(words, done.errors)
        self.assertEqual(self.installation.attempt("forget", 2).status, USAGE)
        self.assertEqual(self.installation.attempt("forget").status, USAGE)
        self.assertEqual(self.installation.numbers(), sorted(self.moments), "something was forgotten that should not have been")
        for numbers in ([2, 4], [1], [5, 6], [7]):
            before, listings = self.lasting(without=numbers), self.listings(set(self.moments) - set(numbers))
            self.installation.run("forget", "--yes", *numbers)
            for number in numbers:
                del self.moments[number]
                self.assertNotEqual(self.installation.attempt("ls", "--at", number).status, DONE)
            self.assertEqual(self.withoutKinds(self.lasting()), self.withoutKinds(before))
            self.assertEqual(self.listings(self.moments), listings)
        self.assertEqual(sorted(self.moments), [3, 8])
        if daemon:
            self.installation.stopDaemon()
        self.checkRestores(recover=True)
        self.installation.run("verify", "--data")
        # The same from the archives alone.
        before = self.lasting(), self.listings(self.moments)
        self.installation.removeCatalog()
        self.assertEqual((self.lasting(), self.listings(self.moments)), before)

    def withoutKinds(self, snapshots):
        """How a snapshot is recorded may change: what stood for a full one is merged into its successor."""
        return [{key: value for key, value in snapshot.items() if key != "kind"} for snapshot in snapshots]

    def testTwiceAndTheLastButOne(self):
        self.history("forget twice")
        self.installation.run("forget", "--yes", 2, 2)
        del self.moments[2]
        self.assertEqual(self.installation.attempt("forget", "--yes", 2).status, FAILED)
        self.installation.run("unpin", 3)
        self.installation.run("forget", "--yes", *range(3, 8), 1)
        self.moments = {8: self.moments[8]}
        self.checkRestores(recover=True)
        # Life goes on.
        self.put("later", b"later")
        self.assertEqual(self.take(), 9)
        self.checkRestores(recover=True)

    def testContentOfAForgottenSnapshotIsGone(self):
        self.begin("forget content")
        self.put("stays", b"x" * 1000)
        self.take()
        self.put("passing", b"MARKER" + noise(self.random, 40_000))
        self.take()
        os.unlink(os.path.join(self.source, "passing"))
        self.take()
        self.assertTrue(any(b"MARKER" in payload for _, _, payload in Shelf(self.installation).payloads()))
        self.installation.run("forget", "--yes", 2)
        self.assertFalse(any(b"MARKER" in payload for _, _, payload in Shelf(self.installation).payloads()))
        del self.moments[2]
        self.checkRestores()


class PurgeTests(UpkeepTestCase):
    """Purged content carries a marker, and purged names are words that stand nowhere else."""

    def history(self, name, more=""):
        self.begin(name, settings=SETTINGS + more)
        for number in range(1, 6):
            self.put(f"folder/document-{number}", text(self.random, 9000))
            self.put("changing", b"version %d" % number + noise(self.random, 5000))
            if number in (2, 3, 4):
                self.put("xylograph", b"MARKER-%d" % number + noise(self.random, 30_000))
                self.put(f"quagmire/inner/plain-{number}", b"MARKER" + noise(self.random, 500))
            if number == 2:
                self.put("bulk", noise(self.random, 1_500_000))
                self.put("quagmire/bulk", (b"MARKER" + noise(self.random, 100_000)) * 11)
            self.take(*["--full"] * (number == 4))
            if number == 3:
                os.unlink(os.path.join(self.source, "xylograph"))

    def without(self, *names):
        """The moments without these paths, and what lies below them."""
        def isGone(path):
            return any(path == name.encode() or path.startswith(name.encode() + b"/") for name in names)
        for number, tree in self.moments.items():
            self.moments[number] = {path: item for path, item in tree.items() if not isGone(path)}

    def found(self, *words):
        """Frames in which one of these stands."""
        return [(name, number, word) for name, number, payload in Shelf(self.installation).payloads() for word in words if word in payload]

    def purge(self, *names, expect=DONE):
        return self.installation.run("purge", "--yes", *[os.path.join(self.source, name) for name in names], expect=expect)

    def checkAfterwards(self):
        self.checkRestores(recover=True)
        self.installation.run("verify", "--data")
        before = self.lasting(), self.listings(self.moments)
        self.installation.run("catalog", "rebuild")
        self.assertEqual((self.lasting(), self.listings(self.moments)), before)

    @eachWay
    def testAFileAndADirectory(self, daemon):
        self.history(f"purge {daemon}")
        if daemon:
            self.startDaemon()
        self.assertTrue(self.found(b"MARKER"))
        self.assertTrue(self.found(b"xylograph"))
        # Out of the sources as well: what still stands there comes back with the next snapshot.
        os.unlink(os.path.join(self.source, "xylograph"))
        self.take()
        before = self.lasting()
        self.purge("xylograph")
        self.without("xylograph")
        self.assertEqual(self.found(b"MARKER-", b"xylograph"), [])
        self.assertTrue(self.found(b"MARKER"))
        shutil.rmtree(os.path.join(self.source, "quagmire"))
        self.take()
        self.purge("quagmire")
        self.without("quagmire")
        self.assertEqual(self.found(b"MARKER", b"quagmire", b"plain-"), [])
        self.assertEqual([snapshot["number"] for snapshot in before], self.installation.numbers()[:len(before)])
        self.assertNotEqual(self.installation.attempt("history", os.path.join(self.source, "xylograph")).status, DONE)
        if daemon:
            self.installation.stopDaemon()
        self.checkAfterwards()

    @eachWay
    def testContentThatAnotherPathSharesStays(self, daemon):
        """Its name goes all the same: data frames too name the path that a chunk was first read from."""
        self.begin(f"purge shared {daemon}")
        shared, large = b"SHARED" + noise(self.random, 20_000), b"LARGE" + noise(self.random, 1_300_000)
        self.put("xylograph", shared)
        self.put("quagmire/large", large)
        self.take()
        self.put("copy", shared)
        self.put("large", large)
        self.take()
        os.unlink(os.path.join(self.source, "xylograph"))
        shutil.rmtree(os.path.join(self.source, "quagmire"))
        self.take()
        if daemon:
            self.startDaemon()
        self.purge("xylograph", "quagmire")
        self.without("xylograph", "quagmire")
        self.assertTrue(self.found(b"SHARED"))
        if daemon:
            self.installation.stopDaemon()
        self.checkAfterwards()

    def testCopiesThatAStandaloneSnapshotLeftBehindGoToo(self):
        """Its archive stays for what later snapshots take from there."""
        self.begin("purge copies", settings=keeping("last = 20", '[archive]\nsize = "4MiB"'))
        self.put("aardvark", b"MARKER" + noise(self.random, 30_000))
        self.put("bulk", noise(self.random, 1_000_000))
        self.take()
        self.put("later", noise(self.random, 3_500_000))
        self.take("--standalone")
        self.put("bulk", noise(self.random, 1_000_000))
        self.take()
        self.installation.run("forget", 2, "--yes")
        del self.moments[2]
        self.assertEqual([name.split("-")[2] for name, _, _ in self.found(b"MARKER")], ["full", "data"])
        os.unlink(os.path.join(self.source, "aardvark"))
        self.take()
        self.purge("aardvark")
        self.without("aardvark")
        self.assertEqual(self.found(b"MARKER", b"aardvark"), [])
        self.checkAfterwards()

    def testWhatStillStandsInTheSourcesComesBack(self):
        self.history("purge and keep")
        self.purge("quagmire")
        self.without("quagmire")
        self.checkRestores()
        self.put("later", b"later")
        number = self.installation.snapshot("--full")["number"]
        self.moments[number] = fingerprint(self.source)
        self.checkRestores(recover=True)

    @eachWay
    def testWhileAnotherProcessReads(self, daemon):
        """What is begun is remembered: the same command finishes it, and so does the daemon."""
        self.history(f"purge reader {daemon}")
        os.unlink(os.path.join(self.source, "xylograph"))
        self.take()
        with open(os.path.join(self.installation.repository, "readers"), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            self.assertIn("another process is reading", self.installation.attempt("purge", "--yes", os.path.join(self.source, "xylograph")).errors)
        self.without("xylograph")
        self.assertTrue(self.found(b"MARKER-"))
        if daemon:
            self.startDaemon()
            self.installation.run("compact")
            self.installation.stopDaemon()
        else:
            self.purge("xylograph")
        self.assertEqual(self.found(b"MARKER-", b"xylograph"), [])
        self.checkAfterwards()

    def testAnOlderCatalogShowsNothingOfWhatIsBeingPurged(self):
        """After a power cut in the middle, with the lists of some snapshots written anew: verify took what was purged for lost."""
        self.begin("purge and crash")
        for number in range(3):
            self.put("changing", noise(self.random, 5000))
            self.put("xylograph", b"MARKER-%d" % number + noise(self.random, 30_000))
            self.take()
        os.unlink(os.path.join(self.source, "xylograph"))
        self.take()
        # Its list is not written anew: without the newest archive the catalog would be made anew as well.
        self.put("changing", noise(self.random, 5000))
        self.take()
        place = os.path.join(self.installation.directory, "state")
        shutil.copytree(self.installation.state, place)
        self.purge("xylograph")
        removeTree(self.installation.state)
        os.rename(place, self.installation.state)
        anchor = os.path.join(self.installation.state, "anchor.json")
        record = json.loads(read(anchor))
        record["purging"] = [list(os.fsencode(os.path.join(self.source, "xylograph")[1:]))]
        put(anchor, json.dumps(record).encode())
        self.without("xylograph")
        self.installation.run("verify", "--data")
        self.checkRestores()
        self.purge("xylograph", expect=(DONE, FAILED))
        self.assertEqual(self.found(b"MARKER-", b"xylograph"), [])
        self.assertEqual(json.loads(read(anchor))["purging"], [])
        self.checkAfterwards()

    def testUnknownPathsAndConsent(self):
        self.history("purge refused")
        before = self.installation.archives()
        self.purge("nowhere", expect=FAILED)
        self.purge("xylograph", "nowhere", expect=FAILED)
        self.installation.run("purge", os.path.join(self.source, "xylograph"), expect=USAGE)
        self.installation.run("purge", expect=USAGE)
        self.installation.run("purge", "--yes", "/", expect=USAGE)
        self.assertEqual(self.installation.archives(), before)
        self.checkRestores()


class CompactTests(UpkeepTestCase):
    """What the fast lane wrote becomes smaller, and nothing else changes."""

    def largeText(self, lines):
        """Compresses well, and better with more effort."""
        return b"".join(b"%d: entry %d of the journal, with value %d\n" % (line, line * 7919 % 100_003, line * line % 65_537) for line in range(lines))

    def history(self, name, lines=150_000):
        self.begin(name)
        self.put("journal", self.largeText(lines))
        self.put("picture", noise(self.random, 1_200_000))
        self.take()
        self.put("folder/document", text(self.random, 9000))
        self.take()
        with open(os.path.join(self.source, "journal"), "r+b") as file:
            file.seek(1_000_000)
            file.write(b"a change in the middle")
        self.take("--full")

    @eachWay
    def testFastLaneBecomesSmaller(self, daemon):
        self.history(f"compact {daemon}")
        before, listings, known = self.installation.archiveBytes(), self.listings(self.moments), self.lasting()
        if daemon:
            self.startDaemon()
        response = self.installation.run("compact", "--json")
        self.assertGreaterEqual(response["rewritten_archives"], 1)
        after = self.installation.archiveBytes()
        self.assertLess(after - 1_200_000, 0.8 * (before - 1_200_000))
        self.assertEqual(response["freed_bytes"], before - after)
        self.assertEqual((self.listings(self.moments), self.lasting()), (listings, known))
        names = self.installation.archives()
        again = self.installation.run("compact", "--json")
        self.assertEqual((again["rewritten_archives"], again["freed_bytes"]), (0, 0), again)
        self.assertEqual(self.installation.archives(), names)
        if daemon:
            self.installation.stopDaemon()
        self.checkRestores(recover=True)
        self.installation.run("verify", "--data")
        # A catalog made anew knows nothing of lanes, and must not rewrite everything once more.
        self.installation.removeCatalog()
        self.assertEqual(self.installation.run("compact", "--json")["freed_bytes"], 0)
        self.assertEqual(self.installation.archives(), names)
        self.checkRestores()

    def testWhatCannotBecomeSmallerIsNotTouched(self):
        """Some text between videos is no reason to write all of them again."""
        self.begin("compact videos", keeping("last = 20"))
        for number in range(12):
            self.put(f"video-{number}", noise(self.random, 1_200_000))
        self.put("journal", self.largeText(10_000))
        self.take()
        names = self.installation.archives()
        response = self.installation.run("compact", "--json")
        self.assertEqual((response["rewritten_archives"], response["freed_bytes"]), (0, 0), response)
        self.assertEqual(self.installation.archives(), names)

    def testIncrementalsAreNotTouched(self):
        self.begin("compact small")
        for number in range(4):
            self.put(f"document-{number}", text(self.random, 9000))
            self.take()
        names = self.installation.archives()
        self.assertEqual(self.installation.run("compact", "--json")["rewritten_archives"], 0)
        self.assertEqual(self.installation.archives(), names)

    def testASnapshotIsServedDuringCompaction(self):
        self.history("compact and snapshot", lines=1_500_000 if LONG else 700_000)
        self.startDaemon()
        command = self.installation.spawn("compact")
        self.installation.waitForStatus(lambda status: status["activity"]["state"] == "compacting", "compaction")
        self.put("urgent", b"urgent")
        begin = time.monotonic()
        self.take()
        self.assertLess(time.monotonic() - begin, 15)
        self.assertIsNone(command.poll(), "the compaction was over before the snapshot; nothing was tested")
        self.assertEqual(command.wait(), DONE)
        self.assertEqual(self.installation.run("compact", "--json")["rewritten_archives"], 0)
        self.installation.stopDaemon()
        self.checkRestores()
        self.installation.run("verify", "--data")

    @unittest.skipUnless(LONG, "the daemon waits for two minutes of idleness")
    def testTheDaemonDoesItByItself(self):
        self.history("compact idle")
        before = self.installation.archiveBytes()
        self.startDaemon()
        self.installation.waitForStatus(lambda status: status["activity"]["state"] == "compacting", "compaction")
        self.installation.waitUntil(lambda: "compacted" in self.installation.log(), "the end of the compaction")
        self.assertLess(self.installation.archiveBytes(), 0.8 * before)
        self.installation.stopDaemon()
        self.checkRestores(recover=True)

    @eachWay
    def testRotationMakesRoom(self, daemon):
        self.begin(f"make room {daemon}")
        for number in range(6):
            self.put("bulk", noise(self.random, 700_000))
            self.take()
        self.installation.run("pin", 2)
        if daemon:
            self.startDaemon()
        plan = self.installation.run("rotate", "--size", "2400KiB", "--dry-run", "--json")
        self.assertEqual(self.installation.numbers(), sorted(self.moments))
        done = self.installation.run("rotate", "--size", "2400KiB", "--json")
        self.assertEqual(done, plan)
        kept = [choice["number"] for choice in done if choice["keep"]]
        self.assertEqual(self.installation.numbers(), kept)
        # The oldest go first, never a pinned one or the newest.
        self.assertEqual(kept, [2, 5, 6])
        self.assertLess(self.installation.archiveBytes(), 2400 << 10)
        after = self.installation.run("rotate", "--dry-run", "--json")
        self.assertEqual([choice["number"] for choice in after if choice["keep"]], kept)
        self.assertEqual(self.installation.run("rotate", "--size", "1MiB", "--dry-run", "--json")[0]["reasons"][0], "pinned")
        if daemon:
            self.installation.stopDaemon()
        self.moments = {number: self.moments[number] for number in kept}
        self.checkRestores(recover=True)
        self.installation.run("verify", "--data")


class NewKeyTests(UpkeepTestCase):
    """After `key rotate` and a compaction nothing in the repository needs or opens with the old key."""

    def history(self, name):
        self.begin(name)
        self.put("large", noise(self.random, 2_500_000))
        self.put("text", text(self.random, 90_000))
        self.take()
        self.put("changing", b"1")
        self.take()
        self.installation.run("pin", 1)
        self.installation.run("tag", 2, "two")
        self.put("changing", b"2")
        self.take("--full", "--standalone")
        self.put("changing", b"3")
        self.put("bulk", noise(self.random, 1_300_000))
        self.take()
        self.old = os.path.join(self.installation.directory, "old.key")
        shutil.copy(self.installation.keyFile, self.old)

    def openedByTheOldKey(self):
        """Frames that the old key authenticates."""
        keys = recover.Keys(recover.read_key(self.old))
        shelf, found = Shelf(self.installation), []
        for archive in shelf.archives.values():
            for number, (_, offset, length) in enumerate(archive.frames):
                try:
                    keys.open(memoryview(archive.read(offset + 4, length)))
                    found.append((archive.name, number))
                except recover.Malformed:
                    pass
        return found

    def keyCount(self):
        return len(json.loads(read(f"{self.installation.repository}/repository.json"))["keys"])

    def checkFinished(self):
        self.assertEqual(self.keyCount(), 1)
        self.assertEqual(self.openedByTheOldKey(), [])
        self.assertEqual(json.loads(read(f"{self.installation.state}/anchor.json")).get("rekey_through"), None)
        with self.assertRaises(recover.Stop) as refused:
            Shelf(self.installation, keyFile=self.old)
        self.assertEqual(refused.exception.status, recover.WRONG_KEY)
        self.checkRestores(recover=True)
        self.installation.run("verify", "--data")
        described = {snapshot["number"]: snapshot for snapshot in self.installation.snapshots()}
        self.assertEqual((described[1]["pinned"], described[2]["tags"]), (True, ["two"]))

    @eachWay
    def testTheOldKeyOpensNothingAnyMore(self, daemon):
        self.history(f"new key {daemon}")
        if daemon:
            self.startDaemon()
        self.installation.run("key", "rotate")
        self.put("changing", b"4")
        self.take()
        self.assertEqual(self.keyCount(), 2)
        self.assertTrue(self.openedByTheOldKey())
        self.installation.run("compact")
        if daemon:
            self.installation.stopDaemon()
        self.checkFinished()
        self.assertEqual(self.installation.run("compact", "--json")["rewritten_archives"], 0)

    def testTwoNewKeys(self):
        self.history("two new keys")
        self.installation.run("key", "rotate")
        self.put("changing", b"4")
        self.take()
        self.installation.run("key", "rotate")
        self.assertEqual(self.keyCount(), 3)
        self.installation.run("compact")
        self.checkFinished()

    def testWithDeepLaneOff(self):
        self.history("new key, no deep lane")
        self.installation.configure(SETTINGS + '[compression]\ndeep = "none"\n')
        self.installation.run("key", "rotate")
        self.installation.run("compact")
        self.checkFinished()


if __name__ == "__main__":
    unittest.main()

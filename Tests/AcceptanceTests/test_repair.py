#!/usr/bin/env python3
"""Damage of each kind is found, mended as far as anything holds what is gone, and what is lost is named to the last file.

In:  one repository with full, incremental, `data` and record archives; damage; the catalog, or none.
Out: what `watchctl repair` says of it is what recover.py could tell beforehand, and what no restore gives back afterwards.
"""
import fcntl
import json
import os
import shutil
import unittest

from archives import CONTENTS, DATA, MANIFEST, Damage, Shelf
from installation import (DAMAGED, DONE, FAILED, LONG, PARTIAL, InstallationTestCase, fingerprint, read, reasonCodes, removeTree,
                          seededRandom)
from test_rotation import keeping
from trees import noise, put, text

# Small archives, so that a snapshot has several. Rotation drops nothing unless a test wants it.
SETTINGS = keeping("last = 20", '[archive]\nsize = "1MiB"')
NEWEST = 6
# Kind, index, and the snapshots that nobody can list without it and the catalog.
COMMITS = [("full", 0, [1, 2, 3]), ("incremental", 1, [3]), ("incremental", 0, [2, 3])]


class RepairTestCase(InstallationTestCase):
    """Six snapshots, of which 1 and 4 are full; of `edited` each has a version of its own, the rest partly stands in the sources."""

    def begin(self, name, settings=SETTINGS):
        self.random = seededRandom(name)
        self.installation = installation = self.install(settings=settings)
        self.moments = {}
        for number in range(8):
            self.put(f"small-{number}", text(self.random, 4000))
        self.put("large", noise(self.random, 1_900_000))
        self.put("passing", noise(self.random, 50_000))
        self.take()
        with open(os.path.join(installation.source, "large"), "r+b") as file:
            file.seek(1_200_000)
            file.write(noise(self.random, 1000))
        self.take()
        installation.run("tag", 2, "second")
        installation.run("pin", 2)
        os.unlink(os.path.join(installation.source, "passing"))
        self.put("third", noise(self.random, 5000))
        self.take()
        self.take("--full")
        self.put("bulk", noise(self.random, 1_800_000))
        self.take()
        self.take()
        self.saved = os.path.join(installation.directory, "saved")
        for place in (installation.repository, installation.state):
            shutil.copytree(place, self.saved + place)
        self.sound = Shelf(installation)
        self.contents = {number: self.sound.contents(number) for number in self.moments}
        self.places = self.sound.places()
        self.kinds = {kind: self.sound.names(kind) for kind in ("full", "incremental", "data", "record")}
        # Of the full ones 1 and 4, of the incremental ones 2, 3, 5 and 6; `data` of 1 and of 5.
        self.assertEqual([len(self.kinds[kind]) for kind in ("full", "incremental", "data", "record")], [2, 4, 2, 1])

    def put(self, name, data):
        put(os.path.join(self.installation.source, name), data)

    def take(self, *arguments):
        number = len(self.moments) + 1
        self.put("edited", b"version %d " % number + noise(self.random, 3000))
        self.assertEqual(self.installation.snapshot(*arguments)["number"], number)
        self.moments[number] = fingerprint(self.installation.source)

    def reset(self):
        """Repository and state as they were before any damage."""
        for place in (self.installation.repository, self.installation.state):
            removeTree(place)
            shutil.copytree(self.saved + place, place)

    def damage(self, kind, index=0):
        return Damage(self.installation, self.sound, self.kinds[kind][index])

    def snapshotOf(self, name):
        return self.sound.archives[name].snapshot.number

    def lostStates(self, gone, numbers, changed=()):
        """{(path, snapshot)} of files with a chunk that stood in frames that are gone, and nowhere else, not even in the sources.

        changed: paths below the source that hold something else by now.
        """
        away = {os.fsencode(os.path.join(self.installation.source, name)) for name in changed}
        present = {digest for path, digests in self.contents[NEWEST].items() if path not in away for digest in digests}
        lost = {digest for digest, places in self.places.items() if places <= gone and digest not in present}
        return {(os.fsdecode(path), number) for number in numbers for path, digests in self.contents[number].items() if lost & set(digests)}

    def listed(self, response, numbers):
        self.assertEqual(response["lost_count"], len(response["lost"]))
        return {(state["path"], number) for state in response["lost"] for number in numbers
                if state["first_snapshot"] <= number <= state["last_snapshot"]}

    def check(self, harm, catalog=True, unlisted=()):
        """Does harm, repairs, and compares everything.

        harm:     makes the damage, and returns the frames that are gone.
        unlisted: snapshots of which the archives alone do not tell what they hold; with the catalog none.
        """
        self.reset()
        gone = harm()
        if not catalog:
            self.installation.removeCatalog()
        unlisted = [] if catalog else list(unlisted)
        numbers = [number for number in self.moments if number not in unlisted]
        lost = self.lostStates(gone, numbers)
        found = self.installation.run("verify", "--data", "--json", expect=DAMAGED)["findings"]
        self.assertTrue(found)
        response = self.installation.run("repair", "--json", expect=DAMAGED if lost or unlisted else DONE)
        self.assertEqual(self.listed(response, numbers), lost, response)
        self.assertEqual([number for span in response["lost_snapshots"] for number in range(span["first"], span["last"] + 1)], unlisted)
        self.assertEqual(self.installation.numbers(), numbers)
        self.checkRestores(numbers, lost)
        self.checkAfterwards(numbers, lost)
        return response

    def checkRestores(self, numbers, lost):
        for number in numbers:
            missing = {path for path, snapshot in lost if snapshot == number}
            target = os.path.join(self.installation.directory, "restored")
            report = self.installation.restore(number, target, expect=PARTIAL if missing else DONE)
            self.assertEqual({problem["path"][len(target):] for problem in report["problems"] if problem["loss"]}, missing)
            self.assertSameTree(self.withoutPaths(self.moments[number], missing),
                                self.withoutPaths(fingerprint(self.installation.restored(target)), missing), f"snapshot {number}")
            removeTree(target)

    def withoutPaths(self, tree, paths):
        source = self.installation.source + "/"
        return {path: item for path, item in tree.items() if source + os.fsdecode(path) not in paths}

    def checkAfterwards(self, numbers, lost):
        """Nothing but the losses is found any more, others read it as well, and life goes on."""
        installation = self.installation
        findings = installation.run("verify", "--data", "--json", expect=DAMAGED if lost else DONE)["findings"]
        self.assertEqual({affected["path"] for finding in findings for affected in finding["affected"]}, {path for path, _ in lost}, findings)
        self.assertLessEqual({finding["archive"] for finding in findings}, {""}, findings)
        shelf = Shelf(installation)
        self.assertEqual(shelf.findings.said, [])
        for number in numbers:
            self.assertEqual(shelf.contents(number), self.contents[number], f"snapshot {number}, recover.py")
        again = installation.run("repair", "--json", expect=DAMAGED if lost else DONE)
        self.assertEqual((again["mended"], again["given_up"], again["healed_chunks"]), ([], [], 0), again)
        self.assertEqual(self.listed(again, numbers), lost)
        if not lost:
            self.assertEqual(again["message"], "nothing is damaged")
        # The next snapshot bounds what was mended, and rotation goes on.
        self.put("later", "later".encode())
        taken = installation.snapshot()
        self.assertEqual((taken["number"], taken["kind"]), (NEWEST + 1, "full"))
        installation.configure(keeping("last = 2"))
        try:
            installation.run("rotate")
            self.assertEqual(installation.numbers(), sorted({2} & set(numbers) | {NEWEST, NEWEST + 1}))
        finally:
            installation.configure(SETTINGS)
        os.unlink(os.path.join(installation.source, "later"))


class RepairTests(RepairTestCase):
    def testSoundRepositoryStaysAsItIs(self):
        self.begin("sound")
        before = self.installation.archives()
        for more in ([], ["--known"]):
            response = self.installation.run("repair", "--json", *more)
            self.assertEqual(response["message"], "nothing is damaged")
            self.assertEqual((response["mended"], response["given_up"], response["lost"], response["healed_chunks"]), ([], [], [], 0))
        self.assertEqual(self.installation.archives(), before)
        self.put("later", b"later")
        self.assertEqual(self.installation.snapshot()["kind"], "incremental")

    def each(self, cases):
        """With the catalog and without it; the short form takes turns."""
        for turn, (title, harm, unlisted) in enumerate(cases):
            for catalog in (True, False) if LONG else (turn % 2 == 0,):
                with self.subTest(title, catalog=catalog):
                    self.check(harm, catalog, unlisted)

    def testFlippedByteInADataFrame(self):
        self.begin("data frame")
        cases = []
        for kind, index in (("data", 0), ("data", 1), ("incremental", 0), ("incremental", 1), ("full", 1), ("incremental", 3)):
            for frame in self.sound.frames(self.kinds[kind][index], DATA):
                cases.append((f"{kind} {index} frame {frame}", lambda kind=kind, index=index, frame=frame: self.damage(kind, index).frame(frame), ()))
        self.each(cases if LONG else self.random.sample(cases, 3))

    def testFlippedByteInAManifestFrame(self):
        self.begin("manifest frame")
        self.each((f"{kind} {index}", lambda kind=kind, index=index:
                   self.damage(kind, index).frame(self.sound.frames(self.kinds[kind][index], MANIFEST)[0]), unlisted)
                  for kind, index, unlisted in COMMITS[:None if LONG else 2])

    def testFlippedByteInTheContents(self):
        self.begin("contents")
        self.each((f"{kind} {index}", lambda kind=kind, index=index:
                   self.damage(kind, index).frame(len(self.sound.archives[self.kinds[kind][index]].frames) - 1) - self.contentsFrames(), unlisted)
                  for kind, index, unlisted in COMMITS[:None if LONG else 2] + [("data", 0, [])])

    def testFlippedByteInHeaderOrTrailer(self):
        self.begin("header and trailer")
        places = [("magic", lambda damage: damage.header(3)), ("reserved", lambda damage: damage.header(13)), ("id", lambda damage: damage.header(20)),
                  ("offset", lambda damage: damage.trailer(23)), ("tail", lambda damage: damage.trailer(2))]
        cases = [(f"{place} of {kind} {index}", lambda kind=kind, index=index, harm=harm: harm(self.damage(kind, index)), unlisted)
                 for place, harm in places for kind, index, unlisted in COMMITS + [("data", 0, []), ("data", 1, [])]]
        self.each(cases if LONG else self.random.sample(cases, 3))

    def testFlippedByteInALengthField(self):
        """Of a data frame the contents tell where it ends."""
        self.begin("length field")
        self.each([("data", lambda: self.damage("data").lengthField(0), []),
                   ("data frame of a commit", lambda: self.damage("incremental", 1).lengthField(0), []),
                   ("manifest", lambda: self.damage("incremental", 1).lengthField(1), [3]),
                   ("contents", lambda: self.damage("full", 1).lengthField(len(self.sound.archives[self.kinds["full"][1]].frames) - 1), [4, 5, 6])][:None if LONG else 3])

    def testTruncatedArchive(self):
        self.begin("truncated")
        cases = []
        for kind, index, unlisted in COMMITS + [("data", 0, []), ("data", 1, [])]:
            frames = self.sound.archives[self.kinds[kind][index]].frames
            end = frames[-1][1] + 4 + frames[-1][2] + 24
            sizes = [0, 10, 40, frames[-1][1], frames[-1][1] + 50, end - 24, end - 1]
            cases += [(f"{kind} {index} to {size} of {end}", lambda kind=kind, index=index, size=size: self.damage(kind, index).truncate(size), unlisted)
                      for size in sizes]
        self.each(cases if LONG else self.random.sample(cases, 3))

    def testArchiveDeleted(self):
        self.begin("deleted")
        self.each((f"{kind} {index}", lambda kind=kind, index=index: self.damage(kind, index).remove(), unlisted)
                  for kind, index, unlisted in [("full", 0, [1, 2, 3]), ("incremental", 1, [3]), ("data", 0, []), ("data", 1, [])])

    def testSeveralAtOnce(self):
        self.begin("several")

        def harm():
            manifest = self.sound.frames(self.kinds["incremental"][1], MANIFEST)[0]
            return (self.damage("data", 0).frame(0) | self.damage("incremental", 1).frame(manifest) | self.damage("incremental", 0).truncate(300)
                    | self.damage("full", 1).header(5) | self.damage("data", 1).remove())
        self.check(harm)
        # Without the catalog the second full one is the first that can be listed; here it cannot.

        def lesser():
            return self.damage("data", 0).frame(0) | self.damage("incremental", 0).truncate(300) | self.damage("data", 1).trailer(3)
        self.check(lesser, catalog=False, unlisted=[2, 3])

    def testContentThatChangedSinceIsLostAndNamed(self):
        self.begin("changed since")
        source = self.installation.source
        self.reset()
        damage = self.damage("data", 0)
        gone = damage.remove()
        # A new time alone does no harm, nor does a new owner of the path with the same content.
        os.utime(f"{source}/small-1", (1, 1))
        text = read(f"{source}/small-2")
        os.unlink(f"{source}/small-2")
        self.put("small-2", text)
        self.put("small-3", b"other")
        os.unlink(f"{source}/small-4")
        with open(f"{source}/large", "r+b") as file:
            file.seek(1_600_000)
            file.write(b"other")
        lost = self.lostStates(gone, self.moments, changed=["small-3", "small-4"])
        response = self.installation.run("repair", "--json", expect=DAMAGED)
        listed = self.listed(response, self.moments)
        large = {(f"{source}/large", number) for number in self.moments}
        self.assertEqual(listed - large, lost - large)
        # Of the large file the chunk with the change is lost from every snapshot.
        self.assertEqual(listed & large, large)
        self.assertEqual({path for path, number in listed if number == NEWEST}, {f"{source}/small-3", f"{source}/small-4", f"{source}/large"})
        self.checkRestores(self.moments, listed)
        # What is lost of old snapshots hurts no later one.
        number = self.installation.snapshot()["number"]
        target = f"{self.installation.directory}/whole"
        self.installation.restore(number, target)
        self.assertSameTree(fingerprint(source), self.installation.restored(target))
        self.assertEqual(self.listed(self.installation.run("repair", "--json", expect=DAMAGED), self.moments), listed)

    def testLostContentThatComesBackIsHealed(self):
        """Repair leaves what is lost in the lists: a file that is put back later mends them."""
        self.begin("comes back")
        source = self.installation.source
        self.reset()
        self.damage("data", 0).remove()
        os.rename(f"{source}/small-3", f"{source}/elsewhere")
        self.assertIn(f"{source}/small-3", {path for path, _ in self.listed(self.installation.run("repair", "--json", expect=DAMAGED), self.moments)})
        os.rename(f"{source}/elsewhere", f"{source}/small-3")
        response = self.installation.run("repair", "--json", expect=DAMAGED)
        self.assertEqual(response["healed_chunks"], 1)
        self.checkRestores(self.moments, self.listed(response, self.moments))
        self.assertNotIn(f"{source}/small-3", str(response["lost"]))

    def testRecordOfPinsAndTags(self):
        self.begin("record")
        for title, harm in (("deleted", lambda damage: damage.remove()), ("flipped", lambda damage: damage.frame(0)),
                            ("truncated", lambda damage: damage.truncate(40)), ("header", lambda damage: damage.header(2))):
            for catalog in (True, False):
                with self.subTest(title, catalog=catalog):
                    self.reset()
                    harm(self.damage("record"))
                    if not catalog:
                        self.installation.removeCatalog()
                    self.installation.run("verify", "--data", expect=DAMAGED)
                    response = self.installation.run("repair", "--json", expect=DONE if catalog else DAMAGED)
                    self.assertEqual(response["remarks_lost"], not catalog)
                    self.assertEqual((response["lost"], response["lost_snapshots"]), ([], []))
                    second = {snapshot["number"]: snapshot for snapshot in self.installation.snapshots()}[2]
                    self.assertEqual((second["pinned"], second["tags"]), (True, ["second"]) if catalog else (False, []))
                    # All other archives are as they were.
                    others = set(self.sound.archives) - set(self.kinds["record"])
                    self.assertEqual(others - set(self.installation.archives()), set())
                    self.assertEqual(Shelf(self.installation).findings.said, [])
                    self.installation.run("verify", "--data")
                    self.assertEqual(self.installation.run("repair", "--json")["message"], "nothing is damaged")

    def testNewestSnapshotIsGone(self):
        self.begin("newest")
        source = self.installation.source
        edited = read(f"{source}/edited")
        for title, harm, catalog, isBack in (
                ("deleted", lambda damage: damage.remove(), True, True), ("deleted", lambda damage: damage.remove(), False, True),
                ("damaged", lambda damage: damage.frame(1), True, False), ("damaged", lambda damage: damage.frame(1), False, True)):
            with self.subTest(title, catalog=catalog):
                self.reset()
                harm(self.damage("incremental", 3))
                if not catalog:
                    self.installation.removeCatalog()
                self.installation.run("verify", "--data", expect=DAMAGED)
                if isBack:
                    # Only a person knows whether there is a copy of it.
                    self.assertIn("doctor --accept-rollback", self.installation.attempt("repair").errors)
                    self.installation.run("repair", expect=DAMAGED)
                    self.installation.run("restore", "--to", f"{self.installation.directory}/no", expect=DAMAGED)
                    self.installation.run("doctor", "--accept-rollback")
                isUnusable = title == "damaged" and not catalog
                response = self.installation.run("repair", "--json", expect=DAMAGED if isUnusable else DONE)
                self.assertEqual(response["lost_snapshots"], [{"first": 6, "last": 6}] if isUnusable else [])
                numbers = [1, 2, 3, 4, 5] if isBack else [1, 2, 3, 4, 5, 6]
                self.assertEqual(self.installation.numbers(), numbers)
                # What archives say of a sixth snapshot counts until there is a seventh.
                self.installation.run("verify", "--data", expect=(DONE, DAMAGED) if isUnusable else DONE)
                self.checkRestores(numbers, set())
                self.put("later", b"later")
                taken = self.installation.snapshot()
                self.assertEqual((taken["number"], taken["kind"]), (7, "full"))
                self.assertEqual(self.installation.run("cat", f"{source}/edited").encode("utf-8", "replace")[:9], edited[:9])
                os.unlink(f"{source}/later")
                self.installation.run("verify", "--data")
                self.assertEqual(Shelf(self.installation).findings.said, [])

    def testWhatIsKnownIsMendedWithoutReadingTheRest(self):
        self.begin("known")
        self.damage("incremental", 1).frame(0)
        # Nobody has looked yet.
        self.assertEqual(self.installation.run("repair", "--known", "--json")["message"], "nothing is damaged")
        self.installation.run("verify", "--data", expect=DAMAGED)
        self.damage("full", 1).frame(1)
        response = self.installation.run("repair", "--known", "--json", expect=DAMAGED)
        self.assertEqual(response["mended"], [self.kinds["incremental"][1]])
        self.installation.run("verify", "--data", expect=DAMAGED)
        self.assertEqual(self.installation.run("repair", "--json", expect=DAMAGED)["mended"], [self.kinds["full"][1]])

    def testNoRepairWhileAnotherProcessReads(self):
        """It says so and changes nothing that a reader needs; the next run does it."""
        self.begin("reader")
        self.damage("incremental", 1).frame(0)
        with open(os.path.join(self.installation.repository, "readers"), "rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            self.assertIn("another process is reading", self.installation.attempt("repair").errors)
            self.installation.run("repair", expect=FAILED)
            self.assertIn(self.kinds["incremental"][1], self.installation.archives())
        self.installation.run("repair", expect=DAMAGED)
        self.assertNotIn(self.kinds["incremental"][1], self.installation.archives())
        self.installation.run("verify", "--data", expect=DAMAGED)
        self.checkRestores(self.moments, {(f"{self.installation.source}/edited", 3)})

    def contentsFrames(self):
        """No content stands in them."""
        return {(name, len(archive.frames) - 1) for name, archive in self.sound.archives.items()}


class HealingTests(RepairTestCase):
    """The daemon mends by itself."""

    def record(self):
        return json.loads(read(f"{self.installation.state}/anchor.json"))

    def waitUntilRepaired(self):
        self.installation.waitUntil(lambda: "repaired" in self.installation.log(), "a repair")
        self.assertGreater(self.record()["last_repair"]["archives"] + self.record()["last_repair"]["chunks"], 0)

    def settings(self):
        self.installation.configure(SETTINGS.replace("[schedule]", '[schedule]\nverify_every = "60s"'))

    def testAnArchiveThatIsDamagedWhenTheDaemonStarts(self):
        self.begin("daemon, damaged")
        self.settings()
        # It was never verified, so that is the first thing to be done; the oldest archive comes first.
        self.damage("data", 0).header(3)
        self.installation.startDaemon()
        self.waitUntilRepaired()
        self.installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.installation.run("verify", "--data")
        self.assertNotIn(self.kinds["data"][0], self.installation.archives())
        self.checkRestores(self.moments, set())
        # And the next snapshot bounds it.
        self.put("later", b"later")
        self.assertEqual(self.installation.snapshot()["kind"], "full")
        self.installation.stopDaemon()

    def testArchivesThatVanishWhileNoDaemonRuns(self):
        self.begin("daemon, vanished before")
        self.settings()
        self.installation.run("verify", "--data")
        lost = self.lostStates(self.damage("data", 1).remove() | self.damage("incremental", 1).remove(), self.moments)
        self.installation.startDaemon()
        self.waitUntilRepaired()
        self.installation.waitForStatus(lambda status: "repository-damaged" not in reasonCodes(status), "mended")
        self.installation.run("verify", "--data", expect=DAMAGED)
        self.checkRestores(self.moments, lost)
        self.installation.stopDaemon()

    def testArchivesThatVanishUnderTheRunningDaemon(self):
        self.begin("daemon, vanished")
        self.settings()
        self.installation.run("verify", "--data")
        self.installation.startDaemon()
        self.installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        number = self.installation.numbers()[-1]
        gone = self.damage("incremental", 0).remove() | self.damage("data", 0).remove()
        # The next thing that it does with the archives shows it; a full snapshot compares everything.
        self.installation.snapshot("--full")
        # It stands still as long as nothing is mended.
        self.installation.run("rotate", expect=(DONE, PARTIAL))
        self.waitUntilRepaired()
        self.installation.waitForStatus(lambda status: "repository-damaged" not in reasonCodes(status), "mended")
        self.checkRestores([earlier for earlier in self.moments if earlier <= number], self.lostStates(gone, self.moments))
        self.installation.stopDaemon()

    def testRepairThroughTheDaemon(self):
        self.begin("daemon, asked")
        self.installation.startDaemon()
        self.installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        gone = self.damage("incremental", 1).trailer(3) | self.damage("full", 1).frame(0) | self.damage("incremental", 2).header(2)
        self.installation.run("verify", "--data", expect=DAMAGED)
        lost = self.lostStates(gone, self.moments)
        response = self.installation.run("repair", "--json", expect=DAMAGED)
        self.assertEqual(self.listed(response, self.moments), lost)
        # The daemon may have been faster than the command: what counts is that the damaged archives are gone.
        damaged = {self.kinds["incremental"][1], self.kinds["full"][1], self.kinds["incremental"][2]}
        self.assertEqual(damaged & set(self.installation.archives()), set())
        self.installation.waitForStatus(lambda status: "repository-damaged" not in reasonCodes(status), "mended")
        self.checkRestores(self.moments, lost)
        self.put("later", b"later")
        self.assertEqual(self.installation.snapshot()["kind"], "full")
        self.installation.stopDaemon()


if __name__ == "__main__":
    unittest.main()

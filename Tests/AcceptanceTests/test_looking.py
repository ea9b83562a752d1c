"""Looking: the history of a path, where the space goes, what a snapshot would take, what verification has covered.

In:  files that change, with and without a daemon.  Out: the answers, and nothing changed by asking.
"""
import base64
import os
import sqlite3
import time
import unittest

from installation import (AT_ONCE, DAMAGED, FAILED, InstallationTestCase, fingerprint, reasonCodes, write)

DAY = 86_400_000


class HistoryTests(InstallationTestCase):
    def testEveryVersionHasItsSnapshotsAndWhatChanged(self):
        installation = self.install()
        file = f"{installation.source}/file"
        write(file, "one")
        installation.snapshot()
        write(f"{installation.source}/other", "x")
        installation.snapshot()
        os.chmod(file, 0o600)
        installation.snapshot()
        write(file, "three")
        installation.snapshot()
        os.unlink(file)
        installation.snapshot()
        write(file, "again")
        installation.snapshot()
        versions = installation.run("history", file, "--json")
        self.assertEqual([(item["first_snapshot"], item["last_snapshot"]) for item in versions], [(1, 2), (3, 3), (4, 4), (6, 6)])
        self.assertEqual([item["size"] for item in versions], [3, 3, 5, 5])
        self.assertEqual([item["mode"] for item in versions][:2], [0o644, 0o600])
        self.assertEqual([item["changed"] for item in versions], [["new"], ["mode"], ["content", "mtime"], ["new"]])
        times = {snapshot["number"]: snapshot["time"] for snapshot in installation.snapshots()}
        self.assertEqual([item["time"] for item in versions], [times[1], times[3], times[4], times[6]])
        # A gap: the third ends where the fifth snapshot begins, and the next version later.
        self.assertEqual([item["until"] for item in versions], [times[3], times[4], times[5], None])
        # What a history names is what a restore of that moment brings.
        self.assertEqual(installation.run("cat", file, "--at", versions[2]["time"]), "three")
        lines = installation.run("history", file).splitlines()
        self.assertEqual([line.split()[2] for line in lines[1:]], ["1…2", "3", "4", "5", "6"])
        self.assertTrue(lines[4].endswith("deleted"), lines[4])
        self.assertTrue(lines[3].endswith("content, mtime"), lines[3])

    def testDirectoriesRelativePathsAndOddNames(self):
        installation = self.install()
        odd = os.fsencode(installation.source) + b"/caf\xe9"
        write(odd, "1")
        installation.snapshot()
        version, = installation.run("history", odd, "--json")
        self.assertEqual(base64.b64decode(version["path_base64"]), odd)
        version, = installation.run("history", "source", "--json", cwd=installation.home)
        self.assertEqual((version["path"], version["type"]), (installation.source, "directory"))

    def testAPathOfNoSnapshotIsSaid(self):
        installation = self.install()
        write(f"{installation.source}/file", "1")
        installation.snapshot()
        for path in (f"{installation.source}/absent", f"{installation.source}/file/below", "/", installation.home):
            done = installation.attempt("history", path)
            self.assertEqual((done.status, done.output), (FAILED, b""))
            self.assertIn("is in no snapshot that is kept", done.errors)

    def testVersionsThatRotationTookAreGone(self):
        rules = ("quarter_hourly", "hourly", "daily", "weekly", "monthly", "yearly")
        installation = self.install(settings='[keep]\nlast = 2\nwithin = "0s"\n' + "".join(f"{rule} = 0\n" for rule in rules))
        file = f"{installation.source}/file"
        for number in range(1, 6):
            write(file, str(number) * number)
            installation.snapshot()
        installation.run("rotate", "--json")
        kept = installation.numbers()
        self.assertEqual([item["first_snapshot"] for item in installation.run("history", file, "--json")], kept)
        self.assertLess(len(kept), 5)


class StatisticsTests(InstallationTestCase):
    def testSumsAreThoseOfTheFiles(self):
        installation = self.install()
        noise = os.urandom(150_000)
        write(f"{installation.source}/photos/one.JPG", noise)
        write(f"{installation.source}/photos/copy/two.jpg", noise)
        write(f"{installation.source}/notes.txt", "a" * 1000)
        write(f"{installation.source}/old.bin", os.urandom(3000))
        installation.snapshot()
        os.unlink(f"{installation.source}/old.bin")
        installation.snapshot()
        stats = installation.run("stats", "--json")
        self.assertEqual(stats["types"], [{"type": "jpg", "files": 2, "bytes": 300_000}, {"type": "txt", "files": 1, "bytes": 1000}])
        self.assertEqual(stats["directories"], [{"path": f"{installation.source}/photos", "files": 2, "bytes": 300_000},
                                                {"path": installation.source, "files": 1, "bytes": 1000}])
        chunks = stats["chunks"]
        self.assertEqual((chunks["newest"]["bytes"], chunks["older"], chunks["dead"]["bytes"]), (151_000, {"count": 1, "bytes": 3000}, 0))
        self.assertEqual(chunks["bytes"], 154_000)
        self.assertEqual(stats["deduplication"], round(301_000 / 151_000, 2))
        self.assertEqual(stats["archives"]["bytes"], installation.archiveBytes())
        self.assertEqual(stats["compression"], round(154_000 / installation.archiveBytes(), 2))
        self.assertEqual(stats["newest_snapshot"], {"number": 2, "entries": 6, "bytes_source": 301_000})
        self.assertEqual(stats["snapshots"]["count"], 2)
        text = installation.run("stats")
        self.assertIn("jpg (2 files)", text)
        self.assertIn(f"{installation.source}/photos", text)

    def testCopiesOfAStandaloneSnapshotAreToldApart(self):
        installation = self.install()
        write(f"{installation.source}/file", os.urandom(5000))
        installation.snapshot()
        installation.snapshot("--standalone")
        self.assertEqual(installation.run("stats", "--json")["chunks"]["copies"], {"count": 1, "bytes": 5000})


class PreviewTests(InstallationTestCase):
    def changed(self):
        """An installation with a snapshot, and a new, a changed, a chmodded and a deleted file after it."""
        installation = self.install()
        for name in ("changed", "gone", "mode", "same"):
            write(f"{installation.source}/{name}", name)
        installation.snapshot()
        # Past the time in which a file's time cannot tell whether it was written again.
        time.sleep(0.1)
        write(f"{installation.source}/changed", "otherwise")
        write(f"{installation.source}/new", "123")
        os.chmod(f"{installation.source}/mode", 0o600)
        os.unlink(f"{installation.source}/gone")
        return installation

    def check(self, installation):
        """The preview is what the changes are, in JSON and in text."""
        preview = installation.run("snapshot", "--dry-run", "--json")
        changes = [(item["letter"], item["path"][len(installation.source):]) for item in preview["changes"]]
        self.assertEqual([change for change in changes if change[1] != "/same"],
                         [("M", ""), ("M", "/changed"), ("D", "/gone"), ("M", "/mode"), ("A", "/new")])
        self.assertEqual((preview["added"], preview["modified"] - preview["uncertain"], preview["deleted"]), (1, 3, 1))
        self.assertGreaterEqual(preview["bytes_to_read"], len("otherwise") + len("123"))
        self.assertEqual(preview["base"], 1)
        lines = installation.run("snapshot", "--dry-run").splitlines()
        self.assertIn(f"A {installation.source}/new", lines)
        self.assertIn(f"D {installation.source}/gone", lines)
        self.assertIn("1 new, ", lines[-1])

    def testNothingIsWritten(self):
        installation = self.changed()
        before = fingerprint(installation.repository)
        self.check(installation)
        self.assertSameTree(before, installation.repository)
        self.assertEqual(installation.numbers(), [1])
        self.assertEqual(installation.snapshot()["entries_changed"], 5)
        self.assertTrue(installation.run("snapshot", "--dry-run").strip())

    def testBesideADaemon(self):
        installation = self.changed()
        installation.configure('[schedule]\nquiet = "1h"\ndeadline = "2h"\nreconcile_every = "30d"\n')
        installation.run("snapshot")
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["watch"]["reconciles"] and status["activity"]["state"] == "idle", "the first comparison")
        number = installation.numbers()[-1]
        write(f"{installation.source}/later", "x" * 1000)
        preview = installation.run("snapshot", "--dry-run", "--json")
        self.assertEqual((preview["base"], preview["added"]), (number, 1))
        self.assertEqual(installation.numbers()[-1], number)

    def testOnlyTheFirstTwentyAreNamed(self):
        installation = self.install()
        for number in range(40):
            write(f"{installation.source}/{number:02}", "1234")
        preview = installation.run("snapshot", "--dry-run", "--json")
        self.assertEqual((preview["base"], preview["added"], preview["bytes_to_read"], len(preview["changes"])), (None, 41, 160, 20))
        self.assertIn("… and 21 more", installation.run("snapshot", "--dry-run").splitlines())
        installation.snapshot()
        time.sleep(0.1)
        # Read anew: everything is, and may turn out to be the same.
        preview = installation.run("snapshot", "--dry-run", "--rehash", "--json")
        self.assertEqual((preview["modified"], preview["uncertain"], preview["bytes_to_read"]), (40, 40, 160))


class CoverageTests(InstallationTestCase):
    def age(self, installation, days, archives="1"):
        """Moves readings into the past, as if the clock had gone on; `archives` is a condition."""
        with sqlite3.connect(f"{installation.state}/catalog.sqlite") as catalog:
            catalog.execute(f"UPDATE archive SET verified = ? WHERE {archives}", (int(time.time() * 1000) - days * DAY,))
        catalog.close()

    def several(self):
        installation = self.install(settings=AT_ONCE)
        for number in range(4):
            write(f"{installation.source}/{number}", os.urandom(2000))
            installation.snapshot()
        return installation

    def testANewArchiveCountsAsReadForItIsReadBack(self):
        installation = self.several()
        installation.run("tag", 1, "first")
        self.assertEqual(installation.status()["repository"]["verification"]["unread"], 0)
        report = installation.run("verify", "--digests", "--json")
        self.assertEqual(len(report["archives"]), 5)
        self.assertEqual(report["covered_since"], min(item["verified"] for item in report["archives"]))
        self.assertEqual([item["archive"] for item in report["archives"]], installation.archives())

    def testWhatWasReadLongestAgoIsReadFirst(self):
        installation = self.several()
        self.age(installation, 40)
        self.age(installation, 50, "number = 3")
        self.assertEqual(installation.status()["repository"]["verification"]["unread"], 4)
        report = installation.run("verify", "--sample", "1%", "--json")
        times = [item["verified"] for item in report["archives"]]
        self.assertEqual(max(times), times[2])
        self.assertEqual(report["covered_since"], min(times))
        self.assertIn("of 4 archives were not read in full in the last 31 days", installation.run("verify", "--sample", "1%"))
        self.assertIn("every archive was read in full since", installation.run("verify", "--data"))
        self.assertEqual(installation.status()["repository"]["verification"]["unread"], 0)

    def testBeingBehindIsAnAdvice(self):
        installation = self.several()
        self.age(installation, 40, "number = 2")
        # The daemon would verify at once, what was never verified being due.
        installation.configure(AT_ONCE + 'verify_every = "365d"\n')
        installation.run("verify", "--sample", "1%")
        self.age(installation, 40, "number = 2")
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: "verification-behind" in reasonCodes(status), "the advice")
        status = status or installation.status()
        self.assertEqual((status["verdict"], status["repository"]["verification"]["unread"]), ("protected", 1))
        self.assertIn("1 of 4 archives not read in full in the last 31 days", installation.run("status"))
        # What it advises helps at once.
        installation.run("verify", "--data")
        self.assertNotIn("verification-behind", reasonCodes(installation.status()))

    def testADamagedArchiveDoesNotHoldUpTheOthers(self):
        installation = self.several()
        archive = f"{installation.repository}/archives/{installation.archives()[1]}"
        os.chmod(archive, 0o600)
        with open(archive, "r+b") as file:
            file.seek(200)
            file.write(b"damage")
        self.age(installation, 40)
        self.age(installation, 50, "number = 2")
        for run in range(4):
            installation.run("verify", "--sample", "1%", "--json", expect=DAMAGED if run == 0 else 0)
        self.assertIn("every archive was read in full since", installation.run("verify", "--sample", "1%", expect=None))
        # It is still known to be damaged.
        installation.startDaemon()
        installation.waitForStatus(lambda status: "repository-damaged" in reasonCodes(status), "the damage")

    def testWhatWasCoveredOutlivesTheCatalog(self):
        installation = self.several()
        self.age(installation, 10)
        self.age(installation, 20, "number = 2")
        before = installation.run("verify", "--digests", "--json")["archives"]
        installation.run("catalog", "rebuild")
        self.assertEqual(installation.run("verify", "--digests", "--json")["archives"], before)
        # Of another version of the program: thrown away at the next opening.
        with sqlite3.connect(f"{installation.state}/catalog.sqlite") as catalog:
            catalog.execute("PRAGMA user_version = 999")
        catalog.close()
        self.assertEqual(len(installation.snapshots()), 4)
        self.assertEqual(installation.run("verify", "--digests", "--json")["archives"], before)
        # Without any trace of it nothing is known.
        installation.removeCatalog()
        installation.snapshots()
        self.assertEqual([item["verified"] for item in installation.run("verify", "--digests", "--json")["archives"]], [None] * 4)
        self.assertEqual(installation.status()["repository"]["verification"], {"oldest": None, "unread": 4})


if __name__ == "__main__":
    unittest.main()

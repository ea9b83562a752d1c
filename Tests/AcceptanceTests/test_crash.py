#!/usr/bin/env python3
"""kill -9 at random moments: every snapshot that is listed afterwards is whole, and the newest state is in the next one."""
import os
import re
import time
import unittest

from installation import LONG, InstallationTestCase, fingerprint, removeTree, seededRandom
from test_rotation import keeping
from trees import Changer, noise, put, text

KILLS = 50 if LONG else 8
# Small archives, so that a kill also falls between `data` archives; a daemon that does not wait.
SETTINGS = '[archive]\nsize = "1MiB"\n[schedule]\nquiet = "20ms"\ndeadline = "200ms"\nminimum_gap = "0s"\n'


class CrashTests(InstallationTestCase):

    def begin(self, name, settings=SETTINGS):
        self.random = seededRandom(name)
        self.installation = self.install(settings=settings)
        self.source = self.installation.source
        for number in range(40):
            put(os.path.join(self.source, f"{number}.txt"), noise(self.random, 20_000))
        self.changer = Changer(self.source, self.random, largest=50_000, spared=["bulk", "bulk-0", "bulk-1", "bulk-2"])
        self.known = {}
        self.unfinished = 0

    def disturb(self, bulk=3_000_000):
        """Changes that take a snapshot a while: several archives, and a rename of a directory."""
        self.changer.change(15)
        put(os.path.join(self.source, "bulk"), noise(self.random, bulk))

    def killSometime(self, command, longest):
        """kill -9 at a random moment, which is no event. Returns a limit that comes closer to how long the command takes."""
        time.sleep(self.random.random() * longest)
        command.kill()
        if command.wait() < 0:
            self.unfinished += 1
            return longest
        return max(0.02, longest * 0.6)

    def waitUntilWriting(self):
        """Until an archive is being written, or at most a second: then there was one between two looks."""
        folder = os.path.join(self.installation.repository, "archives")
        end = time.monotonic() + 1
        while time.monotonic() < end and not any(name.endswith(".tmp") for name in os.listdir(folder)):
            time.sleep(0.002)

    def checkAfterCrash(self, restores=1):
        """Nothing half-written, what was listed before is listed still, all of it verifies, some of it is restored."""
        # The first command after the crash heals: it opens the repository as any other does.
        snapshots = self.installation.snapshots()
        numbers = [snapshot["number"] for snapshot in snapshots]
        self.assertEqual(sorted(set(self.known) - set(numbers)), [], "a finished snapshot vanished")
        self.installation.run("verify", "--data")
        for number in self.random.sample(sorted(set(self.known) & set(numbers)), min(restores, len(self.known))):
            self.checkRestored(number)
        return numbers

    def checkRestored(self, number):
        self.round = getattr(self, "round", 0) + 1
        target = os.path.join(self.installation.directory, f"out-{self.round}")
        self.installation.restore(number, target)
        self.assertSameTree(self.known[number], self.installation.restored(target), f"snapshot {number}")
        removeTree(target)

    def checkNewestState(self):
        """The next snapshot holds what is there now, whatever the crash interrupted."""
        outcome = self.installation.snapshot()
        number = outcome["number"] or self.installation.numbers()[-1]
        self.known[number] = fingerprint(self.source)
        self.checkRestored(number)
        self.checkNothingHalfWritten()

    def checkNothingHalfWritten(self):
        """Once a snapshot has been written after the crash, only whole archives are there, but for what a daemon writes just now."""
        whole = re.compile(r"\d{9,19}-\d{8}T\d{6}\.\d{3}Z-(full|incremental|data|record)-[0-9a-f]{64}\.enc")
        self.installation.waitUntil(lambda: all(map(whole.fullmatch, self.installation.archives())), "nothing half-written")

    def testKillingTheDaemonDuringSnapshots(self):
        self.begin("kill watchd")
        for kill in range(KILLS):
            with self.subTest(kill=kill):
                self.installation.startDaemon(wait=self.random.random() < 0.7)
                self.disturb()
                if kill % 4 != 3:
                    self.waitUntilWriting()
                time.sleep(self.random.random() * 0.3)
                self.installation.killDaemon()
                self.checkAfterCrash()
                if kill % 2:
                    self.installation.startDaemon()
                    self.checkNewestState()
                    self.installation.killDaemon()
                else:
                    self.checkNewestState()

    def testKillingASnapshotCommand(self):
        """Without a daemon the command does the work, and its end must do no more harm."""
        self.begin("kill watchctl snapshot")
        longest = 0.4
        for kill in range(KILLS):
            with self.subTest(kill=kill):
                self.disturb()
                command = self.installation.spawn("snapshot", *["--full"] * (kill % 3 == 0))
                longest = self.killSometime(command, longest)
                self.checkAfterCrash()
                self.checkNewestState()
        self.assertGreater(self.unfinished, 0, "no kill came in time")

    def testAnInterruptedFirstBackupContinues(self):
        """Whole `data` archives of an unfinished snapshot are not written again."""
        self.begin("continue")
        size = 24_000_000
        put(os.path.join(self.source, "bulk"), noise(self.random, size))
        command = self.installation.spawn("snapshot")
        folder = os.path.join(self.installation.repository, "archives")
        self.installation.waitUntil(
            lambda: command.poll() is not None or sum(name.endswith(".enc") for name in os.listdir(folder)) >= 4, "some archives")
        command.kill()
        self.assertLess(command.wait(), 0, "the snapshot was faster than the kill")
        self.assertEqual(self.installation.numbers(), [])
        finished = [name for name in self.installation.archives() if name.endswith(".enc")]
        self.checkNewestState()
        self.assertEqual([name for name in finished if name not in self.installation.archives()], [])
        self.assertLess(self.installation.archiveBytes(), size + 2_000_000)
        self.installation.run("verify", "--data")

    def testKillingARotation(self):
        self.begin("kill rotate", settings=keeping("last = 3", '[archive]\nsize = "1MiB"'))
        longest = 0.3
        for kill in range(20 if LONG else 5):
            with self.subTest(kill=kill):
                for _ in range(4):
                    self.changer.change(6)
                    put(os.path.join(self.source, f"bulk-{self.random.randrange(3)}"), noise(self.random, 300_000))
                    number = self.installation.snapshot()["number"]
                    self.known[number] = fingerprint(self.source)
                longest = self.killSometime(self.installation.spawn("rotate"), longest)
                wanted = sorted(self.known)[-3:]
                for number in set(self.known) - set(wanted):
                    del self.known[number]
                self.checkAfterCrash(restores=3)
                self.installation.run("rotate")
                self.assertEqual(self.installation.numbers(), wanted)
                self.checkAfterCrash(restores=1)
                self.checkNothingHalfWritten()
                # What an unfinished merge left behind is not kept for ever.
                self.assertLess(self.installation.archiveBytes(), 6_000_000)
        self.assertGreater(self.unfinished, 0, "no kill came in time")
        for number in sorted(self.known):
            target = os.path.join(self.installation.directory, f"recovered-{number}")
            self.installation.recover(number, target)
            self.assertSameTree(self.known[number], self.installation.restored(target), f"snapshot {number}, recover.py")

    def testKillingACompaction(self):
        self.begin("kill compact")
        longest = 0.4
        for kill in range(20 if LONG else 5):
            with self.subTest(kill=kill):
                # More than the deep lane would take at once.
                put(os.path.join(self.source, f"bulk-{kill % 3}"), text(self.random, 5_000_000))
                self.known[self.installation.snapshot()["number"]] = fingerprint(self.source)
                longest = self.killSometime(self.installation.spawn("compact"), longest)
                self.checkAfterCrash(restores=2)
                self.assertGreaterEqual(self.installation.run("compact", "--json")["freed_bytes"], 0)
                self.checkAfterCrash(restores=2)
                self.checkNothingHalfWritten()
        self.assertGreater(self.unfinished, 0, "no kill came in time")
        self.assertEqual(self.installation.run("compact", "--json")["rewritten_archives"], 0)

    def testKillingARepair(self):
        """What a killed repair has mended stays, and the next one mends the rest: all content still stands in the sources."""
        self.begin("kill repair")
        for number in range(3):
            put(os.path.join(self.source, f"bulk-{number}"), noise(self.random, 3_000_000))
            self.known[self.installation.snapshot()["number"]] = fingerprint(self.source)
        folder = os.path.join(self.installation.repository, "archives")
        longest = 0.4
        for kill in range(20 if LONG else 5):
            with self.subTest(kill=kill):
                names = [name for name in self.installation.archives() if "-data-" in name]
                for name in self.random.sample(names, min(3, len(names))):
                    path = os.path.join(folder, name)
                    os.chmod(path, 0o600)
                    with open(path, "r+b") as file:
                        file.seek(os.path.getsize(path) // 2)
                        file.write(b"damage")
                longest = self.killSometime(self.installation.spawn("repair"), longest)
                self.assertEqual(self.installation.numbers(), sorted(self.known))
                self.installation.run("repair")
                self.checkAfterCrash(restores=2)
                self.checkNothingHalfWritten()
        self.assertGreater(self.unfinished, 0, "no kill came in time")
        self.checkNewestState()

    def testKillingASnapshotThroughTheDaemonLeavesTheCatalogSound(self):
        """Killed between the archive's rename and the catalog's commit, the archive is found at the next start."""
        self.begin("archive without catalog")
        self.installation.snapshot()
        saved = {}
        for name in os.listdir(self.installation.state):
            if name.startswith("catalog.sqlite"):
                with open(os.path.join(self.installation.state, name), "rb") as file:
                    saved[name] = file.read()
        self.disturb()
        number = self.installation.snapshot()["number"]
        self.known[number] = fingerprint(self.source)
        # As if the machine had stopped before the catalog learned of it.
        self.installation.removeCatalog()
        for name, data in saved.items():
            put(os.path.join(self.installation.state, name), data)
        self.assertIn(number, self.installation.numbers())
        self.checkRestored(number)
        self.checkNewestState()
        self.installation.run("verify", "--data")


if __name__ == "__main__":
    unittest.main()

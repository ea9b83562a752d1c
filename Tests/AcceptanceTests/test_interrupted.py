#!/usr/bin/env python3
"""A first snapshot that is killed again and again goes on where it was: what is stored is not stored again.

The same source is backed up twice: without an interruption, which says how many bytes there must be in the end, and with kills.
The long form takes 5 GB and archives of the preset size.
"""
import os
import sys
import unittest

from installation import LONG, PROJECT, InstallationTestCase, fingerprint, removeTree, seededRandom
from trees import noise, put, text

sys.path.insert(0, os.path.join(PROJECT, "Scripts"))
import recover

MEGABYTE = 1_000_000
SIZE = 5000 * MEGABYTE if LONG else 300 * MEGABYTE
KILLS = 6 if LONG else 4
SETTINGS = "" if LONG else '[archive]\nsize = "16MiB"\n'
FOLDERS = 10
ALLOWED = 1.03                                         # of the bytes that the uninterrupted run stores


class InterruptedTests(InstallationTestCase):

    def makeTree(self, source):
        """Ten folders of large, middling and small files; most of it does not compress."""
        for number in range(FOLDERS):
            folder = os.path.join(source, f"folder-{number}")
            os.mkdir(folder)
            left = SIZE // FOLDERS
            for size, count in ((left // 2, 1), (left // 20, 5), (left // 400, 80)):
                for each in range(count):
                    self.putLarge(os.path.join(folder, f"{size}-{each}.bin"), size)
            for each in range(400):
                put(os.path.join(folder, f"note-{each}.txt"), text(self.random, self.random.randrange(8000)))

    def putLarge(self, path, size):
        with open(path, "wb") as file:
            for start in range(0, size, 8 << 20):
                file.write(noise(self.random, min(8 << 20, size - start)))

    def finished(self):
        return [name for name in self.installation.archives() if name.endswith(".enc")]

    def isWriting(self):
        return any(name.endswith(".tmp") for name in self.installation.archives())

    def interrupt(self, least):
        """Starts a snapshot and kills it in the middle of an archive, once `least` archives are finished. Returns their names."""
        before = self.finished()
        command = self.installation.spawn("snapshot")
        self.installation.waitUntil(
            lambda: command.poll() is not None or len(self.finished()) >= least and self.isWriting(), f"{least} archives")
        command.kill()
        self.assertLess(command.wait(), 0, "the snapshot was faster than the kill")
        after = self.finished()
        self.assertEqual([name for name in before if name not in after], [], "a finished archive was removed")
        self.assertGreater(len(after), len(before), "the kill came before anything was stored")
        self.assertEqual(self.installation.numbers(), [], "an unfinished snapshot is listed")
        return after

    def storedChunks(self, installation):
        """All digests of chunks in the archives, one for each time it is stored."""
        report = recover.Report()
        repository = recover.Repository(installation.repository, report)
        repository.load(recover.unlock(repository.description, [installation.keyFile], None))
        self.assertEqual(report.damages, 0)
        return [digest for archive in repository.archives for frame in archive.numbers(recover.DATA)
                for digest, _, _ in archive.chunks(frame)]

    def checkRestored(self, number):
        """One folder after the other, for the long form has no room for all of it a third time."""
        for folder in sorted(os.listdir(self.source)):
            target = os.path.join(self.installation.directory, "out")
            self.installation.run("restore", os.path.join(self.source, folder), "--at", number, "--to", target)
            self.assertSameTree(fingerprint(os.path.join(self.source, folder)), os.path.join(target, folder), folder)
            removeTree(target)

    def testWhatIsStoredIsNotStoredAgain(self):
        self.random = seededRandom("interrupted")
        straight = self.install(settings=SETTINGS)
        self.source = straight.source
        self.makeTree(self.source)
        straight.snapshot()
        archives, size = len(straight.archives()), straight.archiveBytes()
        chunks = self.storedChunks(straight)
        removeTree(straight.repository)

        self.installation = self.install(initialize=False)
        self.installation.run("init", self.source, "--repository", self.installation.repository, "--quiet")
        self.installation.configure(SETTINGS)
        kept = []
        for kill in range(1, KILLS + 1):
            with self.subTest(kill=kill):
                # The last comes when most is stored.
                kept = self.interrupt(max(len(kept) + 1, archives * kill * 4 // (KILLS * 5)))
        outcome = self.installation.snapshot()
        self.assertEqual((outcome["taken"], outcome["number"], outcome["kind"]), (True, 1, "full"))
        found = self.installation.archiveBytes()
        print(f"interrupted {KILLS} times: {found:,} bytes in {len(self.finished())} archives; uninterrupted: {size:,} in {archives}",
              file=sys.stderr, flush=True)

        self.assertEqual([name for name in kept if name not in self.finished()], [], "what was stored before went")
        again = self.storedChunks(self.installation)
        self.assertEqual(len(again), len(set(again)), "a chunk is stored twice")
        self.assertEqual(set(again), set(chunks))
        self.assertLess(found, size * ALLOWED)
        self.installation.run("verify", "--data")
        # Archives of the attempts that came to nothing are as good as those of the last one.
        self.installation.run("rotate")
        self.checkRestored(1)


if __name__ == "__main__":
    unittest.main()

"""A change is in a snapshot by itself, whatever it is and however it was made.

In:  a running daemon without a quiet period.  Out: snapshots that nobody asked for, and whose restores equal the tree.
Tests wait for the daemon's events; a snapshot is asked for only where that has to find more than they tell.
"""
import ctypes
import mmap
import os
import re
import shutil
import signal
import threading
import time
import unittest

from installation import (AT_ONCE, LONG, PARTIAL, PATIENCE, ROOT, InstallationTestCase, fingerprint, mayMount, read, reasonCodes, removeTree,
                          write)

MAY_MOUNT = mayMount()


def queueLength(backend):
    """How many events the kernel keeps for one watcher."""
    return int(read(f"/proc/sys/fs/{backend}/max_queued_events"))


class WatchingTests(InstallationTestCase):
    backend = "inotify"

    def watched(self, make=None, settings=AT_ONCE):
        """An installation with a running daemon whose first snapshot holds what `make` made."""
        installation = self.install(settings=settings, backend=self.backend)
        write(f"{installation.source}/document", "first")
        write(f"{installation.source}/folder/photo", os.urandom(3000))
        if make:
            make(installation.source)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        return installation

    def listing(self, installation):
        """What the latest snapshot knows of the source."""
        return {entry["path"][len(installation.source) + 1:]: (entry["type"], entry["mode"], entry["size"] if entry["type"] == "file" else None,
                                                               entry["mtime"])
                for entry in installation.run("ls", installation.source, "-R", "--json")}

    def present(self, installation):
        """The same of the tree as it is."""
        found = {}
        for path, item in fingerprint(installation.source).items():
            if path:
                seconds, nanoseconds = divmod(item.mtime, 1_000_000_000)
                moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%03dZ" % (nanoseconds // 1_000_000)
                found[path.decode()] = (item.type, item.mode, item.size, moment)
        return found

    def assertSavedByItself(self, installation, change):
        """Makes a change, and waits until the daemon has it in a snapshot; then a restore equals the tree."""
        number = installation.status()["latest_snapshot"]["number"]
        change()
        expected = self.present(installation)
        installation.waitForStatus(
            lambda status: status["latest_snapshot"]["number"] > number and self.listing(installation) == expected,
            "a snapshot with the change")
        self.assertRestores(installation)

    def assertRestores(self, installation):
        target = f"{installation.directory}/restored"
        installation.restore("latest", target)
        self.assertSameTree(fingerprint(installation.source), installation.restored(target))
        removeTree(target)

    # Content

    def testReaderHasThePriorityOfTheProcess(self):
        """It was started by the thread that works at low priority, and had that one's: a busy machine let the queue overflow."""
        installation = self.watched()
        nice = {}
        for task in os.listdir(f"/proc/{installation.daemon.pid}/task"):
            with open(f"/proc/{installation.daemon.pid}/task/{task}/stat") as file:
                name, fields = re.search(r"\((.*)\) (.*)", file.read()).groups()
            nice.setdefault(name, int(fields.split()[16]))
        self.assertEqual((nice["watch-reader"], nice["watch-lister"], nice["agent"]), (os.nice(0), os.nice(0), os.nice(0) + 10))

    def testFileThatIsWritten(self):
        installation = self.watched()
        self.assertSavedByItself(installation, lambda: write(f"{installation.source}/new", "new"))
        self.assertSavedByItself(installation, lambda: write(f"{installation.source}/document", "second"))
        self.assertSavedByItself(installation, lambda: write(f"{installation.source}/document", ""))

    def testFileThatGrowsAndShrinks(self):
        installation = self.watched()

        def append():
            with open(f"{installation.source}/document", "a") as file:
                file.write(", and more")

        self.assertSavedByItself(installation, append)
        self.assertSavedByItself(installation, lambda: os.truncate(f"{installation.source}/folder/photo", 1000))
        self.assertSavedByItself(installation, lambda: os.truncate(f"{installation.source}/folder/photo", 1 << 20))

    def testFileThatIsWrittenThroughMemory(self):
        installation = self.watched()

        def writeThroughMemory():
            # A write through a mapping is no event; closing the file that was open for writing is.
            with open(f"{installation.source}/folder/photo", "r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
                memory[100:110] = b"0123456789"
                memory.flush()

        self.assertSavedByItself(installation, writeThroughMemory)

    @unittest.skipUnless(LONG, "waits for a whole comparison")
    def testWriteWithoutAnyEventIsFoundByTheNextComparison(self):
        installation = self.watched(settings=AT_ONCE + 'reconcile_every = "10s"\n')
        with open(f"{installation.source}/folder/photo", "r+b") as file:
            memory = mmap.mmap(file.fileno(), 0)
        self.assertSavedByItself(installation, lambda: (memory.__setitem__(slice(0, 4), b"abcd"), memory.flush()))
        memory.close()

    def testFileThatIsReplacedAsEditorsDo(self):
        installation = self.watched()

        def save():
            write(f"{installation.source}/.document.swp", "second")
            os.rename(f"{installation.source}/document", f"{installation.source}/document~")
            os.rename(f"{installation.source}/.document.swp", f"{installation.source}/document")
            os.unlink(f"{installation.source}/document~")

        self.assertSavedByItself(installation, save)

    def testFileThatNeverRestsIsSavedByTheDeadline(self):
        installation = self.watched(settings='[schedule]\nquiet = "800ms"\ndeadline = "2s"\nminimum_gap = "0s"\n')
        stop = threading.Event()

        def scribble():
            with open(f"{installation.source}/log", "a", buffering=1) as file:
                while not stop.wait(0.05):
                    file.write("line\n")

        thread = threading.Thread(target=scribble)
        thread.start()
        try:
            # The directory rests and may be in a snapshot before; the file never does.
            # A snapshot that ran already may have it without its first line.
            installation.waitForStatus(lambda status: installation.attempt("cat", f"{installation.source}/log").output.startswith(b"line\n"),
                                       "the file that never rests")
            self.assertTrue(thread.is_alive())
        finally:
            stop.set()
            thread.join()
        expected = self.present(installation)
        installation.waitForStatus(lambda status: self.listing(installation) == expected, "the file's last state")

    def testTemporaryFileThatIsLinkedAndWrittenOn(self):
        installation = self.watched()
        library = ctypes.CDLL(None, use_errno=True)
        file = os.open(installation.source, os.O_TMPFILE | os.O_WRONLY, 0o600)
        self.addCleanup(os.close, file)
        # linkat(AT_FDCWD, …, AT_FDCWD, …, AT_SYMLINK_FOLLOW)
        self.assertEqual(library.linkat(-100, b"/proc/self/fd/%d" % file, -100, f"{installation.source}/linked".encode(), 0x400), 0)
        installation.snapshot()
        self.assertSavedByItself(installation, lambda: os.write(file, b"written while it is open"))

    def testWriteThroughANameThatIsGone(self):
        """Of a file that has another name: which, no event tells. Whoever asks for a snapshot gets it, whether or not one was taken meanwhile."""
        for settings in ('[schedule]\nquiet = "60s"\ndeadline = "120s"\nminimum_gap = "60s"\n', AT_ONCE):
            installation = self.watched(settings=settings)
            document = f"{installation.source}/document"
            for wait in (0, 0.5):
                os.link(document, document + "2")
                with open(document + "2", "a") as file:
                    file.write(", more")
                os.unlink(document + "2")
                time.sleep(wait)
                installation.snapshot()
                self.assertEqual(installation.run("cat", document), read(document).decode())

    # Names

    def testNewFileInNewDeepDirectories(self):
        installation = self.watched()
        deep = "/".join(f"level{level}" for level in range(40))
        self.assertSavedByItself(installation, lambda: write(f"{installation.source}/{deep}/file", "deep down"))
        self.assertSavedByItself(installation, lambda: write(f"{installation.source}/{deep}/second", "later"))

        def many():
            for index in range(300):
                write(f"{installation.source}/many/{index % 20}/{index}/{index}/file", str(index))

        self.assertSavedByItself(installation, many)

    def testTreeThatIsMovedInAndOut(self):
        installation = self.watched()
        outside = f"{installation.home}/outside"
        for index in range(30):
            write(f"{outside}/{index % 3}/{index}", str(index))
        self.assertSavedByItself(installation, lambda: os.rename(outside, f"{installation.source}/inside"))
        # What came in is watched like everything else.
        self.assertSavedByItself(installation, lambda: write(f"{installation.source}/inside/1/new", "new"))
        self.assertSavedByItself(installation, lambda: os.rename(f"{installation.source}/inside/1", outside))
        self.assertSavedByItself(installation, lambda: os.rename(f"{installation.source}/document", f"{installation.home}/document"))
        # What went out is not.
        write(f"{outside}/afterwards", "elsewhere")
        self.assertFalse(installation.snapshot()["taken"])

    def testDirectoryThatIsRenamed(self):
        installation = self.watched(lambda source: write(f"{source}/folder/inner/deep/file", "content"))
        self.assertSavedByItself(installation, lambda: os.rename(f"{installation.source}/folder", f"{installation.source}/renamed"))
        self.assertSavedByItself(installation, lambda: write(f"{installation.source}/renamed/inner/deep/file", "changed"))
        write(f"{installation.source}/other/file", "in the way")
        self.assertSavedByItself(installation, lambda: os.rename(f"{installation.source}/renamed", f"{installation.source}/other/below"))

        def exchange():
            os.rename(f"{installation.source}/other/below/inner", f"{installation.source}/inner")
            os.rename(f"{installation.source}/other/below", f"{installation.source}/inner/below")
            write(f"{installation.source}/inner/below/photo", "through the new name")

        self.assertSavedByItself(installation, exchange)

    def testWhatIsDeleted(self):
        installation = self.watched(lambda source: write(f"{source}/folder/inner/deep/file", "content"))
        self.assertSavedByItself(installation, lambda: os.unlink(f"{installation.source}/document"))
        self.assertSavedByItself(installation, lambda: shutil.rmtree(f"{installation.source}/folder"))
        self.assertEqual(installation.run("cat", f"{installation.source}/document", "--at", 1), "first")

    def testDirectoryThatIsDeletedAndMadeAgain(self):
        installation = self.watched(lambda source: write(f"{source}/folder/inner/file", "content"))

        def again():
            shutil.rmtree(f"{installation.source}/folder")
            write(f"{installation.source}/folder/inner/other", "new")

        for _ in range(3):
            self.assertSavedByItself(installation, again)
        self.assertSavedByItself(installation, lambda: write(f"{installation.source}/folder/inner/late", "later"))

        def becomesAFile():
            shutil.rmtree(f"{installation.source}/folder")
            write(f"{installation.source}/folder", "a file now")

        def becomesADirectory():
            os.unlink(f"{installation.source}/folder")
            write(f"{installation.source}/folder/file", "and a directory again")

        self.assertSavedByItself(installation, becomesAFile)
        self.assertSavedByItself(installation, becomesADirectory)
        self.assertSavedByItself(installation, lambda: write(f"{installation.source}/folder/second", "watched"))

    def testSourceThatIsMovedAwayAndComesBack(self):
        installation = self.watched()
        source, away = installation.source, installation.source + ".away"
        os.rename(source, away)
        installation.snapshot(expect=PARTIAL)
        self.assertIn("source-missing", reasonCodes(installation.status()))
        self.assertEqual(installation.run("cat", f"{source}/document"), "first")
        write(f"{away}/folder/new", "written while it was away")
        write(f"{away}/document", "changed while it was away")
        os.rename(away, source)
        installation.snapshot()
        self.assertRestores(installation)
        # So fast that nobody looks in between.
        os.rename(source, away)
        write(f"{away}/folder/new", "written in a moment")
        os.rename(away, source)
        installation.snapshot()
        self.assertRestores(installation)
        # And it is watched as before.
        self.assertSavedByItself(installation, lambda: write(f"{source}/folder/later", "later"))

    def testSourceThatIsMadeAgain(self):
        installation = self.watched()
        shutil.rmtree(installation.source)
        os.mkdir(installation.source)
        installation.snapshot()
        self.assertRestores(installation)
        self.assertSavedByItself(installation, lambda: write(f"{installation.source}/later", "later"))

    def testLinksAndOtherKinds(self):
        installation = self.watched()
        self.assertSavedByItself(installation, lambda: os.symlink("document", f"{installation.source}/link"))

        def elsewhere():
            os.unlink(f"{installation.source}/link")
            os.symlink("folder/photo", f"{installation.source}/link")

        self.assertSavedByItself(installation, elsewhere)
        self.assertSavedByItself(installation, lambda: os.mkfifo(f"{installation.source}/pipe"))
        self.assertSavedByItself(installation, lambda: os.mkdir(f"{installation.source}/empty"))
        self.assertSavedByItself(installation, lambda: os.rmdir(f"{installation.source}/empty"))

    # Metadata

    def testWhatOnlyChangesItsAttributes(self):
        installation = self.watched()
        document, folder = f"{installation.source}/document", f"{installation.source}/folder"
        self.assertSavedByItself(installation, lambda: os.chmod(document, 0o640))
        self.assertSavedByItself(installation, lambda: os.chmod(folder, 0o710))
        self.assertSavedByItself(installation, lambda: os.utime(document, ns=(1_000_000_000_123_456_789,) * 2))
        self.assertSavedByItself(installation, lambda: os.utime(folder, ns=(1_100_000_000_123_456_789,) * 2))

        def untilRestored(change):
            # Attributes and owners do not show in the listing: the number alone tells.
            number = installation.status()["latest_snapshot"]["number"]
            change()
            installation.waitForSnapshot(number + 1)
            self.assertRestores(installation)

        untilRestored(lambda: os.setxattr(document, "user.colour", b"red"))
        untilRestored(lambda: os.removexattr(document, "user.colour"))
        if ROOT:
            untilRestored(lambda: os.chown(document, 12345, 23456))
        number = installation.status()["repository"]["bytes"]
        self.assertLess(number, 30_000, "no content is stored again for an attribute")

    # Exclusion, mounts

    def testWhatIsExcludedIsNotThere(self):
        installation = self.watched(settings=AT_ONCE + '[exclude]\ndefaults = false\npatterns = ["skipped/", "*.tmp"]\n')
        number = installation.status()["latest_snapshot"]["number"]
        write(f"{installation.source}/skipped/inner/file", "no")
        write(f"{installation.source}/folder/scratch.tmp", "no")
        write(f"{installation.source}/folder/kept", "yes")
        installation.waitForStatus(
            lambda status: status["latest_snapshot"]["number"] > number and "folder/kept" in self.listing(installation), "the kept file")
        paths = self.listing(installation)
        self.assertEqual([path for path in paths if "skipped" in path or path.endswith(".tmp")], [])
        # Nothing that happens there is a reason for a snapshot.
        installation.snapshot()
        write(f"{installation.source}/skipped/inner/second", "no")
        self.assertFalse(installation.snapshot()["taken"])
        # What gets a name that is not excluded comes in, and the reverse.
        os.rename(f"{installation.source}/folder/scratch.tmp", f"{installation.source}/folder/scratch.txt")
        os.rename(f"{installation.source}/skipped/inner", f"{installation.source}/inner")
        installation.waitForStatus(
            lambda status: {"folder/scratch.txt", "inner/file", "inner/second"} <= self.listing(installation).keys(), "the files with new names")

    @unittest.skipUnless(MAY_MOUNT, "needs the permission to mount")
    def testMountThatHidesADirectory(self):
        installation = self.watched(lambda source: write(f"{source}/covered/inner/file", "hidden, not deleted"))
        covered = f"{installation.source}/covered"
        installation.mount(covered, size="1m")
        write(f"{covered}/on the mount", "another file system")
        status = installation.waitForStatus(lambda status: "source-covered" in reasonCodes(status), "source-covered")
        self.assertEqual(status["verdict"], "degraded")
        self.assertIn(covered, str(status["reasons"]))
        number = status["latest_snapshot"]["number"]
        write(f"{installation.source}/beside", "the rest goes on")
        installation.waitForStatus(
            lambda status: status["latest_snapshot"]["number"] > number and "beside" in self.listing(installation), "a snapshot beside the mount")
        self.assertIn("source-covered", reasonCodes(installation.status()))
        paths = self.listing(installation).keys()
        self.assertIn("covered/inner/file", paths)
        self.assertNotIn("covered/on the mount", paths)
        self.assertEqual(installation.run("cat", f"{covered}/inner/file"), "hidden, not deleted")
        # A whole look at everything comes to the same.
        installation.run("snapshot", "--full", expect=(0, 3))
        self.assertEqual(installation.run("cat", f"{covered}/inner/file"), "hidden, not deleted")
        installation.unmount(covered)
        installation.waitForStatus(lambda status: "source-covered" not in reasonCodes(status), "the directory's return")
        self.assertSavedByItself(installation, lambda: write(f"{covered}/inner/file", "visible again"))

    @unittest.skipUnless(MAY_MOUNT, "needs the permission to mount")
    def testMountedFileSystemsStayOutUnlessTheyAreAskedFor(self):
        for crosses in (False, True):
            with self.subTest(crosses=crosses):
                installation = self.install(backend=self.backend, settings=AT_ONCE + f"[exclude]\ndefaults = false\none_file_system = {str(not crosses).lower()}\n")
                write(f"{installation.source}/document", "here")
                installation.mount(f"{installation.source}/disk", size="1m")
                write(f"{installation.source}/disk/file", "there")
                installation.startDaemon()
                status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
                self.assertEqual("disk/file" in self.listing(installation), crosses)
                write(f"{installation.source}/disk/second", "there")
                write(f"{installation.source}/second", "here")
                installation.waitForStatus(lambda status: "second" in self.listing(installation), "the second file")
                if crosses:
                    installation.waitForStatus(lambda status: "disk/second" in self.listing(installation), "the second file there")
                self.assertNotIn("source-covered", reasonCodes(installation.status()))

    # Losing events

    def testMoreEventsThanTheKernelKeeps(self):
        if queueLength(self.backend) > 200_000:
            self.skipTest("the kernel's queue of events is too long to be filled in a test")
        installation = self.watched(lambda source: [write(f"{source}/old/{index}", "old") for index in range(50)])
        # fanotify tells of a file once, whatever happened to it, and a new directory that nobody has marked yet tells nothing.
        count = queueLength(self.backend) * 5 // 4 * (3 if LONG else 1)
        installation.daemon.send_signal(signal.SIGSTOP)
        try:
            for index in range(count):
                folder = f"{installation.source}/folder/{index // 1000 % 7}" if index % 8 == 7 else f"{installation.source}/folder"
                write(f"{folder}/file{index}", b"%d" % index)
            # Behind the end of the queue: only a comparison can find these.
            shutil.rmtree(f"{installation.source}/old")
            write(f"{installation.source}/document", "the last of all")
            os.rename(f"{installation.source}/folder/file0", f"{installation.source}/folder/renamed")
        finally:
            installation.daemon.send_signal(signal.SIGCONT)
        status = installation.waitForStatus(lambda status: status["watch"]["overflows"] > 0, "the overflow is counted")
        expected = self.present(installation)
        installation.waitForStatus(
            lambda status: status["activity"]["state"] == "idle" and status["pending"]["paths"] == 0
            and status["repository"]["snapshots"] > 1 and self.listing(installation) == expected, "everything is in a snapshot",
            timeout=PATIENCE * 2)
        self.assertGreater(status["watch"]["overflows"], 0)
        self.assertRestores(installation)
        # And watching goes on, also in the directories that were made meanwhile.
        write(f"{installation.source}/folder/3/after", "after")
        installation.waitForStatus(lambda status: "folder/3/after" in self.listing(installation), "the file after the overflow")

    def testWhatHappensWhileNoDaemonRunsIsFoundAtTheNextStart(self):
        installation = self.watched()
        for end in (installation.stopDaemon, installation.killDaemon):
            with self.subTest(end.__name__):
                end()
                number = installation.snapshots()[-1]["number"]
                write(f"{installation.source}/{end.__name__}", "while nobody looked")
                write(f"{installation.source}/document", end.__name__)
                shutil.rmtree(f"{installation.source}/folder", ignore_errors=True)
                installation.startDaemon()
                installation.waitForSnapshot(number + 1)
                expected = self.present(installation)
                installation.waitForStatus(lambda status: self.listing(installation) == expected, "everything is in a snapshot")
                self.assertRestores(installation)

    def testChangesWhileASnapshotIsTaken(self):
        installation = self.watched()
        stop = threading.Event()

        def churn():
            turn = 0
            while not stop.wait(0.002):
                write(f"{installation.source}/churn/{turn % 50}", os.urandom(20_000))
                if turn % 10 == 9:
                    os.rename(f"{installation.source}/churn/{turn % 50}", f"{installation.source}/churn/moved{turn % 50}")
                turn += 1

        thread = threading.Thread(target=churn)
        thread.start()
        try:
            installation.waitForSnapshot(installation.status()["latest_snapshot"]["number"] + 6)
        finally:
            stop.set()
            thread.join()
        expected = self.present(installation)
        installation.waitForStatus(lambda status: self.listing(installation) == expected, "the last state")
        self.assertRestores(installation)
        installation.run("verify", "--data")

    def testNothingIsWrittenIntoASource(self):
        installation = self.watched()
        before = fingerprint(installation.source)
        times = {path: os.stat(os.fsencode(installation.source) + b"/" + path).st_ctime_ns for path in before if path}
        installation.run("snapshot", "--full")
        installation.run("snapshot", "--rehash")
        installation.stopDaemon()
        self.assertSameTree(before, installation.source)
        self.assertEqual({path: os.stat(os.fsencode(installation.source) + b"/" + path).st_ctime_ns for path in times}, times)


if __name__ == "__main__":
    unittest.main()

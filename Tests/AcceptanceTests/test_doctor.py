"""What `doctor` calls a fault and what not, and that a snapshot has everything written before it, whatever goes on meanwhile."""
import mmap
import os
import shutil
import signal
import subprocess
import unittest

from installation import AT_ONCE, FAILED, InstallationTestCase, mayMount, write
from test_watching import queueLength

SETTINGS = AT_ONCE + '[watch]\nbackend = "inotify"\n'


class DoctorTests(InstallationTestCase):
    def watched(self, settings=SETTINGS, make=None):
        installation = self.install(settings=settings)
        write(f"{installation.source}/document", "first" * 1000)
        write(f"{installation.source}/folder/inner/file", "second")
        if make:
            make(installation)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected" and status["activity"]["state"] == "idle", "protection")
        return installation

    def names(self, installation, number):
        return {entry["path"][len(installation.source) + 1:] for entry in installation.run("ls", installation.source, "-R", "--json", "--at", number)}

    def testNothingIsWrong(self):
        installation = self.watched()
        report = installation.run("doctor", "--json")
        self.assertEqual(report["watch"], {"directories": 3, "blind": [], "blind_count": 0, "stale": [], "stale_count": 0})
        self.assertEqual((report["different_count"], report["waiting_count"], report["problems"]), (0, 0, []))
        self.assertIn("0 differ; 3 directories watched, 0 not, 0 watched in vain; 0 problems", installation.run("doctor"))

    def testWhatIsOnItsWayIsNoFault(self):
        installation = self.watched()
        installation.pause()
        write(f"{installation.source}/folder/new", "not yet")
        os.unlink(f"{installation.source}/document")
        report = installation.run("doctor", "--json")
        self.assertEqual((report["different_count"], report["different"]), (0, []))
        # The new file, the one that is gone, and the directories of both.
        self.assertEqual(report["waiting_count"], 4)
        self.assertIn("4 wait for the next snapshot", installation.run("doctor"))

    def testOtherNamesOfAFileAreOnTheirWayWithIt(self):
        installation = self.watched(make=lambda installation: os.link(f"{installation.source}/document", f"{installation.source}/folder/other"))
        installation.pause()
        write(f"{installation.source}/document", "by one of its names")
        report = installation.run("doctor", "--json")
        self.assertEqual((report["different"], report["waiting_count"]), ([], 2))

    def testWriteThatLeftNoTraceIsAFault(self):
        installation = self.watched()
        with open(f"{installation.source}/document", "r+b") as file:
            memory = mmap.mmap(file.fileno(), 0)
        # The end of the mapping will be an event; until then there is none.
        installation.waitUntil(lambda: installation.run("doctor", "--json", expect=None)["waiting_count"] == 0, "the file is looked at")
        memory[0:4] = b"0123"
        memory.flush()
        report = installation.run("doctor", "--json", expect=FAILED)
        self.assertEqual(report["different"], [f"{installation.source}/document"])
        self.assertIn(f"differs: {installation.source}/document", installation.run("doctor", expect=FAILED))
        memory.close()
        installation.waitUntil(lambda: installation.attempt("doctor").status == 0, "the end of the mapping is heard of")

    def testWithoutADaemonEveryDifferenceCounts(self):
        installation = self.watched()
        installation.stopDaemon()
        self.assertIsNone(installation.run("doctor", "--json")["watch"])
        write(f"{installation.source}/new", "unseen")
        report = installation.run("doctor", "--json", expect=FAILED)
        self.assertIn(f"{installation.source}/new", report["different"])

    # Everything written before a command is in its snapshot

    @unittest.skipIf(queueLength("inotify") > 200_000, "the kernel's queue of events is too long to be filled in a test")
    def testSnapshotThroughAnOverflow(self):
        installation = self.watched()
        installation.daemon.send_signal(signal.SIGSTOP)
        try:
            for index in range(queueLength("inotify") + 3000):
                os.close(os.open(f"{installation.source}/folder/{index}", os.O_CREAT | os.O_WRONLY, 0o644))
            os.mkdir(f"{installation.source}/lost")
            write(f"{installation.source}/lost/last", "behind the end of the queue")
            asking = subprocess.Popen(installation.command("snapshot", "--json"), env=installation.environment, cwd=installation.directory,
                                      stdout=subprocess.PIPE)
            installation.children.append(asking)
        finally:
            installation.daemon.send_signal(signal.SIGCONT)
        asking.communicate()
        self.assertEqual(asking.returncode, 0)
        # By whichever snapshot was the newest when it answered; none was taken after it, for nothing changed.
        names = self.names(installation, "latest")
        self.assertEqual(len([name for name in names if name.startswith("folder/")]), queueLength("inotify") + 3000 + 2)
        self.assertIn("lost/last", names)
        self.assertGreater(installation.status()["watch"]["overflows"], 0)

    def testSnapshotDuringAComparison(self):
        installation = self.watched(make=lambda installation: [write(f"{installation.source}/many/{index % 50}/{index}", "x") for index in range(2000)])
        for turn in range(5):
            # Other excludes: everything is compared again.
            installation.configure(SETTINGS + f'[exclude]\ndefaults = false\npatterns = ["*.{turn}"]\n')
            installation.run("reload")
            write(f"{installation.source}/many/{turn}/written", str(turn))
            number = installation.snapshot()["number"]
            self.assertEqual(installation.run("cat", f"{installation.source}/many/{turn}/written", "--at", number), str(turn))

    def testSnapshotWhenTheWatcherCannotBeAsked(self):
        installation = self.watched()
        cookies = f"{installation.state}/cookies"
        shutil.rmtree(cookies, ignore_errors=True)     # made when the first one is
        write(cookies, "in the way")
        write(f"{installation.source}/folder/new", "all the same")
        number = installation.snapshot()["number"]
        self.assertEqual(installation.run("cat", f"{installation.source}/folder/new", "--at", number), "all the same")
        self.assertRegex(installation.log(), r"the watcher did not catch up; everything is compared.*cookies")
        # The doctor cannot be sure then, and says why.
        self.assertIn("cannot ask the watcher to catch up", installation.attempt("doctor").errors)

    # File systems that others change

    @unittest.skipUnless(mayMount() and os.path.exists("/dev/fuse") and shutil.which("bindfs"), "needs FUSE, bindfs and the permission to mount")
    def testFUSEIsComparedInsteadOfWatched(self):
        def mount(installation):
            self.beneath = f"{installation.home}/beneath"
            os.rename(installation.source, self.beneath)
            os.mkdir(installation.source)
            subprocess.run(["bindfs", self.beneath, installation.source], check=True)
            installation.mounts.append(installation.source)

        installation = self.install(settings=SETTINGS)
        write(f"{installation.source}/folder/file", "first")
        mount(installation)
        installation.startDaemon()
        installation.waitForSnapshot(1)
        unwatched = installation.status()["watch"]["unwatched"]
        self.assertEqual([entry["path"] for entry in unwatched], [installation.source])
        self.assertIn("FUSE", unwatched[0]["reason"])
        # Behind the back of the file system, as another machine would.
        write(f"{self.beneath}/folder/unseen", "second")
        installation.waitUntil(lambda: os.path.exists(f"{installation.source}/folder/unseen"), "the file shows")
        report = installation.run("doctor", "--json")
        self.assertEqual((report["different_count"], report["waiting_count"] > 0), (0, True))
        number = installation.snapshot()["number"]
        self.assertEqual(installation.run("cat", f"{installation.source}/folder/unseen", "--at", number), "second")


if __name__ == "__main__":
    unittest.main()

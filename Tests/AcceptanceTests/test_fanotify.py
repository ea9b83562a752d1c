"""The daemon watches with fanotify: whole file systems, and directories one by one where that is not allowed.

In:  a running daemon with `[watch] backend = "fanotify"`.  Out: snapshots that nobody asked for, and whose restores equal the tree: in all
the tests that inotify has to pass, too.
"""
import os
import subprocess
import unittest

from installation import AT_ONCE, ROOT, DirectoryMarks, mayMarkDirectories, reasonCodes, write
import test_watching


@unittest.skipUnless(ROOT, "marks of whole file systems need root")
class FanotifyTests(test_watching.WatchingTests):
    backend = "fanotify"

    def testUsualOperationsAreSavedByThemselves(self):
        installation = self.watched()
        watch = installation.status()["watch"]
        self.assertEqual((watch["backend"], watch["directories_watched"], watch["directories_wanted"]), ("fanotify", 1, 1))
        source = installation.source

        def build():
            os.makedirs(f"{source}/a/b/c")
            write(f"{source}/a/b/c/file", "deep")
            os.symlink("a/b", f"{source}/link")

        def rename():
            os.rename(f"{source}/a/b", f"{source}/folder/b")
            write(f"{source}/folder/b/c/file", "deeper")
            os.rename(f"{source}/document", f"{source}/letter")

        def leave():
            os.rename(f"{source}/folder", f"{installation.directory}/outside")
            write(f"{installation.directory}/outside/unseen", "not ours")
            os.chmod(f"{source}/letter", 0o600)
            os.truncate(f"{source}/letter", 2)

        def comeBack():
            os.rename(f"{installation.directory}/outside", f"{source}/back")
            os.unlink(f"{source}/letter")
            os.rmdir(f"{source}/a")

        for change in (build, rename, leave, comeBack):
            self.assertSavedByItself(installation, change)


@unittest.skipUnless(mayMarkDirectories(), "needs fanotify without capabilities")
class DirectoryMarkTests(DirectoryMarks, test_watching.WatchingTests):
    def testDirectoriesAreMarkedAndCounted(self):
        installation = self.watched()
        os.makedirs(f"{installation.source}/a/b/c")
        status = installation.waitForStatus(lambda status: status["watch"]["directories_watched"] == 5, "the new directories")
        watch = status["watch"]
        self.assertEqual((watch["backend"], watch["directories_wanted"], watch["unwatched"]), ("fanotify", 5, []))
        self.assertNotIn("watch-backend", reasonCodes(status), "it is what was asked for")
        self.assertGreater(watch["limit"], 5)
        self.assertIn("5 of 5 directories (fanotify)", installation.run("status"))
        report = installation.run("doctor", "--json")
        self.assertEqual((report["watch"]["directories"], report["watch"]["blind"], report["watch"]["stale"]), (5, [], []))

    def testOverlayIsMarkedToo(self):
        """Its handles can only be compared, not opened."""
        if not test_watching.MAY_MOUNT:
            self.skipTest("needs the permission to mount")
        installation = self.install(settings=AT_ONCE, backend=self.backend)
        layers = f"{installation.directory}/layers"
        installation.mount(layers, size="8m")
        for name in ("upper", "work"):
            os.makedirs(f"{layers}/{name}")
        write(f"{layers}/lower/folder/inner/file", "first")
        done = subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={layers}/lower,upperdir={layers}/upper,workdir={layers}/work", "overlay",
                               installation.source], stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            self.skipTest("needs overlayfs")
        installation.mounts.append(installation.source)
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        if status["watch"]["backend"] != "fanotify":
            self.skipTest("needs Linux 6.8")
        self.assertEqual(status["watch"]["directories_watched"], 3)
        # What is written moves its directory into another layer.
        for turn in range(2):
            self.assertSavedByItself(installation, lambda: write(f"{installation.source}/folder/inner/file", f"turn {turn}"))
            self.assertSavedByItself(installation, lambda: write(f"{installation.source}/folder/new{turn}/file", "new"))


if __name__ == "__main__":
    unittest.main()

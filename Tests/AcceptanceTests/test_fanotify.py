"""The daemon watches whole file systems, and falls back to inotify where it may not.

In:  a running daemon with `[watch] backend = "fanotify"`.  Out: snapshots that nobody asked for, and whose restores equal the tree: in all
the tests that inotify has to pass, too.
"""
import os
import shutil
import unittest

from installation import AT_ONCE, ROOT, reasonCodes, write
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

    @unittest.skipUnless(shutil.which("setpriv"), "needs setpriv")
    def testWithoutTheCapabilityInotifyTakesOverAndSaysSo(self):
        installation = self.install(settings=AT_ONCE, backend="fanotify")
        write(f"{installation.source}/document", "first")
        # As in a container.
        wrapper = f"{installation.directory}/watchd-without-capability"
        write(wrapper, f'#!/bin/sh\nexec setpriv --bounding-set -sys_admin {installation.watchd} "$@"\n')
        os.chmod(wrapper, 0o755)
        installation.watchd = wrapper
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: status["latest_snapshot"] is not None, "a snapshot")
        self.assertEqual(status["watch"]["backend"], "inotify")
        self.assertIn("watch-backend", reasonCodes(status))
        self.assertIn("CAP_SYS_ADMIN", next(reason["message"] for reason in status["reasons"] if reason["code"] == "watch-backend"))


if __name__ == "__main__":
    unittest.main()

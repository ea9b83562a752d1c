"""Limits of the kernel are budgets: what cannot be watched is compared, named, and watched as soon as it can be.

In:  a daemon in a user namespace with few watches, or none.  Out: the status says so; every change is in a snapshot all the same.
Source: namespaces(7), "The /proc/sys/user directory": each user namespace has limits of its own, which its root may lower.
"""
import os
import resource
import subprocess
import sys
import threading
import unittest

from installation import AT_ONCE, InstallationTestCase, fingerprint, mayMarkDirectories, reasonCodes, write
from test_json import disagreements


def mayLimit():
    """True when a user namespace with few watches can be made, which some systems forbid."""
    done = subprocess.run(["unshare", "-Ur", "sh", "-c", "echo 1 > /proc/sys/user/max_inotify_watches"], stderr=subprocess.DEVNULL)
    return done.returncode == 0


# Takes watches or marks on directories, says so in a file, and holds them until it is ended.
NEIGHBOUR = """
import ctypes, os, sys, time
libc = ctypes.CDLL(None, use_errno=True)
queue = libc.inotify_init1(0) if sys.argv[1] == "inotify" else libc.fanotify_init(0xC00, 0)
libc.fanotify_mark.argtypes = [ctypes.c_int, ctypes.c_uint, ctypes.c_uint64, ctypes.c_int, ctypes.c_char_p]
for directory in map(os.fsencode, sys.argv[3:]):
    if sys.argv[1] == "inotify":
        assert libc.inotify_add_watch(queue, directory, 2) > 0
    else:
        assert libc.fanotify_mark(queue, 1, 2, -100, directory) == 0
open(sys.argv[2], "w").close()
time.sleep(3600)
"""


@unittest.skipUnless(mayLimit(), "needs user namespaces")
class LimitTests(InstallationTestCase):
    backend, watches, queues = "inotify", "max_inotify_watches", "max_inotify_instances"

    def limited(self, watches=None, queues=None, settings="", neighbour=0):
        """An installation whose daemon runs with these limits; `neighbour` watches are taken by another program first."""
        installation = self.install(settings=AT_ONCE + settings, backend=self.backend)
        lines = ["#!/bin/sh"]
        for name, value in ((self.watches, watches), (self.queues, queues)):
            if value is not None:
                lines.append(f"echo {value} > /proc/sys/user/{name}")
        if neighbour:
            directories = [f"{installation.directory}/neighbour/{index}" for index in range(neighbour)]
            for directory in directories:
                os.makedirs(directory)
            ready = f"{installation.directory}/ready"
            write(f"{installation.directory}/neighbour.py", NEIGHBOUR)
            lines += [f"'{sys.executable}' '{installation.directory}/neighbour.py' {self.backend} '{ready}' {' '.join(directories)} &",
                      f"while ! [ -e '{ready}' ]; do sleep 0.01; done"]
        lines.append(f"exec '{installation.watchd}' \"$@\"")
        script = f"{installation.directory}/watchd-with-limits"
        write(script, "\n".join(lines) + "\n")
        os.chmod(script, 0o755)
        # One process from the start to the end, so that a signal reaches the daemon.
        outer = f"{installation.directory}/watchd-in-namespace"
        write(outer, f"#!/bin/sh\nexec unshare -Ur '{script}' \"$@\"\n")
        os.chmod(outer, 0o755)
        installation.watchd = outer
        return installation

    def raiseLimit(self, installation, name, value):
        subprocess.run(["nsenter", "--user", f"--target={installation.daemon.pid}", "--preserve-credentials", "sh", "-c",
                        f"echo {value} > /proc/sys/user/{name}"], check=True)

    def reason(self, status, code):
        return next(reason for reason in status["reasons"] if reason["code"] == code)

    def isWatched(self, installation, directory):
        report = installation.run("explain", f"{directory}/file", "--json")
        self.assertEqual(disagreements("explain", report), [])
        self.assertEqual(report["watch"]["watched"], "Watched yes" in installation.run("explain", f"{directory}/file"))
        return report["watch"]["watched"]

    def assertRestores(self, installation):
        target = f"{installation.directory}/restored-{installation.numbers()[-1]}"
        installation.restore("latest", target)
        self.assertSameTree(fingerprint(installation.source), installation.restored(target))

    def assertSaves(self, installation, path):
        """A change there is in a snapshot without being asked for."""
        number = installation.status()["latest_snapshot"]["number"]
        write(path, os.urandom(100))
        expected = os.path.getsize(path)
        installation.waitForStatus(lambda status: status["latest_snapshot"]["number"] > number
                                   and any(entry["size"] == expected for entry in installation.run("ls", path, "--json", expect=(0, 1)) or []), path)

    def testWatchesThatRunOut(self):
        installation = self.limited(watches=12)
        for top in "abcde":
            write(f"{installation.source}/{top}/deep/inner/file", top)
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: status["latest_snapshot"] and status["activity"]["state"] == "idle", "the first snapshot")
        watch = status["watch"]
        self.assertEqual((status["verdict"], watch["backend"]), ("degraded", self.backend))
        # Three quarters of twelve; the source, its five directories and three of those in them.
        self.assertEqual((watch["limit"], watch["directories_watched"], watch["directories_wanted"]), (9, 9, 14))
        self.assertEqual(len(watch["unwatched"]), 5)
        self.assertTrue(all(item["path"].count("/") > installation.source.count("/") + 1 for item in watch["unwatched"]), watch["unwatched"])
        reason = self.reason(status, "watch-limit")
        self.assertIn("5 directories", reason["message"])
        kind = self.watches.split("_")[-1]
        self.assertIn(f"echo user.{self.watches}=1048576 | sudo tee /etc/sysctl.d/60-auto-backup-{kind}.conf", reason["remedy"])
        self.assertIn("not watched: ", installation.run("status", expect=1))
        # What is watched is saved at once, and the rest when somebody asks.
        self.assertSaves(installation, f"{installation.source}/e/new")
        write(f"{installation.source}/e/deep/inner/file", "changed")
        self.assertTrue(installation.snapshot()["taken"])
        self.assertRestores(installation)
        # Nothing has to be started anew when there are more.
        self.raiseLimit(installation, self.watches, 1000)
        write(f"{installation.source}/d/deep/inner/unseen", "in a directory that is not watched yet")
        installation.snapshot()
        status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertEqual((status["watch"]["directories_watched"], status["watch"]["unwatched"]), (16, []))
        self.assertSaves(installation, f"{installation.source}/e/deep/inner/file")
        self.assertRestores(installation)

    def testDirectoryThatChangesAgainAndAgain(self):
        installation = self.limited(watches=8)
        for top in "abcd":
            write(f"{installation.source}/{top}/file", top)
        busy = f"{installation.source}/d/project/notes"
        write(f"{busy}/today", "first")
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["watch"]["unwatched"] and status["activity"]["state"] == "idle", "the limit")
        self.assertFalse(self.isWatched(installation, busy))
        for turn in range(3):
            # Everything is compared, for not everything is watched.
            write(f"{busy}/today", f"turn {turn}")
            installation.snapshot()
        installation.waitForStatus(lambda status: self.isWatched(installation, busy), "the exchange")
        self.assertIn("watch-limit", reasonCodes(installation.status()), "another directory is named in its place")
        self.assertSaves(installation, f"{busy}/today")
        self.assertRestores(installation)

    def testWhatOthersUseIsLeftToThem(self):
        installation = self.limited(watches=100, neighbour=40)
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        # Three quarters of sixty, or less where more programs of this user can be seen.
        self.assertLessEqual(status["watch"]["limit"], 45)

    def testKernelThatGivesLessThanExpected(self):
        # The directory above the source and the private one take watches too, which a reserve of nothing leaves no room for.
        installation = self.limited(watches=6, settings='[watch]\nreserve_watches = "0%"\n')
        for name in range(12):
            write(f"{installation.source}/{name}/file", "x")
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: status["latest_snapshot"] and status["activity"]["state"] == "idle", "the first snapshot")
        self.assertLess(status["watch"]["directories_watched"], 6)
        self.assertEqual(status["watch"]["directories_wanted"], 13)
        self.assertIn("watch-limit", reasonCodes(status))
        self.assertSaves(installation, f"{installation.source}/top")
        write(f"{status['watch']['unwatched'][0]['path']}/file", "y")
        self.assertTrue(installation.snapshot()["taken"])
        self.assertRestores(installation)

    def testInstancesThatRunOut(self):
        installation = self.limited(queues=0)
        write(f"{installation.source}/folder/file", "x")
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: status["latest_snapshot"] and status["activity"]["state"] == "idle", "the first snapshot")
        self.assertEqual((status["verdict"], status["watch"]["backend"]), ("degraded", "none"))
        self.assertEqual([reconcile["reasons"] for reconcile in status["watch"]["recent_reconciles"]], [["full"]])
        self.assertIn("user.max_inotify_instances=1024", self.reason(status, "watch-limit")["remedy"])
        write(f"{installation.source}/folder/file", "changed")
        self.assertTrue(installation.snapshot()["taken"], "it is compared when somebody asks")
        self.assertRestores(installation)
        self.raiseLimit(installation, self.queues, 16)
        # Tried again by itself.
        status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertEqual(status["watch"]["backend"], "inotify")
        self.assertSaves(installation, f"{installation.source}/folder/file")


@unittest.skipUnless(mayMarkDirectories(), "needs fanotify without capabilities")
class MarkLimitTests(LimitTests):
    """Root of a user namespace may mark directories, and no file systems but those mounted there."""
    backend, watches, queues = "fanotify", "max_fanotify_marks", "max_fanotify_groups"

    def testInstancesThatRunOut(self):
        """inotify takes over, and says so."""
        installation = self.limited(queues=0)
        write(f"{installation.source}/folder/file", "x")
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertEqual(status["watch"]["backend"], "inotify")
        self.assertIn("raise user.max_fanotify_groups", self.reason(status, "watch-backend")["message"])
        self.assertSaves(installation, f"{installation.source}/folder/file")

    def testInotifyInstancesThatRunOut(self):
        """Whoever leaves the choice to the program gets what there is."""
        self.backend, self.queues = "auto", "max_inotify_instances"
        installation = self.limited(queues=0)
        write(f"{installation.source}/folder/file", "x")
        installation.startDaemon()
        status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertEqual((status["watch"]["backend"], status["watch"]["directories_watched"]), ("fanotify", 2))
        self.assertSaves(installation, f"{installation.source}/folder/file")


class DescriptorTests(InstallationTestCase):
    def testDescriptorsThatRunOut(self):
        installation = self.install(settings=AT_ONCE)
        write(f"{installation.source}/file", "x")
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        pid = installation.daemon.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        before = installation.status()["watch"]["events"]
        # All below are in use, and poll(2) may still look at some.
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, limits[1]))
        for name in range(20):
            write(f"{installation.source}/new{name}/inner/file", "made while nothing can be opened")
        installation.waitUntil(lambda: "Too many open files" in installation.log(), "the shortage is said")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        self.assertGreater(installation.status()["watch"]["events"], before)
        installation.snapshot()
        status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertEqual(status["watch"]["directories_watched"], 41)
        target = f"{installation.directory}/restored"
        installation.restore("latest", target)
        self.assertSameTree(fingerprint(installation.source), installation.restored(target))
        installation.stopDaemon()


class HotPathTests(InstallationTestCase):
    def testFileThatNeverRests(self):
        installation = self.install(settings='[schedule]\nquiet = "100ms"\ndeadline = "500ms"\nminimum_gap = "0s"\n')
        log = f"{installation.source}/service.log"
        write(log, "begun\n")
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        stop = threading.Event()

        def write_on():
            with open(log, "a") as file:
                while not stop.wait(0.02):
                    print("still running", file=file, flush=True)

        thread = threading.Thread(target=write_on)
        thread.start()
        try:
            status = installation.waitForStatus(
                lambda status: any(hot["backoff_seconds"] >= 0.4 for hot in status["pending"]["hot"]), "the backoff")
            self.assertEqual([hot["path"] for hot in status["pending"]["hot"]], [log])
            code, report = installation.request("GET", f"/v1/explain?path={log}")
            self.assertEqual((code, report["path"], report["watched"]), (200, log, True))
            self.assertGreaterEqual(report["backoff_seconds"], 0.4)
            self.assertIn("changes all the time: saved every ", installation.run("explain", log))
            # Others are saved as quickly as ever.
            number = status["latest_snapshot"]["number"]
            write(f"{installation.source}/letter", "dear")
            installation.waitForStatus(
                lambda status: status["latest_snapshot"]["number"] > number
                and installation.attempt("ls", f"{installation.source}/letter").status == 0, "the letter")
        finally:
            stop.set()
            thread.join()
        # At the latest its deadline saves the end.
        size = os.path.getsize(log)
        installation.waitForStatus(lambda status: installation.run("ls", log, "--json")[0]["size"] == size, "the last lines")

    def testPathsThatAreAskedForWrongly(self):
        installation = self.install(settings=AT_ONCE)
        installation.startDaemon()
        for query in ("", "?path=", "?path=relative", "?path=/a%zz", "?path=/a//b", "?other=/a"):
            self.assertEqual(installation.request("GET", f"/v1/explain{query}")[0], 400, query)
        self.assertEqual(installation.request("GET", "/v1/explain?path=/")[0], 200)


if __name__ == "__main__":
    unittest.main()

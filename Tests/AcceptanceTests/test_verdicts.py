#!/usr/bin/env python3
"""Every way in which backing up can stop: what the status says of it, and that the remedy works when it is typed.

Each of these is shown with its code, a message that names the path, and a remedy. Where the remedy is a command it is taken from
the report and run by a shell. Elsewhere: a full or read-only repository, sources and files that cannot be read, a configuration that is wrong,
a repository that went back in time (test_trouble.py), a covered source (test_watching.py), damage that is mended (test_repair.py).
"""
import os
import re
import signal
import subprocess
import unittest

from installation import AT_ONCE, DAMAGED, DONE, PATIENCE, InstallationTestCase, compiler, reasonCodes, write

CRITICAL = 2
HOUR = 3600


class VerdictTestCase(InstallationTestCase):
    def running(self, settings=AT_ONCE, **options):
        installation = self.install(settings=settings, **options)
        write(f"{installation.source}/document", "first")
        installation.startDaemon()
        self.waitForVerdict(installation, "protected")
        return installation

    def waitForVerdict(self, installation, verdict, code=None):
        """Asks again and again: no event tells of time that passes, or of a key file that changes. Returns the report."""
        def isSo():
            self.report = installation.request("GET", "/v1/status")[1]
            return self.report["verdict"] == verdict and (code is None or code in reasonCodes(self.report))

        installation.waitUntil(isSo, f"{verdict}, {code}")
        return self.report

    def assertSays(self, installation, report, code, verdict, names=""):
        """The report has the reason, with a path and a remedy; status ends as the verdict says, and shows all of it. Returns the remedy."""
        self.assertEqual(report["verdict"], verdict, report["reasons"])
        reason = next((reason for reason in report["reasons"] if reason["code"] == code), None)
        self.assertIsNotNone(reason, report["reasons"])
        self.assertIn(names, reason["message"])
        self.assertTrue(reason["remedy"])
        done = installation.attempt("status")
        self.assertEqual(done.status, ["protected", "degraded", "unprotected", "stopped"].index(verdict), done)
        shown = done.output.decode()
        self.assertTrue(shown.lower().startswith(verdict), shown)
        for text in (f"{code}: ", names, reason["remedy"].splitlines()[0]):
            self.assertIn(text, shown)
        return reason["remedy"]

    def type(self, installation, remedy):
        """Runs a remedy as a person would who copies it: the command is all of it, or stands behind a colon."""
        command = remedy if remedy.startswith(("watchctl", "chmod")) else re.search(r"(watchctl [a-z ]+)", remedy)[1]
        path = os.path.dirname(installation.watchctl) + ":" + os.environ["PATH"]
        done = subprocess.run(["sh", "-c", command], env={**installation.environment, "PATH": path}, cwd=installation.directory,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual(done.returncode, DONE, f"{command}: {done.stderr.decode()}")


class DaemonTests(VerdictTestCase):
    def testDead(self):
        installation = self.running()
        installation.killDaemon()
        report = installation.status()
        remedy = self.assertSays(installation, report, "daemon-stopped", "stopped")
        self.assertRegex(installation.run("check", expect=CRITICAL), r"^CRITICAL: .*watchctl start\n$")
        self.type(installation, remedy)
        self.waitForVerdict(installation, "protected")

    def testStarting(self):
        """Until it listens it is not said to hang, for then a restart is advised, which begins everything again."""
        installation = self.running()
        installation.stopDaemon()
        installation.startDaemon(wait=False)

        def isProtected():
            report = installation.status()
            self.assertNotIn("daemon-hung", reasonCodes(report))
            self.assertEqual("daemon-starting" in reasonCodes(report), report["verdict"] == "degraded", report)
            return report["verdict"] == "protected"

        installation.waitUntil(isProtected, "protection")

    def testHanging(self):
        """A process that is stopped holds its lock, and its socket takes connections."""
        installation = self.running()
        hanging = installation.daemon
        hanging.send_signal(signal.SIGSTOP)
        report = installation.status()
        remedy = self.assertSays(installation, report, "daemon-hung", "unprotected")
        self.assertEqual(installation.run("check").count("daemon-hung"), 1)
        for command in (("snapshot",), ("doctor",)):
            done = installation.attempt(*command)
            self.assertEqual(done.status, 1, done)
            self.assertIn("does not answer", done.errors)
        self.type(installation, remedy)
        self.assertEqual(hanging.wait(PATIENCE), -signal.SIGKILL)
        self.waitForVerdict(installation, "protected")
        installation.run("stop")

    def testDeadAndWithoutWhatItNeeds(self):
        """The remedy for a dead daemon would fail: what is missing is said with it."""
        installation = self.running()
        installation.stopDaemon()
        os.rename(installation.keyFile, installation.keyFile + ".away")
        os.rename(installation.repository, installation.repository + ".away")
        report = installation.status()
        self.assertSays(installation, report, "key-missing", "stopped", installation.keyFile)
        self.assertSays(installation, report, "repository-missing", "stopped", installation.repository)
        os.rename(installation.keyFile + ".away", installation.keyFile)
        os.rename(installation.repository + ".away", installation.repository)
        self.assertEqual([code for code in reasonCodes(installation.status()) if code.endswith("missing")], [])

    def testItDiedWhileTheRepositoryWasMissing(self):
        """What the last report said is not repeated when it is no longer so."""
        installation = self.running()
        os.rename(installation.repository, installation.repository + ".away")
        write(f"{installation.source}/document", "second")
        self.waitForVerdict(installation, "unprotected", "repository-missing")
        installation.killDaemon()
        self.assertIn("repository-missing", reasonCodes(installation.status()))
        os.rename(installation.repository + ".away", installation.repository)
        self.assertNotIn("repository-missing", reasonCodes(installation.status()))


class KeyTests(VerdictTestCase):
    def testGoneUnderTheRunningDaemon(self):
        installation = self.running()
        printed = installation.run("key", "export")
        os.unlink(installation.keyFile)
        remedy = self.assertSays(installation, installation.status(), "key-missing", "degraded", installation.keyFile)
        # The daemon has it still: what is written now is saved.
        write(f"{installation.source}/document", "second")
        installation.waitForSnapshot(2)
        self.assertIn("watchctl key import", remedy)
        installation.run("key", "import", input=printed.encode())
        self.waitForVerdict(installation, "protected")
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "second")

    def testOpenToOthers(self):
        installation = self.install(settings=AT_ONCE)
        write(f"{installation.source}/document", "first")
        os.chmod(installation.keyFile, 0o644)
        installation.startDaemon()
        report = self.waitForVerdict(installation, "degraded", "key-unsafe")
        self.type(installation, self.assertSays(installation, report, "key-unsafe", "degraded", installation.keyFile))
        self.waitForVerdict(installation, "protected")


class SourceTests(VerdictTestCase):
    def testEverythingIsExcluded(self):
        installation = self.install(settings=AT_ONCE + '[exclude]\ndefaults = false\npatterns = ["*"]\n')
        write(f"{installation.source}/document", "first")
        installation.startDaemon()
        report = self.waitForVerdict(installation, "unprotected", "nothing-to-back-up")
        remedy = self.assertSays(installation, report, "nothing-to-back-up", "unprotected", installation.source)
        self.assertIn("watchctl explain", remedy)
        self.assertIn("*", installation.run("explain", f"{installation.source}/document", expect=None))
        installation.configure(AT_ONCE)
        installation.run("reload")
        self.waitForVerdict(installation, "protected")

    def testOneIsMissing(self):
        installation = self.running(sources=("one", "two"))
        os.rename(installation.sources[1], f"{installation.home}/away")
        report = self.waitForVerdict(installation, "degraded", "source-missing")
        self.assertSays(installation, report, "source-missing", "degraded", installation.sources[1])
        os.rename(f"{installation.home}/away", installation.sources[1])
        self.waitForVerdict(installation, "protected")


class RepositoryTests(VerdictTestCase):
    def testDamaged(self):
        """A verification that fails."""
        installation = self.running()
        write(f"{installation.source}/large", os.urandom(300_000))
        status = installation.waitForSnapshot(2)
        # Not the newest: another snapshot may have been taken since.
        name = next(name for name in installation.archives() if name.startswith("000000002-") and name.endswith(".enc"))
        with open(os.path.join(installation.repository, "archives", name), "r+b") as file:
            file.seek(100_000)
            file.write(b"damage")
        os.unlink(f"{installation.source}/large")
        installation.run("verify", "--data", expect=DAMAGED)
        report = installation.waitForStatus(
            lambda status: {"repository-damaged", "content-lost", "repository-repaired"} & set(reasonCodes(status)), "the damage")
        code = next(code for code in reasonCodes(report) if code in ("repository-damaged", "content-lost", "repository-repaired"))
        reason = next(reason for reason in report["reasons"] if reason["code"] == code)
        self.assertTrue(reason["message"] and reason["remedy"])
        installation.run("repair", expect=None)
        installation.waitForStatus(lambda status: "repository-damaged" not in reasonCodes(status), "the repair")


@unittest.skipUnless(compiler(), "needs a C compiler for a clock that can be set")
class ClockTests(VerdictTestCase):
    """A wall clock that the test sets, for the daemon and the commands alike."""

    def clocked(self, **options):
        installation = self.install(**options)
        self.clock = f"{installation.directory}/clock"
        self.set(0)
        installation.environment.update(installation.clock(self.clock))
        write(f"{installation.source}/document", "first")
        installation.startDaemon()
        self.waitForVerdict(installation, "protected")
        return installation

    def set(self, seconds):
        """The clock shows so many seconds more than the true time from now on."""
        write(self.clock + ".new", str(seconds))
        os.rename(self.clock + ".new", self.clock)

    def testPausedAndForgotten(self):
        installation = self.clocked(settings=AT_ONCE)
        installation.pause()
        self.waitForVerdict(installation, "degraded", "paused")
        # Nothing has changed: a day later everything is in a snapshot still, and it is said all the same.
        self.set(25 * HOUR)
        self.assertSays(installation, installation.status(), "paused", "degraded")
        self.assertRegex(installation.run("check"), "^OK: .*paused")
        write(f"{installation.source}/document", "second")
        installation.waitUntil(lambda: installation.status()["pending"]["paths"] > 0, "the change is noted")
        self.assertSays(installation, installation.status(), "paused", "degraded")
        # An hour later monitoring complains, a day later the verdict does.
        self.set(27 * HOUR)
        self.assertEqual(installation.status()["verdict"], "degraded")
        self.assertRegex(installation.run("check", expect=CRITICAL), r"^CRITICAL: .* ago is in a snapshot, which is more than 1h; paused: ")
        self.set(51 * HOUR)
        report = installation.status()
        self.assertSays(installation, report, "stale", "unprotected")
        self.type(installation, self.assertSays(installation, report, "paused", "unprotected"))
        self.waitForVerdict(installation, "protected")
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "second")

    def testLimitIsThatOfTheConfiguration(self):
        installation = self.clocked(settings=AT_ONCE + '[limits]\nlongest_wait = "2h"\n')
        installation.pause()
        write(f"{installation.source}/document", "second")
        installation.waitUntil(lambda: installation.status()["pending"]["paths"] > 0, "the change is noted")
        self.set(HOUR)
        self.assertEqual(installation.status()["verdict"], "degraded")
        self.set(3 * HOUR)
        remedy = self.assertSays(installation, installation.status(), "stale", "unprotected")
        # Also while paused: that is what was asked for.
        self.type(installation, remedy)
        self.assertEqual(reasonCodes(self.waitForVerdict(installation, "degraded", "paused")).count("stale"), 0)

    def testClockSetBack(self):
        installation = self.clocked(settings=AT_ONCE)
        write(f"{installation.source}/document", "second")
        installation.waitForSnapshot(2)
        self.set(-2 * HOUR)
        self.assertSays(installation, installation.status(), "clock", "degraded")
        # It goes on backing up.
        write(f"{installation.source}/document", "third")
        installation.waitForSnapshot(3)
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "third")
        self.set(0)
        self.waitForVerdict(installation, "protected")

    def testComputerThatWasIdleForDays(self):
        """Nothing changed, and then something does: that is no reason to be alarmed in the moments until it is saved."""
        installation = self.clocked(settings='[schedule]\nquiet = "1h"\ndeadline = "2h"\n')
        self.set(72 * HOUR)
        self.assertEqual(installation.status()["verdict"], "protected")
        write(f"{installation.source}/document", "second")
        installation.waitUntil(lambda: installation.status()["pending"]["paths"] > 0, "the change is noted")
        report = installation.status()
        self.assertEqual(report["verdict"], "protected", report["reasons"])
        self.assertTrue(installation.run("check").startswith("OK"))


if __name__ == "__main__":
    unittest.main()

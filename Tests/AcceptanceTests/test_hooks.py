#!/usr/bin/env python3
"""Commands of a person around snapshots, and word on the desktop when backing up stands otherwise than before."""
import json
import os
import shlex
import time
import unittest

from installation import AT_ONCE, FAILED, NO_REPOSITORY, InstallationTestCase, read, reasonCodes, write


def hooks(**lines):
    """A [hooks] section: a list of command lines for each event, or another value."""
    return "[hooks]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items())


class HookTestCase(InstallationTestCase):
    def installed(self, settings=AT_ONCE, **options):
        installation = self.install(settings=settings, **options)
        self.notes = f"{installation.directory}/notes"
        write(f"{installation.source}/document", "first")
        return installation

    def configure(self, installation, settings=AT_ONCE, **lines):
        installation.configure(settings + hooks(**lines))

    def noting(self, text):
        """A command line that appends a line to the notes."""
        return f'echo "{text}" >> {shlex.quote(self.notes)}'

    def noted(self):
        return read(self.notes).decode().splitlines() if os.path.exists(self.notes) else []

    def isRunning(self, pid):
        """False also for one that has ended and that nobody has asked about."""
        try:
            return b") Z " not in read(f"/proc/{pid}/stat")
        except FileNotFoundError:
            return False

    def waitForNote(self, installation, count, timeout=None):
        installation.waitUntil(lambda: len(self.noted()) >= count, f"{count} notes", timeout)
        return self.noted()


class BeforeTests(HookTestCase):
    def testWhatItWritesIsInTheSnapshotAndLeadsToNoOther(self):
        """A dump into a source, made before each snapshot, would make snapshots for ever if it counted as a change after it."""
        installation = self.installed()
        dump = f"{installation.source}/dump/database"
        self.configure(installation, before=[
            self.noting("$AUTO_BACKUP_KIND"), f"mkdir -p {os.path.dirname(dump)}; cat {installation.source}/document > {dump}; date +%N >> {dump}"])
        installation.startDaemon()
        installation.waitForSnapshot(1)
        # At the start everything is compared as well.
        time.sleep(2)
        first = installation.status()["latest_snapshot"]["number"]
        begun = len(self.noted())
        for number, text in ((first + 1, "second"), (first + 2, "third")):
            write(f"{installation.source}/document", text)
            installation.waitForSnapshot(number)
            self.assertTrue(installation.run("cat", dump).startswith(text))
            # Longer than a change has to rest, and than the gap between two snapshots.
            time.sleep(2)
            status = installation.waitForStatus(lambda status: status["activity"]["state"] == "idle", "idle")
            self.assertEqual(status["latest_snapshot"]["number"], number)
            self.assertEqual(status["pending"]["paths"], 0)
        self.assertEqual(self.noted()[0], "full")
        self.assertEqual(self.noted()[begun:], ["incremental", "incremental"])
        # On request as well; what it writes is a change.
        installation.run("snapshot")
        self.assertEqual(len(self.noted()), begun + 3)
        self.assertEqual(installation.status()["latest_snapshot"]["number"], first + 3)

    def testGapBetweenRuns(self):
        installation = self.installed()
        self.configure(installation, before=[self.noting("ran")], before_gap="1h")
        installation.startDaemon()
        installation.waitForSnapshot(1)
        write(f"{installation.source}/document", "second")
        installation.waitForSnapshot(2)
        self.assertEqual(len(self.noted()), 1)
        installation.run("snapshot", "--full")
        self.assertEqual(len(self.noted()), 2)

    def testRunsOverOrFailsAndTheSnapshotIsTaken(self):
        installation = self.installed()
        pid = f"{installation.directory}/pid"
        self.configure(installation, before=[f"sleep 600 & echo $! >> {pid}; wait", "echo connecting; echo no password >&2; exit 7"], timeout="1s")
        installation.startDaemon()
        status = installation.waitForSnapshot(1)
        status = installation.waitForStatus(lambda status: reasonCodes(status).count("hook-failing") == 2, "the reasons")
        self.assertEqual(status["verdict"], "degraded")
        messages = " ".join(reason["message"] for reason in status["reasons"])
        self.assertIn("sleep 600", messages)
        self.assertIn("ran longer than 1s and was ended", messages)
        self.assertIn("ended with status 7: no password", messages)
        self.assertFalse(self.isRunning(read(pid).decode().split()[0]))
        self.assertIn("connecting", installation.log())
        shown = installation.run("status", expect=None)
        self.assertIn("watchctl reload", shown)
        self.configure(installation, before=["true"])
        installation.run("reload")
        write(f"{installation.source}/document", "second")
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protected")


class AfterTests(HookTestCase):
    def testToldWhatHappened(self):
        installation = self.installed()
        self.configure(installation, after=[
            self.noting("$AUTO_BACKUP_EVENT $AUTO_BACKUP_SNAPSHOT $AUTO_BACKUP_KIND $AUTO_BACKUP_REPOSITORY $AUTO_BACKUP_SOURCES $AUTO_BACKUP_CONFIG"),
            f"{installation.watchctl} status --json > {installation.directory}/seen; cat"])
        installation.startDaemon()
        self.waitForNote(installation, 1)
        installation.waitForStatus(lambda status: status["activity"]["state"] == "idle", "idle")
        write(f"{installation.source}/document", "second")
        places = f"{installation.repository} {installation.source} {installation.configurationFile}"
        self.assertEqual(self.waitForNote(installation, 2), [f"after 1 full {places}", f"after 2 incremental {places}"])
        # A hook can ask the daemon that runs it.
        installation.waitForStatus(lambda status: status["activity"]["state"] == "idle", "idle")
        self.assertEqual(json.loads(read(f"{installation.directory}/seen"))["latest_snapshot"]["number"], 2)
        self.assertNotIn("hook-failing", reasonCodes(installation.status()))


class ChangeTests(HookTestCase):
    def withDesktop(self, installation):
        """A notify-send that notes its title, and a session's bus that is never spoken to."""
        folder = f"{installation.directory}/bin"
        write(f"{folder}/notify-send", '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\n'
              f'echo "desktop: $2" >> {shlex.quote(self.notes)}\necho "$3" >> {installation.directory}/bodies\n')
        os.chmod(f"{folder}/notify-send", 0o755)
        installation.environment["PATH"] = f"{folder}:{installation.environment['PATH']}"
        installation.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={installation.directory}/bus"

    def testFailureAndRecoveryAreSaidOnce(self):
        installation = self.installed()
        self.withDesktop(installation)
        self.configure(installation, failure=[self.noting("$AUTO_BACKUP_EVENT $AUTO_BACKUP_REASONS")], recovery=[self.noting("$AUTO_BACKUP_EVENT")])
        installation.startDaemon()
        installation.waitForSnapshot(1)
        installation.waitForStatus(lambda status: status["activity"]["state"] == "idle", "idle")
        os.rename(installation.repository, installation.repository + ".away")
        write(f"{installation.source}/document", "second")
        failed = self.waitForNote(installation, 2)
        self.assertEqual(failed[0], "desktop: Your files are not being backed up")
        self.assertRegex(failed[1], "^failure .*repository-missing")
        self.assertIn(installation.repository, read(f"{installation.directory}/bodies").decode())
        # Tried again, and killed and started again: none of this is news.
        installation.killDaemon()
        installation.startDaemon()
        installation.attempt("snapshot")
        installation.attempt("snapshot")
        self.assertEqual(self.noted(), failed)
        os.rename(installation.repository + ".away", installation.repository)
        installation.waitForSnapshot(2)
        self.assertEqual(self.waitForNote(installation, 4)[2:], ["desktop: Your files are being backed up again", "recovery"])

    def testSilentWhenSwitchedOffOrWithoutADesktop(self):
        installation = self.installed()
        self.withDesktop(installation)
        self.configure(installation, settings=AT_ONCE + "[notify]\ndesktop = false\n", before=["false"])
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "degraded" and status["activity"]["state"] == "idle", "degraded")
        installation.stopDaemon()
        self.assertEqual(self.noted(), [])
        os.unlink(f"{installation.directory}/bin/notify-send")
        self.configure(installation, before=["true"])
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protected")
        self.assertNotIn("notify", installation.log())


class CommandTests(HookTestCase):
    def testHooksOfASnapshotWithoutADaemon(self):
        installation = self.installed()
        self.configure(installation, before=[f"echo dumped > {installation.source}/dump", "echo no password; exit 7"],
                       after=[self.noting("$AUTO_BACKUP_EVENT $AUTO_BACKUP_SNAPSHOT")],
                       failure=[self.noting("$AUTO_BACKUP_EVENT $AUTO_BACKUP_REASONS")])
        done = installation.attempt("snapshot")
        self.assertEqual(done.status, 0, done)
        self.assertIn("ended with status 7: no password", done.errors)
        self.assertEqual(installation.run("cat", f"{installation.source}/dump"), "dumped\n")
        os.rename(installation.repository, installation.repository + ".away")
        self.assertEqual(installation.attempt("snapshot").status, NO_REPOSITORY)
        self.assertEqual(self.noted(), ["after 1", "failure repository-missing"])


if __name__ == "__main__":
    unittest.main()

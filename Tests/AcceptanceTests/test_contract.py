"""What scripts rely on: exit statuses, JSON keys and types, moments, keys, taking over, starting and stopping.

In:  an installation that works.  Out: exactly what the interface promises.
"""
import base64
import datetime
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest

from installation import (AT_ONCE, DONE, FAILED, LOCKED, LONG, NO_REPOSITORY, PATIENCE, PROJECT, USAGE, WRONG_KEY,
                          InstallationTestCase, fingerprint, read, reasonCodes, removeTree, write)

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


class Form:
    """What a JSON value has to be; `problems` names every place where it is something else."""

    def __init__(self, kind, /, **members):
        self.kind, self.members = kind, members

    def problems(self, value, place="."):
        if isinstance(self.kind, Form):
            return [] if value is None else self.kind.problems(value, place)
        if self.kind is TIME:
            return [] if isinstance(value, str) and TIME.match(value) else [f"{place}: {value!r} is no time"]
        if isinstance(self.kind, list):
            if not isinstance(value, list):
                return [f"{place}: {value!r} is no array"]
            return [problem for index, item in enumerate(value) for problem in self.kind[0].problems(item, f"{place}[{index}]")]
        if isinstance(self.kind, (set, frozenset)):
            return [] if value in self.kind else [f"{place}: {value!r} is none of {sorted(self.kind)}"]
        # In Python a truth value is a number as well.
        if not isinstance(value, self.kind) or isinstance(value, bool) and self.kind is not bool:
            return [f"{place}: {value!r} is no {self.kind}"]
        found = []
        for name, form in self.members.items():
            if name not in value:
                found.append(f"{place}: {name} is missing")
            else:
                found += form.problems(value[name], f"{place}/{name}")
        return found


def orNull(form):
    return Form(form)


NUMBER, AMOUNT, TEXT, FLAG, MOMENT = Form(int), Form((int, float)), Form(str), Form(bool), Form(TIME)
KIND = Form({"full", "incremental"})
STATUS = Form(
    dict, schema=Form({1}), verdict=Form({"protected", "degraded", "unprotected", "stopped"}),
    reasons=Form([Form(dict, code=TEXT, message=TEXT, remedy=TEXT)]),
    daemon=Form(dict, running=FLAG, pid=orNull(NUMBER), version=TEXT, started=orNull(MOMENT)),
    latest_snapshot=orNull(Form(dict, number=NUMBER, kind=KIND, time=MOMENT, age_seconds=AMOUNT, entries_changed=NUMBER, bytes_added=NUMBER)),
    as_of=MOMENT, confirmed=orNull(MOMENT), latest_full=orNull(Form(dict, number=NUMBER, time=MOMENT)),
    pending=Form(dict, paths=NUMBER, oldest_age_seconds=orNull(AMOUNT)),
    watch=Form(dict, backend=TEXT, directories_watched=NUMBER, directories_wanted=NUMBER, events=NUMBER, overflows=NUMBER,
               reconciles=NUMBER, last_reconcile=orNull(MOMENT), unwatched=Form([Form(dict, path=TEXT, reason=TEXT)])),
    activity=Form(dict, state=Form({"idle", "waiting", "snapshotting", "reconciling", "verifying", "rotating", "compacting", "paused"}),
                  progress=orNull(Form(dict)), next=orNull(Form(dict, action=TEXT))),
    repository=Form(dict, path=TEXT, id=orNull(TEXT), snapshots=NUMBER, archives=NUMBER, bytes=NUMBER, free_bytes=orNull(NUMBER),
                    last_verified=orNull(MOMENT)))
SNAPSHOTS = Form([Form(dict, number=NUMBER, kind=KIND, time=MOMENT, archives=NUMBER, entries=NUMBER, entries_changed=NUMBER,
                       bytes_source=NUMBER, bytes_added=NUMBER, tags=Form([TEXT]), pinned=FLAG)])
LIST = Form([Form(dict, path=TEXT, type=Form({"file", "directory", "symlink", "fifo", "socket", "character-device", "block-device"}),
                  mode=NUMBER, uid=NUMBER, gid=NUMBER, size=NUMBER, mtime=MOMENT, snapshot=NUMBER)])
ROTATION = Form([Form(dict, number=NUMBER, keep=FLAG, reasons=Form([TEXT]))])
SNAPSHOT = Form(dict, taken=FLAG, number=NUMBER, kind=KIND, time=MOMENT, entries_changed=NUMBER, bytes_added=NUMBER, message=TEXT,
                problems=Form([Form(dict, path=TEXT, reason=TEXT)]))
VERIFICATION = Form(dict, depth=TEXT, archives_read=NUMBER, bytes_read=NUMBER, findings=Form([Form(dict, archive=TEXT, reason=TEXT)]))


class ContractTestCase(InstallationTestCase):
    def protected(self, **options):
        """An installation with a small tree and a snapshot of it."""
        installation = self.install(**options)
        write(f"{installation.source}/document", "first")
        write(f"{installation.source}/folder/photo", os.urandom(5000))
        self.assertEqual(installation.snapshot()["number"], 1)
        return installation

    def running(self, settings=AT_ONCE, **options):
        """The same with a daemon that says it is protected."""
        installation = self.protected(settings=settings, **options)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        return installation

    def assertForm(self, form, value):
        problems = form.problems(value)
        if problems:
            self.fail("\n".join(problems))


class JSONTests(ContractTestCase):
    def testStatus(self):
        installation = self.install()
        self.assertForm(STATUS, installation.run("status", "--json", expect=3))
        write(f"{installation.source}/file", "1")
        installation.startDaemon()
        installation.waitForSnapshot(1)
        report = installation.run("status", "--json", expect=DONE)
        self.assertForm(STATUS, report)
        self.assertEqual((report["verdict"], report["daemon"]["running"], report["daemon"]["pid"]),
                         ("protected", True, installation.daemon.pid))
        self.assertEqual(report["repository"]["path"], installation.repository)
        self.assertEqual(report["latest_snapshot"]["number"], 1)
        for report in (installation.request("GET", "/v1/status")[1], next(installation.events()),
                       json.loads(read(f"{installation.state}/status.json"))):
            self.assertForm(STATUS, report)
        installation.run("pause")
        self.assertForm(STATUS, installation.run("status", "--json", expect=1))
        installation.stopDaemon()
        self.assertForm(STATUS, installation.run("status", "--json", expect=3))

    def testSnapshotsAndLists(self):
        installation = self.protected()
        os.symlink("document", f"{installation.source}/link")
        os.mkfifo(f"{installation.source}/pipe")
        write(os.fsencode(installation.source) + b"/caf\xe9", "not UTF-8")
        response = installation.snapshot("--tag", "holiday")
        self.assertForm(SNAPSHOT, response)
        self.assertEqual((response["taken"], response["number"], response["kind"]), (True, 2, "incremental"))
        self.assertForm(SNAPSHOT, installation.snapshot())
        listed = installation.snapshots()
        self.assertForm(SNAPSHOTS, listed)
        self.assertEqual([snapshot["tags"] for snapshot in listed], [[], ["holiday"]])
        # The source directory, two files, a folder, and what came with the second.
        self.assertEqual([snapshot["entries"] for snapshot in listed], [4, 7])
        self.assertEqual([snapshot["bytes_source"] for snapshot in listed], [5005, 5014])
        entries = installation.run("ls", installation.source, "-R", "--json")
        self.assertForm(LIST, entries)
        types = {entry["path"].rsplit("/", 1)[1]: entry["type"] for entry in entries}
        self.assertEqual((types["link"], types["pipe"], types["folder"], types["document"]), ("symlink", "fifo", "directory", "file"))
        odd, = [entry for entry in entries if "path_base64" in entry]
        self.assertEqual(base64.b64decode(odd["path_base64"]), os.fsencode(installation.source) + b"/caf\xe9")
        document = next(entry for entry in entries if entry["path"].endswith("/document"))
        status = os.stat(f"{installation.source}/document")
        self.assertEqual((document["mode"], document["uid"], document["gid"], document["size"], document["snapshot"]),
                         (status.st_mode & 0o7777, status.st_uid, status.st_gid, 5, 2))
        self.assertEqual(datetime.datetime.fromisoformat(document["mtime"].replace("Z", "+00:00")).timestamp(),
                         status.st_mtime_ns // 1_000_000 / 1000)

    def testRotationAndVerification(self):
        installation = self.protected()
        for form, command in ((ROTATION, ["rotate", "--dry-run"]), (ROTATION, ["rotate"]), (VERIFICATION, ["verify"]),
                              (VERIFICATION, ["verify", "--data"]), (VERIFICATION, ["verify", "--digests"]),
                              (VERIFICATION, ["verify", "--sample", "50%"])):
            with self.subTest(command):
                self.assertForm(form, installation.run(*command, "--json"))
        installation.startDaemon()
        self.assertForm(ROTATION, installation.run("rotate", "--dry-run", "--json"))
        self.assertForm(ROTATION, installation.run("rotate", "--json"))
        self.assertForm(VERIFICATION, installation.run("verify", "--data", "--json"))

    def testTheSnapshotsTimeIsTheSameEverywhere(self):
        installation = self.protected()
        moment = installation.snapshots()[0]["time"]
        name, = installation.archives()
        self.assertIn(re.sub("[-:]", "", moment), name)
        self.assertEqual(installation.run("cat", f"{installation.source}/document", "--at", moment), "first")


class StatusTests(ContractTestCase):
    def testExitStatuses(self):
        installation = self.install(settings=AT_ONCE)
        installation.run("status", expect=3)
        write(f"{installation.source}/file", "1")
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertTrue(installation.run("status", expect=0).startswith("Protected"))
        installation.run("pause")
        self.assertTrue(installation.run("status", expect=1).startswith("Degraded"))
        installation.run("resume")
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        os.rename(installation.source, installation.source + ".away")
        installation.waitForStatus(lambda status: status["verdict"] == "unprotected", "no protection")
        self.assertTrue(installation.run("status", expect=2).startswith("Unprotected"))
        os.rename(installation.source + ".away", installation.source)
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        installation.stopDaemon()
        self.assertTrue(installation.run("status", expect=3).startswith("Stopped"))

    def testKilledDaemonIsStopped(self):
        installation = self.running()
        installation.waitUntil(lambda: os.path.exists(f"{installation.state}/status.json"), "status.json is written")
        self.assertTrue(json.loads(read(f"{installation.state}/status.json"))["daemon"]["running"])
        installation.killDaemon()
        report = installation.run("status", "--json", expect=3)
        self.assertEqual((report["verdict"], report["daemon"]["running"]), ("stopped", False))
        # The last known state is still told, and from when it is.
        self.assertEqual(report["latest_snapshot"]["number"], 1)
        self.assertEqual(report["as_of"], json.loads(read(f"{installation.state}/status.json"))["as_of"])
        self.assertIn("watchctl start", installation.run("status", expect=3))
        installation.run("check", expect=2)
        # What it left behind stands in nobody's way.
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")

    def testCheck(self):
        installation = self.protected(settings=AT_ONCE)
        self.assertTrue(installation.run("check", expect=2).startswith("CRITICAL"))
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        for arguments in ([], ["--max-age", "1h"], ["--max-age", "30s"]):
            said = installation.run("check", *arguments)
            self.assertRegex(said, r"^OK: [^|]+ \| age=\d+s;;(3600|30)\n$")
            self.assertEqual(said.count("\n"), 1)
        # While nothing changes, the confirmed moment moves on with the clock.
        first = installation.status()["confirmed"]
        self.assertGreater(installation.status()["confirmed"], first)
        installation.pause()
        write(f"{installation.source}/document", "unsaved")
        installation.waitUntil(lambda: installation.status()["pending"]["paths"] > 0, "the change is noted")
        # The moment to be asked about has to pass; no event announces it.
        time.sleep(0.3)
        said = installation.run("check", "--max-age", "100ms", expect=2)
        self.assertTrue(said.startswith("CRITICAL"), said)
        self.assertEqual(said.count("\n"), 1)
        installation.run("check", "--max-age", "1h")
        installation.run("check", "--max-age", "soon", expect=USAGE)

    def testPauseAndResume(self):
        installation = self.running()
        installation.run("pause")
        self.assertIn("paused", reasonCodes(installation.status()))
        # A verification that had begun may go on: what waits is archiving.
        status = installation.waitForStatus(lambda status: status["activity"]["state"] == "paused", "the pause")
        self.assertEqual(status["verdict"], "degraded")
        write(f"{installation.source}/document", "second")
        # Watching goes on: the change is noted and waits.
        installation.waitUntil(lambda: installation.status()["pending"]["paths"] > 0, "the change is noted")
        self.assertEqual(installation.status()["latest_snapshot"]["number"], 1)
        self.assertEqual(installation.snapshot()["number"], 2)
        self.assertIn("paused", reasonCodes(installation.status()), "a manual snapshot does not end the pause")
        write(f"{installation.source}/document", "third")
        installation.waitUntil(lambda: installation.status()["pending"]["paths"] > 0, "the change is noted")
        installation.run("resume")
        status = installation.waitForSnapshot(3)
        self.assertNotIn("paused", reasonCodes(status))
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "third")

    def testPauseEndsByItself(self):
        installation = self.running()
        installation.run("pause", "--for", "1500ms")
        installation.waitForStatus(lambda status: "paused" in reasonCodes(status), "the pause")
        write(f"{installation.source}/document", "second")
        # What ran as the pause began may have seen it already; the pause has to end all the same.
        installation.waitForStatus(lambda status: "paused" not in reasonCodes(status), "the end of the pause")
        installation.waitForSnapshot(2)
        installation.run("pause", "--for", "ever", expect=USAGE)

    def testPauseWithoutADaemonSaysSo(self):
        installation = self.protected()
        for command in ("pause", "resume", "reload"):
            done = installation.attempt(command)
            self.assertEqual(done.status, FAILED, done)
            self.assertIn("watchctl start", done.errors)

    def testSnapshotWithoutWaiting(self):
        installation = self.protected(settings='[schedule]\nquiet = "1h"\ndeadline = "2h"\n')
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        write(f"{installation.source}/document", "second")
        response = installation.snapshot("--no-wait")
        self.assertFalse(response["taken"])
        installation.waitForSnapshot(2)
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "second")
        # Its tag arrives as well.
        write(f"{installation.source}/document", "third")
        installation.snapshot("--no-wait", "--tag", "later")
        installation.waitForSnapshot(3)
        installation.waitUntil(lambda: installation.snapshots()[-1]["tags"] == ["later"], "the tag arrives")


class MomentTests(ContractTestCase):
    def testFormsOfAMoment(self):
        installation = self.protected()
        write(f"{installation.source}/document", "second")
        installation.snapshot()
        first, second = [snapshot["time"] for snapshot in installation.snapshots()]
        path = f"{installation.source}/document"

        def at(moment):
            return installation.run("cat", path, "--at", moment)

        self.assertEqual([at(1), at(2), at("latest")], ["first", "second", "second"])
        self.assertEqual([at(first), at(second)], ["first", "second"])
        # One millisecond before the second is still the first.
        instant = datetime.datetime.fromisoformat(second.replace("Z", "+00:00"))
        before = (instant - datetime.timedelta(milliseconds=1)).isoformat(timespec="milliseconds")
        self.assertEqual(at(before), "first")
        shifted = instant.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=30))).isoformat(timespec="milliseconds")
        self.assertEqual(at(shifted), "second")
        # Without a zone: local time, which is UTC here.
        self.assertEqual(at(first.rstrip("Z")), "first")
        later = (instant + datetime.timedelta(days=1)).date().isoformat()
        self.assertEqual([at(later), at("today"), at("0s")], ["second"] * 3)
        today = instant.strftime("%A").lower()
        self.assertEqual(at(today), "second")
        for early in ("2h", "2h ago", "yesterday", "yesterday 14:00", "2020-02-29", "2020-02-29T12:00:00Z", "2020-02-29 12:00"):
            with self.subTest(early):
                done = installation.attempt("cat", path, "--at", early)
                self.assertEqual(done.status, FAILED, done)
                self.assertIn("no snapshot", done.errors)

    def testUnknownMomentsAreWrongUsage(self):
        installation = self.protected()
        for moment in ("soon", "", "2020-13-01", "2020-02-29T25:00", "-1", "24:00", "next monday", "1.5", "0x10", "latest 2", "🙂",
                       "1" * 400, "9" * 30 + "d"):
            for command in (["cat", f"{installation.source}/document"], ["ls"], ["restore", "--to", "out"]):
                with self.subTest(command=command, moment=moment):
                    done = installation.attempt(*command, f"--at={moment}")
                    self.assertEqual(done.status, USAGE, done)
        self.assertFalse(os.path.exists(f"{installation.directory}/out"))

    def testWhatIsNotThere(self):
        installation = self.protected()
        for command in (["cat", f"{installation.source}/nothing"], ["ls", f"{installation.source}/nothing"], ["ls", "/elsewhere"],
                        ["restore", f"{installation.source}/nothing", "--to", "out"], ["cat", installation.source],
                        ["ls", "--at", "77"], ["restore", "--at", "77", "--to", "out"], ["pin", "77"], ["tag", "77", "x"]):
            done = installation.attempt(*command)
            self.assertEqual(done.status, FAILED, f"{command}: {done}")
            self.assertEqual(done.output, b"")
            self.assertTrue(done.errors)
        self.assertFalse(os.path.exists(f"{installation.directory}/out"))

    def testPathsAreRelativeToTheWorkingDirectory(self):
        installation = self.protected()
        self.assertEqual(installation.run("cat", "document", cwd=installation.source), "first")
        self.assertEqual(installation.run("cat", "../document", cwd=f"{installation.source}/folder"), "first")
        self.assertEqual(installation.run("ls", cwd=installation.source).split(), ["document", "folder"])

    def testWrongUsage(self):
        installation = self.protected()
        for command in (["nonsense"], ["snapshot", "--nonsense"], ["cat"], ["pin", "x"], ["restore", "--to", "a", "--in-place"],
                        ["verify", "--data", "--digests"], ["verify", "--sample", "0%"], ["tag", "1", ""], ["init"],
                        ["restore", "--overwrite", "maybe"], ["pause", "--for", "-1s"]):
            done = installation.attempt(*command)
            self.assertEqual(done.status, USAGE, f"{command}: {done}")
            self.assertEqual(done.output, b"")
        self.assertEqual(installation.attempt("--help").status, DONE)
        self.assertEqual(installation.attempt("restore", "--help").status, DONE)
        self.assertRegex(installation.run("--version"), r"^watchctl \d")

    def testSnapshotsSinceAndUntil(self):
        installation = self.protected()
        for text in ("second", "third"):
            write(f"{installation.source}/document", text)
            installation.snapshot()
        second = installation.snapshots()[1]["time"]

        def numbers(*arguments):
            return [snapshot["number"] for snapshot in installation.run("snapshots", "--json", *arguments)]

        self.assertEqual(numbers("--since", second), [2, 3])
        self.assertEqual(numbers("--until", second), [1, 2])
        self.assertEqual(numbers("--since", 2, "--until", 2), [2])
        self.assertEqual(numbers("--since", "1h"), [1, 2, 3])
        self.assertEqual(numbers("--until", "1h"), [])


class RemarkTests(ContractTestCase):
    def testPinsAndTags(self):
        for daemon in (False, True):
            with self.subTest(daemon=daemon):
                installation = self.protected()
                if daemon:
                    installation.startDaemon()
                    installation.waitForSnapshot(1)
                write(f"{installation.source}/document", "second")
                installation.snapshot()
                installation.run("pin", 1)
                installation.run("pin", 1)
                installation.run("tag", 1, "before the party")
                installation.run("tag", 1, "again")
                installation.run("tag", 2, "ünïcode 🙂")
                expected = [(True, ["again", "before the party"]), (False, ["ünïcode 🙂"])]

                def remarks():
                    return [(snapshot["pinned"], sorted(snapshot["tags"])) for snapshot in installation.snapshots()]

                self.assertEqual(remarks(), expected)
                self.assertIn("pinned", installation.run("rotate", "--dry-run", "--json")[0]["reasons"])
                # They stand in the repository, not in the catalog.
                if daemon:
                    installation.stopDaemon()
                installation.removeCatalog()
                self.assertEqual(remarks(), expected)
                installation.run("unpin", 1)
                installation.run("unpin", 1)
                installation.run("tag", 1, "again", "--remove")
                self.assertEqual(remarks(), [(False, ["before the party"]), (False, ["ünïcode 🙂"])])
                self.assertFalse(installation.snapshot("--tag", "same state")["taken"])
                self.assertEqual(remarks()[1], (False, ["same state", "ünïcode 🙂"]))
                installation.run("verify", "--data")


class TakingOverTests(ContractTestCase):
    def passphraseFile(self, installation, name, text):
        write(f"{installation.directory}/{name}", text + "\n")
        return f"{installation.directory}/{name}"

    def testInitTwiceIsRefused(self):
        installation = self.protected()
        before = {file: read(file) for file in (installation.configurationFile, installation.keyFile, f"{installation.repository}/repository.json")}
        for repository in (installation.repository, f"{installation.directory}/second"):
            done = installation.attempt("init", installation.source, "--repository", repository)
            self.assertEqual(done.status, FAILED, done)
            self.assertIn(installation.configurationFile, done.errors)
        self.assertFalse(os.path.exists(f"{installation.directory}/second"))
        os.rename(installation.configurationFile, installation.configurationFile + ".away")
        done = installation.attempt("init", installation.source, "--repository", installation.repository)
        self.assertEqual(done.status, FAILED, done)
        self.assertIn("adopt", done.errors)
        self.assertFalse(os.path.exists(installation.configurationFile))
        os.rename(installation.configurationFile + ".away", installation.configurationFile)
        self.assertEqual({file: read(file) for file in before}, before)
        self.assertFalse(installation.snapshot()["taken"])

    def testInitGoesOnWhereItWasCutShort(self):
        """Killed before the configuration was written, it left a repository that neither `init` nor `adopt` would take."""
        installation = self.install()
        os.unlink(installation.configurationFile)
        passphrase = self.passphraseFile(installation, "passphrase", "a second thought")
        identity, key = self.repositoryID(installation), read(installation.keyFile)
        installation.run("init", installation.source, "--repository", installation.repository, "--passphrase-file", passphrase)
        self.assertEqual((self.repositoryID(installation), read(installation.keyFile)), (identity, key))
        self.assertEqual(len(installation.run("key", "list").splitlines()), 2)
        self.assertTrue(installation.snapshot()["taken"])
        # With a snapshot in it, it is somebody's.
        os.unlink(installation.configurationFile)
        done = installation.attempt("init", installation.source, "--repository", installation.repository)
        self.assertEqual((done.status, "adopt" in done.errors), (FAILED, True), done)

    def testARefusedInitLeavesNoKey(self):
        """`adopt`, which the refusal names, would find a strange key in the place of the repository's."""
        other, installation = self.protected(), self.install(initialize=False)
        done = installation.attempt("init", installation.source, "--repository", other.repository)
        self.assertEqual((done.status, "adopt" in done.errors), (FAILED, True), done)
        self.assertFalse(os.path.exists(installation.keyFile))

    @staticmethod
    def repositoryID(installation):
        return json.loads(read(f"{installation.repository}/repository.json"))["id"]

    def testInitWithAMissingSource(self):
        installation = self.install(initialize=False)
        done = installation.attempt("init", f"{installation.home}/nowhere", "--repository", installation.repository)
        self.assertEqual(done.status, FAILED, done)
        self.assertIn(f"{installation.home}/nowhere", done.errors)
        self.assertFalse(os.path.exists(installation.repository))
        self.assertFalse(os.path.exists(installation.keyFile))

    def adopted(self, installation, *key):
        """A fresh home that takes the repository over; the old one is gone, its sources with it."""
        fresh = self.install(initialize=False)
        fresh.repository = installation.repository
        fresh.run("adopt", "--repository", installation.repository, *key)
        return fresh

    def assertContinues(self, installation, fresh, expected):
        """Everything can be restored in place, and snapshots go on where they ended."""
        for file in (fresh.configurationFile, fresh.keyFile):
            self.assertEqual(os.stat(file).st_mode & 0o777, 0o600, file)
        number = fresh.numbers()[-1]
        removeTree(installation.source)
        fresh.run("restore", "--in-place")
        self.assertSameTree(expected, installation.source)
        fresh.snapshot()
        write(f"{installation.source}/after", "the new computer")
        response = fresh.snapshot()
        self.assertTrue(response["taken"])
        self.assertGreater(response["number"], number)
        target = f"{fresh.directory}/all"
        fresh.restore("latest", target)
        self.assertSameTree(fingerprint(installation.source), target + installation.source)
        self.assertEqual(fresh.run("cat", f"{installation.source}/document", "--at", 1), "first")
        # The former owner is told, and adds nothing.
        done = installation.attempt("snapshot")
        self.assertNotEqual(done.status, DONE)
        self.assertIn("adopt", done.errors)
        fresh.run("verify", "--data")

    def testAdoptWithAKeyFile(self):
        installation = self.protected()
        write(f"{installation.source}/document", "second")
        installation.snapshot()
        copy = f"{installation.directory}/stick.key"
        shutil.copy(installation.keyFile, copy)
        os.chmod(copy, 0o644)
        fresh = self.adopted(installation, "--key-file", copy)
        self.assertContinues(installation, fresh, fingerprint(installation.source))

    def testAdoptWithThePrintedKey(self):
        installation = self.protected()
        printed = f"{installation.directory}/paper"
        text = installation.run("key", "export")
        # As somebody types it: in small letters, with other spaces.
        write(printed, text.lower().replace("-", " ") + "\n\n")
        fresh = self.adopted(installation, "--key-file", printed)
        self.assertEqual(read(fresh.keyFile), read(installation.keyFile))
        self.assertContinues(installation, fresh, fingerprint(installation.source))

    def testAdoptWithAPassphrase(self):
        installation = self.install(initialize=False)
        passphrase = self.passphraseFile(installation, "passphrase", "correct horse battery staple")
        said = installation.run("init", installation.source, "--repository", installation.repository, "--passphrase-file", passphrase)
        self.assertNotIn("correct horse", said)
        installation.configure("")
        write(f"{installation.source}/document", "first")
        installation.snapshot()
        wrong = self.passphraseFile(installation, "wrong", "incorrect horse")
        fresh = self.install(initialize=False)
        done = fresh.attempt("adopt", "--repository", installation.repository, "--passphrase-file", wrong)
        self.assertEqual(done.status, WRONG_KEY, done)
        self.assertFalse(os.path.exists(fresh.configurationFile))
        self.assertFalse(os.path.exists(fresh.keyFile))
        fresh = self.adopted(installation, "--passphrase-file", passphrase)
        self.assertContinues(installation, fresh, fingerprint(installation.source))

    def testAdoptThatCannotBe(self):
        installation = self.protected()
        fresh = self.install(initialize=False)
        write(f"{fresh.directory}/other.key", "A" * 43 + "=\n")
        typed = list(installation.run("key", "export"))
        typed[2] = "A" if typed[2] != "A" else "B"
        write(f"{fresh.directory}/mistyped", "".join(typed))
        for arguments, status in ((["--key-file", f"{fresh.directory}/other.key"], WRONG_KEY),
                                  (["--key-file", f"{fresh.directory}/mistyped"], WRONG_KEY),
                                  (["--key-file", f"{fresh.directory}/nowhere"], FAILED), ([], USAGE)):
            done = fresh.attempt("adopt", "--repository", installation.repository, *arguments)
            self.assertEqual(done.status, status, f"{arguments}: {done}")
        done = fresh.attempt("adopt", "--repository", f"{fresh.directory}/nowhere", "--key-file", installation.keyFile)
        self.assertEqual(done.status, NO_REPOSITORY, done)
        self.assertFalse(os.path.exists(fresh.configurationFile))
        installation.startDaemon()
        done = fresh.attempt("adopt", "--repository", installation.repository, "--key-file", installation.keyFile)
        self.assertEqual(done.status, LOCKED, done)
        self.assertFalse(os.path.exists(fresh.configurationFile))

    def testPassphraseSlots(self):
        # Each try of a passphrase is meant to be slow.
        for daemon in (True, False) if LONG else (True,):
            with self.subTest(daemon=daemon):
                installation = self.protected()
                if daemon:
                    installation.startDaemon()
                    status = installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
                    self.assertIn("key-not-kept", reasonCodes(status))
                one = self.passphraseFile(installation, "one", "the first passphrase")
                two = self.passphraseFile(installation, "two", "the second passphrase")
                three = self.passphraseFile(installation, "three", "the third passphrase")
                self.assertEqual(installation.run("key", "list", "--json"), [])
                installation.run("key", "add", "--passphrase-file", one)
                installation.run("key", "add", "--passphrase-file", two)
                slots = installation.run("key", "list", "--json")
                self.assertEqual(len(slots), 2)
                if daemon:
                    installation.waitForStatus(lambda status: "key-not-kept" not in reasonCodes(status), "the key counts as kept")
                installation.run("key", "change", "--old-passphrase-file", one, "--passphrase-file", three)
                done = installation.attempt("key", "change", "--old-passphrase-file", one, "--passphrase-file", three)
                self.assertEqual(done.status, WRONG_KEY, done)
                self.assertEqual(len(installation.run("key", "list", "--json")), 2)
                installation.run("key", "remove", next(slot["slot"] for slot in slots if slot["slot"] != 1))
                installation.run("key", "remove", 99, expect=FAILED)
                self.assertEqual(len(installation.run("key", "list", "--json")), 1)
                for file in (one, two, three):
                    self.assertNotIn(read(file).strip(), installation.log().encode())
                if daemon:
                    installation.stopDaemon()
                for file in (one, two):
                    done = self.install(initialize=False).attempt("adopt", "--repository", installation.repository, "--passphrase-file", file)
                    self.assertEqual(done.status, WRONG_KEY, done)
                fresh = self.adopted(installation, "--passphrase-file", three)
                self.assertEqual(fresh.run("cat", f"{installation.source}/document"), "first")

    def testKeyShowExportAndImport(self):
        installation = self.protected()
        self.assertEqual(installation.run("key", "show"), read(installation.keyFile).decode())
        printed = f"{installation.directory}/paper"
        write(printed, installation.run("key", "export"))
        os.unlink(installation.keyFile)
        installation.run("snapshot", expect=WRONG_KEY)
        installation.run("key", "import", printed)
        self.assertEqual(os.stat(installation.keyFile).st_mode & 0o777, 0o600)
        self.assertFalse(installation.snapshot()["taken"])
        write(f"{installation.directory}/other", "A" * 43 + "=\n")
        installation.run("key", "import", f"{installation.directory}/other", expect=WRONG_KEY)
        # A passphrase does the same as the paper, and says so where the key is missing.
        passphrase = self.passphraseFile(installation, "passphrase", "a passphrase")
        installation.run("key", "add", "--passphrase-file", passphrase)
        os.unlink(installation.keyFile)
        self.assertIn("--passphrase", installation.attempt("snapshots").errors)
        wrong = self.passphraseFile(installation, "wrong", "another")
        installation.run("key", "import", "--passphrase-file", wrong, expect=WRONG_KEY)
        installation.run("key", "import", "--passphrase-file", passphrase, printed, expect=USAGE)
        self.assertFalse(os.path.exists(installation.keyFile))
        installation.run("key", "import", "--passphrase-file", passphrase)
        self.assertEqual(os.stat(installation.keyFile).st_mode & 0o777, 0o600)
        self.assertFalse(installation.snapshot()["taken"])
        # An exported key is a kept key.
        installation.startDaemon()
        installation.waitForSnapshot(1)
        self.assertNotIn("key-not-kept", reasonCodes(installation.status()))


class ConfigTests(ContractTestCase):
    def testCheckAndShow(self):
        installation = self.protected(settings='[keep]\nhourly = 7\n[schedule]\nquiet = "90s"\ndeadline = "120s"\n')
        self.assertIn("right", installation.run("config", "check"))
        shown = installation.run("config", "show")
        for text in (installation.source, installation.repository, "hourly = 7", 'quiet = "90s"', 'deep = "xz:6"', "weekly = 52"):
            self.assertIn(text, shown)
        # What is shown can be used as a configuration, and shows the same again.
        write(f"{installation.directory}/shown.toml", shown)
        self.assertEqual(installation.run("config", "show", "--config", f"{installation.directory}/shown.toml"), shown)

    def testConfigurationElsewhere(self):
        installation = self.install(initialize=False)
        file = f"{installation.directory}/elsewhere/my.toml"
        installation.run("init", installation.source, "--repository", installation.repository, "--config", file)
        write(f"{installation.source}/file", "content")
        self.assertTrue(installation.run("snapshot", "--json", "--config", file)["taken"])
        self.assertTrue(os.path.exists(f"{installation.directory}/elsewhere/secret.key"))
        self.assertFalse(os.path.exists(installation.configurationFile))
        environment = {"AUTO_BACKUP_CONFIG": file}
        self.assertFalse(installation.run("snapshot", "--json", environment=environment)["taken"])
        self.assertEqual(installation.run("cat", f"{installation.source}/file", environment=environment), "content")

    def testStateAndRuntimeCanBeMoved(self):
        installation = self.protected()
        text = read(installation.configurationFile).decode()
        write(installation.configurationFile,
              f'state = "{installation.directory}/state"\nruntime = "{installation.directory}/runtime"\n' + text)
        installation.socketFile = f"{installation.directory}/runtime/control.sock"
        installation.startDaemon()
        status = installation.waitForSnapshot(1)
        self.assertEqual(status["latest_snapshot"]["number"], 1)
        self.assertTrue(os.path.exists(f"{installation.directory}/state/catalog.sqlite"))
        installation.run("status", expect=0)

    def testCatalogRebuild(self):
        installation = self.protected(settings=AT_ONCE)
        write(f"{installation.source}/document", "second")
        installation.snapshot()
        installation.run("tag", 2, "two")
        before = installation.snapshots(), installation.run("ls", "-R", "--json")
        self.assertIn("2 snapshots", installation.run("catalog", "rebuild"))
        self.assertEqual((installation.snapshots(), installation.run("ls", "-R", "--json")), before)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertIn("2 snapshots", installation.run("catalog", "rebuild"))
        self.assertEqual((installation.snapshots(), installation.run("ls", "-R", "--json")), before)
        write(f"{installation.source}/document", "third")
        installation.waitForSnapshot(3)
        self.assertEqual(installation.run("cat", f"{installation.source}/document"), "third")


def isAlive(process):
    """False also for a process that has ended and was not yet waited for by its parent."""
    try:
        return read(f"/proc/{process}/stat").rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except FileNotFoundError:
        return False


class DaemonTests(ContractTestCase):
    def testStartStopRestartReload(self):
        installation = self.protected()
        self.assertIn("started", installation.run("start"))
        first = installation.status()["daemon"]["pid"]
        self.assertIn("already", installation.run("start"))
        self.assertEqual(installation.status()["daemon"]["pid"], first)
        for _ in range(2):
            installation.run("reload")
        self.assertEqual(installation.status()["daemon"]["pid"], first)
        installation.run("restart")
        second = installation.status()["daemon"]["pid"]
        self.assertNotEqual(second, first)
        installation.run("stop")
        self.assertFalse(installation.answers())
        # The daemon's lock is free, which is what `stop` waits for; the process has nothing more to do.
        installation.waitUntil(lambda: not isAlive(second), "the end of the process", timeout=10)
        self.assertIn("no daemon", installation.run("stop"))
        installation.run("restart")
        self.assertTrue(installation.answers())
        installation.run("stop")
        # Nothing of this is a reason for a snapshot.
        self.assertEqual(installation.numbers(), [1])

    def testSecondDaemonOfTheSameInstallationEndsAtOnce(self):
        installation = self.running()
        began = time.monotonic()
        done = subprocess.run([installation.watchd], env=installation.environment, cwd=installation.directory, timeout=PATIENCE,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, LOCKED, done)
        self.assertIn(str(installation.daemon.pid).encode(), done.stderr)
        self.assertLess(time.monotonic() - began, 10)
        code, status = installation.request("GET", "/v1/status")
        self.assertEqual((code, status["daemon"]["pid"]), (200, installation.daemon.pid))

    def testEndsCleanlyOnASignal(self):
        for ending in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(ending):
                installation = self.protected(settings=AT_ONCE)
                installation.startDaemon()
                installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
                # In the midst of a snapshot that takes a while.
                for index in range(40):
                    write(f"{installation.source}/large{index}", os.urandom(1 << 20))
                installation.waitForStatus(lambda status: status["activity"]["state"] == "snapshotting", "a snapshot")
                began = time.monotonic()
                installation.daemon.send_signal(ending)
                self.assertEqual(installation.daemon.wait(PATIENCE), DONE, installation.logTail())
                self.assertLess(time.monotonic() - began, 20)
                self.assertEqual([name for name in installation.archives() if not name.endswith(".enc")], [])
                self.assertFalse(os.path.exists(installation.socketFile))
                self.assertFalse(json.loads(read(f"{installation.state}/status.json"))["daemon"]["running"])
                self.assertEqual([name for name in os.listdir(installation.state) if "tmp" in name], [])
                cookies = f"{installation.state}/cookies"
                self.assertEqual(os.listdir(cookies) if os.path.exists(cookies) else [], [])
                installation.run("verify", "--data")
                installation.snapshot()
                target = f"{installation.directory}/all"
                installation.restore("latest", target)
                self.assertSameTree(fingerprint(installation.source), installation.restored(target))
                installation.close()

    def testTheSocketSpeaksHTTP(self):
        installation = self.running()
        code, status = installation.request("GET", "/v1/status")
        self.assertEqual((code, status["schema"], status["verdict"]), (200, 1, "protected"))
        write(f"{installation.source}/document", "second")
        code, response = installation.request("POST", "/v1/snapshots", {"full": True})
        self.assertEqual((code, response["kind"]), (200, "full"))
        self.assertEqual(installation.request("POST", "/v1/pause", {"seconds": 60})[0], 200)
        self.assertIn("paused", reasonCodes(installation.waitForStatus(lambda status: "paused" in reasonCodes(status), "the pause")))
        self.assertEqual(installation.request("POST", "/v1/resume")[0], 200)
        self.assertEqual(installation.request("POST", "/v1/verify", {"depth": "data", "share": 1})[1]["findings"], [])
        self.assertEqual(installation.request("POST", "/v1/rotate", {"dry_run": True})[0], 200)
        self.assertEqual(installation.request("POST", "/v1/reload")[0], 200)
        # What a request leaves out has its preset.
        self.assertEqual(installation.request("POST", "/v1/snapshots", {})[0], 200)
        self.assertEqual(installation.request("POST", "/v1/rotate", {})[0], 200)
        self.assertEqual(installation.request("POST", "/v1/verify", {"depth": "digests"})[0], 200)

    @unittest.skipUnless(shutil.which("curl"), "needs curl")
    def testCurl(self):
        installation = self.running()
        done = subprocess.run(["curl", "--silent", "--fail", "--unix-socket", installation.socketFile, "http://localhost/v1/status"],
                              stdout=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0)
        self.assertForm(STATUS, json.loads(done.stdout))
        done = subprocess.run(["curl", "--silent", "--fail", "--unix-socket", installation.socketFile, "-X", "POST",
                               "http://localhost/v1/snapshots"], stdout=subprocess.PIPE, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0)
        self.assertForm(SNAPSHOT, json.loads(done.stdout))

    def testTellsTheServiceManager(self):
        installation = self.protected()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(PATIENCE)
            manager.bind(f"{installation.directory}/notify")
            installation.environment["NOTIFY_SOCKET"] = f"{installation.directory}/notify"
            installation.startDaemon()
            # What it is at may be told before.
            received = []
            while b"READY=1" not in received:
                received += manager.recv(4096).split(b"\n")
            # Ready means: it can be asked.
            self.assertEqual(installation.request("GET", "/v1/status")[0], 200)
            installation.stopDaemon()
            manager.settimeout(5)
            received = []
            while b"STOPPING=1" not in received:
                received += manager.recv(4096).split(b"\n")

    def testPathsStayOutOfTheLog(self):
        installation = self.running()
        write(f"{installation.source}/private-name", "content")
        installation.waitForSnapshot(2)
        installation.run("snapshot", "--full")
        installation.stopDaemon()
        self.assertNotIn("private-name", installation.log())
        self.assertNotRegex(installation.log(), r"(?i)\berror\b")

    def testQuickstartIsAValidScript(self):
        for name in ("quickstart", "test", "packages"):
            done = subprocess.run(["bash", "-n", os.path.join(PROJECT, "Scripts", name)], stderr=subprocess.PIPE)
            self.assertEqual((done.returncode, done.stderr), (0, b""), name)


if __name__ == "__main__":
    unittest.main()

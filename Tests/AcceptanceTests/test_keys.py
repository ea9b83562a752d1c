#!/usr/bin/env python3
"""A new secret key: what it opens, what the old one does not open any more, and every point at which the change can stop.

While old archives are still under the old key, the newest key alone opens everything: with watchctl and with recover.py, here and
on another computer.
"""
import json
import os
import shutil
import subprocess
import sys
import unittest

from cryptography.fernet import Fernet

from installation import DONE, FAILED, RECOVER, WRONG_KEY, InstallationTestCase, fingerprint, read, reasonCodes, write


class KeyTestCase(InstallationTestCase):
    """An installation with two snapshots under its first key, and one after the change; `moments` is what they hold."""

    def protected(self, *arguments):
        installation = self.install(initialize=False)
        installation.run("init", installation.source, "--repository", installation.repository, "--quiet", *arguments)
        installation.configure("")
        self.moments = {}
        for number in (1, 2):
            self.snapshot(installation, number)
        return installation

    def snapshot(self, installation, number):
        """A daemon may have taken one of its own before it."""
        write(f"{installation.source}/document-{number}", f"text {number}")
        self.moments[installation.snapshot()["number"]] = fingerprint(installation.source)

    def passphrase(self, installation, name, text):
        write(f"{installation.directory}/{name}", text + "\n")
        return f"{installation.directory}/{name}"

    def description(self, installation):
        return json.loads(read(f"{installation.repository}/repository.json"))

    def waiting(self, installation):
        return installation.keyFile + ".new"

    def record(self, installation):
        return json.loads(read(f"{installation.state}/anchor.json"))

    def assertRestores(self, installation, source=None):
        """Every moment, with watchctl."""
        for number, expected in self.moments.items():
            target = f"{installation.directory}/restored-{number}"
            shutil.rmtree(target, ignore_errors=True)
            installation.restore(number, target)
            self.assertSameTree(expected, target + (source or installation.source), f"snapshot {number}")

    def recover(self, installation, *arguments):
        return subprocess.run([sys.executable, RECOVER, "--repository", installation.repository, *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)

    def assertRecovers(self, installation, *key):
        """Every moment, with recover.py."""
        for number, expected in self.moments.items():
            target = f"{installation.directory}/recovered-{number}"
            shutil.rmtree(target, ignore_errors=True)
            done = self.recover(installation, *key, "--snapshot", str(number), "--to", target)
            self.assertEqual((done.returncode, done.stderr), (DONE, ""), f"snapshot {number}")
            self.assertSameTree(expected, target + installation.source, f"snapshot {number}")

    def assertOldKeyIsRefused(self, done):
        self.assertEqual(done.status, WRONG_KEY, done)
        self.assertIn("an older key of this repository", done.errors)
        self.assertIn("import the newer one", done.errors)


class RotationOfTheKeyTests(KeyTestCase):
    def testWithoutPassphrase(self):
        for daemon in (False, True):
            with self.subTest(daemon=daemon):
                installation = self.protected()
                old = f"{installation.directory}/old.key"
                shutil.copy(installation.keyFile, old)
                if daemon:
                    installation.startDaemon()
                    installation.waitForStatus(lambda status: "key-not-kept" in reasonCodes(status), "a reminder")
                installation.run("key", "export")
                if daemon:
                    installation.waitForStatus(lambda status: "key-not-kept" not in reasonCodes(status), "the key counts as kept")
                said = installation.run("key", "rotate")
                for words in ("new key", installation.keyFile, "watchctl key export", "0 passphrase slots dropped", "in the background"):
                    self.assertIn(words, said)
                self.assertNotEqual(read(installation.keyFile), read(old))
                self.assertEqual(os.stat(installation.keyFile).st_mode & 0o777, 0o600)
                self.assertEqual(sorted(os.listdir(os.path.dirname(installation.keyFile))), ["config.toml", "secret.key"])
                keys = self.description(installation)["keys"]
                self.assertNotIn("wrapped", keys[-1])
                self.assertFalse(any(key["slots"] for key in keys))
                if daemon:
                    # What was printed is of the old key.
                    installation.waitForStatus(lambda status: "key-not-kept" in reasonCodes(status), "the new key is not kept")
                self.snapshot(installation, 3)
                self.assertRestores(installation)
                self.assertRecovers(installation, "--key", installation.keyFile)
                installation.run("verify", "--data")
                installation.run("key", "export")
                if daemon:
                    installation.stopDaemon()
                # And from the archives alone.
                installation.removeCatalog()
                self.assertRestores(installation)

    def testTheWrappedKeyIsAFernetTokenOfTheOldOne(self):
        installation = self.protected()
        old = read(installation.keyFile).strip()
        installation.run("key", "rotate")
        older, newest = self.description(installation)["keys"]
        self.assertEqual(Fernet(read(installation.keyFile).strip()).decrypt(older["wrapped"].encode()), old)
        self.assertEqual(newest["id"], 2)
        self.assertEqual(self.record(installation)["rekey_through"], 2)

    def testPassphrasesThatAreGivenStay(self):
        for daemon in (False, True):
            with self.subTest(daemon=daemon):
                installation = self.install(initialize=False)
                one = self.passphrase(installation, "one", "the first passphrase")
                two = self.passphrase(installation, "two", "the second passphrase")
                installation = self.protected("--passphrase-file", one)
                installation.run("key", "add", "--passphrase-file", two)
                if daemon:
                    installation.startDaemon()
                said = installation.run("key", "rotate", "--passphrase-file", two, "--passphrase-file", two)
                self.assertIn("2 passphrase slots dropped, 1 passphrase slot made", said)
                self.snapshot(installation, 3)
                slots = installation.run("key", "list", "--json")
                self.assertEqual(len(slots), 1)
                if daemon:
                    self.assertNotIn("key-not-kept", reasonCodes(installation.status()))
                    self.assertNotIn("second passphrase", installation.log())
                    installation.stopDaemon()
                self.assertRecovers(installation, "--passphrase-file", two)
                self.assertEqual(self.recover(installation, "--passphrase-file", one, "--list").returncode, WRONG_KEY)
                fresh = self.install(initialize=False)
                done = fresh.attempt("adopt", "--repository", installation.repository, "--passphrase-file", one)
                self.assertEqual(done.status, WRONG_KEY, done)
                fresh.run("adopt", "--repository", installation.repository, "--passphrase-file", two)
                self.assertRestores(fresh, installation.source)

    def testAnotherComputerNeedsTheNewKey(self):
        installation = self.protected()
        old = f"{installation.directory}/old.key"
        shutil.copy(installation.keyFile, old)
        installation.run("key", "rotate")
        self.snapshot(installation, 3)
        fresh = self.install(initialize=False)
        self.assertOldKeyIsRefused(fresh.attempt("adopt", "--repository", installation.repository, "--key-file", old))
        self.assertFalse(os.path.exists(fresh.configurationFile))
        self.assertFalse(os.path.exists(fresh.keyFile))
        # An older key that is left over in its place gives way: the newer one opens it.
        os.makedirs(os.path.dirname(fresh.keyFile), 0o700)
        shutil.copy(old, fresh.keyFile)
        fresh.run("adopt", "--repository", installation.repository, "--key-file", installation.keyFile)
        self.assertEqual(read(fresh.keyFile), read(installation.keyFile))
        self.assertRestores(fresh, installation.source)
        # Nobody knows here which archives are still under the old key: all that are there may be.
        self.assertGreaterEqual(self.record(fresh)["rekey_through"], 3)

    def testOldKeyAfterTheChange(self):
        installation = self.protected()
        old = read(installation.keyFile)
        installation.run("key", "rotate")
        self.snapshot(installation, 3)
        new = f"{installation.directory}/new.key"
        shutil.copy(installation.keyFile, new)
        write(installation.keyFile, old)
        for command in (["snapshot"], ["ls", installation.source], ["restore", "--to", f"{installation.directory}/r"], ["verify", "--data"],
                        ["key", "rotate"], ["key", "export"]):
            self.assertOldKeyIsRefused(installation.attempt(*command))
        write(f"{installation.directory}/old.key", old)
        self.assertOldKeyIsRefused(installation.attempt("key", "import", f"{installation.directory}/old.key"))
        self.assertEqual(read(installation.keyFile), old)
        # With recover.py it reads what it opens, and what it does not is named.
        done = self.recover(installation, "--key", f"{installation.directory}/old.key", "--snapshot", "2", "--to",
                            f"{installation.directory}/recovered")
        self.assertEqual(done.returncode, DONE, done.stderr)
        self.assertIn("key 2 is not at hand", done.stderr)
        self.assertIn("000000003-", done.stderr)
        self.assertSameTree(self.moments[2], f"{installation.directory}/recovered{installation.source}")
        installation.run("key", "import", new)
        self.assertRestores(installation)

    def testTwiceBeforeTheFirstIsFinished(self):
        installation = self.protected()
        exported = f"{installation.directory}/exported.enc"
        installation.run("export", exported)
        installation.run("key", "rotate")
        self.snapshot(installation, 3)
        installation.run("key", "rotate")
        self.snapshot(installation, 4)
        self.assertRestores(installation)
        self.assertRecovers(installation, "--key", installation.keyFile)
        self.assertEqual(len(self.description(installation)["keys"]), 3)
        # What was exported under the first key opens as well.
        installation.run("import", exported, "--to", f"{installation.directory}/imported")
        self.assertSameTree(self.moments[2], f"{installation.directory}/imported{installation.source}")
        self.assertEqual(self.record(installation)["rekey_through"], 3)

    def testOnePassphraseHasOneSlot(self):
        """With two of them, removing one would not take the passphrase away."""
        installation = self.protected()
        passphrase = self.passphrase(installation, "passphrase", "correct horse")
        installation.run("key", "add", "--passphrase-file", passphrase)
        refused = installation.attempt("key", "add", "--passphrase-file", passphrase)
        self.assertEqual((refused.status, "slot 1" in refused.errors), (FAILED, True), refused)
        self.assertEqual(len(installation.run("key", "list", "--json")), 1)

    def testWrongUseChangesNothing(self):
        installation = self.protected()
        before = read(installation.keyFile), read(f"{installation.repository}/repository.json")
        empty = self.passphrase(installation, "empty", "")
        for arguments in (["--passphrase-file", empty], ["--passphrase-file", f"{installation.directory}/nowhere"], ["--passphrase"]):
            self.assertEqual(installation.attempt("key", "rotate", *arguments).status, FAILED, arguments)
        self.assertEqual((read(installation.keyFile), read(f"{installation.repository}/repository.json")), before)
        self.assertFalse(os.path.exists(self.waiting(installation)))


class InterruptedRotationTests(KeyTestCase):
    """The files as a crash at each point leaves them."""

    def setUp(self):
        self.installation = self.protected()
        self.old = read(self.installation.keyFile)
        self.before = read(f"{self.installation.repository}/repository.json")
        self.anchor = read(f"{self.installation.state}/anchor.json")
        self.installation.run("key", "rotate")
        self.new = read(self.installation.keyFile)

    def keep(self, text):
        """The new key waits."""
        write(self.waiting(self.installation), text)
        os.chmod(self.waiting(self.installation), 0o600)

    def testBeforeTheRepositoryKnows(self):
        write(f"{self.installation.repository}/repository.json", self.before)
        write(self.installation.keyFile, self.old)
        write(f"{self.installation.state}/anchor.json", self.anchor)
        self.keep(self.new)
        self.snapshot(self.installation, 3)
        self.assertRestores(self.installation)
        self.assertEqual(read(self.installation.keyFile), self.old)
        self.assertEqual(read(self.waiting(self.installation)), self.new)
        # The next change removes what nobody needs.
        self.installation.run("key", "rotate")
        self.assertFalse(os.path.exists(self.waiting(self.installation)))
        self.assertNotIn(read(self.installation.keyFile), (self.old, self.new))
        self.snapshot(self.installation, 4)
        self.assertRestores(self.installation)

    def testBeforeTheKeyFileIsReplaced(self):
        for command in (["snapshot"], ["ls", self.installation.source], ["key", "rotate"]):
            with self.subTest(command=command):
                new = read(self.installation.keyFile)
                write(self.installation.keyFile, self.old)
                self.keep(new)
                self.installation.run(*command)
                self.assertFalse(os.path.exists(self.waiting(self.installation)))
                self.assertEqual(read(self.installation.keyFile) == new, command != ["key", "rotate"])
                self.assertRestores(self.installation)

    def testBeforeItIsRemembered(self):
        write(f"{self.installation.state}/anchor.json", self.anchor)
        self.snapshot(self.installation, 3)
        # Found out at the next opening: archives up to then may be under the old key.
        self.assertEqual(self.record(self.installation)["rekey_through"], 2)
        self.assertRestores(self.installation)

    def testAnOlderMemoryIsNotBelieved(self):
        self.snapshot(self.installation, 3)
        memory = read(f"{self.installation.state}/anchor.json")
        self.installation.run("key", "rotate")
        write(f"{self.installation.state}/anchor.json", memory)
        self.snapshot(self.installation, 4)
        self.assertEqual(self.record(self.installation)["rekey_through"], 3)

    def testAWaitingKeyThatMayBeTheOnlyCopyStays(self):
        """The repository knows the key, and its wrapped copy is damaged."""
        description = self.description(self.installation)
        description["keys"][0]["wrapped"] = "gAAA"
        write(f"{self.installation.repository}/repository.json", json.dumps(description))
        self.keep(self.old)
        done = self.installation.attempt("key", "rotate")
        self.assertEqual(done.status, FAILED, done)
        self.assertIn(self.waiting(self.installation), done.errors)
        self.assertEqual(read(self.waiting(self.installation)), self.old)
        self.assertEqual(read(self.installation.keyFile), self.new)

    def testSomethingElseThatStandsThere(self):
        self.keep("a letter\n")
        done = self.installation.attempt("key", "rotate")
        self.assertNotEqual(done.status, DONE)
        self.assertIn(self.waiting(self.installation), done.errors)
        self.assertEqual(read(self.installation.keyFile), self.new)
        self.snapshot(self.installation, 3)
        self.assertEqual(read(self.waiting(self.installation)), b"a letter\n")

    def testADaemonMendsItAtItsStart(self):
        write(self.installation.keyFile, self.old)
        self.keep(self.new)
        self.installation.startDaemon()
        self.installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        self.assertEqual(read(self.installation.keyFile), self.new)
        self.assertFalse(os.path.exists(self.waiting(self.installation)))
        self.snapshot(self.installation, 3)
        self.installation.stopDaemon()
        self.assertRestores(self.installation)


if __name__ == "__main__":
    unittest.main()

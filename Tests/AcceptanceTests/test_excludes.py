"""Excludes: which rule decides on a path, what a change of rules takes away, and rules that leave nothing.

In:  configurations with rules of every kind.  Out: what `explain`, `config check`, `reload` and `status` say.
"""
import os
import re
import time
import unittest

from installation import (AT_ONCE, InstallationTestCase, reasonCodes, write)

RULES = """
[exclude]
patterns = [
    "*.tmp",      # a comment with "quotes" and ]
    'out/', "!kept.tmp",
    "/deep/**/x",
]
defaults = true
ignore_files = [".backupignore"]
larger_than = "1KiB"
"""


class ExplainTests(InstallationTestCase):
    def line(self, installation, text):
        with open(installation.configurationFile) as file:
            return next(number for number, line in enumerate(file, 1) if text in line)

    def testTheRuleItsFileAndItsLine(self):
        installation = self.install(settings=RULES)
        source = installation.source
        for name in ("a.tmp", "kept.tmp", "out/deep/file", "file", "deep/a/b/x", "folder/ignored", "cache/content"):
            write(f"{source}/{name}", "1")
        write(f"{source}/folder/.backupignore", "# nothing here\n/ignored\n")
        write(f"{source}/cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
        write(f"{source}/large", b"x" * 1025)
        installation.snapshot()
        configuration = installation.configurationFile
        expected = {
            "a.tmp": (False, "pattern", "a.tmp", "*.tmp", configuration, self.line(installation, '"*.tmp"')),
            "kept.tmp": (True, "included", "kept.tmp", "!kept.tmp", configuration, self.line(installation, "kept.tmp")),
            "out/deep/file": (False, "pattern", "out", "out/", configuration, self.line(installation, "out/")),
            "deep/a/b/x": (False, "pattern", "deep/a/b/x", "/deep/**/x", configuration, self.line(installation, "/deep")),
            "folder/ignored": (False, "ignore-file", "folder/ignored", "/ignored", f"{source}/folder/.backupignore", 2),
            "cache/content": (False, "cache-directory", "cache/content", f"{source}/cache"[1:], None, None),
            "large": (False, "size", "large", "1024", configuration, self.line(installation, "larger_than")),
        }
        for name, (saved, reason, place, text, file, line) in expected.items():
            report = installation.run("explain", f"{source}/{name}", "--json")
            self.assertEqual((report["backed_up"], report["reason"], report["place"]), (saved, reason, f"{source}/{place}"), name)
            self.assertEqual(report["rule"], {"text": text, "file": file, "line": line}, name)
            self.assertEqual(report["live"], "same" if saved else "new")
            # It says what the snapshot does.
            self.assertEqual(installation.attempt("cat", f"{source}/{name}").status, 0 if saved else 1, name)
        text = installation.run("explain", "out/deep/file", cwd=source)
        self.assertIn(f"{source}/out/deep/file is not backed up: {source}/out is left out by the pattern \"out/\"", text)
        self.assertIn(f"{configuration}, line {self.line(installation, 'out/')}", text)
        self.assertIn("never, as far as the kept snapshots show", text)
        # What does not exist, too.
        self.assertEqual(installation.run("explain", f"{source}/new/out/", "--json")["reason"], "pattern")
        self.assertEqual(installation.run("explain", f"{source}/new/out", "--json")["reason"], "included")
        self.assertEqual(installation.run("explain", "/etc/hostname", "--json")["reason"], "outside")
        self.assertEqual(installation.run("explain", "/", "--json")["reason"], "above-sources")
        self.assertEqual(installation.run("explain", installation.source, "--json")["reason"], "source")

    def testWhenItWasSavedAndWhatDiffersNow(self):
        installation = self.install()
        file = f"{installation.source}/file"
        write(file, "one")
        write(f"{installation.source}/gone", "x")
        installation.snapshot()
        os.unlink(f"{installation.source}/gone")
        time.sleep(0.1)
        installation.snapshot()
        report = installation.run("explain", file, "--json")
        times = {snapshot["number"]: snapshot["time"] for snapshot in installation.snapshots()}
        self.assertEqual(report["latest"], {"first_snapshot": 1, "last_snapshot": 2, "time": times[1], "until": None})
        self.assertEqual((report["live"], report["changed"], report["versions"]), ("same", [], 1))
        write(file, "longer")
        os.chmod(file, 0o600)
        report = installation.run("explain", file, "--json")
        self.assertEqual((report["live"], report["changed"]), ("different", ["content", "mode", "mtime"]))
        self.assertIn("differs from the newest snapshot: content, mode, mtime", installation.run("explain", file))
        report = installation.run("explain", f"{installation.source}/gone", "--json")
        self.assertEqual((report["live"], report["latest"]["until"], report["backed_up"]), ("missing", times[2], True))
        self.assertIn("last in snapshot 1, unchanged since snapshot 1 (", installation.run("explain", f"{installation.source}/gone"))

    def testWithoutARepositoryTheRulesAreTold(self):
        installation = self.install(settings=RULES)
        write(f"{installation.source}/a.tmp", "1")
        os.rename(installation.repository, installation.repository + ".away")
        text = installation.run("explain", f"{installation.source}/a.tmp")
        self.assertIn("is left out by the pattern \"*.tmp\"", text)
        self.assertIn("Saved   unknown: ", text)


class ChangedRulesTests(InstallationTestCase):
    NEW = '[exclude]\ndefaults = false\npatterns = ["*.iso", "many/"]\n'

    def saved(self, settings=""):
        installation = self.install(settings=settings)
        write(f"{installation.source}/big.iso", b"x" * 5000)
        for number in range(12):
            write(f"{installation.source}/many/{number}", "1")
        write(f"{installation.source}/stays", "1")
        installation.snapshot()
        return installation

    def check(self, installation, text):
        """Both trees with what they hold, the larger one first."""
        source = installation.source
        self.assertIn("leaves out what snapshot 1 has (14 entries, 4.89 KiB); earlier snapshots keep it:", text)
        self.assertIn(f"  {source}/big.iso (1 entry, 4.88 KiB) is left out by the pattern \"*.iso\"\n"
                      f"  {source}/many/ (13 entries, 12 B) is left out by the pattern \"many/\"", text)
        self.assertNotIn("nothing is left", text)

    def testConfigCheckSaysWhatTheRulesTakeAway(self):
        installation = self.saved()
        self.assertNotIn("leaves out", installation.run("config", "check"))
        installation.configure(self.NEW)
        self.check(installation, installation.run("config", "check"))
        self.assertEqual(installation.run("config", "check", "--quiet"), "")
        installation.snapshot()
        self.assertNotIn("leaves out", installation.run("config", "check"))
        self.assertTrue(installation.run("ls", f"{installation.source}/many", "--at", 1))
        installation.configure('[exclude]\ndefaults = false\npatterns = ["*"]\n')
        self.assertIn("nothing is left to back up", installation.run("config", "check"))

    def testASourceThatIsTakenOut(self):
        installation = self.install(sources=("source", "other"))
        write(f"{installation.sources[1]}/file", "123")
        installation.snapshot()
        with open(installation.configurationFile) as file:
            text = re.sub("^sources = .*$", f'sources = ["{installation.source}"]', file.read(), flags=re.MULTILINE)
        with open(installation.configurationFile, "w") as file:
            file.write(text)
        self.assertIn(f"{installation.sources[1]}/ (2 entries, 3 B) is in no source any more", installation.run("config", "check"))

    def testReloadSaysItAndComparesEverything(self):
        installation = self.saved(settings=AT_ONCE)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        # Only what the rules take away is in the answer: the first start may have added a snapshot.
        installation.configure(AT_ONCE + self.NEW)
        text = installation.run("reload")
        self.assertIn("the configuration was reloaded\nthe next snapshot leaves out what snapshot ", text)
        self.assertIn(f"  {installation.source}/many/ (13 entries, 12 B) is left out by the pattern \"many/\"", text)
        self.assertIn("entries=14", installation.log())
        self.assertNotIn("big.iso", installation.log())
        number = installation.waitForSnapshot(2)["latest_snapshot"]["number"]
        self.assertEqual(installation.run("ls", installation.source, "--at", number), "stays\n")

    def testRulesThatLeaveNothing(self):
        installation = self.saved(settings=AT_ONCE)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        installation.configure(AT_ONCE + '[exclude]\npatterns = ["*"]\n')
        self.assertIn("nothing is left to back up", installation.run("reload"))
        status = installation.waitForStatus(lambda status: "nothing-to-back-up" in reasonCodes(status), "the reason")
        self.assertEqual(status["verdict"], "unprotected")
        # As soon as something is backed up it is gone, and so it is with rules that leave something.
        installation.configure(AT_ONCE + '[exclude]\npatterns = ["*.iso"]\n')
        installation.run("reload")
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")

    def testAnEmptySourceIsNobodysMistake(self):
        installation = self.install(settings=AT_ONCE)
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")


if __name__ == "__main__":
    unittest.main()

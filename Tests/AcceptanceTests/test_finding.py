"""Finding and getting back: by a part of a name, by what changed, by a moment in words; what is not there is said with where it was.

In:  files that come, change and go over a few snapshots.  Out: what `find`, `diff` and `restore` answer.
"""
import base64
import os
import signal
import subprocess
import time
import unittest

from installation import (FAILED, PARTIAL, USAGE, InstallationTestCase, read, write)


class FindingTestCase(InstallationTestCase):
    def history(self):
        """Snapshot 1: notes and two letters; 2: a letter is gone, notes differ, a link is new; 3: notes are a directory, a mode differs."""
        installation = self.install()
        source = installation.source
        write(f"{source}/notes.txt", "one")
        write(f"{source}/letters/first.txt", "1")
        write(f"{source}/letters/second.odt", "2")
        write(os.fsencode(source) + b"/letters/caf\xe9.txt", "3")
        installation.snapshot()
        # Past the time in which a file's time cannot tell whether it was written again.
        time.sleep(0.1)
        os.unlink(f"{source}/letters/first.txt")
        write(f"{source}/notes.txt", "otherwise")
        os.symlink("nowhere", f"{source}/link")
        installation.snapshot()
        os.unlink(f"{source}/notes.txt")
        write(f"{source}/notes.txt/inner", "x")
        os.chmod(f"{source}/letters/second.odt", 0o600)
        installation.snapshot()
        return installation


class FindTests(FindingTestCase):
    def found(self, installation, *arguments):
        """Paths below the source, in the order in which they come."""
        lines = installation.run("find", *arguments).splitlines()
        return [line.removeprefix(installation.source + "/") for line in lines]

    def testNamesAndPaths(self):
        installation = self.history()
        source = installation.source
        self.assertEqual(self.found(installation, "*.txt"), ["letters/caf\\xe9.txt", "notes.txt"])
        self.assertEqual(self.found(installation, "*.txt", "--at", 1), ["letters/caf\\xe9.txt", "letters/first.txt", "notes.txt"])
        self.assertEqual(self.found(installation, "letters/*.[a-o]*"), ["letters/second.odt"])
        self.assertEqual(self.found(installation, f"{source}/**/inner"), ["notes.txt/inner"])
        self.assertEqual(self.found(installation, "notes*/"), ["notes.txt"])
        self.assertEqual(self.found(installation, "*", f"{source}/letters"), ["letters/caf\\xe9.txt", "letters/second.odt"])
        elements = installation.run("find", "*.txt", "--at", 2, "--json")
        self.assertEqual([base64.b64decode(elements[0]["path_base64"]), elements[1]["path"]],
                         [os.fsencode(source) + b"/letters/caf\xe9.txt", f"{source}/notes.txt"])
        self.assertEqual(elements, [item for item in installation.run("ls", "-R", "/", "--at", 2, "--json") if item["path"].endswith(".txt")])

    def testEverywhereThatItEverWas(self):
        installation = self.history()
        lines = [line.split("  ") for line in self.found(installation, "--all", "first.*")]
        self.assertEqual([(line[1].strip(), line[-1]) for line in lines], [("1", f"{installation.source}/letters/first.txt")])
        # The path was the same one all the time, whatever stood there.
        lines = self.found(installation, "--all", "notes.txt")
        self.assertEqual([line.split()[2] for line in lines], ["1…3"])
        write(f"{installation.source}/letters/first.txt", "again")
        installation.snapshot()
        self.assertEqual([line.split()[2] for line in self.found(installation, "--all", "first.txt")], ["1", "4"])
        self.assertEqual(installation.run("find", "--all", "first.txt", "--json"),
                         installation.run("history", f"{installation.source}/letters/first.txt", "--json"))

    def testNothingFoundSaysWhatElseToTry(self):
        installation = self.history()
        done = installation.attempt("find", "otes")
        self.assertEqual((done.status, done.output), (FAILED, b""))
        self.assertIn("nothing in snapshot 3 matches \"otes\"; --all looks in all of them; a part of a name: '*otes*'", done.errors)
        self.assertEqual(installation.attempt("find", "--all", "absent", "--json").output, b"")
        done = installation.attempt("find", "[a")
        self.assertEqual(done.status, USAGE)
        self.assertIn("\"[a\" is no pattern", done.errors)
        self.assertEqual(installation.attempt("find", "x", "--all", "--at", "1").status, USAGE)

    def testAReaderThatGoesAwayIsNoFailure(self):
        installation = self.install()
        for number in range(300):
            write(f"{installation.source}/{number:0200}", "")
        installation.snapshot()
        piped = subprocess.run(["sh", "-c", f"{installation.watchctl} find '*0*' | head -1"], env=installation.environment,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual((piped.returncode, len(piped.stdout.splitlines()), piped.stderr), (0, 1, b""))


class DiffTests(FindingTestCase):
    def changes(self, installation, *arguments, **more):
        lines = installation.run("diff", *arguments, **more).splitlines()
        self.assertTrue(all(line[1:3] == " /" for line in lines), lines)
        return [(line[0], line[2:].removeprefix(installation.source + "/")) for line in lines]

    def testTwoMoments(self):
        installation = self.history()
        first = [("D", "letters/first.txt"), ("A", "link"), ("M", "notes.txt")]
        second = [("M", "letters/second.odt"), ("T", "notes.txt"), ("A", "notes.txt/inner")]
        self.assertEqual(self.changes(installation, 1, 2), first)
        self.assertEqual(self.changes(installation, 2, "latest"), second)
        self.assertEqual(self.changes(installation, 2, 1), [("A", "letters/first.txt"), ("D", "link"), ("M", "notes.txt")])
        self.assertEqual(self.changes(installation, 1, 3), [first[0], second[0], first[1]] + second[1:])
        self.assertEqual(self.changes(installation, 3, 3), [])
        self.assertEqual(self.changes(installation, 1, 3, "--path", "source/letters", cwd=installation.home), [first[0], second[0]])
        report = installation.run("diff", 1, 3, "--json")
        self.assertEqual((report["from"], report["to"], report["problems"]), (1, 3, []))
        self.assertEqual([change["changed"] for change in report["changes"]], [[], ["mode"], [], ["type"], []])

    def testAMomentAndTheFilesAsTheyAre(self):
        installation = self.history()
        source = installation.source
        self.assertEqual(self.changes(installation, 3), [])
        time.sleep(0.1)
        # Back to what it was: nothing differs from the second moment, and its mode does from the third.
        os.chmod(f"{source}/letters/second.odt", 0o644)
        write(f"{source}/letters/first.txt", "1")
        os.rename(f"{source}/link", f"{source}/later")
        self.assertEqual(self.changes(installation, 3), [("A", "later"), ("A", "letters/first.txt"), ("M", "letters/second.odt"), ("D", "link")])
        self.assertEqual(self.changes(installation, 2),
                         [("A", "later"), ("A", "letters/first.txt"), ("D", "link"), ("T", "notes.txt"), ("A", "notes.txt/inner")])
        # The letter has another time than the first one.
        self.assertEqual(self.changes(installation, 1, "--path", f"{source}/letters"), [("M", "letters/first.txt")])
        self.assertEqual(installation.run("diff", 1, "--path", f"{source}/later", "--json")["to"], None)
        self.assertEqual(installation.numbers(), [1, 2, 3])

    def testWhatCannotBeLookedAtIsSaid(self):
        installation = self.history()
        os.rename(installation.source, installation.source + ".away")
        done = installation.attempt("diff", 3)
        os.rename(installation.source + ".away", installation.source)
        self.assertEqual((done.status, done.output), (PARTIAL, b""))
        self.assertIn(f"{installation.source}: is missing; its last known content is taken for it", done.errors)

    def testWrongMomentsAndPaths(self):
        installation = self.history()
        self.assertEqual(installation.attempt("diff", "whenever").status, USAGE)
        self.assertEqual(installation.attempt("diff", "1", "17").status, FAILED)
        done = installation.attempt("diff", "1", "2", "--path", f"{installation.source}/absent")
        self.assertEqual(done.status, FAILED)
        self.assertIn("absent is not in snapshot 1, nor in any other", done.errors)


class RestoringByHandTests(FindingTestCase):
    def testAFileOfAnHourAgoIsOneShortCommand(self):
        installation = self.history()
        folder = f"{installation.source}/letters"
        done = installation.attempt("restore", "--at", "0s", "second.odt", cwd=folder)
        self.assertEqual((done.status, done.errors), (0, ""))
        self.assertIn("from snapshot 3 (", done.output.decode())
        self.assertEqual(read(f"{folder}/restored-3/second.odt"), b"2")

    def testWhatIsNotThereIsSaidWithTheCommandThatGetsIt(self):
        installation = self.history()
        lost = f"{installation.source}/letters/first.txt"
        for command in ("restore", "cat", "ls"):
            done = installation.attempt(command, lost)
            self.assertEqual(done.status, FAILED)
            self.assertIn(f"{lost} is not in snapshot 3; it was last in snapshot 1 (", done.errors)
            hint = done.errors.strip().split("): watchctl ")[1]
            self.assertEqual(hint, f"{command} --at 1 {lost}")
        # The command does what it says, through a shell.
        shell = subprocess.run(["sh", "-c", f"{installation.watchctl} {hint.replace('ls', 'cat', 1)}"], env=installation.environment,
                               stdout=subprocess.PIPE, timeout=60)
        self.assertEqual(shell.stdout, b"1")
        self.assertIn("it came with snapshot 2 (", installation.attempt("cat", f"{installation.source}/link", "--at", 1).errors)
        self.assertIn("nor in any other; why: watchctl explain", installation.attempt("cat", f"{installation.source}/never").errors)
        self.assertIn("the oldest is 1, of ", installation.attempt("ls", "/", "--at", "1999-12-31").errors)

    def testTheCommandHoldsForNamesOfAnyBytes(self):
        installation = self.install()
        for name in (b"a b", b"it's", b"caf\xe9", b"tab\there", b"$HOME `x` \\x"):
            path = os.fsencode(installation.source) + b"/" + name
            write(path, name)
        installation.snapshot()
        for name in os.listdir(os.fsencode(installation.source)):
            os.unlink(os.fsencode(installation.source) + b"/" + name)
        installation.snapshot()
        for name in (b"a b", b"it's", b"caf\xe9", b"tab\there", b"$HOME `x` \\x"):
            errors = installation.attempt("cat", os.fsencode(installation.source) + b"/" + name).errors
            hint = errors.strip().split("): watchctl ")[1]
            shell = subprocess.run(["bash", "-c", f"{installation.watchctl} {hint}"], env=installation.environment, stdout=subprocess.PIPE, timeout=60)
            self.assertEqual(shell.stdout, name, hint)

    def testOnlyWhatPatternsInclude(self):
        installation = self.history()
        os.chmod(f"{installation.source}/letters", 0o750)
        installation.snapshot()
        target = f"{installation.directory}/target"

        def restored(*arguments):
            installation.run("restore", installation.source, "--at", "latest", "--to", target, *arguments)
            found = sorted(os.path.relpath(os.path.join(folder, name), target) for folder, below, files in os.walk(target) for name in files + below)
            mode = os.stat(f"{target}/source/letters").st_mode & 0o777 if os.path.exists(f"{target}/source/letters") else None
            subprocess.run(["rm", "-r", target], check=True)
            return found, mode

        self.assertEqual(restored("--include", "*.odt"), (["source", "source/letters", "source/letters/second.odt"], 0o750))
        self.assertEqual(restored("--include", "notes*"), (["source", "source/notes.txt", "source/notes.txt/inner"], None))
        self.assertEqual(restored("--exclude", "letters/"), (["source", "source/link", "source/notes.txt", "source/notes.txt/inner"], None))
        self.assertEqual(restored("--include", "letters", "--exclude", "*.txt"), (["source", "source/letters", "source/letters/second.odt"], 0o750))
        done = installation.attempt("restore", installation.source, "--include", "*.absent", "--to", target)
        self.assertEqual(done.status, FAILED)
        self.assertIn("nothing was restored: no path in snapshot 4 passes the patterns", done.errors)
        self.assertEqual(installation.attempt("restore", "--include", "[").status, USAGE)

    def testATargetThatCannotBeMadeIsNamed(self):
        installation = self.history()
        write(f"{installation.directory}/file", b"")
        target = f"{installation.directory}/file/target"
        done = installation.attempt("restore", installation.source, "--to", target)
        self.assertEqual(done.status, FAILED)
        self.assertIn(f"nothing can be restored into {target}: Not a directory", done.errors)

    def testARestoreThatIsEndedSaysHowFarItCame(self):
        installation = self.install()
        for number in range(2000):
            write(f"{installation.source}/{number // 100}/{number}", b"%d" % number)
        installation.snapshot()
        target = f"{installation.directory}/target"
        # The times of each file take 10 ms to be set: it is not over before the first of them are seen.
        slow = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=utimensat", "-e", "inject=utimensat:delay_enter=10000"]
        # A shell starts what runs in its background with SIGINT ignored, and so would be what the tests start there.
        command = subprocess.Popen([*slow, *installation.command("restore", "--to", target)], env=installation.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        place = target + installation.source
        installation.waitUntil(lambda: os.path.exists(place) and os.listdir(place), "the first files")
        with open(f"/proc/{command.pid}/task/{command.pid}/children") as children:
            os.kill(int(children.read()), signal.SIGINT)
        output, errors = command.communicate(timeout=60)
        self.assertEqual(command.returncode, 130, errors)
        self.assertRegex(output.decode(), r"^restored [0-9,]+ files?, .* from snapshot 1 ")
        self.assertIn("the restore was cancelled", errors.decode())

    def testMomentsInWords(self):
        installation = self.history()
        weekday = time.strftime("%A", time.gmtime()).lower()
        for words in ("0s", "now", "today", "today 23:59", time.strftime("%H:%M", time.gmtime()), weekday, "0 minutes ago"):
            self.assertTrue(installation.run("ls", installation.source, "--at", words), words)
        for words in ("a year ago", "2 hours ago", "yesterday 14:00", "1h30m", "3 months"):
            self.assertIn("there is no snapshot at or before", installation.attempt("ls", "/", "--at", words).errors, words)


if __name__ == "__main__":
    unittest.main()

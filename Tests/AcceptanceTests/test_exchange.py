#!/usr/bin/env python3
"""Single files that other programs open: Fernet tokens with Python's cryptography, tar and xz with tar and xz."""
import os
import shutil
import subprocess
import unittest

from cryptography.fernet import Fernet

from installation import LONG, ROOT, InstallationTestCase, fingerprint, read, seededRandom
from trees import makeEverything, noise, put, text

# tar has neither sockets nor, in the form that GNU tar reads by itself, holes.
NOT_IN_TAR = ("allocated",)


class ExchangeTests(InstallationTestCase):

    def begin(self, everything=True):
        random = seededRandom("exchange")
        self.installation = self.install()
        self.source = self.installation.source
        if everything:
            makeEverything(self.source, random)
        else:
            for number in range(5):
                put(os.path.join(self.source, f"{number}"), text(random, 5000 * number))
            put(os.path.join(self.source, "large"), noise(random, 2_500_000))
        self.installation.snapshot()
        self.expected = {path: item for path, item in fingerprint(self.source).items() if item.type != "socket"}

    def path(self, name):
        return os.path.join(self.installation.directory, name)

    def export(self, form, name):
        file = self.path(name)
        self.installation.run("export", "--format", form, file)
        return file

    def unpack(self, command, data, name):
        """Unpacks with a standard program."""
        target = self.path(name)
        os.mkdir(target)
        done = subprocess.run([*command, "-C", target, *["--same-owner"] * ROOT, "--xattrs", "--xattrs-include=*", "-p"],
                              input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace")[-2000:])
        return target + self.source

    def importInto(self, file, name, *arguments, expect=0):
        target = self.path(name)
        self.installation.run("import", file, "--to", target, *arguments, expect=expect)
        return target + self.source

    def withoutDeep(self, tree):
        """GNU tar makes no path that is longer than the system's limit."""
        return {path: item for path, item in tree.items() if len(path) < 3500 and not path.startswith(b"deep")}

    def testFernetOpensWithPython(self):
        self.begin(everything=False)
        token = read(self.export("fernet", "snapshot.enc"))
        packed = Fernet(read(self.installation.keyFile).strip()).decrypt(token)
        self.assertSameTree(self.expected, self.unpack(["tar", "-xJ"], packed, "out"), ignore=NOT_IN_TAR)

    def testTarAndXzOpenWithTar(self):
        self.begin(everything=False)
        self.assertSameTree(self.expected, self.unpack(["tar", "-xJ"], read(self.export("tar.xz", "s.tar.xz")), "xz"), ignore=NOT_IN_TAR)
        self.assertSameTree(self.expected, self.unpack(["tar", "-x"], read(self.export("tar", "s.tar")), "plain"), ignore=NOT_IN_TAR)

    def testEverythingThroughTar(self):
        """All that a file system holds, unpacked by GNU tar: what it can make is equal."""
        self.begin()
        file = self.export("tar", "s.tar")
        target = self.path("out")
        os.mkdir(target)
        done = subprocess.run(["tar", "-xf", file, "-C", target, "--xattrs", "--xattrs-include=*", "-p", "--exclude=*/deep/*"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr.decode(errors="replace")[-2000:])
        self.assertSameTree(self.withoutDeep(self.expected), self.withoutDeep(fingerprint(target + self.source)),
                            ignore=NOT_IN_TAR)

    def testImportOfEachFormat(self):
        self.begin()
        for form in ("fernet", "tar.xz", "tar"):
            with self.subTest(form):
                self.assertSameTree(self.expected, self.importInto(self.export(form, "s." + form), "out-" + form))

    def testImportNeedsNoRepository(self):
        """The file alone is enough, and the key for a token."""
        self.begin(everything=False)
        file = self.export("fernet", "s.enc")
        shutil.rmtree(self.installation.repository)
        self.installation.removeCatalog()
        self.assertSameTree(self.expected, self.importInto(file, "out"))

    def testImportOfWhatOthersMade(self):
        """A tar.xz of GNU tar, sealed by Python."""
        self.begin(everything=False)
        folder = self.path("made")
        shutil.copytree(self.source, os.path.join(folder, "tree"), symlinks=True)
        expected = fingerprint(os.path.join(folder, "tree"))
        packed = subprocess.run(["tar", "-cJ", "--format=pax", "-C", folder, "tree"], stdout=subprocess.PIPE, check=True).stdout
        file = self.path("foreign.enc")
        put(file, Fernet(read(self.installation.keyFile).strip()).encrypt(packed))
        self.installation.run("import", file, "--to", self.path("out"))
        self.assertSameTree(expected, os.path.join(self.path("out"), "tree"))

    def testADamagedTokenGivesNothing(self):
        self.begin(everything=False)
        token = bytearray(read(self.export("fernet", "s.enc")))
        for position in (0, 20, len(token) // 2, len(token) - 2):
            with self.subTest(position=position):
                damaged = bytearray(token)
                damaged[position] = ord("A") if damaged[position] != ord("A") else ord("B")
                put(self.path("damaged.enc"), bytes(damaged))
                done = self.installation.attempt("import", self.path("damaged.enc"), "--to", self.path("nothing"))
                self.assertNotIn(done.status, (0, 3), done.errors)
                self.assertFalse(os.path.exists(self.path("nothing")) and os.listdir(self.path("nothing")))
        put(self.path("short.enc"), bytes(token[:-4000]))
        self.assertNotIn(self.installation.attempt("import", self.path("short.enc"), "--to", self.path("nothing")).status, (0, 3))

    def testExportNeverReplacesAFile(self):
        self.begin(everything=False)
        put(self.path("there"), b"precious")
        self.assertEqual(self.installation.attempt("export", self.path("there")).status, 1)
        self.assertEqual(read(self.path("there")), b"precious")

    def testExportOfAnEarlierMoment(self):
        self.begin(everything=False)
        put(os.path.join(self.source, "large"), b"small now")
        os.unlink(os.path.join(self.source, "3"))
        self.installation.snapshot()
        file = self.path("s.tar")
        self.installation.run("export", "--at", 1, "--format", "tar", file)
        self.assertSameTree(self.expected, self.importInto(file, "out"))

    def testMemoryStaysBounded(self):
        """A token is authenticated before it is used, yet neither direction holds the file in memory."""
        self.begin(everything=False)
        size = 400 if LONG else 12
        put(os.path.join(self.source, "huge"), os.urandom(size << 20))
        self.installation.snapshot()
        before = fingerprint(self.source)
        file = self.path("s.enc")
        for arguments in (["export", "--format", "fernet", file], ["import", file, "--to", self.path("out")]):
            child = subprocess.Popen(self.installation.command(*arguments), env=self.installation.environment,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            errors = child.stderr.read()
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            child.stderr.close()
            self.assertEqual(child.returncode, 0, errors)
            if LONG:
                self.assertLess(usage.ru_maxrss, 300 << 10, "KiB resident")
        self.assertSameTree(before, self.path("out") + self.source)


if __name__ == "__main__":
    unittest.main()

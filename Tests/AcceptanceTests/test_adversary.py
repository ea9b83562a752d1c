#!/usr/bin/env python3
"""The threat model's lines that no other test stands for: whoever holds the repository, the target, the terminal, or this machine's memory.

In:  an installation and somebody who means harm, with what the threat model allows him.
Out: he is refused and noticed, and gets nothing; whatever is restored is right.
Each frame's binding, hostile paths and decompression bombs are vectors (test_vectors); rollback is in test_trouble, sockets too.
"""
import base64
import hashlib
import itertools
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import unittest

from faults import report
from installation import (AT_ONCE, DONE, FAILED, LONG, PARTIAL, PATIENCE, ROOT, InstallationTestCase, fingerprint, read, removeTree,
                          seededRandom, write)
from test_damage import DamageTestCase
from trees import noise


class ServerTests(DamageTestCase):
    """A server without the key, which gives archives names that fit their bytes."""

    def setUp(self):
        super().setUp()
        self.archives = f"{self.installation.repository}/archives"
        self.names = self.installation.archives()
        self.count = 0

    def put(self, name, data):
        """Bytes under the number, time and kind of `name`, with their own digest."""
        number, time, kind = name.split("-")[:3]
        path = f"{self.archives}/{number}-{time}-{kind}-{hashlib.sha256(data).hexdigest()}.enc"
        write(path, data)
        return path

    def each(self, what, harm, mayBeUnseen=False):
        """harm changes the repository. With the catalog, and without it."""
        for withCatalog in (True, False):
            self.case = f"{what}, {'with' if withCatalog else 'without'} a catalog"
            self.reset(self.installation.repository, self.installation.state)
            if not withCatalog:
                self.installation.removeCatalog()
            harm()
            if not mayBeUnseen:
                self.checkVerify()
            self.checkRestores()
            self.count += 1

    def tearDown(self):
        words = re.findall("[A-Z][a-z]*", self.id().rsplit(".", 1)[1])
        report("adversary", {f"server, {' '.join(words).lower()}": self.count})
        if self.problems:
            self.fail("\n".join(self.problems))

    def testExchangedNames(self):
        for one, other in itertools.combinations(self.names, 2):
            def exchange():
                first, second = read(f"{self.archives}/{one}"), read(f"{self.archives}/{other}")
                os.unlink(f"{self.archives}/{one}")
                os.unlink(f"{self.archives}/{other}")
                self.put(one, second)
                self.put(other, first)

            self.each(f"{one[:9]} and {other[:9]} exchanged", exchange)

    def testChangedBytesUnderAFittingName(self):
        """The digest in the name is no secret: what tells is the token's HMAC. Its time is in nothing else that is compared."""
        for name in self.names:
            size = os.path.getsize(f"{self.archives}/{name}")
            # Behind the header of 32 bytes: length, the token's version and time, IV, and ciphertext.
            for offset in [37, 44, 45, 62, *self.random.sample(range(32, size), 40 if LONG else 2)]:
                def change():
                    data = bytearray(read(f"{self.archives}/{name}"))
                    data[offset] ^= 1 << self.random.randrange(8)
                    os.unlink(f"{self.archives}/{name}")
                    self.put(name, bytes(data))

                self.each(f"byte {offset} of {name[:9]} changed", change)

    def testRepeated(self):
        """The same bytes again, above all others, so that they would win."""
        for name in self.names:
            self.each(f"{name[:9]} repeated", lambda: self.put(f"{len(self.names) + 1:09}" + name[9:], read(f"{self.archives}/{name}")))

    def testDropped(self):
        for name in self.names:
            # That the newest end is missing shows in snapshots; a record is no part of what a restore gives.
            self.each(f"{name[:9]} dropped", lambda: os.unlink(f"{self.archives}/{name}"), mayBeUnseen="-record-" in name)

    def testFromAnotherRepositoryOfTheSameKey(self):
        other = self.install(initialize=False)
        os.makedirs(os.path.dirname(other.keyFile), exist_ok=True)
        shutil.copy(self.installation.keyFile, other.keyFile)
        os.chmod(other.keyFile, 0o600)
        other.run("init", other.source, "--repository", other.repository, "--quiet")
        for text in ("foreign", "foreign too"):
            write(f"{other.source}/one", text)
            other.snapshot()
        other.run("pin", 1)
        foreign = other.archives()
        self.assertEqual([name.split("-")[2] for name in foreign], [name.split("-")[2] for name in self.names])
        for name, strange in zip(self.names, foreign):
            def harm():
                os.unlink(f"{self.archives}/{name}")
                self.put(name, read(f"{other.repository}/archives/{strange}"))

            self.each(f"{name[:9]} of another repository", harm)


class TargetTests(InstallationTestCase):
    """A restore into a directory where somebody else can write."""

    def begin(self):
        self.random = seededRandom(self.id().split(".", 1)[1])
        self.installation = installation = self.install()
        for folder in ("a", "a/b", "c"):
            for number in range(6):
                write(f"{installation.source}/{folder}/file {number}", noise(self.random, 3000))
        installation.snapshot()
        self.outside = f"{installation.directory}/outside"
        write(f"{self.outside}/precious", "precious")
        self.before = fingerprint(self.outside)
        self.target = f"{installation.directory}/target"

    def testEveryPathIsALinkToTheOutside(self):
        self.begin()
        paths = sorted(fingerprint(self.installation.source))[1:]
        count = 0
        for path in paths:
            for aim in (self.outside, f"{self.outside}/precious", f"{self.outside}/new", "/", ".."):
                for overwrite in ("never", "changed", "always"):
                    place = os.fsencode(self.installation.restored(self.target)) + b"/" + path
                    os.makedirs(os.path.dirname(place))
                    os.symlink(aim, place)
                    done = self.installation.attempt("restore", "--to", self.target, "--overwrite", overwrite)
                    self.assertIn(done.status, (DONE, PARTIAL), done)
                    self.assertSameTree(self.before, self.outside, f"{path} as a link to {aim}")
                    removeTree(self.target)
                    count += 1
        report("adversary", {"restore over links": count})

    def testDirectoriesThatBecomeLinksMeanwhile(self):
        self.begin()
        stop, turns = threading.Event(), 0
        top = self.installation.restored(self.target)

        def exchange():
            nonlocal turns
            while not stop.is_set():
                for name in ("a", "a/b", "c"):
                    try:
                        os.rename(f"{top}/{name}", f"{top}/{name}.away")
                        os.symlink(self.outside, f"{top}/{name}")
                        turns += 1
                        os.unlink(f"{top}/{name}")
                        os.rename(f"{top}/{name}.away", f"{top}/{name}")
                    except OSError:
                        pass

        thread = threading.Thread(target=exchange)
        thread.start()
        try:
            for _ in range(12):
                done = self.installation.attempt("restore", "--to", self.target, "--overwrite", "always")
                self.assertIn(done.status, (DONE, PARTIAL, FAILED), done)
                self.assertSameTree(self.before, self.outside)
        finally:
            stop.set()
            thread.join()
        self.assertGreater(turns, 20)
        report("adversary", {"directories exchanged during a restore": turns})


@unittest.skipUnless(ROOT and shutil.which("setpriv"), "needs root and setpriv to become another user")
class LocalUserTests(InstallationTestCase):
    def testAnotherUserReachesNothing(self):
        installation = self.install(settings=AT_ONCE)
        write(f"{installation.source}/file", "content")
        installation.startDaemon()
        installation.waitForSnapshot(1)
        installation.run("ls")
        # All that is not made by the programs is open to everybody.
        for path in (installation.directory, installation.home, f"{installation.home}/.config", f"{installation.home}/.local", f"{installation.home}/.local/state"):
            os.chmod(path, 0o777)
        places = [os.path.dirname(installation.keyFile), installation.state, installation.repository]
        files = [os.path.join(folder, name) for place in places for folder, _, names in os.walk(place) for name in names]
        self.assertGreater(len(files), 6)
        program = ("import os, socket, sys\n"
                   "def attempt(what, body):\n try: body()\n except OSError: return\n print(what)\n"
                   "for path in sys.argv[1:]:\n"
                   " attempt('read ' + path, lambda: open(path, 'rb').read(1))\n"
                   " attempt('write ' + path, lambda: open(path, 'r+b'))\n"
                   " attempt('remove ' + path, lambda: os.unlink(path))\n"
                   " attempt('look ' + path, lambda: os.stat(path))\n"
                   " attempt('connect ' + path, lambda: socket.socket(socket.AF_UNIX).connect(path))\n"
                   " attempt('make ' + path, lambda: open(os.path.dirname(path) + '/mine', 'w'))\n"
                   " attempt('move ' + path, lambda: os.rename(path, '/tmp/' + os.path.basename(path)))\n")
        done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "python3", "-c", program, *files],
                              stdout=subprocess.PIPE, cwd="/", check=True)
        self.assertEqual(done.stdout.decode(), "")
        # Nor from the process itself.
        pid = installation.daemon.pid
        for name in ("mem", "environ", "maps", "fd", "cwd", "root"):
            seen = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "ls" if name in ("fd", "cwd/", "root/") else "cat",
                                   f"/proc/{pid}/{name}"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/")
            self.assertEqual(seen.stdout, b"", name)
        report("adversary", {"attempts of another user": 7 * len(files) + 6})


class TerminalTests(InstallationTestCase):
    NAMES = (b"\x1b]0;title\x07", b"\x1b[2J\x1b[31mred", b"line\nbreak\rback\ttab", "\u009b2J c1".encode(), b"\x9b2J raw", "right\u202eto left".encode(),
             "\u2066isolated\u2069".encode(), b"\x7fdelete\x08\x08", b"\xff\xfe\x00"[:2])

    def testNoNameReachesTheTerminalAsItIs(self):
        installation = self.install()
        source = os.fsencode(installation.source)
        for name in self.NAMES:
            os.makedirs(source + b"/" + name)
            write(os.fsdecode(source + b"/" + name + b"/" + name), b"first")
        installation.snapshot()
        for name in self.NAMES:
            write(os.fsdecode(source + b"/" + name + b"/" + name), b"second state")
        installation.snapshot("--full")
        paths = [source + b"/" + name + b"/" + name for name in self.NAMES]
        commands = [["ls", "-R"], ["ls", "-l", "-R"], ["find", "*"], ["diff", "1", "2"], ["diff", "1"], ["stats"], ["snapshots"], ["doctor"],
                    ["snapshot", "--dry-run"], ["restore", "--dry-run", "--to", "out"]]
        for path in paths:
            commands += [["ls", path], ["history", path], ["explain", path], ["cat", path + b"?"], ["ls", path + b"?"], ["restore", path + b"?"],
                         ["restore", path, "--in-place"], ["purge", path + b"?", "--yes"], ["tag", "1", os.fsdecode(path[-20:])], ["find", path[-8:]],
                         ["export", path + b"/" + path[-5:]], ["import", path, "--to", "in"], [path]]
        commands += [["snapshots"]]
        archive = max((f"{installation.repository}/archives/{name}" for name in installation.archives()), key=os.path.getsize)

        def damage():
            os.chmod(archive, 0o600)
            with open(archive, "r+b") as file:
                file.seek(100)
                file.write(bytes(64))

        count, problems = 0, []
        for command in [*commands, damage, ["verify", "--data"], ["restore", "--to", "out"], ["repair"]]:
            if callable(command):
                command()
                continue
            done = installation.attempt(*command)
            self.assertGreaterEqual(done.status, 0, command)
            said = done.output if command[0] != "cat" or done.status else b""
            said += done.errors.encode("utf-8", "surrogateescape")
            text = said.decode("utf-8", "surrogateescape")
            wrong = re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\udc80-\udcff]", text)
            if wrong:
                problems.append(f"{command}: {text!r}")
            count += 1
        self.assertEqual(problems, [])
        report("adversary", {"commands about names with escapes": count})


class MemoryTests(InstallationTestCase):
    """The key stands in memory that is neither swapped nor dumped."""

    def testKeyInTheMemoryOfTheDaemon(self):
        installation = self.install(settings=AT_ONCE)
        write(f"{installation.source}/file", "content")
        installation.startDaemon()
        installation.waitForStatus(lambda status: status["verdict"] == "protected", "protection")
        text = read(installation.keyFile).strip()
        installation.snapshot("--full")
        self.assertEqual(len(text), 44)
        key = base64.urlsafe_b64decode(text)
        pid = installation.daemon.pid
        found, looked = {}, 0
        try:
            memory = open(f"/proc/{pid}/mem", "rb", buffering=0)
        except PermissionError:
            self.skipTest("the memory of a process cannot be read here")
        with memory:
            for start, end, flags in self.areas(pid):
                try:
                    memory.seek(start)
                    data = memory.read(end - start)
                except (OSError, OverflowError, ValueError):
                    continue
                looked += len(data)
                for what, secret in (("text", text), ("key", key)):
                    if secret in data:
                        found.setdefault(what, []).append(flags)
        self.assertGreater(looked, 1 << 20)
        self.assertNotIn("text", found, "the key's text was not wiped")
        self.assertTrue(found.get("key"), "the key is not where it was looked for")
        for flags in found["key"]:
            self.assertIn("dd", flags, "kept out of core dumps")
            self.assertIn("lo", flags, "kept out of swap")
        report("adversary", {"bytes of memory looked through": looked})

    def areas(self, pid):
        """(start, end, flags) of everything that can be read. Source: proc_pid_smaps(5), VmFlags."""
        place = None
        with open(f"/proc/{pid}/smaps") as file:
            for line in file:
                match = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
                if match:
                    place = int(match[1], 16), int(match[2], 16)
                elif re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                    place = None
                elif line.startswith("VmFlags:") and place:
                    yield (*place, line.split()[1:])

    def crash(self, command, installation, ready):
        """Ends a program as a mistake in it would, where core dumps are wanted. Returns the names of dumps."""
        folder = f"{installation.directory}/dumps"
        removeTree(folder)
        os.mkdir(folder)
        child = subprocess.Popen(command, cwd=folder, env=installation.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL,
                                 preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)))
        installation.children.append(child)
        installation.waitUntil(lambda: ready() or child.poll() is not None, "the program works")
        child.send_signal(signal.SIGSEGV)
        self.assertEqual(child.wait(PATIENCE), -signal.SIGSEGV)
        return os.listdir(folder)

    def testNoCoreDump(self):
        installation = self.install(settings=AT_ONCE)
        installation.environment["SWIFT_BACKTRACE"] = "enable=no"
        random = seededRandom("core")
        for number in range(10):
            write(f"{installation.source}/{number}", noise(random, 6_000_000))
        try:
            control = self.crash(["sleep", "60"], installation, lambda: True)
        except (ValueError, PermissionError):
            control = []
        if not control:
            self.skipTest("no core dumps are made here in the working directory, of whatever program")
        working = lambda: any(name.endswith(".tmp") for name in installation.archives())
        self.assertEqual(self.crash(installation.command("snapshot"), installation, working), [], "watchctl")
        self.assertEqual(self.crash([installation.watchd], installation, installation.answers), [], "watchd")
        report("adversary", {"programs ended where core dumps are wanted": 2})


if __name__ == "__main__":
    unittest.main()

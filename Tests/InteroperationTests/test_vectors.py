#!/usr/bin/env python3
"""Every format vector of Tests/Vectors is read by Scripts/recover.py and by watchctl, and both give what it expects.

`python3 test_vectors.py` ends with status 0 when all is well.  watchctl is taken from AUTO_BACKUP_BINARIES, else from where
`swift build` puts it.  One vector: `python3 test_vectors.py WatchctlTests.test_one_file`.
"""
import base64
import datetime
import filecmp
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PROJECT = os.path.dirname(os.path.dirname(HERE))
VECTORS = os.path.join(PROJECT, "Tests", "Vectors")
RECOVER = os.path.join(PROJECT, "Scripts", "recover.py")
SPECIFICATION = os.path.join(PROJECT, "Sources", "Archiving", "Archiving.docc", "RepositoryFormat.md")
sys.path[:0] = [HERE, VECTORS, os.path.join(PROJECT, "Tests", "AcceptanceTests")]
sys.dont_write_bytecode = True

from cryptography.fernet import Fernet  # noqa: E402

import make_vectors  # noqa: E402
from comparison import ROOT, TreeComparison, walk  # noqa: E402
from installation import DAMAGED, DONE, FAILED, PARTIAL, WRONG_KEY, Installation  # noqa: E402

NAMES = sorted(name for name in os.listdir(VECTORS) if os.path.isfile(os.path.join(VECTORS, name, "expected.json")))
EMPTY = {"user": "", "group": "", "target": "", "special": [], "flags": 0, "names": [], "attributes": {}, "stored": 0, "mode": 0,
         "uid": 0, "gid": 0}
# What no snapshot of the repository can be had because of, and the exit status that says so.
CLOSED = {"wrongKey": WRONG_KEY, "newerFormat": FAILED}
LISTED_TYPES = {"character": "character-device", "block": "block-device"}


class VectorTestCase(unittest.TestCase, TreeComparison):
    """`check` runs for one vector in a copy of its own: readers may change what they open."""
    def setUp(self):
        temporary = tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.out = os.path.join(self.folder, "a", "b", "c", "out")

    def open(self, name):
        shutil.copytree(os.path.join(VECTORS, name), os.path.join(self.folder, name))
        self.vector = os.path.join(self.folder, name)
        self.repository = os.path.join(self.vector, "repository")
        with open(os.path.join(self.vector, "expected.json"), encoding="utf-8") as file:
            self.expected = json.load(file)
        for snapshot in self.expected["snapshots"].values():
            snapshot["entries"] = [{**EMPTY, **entry} for entry in snapshot["entries"]]

    def check_restored(self, number, status, message):
        """What stands in `out` after an attempt to restore a snapshot that ended with `status`; then `out` is removed."""
        try:
            snapshot = self.expected["snapshots"][number]
            wanted = [entry for entry in snapshot["entries"] if ROOT or not entry["special"]]
            self.compare_tree(self.out, wanted, more=[b"dev"])
            for path in snapshot["lost"]:
                self.assertFalse(os.path.lexists(os.path.join(os.fsencode(self.out), bytes.fromhex(path))))
            outside = [path for path in walk(os.fsencode(self.folder), b"") if path.endswith(b"auto-backup-evil")]
            self.assertEqual(outside, [])
            self.assertFalse(os.path.exists("/tmp/auto-backup-evil"))
            complete = DONE if len(wanted) == len(snapshot["entries"]) else PARTIAL
            refused = CLOSED.get(self.expected["expect"], DAMAGED)
            self.assertEqual(status, {"whole": complete, "part": PARTIAL, "refused": refused}[snapshot["result"]], message)
        finally:
            shutil.rmtree(self.out, ignore_errors=True)

    def readable(self):
        return [number for number, snapshot in self.expected["snapshots"].items() if snapshot["result"] != "refused"]


def for_every_vector(case):
    """Gives the class a test for each vector."""
    for name in NAMES:
        def test(self, name=name):
            self.open(name)
            self.check()
        setattr(case, "test_" + name.replace("-", "_"), test)
    return case


@for_every_vector
class RecoverTests(VectorTestCase):
    def recover(self, *arguments):
        command = [sys.executable, RECOVER, "--repository", self.repository]
        for key in self.expected["keys"]:
            command += ["--key", os.path.join(self.vector, key)]
        if not self.expected["keys"]:
            command += ["--passphrase-file", os.path.join(self.vector, "passphrase")]
        done = subprocess.run(command + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)
        errors = done.stderr.decode("utf-8", "replace")
        self.assertNotIn("Traceback", errors)
        return done.returncode, done.stdout.decode("utf-8", "replace"), errors

    def check(self):
        status, output, errors = self.recover("--verify")
        self.assertEqual(status, self.expected["verify"], output + errors)
        if self.expected["expect"] not in ("success", *CLOSED):
            self.assertIn("damage: ", errors)
        for number in self.expected["snapshots"]:
            with self.subTest(snapshot=number):
                status, output, errors = self.recover("--snapshot", number, "--to", self.out)
                self.check_restored(number, status, output + errors)
        if self.expected["expect"] not in CLOSED:
            self.check_list()

    def check_list(self):
        status, output, _ = self.recover("--list")
        self.assertIn(status, (DONE, PARTIAL))
        lines = {line.split()[0]: line for line in output.splitlines()[1:]}
        for number in self.readable():
            self.assertIn(number, lines)
            self.assertEqual(number in map(str, self.expected["pins"]), "pin" in lines[number])
            self.assertEqual(lines[number].count("tag "), len(self.expected["tags"].get(number, [])))
            for text in self.expected["tags"].get(number, []):
                self.assertIn("tag " + text, lines[number])
        for number, into in self.expected["merged"].items():
            status, _, errors = self.recover("--snapshot", number, "--to", self.out)
            self.assertEqual(status, FAILED)
            self.assertIn(f"merged into snapshot {into}", errors)
            self.assertNotIn(number, lines)


# Where watchctl gives less than recover.py, and says so; what it gives must be right all the same.
GIVEN_UP = {
    # The specification allows it ("Reading", 6): the snapshots up to the next full one are refused.
    "flipped-bit-in-a-manifest-frame": {"2", "3"},
}


class FrozenTests(unittest.TestCase):
    """Format version 1 is a promise: a vector is added, never changed. `cd Tests/Vectors && sha256sum -c SHA256SUMS` says the same."""

    def test_no_vector_has_changed(self):
        with open(os.path.join(VECTORS, "SHA256SUMS"), encoding="utf-8") as file:
            frozen = dict(reversed(line.rstrip("\n").split("  ", 1)) for line in file)
        for name, digest in frozen.items():
            with open(os.path.join(VECTORS, name), "rb") as file:
                self.assertEqual(hashlib.sha256(file.read()).hexdigest(), digest, name)
        present = {os.path.relpath(os.path.join(folder, file), VECTORS)
                   for name in NAMES for folder, _, files in os.walk(os.path.join(VECTORS, name)) for file in files}
        self.assertEqual(set(frozen), present, "something is not frozen")


@for_every_vector
class WatchctlTests(VectorTestCase):
    def check(self):
        for number in GIVEN_UP.get(os.path.basename(self.vector), ()):
            snapshot = self.expected["snapshots"][number]
            snapshot["result"], snapshot["entries"], self.expected["verify"] = "refused", [], DAMAGED
        self.installation = Installation(repository=self.repository, initialize=False)
        self.addCleanup(self.installation.close)
        key = os.path.join(self.vector, (self.expected["keys"] or [""])[0])
        if self.expected["passphrase"]:
            done = self.installation.attempt("adopt", "--repository", self.repository, "--passphrase-file", os.path.join(self.vector, "passphrase"))
        else:
            done = self.installation.attempt("adopt", "--repository", self.repository, "--key-file", key)
        if self.expected["expect"] in CLOSED:
            self.assertEqual(done.status, self.expected["verify"], done)
            self.assertFalse(os.path.exists(self.installation.configurationFile))
            return
        self.assertEqual(done.status, DONE, done)
        for number in self.expected["snapshots"]:
            with self.subTest(snapshot=number):
                done = self.installation.attempt("restore", "--at", number, "--to", self.out)
                self.check_restored(number, done.status, done.errors)
            if self.expected["snapshots"][number]["result"] == "whole":
                with self.subTest("ls", snapshot=number):
                    self.check_entries(number)
        with self.subTest("snapshots"):
            self.check_snapshots()
        with self.subTest("verify"):
            done = self.installation.attempt("verify", "--data")
            self.assertEqual(done.status, self.expected["verify"], done)

    def check_snapshots(self):
        listed = {str(snapshot["number"]): snapshot for snapshot in self.installation.snapshots()}
        self.assertEqual(sorted(listed, key=int), self.readable())
        for number, snapshot in listed.items():
            self.assertEqual(snapshot["pinned"], int(number) in self.expected["pins"])
            self.assertEqual(sorted(snapshot["tags"]), sorted(self.expected["tags"].get(number, [])))

    def check_entries(self, number):
        """`ls` shows the same entries."""
        found = {}
        for entry in self.installation.run("ls", "-R", "/", "--at", number, "--json"):
            if not entry.get("implicit"):
                path = base64.b64decode(entry["path_base64"]) if "path_base64" in entry else entry["path"].encode()
                found[path[1:].hex()] = [entry["type"], entry["mode"], entry["uid"], entry["gid"], entry["size"], entry["mtime"]]
        wanted = {}
        for entry in self.expected["snapshots"][number]["entries"]:
            seconds, nanoseconds = entry["modified"]
            moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
            time = moment.strftime("%Y-%m-%dT%H:%M:%S") + f".{nanoseconds // 1_000_000:03d}Z"
            kind = LISTED_TYPES.get(entry["kind"], entry["kind"])
            wanted[entry["path"]] = [kind, entry["mode"], entry["uid"], entry["gid"], entry["size"], time]
        self.assertEqual(found, wanted)


class WorkedExampleTests(unittest.TestCase):
    """The bytes that the specification shows are those of the vector."""
    def setUp(self):
        with open(SPECIFICATION, encoding="utf-8") as file:
            self.text = file.read().split("## Worked example")[1]
        self.folder = os.path.join(VECTORS, "one-file")
        self.name, = os.listdir(os.path.join(self.folder, "repository", "archives"))
        with open(os.path.join(self.folder, "repository", "archives", self.name), "rb") as file:
            self.archive = file.read()
        with open(os.path.join(self.folder, "key"), encoding="ascii") as file:
            self.key = file.read().strip()

    def plaintexts(self):
        """What the tables are about, by the first line of each."""
        found, at = {"archive": self.archive}, 32
        while at < len(self.archive) - 24:
            length = int.from_bytes(self.archive[at:at + 4], "little")
            token = base64.urlsafe_b64encode(self.archive[at + 4:at + 4 + length])
            found[f"frame {len(found) - 1}"] = Fernet(self.key).decrypt(token)
            at += 4 + length
        return found

    def testEveryByteShownIsThatOfTheVector(self):
        self.assertIn(self.name, self.text)
        self.assertIn(self.key, self.text)
        self.assertIn(f"{len(self.archive):,} bytes", self.text)
        tables = re.findall(r"```\n(archive|frame \d)\n(.*?)```", self.text, re.DOTALL)
        plaintexts = self.plaintexts()
        self.assertEqual([table for table, _ in tables], list(plaintexts))
        for table, lines in tables:
            end = None
            for line in lines.splitlines():
                offset, shown, more = re.fullmatch(r" *(\d+)  ((?:[0-9A-F]{2} )*[0-9A-F]{2})( …)?(?:  .*)?", line).groups()
                data = bytes.fromhex(shown)
                self.assertEqual(plaintexts[table][int(offset):int(offset) + len(data)], data, f"{table}: {line}")
                self.assertIn(end, (None, int(offset)), f"{table}: {line}")
                end = None if more else int(offset) + len(data)
            if table != "frame 0":                       # the tar entry is cut short
                self.assertEqual(end, len(plaintexts[table]))

    def testTheSnippetOpensTheFrame(self):
        snippet, = re.findall(r"```python\n(.*?)```", self.text, re.DOTALL)
        self.assertLessEqual(len(snippet.splitlines()), 12)
        output = subprocess.run([sys.executable, "-c", snippet], cwd=self.folder, stdout=subprocess.PIPE, check=True).stdout
        frame = self.plaintexts()["frame 0"]
        self.assertEqual(output.decode(), f"{frame[:32].hex()} {frame[32:36]}\n")


class GeneratorTests(unittest.TestCase):
    def testTheGeneratorMakesTheSameBytes(self):
        with tempfile.TemporaryDirectory() as folder:
            make_vectors.main([folder])
            self.assertEqual(sorted(os.listdir(folder)), NAMES)
            for path, _, files in os.walk(folder):
                committed = os.path.join(VECTORS, os.path.relpath(path, folder))
                if path != folder:
                    self.assertEqual(sorted(os.listdir(path)), sorted(os.listdir(committed)))
                same, different, failed = filecmp.cmpfiles(path, committed, files, shallow=False)
                self.assertEqual((different, failed), ([], []), committed)

    def testTheVectorsAreSmall(self):
        sizes = [os.path.getsize(os.path.join(path, file)) for path, _, files in os.walk(VECTORS) for file in files if path != VECTORS]
        self.assertLess(sum(sizes), 400_000)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""Restores repositories of make_repository.py with Scripts/recover.py and compares everything, also after damage.

`python3 test_recover.py` ends with status 0 when all is well.  As root it compares owners and devices too, and runs the
restoration once more without root.
"""
import glob
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
RECOVER = os.path.join(HERE, "..", "..", "Scripts", "recover.py")
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

import make_repository as made  # noqa: E402
from comparison import ROOT, TreeComparison  # noqa: E402

# Everything is imported first: Python itself may be installed where only root can read.
GIVE_UP_ROOT = """
import datetime, os, runpy, sys
del sys.argv[0]
program = runpy.run_path(sys.argv[0], run_name="recover")
"\\n".encode("unicode_escape"), datetime.datetime.strptime("2026", "%Y")
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(program["main"]())
"""


class RecoverTestCase(unittest.TestCase):
    """A fresh folder a test, and how to run recover.py."""
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = temporary.name
        self.out = os.path.join(self.folder, "out")

    def recover(self, *arguments, keys=("key", "key-2"), status=0, program=(RECOVER,)):
        command = [sys.executable, *program, "--repository", os.path.join(self.folder, "repository")]
        for key in keys:
            command += ["--key", os.path.join(self.folder, key)]
        done = subprocess.run(command + list(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder)
        output, errors = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
        self.assertNotIn("Traceback", errors)
        self.assertEqual(done.returncode, status, output + errors)
        return output, errors

    def target(self, path):
        return os.path.join(os.fsencode(self.out), path)

    def read(self, path):
        with open(self.target(path), "rb") as file:
            return file.read()

    def start(self):
        """An empty repository of one key."""
        repository = made.Repository(os.path.join(self.folder, "repository"))
        made.write_side_files(self.folder, repository)
        return repository

    def simple(self, count=3):
        """Snapshots 1 (full) to `count`; each adds the file n<number>, in a frame of its own."""
        repository = self.start()
        for number in range(1, count + 1):
            payload, changes = made.Payload(), {b"n%d" % number: made.small_file(b"content %d\n" % number)}
            if number == 1:
                changes[b"other"] = made.small_file(b"another frame\n")
                second = made.Payload()
                made.store(changes, [b"other"], second)
            made.store(changes, [b"n%d" % number], payload)
            data = [(payload, made.STORED)] + ([(second, made.XZ)] if number == 1 else [])
            repository.commit(number, [made.manifest(made.tree_sorted(changes))], data, parent=number - 1 or None)
        return repository


class WholeHistoryTests(RecoverTestCase, TreeComparison):
    """The repository of make(): everything that the format can say."""
    def setUp(self):
        super().setUp()
        shutil.rmtree(self.folder)
        self.repository = made.make(self.folder)
        with open(os.path.join(self.folder, "expected.json"), encoding="utf-8") as file:
            self.expected = json.load(file)

    def compare(self, entries, root=ROOT):
        self.compare_tree(self.out, entries, root, more=[b"dev"])

    def testEverySnapshotIsRestored(self):
        for number, entries in self.expected["snapshots"].items():
            shutil.rmtree(self.out, ignore_errors=True)
            wanted = [entry for entry in entries if ROOT or not entry["special"]]
            self.recover("--snapshot", number, "--to", self.out, status=0 if ROOT else 3)
            self.compare(wanted)

    @unittest.skipUnless(ROOT, "needs root to give it up")
    def testWithoutRoot(self):
        os.chmod(self.folder, 0o777)
        _, errors = self.recover("--snapshot", "1", "--to", self.out, status=3, program=["-c", GIVE_UP_ROOT, RECOVER])
        entries = [entry for entry in self.expected["snapshots"]["1"] if not entry["special"]]
        self.compare(entries, root=False)
        self.assertEqual(errors.count("for want of root"), 1)
        self.assertEqual(errors.count("not restored: "), 2, errors)

    def testListNamesSnapshotsTagsAndPins(self):
        output, _ = self.recover("--list")
        lines = [line.split() for line in output.splitlines()[1:]]
        self.assertEqual([line[0] for line in lines], ["1", "2", "4", "5", "6"])
        self.assertEqual([line[2] for line in lines], ["full"] + ["incremental"] * 3 + ["full"])
        self.assertEqual([int(line[3]) for line in lines], [len(state) for state in self.expected["snapshots"].values()])
        self.assertIn("tag first", output.splitlines()[1])
        self.assertIn("pin", output.splitlines()[2])
        self.assertIn("tag größer", output.splitlines()[3])
        self.assertIn("2026-11-23T05:19:00.123Z", output)

    def testListOfEntriesShowsFlags(self):
        output, _ = self.recover("--list", "--snapshot", "1", "/home/ada/attributes")
        self.assertIn("flags=0x10", output)

    def testVerifyFindsNothing(self):
        self.recover("--verify")

    def testDefaultIsTheNewestAndAFolderOfItsNumber(self):
        self.recover(status=0 if ROOT else 3)
        self.assertTrue(os.path.isdir(os.path.join(self.folder, "recovered-6", "home", "ada")))

    def testSinglePaths(self):
        self.recover("--snapshot", "1", "--to", self.out, "/home/ada/sticky/", "home/ada/old")
        paths = (b"home/ada", b"home/ada/sticky", b"home/ada/sticky/inner", b"home/ada/sticky/link-3", b"home/ada/old")
        self.compare([entry for entry in self.expected["snapshots"]["1"] if bytes.fromhex(entry["path"]) in paths])

    def testAPathThatIsNotThere(self):
        _, errors = self.recover("--to", self.out, "/home/ada/nothing", status=1)
        self.assertIn("home/ada/nothing", errors)
        self.recover("--to", self.out, "/home/ada/nothing", "/home/ada/six", status=3)

    def testMergedSnapshotCannotBeChosen(self):
        _, errors = self.recover("--snapshot", "3", "--to", self.out, status=1)
        self.assertIn("merged into snapshot 4", errors)

    def testPassphraseOpensTheRepository(self):
        self.recover("--passphrase-file", os.path.join(self.folder, "passphrase"), "--verify", keys=())

    def testExistingFilesStay(self):
        for again in (3, 0):
            os.makedirs(self.target(b"home/ada"), exist_ok=True)
            with open(self.target(b"home/ada/old"), "wb") as file:
                file.write(b"mine\n")
            more = ["--overwrite"] if again == 0 else []
            self.recover("--snapshot", "1", "--to", self.out, "home/ada/old", *more, status=again)
            self.assertEqual(self.read(b"home/ada/old"), b"before 1970\n" if more else b"mine\n")

    def testSymlinksInTheTargetAreNotFollowed(self):
        outside = os.path.join(self.folder, "outside")
        os.makedirs(outside)
        os.makedirs(self.out)
        os.symlink(outside, os.path.join(self.out, "home"))
        _, errors = self.recover("--snapshot", "1", "--to", self.out, "home/ada/old", "--overwrite", status=3)
        self.assertEqual(os.listdir(outside), [])
        self.assertIn("home/ada/old", errors)

    def testEachTokenIsFernetAndDataPayloadsAreTar(self):
        """The claims of the specification that need no reader of ours."""
        with open(self.repository.path(2), "rb") as file:
            body = file.read()
        at, plain = 32, b""
        while at < len(body) - 24:
            length, = struct.unpack_from("<I", body, at)
            token = made.base64.urlsafe_b64encode(body[at + 4:at + 4 + length])
            frame = made.Fernet(self.repository.keys[0]).decrypt(token)
            if frame[20] == 1:
                plain += made.lzma.decompress(frame[32:]) if frame[21] == 1 else subprocess.run(
                    ["zstd", "-dqc"], input=frame[32:], stdout=subprocess.PIPE, check=True).stdout
            at += 4 + length
        self.assertEqual(at, len(body) - 24)
        with tarfile.open(fileobj=made.io.BytesIO(plain + bytes(1024))) as tar:
            self.assertIn("home/ada/sub/untouched.chunk-00000000000000065536", tar.getnames())


class DamageTests(RecoverTestCase):
    """What is damaged, what it costs, and the exit status."""
    def flip(self, path, offset, bit=1):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ bit]))

    def frames(self, path):
        """Offsets of the frames, and the end of the last."""
        with open(path, "rb") as file:
            body = file.read()
        offsets = [32]
        while offsets[-1] < len(body) - 24:
            offsets.append(offsets[-1] + 4 + struct.unpack_from("<I", body, offsets[-1])[0])
        return offsets

    def testADamagedDataFrameCostsItsFiles(self):
        repository = self.simple()
        self.flip(repository.path(1), self.frames(repository.path(1))[0] + 40)
        _, errors = self.recover("--to", self.out, status=3)
        self.assertIn("not restored: n1:", errors)
        self.assertIn(f"{repository.names[1]}: frame 0, offset 32:", errors)
        self.assertEqual(sorted(os.listdir(self.out)), ["n2", "n3", "other"])
        self.recover("--to", self.out + "-2", "other")
        self.recover("--to", self.out + "-3", "n1", status=13)
        self.assertFalse(os.listdir(self.out + "-3"))
        self.recover("--verify", status=13)

    def testEveryByteMatters(self):
        """One flipped bit anywhere in an archive is found by --verify, and never restored."""
        repository = self.simple(1)
        path = repository.path(1)
        with open(path, "rb") as file:
            body = file.read()
        interesting = set(range(36)) | set(range(len(body) - 24, len(body))) | set(range(36, len(body) - 24, 97))
        for offset in interesting:
            self.flip(path, offset, 1 << offset % 8)
            self.recover("--verify", status=13)
            self.flip(path, offset, 1 << offset % 8)
        self.recover("--verify")

    def testASecondCopyOfAChunkIsUsed(self):
        repository = self.start()
        first, second = made.Payload(), made.Payload()
        state = {b"a": made.small_file(b"twice\n")}
        made.store(state, [b"a"], first)
        second.add(b"a", b"twice\n")
        repository.add("data", [(first, made.XZ)])
        repository.commit(1, [made.manifest(made.tree_sorted(state))], [(second, made.XZ)])
        self.flip(repository.path(1), 60)
        self.recover("--to", self.out)
        self.assertEqual(self.read(b"a"), b"twice\n")

    def testAChunkWithAnotherDigestIsNotGivenOut(self):
        repository = self.start()
        payload = made.Payload()
        state = {b"a": made.small_file(b"right\n"), b"b": made.small_file(b"fine\n")}
        made.store(state, [b"a", b"b"], payload)
        payload.data = payload.data.replace(b"right\n", b"wrong\n")
        repository.commit(1, [made.manifest(made.tree_sorted(state))], [(payload, made.XZ)])
        _, errors = self.recover("--to", self.out, status=3)
        self.assertEqual(os.listdir(self.out), ["b"])
        self.assertIn("digest", errors)

    def testADamagedManifestFrameCostsWhatItLists(self):
        repository = self.start()
        payload = made.Payload()
        state = {name: made.small_file(name) for name in (b"a", b"b", b"c", b"d", b"e", b"f")}
        made.store(state, list(state), payload)
        items = made.tree_sorted(state)
        repository.commit(1, [made.manifest(items)], [(payload, made.XZ)])
        changed = {name: made.Entry("file", 0o600, content=[(0, name)]) for name in state}
        for name in state:
            changed[name].chunks = state[name].chunks
        items = made.tree_sorted(changed)
        parts = [made.manifest(items[:2]), made.manifest(items[2:4]), made.manifest(items[4:])]
        repository.commit(2, parts, parent=1)
        self.flip(repository.path(2), self.frames(repository.path(2))[1] + 50)
        _, errors = self.recover("--to", self.out, status=3)
        self.assertEqual(sorted(os.listdir(self.out)), ["a", "b", "e", "f"])
        self.assertIn("not restored: c", errors)
        self.assertIn("not restored: d", errors)
        self.recover("--to", self.out + "-1", "--snapshot", "1")

    def testTruncation(self):
        repository = self.simple()
        size = os.path.getsize(repository.path(3))
        for length in (size - 1, size - 24, size // 2, 32, 0):
            os.truncate(repository.path(3), length)
            shutil.rmtree(self.out, ignore_errors=True)
            self.recover("--snapshot", "2", "--to", self.out)
            self.recover("--snapshot", "3", "--to", self.out, status=13)
            _, errors = self.recover("--to", self.out + "-newest", "n2", "--overwrite", status=3)
            self.assertIn(repository.names[3], errors)

    def testSwappedArchives(self):
        repository = self.simple()
        second, third = repository.path(2), repository.path(3)
        os.rename(second, second + "~")
        os.rename(third, second)
        os.rename(second + "~", third)
        _, errors = self.recover("--to", self.out, status=3)
        self.assertIn("number, kind or time in the name", errors)
        self.assertEqual(sorted(os.listdir(self.out)), ["n1", "other"])
        self.recover("--verify", status=13)

    def testAFrameOutOfItsPlace(self):
        """Two frames of one archive, of equal length, exchanged: each authenticates."""
        repository = self.start()
        first, second = made.Payload(), made.Payload()
        state = {b"a": made.small_file(b"one\n"), b"b": made.small_file(b"two\n")}
        made.store(state, [b"a"], first)
        made.store(state, [b"b"], second)
        repository.commit(1, [made.manifest(made.tree_sorted(state))], [(first, made.STORED), (second, made.STORED)])
        at, middle, end = self.frames(repository.path(1))[:3]
        with open(repository.path(1), "r+b") as file:
            body = file.read()
            file.seek(at)
            file.write(body[middle:end] + body[at:middle])
        self.assertEqual(end - middle, middle - at)
        _, errors = self.recover("--to", self.out, status=13)
        self.assertIn("out of its place", errors)

    def testWrongKey(self):
        self.simple()
        with open(os.path.join(self.folder, "key"), "wb") as file:
            file.write(made.Fernet.generate_key() + b"\n")
        self.recover("--list", keys=["key"], status=12)
        with open(os.path.join(self.folder, "passphrase"), "wb") as file:
            file.write(b"wrong")
        self.recover("--list", "--passphrase-file", "passphrase", keys=(), status=12)

    def testMissingParentAndGap(self):
        repository = self.simple(4)
        os.unlink(repository.path(2))
        _, errors = self.recover("--list", status=3)
        self.assertIn("snapshots 2 to 2 are missing", errors)
        _, errors = self.recover("--to", self.out, status=13)
        self.assertIn("the parent of snapshot 3, snapshot 2, is missing", errors)
        self.recover("--snapshot", "1", "--to", self.out)
        self.recover("--verify", status=13)

    def testMissingNewestEnd(self):
        repository = self.simple(3)
        repository.add("data", [(made.Payload(), made.STORED)])
        os.unlink(repository.path(3))
        _, errors = self.recover("--list", status=3)
        self.assertIn("missing at the newest end", errors)

    def testParentOfAnotherIdentity(self):
        repository = self.simple(2)
        state = {b"x": made.Entry("file")}
        repository.commit(3, [made.manifest(made.tree_sorted(state))], parent=2, parent_identity=b"i" * 32)
        _, errors = self.recover("--to", self.out, status=13)
        self.assertIn("another identity", errors)

    def testEditedIdentity(self):
        repository = self.start()
        repository.commit(1, [made.manifest([(b"x", made.Entry("file"))])], identity=b"i" * 32)
        self.recover("--to", self.out, status=13)

    def testMissingRecord(self):
        repository = self.simple(1)
        repository.add("record", remarks=[(2, 1, b"old")])
        kept = repository.number
        repository.add("record", remarks=[(2, 1, b"new")])
        repository.commit(2, [made.manifest([(b"x", made.Entry("file"))])], parent=1)
        os.unlink(repository.path(kept + 1))
        _, errors = self.recover("--verify", status=13)
        self.assertIn("newest record is missing", errors)

    def testAnotherRepositorysArchive(self):
        repository = self.simple(2)
        repository.id = b"another id, 16 b"
        payload = made.Payload()
        repository.commit(3, [made.manifest([(b"x", made.Entry("file"))])], [(payload, made.STORED)], parent=2)
        _, errors = self.recover("--verify", status=13)
        self.assertIn("another repository", errors)

    def testNoRepositoryAndUsage(self):
        self.simple(1)
        os.rename(os.path.join(self.folder, "repository", "repository.json"), os.path.join(self.folder, "elsewhere"))
        self.recover("--list", status=10)
        self.recover("--nonsense", status=64)
        self.recover("--list", keys=(), status=64)

    def testForeignNamesAreIgnored(self):
        repository = self.simple(1)
        for name in ("notes.txt", ".000000002.abc.tmp", "000000001-x.enc"):
            open(os.path.join(repository.archives, name), "w").close()
        _, errors = self.recover("--verify")
        self.assertIn("notes.txt", errors)
        self.assertNotIn(".tmp", errors)


class HostileTests(RecoverTestCase):
    """Manifests that authenticate, but break the rules."""
    def refused(self, changes, text, **more):
        repository = self.start()
        repository.commit(1, [made.manifest(changes)], **more)
        _, errors = self.recover("--to", self.out, status=13)
        self.assertIn(text, errors)
        self.assertIn("frame 0, offset 32:", errors)
        self.assertFalse(glob.glob(os.path.join(self.folder, "evil*")))

    def testPaths(self):
        for path in (b"../evil", b"/evil", b"a/../../evil", b"a//evil", b"./evil", b"evil/", b"ev\0il", b"e" * 256):
            with self.subTest(path=path):
                shutil.rmtree(os.path.join(self.folder, "repository"), ignore_errors=True)
                self.refused([(path, made.Entry("file"))], "a path that breaks the rules")

    def testAPathTwice(self):
        self.refused([(b"a", made.Entry("file")), (b"a", made.Entry("symlink", target=b"b"))], "tree order")

    def testOrder(self):
        self.refused([(b"a.b", made.Entry("file")), (b"a/b", made.Entry("file"))], "tree order")

    def testSize(self):
        entry = made.small_file(b"content")
        entry.size = 8
        self.refused([(b"a", entry)], "do not make up the size")

    def testRunsWithoutPrevious(self):
        entry = made.Entry("file", size=5)
        entry.runs = made.run_kept(0, 1)
        self.refused([(b"a", entry)], "previous version")

    def testKeptRunBeyondThePreviousCostsOneFile(self):
        repository = self.simple(1)
        entry = made.Entry("file", size=10)
        entry.runs = made.run_kept(0, 2)
        repository.commit(2, [made.manifest([(b"n1", entry)])], parent=1)
        self.recover("--to", self.out, status=3)
        self.assertEqual(os.listdir(self.out), ["other"])

    def testAttributeOverTheLimit(self):
        self.refused([(b"a", made.Entry("file", attributes=[(b"user.a", bytes(65_537))]))], "attribute")

    def testAFileBelowASymlinkStaysInside(self):
        repository = self.start()
        payload, outside = made.Payload(), os.path.join(self.folder, "outside")
        os.makedirs(outside)
        state = {b"a": made.Entry("symlink", target=outside.encode()), b"a/evil": made.small_file(b"evil")}
        made.store(state, [b"a/evil"], payload)
        repository.commit(1, [made.manifest(made.tree_sorted(state))], [(payload, made.XZ)])
        self.recover("--to", self.out, status=3)
        self.assertEqual(os.listdir(outside), [])

    def testALieAboutTheDecompressedLength(self):
        """A frame that decompresses to more than its header says."""
        repository = self.start()
        plain, original = bytes(1 << 20), repository.frame

        def lying(archive_id, number, kind, codec, last, payload):
            if kind != made.DATA:
                return original(archive_id, number, kind, codec, last, payload)
            header = archive_id + struct.pack("<IBBBBII", number, kind, codec, last, 0, len(payload), 0)
            token = made.base64.urlsafe_b64decode(made.Fernet(repository.key).encrypt(header + made.compress(codec, plain)))
            return struct.pack("<I", len(token)) + token

        repository.frame = lying
        for number, codec in enumerate((made.XZ, made.ZSTD if made.has_zstd() else made.XZ), 1):
            payload, state = made.Payload(), {b"%d" % number: made.small_file(b"%d" % number)}
            made.store(state, list(state), payload)
            repository.full = True
            repository.commit(number, [made.manifest(made.tree_sorted(state))], [(payload, codec)], parent=number - 1 or None)
            _, errors = self.recover("--to", self.out, status=13)
            self.assertIn("does not end" if codec == made.XZ else "bytes that its header says", errors)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
"""A repository, and a catalog, of which one byte is wrong or the end is missing: noticed or harmless, and never a wrong content.

In:  a small repository of a full and an incremental snapshot, a record and a `data` archive; every byte of it flipped, one at a time;
     every file of it cut to every length; with the catalog and without it.
Out: `verify` names the archive, a restore gives right contents alone, and names every file that it cannot give; no command dies.
The short form takes a sample with a fixed seed, the long form all.
"""
import contextlib
import os
import shutil
import sqlite3
import sys
import unittest

from faults import report
from installation import (DAMAGED, DONE, FAILED, LONG, NO_REPOSITORY, PARTIAL, WRONG_KEY, InstallationTestCase, differences, fingerprint,
                          read, removeTree, seededRandom, write)
from trees import noise, text

SAMPLE = 30                                            # damages of each kind in the short form


class DamageTestCase(InstallationTestCase):
    SETTINGS = '[archive]\nsize = "1MiB"\n'

    def setUp(self):
        self.random = seededRandom(self.id().split(".", 1)[1])
        self.installation = installation = self.install()
        self.source, self.moments = installation.source, {}
        write(f"{self.source}/one", b"first state " + noise(self.random, 40))
        write(f"{self.source}/folder/two", text(self.random, 300))
        write(f"{self.source}/folder/three", noise(self.random, 50))
        os.symlink("one", f"{self.source}/link")
        self.take()
        write(f"{self.source}/one", b"second state" + noise(self.random, 40))
        os.unlink(f"{self.source}/folder/three")
        self.take()
        installation.run("pin", 1)
        installation.run("ls")
        # All of the catalog stands in one file then, without the log and its checksums.
        with contextlib.closing(sqlite3.connect(f"{installation.state}/catalog.sqlite")) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.saved = f"{installation.directory}/saved"
        for place in (installation.repository, installation.state):
            shutil.copytree(place, self.saved + place)
        self.problems = []

    def take(self):
        self.moments[self.installation.snapshot()["number"]] = fingerprint(self.source)

    def reset(self, *places):
        for place in places:
            removeTree(place)
            shutil.copytree(self.saved + place, place)

    def sampled(self, cases):
        cases = list(cases)
        return cases if LONG else self.random.sample(cases, min(SAMPLE, len(cases)))

    def call(self, *arguments):
        done = self.installation.attempt(*arguments)
        said = done.errors + done.output.decode("utf-8", "replace")
        if done.status < 0 or done.status > 128 or "Fatal error" in said:
            self.wrong(f"{arguments[0]} died with {done.status}: {said}")
        return done, said

    def wrong(self, what):
        self.problems.append(f"{self.case}: {what}")

    def checkRestores(self, allowed=(DONE, PARTIAL, FAILED, DAMAGED)):
        """Every file is as it was, or is not there and named."""
        for number, expected in self.moments.items():
            moment = "latest" if number == max(self.moments) else str(number)
            target = f"{self.installation.directory}/target"
            removeTree(target)
            done, said = self.call("restore", "--at", moment, "--to", target)
            top = self.installation.restored(target)
            found = fingerprint(top) if os.path.exists(top) else {}
            if done.status not in allowed:
                self.wrong(f"restore of {moment}: {done.status} {said}")
            elif done.status == DONE:
                for line in differences(expected, found, ignore=("allocated",)):
                    self.wrong(f"restore of {moment}: {line}")
            else:
                if not done.errors:
                    self.wrong(f"restore of {moment}: {done.status} without a word")
                for path, item in found.items():
                    if item.type == "file" and (path not in expected or item.digest != expected[path].digest):
                        self.wrong(f"restore of {moment}: {path} has a wrong content")
                for path in expected.keys() - found.keys() if done.status == PARTIAL else ():
                    if os.path.join(top, os.fsdecode(path)).rstrip("/") not in said:
                        self.wrong(f"restore of {moment}: {path} is missing, and not named: {said}")

    def checkStates(self):
        """What a damaged catalog tells of a path is a state that the path had, or nothing, or that the catalog is damaged.

        Which rows there are, and of which snapshots, no row can tell of itself: a path may be missing, until a rebuild.
        """
        for moment in ("1", "latest"):
            target = f"{self.installation.directory}/target"
            removeTree(target)
            done, said = self.call("restore", "--at", moment, "--to", target)
            if done.status not in (DONE, PARTIAL, FAILED, DAMAGED) or done.status != DONE and not done.errors:
                self.wrong(f"restore of {moment}: {done.status} {said}")
            top = self.installation.restored(target)
            for path, item in fingerprint(top).items() if os.path.exists(top) else ():
                known = [tree[path] for tree in self.moments.values() if path in tree]
                if item.type == "directory":
                    right = bool(known)
                else:
                    # Its metadata comes last, and may not have come when the damage was met.
                    fields = ("type", "digest", "target", *(("mode", "owner", "mtime") if done.status == DONE else ()))
                    right = any(all(getattr(item, field) == getattr(one, field) for field in fields) for one in known)
                if not right:
                    self.wrong(f"restore of {moment}: {path} was never {item}")

    def checkVerify(self, *names):
        done, said = self.call("verify", "--data")
        if done.status != DAMAGED:
            self.wrong(f"verify: {done.status} {said}")
        for name in names:
            if name not in said:
                self.wrong(f"verify does not name {name}: {said}")

    def finish(self, what, count):
        print(f"{what}: {count}", file=sys.stderr, flush=True)
        report("damage", {what: count})
        if self.problems:
            self.fail(f"{len(self.problems)} problems in {count} damages:\n" + "\n".join(self.problems[:40]))


class ArchiveTests(DamageTestCase):
    def each(self, what, cases, spoil):
        """cases: (archive, number); spoil: takes the path and the number. In turns with the catalog and without it."""
        cases = self.sampled(cases)
        for turn, (name, number) in enumerate(cases):
            withCatalog = turn % 2 == 0
            self.case = f"{what}, {name[:40]}, {number}, {'with' if withCatalog else 'without'} a catalog"
            self.reset(self.installation.repository, self.installation.state)
            if not withCatalog:
                self.installation.removeCatalog()
            spoil(f"{self.installation.repository}/archives/{name}", number)
            self.checkVerify(name)
            self.checkRestores()
        self.finish(what, len(cases))

    def sizes(self):
        folder = f"{self.installation.repository}/archives"
        return {name: os.path.getsize(f"{folder}/{name}") for name in self.installation.archives()}

    def testEveryByteFlipped(self):
        def flip(path, offset):
            os.chmod(path, 0o600)
            with open(path, "r+b") as file:
                file.seek(offset)
                byte = file.read(1)[0]
                file.seek(offset)
                file.write(bytes([byte ^ 1 << self.random.randrange(8)]))

        self.each("bytes of archives flipped", ((name, offset) for name, size in self.sizes().items() for offset in range(size)), flip)

    def testEveryLength(self):
        def cut(path, size):
            os.chmod(path, 0o600)
            os.truncate(path, size)

        self.each("lengths of archives", ((name, length) for name, size in self.sizes().items() for length in range(size)), cut)


class DescriptionTests(DamageTestCase):
    """repository.json is not authenticated as a whole; what it says wrongly is refused or of no importance."""

    def each(self, what, cases, spoil):
        path = f"{self.installation.repository}/repository.json"
        sound = read(path)
        cases = self.sampled(cases(len(sound)))
        for number in cases:
            self.case = f"{what}, {number}"
            self.reset(self.installation.state)
            write(path, spoil(sound, number))
            self.checkRestores((DONE, FAILED, NO_REPOSITORY, WRONG_KEY, DAMAGED))
        write(path, sound)
        self.case = "afterwards"
        self.checkRestores((DONE,))
        self.finish(what, len(cases))

    def testEveryByteFlipped(self):
        self.each("bytes of repository.json flipped", range, lambda sound, place: sound[:place] + bytes([sound[place] ^ 1 << self.random.randrange(8)]) + sound[place + 1:])

    def testEveryLength(self):
        self.each("lengths of repository.json", range, lambda sound, length: sound[:length])


class CatalogTests(DamageTestCase):
    def each(self, what, cases, spoil):
        catalog = f"{self.installation.state}/catalog.sqlite"
        sound = read(catalog)
        self.reset(self.installation.state)
        cases = self.sampled(cases(len(sound)))
        for number in cases:
            self.case = f"{what}, {number}"
            self.reset(self.installation.state)
            self.installation.removeCatalog()
            write(catalog, spoil(sound, number))
            self.checkStates()
            done, said = self.call("catalog", "rebuild")
            if done.status != DONE:
                self.wrong(f"rebuild: {done.status} {said}")
            self.checkRestores((DONE,))
        self.finish(what, len(cases))

    def testBytesFlipped(self):
        # Of the header each one; of a page that holds nothing there is little to learn.
        def cases(size):
            everything = [place for place in range(size) if place < 100 or any(self.sound(place))]
            return everything if LONG else list(range(0, 100, 4)) + self.random.sample(everything, SAMPLE)

        self.each("bytes of the catalog flipped", cases, lambda sound, place: sound[:place] + bytes([sound[place] ^ 1 << self.random.randrange(8)]) + sound[place + 1:])

    def testContentOfAnotherFile(self):
        """One bit of a row of the catalog stood for another file: its content was restored, with exit status 0."""
        write(f"{self.source}/alike", b"x" * 52)
        self.take()
        write(f"{self.source}/similar", b"y" * 52)
        self.take()
        with contextlib.closing(sqlite3.connect(f"{self.installation.state}/catalog.sqlite")) as database:
            database.execute("UPDATE live SET content = (SELECT content FROM live WHERE name = CAST('similar' AS BLOB)) WHERE name = CAST('alike' AS BLOB)")
            database.commit()
        self.case = "content exchanged"
        target = f"{self.installation.directory}/target"
        done, said = self.call("restore", "--to", target)
        self.assertNotEqual(done.status, DONE)
        self.assertIn("watchctl catalog rebuild", said)
        self.assertNotIn(b"y" * 52, [read(path) for path in [self.installation.restored(target, f"{self.source}/alike")] if os.path.exists(path)])
        self.call("catalog", "rebuild")
        self.checkRestores((DONE,))
        self.finish("contents exchanged in the catalog", 1)

    def sound(self, place):
        """What stands around a place in the sound catalog."""
        with open(f"{self.saved}{self.installation.state}/catalog.sqlite", "rb") as file:
            file.seek(max(0, place - 8))
            return file.read(16)

    def testLengths(self):
        self.each("lengths of the catalog", lambda size: range(0, size, 512), lambda sound, length: sound[:length])


if __name__ == "__main__":
    unittest.main()

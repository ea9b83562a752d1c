"""What stands in the archives of a repository, read with Scripts/recover.py and so without the program under test.

In:  an installation.  Out: archives with the places of their frames and chunks, the entries of each snapshot; damage to order.
Invariant: looking changes nothing; what `Damage` does is told by its methods.
"""
import importlib.util
import os

from installation import RECOVER

_specification = importlib.util.spec_from_file_location("recover", RECOVER)
recover = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(recover)

DATA, MANIFEST, CONTENTS = recover.DATA, recover.MANIFEST, recover.CONTENTS


class Findings(recover.Report):
    """Collects what recover.py would say."""

    def __init__(self):
        super().__init__()
        self.said = []

    def say(self, message):
        self.said.append(message)


class Shelf:
    """All archives that the given keys open; presets are the repository and the key file of the installation."""

    def __init__(self, installation, keyFile=None):
        self.findings = Findings()
        self.repository = recover.Repository(installation.repository, self.findings)
        keys = recover.unlock(self.repository.description, [keyFile or installation.keyFile], None)
        self.repository.load(keys)
        self.archives = {archive.name: archive for archive in self.repository.archives}
        self.commits = self.repository.commits

    def names(self, kind):
        """Names of one kind, ascending: full, incremental, data, record."""
        return [name for name in sorted(self.archives) if f"-{kind}-" in name]

    def frames(self, name, kind):
        """Numbers of the frames of one kind."""
        return self.archives[name].numbers(kind)

    def payloads(self):
        """(archive, frame, decompressed payload) of every frame, each authenticated and in its place."""
        for name, archive in sorted(self.archives.items()):
            for number in range(len(archive.frames)):
                yield name, number, bytes(archive.payload(number))

    def places(self):
        """{digest: {(archive, frame), …}} of all chunks."""
        found = {}
        for name, archive in self.archives.items():
            for frame in archive.packed:
                for digest, _, _ in archive.chunks(frame):
                    found.setdefault(digest, set()).add((name, frame))
        return found

    def contents(self, number):
        """{path: chunk digests} of the files of a snapshot; paths are absolute bytes."""
        entries = self.repository.state(number).entries
        return {b"/" + path: [digest for digest, _ in entry.chunks] for path, entry in entries.items() if entry.kind == recover.FILE}


class Damage:
    """Does harm to one archive of a sound repository.

    Each method returns the frames, as (archive, number), whose content is gone with it.
    """

    def __init__(self, installation, shelf, name):
        self.path = os.path.join(installation.repository, "archives", name)
        self.name, self.archive = name, shelf.archives[name]

    def flip(self, offset, mask=0x10):
        os.chmod(self.path, 0o600)
        with open(self.path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ mask]))

    def frame(self, number):
        """A byte in the middle of a frame's ciphertext."""
        _, offset, length = self.archive.frames[number]
        self.flip(offset + 4 + length // 2)
        return {(self.name, number)}

    def lengthField(self, number):
        """Where the frame ends follows from its neighbours."""
        self.flip(self.archive.frames[number][1] + 1)
        return set()

    def header(self, offset):
        self.flip(offset)
        return set()

    def trailer(self, fromEnd):
        self.flip(os.path.getsize(self.path) - fromEnd)
        return set()

    def truncate(self, size):
        os.chmod(self.path, 0o600)
        os.truncate(self.path, size)
        return {(self.name, number) for number, (_, offset, length) in enumerate(self.archive.frames) if offset + 4 + length > size}

    def remove(self):
        os.unlink(self.path)
        return {(self.name, number) for number in range(len(self.archive.frames))}

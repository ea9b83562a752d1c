#!/usr/bin/env python3
"""Writes a small repository from the specification (RepositoryFormat.md) alone, for tests of readers.

In:  a directory that does not exist yet.
Out: DIR/repository, DIR/key, DIR/key-2, DIR/passphrase (of both keys' slots) and DIR/expected.json: what every snapshot holds.
Tokens are made by `cryptography.fernet.Fernet`, tar entries by `tarfile`.  Content, times and archive ids are the same in
every run; keys, salts and IVs are not.  Python 3.9+; zstd frames need the module `zstandard` or the command `zstd`.
Tests/Vectors/make_vectors.py writes its repositories with the same classes.

The history:
  archive 1 data          chunks of a large file, stored
  archive 2 full          snapshot 1: every kind of entry; xz and zstd data frames, two manifest frames
  archive 3 incremental   snapshot 2: upserts, deletions, chunk runs
  archive 4 record        tag and pin
  archive 5 incremental   snapshot 3; stays behind although archive 7 replaces it
  archive 6 incremental   snapshot 4; removed after archive 7
  archive 7 incremental   snapshot 4, covers 3 to 4, replaces 5 and 6
  archive 8 record        replaces archive 4
  archive 9 incremental   snapshot 5, whose parent is the merged one
  archive 10 full         snapshot 6, under the second key
"""
import base64
import datetime
import hashlib
import io
import json
import lzma
import os
import random
import shutil
import struct
import subprocess
import sys
import tarfile

from cryptography.fernet import Fernet

STORED, XZ, ZSTD = 0, 1, 2
DATA, MANIFEST, CONTENTS = 1, 2, 3
ARCHIVE_KINDS = {"full": 1, "incremental": 2, "data": 3, "record": 4}
ENTRY_KINDS = {"file": 1, "directory": 2, "symlink": 3, "fifo": 4, "socket": 5, "character": 6, "block": 7}
EPOCH = datetime.datetime(1970, 1, 1)
START = 1795411080123                                   # 2026-11-23T05:18:00.123Z, in milliseconds


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def zigzag(value):
    return varint(2 * value if value >= 0 else -2 * value - 1)


def field(tag, data):
    return varint(tag) + varint(len(data)) + data


def sha256(data):
    return hashlib.sha256(data).digest()


def time_text(milliseconds, form):
    moment = EPOCH + datetime.timedelta(milliseconds=milliseconds)
    return moment.strftime(form) + f"{milliseconds % 1000:03d}Z"


def compress(codec, data):
    if codec == STORED:
        return data
    if codec == XZ:
        return lzma.compress(data)
    try:
        import zstandard
        return zstandard.ZstdCompressor().compress(data)
    except ImportError:
        return subprocess.run(["zstd", "-qc"], input=data, stdout=subprocess.PIPE, check=True).stdout


def has_zstd():
    try:
        import zstandard  # noqa: F401
        return True
    except ImportError:
        return shutil.which("zstd") is not None


class Payload:
    """A data payload: tar entries, and where the chunks stand in it."""
    def __init__(self):
        self.data, self.chunks, self.end = b"", b"", 0

    def add(self, name, content):
        info = tarfile.TarInfo(os.fsdecode(name))
        info.size = len(content)
        header = without_device(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        start = len(self.data) + len(header)
        self.data += header + content + bytes(-len(content) % 512)
        self.chunks += sha256(content) + varint(start - self.end) + varint(len(content))
        self.end = start + len(content)
        return sha256(content), len(content)


def without_device(headers):
    """Device numbers of what is no device are empty: some versions of Python write zeros."""
    headers = bytearray(headers)
    for at in {0, len(headers) - 512}:                   # that of pax records, if there are any, and that of the file
        headers[at + 329:at + 345] = bytes(16)
        headers[at + 148:at + 156] = b" " * 8
        headers[at + 148:at + 156] = b"%06o\0 " % sum(headers[at:at + 512])
    return bytes(headers)


class Entry:
    """One entry. content: [(offset, bytes)] pieces between the holes; chunks: [(digest, length)]."""
    device, changed = 8 << 32 | 1, (1_700_000_001, 5)

    def __init__(self, kind, mode=0o644, modified=(1_700_000_000, 123_456_789), uid=12345, gid=54321, inode=1, links=1,
                 content=(), size=0, target=None, special=None, attributes=(), flags=0, user=b"", group=b""):
        self.kind, self.mode, self.modified, self.uid, self.gid = kind, mode, modified, uid, gid
        self.inode, self.links, self.target, self.special = inode, links, target, special
        self.attributes, self.flags, self.user, self.group = attributes, flags, user, group
        self.content, self.chunks, self.runs = list(content), [], None
        self.size = size or sum(len(data) for _, data in self.content) or len(target or b"")

    def whole(self):
        data = bytearray(self.size if self.kind == "file" else 0)
        for offset, piece in self.content:
            data[offset:offset + len(piece)] = piece
        return bytes(data)

    def holes(self):
        """[(gap, length)]: gap from the end of the hole before."""
        found, at, end = [], 0, 0
        for offset, piece in self.content + [(self.size, b"")]:
            if offset > at:
                found.append((at - end, offset - at))
                end = offset
            at = offset + len(piece)
        return found if self.kind == "file" else []

    def link_key(self):
        """Equal for names of one file; None for a file of one name."""
        if self.links > 1 and self.kind != "directory":
            return self.kind, self.device, self.inode, self.size, self.modified, self.target, self.whole()

    def fields(self):
        """[(tag, bytes)], without what is empty."""
        found = []
        if self.runs is not None:
            found.append((8, self.runs))
        elif self.chunks:
            found.append((1, b"".join(digest + varint(length) for digest, length in self.chunks)))
        if self.holes():
            found.append((2, b"".join(varint(gap) + varint(length) for gap, length in self.holes())))
        if self.target is not None:
            found.append((3, self.target))
        if self.special:
            found.append((4, varint(self.special[0]) + varint(self.special[1])))
        found += [(5, varint(len(name)) + name + value) for name, value in self.attributes]
        if self.flags:
            found.append((6, varint(self.flags)))
        return found

    def encoded(self, later=True):
        """The record's body behind the path. later: with what this version does not know, and a field that says nothing."""
        out = bytes([ENTRY_KINDS[self.kind]]) + varint(self.mode) + varint(self.uid) + varint(self.gid)
        out += zigzag(self.modified[0]) + varint(self.modified[1]) + zigzag(self.changed[0]) + varint(self.changed[1])
        out += varint(self.device) + varint(self.inode) + varint(self.links) + varint(self.size)
        out += b"".join(field(tag, data) for tag, data in self.fields())
        return out + field(7, varint(0)) + field(99, b"of a later version") if later else out


def record(kind, body):
    return varint(1 + len(body)) + bytes([kind]) + body


def manifest(changes, later=True):
    """One manifest payload of [(path, Entry or None)], in the order given."""
    out, before, named = b"", b"", set()
    for path, entry in changes:
        for kind, number, name in ((0, entry.uid, entry.user), (1, entry.gid, entry.group)) if entry else ():
            if name and (kind, number) not in named:
                named.add((kind, number))
                out += record(1, bytes([kind]) + varint(number) + name)
        shared = len(os.path.commonprefix([before, path]))
        spelled = varint(shared) + varint(len(path) - shared) + path[shared:]
        out += record(2, spelled + entry.encoded(later)) if entry else record(3, spelled)
        before = path
    return out + record(77, b"of a later version") if later else out


def run_kept(start, count):
    return varint(2 * count + 1) + varint(start)


def run_new(chunks):
    return varint(2 * len(chunks)) + b"".join(digest + varint(length) for digest, length in chunks)


class Repository:
    """Writes archives one after the other. names: {archive number: name}; identities: {snapshot: identity}."""
    full = False                                         # the next commits are full ones
    later = True                                         # with fields and members that this version does not know
    manifest_codec = contents_codec = XZ
    host, sources = b"test", (b"home/ada", b"dev")
    version = 1

    def __init__(self, folder, slots=True):
        self.folder = folder
        self.archives = os.path.join(folder, "archives")
        os.makedirs(self.archives)
        self.keys = self.make_keys()
        self.key = self.keys[0]
        self.id = sha256(b"a repository for tests")[:16]
        self.number = 0
        self.names, self.identities = {}, {}
        self.record_head, self.highest = None, 0
        self.passphrase = "correct horse battery stäple".encode()
        for name in ("lock", "readers"):
            open(os.path.join(folder, name), "w").close()
        with open(os.path.join(folder, "repository.json"), "w", encoding="utf-8") as file:
            json.dump(self.description(slots), file, indent=2)

    # What a subclass makes the same in every run.

    def make_keys(self):
        return [Fernet.generate_key(), Fernet.generate_key()]

    def salt(self):
        return os.urandom(16)

    def seal(self, key, data):
        """A Fernet token."""
        return Fernet(key).encrypt(data)

    def compress(self, codec, data):
        return compress(codec, data)

    def description(self, slots):
        created = time_text(START, "%Y-%m-%dT%H:%M:%S.")
        keys = []
        for number, key in enumerate(self.keys, 1):
            salt = self.salt()
            derived = hashlib.scrypt(self.passphrase, salt=salt, n=1024, r=8, p=1, dklen=32)
            token = self.seal(base64.urlsafe_b64encode(derived), key).decode()
            slot = {"id": 1, "kdf": "scrypt", "n": 1024, "r": 8, "p": 1, "token": token, "created": created,
                    "salt": base64.urlsafe_b64encode(salt).decode()}
            keys.append({"id": number, "created": created, "check": self.seal(key, self.id).decode(),
                         "slots": [slot] if slots else []})
        owner = {"machine": "0" * 32, "configuration": "1" * 32, "host": "test"}
        description = {"format": 1, "id": self.id.hex(), "created": created, "owner": owner, "keys": keys}
        return {**description, "later": "ignored"} if self.later else description

    def frame_header(self, archive_id, number, kind, codec, last, length):
        return archive_id + struct.pack("<IBBBBII", number, kind, codec, last, 0, length, 0)

    def frame(self, archive_id, number, kind, codec, last, payload):
        header = self.frame_header(archive_id, number, kind, codec, last, len(payload))
        token = base64.urlsafe_b64decode(self.seal(self.key, header + self.compress(codec, payload)))
        return struct.pack("<I", len(token)) + token

    def encode_fields(self, found):
        """Fields of contents or snapshot, [(tag, bytes)], as they are written."""
        return b"".join(field(tag, data) for tag, data in found)

    def add(self, kind, data=(), manifests=(), snapshot=b"", replaces=(), remarks=(), time=None):
        """Writes one archive. data: [(Payload, codec)]; manifests: [bytes]. Returns its number."""
        self.number += 1
        time = START + self.number * 1000 if time is None else time
        archive_id = sha256(b"archive %d" % self.number)[:16]
        body = b"ABARCH\x1a\n" + struct.pack("<HHI", self.version, 0, 0) + archive_id
        parts = [(DATA, payload.data, codec) for payload, codec in data]
        parts += [(MANIFEST, payload, self.manifest_codec) for payload in manifests]
        frames = b""
        for number, (part_kind, payload, codec) in enumerate(parts):
            encoded = self.frame(archive_id, number, part_kind, codec, 0, payload)
            frames += bytes([part_kind]) + varint(len(encoded) - 4)
            body += encoded
        chunks = [(6, varint(number) + payload.chunks) for number, (payload, _) in enumerate(data) if payload.chunks]
        contents = self.contents(kind, time, frames, chunks, snapshot, replaces, remarks)
        offset = len(body)
        last = self.frame(archive_id, len(parts), CONTENTS, self.contents_codec, 1, contents)
        body += last + struct.pack("<QII", offset, len(last) - 4, 0) + b"\nABTAIL\x1a"
        self.write(self.number, time, kind, body)
        if kind == "record":
            self.record_head = sha256(body)
        return self.number

    def contents(self, kind, time, frames, chunks, snapshot, replaces, remarks):
        found = [(1, self.id), (2, varint(self.number)), (3, bytes([ARCHIVE_KINDS[kind]])), (4, zigzag(time)), (5, frames)]
        found += chunks
        if snapshot:
            found.append((7, snapshot))
        if replaces:
            found.append((8, b"".join(map(varint, replaces))))
        if self.record_head:
            found.append((9, self.record_head))
        found += [(10, bytes([what]) + varint(of) + text) for what, of, text in remarks]
        found.append((11, varint(self.highest)))
        return self.encode_fields(found + ([(1000, b"of a later version")] if self.later else []))

    def write(self, number, time, kind, body):
        """Gives the bytes of an archive their name."""
        name = f"{number:09d}-{time_text(time, '%Y%m%dT%H%M%S.')}-{kind}-{sha256(body).hex()}.enc"
        with open(os.path.join(self.archives, name), "wb") as file:
            file.write(body)
        self.names[number] = name

    def commit(self, number, manifests, data=(), parent=None, covers_from=None, identity=None, replaces=(), archives=(),
               entries=0, parent_identity=None, time=None, marks=0):
        """Writes the archive that holds snapshot `number`."""
        self.highest = max(self.highest, number)
        time = START + number * 60_000 if time is None else time
        above = parent_identity or self.identities.get(parent, bytes(32))
        computed = sha256(b"auto-backup snapshot 1\n" + self.id + struct.pack("<Qq", number, time) + above
                          + sha256(b"".join(manifests)))
        self.identities[number] = identity or computed
        found = [(1, varint(number)), (2, zigzag(time)), (3, self.host)] + [(4, source) for source in self.sources]
        found.append((5, self.identities[number]))
        if parent is not None:
            found += [(6, above), (7, varint(parent))]
        found.append((8, varint(covers_from or number)))
        if archives or self.later:
            found.append((9, b"".join(map(varint, archives))))
        found.append((10, varint(entries) + varint(0) * 3))
        if marks or self.later:
            found.append((11, varint(marks)))
        snapshot = self.encode_fields(found)
        return self.add("full" if parent is None or self.full else "incremental", data, manifests, snapshot, replaces, time=time)

    def path(self, number):
        return os.path.join(self.archives, self.names[number])


def pseudo(seed, count):
    return random.Random(seed).randbytes(count)


def tree_sorted(changes):
    return sorted(changes.items(), key=lambda item: item[0].split(b"/"))


def first_state():
    """Every kind of entry. Times reach below 1970 and beyond 2038."""
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, bits, number) for tag, bits, number in
                                          ((1, 6, 2**32 - 1), (2, 4, 777), (4, 4, 2**32 - 1), (16, 4, 2**32 - 1), (32, 0, 2**32 - 1)))
    capability = struct.pack("<IIIII", 0x02000000 | 1, 1 << 10, 0, 0, 0)
    big = pseudo(1, 300_000)
    deep = b"home/ada/" + b"/".join(b"%03d-" % n + b"n" * 60 for n in range(12))
    state = {
        b"dev/null-copy": Entry("character", 0o666, special=(1, 3)),
        b"dev/loop-copy": Entry("block", 0o660, special=(7, 4095)),
        b"home/ada": Entry("directory", 0o750, (1_600_000_000, 1), user=b"nobody-of-this-name", group=b"no-such-group"),
        b"home/ada/big.bin": Entry("file", content=[(0, big)]),
        b"home/ada/empty": Entry("file", 0o600, (0, 0)),
        b"home/ada/fifo": Entry("fifo", 0o620),
        b"home/ada/gone": Entry("directory", 0o755),
        b"home/ada/gone/file": Entry("file", content=[(0, b"it will be deleted\n")]),
        b"home/ada/link-1": Entry("file", 0o644, inode=77, links=3, content=[(0, b"three names\n")]),
        b"home/ada/link-2": Entry("file", 0o644, inode=77, links=3, content=[(0, b"three names\n")]),
        b"home/ada/name \xff\n\t'": Entry("file", content=[(0, b"a name that is no UTF-8\n")]),
        b"home/ada/old": Entry("file", 0o444, (-86_400, 999_999_999), content=[(0, b"before 1970\n")]),
        b"home/ada/far": Entry("file", 0o444, (5_000_000_000, 500), content=[(0, b"after 2038\n")]),
        b"home/ada/same": Entry("file", content=[(0, big[:100_000])]),
        b"home/ada/setuid": Entry("file", 0o4755, content=[(0, b"#!/bin/sh\n")], attributes=[(b"security.capability", capability)]),
        b"home/ada/socket": Entry("socket", 0o700),
        b"home/ada/sparse": Entry("file", size=10_000_000, content=[(4096, b"x" * 4096), (1 << 20, pseudo(2, 8192)), (5 << 20, b"tail" * 1024)]),
        b"home/ada/hole": Entry("file", size=65_536),
        b"home/ada/sticky": Entry("directory", 0o1777, (1_500_000_000, 7), attributes=[(b"user.on-a-directory", b"yes")]),
        b"home/ada/sticky.txt": Entry("file", content=[(0, b"sorts behind what is below sticky\n")]),
        b"home/ada/sticky/inner": Entry("file", 0o2755, content=[(0, b"inner\n")]),
        b"home/ada/symlink": Entry("symlink", 0o777, (1_400_000_000, 42), target=b"/etc/passwd"),
        b"home/ada/symlink-to-directory": Entry("symlink", 0o777, target=b"../.."),
        b"home/ada/attributes": Entry("file", 0o640, content=[(0, b"attributes\n")], flags=0x10,
                                      attributes=[(b"user.empty", b""), (b"user.binary", bytes(range(256))), (b"system.posix_acl_access", acl)]),
        b"home/ada/unreadable": Entry("directory", 0o500, (1_300_000_000, 0)),
        b"home/ada/unreadable/file": Entry("file", 0o000, content=[(0, b"below a directory without w\n")]),
        deep: Entry("file", content=[(0, b"a path of more than 512 bytes\n")]),
        b"home/ada/sticky/link-3": Entry("file", 0o644, inode=77, links=3, content=[(0, b"three names\n")]),
        b"home/ada/sub": Entry("directory", 0o755),
        b"home/ada/sub/untouched": Entry("file", content=[(0, b"untouched\n" * 7000)]),
    }
    for depth in range(3, len(deep.split(b"/"))):
        state[b"/".join(deep.split(b"/")[:depth])] = Entry("directory", 0o755)
    return state


def store(state, names, payload, size=65_536):
    """Cuts the content of the named files, puts the chunks into the payload, notes them in the entries."""
    for name in names:
        pieces = [(offset + at, data[at:at + size]) for offset, data in state[name].content for at in range(0, len(data), size)]
        for offset, piece in pieces:
            label = name if len(pieces) == 1 else name + b".chunk-%020d" % offset
            state[name].chunks.append(payload.add(label, piece))


def small_file(text, **more):
    return Entry("file", content=[(0, text)], **more)


def describe(state):
    """The JSON of a state: what a reader must find."""
    found = []
    for path, entry in tree_sorted(state):
        names = [other.hex() for other, e in tree_sorted(state) if entry.link_key() and e.link_key() == entry.link_key()]
        found.append({
            "path": path.hex(), "text": path.decode("utf-8", "backslashreplace"), "kind": entry.kind, "mode": entry.mode,
            "uid": entry.uid, "gid": entry.gid, "user": entry.user.decode(), "group": entry.group.decode(),
            "modified": list(entry.modified), "size": entry.size, "sha256": sha256(entry.whole()).hex(),
            "stored": sum(len(piece) for _, piece in entry.content), "target": (entry.target or b"").hex(),
            "special": list(entry.special or ()), "flags": entry.flags, "names": names,
            "attributes": {name.decode(): value.hex() for name, value in entry.attributes}})
    return found


def make(folder):
    """The whole history. Returns the Repository; expected.json lies next to it."""
    os.makedirs(folder)
    repository, states = Repository(os.path.join(folder, "repository")), {}
    zstd = ZSTD if has_zstd() else XZ

    state = first_state()                                # archives 1 and 2
    large, mixed, other = Payload(), Payload(), Payload()
    store(state, [b"home/ada/big.bin"], large, 50_000)
    repository.add("data", [(large, STORED)])
    state[b"home/ada/same"].chunks = state[b"home/ada/big.bin"].chunks[:2]
    stored = [b"home/ada/big.bin", b"home/ada/same"]
    rest = [path for path, entry in tree_sorted(state) if entry.content and path not in stored]
    store(state, rest[::2], mixed)
    store(state, rest[1::2], other)
    changes = tree_sorted(state)
    full = [manifest(changes[:9]), manifest(changes[9:])]
    repository.commit(1, full, [(mixed, XZ), (other, zstd)], archives=[1], entries=len(state))
    states[1] = dict(state)

    state, payload = dict(state), Payload()              # archive 3
    old = state[b"home/ada/big.bin"]
    data = old.content[0][1]
    new = Entry("file", content=[(0, data[:100_000] + pseudo(3, 60_000) + data[150_000:])])
    added = [payload.add(b"home/ada/big.bin.chunk-%020d" % 100_000, pseudo(3, 60_000))]
    new.chunks = old.chunks[:2] + added + old.chunks[3:]
    new.runs = run_kept(0, 2) + run_new(added) + run_kept(3, 3)
    changes = {b"home/ada/big.bin": new, b"home/ada/gone": None, b"home/ada/gone/file": None,
               b"home/ada/added": small_file(b"added\n"), b"home/ada/empty": small_file(b"not empty any more\n"),
               b"home/ada/old": Entry("directory", 0o700), b"home/ada/old/below": small_file(b"a directory where a file was\n")}
    store(changes, [b"home/ada/added", b"home/ada/empty", b"home/ada/old/below"], payload)
    update(state, changes)
    repository.commit(2, [manifest(tree_sorted(changes))], [(payload, zstd)], parent=1, entries=len(state))
    states[2] = dict(state)

    repository.add("record", remarks=[(2, 1, b"first"), (1, 2, b"")])                      # archive 4

    state, payload = dict(state), Payload()              # archive 5: the large file is cut shorter
    third = Entry("file", content=[(0, new.content[0][1][:160_000])])
    third.chunks, third.runs = new.chunks[:3], run_kept(0, 3)
    changes3 = {b"home/ada/big.bin": third, b"home/ada/added": None, b"home/ada/three": small_file(b"three\n")}
    store(changes3, [b"home/ada/three"], payload)
    update(state, changes3)
    repository.commit(3, [manifest(tree_sorted(changes3))], [(payload, XZ)], parent=2, entries=len(state))

    state, fourth = dict(state), Payload()               # archive 6
    changes4 = {b"home/ada/four": small_file(b"four\n"), b"home/ada/three": small_file(b"three and four\n")}
    store(changes4, list(changes4), fourth)
    update(state, changes4)
    repository.commit(4, [manifest(tree_sorted(changes4))], [(fourth, XZ)], parent=3, entries=len(state))
    states[4] = dict(state)

    third.runs = None                                    # archive 7: runs become a complete list
    merged = {**changes3, **changes4}
    repository.commit(4, [manifest(tree_sorted(merged))], [(fourth, STORED)], parent=2, covers_from=3, replaces=[5, 6],
                      identity=repository.identities[4], entries=len(state))
    os.unlink(repository.path(6))

    repository.add("record", remarks=[(2, 1, b"first"), (1, 2, b""), (2, 4, "größer".encode())], replaces=[4])
    os.unlink(repository.path(4))

    state, payload = dict(state), Payload()              # archive 9
    changes = {b"home/ada/four": None, b"home/ada/five": small_file(b"five\n")}
    store(changes, [b"home/ada/five"], payload)
    update(state, changes)
    repository.commit(5, [manifest(tree_sorted(changes))], [(payload, XZ)], parent=4, entries=len(state))
    states[5] = dict(state)

    repository.key, repository.full = repository.keys[1], True                             # archive 10
    state, payload = dict(state), Payload()
    state[b"home/ada/six"] = small_file(b"six\n")
    store(state, [b"home/ada/six"], payload)
    for entry in state.values():
        entry.runs = None
    repository.commit(6, [manifest(tree_sorted(state))], [(payload, XZ)], parent=5, entries=len(state))
    states[6] = dict(state)
    repository.key, repository.full = repository.keys[0], False

    write_side_files(folder, repository)
    with open(os.path.join(folder, "expected.json"), "w", encoding="utf-8") as file:
        json.dump({"snapshots": {str(number): describe(state) for number, state in states.items()},
                   "covers": {"4": [3, 4]}, "remarks": {"1": ["tag first"], "2": ["pin"], "4": ["tag größer"]}}, file, indent=1)
    return repository


def update(state, changes):
    for path, entry in changes.items():
        if entry is None:
            state.pop(path)
        else:
            state[path] = entry


def write_side_files(folder, repository):
    for name, data in (("key", repository.keys[0] + b"\n"), ("key-2", repository.keys[1] + b"\n"),
                       ("passphrase", repository.passphrase + b"\n")):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_repository.py DIR")
    make(sys.argv[1])

#!/usr/bin/env python3
"""Restores files from an Auto-Backup repository without Auto-Backup.

Written from the specification (RepositoryFormat.md) alone; names in quotation marks are its headings.
Needs Python 3.9 on Linux and `cryptography`; for zstd frames also the module `zstandard` or the command `zstd`.

In:  a repository directory; a key file, or a passphrase that opens a slot.  Nothing in the repository is changed.
Out: a directory with the files of one snapshot, each under its whole path.
Invariants: no byte is used before its token is authenticated, no chunk is written before its digest is compared, and
no symbolic link below the target is followed.  Damage costs the files that need it; each is named on stderr.

Every frame is an ordinary Fernet token without its base64url armour.  `Keys.open` below does what
`Fernet(key).decrypt(base64.urlsafe_b64encode(token))` does, without the copies.

Owners are restored by root only: by name where the name exists on this machine, else (or always, with
--numeric-owner) by number.  Without root, set-user-id and set-group-id bits of files of others are dropped.  Inode flags
(chattr) are listed by `--list --snapshot N`, but not set.  A file that lacks one chunk is not left behind in part.
A directory that was there before keeps its attributes, and a file its content, unless --overwrite is given; that
removes the old file before the new one is written.

Exit status: 0 done, 1 failed, 3 in part, 10 no repository, 12 wrong key, 64 usage; 13 damage: --verify found some, or
nothing could be restored because of it.  3 also when the history has a gap and no snapshot was chosen by --snapshot.
"""
import argparse
import base64
import bisect
import collections
import datetime
import errno
import fcntl
import grp
import hashlib
import hmac
import json
import lzma
import os
import pwd
import re
import stat
import subprocess
import sys
import tempfile

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

try:
    import zstandard
except ImportError:
    zstandard = None

DONE, FAILED, PARTIAL, NO_REPOSITORY, WRONG_KEY, DAMAGED, USAGE = 0, 1, 3, 10, 12, 13, 64

# "Archive", "Frame", "Limits"
HEADER_MAGIC, TRAILER_MAGIC = b"ABARCH\x1a\x0a", b"\x0aABTAIL\x1a"
HEADER_SIZE, TRAILER_SIZE, FRAME_HEADER_SIZE = 8 + 2 + 2 + 4 + 16, 8 + 4 + 4 + 8, 32
PAYLOAD_LIMIT, TOKEN_LIMIT = 64 << 20, (64 << 20) + 4096
TOKEN_LEAST = 1 + 8 + 16 + 48 + 32                    # a frame header alone, padded to three AES blocks
CHUNK_LIMIT, CHUNKS_LIMIT, PATH_LIMIT = 4 << 20, 500_000, 1 << 20
ATTRIBUTE_NAME_LIMIT, ATTRIBUTE_LIMIT, SCRYPT_LIMIT, XZ_MEMORY = 255, 64 << 10, 1 << 30, 128 << 20
DATA, MANIFEST, CONTENTS = 1, 2, 3                    # kinds of frame
FULL, INCREMENTAL, RECORD = 1, 2, 4                   # kinds of archive
KINDS = {"full": 1, "incremental": 2, "data": 3, "record": 4}
FILE, DIRECTORY, SYMLINK, FIFO, SOCKET, CHARACTER, BLOCK = range(1, 8)
TYPE_BITS = {FILE: stat.S_IFREG, DIRECTORY: stat.S_IFDIR, SYMLINK: stat.S_IFLNK, FIFO: stat.S_IFIFO,
             SOCKET: stat.S_IFSOCK, CHARACTER: stat.S_IFCHR, BLOCK: stat.S_IFBLK}
ARCHIVE_NAME = re.compile(r"(\d{9}|[1-9]\d{9,18})-(\d{8}T\d{6}\.\d{3}Z)-(full|incremental|data|record)-([0-9a-f]{64})\.enc", re.ASCII)
EPOCH = datetime.datetime(1970, 1, 1)
O_PATH = getattr(os, "O_PATH", 0o10000000)            # in `os` since Python 3.10
O_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_DIRECTORIES, OPEN_FILES = 64, 16


class Stop(Exception):
    """Ends the program. status: one of the exit statuses above."""
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Damage(Exception):
    """Something in the repository that must not be used; the text names archive, frame and offset."""


class Malformed(Exception):
    """Bytes that break the specification; becomes Damage where the place is known."""


class Report:
    """What goes to stderr, and the exit status that follows from it."""
    def __init__(self):
        self.damages = self.losses = self.restored = 0
        self.seen = set()

    def say(self, message):
        print("recover: " + message, file=sys.stderr)

    def damage(self, message):
        if str(message) not in self.seen:
            self.seen.add(str(message))
            self.damages += 1
            self.say("damage: " + str(message))

    def lost(self, path, reason):
        self.losses += 1
        self.say(f"not restored: {show(path)}: {reason}")

    def incomplete(self, path, reason):
        self.losses += 1
        self.say(f"restored in part: {show(path)}: {reason}")


def show(path):
    """A path or other text from an archive, made safe for a terminal."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text) or "/"


def show_time(milliseconds):
    try:
        return (EPOCH + datetime.timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds") + "Z"
    except OverflowError:
        return f"{milliseconds} ms"


# --- "Conventions" ------------------------------------------------------------------------------------------------

class Cursor:
    """Takes numbers and bytes off the front of a buffer; raises Malformed at its end."""
    __slots__ = ("data", "at", "end")

    def __init__(self, data, at=0, end=None):
        self.data, self.at, self.end = data, at, len(data) if end is None else end

    def take(self, count):
        start, self.at = self.at, self.at + count
        if self.at > self.end:
            raise Malformed(f"{count} bytes are expected at byte {start}, which has fewer")
        return bytes(self.data[start:self.at])

    def byte(self):
        return self.take(1)[0]

    def varint(self):
        value = shift = 0
        for at in range(self.at, min(self.at + 10, self.end)):
            byte = self.data[at]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                self.at = at + 1
                if value >> 64:
                    break
                return value
            shift += 7
        raise Malformed(f"a number at byte {self.at} is cut off or above 2^64 - 1")

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def more(self):
        return self.at < self.end

    def rest(self):
        return self.take(self.end - self.at)

    def finish(self):
        if self.more():
            raise Malformed(f"{self.end - self.at} bytes too many at byte {self.at}")


def integer(data):
    return int.from_bytes(data, "little")


def whole(data, read):
    """What `read` makes of a field that it must use up."""
    cursor = Cursor(data)
    value = read(cursor)
    cursor.finish()
    return value


def varints(data):
    cursor, values = Cursor(data), []
    while cursor.more():
        values.append(cursor.varint())
    return values


def fields(cursor):
    """field*: {tag: [bytes, ...]}"""
    found = {}
    while cursor.more():
        tag, count = cursor.varint(), cursor.varint()
        found.setdefault(tag, []).append(cursor.take(count))
    return found


def one(found, tag, read=None, default=None):
    """The one field with this tag, decoded; `default` without it, Malformed when it stands twice."""
    values = found.get(tag)
    if not values:
        return default
    if len(values) > 1:
        raise Malformed(f"field {tag} stands twice")
    return whole(values[0], read) if read else values[0]


def need(value, what):
    if value is None:
        raise Malformed(f"there is no {what}")
    return value


def sized(data, size, what):
    if data is not None and len(data) != size:
        raise Malformed(f"{what} is not {size} bytes long")
    return data


def check_path(path):
    """The empty path is the root directory itself."""
    if len(path) > PATH_LIMIT or b"\0" in path:
        raise Malformed(f"a path that breaks the rules: {show(path[:200])}")
    for component in path.split(b"/") if path else ():
        if not 1 <= len(component) <= 255 or component in (b".", b".."):
            raise Malformed(f"a path that breaks the rules: {show(path[:200])}")
    return path


def tree_order(path):
    return path.replace(b"/", b"\0")


# --- "Keys" -------------------------------------------------------------------------------------------------------

class Keys:
    """The secret keys at hand, the one that fitted last first."""
    def __init__(self, keys):
        self.keys = []
        for key in keys:
            raw = base64.urlsafe_b64decode(key)
            self.keys.append((raw[:16], raw[16:]))

    def open(self, token):
        """The plaintext of a Fernet token without base64url. Raises Malformed when no key authenticates it."""
        signature = bytes(token[-32:])
        for place, (signing, encryption) in enumerate(self.keys):
            if hmac.compare_digest(hmac.digest(signing, token[:-32], "sha256"), signature):
                self.keys.insert(0, self.keys.pop(place))
                return self.decrypt(encryption, token)
        raise Malformed("the token fails authentication")

    @staticmethod
    def decrypt(encryption, token):
        """0x80, time (8), IV (16), ciphertext, HMAC (32); call it with authenticated tokens only."""
        if token[0] != 0x80 or (len(token) - 25 - 32) % 16:
            raise Malformed("not a Fernet token of version 0x80")
        decryptor = Cipher(algorithms.AES(encryption), modes.CBC(bytes(token[9:25]))).decryptor()
        padded = decryptor.update(token[25:-32]) + decryptor.finalize()
        pad = padded[-1]
        if not 1 <= pad <= 16 or padded[-pad:] != bytes([pad]) * pad:
            raise Malformed("the padding is wrong")
        return padded[:-pad]


def unlock(description, key_files, passphrase_file):
    """The secret keys that are given, that the passphrase opens and that the newest of these unwraps; at least one fits the repository."""
    keys = [key for name in key_files for key in read_key(name)]
    if passphrase_file:
        with open(passphrase_file, "rb") as file:
            keys += open_slots(description, file.read())
    identifier = bytes.fromhex(description["id"])
    if not any(fits(key, entry.get("check"), identifier) for key in keys for entry in description["keys"]):
        raise Stop(WRONG_KEY, "no key or passphrase that was given opens this repository")
    keys += unwrap(description["keys"], keys, identifier)
    for entry in description["keys"]:
        if not any(fits(key, entry.get("check"), identifier) for key in keys):
            print(f"recover: key {entry.get('id')} is not at hand: what is under it cannot be read", file=sys.stderr)
    return Keys(keys)


def unwrap(entries, keys, identifier):
    """The older keys, from their copies under the newest one, if that is among `keys`."""
    newest = max(entries, key=lambda entry: entry["id"] if type(entry.get("id")) is int else 0)
    found = []
    for key in (key for key in keys if fits(key, newest.get("check"), identifier)):
        for entry in entries:
            try:
                older = Fernet(key).decrypt(entry["wrapped"].encode())
                Fernet(older)
            except (InvalidToken, ValueError, KeyError, AttributeError):
                continue
            if fits(older, entry.get("check"), identifier):
                found.append(older)
    return found


def read_key(name):
    with open(name, "rb") as file:
        key = file.read(4096).strip()
    try:
        Fernet(key)
    except ValueError:
        raise Stop(WRONG_KEY, f"{name}: not a key of 44 characters of base64url") from None
    return [key]


def fits(key, check, identifier):
    try:
        return Fernet(key).decrypt(check.encode()) == identifier
    except (InvalidToken, AttributeError):
        return False


def open_slots(description, passphrase):
    """The keys in the slots that this passphrase opens. One newline at its end does not belong to it."""
    passphrase = passphrase[:-1] if passphrase.endswith(b"\n") else passphrase
    keys = []
    for slot in (slot for entry in description["keys"] for slot in entry.get("slots", ())):
        n, r, p = slot.get("n", 0), slot.get("r", 0), slot.get("p", 0)
        if slot.get("kdf") != "scrypt" or not all(type(x) is int and x > 0 for x in (n, r, p)) or 128 * n * r > SCRYPT_LIMIT or p > 16:
            print(f"recover: slot {slot.get('id')} is passed over: its parameters are refused", file=sys.stderr)
            continue
        try:
            salt = base64.urlsafe_b64decode(slot["salt"] + "==")
            memory = 128 * r * (n + p + 2) + (1 << 20)
            derived = hashlib.scrypt(passphrase, salt=salt, n=n, r=r, p=p, maxmem=min(memory, 2**31 - 1), dklen=32)
            key = Fernet(base64.urlsafe_b64encode(derived)).decrypt(slot["token"].encode())
            Fernet(key)
            keys.append(key)
        except (InvalidToken, ValueError, KeyError, TypeError):
            continue
    return keys


# --- Codecs -------------------------------------------------------------------------------------------------------

def decompress(codec, data, length):
    """Exactly `length` bytes, else Malformed; never asks for much more memory than that."""
    try:
        if codec == 0:
            plain = data
        elif codec == 1:
            decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
            plain = decoder.decompress(data, max_length=length + 1)
            if not plain and not decoder.eof:
                plain = decoder.decompress(b"", max_length=1)
            if not decoder.eof or decoder.unused_data:
                raise Malformed("the xz stream does not end with its frame or its length")
        elif codec == 2:
            plain = decompress_zstd(data, length)
        else:
            raise Malformed(f"the codec {codec} is unknown")
    except (lzma.LZMAError, OSError) as error:
        raise Malformed(f"the payload cannot be decompressed: {error}") from None
    if len(plain) != length:
        raise Malformed(f"the payload has not the {length} bytes that its header says")
    return plain


def decompress_zstd(data, length):
    if zstandard:
        try:
            return zstandard.ZstdDecompressor().stream_reader(data).read(length + 1)
        except zstandard.ZstdError as error:
            raise Malformed(f"the payload cannot be decompressed: {error}") from None
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        try:
            process = subprocess.Popen(["zstd", "-dcq"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        except FileNotFoundError:
            raise Stop(FAILED, "a frame is compressed with zstd: install the module zstandard or the command zstd") from None
        plain = process.stdout.read(length + 1)
        if len(plain) > length:
            process.kill()                               # it would go on for as long as the frame says
        process.stdout.close()
        if process.wait() != 0 and len(plain) <= length:
            raise Malformed("the payload cannot be decompressed by zstd")
        return plain


# --- "Archive" and "Contents payload" -----------------------------------------------------------------------------

class Snapshot:
    """The snapshot field of a commit."""
    def __init__(self, data):
        found = fields(Cursor(data))
        self.number = need(one(found, 1, Cursor.varint), "snapshot number")
        self.time = need(one(found, 2, Cursor.zigzag), "snapshot time")
        self.identity = need(sized(one(found, 5), 32, "the identity"), "identity")
        self.parent_identity = sized(one(found, 6), 32, "the parent identity")
        self.parent = one(found, 7, Cursor.varint)
        self.covers_from = one(found, 8, Cursor.varint, self.number)
        self.entries = (varints(one(found, 10, default=b"")) or [None])[0]
        if not 1 <= self.covers_from <= self.number:
            raise Malformed(f"snapshot {self.number} covers from {self.covers_from}")
        if (self.parent is None) != (self.parent_identity is None):
            raise Malformed("of parent number and parent identity there is only one")
        if self.parent is not None and self.parent >= self.covers_from:
            raise Malformed(f"snapshot {self.number}, covering from {self.covers_from}, has parent {self.parent}")


class Archive:
    """One file of archives/. Made from its name; `load` reads its contents frame."""
    def __init__(self, folder, match):
        self.name, self.path = match[0], os.path.join(folder, match[0])
        self.number, self.kind, self.sha256 = int(match[1]), KINDS[match[3]], bytes.fromhex(match[4])
        moment = datetime.datetime.strptime(match[2], "%Y%m%dT%H%M%S.%fZ")
        self.time = (moment - EPOCH) // datetime.timedelta(milliseconds=1)
        self.frames, self.readable = [], False           # frames: (kind, offset, token length)

    def damage(self, error, frame="-", offset=0):
        return Damage(f"{self.name}: frame {frame}, offset {offset}: {error}")

    def read(self, offset, count):
        with open(self.path, "rb", buffering=0) as file:
            data = os.pread(file.fileno(), count, offset)
            while len(data) < count:
                more = os.pread(file.fileno(), count - len(data), offset + len(data))
                if not more:
                    raise Malformed("the file ends too early")
                data += more
            return data

    def load(self, keys, repository_id):
        """Reads header, trailer and contents. Raises Damage; then the archive is of no use."""
        offset = 0
        try:
            self.keys, self.size = keys, os.stat(self.path).st_size
            if self.size < HEADER_SIZE + 4 + TOKEN_LEAST + TRAILER_SIZE:
                raise Malformed("the file is too short")
            self.read_header()
            offset = self.size - TRAILER_SIZE
            offset, length = self.read_trailer()
            self.read_contents(self.decode(None, CONTENTS, offset, length), offset, repository_id)
        except (Malformed, OSError) as error:
            raise self.damage(error, len(self.frames) - 1 if self.frames else "-", offset) from None
        self.frames.append((CONTENTS, offset, length))
        self.readable = True

    def read_header(self):
        header = self.read(0, HEADER_SIZE)
        if header[:8] != HEADER_MAGIC:
            raise Malformed("not an archive")
        if integer(header[8:10]) != 1:
            raise Malformed(f"version {integer(header[8:10])} is unknown")
        if any(header[10:16]):
            raise Malformed("reserved bytes of the header are not zero")
        self.id = header[16:32]

    def read_trailer(self):
        trailer = self.read(self.size - TRAILER_SIZE, TRAILER_SIZE)
        offset, length = integer(trailer[:8]), integer(trailer[8:12])
        if trailer[16:] != TRAILER_MAGIC:
            raise Malformed("the trailer is missing: the file is cut off or damaged")
        if any(trailer[12:16]):
            raise Malformed("reserved bytes of the trailer are not zero")
        if offset < HEADER_SIZE or offset + 4 + length + TRAILER_SIZE != self.size:
            raise Malformed("the trailer names a place where the last frame cannot stand")
        return offset, length

    def decode(self, number, kind, offset, length):
        """"Frame": the decompressed payload. number None is the last frame, whose number the list in it tells."""
        if not TOKEN_LEAST <= length <= TOKEN_LIMIT:
            raise Malformed(f"a token of {length} bytes is outside the limits")
        framed = self.read(offset, 4 + length)
        if integer(framed[:4]) != length:
            raise Malformed("the frame has another length than contents or trailer say")
        plain = self.keys.open(memoryview(framed)[4:])
        if len(plain) < FRAME_HEADER_SIZE:
            raise Malformed("the frame has no header")
        size, last = integer(plain[24:28]), number is None
        if plain[22] & ~1 or plain[23] or any(plain[28:32]):
            raise Malformed("reserved bytes of the frame are not zero")
        if last:
            self.last_number = integer(plain[16:20])
        elif integer(plain[16:20]) != number:
            raise Malformed(f"the frame is out of its place: it is number {integer(plain[16:20])}")
        if plain[:16] != self.id or plain[20] != kind or plain[22] != (1 if last else 0):
            raise Malformed("the frame is out of its place: archive, kind or last flag differs")
        if size > PAYLOAD_LIMIT:
            raise Malformed(f"a payload of {size} bytes is over the limit")
        return decompress(plain[21], memoryview(plain)[FRAME_HEADER_SIZE:], size)

    def read_contents(self, payload, end, repository_id):
        found = fields(Cursor(payload))
        self.frames = self.read_frames(one(found, 5, default=b""), end)
        if self.last_number != len(self.frames):
            raise Malformed(f"the last frame is out of its place: it is number {self.last_number}")
        if one(found, 1) != repository_id:
            raise Malformed("the archive belongs to another repository")
        said = one(found, 2, Cursor.varint), one(found, 3, Cursor.byte), one(found, 4, Cursor.zigzag)
        if said != (self.number, self.kind, self.time):
            raise Malformed("number, kind or time in the name is not that of the contents")
        self.snapshot = None
        if self.kind in (FULL, INCREMENTAL):
            self.snapshot = Snapshot(need(one(found, 7), "snapshot"))
            if self.kind == INCREMENTAL and self.snapshot.parent is None:
                raise Malformed("an incremental archive without a parent")
        self.replaces = varints(one(found, 8, default=b""))
        self.record_head = sized(one(found, 9), 32, "the record head")
        self.remarks = [self.read_remark(Cursor(data)) for data in found.get(10, ())] if self.kind == RECORD else []
        self.highest = one(found, 11, Cursor.varint, 0)
        self.read_chunk_fields(found.get(6, ()))

    def read_frames(self, data, end):
        cursor, offset, kinds, frames = Cursor(data), HEADER_SIZE, [], []
        while cursor.more():
            kind, length = cursor.byte(), cursor.varint()
            frames.append((kind, offset, length))
            kinds.append(kind)
            offset += 4 + length
        allowed = {3: {DATA}, 4: set()}.get(self.kind, {DATA, MANIFEST})
        if offset != end or kinds != sorted(kinds) or not set(kinds) <= allowed:
            raise Malformed("the list of frames does not fit the archive")
        return frames

    @staticmethod
    def read_remark(cursor):
        return cursor.byte(), cursor.varint(), cursor.rest()

    def read_chunk_fields(self, values):
        """Keeps them packed: 40 bytes a chunk. frame number: (bytes, where the chunks begin)"""
        self.packed = {}
        for data in values:
            cursor = Cursor(data)
            frame = cursor.varint()
            if frame >= len(self.frames) or self.frames[frame][0] != DATA or frame in self.packed:
                raise Malformed(f"chunks of frame {frame}, which is no data frame or stands twice")
            self.packed[frame] = data, cursor.at
        if sum(1 for frame in self.packed for _ in self.chunks(frame)) > CHUNKS_LIMIT:
            raise Malformed("more chunks than the limit")

    def chunks(self, frame):
        """(digest, offset in the decompressed payload, length) of each chunk of a data frame."""
        data, at = self.packed.get(frame, (b"", 0))
        cursor, offset = Cursor(data, at), 0
        while cursor.more():
            digest = cursor.take(32)
            offset += cursor.varint()
            length = cursor.varint()
            if not 1 <= length <= CHUNK_LIMIT or offset + length > PAYLOAD_LIMIT:
                raise Malformed(f"a chunk of frame {frame} is outside the limits")
            yield digest, offset, length
            offset += length

    def payload(self, number):
        """The decompressed payload of a frame. Raises Damage."""
        kind, offset, length = self.frames[number]
        try:
            return self.decode(None if number == len(self.frames) - 1 else number, kind, offset, length)
        except (Malformed, OSError) as error:
            raise self.damage(error, number, offset) from None

    def numbers(self, kind):
        return [number for number, frame in enumerate(self.frames) if frame[0] == kind]


# --- "Manifest payload" -------------------------------------------------------------------------------------------

class Entry:
    """One file system object. chunks: [(digest, length)]; holes: [(offset, length)]; runs: see resolve."""
    __slots__ = ("kind", "mode", "uid", "gid", "user", "group", "modified", "device", "inode", "links", "size",
                 "chunks", "runs", "holes", "target", "special", "attributes", "flags", "marks")

    def __init__(self, cursor, names):
        number = cursor.varint
        self.kind, self.mode, self.uid, self.gid = cursor.byte(), number(), number(), number()
        self.user, self.group = names.get((0, self.uid)), names.get((1, self.gid))
        self.modified = self.read_time(cursor)
        self.read_time(cursor)                           # the time of change cannot be set
        self.device, self.inode, self.links, self.size = number(), number(), number(), number()
        found = fields(cursor)
        self.runs = read_runs(one(found, 8))
        self.chunks = one(found, 1, read_chunks, [])
        self.holes = read_holes(one(found, 2, default=b""))
        self.target = one(found, 3)
        self.special = one(found, 4, lambda body: (body.varint(), body.varint()))
        self.attributes = [read_attribute(Cursor(data)) for data in found.get(5, ())]
        self.flags, self.marks = one(found, 6, Cursor.varint, 0), one(found, 7, Cursor.varint, 0)
        self.check()

    @staticmethod
    def read_time(cursor):
        seconds, nanoseconds = cursor.zigzag(), cursor.varint()
        if nanoseconds >= 1_000_000_000:
            raise Malformed("a time with more than a second of nanoseconds")
        return seconds * 1_000_000_000 + nanoseconds

    def check(self):
        if self.kind not in TYPE_BITS or self.mode > 0o7777:
            raise Malformed(f"kind {self.kind} or mode {self.mode:o} is unknown")
        if self.kind == SYMLINK and (not self.target or b"\0" in self.target):
            raise Malformed("a symlink without a proper target")
        if self.kind in (CHARACTER, BLOCK) and self.special is None:
            raise Malformed("a device without its numbers")
        if self.runs is not None and self.chunks:
            raise Malformed("chunks and chunk runs in one entry")
        if self.kind != FILE and (self.chunks or self.runs or self.holes):
            raise Malformed("content in an entry that is no file")
        if self.runs is None:
            self.check_size()

    def check_size(self):
        stored = sum(length for _, length in self.chunks) + sum(length for _, length in self.holes)
        if self.kind == FILE and (stored != self.size or self.size >> 63):
            raise Malformed("chunks and holes do not make up the size")
        if self.holes:
            self.check_holes()

    def check_holes(self):
        ends, end, before = {0}, 0, 0
        for _, length in self.chunks:
            end += length
            ends.add(end)
        for offset, length in self.holes:
            if not length or offset - before not in ends:
                raise Malformed("a hole is empty, lies within a chunk or behind the end")
            before += length

    def resolve(self, previous):
        """Turns chunk runs into chunks, with those of the previous version (or None)."""
        if self.runs is None:
            return
        for start, count, new in self.runs:
            if start is not None:
                if previous is None or previous.kind != FILE or start + count > len(previous.chunks):
                    raise Malformed("chunks are kept from a previous version that does not have them")
                new = previous.chunks[start:start + count]
            self.chunks += new
        self.runs = None
        self.check_size()

    def link_key(self):
        """Content, too: device numbers are of the boot in which the entry was read."""
        return self.device, self.inode, self.kind, self.size, self.modified, self.target, tuple(self.chunks)


def read_chunk(cursor):
    digest, length = cursor.take(32), cursor.varint()
    if not 1 <= length <= CHUNK_LIMIT:
        raise Malformed(f"a chunk of {length} bytes")
    return digest, length


def read_chunks(cursor):
    chunks = []
    while cursor.more():
        chunks.append(read_chunk(cursor))
    return chunks


def read_runs(data):
    """[(start, count, None) for kept chunks, (None, count, chunks) for new ones], or None without the field."""
    if data is None:
        return None
    cursor, runs = Cursor(data), []
    while cursor.more():
        count, kept = divmod(cursor.varint(), 2)
        if not count:
            raise Malformed("an empty run")
        if kept:
            runs.append((cursor.varint(), count, None))
        elif count * 33 <= cursor.end - cursor.at:
            runs.append((None, count, [read_chunk(cursor) for _ in range(count)]))
        else:
            raise Malformed("a run of more chunks than its field holds")
    return runs


def read_holes(data):
    cursor, offset, holes = Cursor(data), 0, []
    while cursor.more():
        offset += cursor.varint()
        length = cursor.varint()
        holes.append((offset, length))
        offset += length
    return holes


def read_attribute(cursor):
    name = cursor.take(cursor.varint())
    value = cursor.rest()
    if not 1 <= len(name) <= ATTRIBUTE_NAME_LIMIT or b"\0" in name or len(value) > ATTRIBUTE_LIMIT:
        raise Malformed("an extended attribute is outside the limits")
    return name, value


def read_manifest(payload, archive_kind, after):
    """[(path, Entry or None for a deletion)] of one manifest frame; `after` is the path before it, or None."""
    cursor, names, path, changes = Cursor(payload), {}, b"", []
    while cursor.more():
        start, length = cursor.at, cursor.varint()
        record = Cursor(payload, cursor.at, cursor.at + length)
        cursor.take(length)
        try:
            kind = record.byte()
            if kind == 1:
                owner = record.byte(), record.varint()
                names[owner] = record.rest()
            elif kind in (2, 3):
                shared = record.varint()
                if shared > len(path):
                    raise Malformed("a path shares more than there is")
                path = check_path(path[:shared] + record.take(record.varint()))
                if after is not None and tree_order(path) <= tree_order(after):
                    raise Malformed(f"{show(path)} is not in tree order")
                after = path
                changes.append((path, read_change(record, kind, path, names, archive_kind)))
        except Malformed as error:
            raise Malformed(f"record at byte {start} of the payload: {error}") from None
    return changes


def read_change(record, kind, path, names, archive_kind):
    if kind == 3:
        record.finish()
        if archive_kind == FULL:
            raise Malformed("a deletion in a full manifest")
        return None
    entry = Entry(record, names)
    if not path and entry.kind != DIRECTORY:
        raise Malformed("the root is no directory")
    if entry.runs is not None and archive_kind == FULL:
        raise Malformed("chunk runs in a full manifest, which has no previous version")
    return entry


class State:
    """The entries of a snapshot: path to Entry. unknown: path to the reason why its entry cannot be told."""
    def __init__(self):
        self.entries, self.unknown, self.whole = {}, {}, True

    def apply(self, archive, report):
        """Goes on to the snapshot of this commit. Returns the paths that it lists."""
        if archive.kind == FULL:
            self.__init__()
        frames, digest = self.read(archive, report)
        if None in frames:
            self.whole = False
            self.forget(archive, frames, report)
        elif archive.snapshot.covers_from == archive.snapshot.number and not archive.replaces:
            self.compare_identity(archive, digest)
        listed = []
        for path, entry in (change for frame in frames if frame for change in frame):
            self.change(archive, path, entry, report)
            listed.append(path)
        return listed

    def read(self, archive, report):
        """The changes of each manifest frame, None for a damaged one; the SHA-256 of all payloads."""
        frames, digest, after = [], hashlib.sha256(), None
        for number in archive.numbers(MANIFEST):
            try:
                payload = archive.payload(number)
                digest.update(payload)
                try:
                    frames.append(read_manifest(payload, archive.kind, after))
                except Malformed as error:
                    raise archive.damage(error, number, archive.frames[number][1]) from None
                after = frames[-1][-1][0] if frames[-1] else after
            except Damage as error:
                report.damage(error)
                frames.append(None)
        return frames, digest.digest()

    def compare_identity(self, archive, manifest_digest):
        """"Snapshot": an archive that replaces others carries an identity that cannot be computed again."""
        snapshot = archive.snapshot
        identity = hashlib.sha256(
            b"auto-backup snapshot 1\n" + archive.repository_id + snapshot.number.to_bytes(8, "little")
            + snapshot.time.to_bytes(8, "little", signed=True) + (snapshot.parent_identity or bytes(32)) + manifest_digest)
        if identity.digest() != snapshot.identity:
            raise archive.damage("the manifest does not have the identity that the contents say", len(archive.frames) - 1,
                                 archive.frames[-1][1])

    def forget(self, archive, frames, report):
        """What a damaged frame may have changed is neither as it was nor known: the paths between its neighbours."""
        for place in (place for place, frame in enumerate(frames) if frame is None):
            before = next((frame[-1][0] for frame in reversed(frames[:place]) if frame), None)
            behind = next((frame[0][0] for frame in frames[place:] if frame), None)
            reason = f"its entry may stand in a damaged frame of {archive.name}"
            report.say(f"the entries between {show(before or b'')} and {show(behind) if behind else 'the end'} are unknown: "
                       f"a manifest frame of {archive.name} is damaged")
            for path in list(self.entries):
                if (before is None or tree_order(path) > tree_order(before)) \
                        and (behind is None or tree_order(path) < tree_order(behind)):
                    del self.entries[path]
                    self.unknown[path] = reason

    def change(self, archive, path, entry, report):
        previous = self.entries.pop(path, None)
        reason = self.unknown.pop(path, None)
        if entry is None:
            return
        try:
            entry.resolve(previous)
            self.entries[path] = entry
        except Malformed as error:
            self.unknown[path] = reason or str(error)
            if not reason:
                report.damage(archive.damage(f"{show(path)}: {error}", "manifest"))


# --- "The directory" and "Reading" --------------------------------------------------------------------------------

class Repository:
    """All archives whose contents can be read, and the valid commits among them."""
    def __init__(self, folder, report):
        self.folder, self.report = folder, report
        self.archives, self.commits, self.listed, self.history_whole = [], {}, [], True
        try:
            with open(os.path.join(folder, "repository.json"), encoding="utf-8") as file:
                self.description = json.load(file)
            self.id = bytes.fromhex(self.description["id"])
            version, keys = self.description["format"], self.description["keys"]
            if len(self.id) != 16 or not isinstance(version, int) or not all(isinstance(key, dict) for key in keys):
                raise ValueError("members have the wrong form")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Stop(NO_REPOSITORY, f"{folder}: not a repository: {error}") from None
        if not 1 <= version <= 1:
            raise Stop(FAILED, f"{folder}: format {version} is unknown to this program, which reads format 1")

    def hold(self):
        """Shared lock on `readers`, until the process ends; a medium that cannot lock is read without."""
        try:
            self.readers = os.open(os.path.join(self.folder, "readers"), os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(self.readers, fcntl.LOCK_SH)
        except OSError:
            pass

    def load(self, keys):
        self.list_archives()
        for archive in self.listed:
            try:
                archive.repository_id = self.id
                archive.load(keys, self.id)
                self.archives.append(archive)
            except Damage as error:
                self.report.damage(error)
        self.choose_commits()
        self.check_history()
        self.check_records()

    def list_archives(self):
        folder = os.path.join(self.folder, "archives")
        try:
            names = sorted(os.listdir(folder))
        except OSError as error:
            raise Stop(NO_REPOSITORY, f"{folder}: {error.strerror}") from None
        numbers = set()
        for name in names:
            try:
                match = ARCHIVE_NAME.fullmatch(name)
                archive = Archive(folder, match) if match else None
            except ValueError:                           # a time that no calendar has
                archive = None
            if archive is None:
                if not (name.startswith(".") and name.endswith(".tmp")):
                    self.report.say(f"archives/{show(os.fsencode(name))} is ignored: not the name of an archive")
                continue
            if archive.number in numbers:
                self.report.damage(f"{name}: its number is used twice")
            numbers.add(archive.number)
            self.listed.append(archive)
        self.listed.sort(key=lambda archive: archive.number)

    def choose_commits(self):
        """Step 2: where two cover a common number, the higher archive number is valid."""
        ranges = []                                      # (from, to) of the valid ones, sorted, disjoint
        for archive in reversed(self.archives):
            if archive.snapshot:
                first, last = archive.snapshot.covers_from, archive.snapshot.number
                place = bisect.bisect_left(ranges, (first, first))
                before = ranges[place - 1][1] if place else 0
                behind = ranges[place][0] if place < len(ranges) else last + 1
                if before < first and last < behind:
                    ranges.insert(place, (first, last))
                    self.commits[last] = archive
        self.commits = dict(sorted(self.commits.items()))

    def check_history(self):
        """Step 2: the ranges tile the numbers; step 3: the parents are those that the commits mean."""
        last = 0
        for number, archive in self.commits.items():
            first = archive.snapshot.covers_from
            if first != last + 1:
                self.history_damage(f"the snapshots {last + 1} to {first - 1} are missing")
            last = number
            try:
                self.parent(archive)
            except Damage as error:
                self.history_damage(error)
        highest = max((archive.highest for archive in self.archives), default=0)
        if highest > last:
            self.history_damage(f"the snapshots {last + 1} to {highest} are missing at the newest end")
        if any(not archive.readable and archive.kind in (FULL, INCREMENTAL) for archive in self.listed):
            self.history_whole = False

    def history_damage(self, message):
        self.history_whole = False
        self.report.damage(message)

    def check_records(self):
        """Step 5: commits name the newest record of their time, so that none can be dropped or replayed."""
        records = [archive for archive in self.archives if archive.kind == RECORD]
        newest = records[-1] if records else None
        later = [a for a in self.archives if a.snapshot and (newest is None or a.number > newest.number)]
        if any(archive.record_head != (newest.sha256 if newest else None) for archive in later):
            self.report.damage("pins and tags may be out of date: the newest record is missing")

    def parent(self, archive):
        """The commit of the parent snapshot; None without parent. Raises Damage."""
        snapshot = archive.snapshot
        if snapshot.parent is None:
            return None
        parent = self.commits.get(snapshot.parent)
        place = len(archive.frames) - 1, archive.frames[-1][1]
        if parent is None:
            raise archive.damage(f"the parent of snapshot {snapshot.number}, snapshot {snapshot.parent}, is missing", *place)
        if parent.snapshot.identity != snapshot.parent_identity:
            raise archive.damage(f"the parent of snapshot {snapshot.number} has another identity", *place)
        return parent

    def state(self, number):
        """Step 3. Raises Damage."""
        chain = [self.commits[number]]
        while chain[-1].kind != FULL:
            chain.append(self.parent(chain[-1]))
        state = State()
        for archive in reversed(chain):
            state.apply(archive, self.report)
        return state

    def remarks(self):
        """{snapshot: texts}, of the record with the highest number."""
        found = collections.defaultdict(list)
        for record in [archive for archive in self.archives if archive.kind == RECORD][-1:]:
            for kind, snapshot, text in record.remarks:
                found[snapshot].append({1: "pin", 2: "tag"}.get(kind, "remark") + (" " + show(text) if text else ""))
        return found

    def locate(self, needed):
        """Step 4: {digest: [(length, archive, frame, offset), ...]} of the digests that are needed."""
        places = {}
        for archive in self.archives:
            for frame in archive.packed:
                for digest, offset, length in archive.chunks(frame):
                    if digest in needed:
                        places.setdefault(digest, []).append((length, archive, frame, offset))
        return places


# --- The target ---------------------------------------------------------------------------------------------------

class Target:
    """A directory that is written to by descriptors only: each component is opened with O_NOFOLLOW."""
    def __init__(self, path):
        os.makedirs(path, exist_ok=True)
        self.root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self.directories, self.files = collections.OrderedDict(), collections.OrderedDict()

    def directory(self, path):
        """A descriptor that stays open for at least the next call. Makes directories that are missing."""
        if not path:
            return self.root
        if path in self.directories:
            self.directories.move_to_end(path)
            return self.directories[path]
        above, name = self.place(path)
        try:
            descriptor = os.open(name, O_STEP, dir_fd=above)
        except FileNotFoundError:
            os.mkdir(name, dir_fd=above)
            descriptor = os.open(name, O_STEP, dir_fd=above)
        self.directories[path] = descriptor
        if len(self.directories) > OPEN_DIRECTORIES:
            os.close(self.directories.popitem(last=False)[1])
        return descriptor

    def place(self, path):
        """(descriptor of the directory, name in it)"""
        components = path.split(b"/")
        if len(components) <= OPEN_DIRECTORIES // 2 or b"/".join(components[:-1]) in self.directories:
            return self.directory(b"/".join(components[:-1])), components[-1] or b"."
        for depth in range(1, len(components) - 1):      # deep paths: from the top, without deep recursion
            self.directory(b"/".join(components[:depth]))
        return self.directory(b"/".join(components[:-1])), components[-1]

    def write(self, path, offset, data):
        if path in self.files:
            self.files.move_to_end(path)
        else:
            above, name = self.place(path)
            self.files[path] = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            if len(self.files) > OPEN_FILES:
                os.close(self.files.popitem(last=False)[1])
        while data:
            count = os.pwrite(self.files[path], data, offset)
            data, offset = data[count:], offset + count

    def close_files(self):
        while self.files:
            os.close(self.files.popitem()[1])

    def make(self, path, entry, overwrite):
        """Makes the object without content or attributes. False: it is a directory that was there."""
        above, name = self.place(path)
        try:
            return self.make_new(above, name, entry)
        except FileExistsError:
            there = os.stat(name, dir_fd=above, follow_symlinks=False)
            if entry.kind == DIRECTORY and stat.S_ISDIR(there.st_mode):
                return False
            if not overwrite or stat.S_ISDIR(there.st_mode):
                raise
            os.unlink(name, dir_fd=above)
            return self.make_new(above, name, entry)

    @staticmethod
    def make_new(above, name, entry):
        if entry.kind == DIRECTORY:
            os.mkdir(name, 0o700, dir_fd=above)
        elif entry.kind == FILE:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o600, dir_fd=above)
            try:
                os.ftruncate(descriptor, entry.size)     # one big hole, filled by chunks
            finally:
                os.close(descriptor)
        elif entry.kind == SYMLINK:
            os.symlink(entry.target, name, dir_fd=above)
        else:
            number = os.makedev(*entry.special) if entry.kind in (CHARACTER, BLOCK) else 0
            os.mknod(name, TYPE_BITS[entry.kind] | 0o600, number, dir_fd=above)
        return True

    def link(self, existing, path, overwrite):
        for again in (True, False):
            here = os.dup(self.place(existing)[0])       # the next place may close it
            try:
                above, name = self.place(path)
                return os.link(existing.rsplit(b"/", 1)[-1], name, src_dir_fd=here, dst_dir_fd=above, follow_symlinks=False)
            except FileExistsError:
                if not overwrite or not again:
                    raise
                os.unlink(name, dir_fd=above)
            finally:
                os.close(here)

    def remove(self, path):
        above, name = self.place(path)
        os.unlink(name, dir_fd=above)


# --- Restoring ----------------------------------------------------------------------------------------------------

class Restoration:
    """Makes all objects, then their content in the order of frames, then links, then attributes."""
    def __init__(self, repository, target, entries, options, report):
        self.repository, self.target, self.entries = repository, target, entries
        self.options, self.report, self.root = options, report, os.geteuid() == 0
        self.made, self.links, self.skipped = {}, [], set()

    def run(self):
        self.make()
        self.fill()
        self.make_links()
        for path, entry in self.made.items():
            if entry.kind != DIRECTORY:
                self.dress(path, entry)
        for path, entry in reversed(list(self.made.items())):
            if entry.kind == DIRECTORY:                  # post-order: nothing below changes any more
                self.dress(path, entry)
        if self.skipped:
            self.report.say(f"not restored for want of root: {', '.join(sorted(self.skipped))}")

    def attempt(self, path, action, *arguments):
        """The result of the action; None when it failed, and then the path is reported."""
        try:
            return action(*arguments)
        except FileExistsError:
            self.report.lost(path, "it exists (--overwrite replaces it)")
        except (OSError, ValueError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise Stop(FAILED, f"{show(path)}: {error.strerror}") from None
            self.report.lost(path, getattr(error, "strerror", None) or str(error))
        return None

    def make(self):
        first = {}
        for path, entry in self.entries:
            key = entry.link_key() if entry.links > 1 and entry.kind != DIRECTORY else None
            if key in first:
                self.links.append((first[key], path))
                continue
            new = self.attempt(path, self.target.make, path, entry, self.options.overwrite)
            if new or (new is False and self.options.overwrite):
                self.made[path] = entry
            if new is not None:
                self.report.restored += entry.kind != DIRECTORY
                if key:
                    first[key] = path

    def fill(self):
        uses, lost = {}, {}
        for path, entry in self.made.items():
            for chunk, position in placements(entry):
                uses.setdefault(chunk, []).append((path, position))
        places = self.repository.locate({digest for digest, _ in uses})
        waiting, reasons = list(uses), {}
        while waiting:                                   # once, and again for chunks with a second place
            waiting = self.fill_from(self.plan(waiting, places, uses, reasons, lost), uses, reasons, lost)
        self.target.close_files()
        for path, reason in sorted(lost.items()):
            self.report.lost(path, reason)
            self.report.restored -= 1
            del self.made[path]
            self.attempt(path, self.target.remove, path)

    def plan(self, waiting, places, uses, reasons, lost):
        """{(archive number, frame): (archive, [(offset, chunk)])}, by the next place of each chunk."""
        frames = {}
        for chunk in waiting:
            candidates = places.get(chunk[0], [])
            while candidates:
                length, archive, frame, offset = candidates.pop(0)
                if length == chunk[1]:
                    frames.setdefault((archive.number, archive.name, frame), (archive, []))[1].append((offset, chunk))
                    break
            else:
                for path, _ in uses[chunk]:
                    lost[path] = reasons.get(chunk, f"chunk {chunk[0].hex()} is in no archive that can be read")
        return frames

    def fill_from(self, frames, uses, reasons, lost):
        """Decodes each frame once and writes its chunks where they belong. Returns the chunks that are damaged."""
        failed = []
        for (_, _, frame), (archive, chunks) in sorted(frames.items(), key=lambda item: item[0]):
            try:
                payload = memoryview(archive.payload(frame))
            except Damage as error:
                self.report.damage(error)
                failed += [chunk for _, chunk in chunks]
                reasons.update((chunk, str(error)) for _, chunk in chunks)
                continue
            for offset, chunk in sorted(chunks):
                data = payload[offset:offset + chunk[1]]
                if hashlib.sha256(data).digest() != chunk[0]:
                    error = archive.damage(f"the chunk at {offset} does not match its digest", frame, archive.frames[frame][1])
                    self.report.damage(error)
                    failed.append(chunk)
                    reasons[chunk] = str(error)
                    continue
                for path, position in uses[chunk]:
                    if path not in lost:
                        self.write(path, position, data, lost)
        return failed

    def write(self, path, position, data, lost):
        try:
            self.target.write(path, position, data)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Stop(FAILED, f"{show(path)}: {error.strerror}") from None
            lost[path] = error.strerror

    def make_links(self):
        made = dict.fromkeys(path for path in self.made)
        for existing, path in self.links:
            if existing not in made:
                self.report.lost(path, f"it is a link to {show(existing)}, which is not restored")
                continue
            before = self.report.losses
            self.attempt(path, self.target.link, existing, path, self.options.overwrite)
            self.report.restored += self.report.losses == before

    def dress(self, path, entry):
        """Owner, mode, extended attributes, time, in this order: each of the first can undo a later one."""
        try:
            above, name = self.target.place(path)
            handle = os.open(name, O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            try:
                found = os.fstat(handle)
                if stat.S_IFMT(found.st_mode) != TYPE_BITS[entry.kind]:
                    raise OSError(errno.EINVAL, "it was replaced by something else meanwhile")
                mode = self.set_owner(above, name, entry, found)
                itself = b"/proc/self/fd/%d" % handle    # the object that was opened, whatever its name is now
                if entry.kind != SYMLINK:
                    os.chmod(itself, mode)
                self.set_attributes(path, entry, itself)
                os.utime(name, ns=(entry.modified, entry.modified), dir_fd=above, follow_symlinks=False)
            finally:
                os.close(handle)
        except (OSError, OverflowError) as error:
            self.report.incomplete(path, f"attributes: {error}")

    def set_owner(self, above, name, entry, found):
        """Returns the mode that is safe under the owner that the object has now."""
        uid, gid = entry.uid, entry.gid
        if not self.options.numeric_owner:
            uid = known(pwd.getpwnam, entry.user, "pw_uid", uid)
            gid = known(grp.getgrnam, entry.group, "gr_gid", gid)
        if self.root:
            os.chown(name, uid, gid, dir_fd=above, follow_symlinks=False)
            return entry.mode
        mode = entry.mode
        if (found.st_uid, found.st_gid) != (uid, gid):
            self.skipped.add("owners")
            if entry.kind != DIRECTORY:
                mode &= ~((stat.S_ISUID if found.st_uid != uid else 0) | (stat.S_ISGID if found.st_gid != gid else 0))
        return mode

    def set_attributes(self, path, entry, itself):
        for name, value in entry.attributes:
            try:
                os.setxattr(itself, name, value)
            except OSError as error:
                if not self.root and error.errno == errno.EPERM and name.startswith((b"trusted.", b"security.")):
                    self.skipped.add("attributes in trusted. and security.")
                else:
                    self.report.incomplete(path, f"attribute {show(name)}: {error.strerror}")


def known(look_up, name, member, otherwise):
    """The id of a name on this machine, or the id that the archive has."""
    cache = known.__dict__.setdefault(member, {})
    if name not in cache:
        try:
            cache[name] = getattr(look_up(os.fsdecode(name)), member) if name else None
        except (KeyError, ValueError):
            cache[name] = None
    return otherwise if cache[name] is None else cache[name]


def placements(entry):
    """((digest, length), offset in the file) of each chunk."""
    holes, position, next_hole = entry.holes, 0, 0
    for chunk in entry.chunks:
        while next_hole < len(holes) and holes[next_hole][0] == position:
            position += holes[next_hole][1]
            next_hole += 1
        yield chunk, position
        position += chunk[1]


def select(state, paths, report):
    """[(path, entry)] in tree order: the paths, all below them, and the directories above them."""
    if not paths:
        return sorted(state.entries.items(), key=lambda item: tree_order(item[0])), dict(state.unknown)
    wanted = set(paths)

    def inside(path):
        return path in wanted or b"" in wanted or any(path[:i] in wanted for i, byte in enumerate(path) if byte == 0x2F)

    chosen = {path for path in state.entries if inside(path)}
    unknown = {path: reason for path, reason in state.unknown.items() if inside(path)}
    for path in paths:
        if path and not any(other == path or other.startswith(path + b"/") for group in (chosen, unknown) for other in group):
            report.lost(path, "it is not in this snapshot")
    for path in list(chosen):
        above = path.rpartition(b"/")[0]
        while above and above not in chosen:
            if above in state.entries and state.entries[above].kind == DIRECTORY:
                chosen.add(above)
            above = above.rpartition(b"/")[0]
    return [(path, state.entries[path]) for path in sorted(chosen, key=tree_order)], unknown


# --- Commands -----------------------------------------------------------------------------------------------------

def list_snapshots(repository):
    remarks = repository.remarks()
    print(f"{'number':>8}  {'time':24}  {'kind':11}  {'entries':>9}  pins and tags")
    for number, archive in repository.commits.items():
        snapshot = archive.snapshot
        notes = sorted(remarks.get(number, []))
        if snapshot.covers_from != number:
            notes.append(f"(stands for {snapshot.covers_from} to {number})")
        kind = "full" if archive.kind == FULL else "incremental"
        entries = "?" if snapshot.entries is None else snapshot.entries
        print(f"{number:>8}  {show_time(snapshot.time):24}  {kind:11}  {entries:>9}  {', '.join(notes)}".rstrip())
    return DONE if repository.history_whole else PARTIAL


def list_entries(entries, unknown):
    for path, entry in entries:
        owner = f"{show(entry.user or b'%d' % entry.uid)}:{show(entry.group or b'%d' % entry.gid)}"
        notes = f" -> {show(entry.target)}" if entry.target else ""
        notes += f" device={entry.special[0]},{entry.special[1]}" if entry.special else ""
        notes += f" flags={entry.flags:#x}" if entry.flags else ""
        notes += " changed-while-read" if entry.marks & 1 else ""
        mode = stat.filemode(TYPE_BITS[entry.kind] | entry.mode)
        print(f"{mode} {owner} {entry.size} {show_time(entry.modified // 1_000_000)} {show(path)}{notes}")
    for path, reason in sorted(unknown.items()):
        print(f"?????????? {show(path)}: {reason}")
    return PARTIAL if unknown else DONE


def choose_snapshot(repository, number):
    if not repository.commits:
        raise Stop(DAMAGED if repository.report.damages else FAILED, "there is no snapshot that can be read")
    if number is None:
        return next(reversed(list(repository.commits)))
    if number in repository.commits:
        return number
    for last, archive in repository.commits.items():
        if archive.snapshot.covers_from <= number < last:
            raise Stop(FAILED, f"snapshot {number} was merged into snapshot {last}")
    raise Stop(DAMAGED if repository.report.damages else FAILED, f"there is no snapshot {number} that can be read")


def restore(repository, options, report):
    number = choose_snapshot(repository, options.snapshot)
    newest_unsure = options.snapshot is None and not repository.history_whole
    try:
        state = repository.state(number)
    except Damage as error:
        report.damage(error)
        raise Stop(DAMAGED, f"snapshot {number} cannot be restored") from None
    entries, unknown = select(state, [clean(path) for path in options.paths], report)
    if options.list:
        return max(list_entries(entries, unknown), PARTIAL if report.losses or not state.whole else DONE)
    for path, reason in sorted(unknown.items()):
        report.lost(path, reason)
    if entries:
        target = Target(options.to or f"recovered-{number}")
        Restoration(repository, target, entries, options, report).run()
        print(f"snapshot {number}: {len(entries)} entries chosen, {report.losses} problems")
    elif not options.paths and state.whole and not unknown:
        print(f"snapshot {number} is empty")
    if report.damages and not report.restored and (report.losses or not state.whole):
        return DAMAGED
    if report.losses and not report.restored and not entries:
        return FAILED
    return PARTIAL if report.losses or not state.whole or newest_unsure else DONE


def clean(path):
    try:
        return check_path(b"/".join(part for part in os.fsencode(path).split(b"/") if part))
    except Malformed as error:
        raise Stop(USAGE, str(error)) from None


def verify(repository, report):
    """Everything that can be checked: names, frames, chunks, states, references."""
    good = set()
    for archive in repository.listed:
        verify_archive(archive, report, good)
    state, at = State(), None
    for number, archive in repository.commits.items():
        try:
            if archive.kind != FULL and archive.snapshot.parent != at:
                state = repository.state(archive.snapshot.parent)
            at = number
            for path in state.apply(archive, report):
                entry = state.entries.get(path)
                if entry and any(chunk not in good for chunk in entry.chunks):
                    report.damage(f"{show(path)} in snapshot {number} needs a chunk that is missing or damaged")
        except (Damage, KeyError) as error:
            at = None
            report.damage(error if isinstance(error, Damage) else f"snapshot {number} cannot be read without its parent")
    print(f"{len(repository.listed)} archives, {len(repository.commits)} snapshots, {len(good)} chunks: {report.damages} damages")
    return DAMAGED if report.damages else DONE


def verify_archive(archive, report, good):
    try:
        digest = hashlib.sha256()
        with open(archive.path, "rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
        if digest.digest() != archive.sha256:
            report.damage(archive.damage("the file does not have the SHA-256 of its name"))
    except OSError as error:
        report.damage(archive.damage(error))
    for number, (kind, offset, _) in enumerate(archive.frames if archive.readable else ()):
        try:
            payload = memoryview(archive.payload(number))
        except Damage as error:
            report.damage(error)
            continue
        for chunk, start, length in archive.chunks(number) if kind == DATA else ():
            if hashlib.sha256(payload[start:start + length]).digest() == chunk:
                good.add((chunk, length))
            else:
                report.damage(archive.damage(f"the chunk at {start} does not match its digest", number, offset))


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        raise Stop(USAGE, message)


def parse(arguments):
    parser = Parser(prog="recover.py", description="Restores files from an Auto-Backup repository.")
    parser.add_argument("--repository", required=True, metavar="DIR")
    parser.add_argument("--key", action="append", default=[], metavar="FILE", help="key file; may be given several times")
    parser.add_argument("--passphrase-file", metavar="FILE", help="opens a key slot of repository.json")
    parser.add_argument("--list", action="store_true", help="list the snapshots; with --snapshot or PATH, its entries")
    parser.add_argument("--snapshot", type=int, metavar="N", help="default: the newest")
    parser.add_argument("--to", metavar="DIR", help="default: ./recovered-N")
    parser.add_argument("--verify", action="store_true", help="check the whole repository; nothing is restored")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument("--numeric-owner", action="store_true", help="owners by number even if the name exists here")
    parser.add_argument("paths", nargs="*", metavar="PATH")
    options = parser.parse_args(arguments)
    if not options.key and not options.passphrase_file:
        parser.error("--key or --passphrase-file is needed")
    if options.verify and (options.list or options.to or options.paths):
        parser.error("--verify checks the whole repository and goes with neither --list nor --to nor PATH")
    return options


def run(arguments, report):
    options = parse(arguments)
    repository = Repository(options.repository, report)
    keys = unlock(repository.description, options.key, options.passphrase_file)
    repository.hold()
    repository.load(keys)
    if options.verify:
        return verify(repository, report)
    if options.list and options.snapshot is None and not options.paths:
        return list_snapshots(repository)
    return restore(repository, options, report)


def main():
    report = Report()
    try:
        return run(sys.argv[1:], report)
    except Stop as stop:
        report.say(str(stop))
        return stop.status
    except OSError as error:
        report.say(str(error))
        return FAILED


if __name__ == "__main__":
    sys.exit(main())

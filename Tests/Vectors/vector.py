"""A repository with nothing random in it, what readers must make of it, and ways to damage it.

Used by the scenarios: each is a function that fills a `Vector` and is registered under its name, with `-` for `_`.
"""
import base64
import hmac
import json
import os
import struct

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

import make_repository as made
from make_repository import STORED, XZ, Entry, Payload, sha256, small_file, tree_sorted

HERE = os.path.dirname(os.path.abspath(__file__))
COMPRESSED = os.path.join(HERE, "compressed.json")
HEADER, TRAILER = 32, 24
SCENARIOS = {}
HOME = b"home/ada"


def scenario(sentence, expect="success", **more):
    """Registers a function that fills a Vector. Its name is the scenario's."""
    def register(function):
        SCENARIOS[function.__name__.replace("_", "-")] = function, dict(scenario=sentence, expect=expect, **more)
        return function
    return register


class Vector(made.Repository):
    """A repository with nothing random in it, and what readers must make of it."""
    later = False
    manifest_codec = contents_codec = STORED
    sources = (HOME,)
    host = b"laptop"
    compressing = False

    def __init__(self, folder, name, slots=False):
        self.name, self.tokens, self.compressed = name, 0, read_compressed()
        self.expected, self.entry_states = {}, {}
        self.pins, self.tags, self.merged = [], {}, {}
        super().__init__(os.path.join(folder, "repository"), slots)

    def make_keys(self):
        return [base64.urlsafe_b64encode(sha256(b"key %d of the vectors" % number)) for number in (1, 2)]

    def description(self, slots):
        found = super().description(slots)
        if not self.two_keys:
            found["keys"] = found["keys"][:1]
        return found

    two_keys = False

    def salt(self):
        self.tokens += 1
        return sha256(b"salt %d" % self.tokens)[:16]

    def seal(self, key, data):
        """Fernet(key).encrypt with a fixed IV and time."""
        self.tokens += 1
        raw, pad = base64.urlsafe_b64decode(key), 16 - len(data) % 16
        vector = sha256(b"iv %d of %s" % (self.tokens, self.name.encode()))[:16]
        cipher = Cipher(algorithms.AES(raw[16:]), modes.CBC(vector)).encryptor()
        body = b"\x80" + struct.pack(">Q", made.START // 1000) + vector + cipher.update(data + bytes([pad]) * pad) + cipher.finalize()
        token = base64.urlsafe_b64encode(body + hmac.digest(raw[:16], body, "sha256"))
        assert Fernet(key).decrypt(token) == data
        return token

    def compress(self, codec, data):
        if codec == STORED:
            return data
        name = f"{'xz' if codec == XZ else 'zstd'} {sha256(data).hex()[:32]}"
        if name not in self.compressed and Vector.compressing:
            self.compressed[name] = base64.b64encode(made.compress(codec, data)).decode()
            with open(COMPRESSED, "w", encoding="utf-8") as file:
                json.dump(self.compressed, file, indent=0, sort_keys=True)
                file.write("\n")
        return base64.b64decode(self.compressed[name])

    # What a scenario says

    def take(self, number, state, payloads=(), changes=None, **more):
        """Commits `state` as snapshot `number`: a full one, or an incremental of `changes`. Expects that it is restored whole."""
        parent = more.pop("parent", number - 1 if changes is not None else None)
        listed = tree_sorted(state if changes is None else changes)
        manifests = more.pop("manifests", None)
        manifests = [made.manifest(listed, self.later)] if manifests is None else manifests
        self.commit(number, manifests, payloads, parent=parent, entries=len(state), **more)
        self.whole(number, state)

    def whole(self, number, state):
        self.entry_states[number] = dict(state)
        self.expected[number] = {"result": "whole", "entries": describe(state), "lost": []}

    def part(self, number, lost):
        """Of snapshot `number` these paths cannot be restored, all others can."""
        state = {path: entry for path, entry in self.entry_states[number].items() if path not in lost}
        self.expected[number] = {"result": "part", "entries": describe(state), "lost": [path.hex() for path in lost]}

    def refused(self, number):
        self.expected[number] = {"result": "refused", "entries": [], "lost": []}

    def edit_description(self, change):
        path = os.path.join(self.folder, "repository.json")
        with open(path, encoding="utf-8") as file:
            description = json.load(file)
        change(description)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(description, file, indent=2)

    def wrap_first_key(self, under):
        """Key 1 stands wrapped, and without slots, as when key 2 has taken its place."""
        def change(description):
            description["keys"][0].update(wrapped=self.seal(under, self.keys[0]).decode(), slots=[])
        self.edit_description(change)

    def record(self, remarks, **more):
        self.add("record", remarks=remarks, **more)

    # Damage

    def remove(self, number):
        os.unlink(self.path(number))

    def read(self, number):
        with open(self.path(number), "rb") as file:
            return file.read()

    def frames(self, number):
        """Offsets of the frames' length fields, and of the trailer."""
        body, offsets = self.read(number), [HEADER]
        while offsets[-1] < len(body) - TRAILER:
            offsets.append(offsets[-1] + 4 + struct.unpack_from("<I", body, offsets[-1])[0])
        return offsets

    def damage(self, number, offset, data):
        """Writes over bytes of an archive, which keeps its name: what a bad disk does."""
        body = bytearray(self.read(number))
        body[offset:offset + len(data)] = data
        with open(self.path(number), "wb") as file:
            file.write(body)

    def flip(self, number, offset):
        self.damage(number, offset, bytes([self.read(number)[offset] ^ 1]))

    def forge(self, number, offset, data):
        """Writes over bytes of an archive and gives it the name of its new content: what a writer in error does."""
        self.damage(number, offset, data)
        body = self.read(number)
        self.remove(number)
        _, moment, kind, _ = self.names[number].split("-")
        self.names[number] = f"{number:09d}-{moment}-{kind}-{sha256(body).hex()}.enc"
        with open(self.path(number), "wb") as file:
            file.write(body)


def describe(state):
    """As made.describe, without what is empty."""
    found = [{name: value for name, value in entry.items() if value not in ("", [], {}, 0) or name == "size"} for entry in made.describe(state)]
    for entry in found:
        if entry["kind"] != "file":
            del entry["sha256"]
    return found


def read_compressed():
    try:
        with open(COMPRESSED, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def home(path):
    return HOME + b"/" + path


def directory(*below, **more):
    """The state of a source with these small files in it."""
    state = {HOME: Entry("directory", 0o755, **more)}
    for number, name in enumerate(below):
        state[home(name)] = small_file(b"content of " + name + b"\n", inode=number + 2)
    return state


def stored(state, *names, codec=STORED, size=65_536):
    """One data frame with the content of the named files (without names: of all)."""
    payload = Payload()
    names = [home(name) for name in names] or [path for path, entry in tree_sorted(state) if entry and entry.content]
    made.store(state, names, payload, size)
    return payload, codec


def changed(state, changes):
    """The state after the changes."""
    state = dict(state)
    for path, entry in changes.items():
        state.pop(path, None)
        if entry is not None:
            state[path] = entry
    return state

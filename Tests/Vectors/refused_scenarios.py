"""What readers must refuse or report: damage, forgery, and archives that authenticate and break the rules."""
import base64
import hashlib
import json
import os

import make_repository as made
from make_repository import STORED, XZ, ZSTD, Entry, sha256, small_file, tree_sorted, varint
from sound_scenarios import data_archives, history, standalone_with_copy
from vector import HEADER, HOME, SCENARIOS, Vector, changed, directory, home, scenario, stored


def sound_and(vector, number=1):
    """A snapshot of `a` and `b` with a data frame each, of equal length."""
    state = directory(b"a", b"b")
    vector.take(number, state, [stored(state, b"a"), stored(state, b"b")])
    return state


@scenario("A chunk twice: the damaged copy costs nothing but a report.", "authentication", verify=13)
def damaged_chunk_with_another_copy(vector):
    standalone_with_copy(vector)
    vector.flip(1, HEADER + 4 + 60)


@scenario("A flipped bit in a data frame costs the file in it.", "authentication", verify=13)
def flipped_bit_in_a_data_frame(vector):
    sound_and(vector)
    vector.flip(1, vector.frames(1)[1] + 4 + 100)
    vector.part(1, [home(b"b")])


@scenario("A flipped bit in a manifest frame of an incremental costs what it may have listed.", "authentication", verify=13)
def flipped_bit_in_a_manifest_frame(vector):
    first = directory(b"a", b"b", b"c", b"d", b"e", b"f")
    vector.take(1, first, [stored(first, codec=XZ)])
    changes = {home(name): Entry("file", 0o600, content=[(0, b"now " + name)]) for name in (b"a", b"b", b"c", b"d", b"e", b"f")}
    payload, items = stored(changes, codec=XZ), tree_sorted(changes)
    state = changed(first, changes)
    frames = [made.manifest(items[at:at + 2], False) for at in (0, 2, 4)]
    vector.take(2, state, [payload], changes, manifests=frames)
    vector.flip(2, vector.frames(2)[2] + 4 + 60)
    vector.part(2, [home(b"c"), home(b"d")])
    again = {home(b"c"): changes[home(b"c")], home(b"d"): None}
    vector.take(3, changed(state, again), changes=again)
    vector.part(3, [])                                   # the frame may have listed others, of which nothing is known


@scenario("A flipped bit in the contents frame of the newest archive costs what only it holds.", "authentication", verify=13)
def flipped_bit_in_the_contents(vector):
    history(vector, 2)
    vector.flip(2, vector.frames(2)[-2] + 4 + 60)
    vector.refused(2)


@scenario("Two data frames of one archive in each other's place: each authenticates.", "misplaced", verify=13)
def frame_moved(vector):
    state = directory(b"a", b"b", b"c")
    vector.take(1, state, [stored(state, name) for name in (b"a", b"b", b"c")])
    first, second, third = vector.frames(1)[:3]
    body = vector.read(1)
    assert second - first == third - second
    vector.forge(1, first, body[second:third] + body[first:second])
    vector.part(1, [home(b"a"), home(b"b")])


@scenario("A frame of another archive in place of the one with its number: it authenticates.", "misplaced", verify=13)
def frame_of_another_archive(vector):
    first = sound_and(vector)
    changes = {home(b"b"): small_file(b"renewed ofb\n")}
    state = changed(first, changes)
    more = {home(b"c"): small_file(b"c\n")}
    vector.take(2, changed(state, more), [stored(changes), stored(more)], {**changes, **more})
    old, new = vector.frames(1), vector.frames(2)
    assert old[1] - old[0] == new[1] - new[0]
    vector.forge(2, new[0], vector.read(1)[old[0]:old[1]])
    vector.part(2, [home(b"b")])


@scenario("An archive under another number.", "misplaced", verify=13)
def archive_renamed(vector):
    history(vector, 2)
    os.rename(vector.path(2), os.path.join(vector.archives, vector.names[2].replace("000000002-", "000000003-")))
    vector.refused(2)


@scenario("The newest archive is cut off within its last frame.", "truncated", verify=13)
def truncated(vector):
    history(vector, 2)
    os.truncate(vector.path(2), vector.frames(2)[-1] - 50)
    vector.refused(2)


@scenario("A flag in the header of the newest archive.", "reservedNotZero", verify=13)
def reserved_bytes_of_the_header(vector):
    history(vector, 2)
    vector.forge(2, 10, b"\x01")
    vector.refused(2)


@scenario("A reserved byte in the trailer of the newest archive.", "reservedNotZero", verify=13)
def reserved_bytes_of_the_trailer(vector):
    history(vector, 2)
    vector.forge(2, len(vector.read(2)) - 12, b"\x01")
    vector.refused(2)


@scenario("Reserved bytes and flags in the header of a frame: each costs its file.", "reservedNotZero", verify=13)
def reserved_bytes_of_a_frame(vector):
    plain, number = vector.frame_header, iter(range(100))

    def header(archive_id, frame, kind, codec, last, length):
        data = bytearray(plain(archive_id, frame, kind, codec, last, length))
        for place in {0: [22], 1: [23], 2: [28]}.get(next(number), []):
            data[place] = 2
        return bytes(data)
    vector.frame_header = header
    state = directory(b"flags", b"reserved-23", b"reserved-28", b"sound")
    vector.take(1, state, [stored(state, name) for name in (b"flags", b"reserved-23", b"reserved-28", b"sound")])
    vector.part(1, [home(b"flags"), home(b"reserved-23"), home(b"reserved-28")])


@scenario("The newest archive has version 2.", "unknownVersion", verify=13)
def newer_version(vector):
    states = history(vector, 1)
    vector.version = 2
    changes = {home(b"n2"): small_file(b"content 2\n")}
    vector.take(2, changed(states[1], changes), [stored(changes)], changes)
    vector.refused(2)


@scenario("repository.json has format 2.", "newerFormat", verify=1)
def newer_repository_format(vector):
    history(vector, 1)
    path = os.path.join(vector.folder, "repository.json")
    with open(path, encoding="utf-8") as file:
        description = json.load(file)
    description["format"] = 2
    with open(path, "w", encoding="utf-8") as file:
        json.dump(description, file, indent=2)
    vector.refused(1)


@scenario("A codec that is not known costs its file.", "malformed", verify=13)
def unknown_codec(vector):
    state = directory(b"a", b"b")
    vector.compress = lambda codec, data: data
    vector.take(1, state, [stored(state, b"a", codec=3), stored(state, b"b")])
    vector.part(1, [home(b"a")])


def hostile(name, path):
    """A scenario with a path that must not be taken: the manifest authenticates, and nothing of it is restored."""
    @scenario(f"A path that breaks the rules: {path[:20]!r}{'…' if len(path) > 20 else ''}.", "hostilePath", verify=13)
    def fill(vector):
        state = directory(b"a")
        state[path] = Entry("file", 0o666, content=[(0, b"evil\n")])
        payload = stored(state)
        vector.take(1, state, [payload], manifests=[made.manifest(sorted(state.items(), key=lambda item: item[0].split(b"/")), False)])
        vector.refused(1)
    SCENARIOS["hostile-path-" + name] = SCENARIOS.pop("fill")


hostile("absolute", b"/tmp/auto-backup-evil")
hostile("parent", HOME + b"/../../../auto-backup-evil")
hostile("dot", b"./auto-backup-evil")
hostile("empty-component", HOME + b"//evil")
hostile("trailing-slash", HOME + b"/evil/")
hostile("nul", HOME + b"/ev\0il")
hostile("long-component", HOME + b"/" + b"e" * 256)


@scenario("An archive in the middle of the history is gone: what rests on it is refused.", "parentMissing", verify=13)
def parent_missing(vector):
    states = history(vector, 4)
    vector.full = True
    vector.take(5, states[4], changes={}, manifests=[made.manifest(tree_sorted(states[4]), False)])
    vector.remove(2)
    for number in (2, 3, 4):
        vector.refused(number)
    vector.part(5, [home(b"n2")])


@scenario("A snapshot whose parent's identity is another.", "parentMismatch", verify=13)
def parent_of_another_identity(vector):
    states = history(vector, 2)
    vector.take(3, states[2], changes={}, parent_identity=b"i" * 32)
    vector.refused(3)


@scenario("A snapshot whose identity is not that of its manifest.", "parentMismatch", verify=13)
def identity_of_another_manifest(vector):
    states = history(vector, 2)
    vector.take(3, states[2], changes={}, identity=b"i" * 32)
    vector.refused(3)


@scenario("A chunk that has other content than its digest says costs its file.", "digestMismatch", verify=13)
def chunk_digest_mismatch(vector):
    state = directory(b"a", b"b")
    payload, codec = stored(state, b"a", b"b")
    assert payload.data.count(b"content of a\n") == 1
    payload.data = payload.data.replace(b"content of a\n", b"c0ntent of a\n")
    vector.take(1, state, [(payload, codec)])
    vector.part(1, [home(b"a")])


@scenario("The newest archive says that it belongs to another repository.", "misplaced", verify=13)
def contents_of_another_repository(vector):
    states = history(vector, 1)
    own, vector.id = vector.id, sha256(b"another repository")[:16]
    changes = {home(b"n2"): small_file(b"content 2\n")}
    vector.take(2, changed(states[1], changes), [stored(changes)], changes)
    vector.id = own
    vector.refused(2)


@scenario("A key that is none of this repository's.", "wrongKey", verify=12)
def wrong_key(vector):
    history(vector, 1)
    vector.keys[0] = base64.urlsafe_b64encode(sha256(b"another key"))
    vector.refused(1)


@scenario("A passphrase slot that asks for p = 17 is not tried.", "wrongKey", verify=12, keys=[], passphrase=True, slots=True)
def slot_above_the_limits(vector):
    history(vector, 1)

    def change(description):
        slot = description["keys"][0]["slots"][0]
        salt = base64.urlsafe_b64decode(slot["salt"])
        derived = hashlib.scrypt(vector.passphrase, salt=salt, n=2, r=1, p=17, dklen=32)
        slot.update(n=2, r=1, p=17, token=vector.seal(base64.urlsafe_b64encode(derived), vector.key).decode())
    vector.edit_description(change)
    vector.refused(1)


@scenario("The older of two keys is wrapped under a stranger's: what is under it is lost, the rest is not.", "authentication", verify=13,
          keys=["key-2"])
def wrapped_key_damaged(vector):
    states = history(vector, 2)
    vector.wrap_first_key(base64.urlsafe_b64encode(sha256(b"another key")))
    vector.key = vector.keys[1]
    state = changed(states[2], {home(b"n3"): small_file(b"content 3\n")})
    vector.take(3, state, [stored(state, b"n3")])
    vector.refused(1)
    vector.refused(2)
    vector.part(3, [home(b"n1"), home(b"n2")])


@scenario("Payloads that decompress to more or less than their headers say: each costs its file.", "malformed", verify=13)
def length_of_a_payload(vector):
    names = [b"long-stored", b"long-xz", b"long-zstd", b"short-stored", b"short-xz", b"short-zstd", b"sound"]
    state, plain = directory(*names), made.Repository.frame_header

    def header(archive_id, number, kind, codec, last, length):
        if kind == made.DATA and number < 6:
            length += -512 if number < 3 else 512
        return plain(vector, archive_id, number, kind, codec, last, length)
    vector.frame_header = header
    payloads = []
    for number, name in enumerate(names):
        payload, _ = stored(state, name)
        payload.data += bytes(512)
        payloads.append((payload, number % 3 if number < 6 else STORED))
    vector.take(1, state, payloads)
    vector.part(1, [home(name) for name in names[:-1]])


@scenario("Payloads of 64 MiB and more behind headers that say 1,024 bytes.", "malformed", verify=13)
def decompression_bomb(vector):
    state = directory(b"sound", b"xz", b"zstd")
    plain = Vector.compress
    # RFC 8878: magic, frame header (window of 128 KiB), blocks of one byte 131,072 times, the last one marked.
    block, last = (131_072 << 3 | 2).to_bytes(3, "little") + b"\0", (131_072 << 3 | 3).to_bytes(3, "little") + b"\0"
    bomb = bytes.fromhex("28B52FFD 0038") + block * 1000 + last

    def compress(codec, data):
        if codec == ZSTD:
            return bomb
        return plain(vector, codec, bytes(1 << 20)) if codec == XZ else data
    vector.compress = compress
    vector.take(1, state, [stored(state, b"xz", codec=XZ), stored(state, b"zstd", codec=ZSTD), stored(state, b"sound")])
    vector.part(1, [home(b"xz"), home(b"zstd")])


@scenario("An xz stream and a zstd frame with something behind them: each costs its file.", "malformed", verify=13)
def bytes_behind_a_payload(vector):
    state = directory(b"sound", b"xz", b"zstd")
    plain = Vector.compress
    vector.compress = lambda codec, data: plain(vector, codec, data) + (bytes(4) if codec != STORED else b"")
    vector.take(1, state, [stored(state, b"xz", codec=XZ), stored(state, b"zstd", codec=ZSTD), stored(state, b"sound")])
    vector.part(1, [home(b"xz"), home(b"zstd")])


def broken_manifest(sentence, codec=STORED):
    """A scenario whose function returns a manifest that authenticates and breaks the rules: the snapshot is refused."""
    def register(function):
        def fill(vector):
            state = directory(b"a", b"b")
            payload = stored(state)
            vector.manifest_codec = codec
            vector.take(1, state, [payload], manifests=[function(state)])
            vector.refused(1)
        fill.__name__ = function.__name__
        return scenario(sentence, "malformed", verify=13)(fill)
    return register


@broken_manifest("Chunks that do not add up to the size.")
def size_of_a_file(state):
    return with_field(state, size=1)


@broken_manifest("Entries out of tree order.")
def order_of_entries(state):
    return made.manifest(tree_sorted(state)[::-1], False)


@broken_manifest("A path twice.")
def path_twice(state):
    return made.manifest(tree_sorted(state) + [(home(b"b"), Entry("symlink", 0o777, target=b"/etc"))], False)


@broken_manifest("A deletion in a full manifest.")
def deletion_in_a_full_manifest(state):
    return made.manifest(tree_sorted({**state, home(b"c"): None}), False)


def with_field(state, *more, size=0):
    """The manifest with more fields behind those of a, and with more said of its size."""
    entry = state[home(b"a")]
    found = entry.fields() + list(more)
    entry.fields = lambda: found
    entry.size += size
    return made.manifest(tree_sorted(state), False)


@broken_manifest("A field that may stand once stands twice.")
def field_twice(state):
    return with_field(state, (6, varint(0x40)), (6, varint(0x80)))


@broken_manifest("Bytes are left in a field whose tag is known.")
def bytes_left_in_a_field(state):
    return with_field(state, (6, varint(0x40) + b"\0"))


@broken_manifest("Chunk runs in a full manifest.")
def runs_in_a_full_manifest(state):
    entry = state[home(b"a")]
    entry.runs = made.run_new(entry.chunks)
    return made.manifest(tree_sorted(state), False)


@broken_manifest("Holes that are out of order: a gap that wraps around.")
def holes_out_of_order(state):
    return with_field(state, (2, varint(13) + varint(10) + varint(2**64 - 5) + varint(10)), size=20)


@broken_manifest("An empty hole.")
def hole_of_no_bytes(state):
    return with_field(state, (2, varint(13) + varint(0)))


@broken_manifest("A hole behind the end of the file.")
def hole_behind_the_end(state):
    return with_field(state, (2, varint(14) + varint(7)), size=7)


@broken_manifest("A hole within a chunk.")
def hole_within_a_chunk(state):
    return with_field(state, (2, varint(3) + varint(7)), size=7)


@broken_manifest("A number above 2^64 - 1.")
def number_above_64_bits(state):
    return with_field(state, (6, b"\xff" * 9 + b"\x02"))


@broken_manifest("A kept run of an entry without a previous version.")
def run_of_no_previous_version(state):
    entry = state[home(b"a")]
    entry.runs = made.run_kept(0, 1)
    return made.manifest(tree_sorted(state), False)


@broken_manifest("An attribute's value of more than 64 KiB, which compresses well.", XZ)
def attribute_above_the_limit(state):
    return with_field(state, (5, varint(6) + b"user.a" + bytes(65_537)))


@scenario("The newest snapshots are gone, and an archive behind them knows it.", "missing", verify=13)
def newest_end_missing(vector):
    history(vector, 3)
    vector.record([(2, 1, b"first")])
    vector.remove(3)
    vector.tags = {1: ["first"]}
    vector.refused(3)


@scenario("The oldest snapshot is gone, and with it content that a later full one refers to.", "missing", verify=13)
def oldest_end_missing(vector):
    states = history(vector, 1)
    vector.full = True
    state = {**states[1], home(b"new"): small_file(b"new\n")}
    vector.take(2, state, [stored(state, b"new")], changes={}, manifests=[made.manifest(tree_sorted(state), False)])
    vector.remove(1)
    vector.refused(1)
    vector.part(2, [home(b"n1")])


@scenario("The newest record of pins and tags is gone, which a commit names.", "missing", verify=13)
def record_missing(vector):
    states = history(vector, 1)
    vector.record([(2, 1, b"old")])
    vector.record([(2, 1, b"new")])
    vector.take(2, states[1], changes={})
    vector.remove(3)
    vector.tags = {1: ["old"]}


@scenario("A data archive is gone, and with it the file in it.", "missing", verify=13)
def data_archive_missing(vector):
    data_archives(vector)
    vector.remove(2)
    vector.part(1, [home(b"two")])


@scenario("Two archives of one number: there were two writers.", "secondWriter", verify=13)
def number_used_twice(vector):
    history(vector, 2)
    vector.number = 1
    vector.add("data", [stored({home(b"other"): small_file(b"of another writer\n")})], time=made.START + 140_000)

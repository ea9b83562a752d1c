"""What readers must read: repositories without damage."""
import os

import make_repository as made
from make_repository import STORED, XZ, ZSTD, Entry, Payload, field, small_file, tree_sorted, varint
from vector import HOME, changed, directory, home, scenario, stored


@scenario("A snapshot without entries.")
def empty_snapshot(vector):
    vector.take(1, {})


@scenario("A directory and a file: the smallest snapshot that has everything. RepositoryFormat takes it apart.")
def one_file(vector):
    vector.sources = (b"d",)
    state = {b"d": Entry("directory", 0o755, uid=1000, gid=1000, user=b"ada"),
             b"d/hi": small_file(b"hello, world\n", uid=1000, gid=1000, inode=2, user=b"ada")}
    payload = Payload()
    made.store(state, [b"d/hi"], payload)
    vector.take(1, state, [(payload, STORED)])


@scenario("Every type of entry, and the metadata that each can have.")
def every_type(vector):
    vector.sources = (HOME, b"dev")
    state = {
        HOME: Entry("directory", 0o750, (1_600_000_000, 1), user=b"nobody-of-this-name", group=b"no-such-group"),
        b"dev/null": Entry("character", 0o666, special=(1, 3)),
        b"dev/loop": Entry("block", 0o660, special=(7, 4095)),
        home(b"attributes"): Entry("file", 0o640, content=[(0, b"attributes\n")], flags=0x40,
                                   attributes=[(b"user.empty", b""), (b"user.binary", bytes(range(256)))]),
        home(b"empty"): Entry("file", 0o600, (0, 0)),
        home(b"far"): Entry("file", 0o444, (5_000_000_000, 500), content=[(0, b"after 2038\n")]),
        home(b"fifo"): Entry("fifo", 0o620),
        home(b"hole"): Entry("file", size=65_536),
        home(b"link-1"): Entry("file", inode=77, links=3, content=[(0, b"three names\n")]),
        home(b"link-2"): Entry("file", inode=77, links=3, content=[(0, b"three names\n")]),
        home(b"name \xff\n\t'"): Entry("file", content=[(0, b"a name that is no UTF-8\n")]),
        home(b"old"): Entry("file", 0o444, (-86_401, 999_999_999), content=[(0, b"before 1970\n")]),
        home(b"setgid"): Entry("file", 0o2755, content=[(0, b"setgid\n")]),
        home(b"setuid"): Entry("file", 0o4755, content=[(0, b"setuid\n")]),
        home(b"socket"): Entry("socket", 0o700),
        home(b"sparse"): Entry("file", size=8_000_000, content=[(4096, b"x" * 4096), (1 << 20, b"tail" * 1024), (5 << 20, b"x" * 4096)]),
        home(b"sticky"): Entry("directory", 0o1777, (1_500_000_000, 7), attributes=[(b"user.on-a-directory", b"yes")]),
        home(b"sticky/link-3"): Entry("file", inode=77, links=3, content=[(0, b"three names\n")]),
        home(b"symlink"): Entry("symlink", 0o777, (1_400_000_000, 42), target=b"/no/such/place \xff"),
        home(b"unreadable"): Entry("file", 0o000, content=[(0, b"for root alone\n")]),
    }
    for path, entry in state.items():
        if path.startswith(HOME):                        # all ids are the same, and named in this frame
            entry.user, entry.group = state[HOME].user, state[HOME].group
    vector.take(1, state, [stored(state, codec=XZ)])


@scenario("Entries that agree in device, inode, size and time, but in kind or content not: no names of one file.")
def not_hard_links(vector):
    state = directory()
    for name, entry in ((b"a", small_file(b"one\n")), (b"b", small_file(b"two\n")), (b"c", Entry("fifo", size=4)),
                        (b"d", Entry("symlink", 0o777, target=b"four")), (b"e", Entry("symlink", 0o777, target=b"five"))):
        entry.inode, entry.links = 9, 2
        state[home(name)] = entry
    vector.take(1, state, [stored(state)])


@scenario("Upserts and deletions; a directory and what is below it; a change of type; a deletion of what the parent does not have.")
def incremental_with_deletion(vector):
    state = directory(b"changed", b"gone", b"kept", b"now-a-directory", b"tree.txt")
    state[home(b"tree")] = Entry("directory", 0o700)
    state[home(b"tree/inner")] = small_file(b"inner\n")
    state[home(b"tree-like")] = small_file(b"below no tree\n")
    vector.take(1, state, [stored(state, codec=XZ)])
    changes = {home(b"changed"): small_file(b"changed\n"), home(b"gone"): None, home(b"never-was"): None, home(b"tree"): None,
               home(b"tree/inner"): None, home(b"now-a-directory"): Entry("directory", 0o711),
               home(b"now-a-directory/new"): small_file(b"new\n")}
    state = changed(state, changes)
    vector.take(2, state, [stored(changes, codec=XZ)], changes)
    changes = {HOME: Entry("directory", 0o700, (1_700_000_300, 0)), home(b"gone"): small_file(b"back\n")}
    state = changed(state, changes)
    vector.take(3, state, [stored(changes, codec=XZ)], changes)
    vector.take(4, state, changes={})


@scenario("A large file that changes in its middle, at its end and in its order: chunk runs, kept and new.")
def chunk_runs(vector):
    pieces = [bytes([65 + number]) * 100 for number in range(9)]
    state, first, second = directory(b"other"), Payload(), Payload()
    chunks = [first.add(home(b"big.chunk-%020d" % (100 * number)), piece) for number, piece in enumerate(pieces[:6])]
    other, _ = stored(state, b"other")
    def version(order, runs):
        entry = Entry("file", content=[(0, b"".join(pieces[number] for number in order))])
        entry.chunks, entry.runs = [chunks[number] for number in order], runs
        return entry
    state[home(b"big")] = version(range(6), None)
    vector.take(1, state, [(first, XZ), (other, STORED)])
    chunks += [second.add(home(b"big.chunk-%020d" % (100 * number)), pieces[number]) for number in (6, 7, 8)]
    runs = made.run_kept(0, 2) + made.run_new(chunks[6:8]) + made.run_kept(4, 2) + made.run_new(chunks[8:])
    changes = {home(b"big"): version([0, 1, 6, 7, 4, 5, 8], runs)}
    vector.take(2, changed(state, changes), [(second, XZ)], changes)
    changes = {home(b"big"): version([8, 0, 1, 1], made.run_kept(6, 1) + made.run_kept(0, 2) + made.run_kept(1, 1))}
    vector.take(3, changed(state, changes), changes=changes)
    holed = Entry("file", size=1200, content=[(0, pieces[8] + pieces[0]), (1000, pieces[1] + pieces[1])])
    holed.chunks, holed.runs = [chunks[number] for number in (8, 0, 1, 1)], made.run_kept(0, 4)
    changes = {home(b"big"): holed}
    vector.take(4, changed(state, changes), changes=changes)


@scenario("A snapshot whose content stands in two data archives before it.")
def data_archives(vector):
    state = directory(b"one", b"three", b"two")
    vector.add("data", [stored(state, b"one")])
    vector.add("data", [stored(state, b"two")])
    vector.take(1, state, [stored(state, b"three")], archives=[1, 2])


@scenario("A data archive that its commit names was rewritten: another one holds its content.")
def data_archive_replaced(vector):
    state = directory(b"one", b"two")
    vector.add("data", [stored(state, b"one")])
    vector.take(1, state, [stored(state, b"two")], archives=[1])
    vector.add("data", [stored(state, b"one")])
    vector.remove(1)


@scenario("Snapshots 2 and 3 were lost and given up: the full one behind them stands for their numbers too.")
def closed_hole(vector):
    states = history(vector, 1)
    vector.full = True
    state = {**states[1], home(b"new"): small_file(b"new\n")}
    vector.take(4, state, [stored(state, b"new")], changes={}, parent=1, covers_from=2, manifests=[made.manifest(tree_sorted(state), False)])


def history(vector, count, state=None):
    """Snapshots 1 to count: each adds the file n<number>. Returns the states by number."""
    state, states = state or directory(), {}
    for number in range(1, count + 1):
        name = b"n%d" % number
        changes = {home(name): small_file(b"content %d\n" % number, inode=number + 1)}
        payload = stored(changes, codec=XZ)
        states[number] = state = changed(state, changes)
        vector.take(number, state, [payload], None if number == 1 else changes)
    return states


def merge(vector, states, keep=()):
    """Archive 5 stands for the snapshots 2 to 4 of a history of four; the archives 2, 3 and 4 go, but for `keep`."""
    changes = {home(b"n%d" % number): states[4][home(b"n%d" % number)] for number in (2, 3, 4)}
    payload, chunks = Payload(), {}
    for path, entry in changes.items():
        chunks[path] = payload.add(path, entry.whole())
    vector.take(4, states[4], [(payload, XZ)], changes, parent=1, covers_from=2, replaces=[2, 3, 4], identity=vector.identities[4])
    for number in (2, 3, 4):
        if number not in keep:
            vector.remove(number)
    vector.merged = {2: 4, 3: 4}
    del vector.expected[2], vector.expected[3]


@scenario("An archive that stands for three snapshots and replaces theirs; another one whose parent it is.")
def merged_range(vector):
    states = history(vector, 4)
    merge(vector, states)
    changes = {home(b"n1"): None, home(b"n5"): small_file(b"content 5\n")}
    vector.take(5, changed(states[4], changes), [stored(changes)], changes)


@scenario("Archives that were replaced stand there again: the higher archive number wins.")
def superseded_archive_came_back(vector):
    merge(vector, history(vector, 4), keep=(2, 4))


@scenario("A standalone snapshot with its own copy of a chunk that the one before it has.")
def standalone_with_copy(vector):
    state = directory(b"file")
    vector.take(1, state, [stored(state)])
    copy = directory(b"file")
    vector.full = True
    vector.take(2, copy, [stored(copy)], changes={}, manifests=[made.manifest(tree_sorted(copy), False)], marks=1)


@scenario("Pins and tags: those of the newest record count, and it replaces the one before.")
def records(vector):
    states = history(vector, 1)
    vector.record([(2, 1, b"first"), (1, 1, b"")])
    changes = {home(b"n2"): small_file(b"content 2\n")}
    vector.take(2, changed(states[1], changes), [stored(changes)], changes)
    vector.record([(2, 1, b"first"), (2, 2, "größer".encode()), (2, 2, b"b"), (1, 2, b"because")], replaces=[2])
    vector.remove(2)
    changes = {home(b"n1"): None}
    vector.take(3, {HOME: states[1][HOME], home(b"n2"): vector.entry_states[2][home(b"n2")]}, changes=changes)
    vector.pins, vector.tags = [2], {1: ["first"], 2: ["größer", "b"]}


@scenario("Archives under two keys, both of which one passphrase opens.", keys=["key", "key-2"], passphrase=True, slots=True)
def two_keys(vector):
    states = history(vector, 2)
    vector.key = vector.keys[1]
    changes = {home(b"n3"): small_file(b"content 3\n")}
    vector.take(3, changed(states[2], changes), [stored(changes)], changes)


@scenario("Archives under two keys, the older of which is wrapped under the newer.", keys=["key-2"])
def two_keys_wrapped(vector):
    states = history(vector, 2)
    vector.wrap_first_key(vector.keys[1])
    vector.key = vector.keys[1]
    changes = {home(b"n3"): small_file(b"content 3\n")}
    vector.take(3, changed(states[2], changes), [stored(changes)], changes)


@scenario("Slots that are opened in other ways than a reader knows stand before the one that it knows.", keys=[], passphrase=True, slots=True)
def slot_of_unknown_kdf(vector):
    history(vector, 1)

    def change(description):
        slots = description["keys"][0]["slots"]
        slots[:0] = [{"id": 2, "kdf": "argon2id", "memory": 65536, "passes": 3, "salt": [1, 2, 3]}, {**slots[0], "id": 3, "n": "1024"}]
    vector.edit_description(change)


@scenario("No key file, but a passphrase that is no ASCII, in a file with a newline.", keys=[], passphrase=True, slots=True)
def passphrase_slot(vector):
    history(vector, 1)


@scenario("Payloads of each codec: data, manifest and contents.")
def codecs(vector):
    state = directory(b"stored", b"xz", b"zstd")
    for name in (b"stored", b"xz", b"zstd"):
        state[home(name)] = small_file(b"content of " + name + b", again and again\n" * 40)
    vector.manifest_codec, vector.contents_codec = ZSTD, XZ
    vector.take(1, state, [stored(state, b"stored"), stored(state, b"xz", codec=XZ), stored(state, b"zstd", codec=ZSTD)])
    vector.manifest_codec, vector.contents_codec = XZ, ZSTD
    vector.take(2, state, changes={HOME: state[HOME]})


@scenario("Fields, records and members of a later version; fields in another order than writers choose.")
def unknown_fields_are_skipped(vector):
    vector.later = True
    vector.encode_fields = lambda found: b"".join(field(*one) for one in sorted(found, key=lambda one: -one[0]) + [(2**63, b"")])
    state, plain = directory(b"a", b"b"), Entry.fields
    try:
        Entry.fields = lambda entry: [(2**40, b"later"), *reversed(plain(entry))]
        for entry in state.values():
            entry.attributes = [(b"user.one", b"1"), (b"user.two", b"2")]
        vector.take(1, state, [stored(state, b"a"), stored(state, b"b")])
        changes = {home(b"b"): None}
        vector.take(2, changed(state, changes), changes=changes)
    finally:
        Entry.fields = plain


@scenario("Tree order over several manifest frames; paths that share nothing across them; owner names of one frame, one of them empty.")
def several_manifest_frames(vector):
    state = {HOME: Entry("directory", 0o755)}
    for name in (b"a", b"a/b", b"a/b/c"):
        state[home(name)] = Entry("directory", 0o755, user=b"root", group=b"root")
    for name in (b"a/b/c/d", b"a/b!", b"a!", b"a!b", b"a.b", b"ab", b"\x01"):
        state[home(name)] = small_file(name, user=b"root", group=b"root" if b"/" in name else b"")
    payload = stored(state, codec=XZ)
    items = tree_sorted(state)
    for at, (_, entry) in enumerate(items):              # the third frame names nobody
        if at >= 6:
            entry.user = entry.group = b""
    frames = [made.manifest(items[:3], False), made.manifest(items[3:6], False), b"", made.manifest(items[6:], False)]
    # A name that is empty takes one back: the id that follows stands for itself.
    frames[3] = made.record(1, b"\x00" + varint(12345) + b"root") + made.record(1, b"\x00" + varint(12345)) + frames[3]
    vector.take(1, state, [payload], manifests=frames)


@scenario("Numbers in more bytes than they need.")
def long_varints(vector):
    plain = made.varint
    state = directory(b"a", b"b")
    payload = stored(state)
    try:
        made.varint = lambda value: plain(value)[:-1] + bytes([plain(value)[-1] | 0x80, 0x80, 0]) if value < 1 << 49 else plain(value)
        manifest = made.manifest(tree_sorted(state), False)
    finally:
        made.varint = plain
    vector.take(1, state, [payload], manifests=[manifest])


@scenario("Names in archives/ that are none of an archive, a temporary file, and an unknown file beside them.")
def foreign_names(vector):
    history(vector, 1)
    for name in ("archives/notes.txt", "archives/.000000002.0123456789abcdef.tmp", "archives/000000002-full.enc", "README"):
        with open(os.path.join(vector.folder, name), "wb") as file:
            file.write(b"not an archive\n")

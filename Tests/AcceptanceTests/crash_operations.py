"""The operations of the crash matrix: what stands before each, what may stand after a crash within it, and what must work then.

In:  recorder.c as a library; an installation of its own for each operation.
Out: `OPERATIONS`; each has run once under the recorder, and checks any state of the disk that `Reopened` is given.
Invariant: the check does only what a user would do, and asks for nothing but what is promised.
"""
import hashlib
import json
import os
import random
import re
import shutil
import tempfile

import crash_states
from archives import Damage, Shelf, recover
from installation import DAMAGED, DONE, FAILED, PARTIAL, Installation, differences, fingerprint, read, reasonCodes, removeTree, write
from test_rotation import keeping
from trees import noise, put, text

SEED = int(os.environ.get("AUTO_BACKUP_SEED", "1"))
WHOLE = re.compile(r"\d{9,19}-\d{8}T\d{6}\.\d{3}Z-(full|incremental|data|record)-[0-9a-f]{64}\.enc")
# With one of these the status would say that something is lost or cannot be read.
ALARMS = {"repository-damaged", "repository-rolled-back", "repository-missing", "key-missing", "key-unsafe", "configuration-invalid"}
SETTINGS = keeping("last = 20", '[archive]\nsize = "1MiB"')


class Wrong(AssertionError):
    """A state that breaks the promise."""


def require(condition, message):
    if not condition:
        raise Wrong(message)


class Reopened:
    """A computer that starts again after a crash: a state of the disk, and the commands of whoever works with it."""

    def __init__(self, operation):
        self.operation = operation
        self.installation = Installation(sources=("unused",), initialize=False)
        self.installation.sources = operation.installation.sources
        self.installation.source = operation.installation.source

    def put(self, state):
        directory = self.installation.directory
        for name in os.listdir(directory):
            removeTree(os.path.join(directory, name))
        there = os.fsencode(self.operation.installation.repository)
        crash_states.put(state, directory, [(there, os.fsencode(self.installation.repository))])
        os.makedirs(self.installation.home, exist_ok=True)

    def run(self, *arguments, expect=0):
        return self.installation.run(*arguments, expect=expect)

    def numbers(self):
        return self.installation.numbers()

    def restored(self, number, expect=0):
        """What a snapshot gives back, as a fingerprint."""
        target = os.path.join(self.installation.directory, "out")
        self.installation.restore(number, target, expect=expect)
        found = fingerprint(target + self.installation.source)
        removeTree(target)
        return found

    def checkRestored(self, number, *expected):
        """It comes back as one of `expected`."""
        found = self.restored(number)
        lines = [differences(one, found) for one in expected]
        require(not all(lines), f"snapshot {number} came back otherwise: {lines}")

    def litter(self):
        """Temporary files that nobody needs any more."""
        installation = self.installation
        found = [name for name in installation.archives() if not WHOLE.fullmatch(name)]
        for folder in (installation.repository, installation.state, os.path.dirname(installation.configurationFile)):
            found += [name for name in os.listdir(folder) if re.search(r"^\.", name)] if os.path.exists(folder) else []
        return found


# MARK: Operations

class Operation:
    """Something that writes, in one or more commands. A subclass says what stands before it, and what may stand after a crash."""
    name = ""
    settings = SETTINGS
    commands = ()
    # Exit statuses of the commands when they are given again after a crash.
    again = (DONE,)

    def __init__(self, test, recorder):
        self.recorder = recorder
        self.random = random.Random(f"{SEED} {self.name}")
        self.installation = test.install(initialize=False)
        self.source = self.installation.source
        # {number: what the snapshot holds}
        self.moments = {}
        # What the recorder must not see stands beside the installation.
        self.beside = tempfile.mkdtemp(prefix="ab-", dir=os.path.dirname(self.installation.directory))
        test.addCleanup(removeTree, self.beside)
        self.log = os.path.join(self.beside, "log")
        self.initial = None
        self.prepare()
        if self.initial is None:
            self.startRecording()
        self.start = len(self.records())
        self.before = self.listed()
        self.act()
        self.after = self.listed()

    # What happens

    def initialize(self):
        self.installation.run("init", self.source, "--repository", self.installation.repository, "--quiet")
        self.installation.configure(self.settings)

    def fill(self):
        for number in range(8):
            self.put(f"small-{number}", text(self.random, 3000))
        os.makedirs(os.path.join(self.source, "folder"), exist_ok=True)
        os.symlink("small-1", os.path.join(self.source, "link"))
        self.put("folder/inside", noise(self.random, 9000))

    def put(self, name, data):
        put(os.path.join(self.source, name), data)

    def take(self, *arguments):
        number = self.snapshot(*arguments)["number"]
        self.moments[number] = fingerprint(self.source)
        return number

    def snapshot(self, *arguments):
        return self.command("snapshot", "--json", *arguments)

    def history(self, count):
        """So many more snapshots, each with a version of its own of a large file and of a small one, and with one that only it has."""
        large = noise(self.random, 300_000)
        for number in range(len(self.moments) + 1, len(self.moments) + count + 1):
            self.put("large", large[:150_000] + noise(self.random, 2000) + large[152_000:])
            self.put("edited", text(self.random, 2000))
            self.put(f"only-{number}", noise(self.random, 4000))
            before = os.path.join(self.source, f"only-{number - 1}")
            if os.path.exists(before):
                os.unlink(before)
            self.take()

    def prepare(self):
        self.initialize()
        self.startRecording()
        self.fill()
        self.history(2)

    def act(self):
        for command in self.commands:
            self.command(*command)

    def startRecording(self):
        self.initial = crash_states.scan(self.installation.directory, (os.fsencode(self.source),))

    def command(self, *arguments, expect=0):
        """Runs it under the recorder once that is on."""
        environment = {} if self.initial is None else {
            "LD_PRELOAD": self.recorder, "RECORDER_ROOT": self.installation.directory, "RECORDER_LOG": self.log}
        return self.installation.run(*arguments, expect=expect, environment=environment)

    def records(self):
        return crash_states.readLog(self.log) if os.path.exists(self.log) else []

    def listed(self):
        """The snapshots, without a trace in the log or on the disk."""
        with tempfile.TemporaryDirectory(dir=os.path.dirname(self.installation.directory)) as copy:
            for folder in ("home", "repository"):
                if os.path.exists(os.path.join(self.installation.directory, folder)):
                    shutil.copytree(os.path.join(self.installation.directory, folder), os.path.join(copy, folder))
            other = Reopened(self)
            try:
                other.put(crash_states.flat(crash_states.scan(copy, (os.path.join(os.fsencode(copy), b"home", b"source"),))))
                return other.numbers()
            finally:
                other.installation.close()

    def checkComplete(self, test, history):
        """The recorder missed nothing: the log makes of what was there what is there."""
        there = crash_states.flat(crash_states.scan(self.installation.directory, (os.fsencode(self.source),)))
        made = history.complete()
        test.assertEqual(sorted(made), sorted(there), self.name)
        for path in there:
            test.assertEqual(made[path], there[path], f"{self.name}: {path}")

    # What is allowed

    def stages(self):
        """All sets of snapshots that may be listed after a crash within the operation."""
        return [self.before, self.after]

    def check(self, place, isDone, depth):
        """isDone: the command had ended with 0. depth: 1 for what takes longer, 2 for recover.py as well."""
        numbers = place.numbers()
        require(numbers in ([self.after] if isDone else self.stages()), f"snapshots {numbers}, before {self.before}, after {self.after}")
        self.checkSound(place)
        self.checkContents(place, numbers, isDone)
        if depth > 0:
            status = place.run("status", "--json", expect=None)
            require(not ALARMS & set(reasonCodes(status)), f"the status says {reasonCodes(status)}")
            place.run("ls", "-R", self.source, "--at", "latest") if numbers else None
        self.doAgain(place)
        self.checkNextSnapshot(place)
        require(not place.litter(), f"left over: {place.litter()}")
        if depth > 0:
            numbers = place.numbers()
            place.installation.removeCatalog()
            require(place.numbers() == numbers, f"without the catalog the snapshots are {place.numbers()}, with it {numbers}")
            self.checkSound(place)
            self.checkContents(place, [number for number in numbers if number in self.moments], True)
        if depth > 1:
            target = os.path.join(place.installation.directory, "recovered")
            place.installation.recover(numbers[-1], target)
            lines = differences(fingerprint(self.source), fingerprint(target + self.source))
            require(not lines, f"recover.py gives back snapshot {numbers[-1]} otherwise: {lines}")

    def checkSound(self, place):
        place.run("verify", "--data")

    def checkContents(self, place, numbers, isDone):
        for number in numbers:
            place.checkRestored(number, self.moments[number])

    def doAgain(self, place):
        for command in self.commands:
            place.run(*command, expect=self.again)
        require(place.numbers() == self.after, f"done again, the snapshots are {place.numbers()}, expected {self.after}")

    def checkNextSnapshot(self, place):
        outcome = place.installation.snapshot("--full")
        require(outcome["taken"], f"no snapshot was taken: {outcome}")
        place.checkRestored(outcome["number"], fingerprint(self.source))


class Snapshot(Operation):
    name = "snapshot (incremental)"
    commands = [("snapshot",)]

    def prepare(self):
        super().prepare()
        self.change()

    def change(self):
        self.put("edited", text(self.random, 5000))
        self.put("new", noise(self.random, 20_000))
        os.unlink(os.path.join(self.source, "small-3"))

    def act(self):
        number = max(self.moments, default=0) + 1
        self.moments[number] = fingerprint(self.source)
        super().act()


class FirstSnapshot(Snapshot):
    name = "snapshot (the first)"

    def prepare(self):
        self.initialize()
        self.startRecording()
        self.fill()


class LargeSnapshot(Snapshot):
    name = "snapshot (several archives)"

    def change(self):
        super().change()
        for number in range(3):
            self.put(f"bulk-{number}", noise(self.random, 900_000))


class FullSnapshot(Snapshot):
    name = "snapshot (full, with a tag)"
    commands = [("snapshot", "--full", "--tag", "tagged")]

    def doAgain(self, place):
        """It would add one more each time."""


class Pinning(Operation):
    name = "pin and unpin"
    commands = [("pin", 1), ("pin", 2), ("unpin", 1)]

    def check(self, place, isDone, depth):
        pins = self.pins(place)
        require(pins in ([[2]] if isDone else [[], [1], [1, 2], [2]]), f"pinned are {pins}")
        super().check(place, isDone, depth)

    def doAgain(self, place):
        super().doAgain(place)
        require(self.pins(place) == [2], f"done again, pinned are {self.pins(place)}")

    @staticmethod
    def pins(place):
        return [one["number"] for one in place.installation.snapshots() if one["pinned"]]


class Rotation(Operation):
    name = "rotate"
    settings = keeping("last = 2", '[archive]\nsize = "1MiB"')
    commands = [("rotate",)]

    def prepare(self):
        super().prepare()
        # Of one `data` archive nothing is left afterwards, of another a part.
        self.put("bulk", noise(self.random, 1_100_000))
        self.put("more", noise(self.random, 700_000))
        self.history(1)
        os.unlink(os.path.join(self.source, "bulk"))
        self.history(4)
        self.command("pin", 5)


    def stages(self):
        """The newest group goes first; each in one step."""
        stages, gone = [self.before], []
        for number in reversed(self.before):
            if number in self.after:
                stages.append([one for one in self.before if one not in gone])
            else:
                gone.append(number)
        return stages + [self.after]


class Forgetting(Rotation):
    name = "forget"
    settings = SETTINGS
    commands = [("forget", 1, 3, "--yes")]

    def prepare(self):
        self.initialize()
        self.startRecording()
        self.fill()
        self.history(4)


    def doAgain(self, place):
        left = [number for number in place.numbers() if number not in self.after]
        if left:
            place.run("forget", *left, "--yes")
        require(place.numbers() == self.after, f"done again, the snapshots are {place.numbers()}, expected {self.after}")


class Compaction(Operation):
    """A `data` archive and a commit that came through the fast lane: more than 4 MiB at once."""
    name = "compact"
    commands = [("compact",)]
    settings = keeping("last = 20", '[archive]\nsize = "1MiB"\n[compression]\nfast = "zstd:1"\ndeep = "xz:1"')

    def prepare(self):
        self.initialize()
        self.startRecording()
        self.fill()
        self.put("bulk", text(self.random, 4_300_000))
        self.history(2)

    def act(self):
        before = self.installation.archives()
        super().act()
        require(len(set(before) - set(self.installation.archives())) > 1, "nothing was compacted")


class Purging(Operation):
    """A file with three versions: three lists are written anew, the newest first."""
    name = "purge"

    def prepare(self):
        self.initialize()
        self.startRecording()
        self.fill()
        self.secret = os.path.join(self.source, "secret")
        self.digests = []
        for version in range(3):
            self.put("secret", noise(self.random, 30_000))
            self.digests.append(hashlib.sha256(read(self.secret)).digest())
            if version == 2:
                self.put("more", noise(self.random, 1_100_000))
            self.history(1)
        self.history(1)
        self.commands = [("purge", self.secret, "--yes")]
        self.again = (DONE, FAILED)
        self.whole = dict(self.moments)
        for number, moment in self.moments.items():
            self.moments[number] = {path: item for path, item in moment.items() if path != b"secret"}

    def act(self):
        super().act()
        # What follows takes no new copy of it.
        os.unlink(self.secret)

    def checkContents(self, place, numbers, isDone):
        for number in numbers:
            place.checkRestored(number, self.moments[number], *([] if isDone else [self.whole[number]]))

    def check(self, place, isDone, depth):
        if isDone:
            self.checkGone(place)
        super().check(place, isDone, depth)

    def doAgain(self, place):
        """Done, there is nothing left to purge, which is an error."""
        super().doAgain(place)
        for number in self.after:
            place.checkRestored(number, self.moments[number])
        self.checkGone(place)

    def checkGone(self, place):
        shelf = Shelf(place.installation)
        require(not shelf.places().keys() & set(self.digests), "purged content is still in an archive")
        for number in place.numbers():
            require(os.fsencode(self.secret) not in shelf.contents(number), f"the list of snapshot {number} still has what was purged")


class NewKey(Operation):
    name = "key rotate, and re-keying"
    commands = [("key", "rotate"), ("compact",)]

    def prepare(self):
        super().prepare()
        self.put("bulk", noise(self.random, 1_300_000))
        self.take("--full")
        self.command("tag", 1, "tagged")

    def doAgain(self, place):
        """What is under the old key is rewritten; and then the key can be changed once more."""
        for command in (("compact",), ("key", "rotate"), ("compact",)):
            place.run(*command)
        keys = json.loads(read(os.path.join(place.installation.repository, "repository.json")))["keys"]
        require(len(keys) == 1, f"{len(keys)} keys are left")


class Passphrase(Operation):
    name = "key add, key remove"

    def prepare(self):
        super().prepare()
        self.opens = {}
        self.files = [os.path.join(self.beside, name) for name in ("first", "second")]
        for file in self.files:
            write(file, os.path.basename(file) + "\n")
        self.commands = [("key", "add", "--passphrase-file", self.files[0]), ("key", "add", "--passphrase-file", self.files[1]),
                         ("key", "remove", 1)]

    def check(self, place, isDone, depth):
        slots = self.slots(place)
        require(slots in ([["second"]] if isDone else [[], ["first"], ["first", "second"], ["second"]]), f"what opens it: {slots}")
        super().check(place, isDone, depth)

    def slots(self, place):
        """Which of the passphrases open the repository; each derivation takes half a second, and is the same for the same file."""
        content = read(os.path.join(place.installation.repository, "repository.json"))
        if content not in self.opens:
            self.opens[content] = [name for name, file in zip(("first", "second"), self.files) if self.unlocks(json.loads(content), file)]
        return self.opens[content]

    @staticmethod
    def unlocks(description, passphrase):
        try:
            return bool(recover.unlock(description, [], passphrase))
        except recover.Stop:
            return False

    def doAgain(self, place):
        """The catalog and the archives have no part in it."""


class Repairing(Operation):
    """One `data` archive is damaged whose content stands in the sources, and the list of one snapshot."""
    name = "repair"
    commands = [("repair",)]

    def prepare(self):
        self.initialize()
        self.fill()
        self.history(1)
        self.put("bulk", noise(self.random, 1_500_000))
        self.take()
        self.put("small-1", text(self.random, 3000))
        self.take()
        shelf = Shelf(self.installation)
        for name in (shelf.names("data")[0], shelf.names("incremental")[1]):
            damage = Damage(self.installation, shelf, name)
            damage.frame(0 if "-data-" in name else shelf.frames(name, recover.MANIFEST)[0])
        self.startRecording()

    def checkSound(self, place):
        place.run("verify", "--data", expect=(DONE, DAMAGED) if not self.isMended else DONE)

    isMended = False

    def check(self, place, isDone, depth):
        numbers = place.numbers()
        require(numbers == self.before, f"snapshots {numbers}, before {self.before}")
        if isDone:
            place.run("verify", "--data")
        else:
            # What comes back is right, and what is not is said.
            for number in numbers:
                found = place.restored(number, expect=(DONE, PARTIAL, DAMAGED))
                lines = [line for line in differences(self.moments[number], found, ignore=("mtime",)) if "missing" not in line]
                require(not lines, f"snapshot {number} came back otherwise: {lines}")
        place.run("repair")
        place.run("verify", "--data")
        super().checkContents(place, numbers, True)
        self.checkNextSnapshot(place)
        require(not place.litter(), f"left over: {place.litter()}")
        if depth > 0:
            numbers = place.numbers()
            place.installation.removeCatalog()
            require(place.numbers() == numbers, f"without the catalog the snapshots are {place.numbers()}, with it {numbers}")
            place.run("verify", "--data")


class CatalogUpdate(Operation):
    """The catalog is older than the archives: the first command after a crash between the commit and the catalog."""
    name = "catalog update"
    commands = [("snapshots",)]

    def prepare(self):
        self.initialize()
        self.fill()
        self.history(2)
        saved = self.installation.state + ".saved"
        shutil.copytree(self.installation.state, saved)
        self.history(2)
        self.installation.run("pin", 2)
        removeTree(self.installation.state)
        os.rename(saved, self.installation.state)
        self.startRecording()


class CatalogRebuild(Operation):
    name = "catalog rebuild"
    commands = [("catalog", "rebuild")]

    def prepare(self):
        super().prepare()
        self.command("pin", 1)


class Healing(Snapshot):
    """The first writer after a crash: a rotation had published everything and removed nothing, and the catalog knew of none of it.

    A second crash, while that is healed, is healed as well.
    """
    name = "healing after a crash"
    settings = keeping("last = 2", '[archive]\nsize = "1MiB"')

    def prepare(self):
        self.initialize()
        self.fill()
        self.history(4)
        self.installation.run("pin", 2)
        for folder in (self.installation.repository, self.installation.state):
            shutil.copytree(folder, folder + ".saved")
        self.installation.run("rotate")
        removeTree(self.installation.state)
        os.rename(self.installation.state + ".saved", self.installation.state)
        archives = os.path.join(self.installation.repository, "archives")
        for name in os.listdir(self.installation.repository + ".saved/archives"):
            if not os.path.exists(os.path.join(archives, name)):
                shutil.copy2(self.installation.repository + ".saved/archives/" + name, archives)
        removeTree(self.installation.repository + ".saved")
        put(os.path.join(archives, ".000000099.0123456789abcdef.tmp"), b"unfinished")
        put(os.path.join(self.installation.repository, ".repository.json.0123.tmp"), b"{")
        self.change()
        self.startRecording()


class Initialization(Operation):
    """Before it there is nothing. A half-made installation is completed by the same command."""
    name = "init"

    def prepare(self):
        self.fill()
        self.commands = [("init", self.source, "--repository", self.installation.repository, "--quiet")]

    def listed(self):
        return []

    def check(self, place, isDone, depth):
        installation = place.installation
        if isDone:
            require(os.path.exists(installation.configurationFile) and os.path.exists(installation.keyFile), "no configuration or no key")
        if os.path.exists(installation.configurationFile):
            require(place.numbers() == [], "snapshots of nowhere")
        else:
            place.run("init", self.source, "--repository", installation.repository, "--quiet")
        outcome = installation.snapshot()
        require(outcome["taken"] and outcome["number"] == 1, f"no first snapshot: {outcome}")
        place.checkRestored(1, fingerprint(self.source))
        place.run("verify", "--data")
        require(not place.litter(), f"left over: {place.litter()}")


class Adoption(Operation):
    """A new computer takes the repository over: before it there is neither configuration nor key nor catalog."""
    name = "adopt"

    def prepare(self):
        self.initialize()
        self.fill()
        self.history(2)
        key = os.path.join(self.beside, "key")
        os.rename(self.installation.keyFile, key)
        os.unlink(self.installation.configurationFile)
        removeTree(self.installation.state)
        self.startRecording()
        self.commands = [("adopt", "--repository", self.installation.repository, "--key-file", key, "--quiet")]

    def listed(self):
        return sorted(self.moments)

    def check(self, place, isDone, depth):
        installation = place.installation
        require(not isDone or os.path.exists(installation.configurationFile), "no configuration")
        if not os.path.exists(installation.configurationFile):
            place.run("adopt", "--repository", installation.repository, *self.commands[0][3:])
        super().check(place, isDone, depth)

    def doAgain(self, place):
        """It is done."""


OPERATIONS = (Initialization, FirstSnapshot, Snapshot, LargeSnapshot, FullSnapshot, Pinning, Rotation, Forgetting, Compaction, Purging,
              Passphrase, NewKey, Repairing, CatalogUpdate, CatalogRebuild, Healing, Adoption)

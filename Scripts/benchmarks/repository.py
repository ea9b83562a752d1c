"""A repository with a long history: looking inside, thinning, the catalog made anew.

In:  --snapshots, --entries, --day, --seed.  Out: a description of the machine and a table in Markdown on stdout.
A source of many small files is made and backed up, then the daemon takes snapshot after snapshot of ten changed files each, every
one asked for over the control socket. On what has grown there it measures the commands that look inside, the thinning of one day of
snapshots (8,640: one in ten seconds), and the making anew of the catalog.
Invariant: each answer is also compared with what was written, as far as account is kept of it: some directories with all their files.
The daemon is told to rest an hour after a change: so each request makes one snapshot, and nobody else makes any.
"""
import hashlib
import json
import os
import random
import shutil
import statistics
import time

from benchmarks.arguments import count
from benchmarks.growing_tree import CHANGES, GrowingTree
from benchmarks.installation import Installation, LocalConnection
from benchmarks.machine import describe_machine, find_binaries, first_field, warn_of_old_binaries
from benchmarks.outcome import require, say
from benchmarks.table import Table, figure
from benchmarks.workplace import require_space, workplace

QUARTERS = 96                                          # of an hour, in a day
RUNS, QUERIES = 5, 20
TAIL = 200                                             # snapshots at the end that are measured one by one
SPACE_FOR_ENTRY, SPACE_FOR_SNAPSHOT = 8 << 10, 24 << 10


class RepositoryBenchmark:
    """From an empty repository to one with a long history; then what can be asked of it and done to it."""

    def __init__(self, options, installation):
        self.options = options
        self.installation = installation
        self.table = Table()
        self.tree = GrowingTree(installation.source, options.entries, options.seed)
        self.random = random.Random(options.seed + 1)
        self.facts = []

    def run(self):
        self.make_source()
        self.take_first()
        self.grow()
        kept = self.numbers()
        self.ask(kept)
        kept = self.thin_run(kept)
        self.rebuild(kept)
        kept = self.thin_quarters(kept)
        self.check_all(kept)

    # What grows

    def make_source(self):
        tree = self.tree
        start = time.perf_counter()
        tree.make()
        self.fact(f"source         {tree.entries:,} entries, {tree.files:,} files with {tree.bytes:,} bytes in "
                  f"{tree.directories:,} directories, made in {time.perf_counter() - start:.0f} s")

    def fact(self, line):
        self.facts.append(line)
        say(line)

    def take_first(self):
        it = self.installation
        it.run("init", it.source, "--repository", it.repository, "--quiet")
        it.configure(within="3650d")
        run = it.run("snapshot", "--json")
        require(json.loads(it.text())["number"] == 1, "the first snapshot is not number 1")
        self.tree.remember(1)
        archives, size = it.stored()
        self.table.add("first snapshot", run.seconds, peak=run.peak)
        self.fact(f"first snapshot {archives:,} archives, {size:,} bytes")

    def grow(self):
        """All further snapshots, by the daemon."""
        it, wanted = self.installation, self.options.snapshots
        it.start_daemon()
        connection = LocalConnection(it.socket)
        seconds, watched = it.wait_until_watching(connection)
        self.fact(f"daemon         watches {watched:,} directories after {seconds:.1f} s")
        # Source: clock_getcpuclockid(3) as glibc does it: the process id, inverted, and the clock of the scheduler, 2.
        clock = ~it.daemon.pid << 3 | 2
        walls, work, begun = [], [], time.perf_counter()
        for turn in range(2, wanted + 1):
            work.append(time.clock_gettime_ns(clock))
            self.tree.change(turn)
            before = time.perf_counter()
            answer = connection.call("POST", "/v1/snapshots")
            walls.append(time.perf_counter() - before)
            require(answer["taken"] and answer["number"] == turn and not answer["problems"], f"snapshot {turn}: {answer}")
            self.tree.remember(turn)
            if turn % 1000 == 0:
                latest = walls[-1000:]
                say(f"{turn:,} snapshots; the last 1,000 took {sum(latest):.1f} s, one {statistics.median(latest) * 1000:.1f} ms")
        work.append(time.clock_gettime_ns(clock))
        self.tell_growth(walls, work, time.perf_counter() - begun)
        connection.close()
        it.stop_daemon()

    def tell_growth(self, walls, work, seconds):
        spent = [(later - earlier) / 1e9 for earlier, later in zip(work, work[1:])]
        process = f"/proc/{self.installation.daemon.pid}/status"
        highest, resident = (int(first_field(process, name).split()[0]) * 1024 for name in ("VmHWM", "VmRSS"))
        tail_walls, tail_work = walls[-TAIL:], spent[-TAIL:]
        self.table.add(f"{len(walls) + 1:,} snapshots of {CHANGES} changed files, in all", seconds, peak=highest, note="the daemon's peak")
        self.table.add(f"incremental, wall, the last {len(tail_walls)}", statistics.median(tail_walls),
                       note=f"mean {figure(statistics.mean(tail_walls))}, longest {figure(max(tail_walls))}")
        self.table.add(f"incremental, CPU of the daemon, the last {len(tail_work)}", statistics.median(tail_work), goal=0.1, peak=highest,
                       note=f"mean {figure(statistics.mean(tail_work))}, first {TAIL}: {figure(statistics.median(spent[:TAIL]))}")
        archives, size = self.installation.stored()
        self.fact(f"daemon         {resident / 1e6:.0f} MB resident at the end")
        self.fact(f"repository     {archives:,} archives, {size:,} bytes")

    # What is asked

    def ask(self, kept):
        it = self.installation
        for what, goal, arguments in (
                ("`watchctl snapshots`", 0.2, ["snapshots"]),
                ("`watchctl snapshots --json`", 0.2, ["snapshots", "--json"]),
                ("`watchctl status --json`", None, ["status", "--json"])):
            # Without a daemon `status` ends with 3.
            runs = [it.run(*arguments, into=os.devnull, expect=(0, 3) if arguments[0] == "status" else (0,)) for _ in range(RUNS)]
            self.table.add_runs(what, goal, runs)
        self.table.add_runs("`watchctl ls DIR --at N`", 0.1, self.look_into(kept))
        self.ask_history()
        folder, moment = self.random.choice(self.tree.kept), self.random.choice(kept)
        name, digest = self.random.choice(sorted(self.tree.state(folder, moment).items()))
        path = os.fsdecode(self.tree.folder(folder) + b"/" + name)
        runs = [it.run("cat", path, "--at", moment) for _ in range(RUNS)]
        with open(it.output, "rb") as file:
            require(hashlib.sha256(file.read()).digest() == digest, f"{path} at {moment}: the content differs")
        self.table.add_runs("`watchctl cat FILE --at N`", None, runs)

    def look_into(self, kept):
        """Lists directories at random moments. Half of them are kept ones, whose names are compared."""
        runs = []
        for query in range(QUERIES):
            is_kept = query % 2 == 0
            folder = self.random.choice(self.tree.kept) if is_kept else self.random.randrange(self.tree.directories)
            moment = self.random.choice(kept)
            path = os.fsdecode(self.tree.folder(folder))
            runs += [self.installation.run("ls", path, "--at", moment) for _ in range(RUNS)]
            if is_kept:
                expected = sorted(map(os.fsdecode, self.tree.state(folder, moment)))
                require(sorted(self.installation.text().splitlines()) == expected, f"ls {path} --at {moment}: the names differ")
        return runs

    def ask_history(self):
        what, goal = "`watchctl history FILE --json`", 0.1
        if not self.installation.has_command("history"):
            return self.table.add_missing(what, goal)
        changed = sorted(index for index, states in self.tree.history.items() if len(states) > 1 and self.tree.present[index])
        runs = []
        for index in self.random.sample(changed, min(QUERIES, len(changed))):
            path = os.fsdecode(self.tree.path(index))
            runs += [self.installation.run("history", path, "--json") for _ in range(RUNS)]
            # A file under another name has another history.
            count = sum(name == self.tree.name(index) for _, name, _ in self.tree.history[index])
            require(len(json.loads(self.installation.text())) >= count, f"history {path}: fewer than {count} versions")
        self.table.add_runs(what, goal, runs)

    def numbers(self):
        self.installation.run("snapshots", "--json")
        return sorted(snapshot["number"] for snapshot in json.loads(self.installation.text()))

    # What is done to it

    def thin_run(self, kept):
        """One day of snapshots, the oldest, is merged into the one behind it: the first full one goes with it, and is recorded anew."""
        day = min(self.options.day, len(kept) // 4)
        return self.thin("the oldest day, with the first full", kept, kept[day:], last=len(kept) - day)

    def thin_quarters(self, kept):
        """One day of incrementals is thinned to quarters of an hour. Pins hold those that the rule would, for the clock went faster here."""
        day = min(self.options.day, len(kept) // 4)
        quarters = min(QUARTERS, day // 2)
        length = day // quarters + 1
        oldest, thinned, rest = kept[:1], kept[1:quarters * length + 1], kept[quarters * length + 1:]
        pinned = oldest + thinned[length - 1::length]
        for each in pinned:
            self.installation.run("pin", each)
        return self.thin(f"one day to {quarters} quarters of an hour", kept, pinned + rest, last=len(rest))

    def thin(self, what, kept, wanted, last):
        """Rotates by a count, which with the pins must leave exactly `wanted`, and restores some of it."""
        it = self.installation
        dropped = len(kept) - len(wanted)
        it.configure(last=last)
        it.run("rotate", "--dry-run", "--json")
        planned = [choice["number"] for choice in json.loads(it.text()) if choice["keep"]]
        require(planned == wanted, f"rotate --dry-run keeps {len(planned)} snapshots, not {len(wanted)}")
        archives, size = it.stored()
        run = it.run("rotate", into=os.devnull)
        archives_left, size_left = it.stored()
        require(self.numbers() == wanted, "rotate kept others than it said it would")
        self.table.add(f"thinning, {what} ({dropped:,} snapshots go)", run.seconds, goal=30, peak=run.peak,
                       note=f"{archives - archives_left:,} archives fewer, {size - size_left:,} bytes freed")
        it.run("verify", "--digests")
        # One of the snapshots that others were merged into, and any.
        merged = [each for before, each in zip([0, *wanted], wanted) if each - before > 1]
        for moment in [self.random.choice(merged)] + self.random.sample(wanted, 2):
            self.check_restored(moment)
        return wanted

    def rebuild(self, kept):
        before = self.sample(kept)
        run = self.installation.run("catalog", "rebuild")
        self.table.add(f"`watchctl catalog rebuild`, {len(kept):,} snapshots", run.seconds, goal=120, peak=run.peak)
        require(self.sample(kept) == before, "the catalog that was made anew answers otherwise")

    def sample(self, kept):
        """Answers that a catalog made anew must give again; as digests, for they are long."""
        chance, answers = random.Random(self.options.seed), []
        queries = [["snapshots", "--json"]]
        for folder in self.tree.kept:
            queries.append(["ls", os.fsdecode(self.tree.folder(folder)), "--json", "--at", chance.choice(kept)])
        for query in queries:
            self.installation.run(*query)
            answers.append(hashlib.sha256(self.installation.text().encode()).hexdigest())
        return answers

    # Whether it is right

    def check_restored(self, moment):
        """Restores a kept directory and compares names and contents with what was there."""
        folder = self.random.choice(self.tree.kept)
        path, target = self.tree.folder(folder), os.path.join(self.installation.directory, "restored")
        self.installation.run("restore", os.fsdecode(path), "--at", moment, "--to", target, "--quiet")
        found = {}
        for entry in os.scandir(os.path.join(os.fsencode(target), os.path.basename(path))):
            with open(entry.path, "rb") as file:
                found[entry.name] = hashlib.sha256(file.read()).digest()
        require(found == self.tree.state(folder, moment), f"{os.fsdecode(path)} restored from snapshot {moment} differs from what was there")
        shutil.rmtree(target)

    def check_all(self, kept):
        """The newest snapshot is what the source is now, by metadata; every archive has its digest."""
        self.installation.run("doctor")
        self.installation.run("verify", "--digests")
        self.check_restored(kept[-1])
        archives, size = self.installation.stored()
        self.fact(f"at the end     {len(kept):,} snapshots, {archives:,} archives, {size:,} bytes")


def add_arguments(parser):
    parser.add_argument("--snapshots", type=count(50), default=50_000, help="how many are taken (preset: 50000)")
    parser.add_argument("--entries", type=count(2000), default=1_000_000, help="files and directories of the source, about (preset: 1000000)")
    parser.add_argument("--day", type=count(10), default=8640, help="snapshots of one day (preset: 8640; at most a quarter of all)")


def run(options):
    binaries = find_binaries(options.binaries)
    require_space(options, options.entries * SPACE_FOR_ENTRY + options.snapshots * SPACE_FOR_SNAPSHOT,
                  options.entries + options.snapshots + 1000, "fewer --entries")
    with workplace(options) as directory:
        installation = Installation(directory, binaries)
        warn_of_old_binaries(installation.watchctl)
        try:
            print("\n".join(describe_machine(directory, installation.watchctl)), flush=True)
            benchmark = RepositoryBenchmark(options, installation)
            try:
                benchmark.run()
            finally:
                # What was measured before something went wrong is worth seeing.
                print("\n".join(benchmark.facts) + "\n\n" + benchmark.table.text(), flush=True)
        finally:
            installation.close()

"""The watcher of a large tree: its start, its memory, and how fast it hears of changes.

In:  --files, --directories, --watch-runs, --seed.  Out: a description of the machine and a table in Markdown on stdout.
Each way of watching that this user may have is measured: inotify, fanotify with a mark for each directory, and as root with one for each
file system; beside them watchman, where it is installed.
- Start: from the start of a daemon that knows the tree from a snapshot until all of it is watched and compared with the catalog.
- Memory per directory: the written memory (Private_Dirty) beyond that of a daemon that watches a tree of a single directory.
- Drained: two processes append to files, each write closed, for some seconds. Events per second of wall time, with no overflow, and per
  second of the daemon's CPU time.
- Latency: from before a write until the control socket tells one path more that is pending; asking takes its part of it.
- Idle: CPU time and wake-ups (voluntary context switches of all threads, proc_pid_status(5)) in a minute. One in a
  second is libdispatch's, which looks after the threads that Swift's tasks run on; the watcher's own are two checks of the sources.
The daemon is told to rest an hour after a change, so that it watches and does nothing else.
"""
import glob
import os
import random
import shutil
import statistics
import subprocess
import sys
import time

from benchmarks.arguments import count
from benchmarks.installation import Installation, LocalConnection
from benchmarks.machine import describe_machine, find_binaries, first_field, warn_of_old_binaries
from benchmarks.outcome import require, say
from benchmarks.table import Table
from benchmarks.watchman import Watchman
from benchmarks.workplace import require_space, workplace

_, DIRECTORY_MARKS, _ = WAYS = "inotify", "fanotify on directories", "fanotify on file systems"
WRITERS, WRITING = 2, 5                                # processes; seconds
WRITES = 50
MINUTE = 60
# Appends to its own files, one after the other, until the time is over; says how often it has written.
WRITER = """
import os, sys, time
folder, seconds = sys.argv[1], float(sys.argv[2])
paths = [f"{folder}/written-{number}" for number in range(500)]
written, end = 0, time.monotonic() + seconds
while time.monotonic() < end:
    for path in paths:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(file, b"x")
        os.close(file)
        written += 1
print(written)
"""


def add_arguments(parser):
    parser.add_argument("--files", type=count(1000), default=200_000, help="of the tree (preset: 200000)")
    parser.add_argument("--directories", type=count(10), default=17_000, help="of the tree (preset: 17000)")
    parser.add_argument("--watch-runs", type=count(1), default=5, help="how often each is started (preset: 5)")


def run(options):
    binaries = find_binaries(options.binaries)
    require_space(options, options.files * 8 << 10, options.files + options.directories + 1000, "fewer --files")
    with workplace(options) as directory:
        installation = Installation(directory, binaries)
        warn_of_old_binaries(installation.watchctl)
        try:
            print("\n".join(describe_machine(directory, installation.watchctl)), flush=True)
            print(WatchingBenchmark(options, installation).run(), flush=True)
        finally:
            installation.close()


class WatchingBenchmark:
    def __init__(self, options, installation):
        self.options, self.installation = options, installation
        self.table = Table()

    def run(self):
        it = self.installation
        it.run("init", it.source, "--repository", it.repository, "--quiet")
        # Before the large tree is there: what a daemon takes by itself.
        least = {way: run[2] for way in WAYS if (run := self.start(way))}
        directories = self.make_tree()
        it.run("snapshot", "--json")
        peer = Watchman(it)
        for way in least:
            self.measure(way, directories, least[way])
        if peer.is_installed:
            self.measure_peer(peer)
        return self.table.text()

    def make_tree(self):
        """Directories two levels deep, with the files spread over them."""
        options, root = self.options, self.installation.source
        content = random.Random(options.seed)
        made = 0
        for number in range(options.directories):
            folder = f"{root}/{number // 130}/{number % 130}"
            os.makedirs(folder)
            for index in range(options.files * number // options.directories, options.files * (number + 1) // options.directories):
                with open(f"{folder}/{index}.txt", "wb") as file:
                    file.write(content.randbytes(content.randrange(1, 200)))
                made += 1
        directories = sum(1 for _ in os.walk(root))
        say(f"{made:,} files in {directories:,} directories")
        return directories

    def start_daemon(self, way):
        it = self.installation
        it.configure(within="3650d", backend=way.split()[0])
        # What root may, and others may not.
        it.wrapper = ["setpriv", "--bounding-set", "-sys_admin"] if way == DIRECTORY_MARKS and os.geteuid() == 0 and shutil.which("setpriv") else []
        it.start_daemon()

    def start(self, way):
        """Starts and ends the daemon; returns (seconds, of them comparing, written bytes, resident bytes) when it rests; None where it cannot."""
        it = self.installation
        self.start_daemon(way)
        connection = LocalConnection(it.socket)
        seconds, _ = it.wait_until_watching(connection)
        watch = connection.call("GET", "/v1/status")["watch"]
        # Where a mark stands for a file system there is no limit.
        unit = "file systems" if watch["limit"] is None else "directories"
        used = watch["backend"] if watch["backend"] == "inotify" else f"fanotify on {unit}"
        connection.close()
        # What it gives back after the comparison, it gives back then.
        time.sleep(2)
        written, resident = memory(it.daemon.pid)
        it.stop_daemon()
        if used != way:
            say(f"left out: {way}, for the daemon uses {used}")
            return None
        return seconds, watch["recent_reconciles"][0]["seconds"], written, resident

    def measure(self, way, directories, least):
        runs = [self.start(way) for _ in range(self.options.watch_runs)]
        seconds, comparing, written, resident = (statistics.median(values) for values in zip(*runs))
        self.table.add(f"{way}: start, until watched and compared", seconds, note=f"of it comparing: {comparing:.2f} s")
        self.table.add(f"{way}: entries compared a second", (self.options.files + directories) / comparing, "/s")
        self.table.add(f"{way}: resident memory", resident / 1e6, "MB", note=f"written: {written / 1e6:.1f} MB")
        self.table.add(f"{way}: written memory per directory", max(0, written - least) / directories, "bytes")
        it = self.installation
        self.start_daemon(way)
        connection = LocalConnection(it.socket)
        it.wait_until_watching(connection)
        try:
            self.rest(way)
            self.drain(way, connection)
            self.delay(way, connection)
        finally:
            connection.close()
        it.stop_daemon()

    def rest(self, way):
        pid = self.installation.daemon.pid
        time.sleep(5)
        before, clock = wake_ups(pid), cpu(pid)
        time.sleep(MINUTE)
        self.table.add(f"{way}: idle, CPU in a minute", (cpu(pid) - clock) * 1000, "ms", note=f"{wake_ups(pid) - before} wake-ups")

    def drain(self, way, connection):
        it = self.installation
        before = connection.call("GET", "/v1/status")["watch"]
        clock, start = cpu(it.daemon.pid), time.monotonic()
        folders = [f"{it.source}/{number}" for number in range(WRITERS)]
        writers = [subprocess.Popen([sys.executable, "-c", WRITER, folder, str(WRITING)], stdout=subprocess.PIPE, text=True) for folder in folders]
        written = sum(int(writer.communicate()[0]) for writer in writers)
        # All of them have been heard when the daemon has caught up.
        last = self.settled(connection)
        seconds, spent = time.monotonic() - start, cpu(it.daemon.pid) - clock
        events, overflows = last["events"] - before["events"], last["overflows"] - before["overflows"]
        self.table.add(f"{way}: events drained a second, beside {WRITERS} writers", events / seconds, "/s",
                       note=f"{written:,} writes, {events:,} events, {overflows} overflows")
        self.table.add(f"{way}: events drained in a second of the daemon's CPU", events / spent, "/s")
        for folder in folders:
            for number in range(500):
                os.unlink(f"{folder}/written-{number}")
        self.settled(connection)

    def settled(self, connection):
        """The numbers of watching when they do not move any more."""
        last = None
        while True:
            watch = connection.call("GET", "/v1/status")["watch"]
            if last and watch["events"] == last["events"]:
                return watch
            last = watch
            time.sleep(0.05)

    def delay(self, way, connection):
        it, times = self.installation, []
        for turn in range(WRITES):
            pending = connection.call("GET", "/v1/status")["pending"]["paths"]
            before = time.perf_counter()
            with open(f"{it.source}/5/{turn}/latency", "w") as file:
                file.write("saved")
            while connection.call("GET", "/v1/status")["pending"]["paths"] <= pending:
                require(time.perf_counter() - before < 60, "a write was not noticed")
            times.append(time.perf_counter() - before)
        for turn in range(WRITES):
            os.unlink(f"{it.source}/5/{turn}/latency")
        self.table.add(f"{way}: from a write until it is pending", statistics.median(times) * 1000, "ms", note=f"longest {max(times) * 1000:.1f} ms")

    def measure_peer(self, peer):
        runs = [peer.start(self.installation.source) for _ in range(self.options.watch_runs)]
        seconds, resident = (statistics.median(values) for values in zip(*runs))
        self.table.add(f"{peer.version}: start, until watched", seconds)
        self.table.add(f"{peer.version}: resident memory", resident / 1e6, "MB")


def memory(pid):
    """(written, resident) bytes of a process. Source: proc_pid_smaps(5)."""
    return tuple(int(first_field(f"/proc/{pid}/smaps_rollup", name).split()[0]) * 1024 for name in ("Private_Dirty", "Rss"))


def cpu(pid):
    """Seconds of CPU time. Source: clock_getcpuclockid(3) as glibc does it: the process id, inverted, and the clock of the scheduler, 2."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e9


def wake_ups(pid):
    return sum(int(first_field(path, "voluntary_ctxt_switches")) for path in glob.glob(f"/proc/{pid}/task/*/status"))

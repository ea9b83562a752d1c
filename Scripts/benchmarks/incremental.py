"""Nothing changed, and one file saved.

In:  a comparison.  Out: rows. Ours is from the save until the archive has its final name, with a daemon that does not wait for a
file to rest (`quiet = "0s"`): with the preset it waits two seconds by intention. Peers are run after the save.
"""
import os
import time

from benchmarks.comparison import OURS
from benchmarks.installation import LocalConnection
from benchmarks.outcome import require

UNCHANGED, SAVED, STATUS = "nothing changed, s", "one file saved until it is durable, s", "`watchctl status`, s"
SAVES, LEAST, LIMIT = 4, 20, 60                        # for each of the runs, and in all; seconds


def measure(comparison):
    if not comparison.has_repositories:
        comparison.start()
    it, results, runs = comparison.installation, comparison.results, comparison.options.runs
    path = os.path.join(it.source, "saved.txt")
    for turn in range(runs):
        for tool in comparison.tools:
            results.add(UNCHANGED, tool.name, tool.backup().seconds)
        save(path, turn)
        for tool in (comparison.restic, comparison.borg):
            results.add(SAVED, tool.name, tool.backup().seconds)
        comparison.ours.backup()
    with_daemon(comparison, path, max(runs * SAVES, LEAST))
    # Further parts find the same in all repositories.
    for tool in (comparison.restic, comparison.borg):
        tool.backup()
    results.at_most(UNCHANGED, 0.15)
    results.at_most(SAVED, 1 / 200)
    results.limit(STATUS, 0.015)


def save(path, turn):
    """One write of a fixed length: a snapshot that sees the change sees all of it."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        os.write(file, b"saved %012d\n" % turn * 100)
    finally:
        os.close(file)


def with_daemon(comparison, path, saves):
    it = comparison.installation
    it.configure(within="3650d", quiet="0s")
    it.start_daemon()
    connection = LocalConnection(it.socket)
    it.wait_until_watching(connection)
    for turn in range(1000, 1000 + saves):
        known = set(os.listdir(it.archives))
        before = time.perf_counter()
        save(path, turn)
        while not any(name.endswith(".enc") for name in set(os.listdir(it.archives)) - known):
            require(time.perf_counter() - before < LIMIT, f"{path} was saved, and no snapshot was made within {LIMIT} s")
            time.sleep(0.0005)
        comparison.results.add(SAVED, OURS, time.perf_counter() - before)
        it.run("cat", path)
        require(it.text() == "saved %012d\n" % turn * 100, f"{path}: the snapshot after the save does not show it")
        comparison.results.add(STATUS, OURS, it.run("status", expect=(0, 1)).seconds)
        while connection.call("GET", "/v1/status")["activity"]["state"] != "idle":
            time.sleep(0.02)
    connection.close()
    it.stop_daemon()
    it.configure(within="3650d")

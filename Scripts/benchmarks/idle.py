"""A daemon that watches the tree and has nothing to do.

In:  a comparison.  Out: rows: CPU over a minute, resident and private memory. Source: proc_pid_smaps(5).
"""
import time

from benchmarks.comparison import OURS
from benchmarks.installation import LocalConnection
from benchmarks.machine import first_field

MINUTE = 60
CPU, RESIDENT, PRIVATE = "idle daemon, CPU, %", "idle daemon, resident, MB", "idle daemon, private, MB"
WRITTEN = "idle daemon, written, MB"


def measure(comparison):
    if not comparison.has_repositories:
        comparison.start()
    it, results = comparison.installation, comparison.results
    it.start_daemon()
    connection = LocalConnection(it.socket)
    it.wait_until_watching(connection)
    connection.close()
    time.sleep(5)
    # Source: clock_getcpuclockid(3) as glibc does it: the process id, inverted, and the clock of the scheduler, 2.
    clock = ~it.daemon.pid << 3 | 2
    before = time.clock_gettime_ns(clock)
    time.sleep(MINUTE)
    results.add(CPU, OURS, (time.clock_gettime_ns(clock) - before) / 1e9 / MINUTE * 100)
    memory = f"/proc/{it.daemon.pid}/smaps_rollup"
    parts = {name: int(first_field(memory, name).split()[0]) * 1024 / 1e6 for name in ("Rss", "Private_Clean", "Private_Dirty")}
    results.add(RESIDENT, OURS, parts["Rss"])
    # The pages of the program itself are private as long as one process runs it; they need no memory beyond the page cache.
    results.add(PRIVATE, OURS, parts["Private_Clean"] + parts["Private_Dirty"])
    results.add(WRITTEN, OURS, parts["Private_Dirty"])
    it.stop_daemon()
    for what, most in ((CPU, 0.1), (RESIDENT, 45), (PRIVATE, 20)):
        results.limit(what, most)

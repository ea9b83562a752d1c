"""A first backup: time, memory, bytes; then the deep lane.

In:  a comparison.  Out: rows. `tar | zstd -3 -T2` and `tar | xz -6` are what compression alone takes; xz, which is slow and whose
size does not vary, runs once.
"""
import os

from benchmarks.comparison import OURS
from benchmarks.outcome import say

TIME, MEMORY, SIZE, DEEP = "first backup, s", "first backup, peak memory, MB", "repository, MB", "repository after the deep lane, MB"


def measure(comparison):
    results, packed = comparison.results, os.path.join(comparison.installation.directory, "packed")
    for turn in range(comparison.options.runs):
        back_up(comparison)
        for name, line in [("tar, zstd -3 -T2", "zstd -3 -T2")] + ([("tar, xz -6", "xz -6")] if turn == 0 else []):
            run = comparison.shell(f"tar cf - . | {line} > '{packed}'")
            results.add(TIME, name, run.seconds)
            results.add(SIZE, name, os.stat(packed).st_size / 1e6)
            os.unlink(packed)
    for what, factor in ((TIME, 0.35), (SIZE, 0.70), (MEMORY, 1.0)):
        results.at_most(what, factor)


def back_up(comparison):
    """Each tool once, into a fresh repository."""
    for tool in comparison.tools:
        run = comparison.start_one(tool)
        comparison.results.add(TIME, tool.name, run.seconds)
        comparison.results.add(MEMORY, tool.name, run.peak / 1e6)
        comparison.results.add(SIZE, tool.name, tool.stored() / 1e6)
        say(f"{tool.name} {run.seconds:.1f} s, {run.peak / 1e6:.0f} MB, repository {tool.stored() / 1e6:.0f} MB")
    comparison.has_repositories = True


def measure_deep(comparison):
    results = comparison.results
    run = comparison.installation.run("compact")
    results.add(DEEP, OURS, comparison.ours.stored() / 1e6)
    results.add("deep lane, s", OURS, run.seconds)
    results.add("deep lane, peak memory, MB", OURS, run.peak / 1e6)
    if SIZE in results.rows:
        results.at_most(DEEP, 0.52, of_what=SIZE)
        results.at_most(DEEP, 1.0, of="tar, xz -6", of_what=SIZE)

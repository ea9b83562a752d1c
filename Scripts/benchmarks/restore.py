"""Everything restored, one file out, the list of snapshots; from the fast lane, then from the deep lane.

In:  a comparison.  Out: rows. Every restore is compared with the source: types, modes, times and contents of all entries.
"""
import os
import random
import shutil

from benchmarks import first
from benchmarks.outcome import require
from benchmarks.trees import fingerprint

ALL, ONE, LIST = "full restore, s", "one file out, fast lane, s", "list of snapshots, s"
QUESTIONS = 4                                          # for each of the runs


def measure(comparison):
    expected = measure_fast_lane(comparison)
    first.measure_deep(comparison)
    questions(comparison, expected, "one file out, deep lane, s", 0.25)


def measure_fast_lane(comparison):
    """Returns the fingerprint of the source."""
    if not comparison.has_repositories:
        comparison.start()
    it, results = comparison.installation, comparison.results
    expected = fingerprint(it.source)
    target = os.path.join(it.directory, "restored")
    for _ in range(comparison.options.runs):
        for tool in comparison.tools:
            results.add(ALL, tool.name, tool.restore(target).seconds)
            found = fingerprint(target + it.source)
            wrong = sorted(path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))
            require(not wrong, f"{tool.name}: {len(wrong)} restored entries differ, such as {wrong[:3]}")
            shutil.rmtree(target)
        results.add(ALL, "cp -a", comparison.shell(f"cp -a . '{target}'").seconds)
        shutil.rmtree(target)
    results.at_most(ALL, 0.5)
    questions(comparison, expected, ONE, 0.05)
    for _ in range(comparison.options.runs * QUESTIONS):
        for tool in comparison.tools:
            results.add(LIST, tool.name, tool.list().seconds)
    results.limit(LIST, 0.015)
    return expected


def questions(comparison, expected, what, factor):
    it, chance = comparison.installation, random.Random(comparison.options.seed)
    files = sorted(path for path, item in expected.items() if len(item) == 5)
    for path in chance.choices(files, k=comparison.options.runs * QUESTIONS):
        with open(os.path.join(it.source, path), "rb") as file:
            content = file.read()
        for tool in comparison.tools:
            comparison.results.add(what, tool.name, tool.read(os.path.join(it.source, path)).seconds)
            with open(it.output, "rb") as file:
                require(file.read() == content, f"{tool.name}: {path} differs")
    comparison.results.at_most(what, factor)

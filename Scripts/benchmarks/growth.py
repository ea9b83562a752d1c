"""The same questions of trees of 10,000, 100,000 and 1,000,000 small files: linear in what changed, flat in what did not.

In:  --sizes, --runs.  Out: a table for each size, the goals between sizes, and with --chart FILE a drawing.
Each size has a tree and repositories of its own, which go before the next is made.
"""
from benchmarks import first, idle, incremental, restore
from benchmarks.arguments import count
from benchmarks.chart import chart
from benchmarks.comparison import OURS, Comparison
from benchmarks.growing_tree import GrowingTree
from benchmarks.installation import Installation
from benchmarks.machine import describe_machine, find_binaries, warn_of_old_binaries
from benchmarks.outcome import say
from benchmarks.peers import ENVIRONMENT, require_peers
from benchmarks.workplace import require_space, workplace

DRAWN = (first.TIME, first.MEMORY, first.SIZE, incremental.UNCHANGED, incremental.SAVED, restore.ALL, restore.ONE, incremental.STATUS,
         restore.LIST, idle.RESIDENT)
SPACE_FOR_ENTRY, TOLERANCE = 12 << 10, 0.2


def add_arguments(parser):
    parser.add_argument("--sizes", type=count(1000), nargs="+", default=[10_000, 100_000, 1_000_000],
                        help="files (preset: 10 k, 100 k, 1 M)")
    parser.add_argument("--chart", metavar="FILE", help="write a drawing (SVG) there")


def run(options):
    require_peers()
    binaries = find_binaries(options.binaries)
    largest = max(options.sizes)
    require_space(options, largest * SPACE_FOR_ENTRY + (1 << 30), largest + 10_000, "smaller --sizes")
    measured = {}
    for size in sorted(options.sizes):
        say(f"{size:,} files")
        measured[size] = measure(options, binaries, size)
    compare(measured)
    if options.chart:
        with open(options.chart, "w") as file:
            file.write(chart({what: {size: medians(results, what) for size, results in measured.items()} for what in DRAWN}))


def measure(options, binaries, size):
    with workplace(options) as directory:
        installation = Installation(directory, binaries, ENVIRONMENT)
        try:
            warn_of_old_binaries(installation.watchctl)
            GrowingTree(installation.source, size, options.seed).make()
            comparison = Comparison(options, installation)
            for _ in range(options.runs):
                first.back_up(comparison)
            incremental.measure(comparison)
            restore.measure_fast_lane(comparison)
            idle.measure(comparison)
            if size >= 1_000_000:
                comparison.results.at_most(first.MEMORY, 0.5)
            machine = describe_machine(directory, installation.watchctl)
            print("\n".join([*machine, "", f"{size:,} files", "", comparison.results.text(), ""]), flush=True)
            return comparison.results
        finally:
            installation.close()


def medians(results, what):
    return {tool: results.median(what, tool) for tool in results.rows[what]}


def compare(measured):
    """One file saved takes as long in every tree; in the largest at most a thousandth of restic's time."""
    times = {size: results.median(incremental.SAVED, OURS) for size, results in measured.items()}
    reference = sorted(times.values())[len(times) // 2]
    for size, seconds in times.items():
        verdict = "met" if abs(seconds / reference - 1) <= TOLERANCE else "**missed**"
        print(f"{size:,} files: one file saved in {seconds * 1000:.1f} ms, {seconds / reference:.2f} × the median of all sizes: {verdict}")
    largest = max(times)
    if largest >= 1_000_000:
        ratio = measured[largest].median(incremental.SAVED, "restic") / times[largest]
        print(f"{largest:,} files: restic takes {ratio:,.0f} × as long (goal: 1,000): {'met' if ratio >= 1000 else '**missed**'}")

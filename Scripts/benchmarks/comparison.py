"""One run of Auto-Backup and its peers on one tree; the parts `first`, `incremental`, `restore` and `idle` measure on it in turn.

In:  options and parts.  Out: a table in Markdown with medians, goals met or missed; with --json all values.
Invariant: the tools take turns, so that what else the machine does meets all of them.
"""
import json
import os
import statistics
import subprocess

from benchmarks.installation import Installation
from benchmarks.machine import describe_machine, find_binaries, warn_of_old_binaries
from benchmarks.outcome import say
from benchmarks.peers import ENVIRONMENT, AutoBackup, Borg, Restic, require_peers
from benchmarks.table import figure
from benchmarks.trees import BYTES, FILES, MachineTree
from benchmarks.workplace import require_space, workplace

OURS = AutoBackup.name


class Results:
    """Rows of values for each tool, and goals for ours: (text, value, limit)."""

    def __init__(self):
        self.rows, self.goals = {}, {}

    def add(self, what, tool, value):
        """`what` ends in its unit, after a comma."""
        self.rows.setdefault(what, {}).setdefault(tool, []).append(value)

    def median(self, what, tool):
        return statistics.median(self.rows[what][tool])

    def at_most(self, what, factor, of="restic", of_what=None):
        """Ours is at most `factor` times another's, of the same row or of `of_what`."""
        value = self.median(what, OURS) / self.median(of_what or what, of)
        self.goals.setdefault(what, []).append((f"{factor:g} × {of}", value, factor))

    def limit(self, what, most):
        self.goals.setdefault(what, []).append((figure(most), self.median(what, OURS), most))

    def text(self):
        tools = list(dict.fromkeys(tool for values in self.rows.values() for tool in values))
        lines = ["| | " + " | ".join(tools) + " | goal, at most |", "|---" * (len(tools) + 2) + "|"]
        for what, values in self.rows.items():
            cells = [figure(self.median(what, tool)) if tool in values else "" for tool in tools]
            goals = [f"{text}: {'met' if value <= limit else '**missed**'} ({figure(value)})"
                     for text, value, limit in self.goals.get(what, [])]
            lines.append(f"| {what} | " + " | ".join(cells) + " | " + "; ".join(goals) + " |")
        return "\n".join(lines)


class Comparison:
    def __init__(self, options, installation):
        self.options, self.installation = options, installation
        self.ours = AutoBackup(installation)
        self.restic, self.borg = Restic(installation), Borg(installation)
        self.tools = (self.ours, self.restic, self.borg)
        self.results = Results()
        self.has_repositories = False

    def shell(self, line):
        """Runs a line of shell in the source."""
        it = self.installation
        run = it.launcher.run(["/bin/sh", "-c", f'cd "$0" && {line}', it.source], it.output, it.errors)
        if run.status != 0:
            raise subprocess.CalledProcessError(run.status, line)
        return run

    def start(self):
        """Each tool with a fresh repository, and everything in it."""
        for tool in self.tools:
            self.start_one(tool)
        self.has_repositories = True

    def start_one(self, tool):
        tool.initialize()
        return tool.backup()


def versions():
    lines = []
    for command in (("restic", "version"), ("borg", "--version"), ("zstd", "--version"), ("xz", "--version")):
        lines.append(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[0].strip("* "))
    return "peers          " + "; ".join(lines)


def run_parts(options, parts):
    require_peers()
    binaries = find_binaries(options.binaries)
    # Source, repositories and a restored tree; files take whole pages in tmpfs.
    require_space(options, round(options.scale * (3 * BYTES + 2 * FILES * 4096)) + (1 << 30), round(options.scale * FILES * 3),
                  "a smaller --scale")
    with workplace(options) as directory:
        installation = Installation(directory, binaries, ENVIRONMENT)
        warn_of_old_binaries(installation.watchctl)
        try:
            tree = MachineTree(installation.source, options.scale, options.seed)
            tree.make()
            machine = [*describe_machine(directory, installation.watchctl), versions(),
                       f"tree           {tree.files:,} files in {tree.directories:,} directories, {tree.bytes:,} bytes; {options.runs} runs"]
            print("\n".join(machine), flush=True)
            comparison = Comparison(options, installation)
            try:
                for name, part in parts:
                    say(name)
                    part.measure(comparison)
            finally:
                # What was measured before something went wrong is worth seeing.
                print("\n" + comparison.results.text(), flush=True)
                if options.json:
                    with open(options.json, "w") as file:
                        results = comparison.results
                        json.dump({"machine": machine, "rows": results.rows, "goals": results.goals}, file, indent=1)
        finally:
            installation.close()


def add_arguments(parser):
    parser.add_argument("--scale", type=float, default=1.0, help="of the tree; 1 is 174,140 files (preset: 1)")
    parser.add_argument("--runs", type=int, default=5, help="of each measurement (preset: 5)")
    parser.add_argument("--json", metavar="FILE", help="write all values there")

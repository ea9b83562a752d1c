"""What was measured, against what it is meant to be, as a table in Markdown.

In:  numbers with their units and goals.  Out: text with medians, and the highest peak.
"""
import statistics

from benchmarks.outcome import say

MEMORY_GOAL = 300                                      # MB, for everything


class Table:
    """What was measured, against what it is meant to be. A goal and a measure are (number, unit); either may be missing."""

    def __init__(self):
        self.rows = []

    def add(self, what, measured, unit="s", goal=None, peak=None, note=""):
        """`peak` in bytes. More memory than the goal is over, whatever the time."""
        megabytes = peak / 1e6 if peak else None
        over = goal is not None and measured > goal or megabytes is not None and megabytes > MEMORY_GOAL
        verdict = "over" if over else "ok" if goal is not None or megabytes is not None else ""
        self.rows.append((what, f"{figure(goal)} {unit}" if goal is not None else "",
                          f"{figure(measured)} {unit}" + (f" ({note})" if note else ""),
                          f"{megabytes:.0f} MB" if megabytes else "", verdict))
        say(" | ".join(part for part in self.rows[-1] if part))

    def add_runs(self, what, goal, runs, note=""):
        """The median of the times and the highest peak."""
        self.add(what, statistics.median(run.seconds for run in runs), "s", goal, max(run.peak for run in runs), note)

    def add_missing(self, what, goal):
        self.rows.append((what, f"{figure(goal)} s", "not available", "", ""))

    def text(self):
        head = ("what", "goal", "measured (median)", "peak memory", "ok/over")
        widths = [max(len(row[column]) for row in [head, *self.rows]) for column in range(len(head))]
        line = lambda row: "| " + " | ".join(part.ljust(width) for part, width in zip(row, widths)) + " |"
        rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
        return "\n".join([line(head), rule, *map(line, self.rows)])


def figure(value):
    """Three digits that matter."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3f}" if value < 1 else f"{value:.3g}"

"""How a benchmark ends, and what it says on the way.

In:  conditions that must hold while measuring.  Out: `Wrong` when one does not, progress on stderr.
Invariant: stdout is left to results.
"""
import datetime
import sys

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 64, 130


class Wrong(Exception):
    """Something is not as it must be; the measurements are worth nothing."""


def require(condition, message):
    if not condition:
        raise Wrong(message)


def say(message):
    print(f"{datetime.datetime.now():%H:%M:%S} {message}", file=sys.stderr, flush=True)

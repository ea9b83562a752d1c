"""Command-line arguments.

In:  text.  Out: values within their limits.  Wrong usage ends with the exit status of the interface, 64.
"""
import argparse
import sys

from benchmarks.outcome import USAGE


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{message}\n")


def count(least):
    def parse(text):
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"at least {least}")
        return value
    return parse

"""The innermost loops, each by itself: chunker, hash, Fernet, compression, manifest, tar, inotify decoder.

In:  the package `micro` beside this file, which is built.  Out: a table in Markdown; with --json FILE all rates.
"""
import json
import os
import subprocess
import sys

from benchmarks.machine import PROJECT
from benchmarks.outcome import say
from benchmarks.table import figure

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "micro")


def add_arguments(parser):
    del parser                                         # --runs and --json are there already


def run(options):
    build = ["swift", "build", "--package-path", PACKAGE, "--scratch-path", os.path.join(PROJECT, ".build", "micro"), "--configuration", "release"]
    say("building")
    subprocess.run(build, check=True, stdout=sys.stderr)
    folder = subprocess.run([*build, "--show-bin-path"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    done = subprocess.run([os.path.join(folder, "MicroBenchmarks"), str(options.runs)], check=True, stdout=subprocess.PIPE, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    print("| | on one core |\n|---|---|")
    for row in rows:
        print(f"| {row['name']} | {figure(row['rate'])} {row['unit']}/s |")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)

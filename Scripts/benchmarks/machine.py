"""The machine that is measured, and the binaries.

In:  /proc, --binaries DIR, AUTO_BACKUP_BINARIES, or .build/release.  Out: lines that describe them.
Invariant: only `find_binaries` changes anything: it builds for release when nothing else is given and nothing is there.
"""
import datetime
import os
import platform
import subprocess
import sys

from benchmarks.outcome import require, say

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def first_field(path, name):
    """The value behind `name:` in a file of /proc, or "unknown"."""
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(name):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return "unknown"


def file_system(path):
    """The type of the file system that `path` is on. Source: proc_pid_mountinfo(5)."""
    device = os.stat(path).st_dev
    with open("/proc/self/mountinfo") as file:
        for line in file:
            fields = line.split()
            if fields[2] == f"{os.major(device)}:{os.minor(device)}":
                return fields[fields.index("-") + 1]
    return "unknown"


def describe_machine(directory, watchctl):
    def version(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()

    memory = int(first_field("/proc/meminfo", "MemTotal").split()[0]) / 1e6
    load = os.getloadavg()[0]
    return [
        f"processor      {first_field('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        f"memory         {memory:.1f} GB",
        f"kernel         {platform.system()} {platform.release()}",
        f"file system    {file_system(directory)}",
        f"load           {load:.2f} at the beginning",
        f"versions       {version(watchctl, '--version')} of {modified(watchctl)}, Python {platform.python_version()}",
    ]


def modified(path):
    return f"{datetime.datetime.fromtimestamp(os.stat(path).st_mtime):%Y-%m-%d %H:%M}"


def find_binaries(given):
    """The directory of `watchd` and `watchctl`; built for release when there is none."""
    directory = given or os.environ.get("AUTO_BACKUP_BINARIES") or os.path.join(PROJECT, ".build", "release")
    if all(os.access(os.path.join(directory, name), os.X_OK) for name in ("watchd", "watchctl")):
        return os.path.abspath(directory)
    require(directory == os.path.join(PROJECT, ".build", "release"), f"{directory} has no watchd and watchctl")
    build = ["swift", "build", "--package-path", PROJECT, "--configuration", "release", "--static-swift-stdlib"]
    say("building for release")
    subprocess.run(build, check=True, stdout=sys.stderr)
    return subprocess.run([*build, "--show-bin-path"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def warn_of_old_binaries(watchctl):
    built = os.stat(watchctl).st_mtime
    newest = max((os.stat(os.path.join(folder, name)).st_mtime
                  for folder, _, names in os.walk(os.path.join(PROJECT, "Sources")) for name in names), default=0)
    if newest > built:
        say(f"the sources are newer than {watchctl}: build again, or this measures what was")

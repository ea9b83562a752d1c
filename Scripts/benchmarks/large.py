"""Large files that do not compress: how fast they are taken, and what an edit of 4 KiB in one of them costs.

In:  a size.  Out: a table in Markdown; with --json FILE all values. The bound is what cannot be avoided: each byte is hashed twice (chunk, and archive or HMAC) and
encrypted once, at the speed that `openssl speed` shows for one core, on all cores.
Source: openssl-speed(1), "-mr": +F:number:name:bytes a second.
"""
import json
import os
import subprocess

from benchmarks.arguments import count
from benchmarks.comparison import OURS, Results
from benchmarks.installation import Installation
from benchmarks.machine import describe_machine, find_binaries, warn_of_old_binaries
from benchmarks.outcome import say
from benchmarks.peers import ENVIRONMENT, AutoBackup, Restic, require_peers
from benchmarks.workplace import require_space, workplace

SPEED, EDIT, ADDED = "incompressible data, MB/s", "an edit of 4 KiB, s", "an edit of 4 KiB, MB added"
SHARE, MOST_ADDED = 0.6, 1.048576
FILES, EDITED = 4, 4 << 10


def add_arguments(parser):
    parser.add_argument("--gibibytes", type=count(1), default=1, help="of the edited file, and of the incompressible files together")


def run(options):
    require_peers()
    binaries = find_binaries(options.binaries)
    size = options.gibibytes << 30
    require_space(options, 4 * size + (1 << 30), 10_000, "fewer --gibibytes")
    with workplace(options) as directory:
        installation = Installation(directory, binaries, ENVIRONMENT)
        try:
            warn_of_old_binaries(installation.watchctl)
            print("\n".join(describe_machine(directory, installation.watchctl)), flush=True)
            results = Results()
            tools = (AutoBackup(installation), Restic(installation))
            measure_speed(installation, tools, results, size, options)
            measure_edit(installation, tools, results, size, options)
            print("\n" + results.text())
            if options.json:
                with open(options.json, "w") as file:
                    json.dump({"rows": results.rows, "goals": results.goals}, file, indent=1)
            bound = unavoidable(results)
            share = results.median(SPEED, OURS) / bound
            print(f"\nunavoidable passes: {bound:,.0f} MB/s; reached {share:.0%}: {'met' if share >= SHARE else '**missed**'} (goal {SHARE:.0%})")
        finally:
            installation.close()


def measure_speed(it, tools, results, size, options):
    for number in range(FILES):
        fill(os.path.join(it.source, f"video-{number}.mp4"), size // FILES)
    for _ in range(options.runs):
        for tool in tools:
            tool.initialize()
            results.add(SPEED, tool.name, size / 1e6 / tool.backup().seconds)
        for name, algorithm in (("SHA-256", "sha256"), ("AES-128-CBC", "aes-128-cbc")):
            results.add(f"openssl speed, {name}, MB/s", "openssl", openssl(it, algorithm))
    for name in os.listdir(it.source):
        os.unlink(os.path.join(it.source, name))


def measure_edit(it, tools, results, size, options):
    path = os.path.join(it.source, "disk.img")
    fill(path, size)
    for tool in tools:
        tool.initialize()
        tool.backup()
    for turn in range(options.runs):
        with open(path, "r+b") as file:
            file.seek(size // (turn + 2))
            file.write(os.urandom(EDITED))
        for tool in tools:
            before = tool.stored()
            results.add(EDIT, tool.name, tool.backup().seconds)
            results.add(ADDED, tool.name, (tool.stored() - before) / 1e6)
        results.add(EDIT, "sha256sum", it.launcher.run(["/usr/bin/sha256sum", path], it.output, it.errors).seconds)
    results.limit(ADDED, MOST_ADDED)


def fill(path, size):
    say(f"{size >> 20} MiB of noise")
    with open(path, "wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))


def openssl(it, algorithm):
    line = ["openssl", "speed", "-seconds", "1", "-bytes", "16384", "-mr", "-evp", algorithm]
    shown = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True, env=it.environment).stdout
    return float(next(text for text in shown.splitlines() if text.startswith("+F:")).rpartition(":")[2]) / 1e6


def unavoidable(results):
    """MB/s of all cores."""
    sha, aes = (results.median(f"openssl speed, {name}, MB/s", "openssl") for name in ("SHA-256", "AES-128-CBC"))
    return os.cpu_count() / (2 / sha + 1 / aes)

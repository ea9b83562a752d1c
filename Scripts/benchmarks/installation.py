"""Auto-Backup in a home directory of its own, with its daemon and its control socket.

In:  the binaries and an empty directory.  Out: commands that have run, with their cost.
Invariant: nothing outside the directory is touched. Sources: getrusage(2), clock_getcpuclockid(3).
"""
import http.client
import json
import os
import signal
import socket
import subprocess
import time

from benchmarks.launcher import Launcher
from benchmarks.outcome import DONE, Wrong, require

START_LIMIT, ANSWER_LIMIT = 3600, 600                  # seconds

CONFIGURATION = """
[schedule]
quiet = "{quiet}"
deadline = "24h"
minimum_gap = "0s"
reconcile_every = "30d"
full_every = "366d"
verify_every = "366d"

[exclude]
defaults = false

[watch]
backend = "{backend}"

[keep]
last = {last}
within = "{within}"
minutely = 0
quarter_hourly = 0
hourly = 0
daily = 0
weekly = 0
monthly = 0
yearly = 0
fulls = 0
"""


class LocalConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket; one connection for many requests."""

    def __init__(self, path):
        super().__init__("localhost", timeout=ANSWER_LIMIT)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def call(self, method, path):
        """The answer's JSON."""
        self.request(method, path)
        response = self.getresponse()
        data = response.read()
        require(response.status == 200, f"{method} {path}: HTTP status {response.status}: {data.decode(errors='replace')}")
        return json.loads(data)


class Installation:
    """Auto-Backup in a home directory of its own below `directory`."""

    def __init__(self, directory, binaries, environment=()):
        self.directory = directory
        self.home = os.path.join(directory, "home")
        self.source = os.path.join(self.home, "source")
        self.repository = os.path.join(directory, "repository")
        self.archives = os.path.join(self.repository, "archives")
        self.configuration = os.path.join(self.home, ".config", "auto-backup", "config.toml")
        self.socket = os.path.join(self.home, ".local", "state", "auto-backup", "control.sock")
        self.log = os.path.join(directory, "watchd.log")
        self.output, self.errors = os.path.join(directory, "output"), os.path.join(directory, "errors")
        self.watchctl, self.watchd = os.path.join(binaries, "watchctl"), os.path.join(binaries, "watchd")
        self.daemon = None
        # What starts the daemon, when it is not started directly.
        self.wrapper = []
        os.makedirs(self.source)
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("XDG_", "AUTO_BACKUP_")) and name not in ("NOTIFY_SOCKET", "INVOCATION_ID")}
        self.environment.update(HOME=self.home, LC_ALL="C.UTF-8", TZ="UTC", NO_COLOR="1", **dict(environment))
        self.launcher = Launcher(self.environment, directory)

    def configure(self, last=0, within="0s", quiet="1h", backend="auto"):
        """Sets which snapshots are kept, how long a file must rest, and what watches; sources and repository stay."""
        with open(self.configuration) as file:
            head = file.read().split("\n[")[0]
        with open(self.configuration, "w") as file:
            file.write(head + "\n" + CONFIGURATION.format(last=last, within=within, quiet=quiet, backend=backend))
        self.run("config", "check")

    def run(self, *arguments, expect=(DONE,), into=None):
        """Runs `watchctl` and requires its exit status; standard output goes to `output`, or to `into`."""
        command = [self.watchctl, *map(str, arguments)]
        run = self.launcher.run(command, into or self.output, self.errors)
        if run.status not in expect:
            raise Wrong(f"{' '.join(command)}: exit status {run.status}\n{read_text(self.errors)[-4000:]}")
        return run

    def text(self):
        """What the latest command wrote."""
        return read_text(self.output)

    def has_command(self, name):
        self.run("--help")
        return any(line.split()[:1] == [name] for line in self.text().splitlines() if line.startswith("  "))

    def start_daemon(self):
        with open(self.log, "ab") as log:
            self.daemon = subprocess.Popen([*self.wrapper, self.watchd], env=self.environment, cwd=self.directory, stdin=subprocess.DEVNULL,
                                           stdout=log, stderr=log)

    def wait_until_watching(self, connection):
        """Until the daemon answers, has compared everything, and rests; returns (seconds, directories that are watched)."""
        start = time.monotonic()
        while True:
            require(self.daemon.poll() is None, f"watchd has ended\n{read_text(self.log)[-2000:]}")
            require(time.monotonic() - start < START_LIMIT, "the daemon is not ready")
            try:
                status = connection.call("GET", "/v1/status")
            except (FileNotFoundError, ConnectionRefusedError):
                connection.close()
            else:
                watch = status["watch"]
                if watch["reconciles"] and status["activity"]["state"] in ("idle", "waiting"):
                    break
            time.sleep(0.05)
        require(watch["directories_watched"] == watch["directories_wanted"],
                f"{watch['directories_watched']} of {watch['directories_wanted']} directories are watched: raise fs.inotify.max_user_watches or fs.fanotify.max_user_marks")
        return time.monotonic() - start, watch["directories_watched"]

    def stop_daemon(self):
        self.daemon.send_signal(signal.SIGTERM)
        status = self.daemon.wait(START_LIMIT)
        self.daemon = None
        require(status == DONE, f"watchd ended with {status}\n{read_text(self.log)[-2000:]}")

    def stored(self):
        """(number of archives, their bytes)"""
        sizes = [entry.stat().st_size for entry in os.scandir(self.archives)]
        return len(sizes), sum(sizes)

    def close(self):
        if self.daemon:
            self.daemon.kill()
            self.daemon.wait()
        self.launcher.close()


def read_text(path):
    try:
        with open(path, errors="replace") as file:
            return file.read()
    except FileNotFoundError:
        return ""

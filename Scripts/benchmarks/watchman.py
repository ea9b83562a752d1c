"""watchman, which also watches trees with inotify, as a peer of the watcher.

In:  a directory.  Out: seconds until it is watched, resident memory.  Source: watchman(1).
"""
import os
import shutil
import subprocess
import time

from benchmarks.machine import first_field
from benchmarks.outcome import require

LIMIT = 600                                            # seconds


class Watchman:
    def __init__(self, installation):
        self.program = shutil.which("watchman")
        self.folder = os.path.join(installation.directory, "watchman")
        self.environment = installation.environment
        if self.is_installed:
            os.makedirs(self.folder, mode=0o700)
            self.version = "watchman " + self.output("--version")

    @property
    def is_installed(self):
        return self.program is not None

    def output(self, *arguments):
        return subprocess.run([self.program, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=True, text=True, timeout=LIMIT).stdout.strip()

    def start(self, directory):
        """Starts it, and ends it again; returns (seconds until it has seen the whole tree, resident bytes)."""
        socket = os.path.join(self.folder, "socket")
        server = ["--sockname", socket, "--logfile", os.path.join(self.folder, "log"), "--pidfile", os.path.join(self.folder, "pid")]
        before = time.monotonic()
        process = subprocess.Popen([self.program, "--foreground", "--no-save-state", *server], env=self.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not os.path.exists(socket):
                require(process.poll() is None and time.monotonic() - before < LIMIT, "watchman does not start")
                time.sleep(0.01)
            client = ["--sockname", socket, "--no-spawn"]
            self.output(*client, "watch", directory)
            # Answered only when the first walk is done.
            self.output(*client, "clock", directory)
            seconds = time.monotonic() - before
            return seconds, int(first_field(f"/proc/{process.pid}/status", "VmRSS").split()[0]) * 1024
        finally:
            process.terminate()
            process.wait()
            if os.path.exists(socket):
                os.unlink(socket)
